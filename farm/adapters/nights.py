"""Nights, retirements, and what the catalogue knows for their report.

Each method is one transaction; StoreError when the database fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select, update

from farm.adapters import tables
from farm.adapters.catalogue import read_wheel
from farm.model.night import NightRecord, Retirement, Try

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from farm.adapters.database import Database
    from farm.model.attempt import WheelRecord

_AT_ONCE = 400
_KEPT_TRIES = 12
_KEPT_NIGHTS = 400


class Nights:
    """The table of nights."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, night: str, started: datetime) -> None:
        """Record a night that starts; of more than a year's nights the oldest are let go.

        One that was running before is dead: whoever calls this holds the lock of nights.
        """
        table = tables.nights
        with self._database.write() as connection:
            connection.execute(update(table).where(table.c.state == "running").values(state="killed", ended=started))
            connection.execute(insert(table).values(id=night, started=started, ended=None, state="running", report=""))
            old = select(table.c.id).order_by(table.c.started.desc()).offset(_KEPT_NIGHTS).limit(_AT_ONCE)
            connection.execute(delete(table).where(table.c.id.in_(connection.execute(old).scalars().all())))

    def end(self, night: str, state: str, ended: datetime, report: str) -> None:
        table = tables.nights
        with self._database.write() as connection:
            connection.execute(update(table).where(table.c.id == night).values(state=state, ended=ended, report=report))

    def find(self, prefix: str, limit: int = 10) -> tuple[NightRecord, ...]:
        """Return at most `limit` nights whose id begins so, newest first; "" finds all."""
        table = tables.nights
        query = select(table).where(table.c.id.startswith(prefix, autoescape=True)).order_by(table.c.started.desc()).limit(limit)
        with self._database.read() as connection:
            return tuple(NightRecord(**row) for row in connection.execute(query).mappings())

    def begun(self, limit: int = 30) -> tuple[NightRecord, ...]:
        """Return at most `limit` nights, newest first, all without their reports, which may be long."""
        table = tables.nights
        query = select(table.c.id, table.c.started, table.c.ended, table.c.state).order_by(table.c.started.desc()).limit(limit)
        with self._database.read() as connection:
            return tuple(NightRecord(**row, report="") for row in connection.execute(query).mappings())

    def last(self) -> NightRecord | None:
        """Return the newest night that has a report."""
        table = tables.nights
        query = select(table).where(table.c.report != "").order_by(table.c.started.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else NightRecord(**row)

    def tries(self, names: Sequence[str]) -> dict[tuple[str, str, str], tuple[Try, ...]]:
        """Return the last attempts at these projects by (name, version, target), newest first."""
        table = tables.attempts
        found: dict[tuple[str, str, str], list[Try]] = {}
        columns = (table.c.name, table.c.version, table.c.target, table.c.state, table.c.cause, table.c.started, table.c.ended)
        with self._database.read() as connection:
            for some in _portions(names):
                each = (table.c.name, table.c.version, table.c.target)
                place = func.row_number().over(partition_by=each, order_by=table.c.id.desc()).label("place")
                every = select(*columns, table.c.id, place).where(table.c.name.in_(some), table.c.state != "building").subquery()
                # A night tries a failure again by the hundreds: what a year has left behind stays in the database.
                for row in connection.execute(select(every).where(every.c.place <= _KEPT_TRIES).order_by(every.c.id.desc())):
                    tries = found.setdefault((row.name, row.version, row.target), [])
                    tries.append(Try(state=row.state, cause=row.cause, ended=row.ended or row.started))
        return {key: tuple(tries) for key, tries in found.items()}

    def ever_built(self, names: Sequence[str]) -> frozenset[tuple[str, str]]:
        """Return the (name, target) pairs of these projects for which the farm has published a wheel of any version."""
        table = tables.attempts
        found: set[tuple[str, str]] = set()
        with self._database.read() as connection:
            for some in _portions(names):
                query = select(table.c.name, table.c.target).where(table.c.name.in_(some), table.c.state == "published").distinct()
                found.update((row.name, row.target) for row in connection.execute(query))
        return frozenset(found)

    def misses(self, names: Sequence[str], since: str) -> dict[tuple[str, str, str], int]:
        """Return how often clients fetched sdists since a day, by (name, version, target); target "" where they did not tell."""
        table = tables.misses
        found: dict[tuple[str, str, str], int] = {}
        with self._database.read() as connection:
            for some in _portions(names):
                query = (
                    select(table.c.name, table.c.version, table.c.target, func.sum(table.c.count).label("times"))
                    .where(table.c.name.in_(some), table.c.day >= since)
                    .group_by(table.c.name, table.c.version, table.c.target)
                )
                found |= {(row.name, row.version, row.target): int(row.times) for row in connection.execute(query)}
        return found

    def saved(self, first: str, last: str) -> float:
        """Return the seconds of building that downloads saved on these days, the last one included."""
        downloads, wheels, attempts = tables.downloads, tables.wheels, tables.attempts
        query = (
            select(downloads.c.filename, func.sum(downloads.c.count).label("times"), attempts.c.started, attempts.c.ended)
            .join(wheels, wheels.c.filename == downloads.c.filename)
            .join(attempts, attempts.c.id == wheels.c.attempt)
            .where(downloads.c.day >= first, downloads.c.day <= last, attempts.c.ended.is_not(None))
            .group_by(downloads.c.filename, attempts.c.started, attempts.c.ended)
        )
        with self._database.read() as connection:
            # A clock that was set back in the middle of a build makes nobody lose time.
            return float(sum(row.times * max(0.0, (row.ended - row.started).total_seconds()) for row in connection.execute(query)))


class Retirements:
    """The farm's wheels that need not be built again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def built(self, names: Sequence[str]) -> tuple[WheelRecord, ...]:
        """Return the wheels of these projects that the farm built itself."""
        table = tables.wheels
        found: list[WheelRecord] = []
        with self._database.read() as connection:
            for some in _portions(names):
                query = select(table).where(table.c.name.in_(some), table.c.key != "").order_by(table.c.filename)
                found += [read_wheel(row) for row in connection.execute(query).mappings()]
        return tuple(found)

    def of(self, filenames: Sequence[str]) -> dict[str, Retirement]:
        """Return those of these files that are retired."""
        table = tables.retirements
        found: dict[str, Retirement] = {}
        with self._database.read() as connection:
            for some in _portions(filenames):
                rows = connection.execute(select(table).where(table.c.filename.in_(some))).mappings()
                found |= {row["filename"]: Retirement(**row) for row in rows}
        return found

    def keep(self, retirements: Iterable[Retirement], over: Sequence[str] = ()) -> None:
        """Record retirements; those of the files `over` have ended."""
        table = tables.retirements
        rows = [{"filename": each.filename, "upstream": each.upstream, "retired": each.retired} for each in retirements]
        with self._database.write() as connection:
            for some in _portions([*over, *(str(row["filename"]) for row in rows)]):
                connection.execute(delete(table).where(table.c.filename.in_(some)))
            for start in range(0, len(rows), _AT_ONCE):
                connection.execute(insert(table), rows[start : start + _AT_ONCE])


def _portions(names: Sequence[str]) -> Iterable[Sequence[str]]:
    unique = list(dict.fromkeys(names))
    for start in range(0, len(unique), _AT_ONCE):
        yield unique[start : start + _AT_ONCE]
