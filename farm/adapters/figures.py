"""A farm's figures: the cheap ones by a few indexed queries, the dear ones (sums over tables, a walk through the store) apart."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from farm.adapters import tables
from farm.adapters.build_tally import BuildTally
from farm.errors import StoreError
from farm.model.figures import Holdings, Night, Recent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy.engine import Connection, RowMapping

    from farm.adapters.database import Database
    from farm.adapters.locks import Locks

PARTS = ("blobs", "pages", "logs", "cache", "catalogue", "other")
"""What the store's folder is told apart into."""
_OWN = frozenset(PARTS[:4])
# A walk through a million files lets others have the processor and the disk.
_BREATHE_EVERY = 500
_BREATH_SECONDS = 0.002
_FAILING = ("failing", "regressions")


class FigureReader:
    """Reads one store. Safe for threads."""

    def __init__(self, root: Path, database: Database, locks: Locks, now: Callable[[], datetime]) -> None:
        self._root = root
        self._database = database
        self._locks = locks
        self._builds = BuildTally(root, database, now)

    def recent(self) -> Recent:
        """Return what changes with each build: milliseconds, however large the catalogue is. StoreError when the database fails."""
        builds = self._builds.read()
        with self._database.read() as connection:
            jobs = tables.run_jobs
            running = connection.execute(select(tables.runs.c.id).where(tables.runs.c.state == "running")).scalars().all()
            alive = [run for run in running if self._runs(run)]
            queue = connection.execute(
                select(jobs.c.state, func.count()).where(jobs.c.run.in_(alive)).group_by(jobs.c.state).order_by(jobs.c.state)
            ).all()
            # What a killed farm left is under way in the catalogue alone, until the next one marks it.
            under_way = select(tables.attempts.c.run, func.count()).where(tables.attempts.c.state == "building")
            rows = connection.execute(under_way.group_by(tables.attempts.c.run)).all()
            builds = replace(builds, running=sum(count for run, count in rows if self._runs(run)))
            campaigns = connection.execute(select(func.count()).where(tables.campaigns.c.closed.is_(None))).scalar_one()
            night, last = _nights(connection)
        return Recent(
            builds=builds, queue=tuple((state, count) for state, count in queue), night=night, last_night=last, open_campaigns=campaigns
        )

    def _runs(self, run: str) -> bool:
        # Of a store that cannot be written nobody can tell.
        with suppress(StoreError):
            return self._locks.alive(run)
        return False

    def nights(self) -> tuple[Night | None, Night | None]:
        """Return the newest nightly run, and the newest that has ended. StoreError when the database fails."""
        with self._database.read() as connection:
            return _nights(connection)

    def holdings(self) -> Holdings:
        """Return what takes a look at everything there is: seconds in a large store. StoreError when the database fails."""
        with self._database.read() as connection:
            wheels, size = connection.execute(select(func.count(), func.coalesce(func.sum(tables.wheels.c.size), 0))).one()
            wanted = connection.execute(
                select(tables.cells.c.state, func.count()).group_by(tables.cells.c.state).order_by(tables.cells.c.state)
            ).all()
            states = tables.watch_states
            looked = _number(connection, states)
            broken = connection.execute(select(func.count()).where(states.c.error != "")).scalar_one()
            retired = _number(connection, tables.retirements)
        return Holdings(
            wheels=wheels, wheel_bytes=int(size), retired=retired, watches=looked, broken_watches=broken,
            wanted=tuple((state, count) for state, count in wanted), parts=tuple(disk_parts(self._root).items()),
        )  # fmt: skip


def _number(connection: Connection, table: Any) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _nights(connection: Connection) -> tuple[Night | None, Night | None]:
    newest = select(tables.nights).order_by(tables.nights.c.id.desc()).limit(1)
    queries = (newest, newest.where(tables.nights.c.ended.is_not(None)))
    rows = [connection.execute(query).mappings().one_or_none() for query in queries]
    night, last = (None if row is None else _night(row) for row in rows)
    return night, last


def _night(row: RowMapping) -> Night:
    said: dict[str, Any] = {}
    with suppress(ValueError):
        read = json.loads(row["report"] or "{}")
        said = read if isinstance(read, dict) else {}
    return Night(
        started=row["started"], ended=row["ended"], state=row["state"], exit_code=_count(said.get("code")),
        built=_count(said.get("built")), failed=sum(_count(said.get(name)) or 0 for name in _FAILING) if said else None,
    )  # fmt: skip


def _count(said: object) -> int | None:
    """A number as it is, a list by its length: the report of a night (farm/model/night.py) has both."""
    if isinstance(said, list):
        return len(said)
    return said if isinstance(said, int) and not isinstance(said, bool) else None


def disk_parts(root: Path) -> dict[str, int]:
    """Return the bytes that each part of the store takes on the disk. What vanishes meanwhile counts for nothing."""
    found = dict.fromkeys(PARTS, 0)
    for place, entry in enumerate(_entries(root)):
        if place % _BREATHE_EVERY == _BREATHE_EVERY - 1:
            time.sleep(_BREATH_SECONDS)
        top = os.path.relpath(entry.path, root).split(os.sep, 1)[0]
        part = top if top in _OWN else "catalogue" if top.startswith("catalogue.") else "other"
        with suppress(OSError):
            found[part] += entry.stat(follow_symlinks=False).st_blocks * 512
    return found


def _entries(root: Path) -> Iterator[os.DirEntry[str]]:
    folders = [str(root)]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    yield entry
