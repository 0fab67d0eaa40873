"""The journal of runs in the catalogue's database: what was asked, and where each job stands. It outlives a kill at any moment."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from farm.adapters import tables
from farm.model.attempt import RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from farm.adapters.database import Database
    from farm.model.attempt import RunState

_KEPT_RUNS = 200
_AT_ONCE = 200


class Journal:
    """Each method is one transaction; StoreError when the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, run: RunRecord) -> None:
        """Record a run that starts; of long gone ones the journal is let go."""
        values = {column.name: getattr(run, column.name) for column in tables.runs.columns}
        with self._database.write() as connection:
            connection.execute(insert(tables.runs).values(values))
            old = select(tables.runs.c.id).order_by(tables.runs.c.id.desc()).offset(_KEPT_RUNS).limit(_AT_ONCE)
            gone = connection.execute(old).scalars().all()
            for table, column in ((tables.run_jobs, tables.run_jobs.c.run), (tables.runs, tables.runs.c.id)):
                connection.execute(delete(table).where(column.in_(gone)))

    def end(self, run: str, state: RunState, now: datetime) -> None:
        with self._database.write() as connection:
            connection.execute(update(tables.runs).where(tables.runs.c.id == run).values(state=state, ended=now))

    def last(self) -> RunRecord | None:
        """Return the newest run."""
        with self._database.read() as connection:
            row = connection.execute(select(tables.runs).order_by(tables.runs.c.id.desc()).limit(1)).mappings().one_or_none()
        return None if row is None else RunRecord(**row)

    def note(self, run: str, states: Iterable[tuple[str, str]]) -> None:
        """Record (job, state) pairs. A power cut may take the last ones; a killed process does not."""
        rows = [{"run": run, "job": job, "state": state} for job, state in states]
        if not rows:
            return
        table = tables.run_jobs
        with self._database.write(durable=False) as connection:
            for start in range(0, len(rows), _AT_ONCE):
                some = rows[start : start + _AT_ONCE]
                jobs = [row["job"] for row in some]
                connection.execute(delete(table).where(table.c.run == run, table.c.job.in_(jobs)))
                connection.execute(insert(table), some)

    def states(self, run: str) -> Counter[str]:
        """Return how many jobs of a run were last in each state."""
        with self._database.read() as connection:
            return Counter(connection.execute(select(tables.run_jobs.c.state).where(tables.run_jobs.c.run == run)).scalars())
