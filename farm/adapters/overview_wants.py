"""What is wanted of the farm, as the pages show it: requirement sets, what clients compile, targets, and all of it at a glance."""

from __future__ import annotations

import json
import re
import shutil
from datetime import timedelta
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from sqlalchemy import and_, func, select

from farm.adapters import tables
from farm.adapters.overview_cells import read_pins
from farm.adapters.overview_kept import KeptValue, KeptValues
from farm.adapters.overview_matrix import MISSING, set_totals
from farm.errors import FarmError
from farm.model.overview import SetPage, SetRow, SetView, TargetView
from farm.model.overview_runs import MissPage, MissRow, Summary
from farm.model.target import parse_target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import Select
    from sqlalchemy.engine import Connection, Row

    from farm.adapters.database import Database
    from farm.adapters.overview_builds import BuildsReader
    from farm.adapters.overview_matrix import MatrixReader
    from farm.model.overview_runs import MissQuery

_DAY = "%Y-%m-%d"
_PASSWORD = re.compile(r"://[^/\s@]+@")
_RANKINGS_KEPT = 4
_SUMS_KEPT = 400
_RANKED_AT_MOST = 10_000


class SetsReader:
    """StoreError when the database fails. Safe for threads."""

    def __init__(self, database: Callable[[], Database], configured: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]) -> None:
        """`configured` are config.toml's sets: (sources, targets) by name."""
        self._database = database
        self._configured = dict(sorted(configured.items()))
        self._missing = KeptValue(self._count_missing)

    def sets(self, after: str, limit: int) -> SetPage:
        watches, states = tables.watches.c.name, tables.watch_states.c.name
        missing = self._missing()
        with self._database().read() as connection:
            lists: list[Sequence[str]] = [
                connection.execute(select(column).where(column > after).order_by(column).limit(limit + 1)).scalars().all()
                for column in (watches, states)
            ]
            lists.append([name for name in self._configured if name > after])
            names = list(islice(dict.fromkeys(merge(*lists)), limit + 1))
            rows = self._rows(connection, names[:limit], missing)
        return SetPage(sets=rows, next=names[limit - 1] if len(names) > limit else "")

    def set(self, name: str) -> SetView | None:
        missing = self._missing()
        with self._database().read() as connection:
            found = connection.execute(select(tables.watches).where(tables.watches.c.name == name)).one_or_none()
            looked = connection.execute(select(tables.watch_states.c.name).where(tables.watch_states.c.name == name)).first()
            if found is None and looked is None and name not in self._configured:
                return None
            (row,) = self._rows(connection, [name], missing)
            return SetView(set=row, options=dict(found.options) if found else {}, totals=set_totals(connection, name))

    def count(self) -> int:
        with self._database().read() as connection:
            registered = connection.execute(select(func.count()).select_from(tables.watches)).scalar_one()
        return int(registered) + len(self._configured)

    def _rows(self, connection: Connection, names: Sequence[str], missing: Mapping[str, int]) -> tuple[SetRow, ...]:
        watches, states = tables.watches, tables.watch_states
        registered = {row.name: row for row in connection.execute(select(watches).where(watches.c.name.in_(names)))}
        looks = {row.name: row for row in connection.execute(select(states).where(states.c.name.in_(names)))}
        return tuple(self._row(name, (registered.get(name), looks.get(name)), missing.get(name, 0)) for name in names)

    def _row(self, name: str, known: tuple[Row[Any] | None, Row[Any] | None], missing: int) -> SetRow:
        registered, look = known
        sources, targets = self._configured.get(name, ((), ()))
        if registered is not None:
            sources, targets = _sources(registered.source), tuple(registered.targets)
        return SetRow(
            name=name,
            sources=tuple(_PASSWORD.sub("://***@", source) for source in sources),
            origin="config" if registered is None else "command",
            targets=targets,
            created=registered.created if registered is not None else None,
            looked=look.looked if look is not None else None,
            error=_PASSWORD.sub("://***@", look.error) if look is not None else "",
            pins=look.pins if look is not None else 0,
            missing=missing,
        )

    def _count_missing(self) -> dict[str, int]:
        """Count from what is missing on, of which there is little, not from all that is wanted."""
        wanted, cells = tables.wanted.c, tables.cells.c
        same = and_(wanted.name == cells.name, wanted.version == cells.version, wanted.target == cells.target)
        query = select(wanted.watch, func.count()).select_from(tables.cells.join(tables.wanted, same))
        with self._database().read() as connection:
            rows = connection.execute(query.where(cells.state.in_(MISSING)).group_by(wanted.watch))
            return {row[0]: row[1] for row in rows}


def _sources(text: str) -> tuple[str, ...]:
    try:
        found = json.loads(text)
    except ValueError:
        return (text,)
    return tuple(str(one) for one in found) if isinstance(found, list) else (text,)


class DemandReader:
    """Misses and the summary. StoreError when the database fails. Safe for threads."""

    def __init__(self, database: Callable[[], Database], root: Path, alive: Callable[[str], bool], now: Callable[[], datetime]) -> None:
        self._database = database
        self._root = root
        self._alive = alive
        self._now = now
        self._ranked = KeptValues(lambda days: self._rank(days, ""), _RANKINGS_KEPT)
        self._saved = KeptValues(self._count_saved, _SUMS_KEPT)
        self._files = KeptValue(self._count_files)

    def misses(self, query: MissQuery) -> MissPage:
        rows, total = self._rank(query.days, canonicalize_name(query.name)) if query.name else self._ranked(query.days)
        shown = rows[query.offset : query.offset + query.limit]
        with self._database().read() as connection:
            clients = self._clients(connection, query.days, shown)
            pins = read_pins(connection, sorted({row.name for row in shown}), self._alive)
        states = {(pin.name, pin.version, cell.target): cell.state for pin in pins for cell in pin.cells.values()}
        misses = tuple(
            MissRow(
                name=row.name, version=row.version, target=row.target, count=row.total, last=row.last,
                clients=clients.get((row.name, row.version, row.target), ()),
                state=states.get((row.name, row.version, row.target), ""),
            )
            for row in shown
        )  # fmt: skip
        return MissPage(misses=misses, more=len(rows) > query.offset + query.limit, total=total)

    def summary(self, days: int, readers: tuple[MatrixReader, BuildsReader, SetsReader]) -> Summary:
        matrix, builds, sets = readers
        states: dict[str, int] = {}
        for total in matrix.totals():
            for state, count in total.states.items():
                states[state] = states.get(state, 0) + count
        downloads, saved, misses = self._saved(days)
        wheels, size = self._files()
        disk = shutil.disk_usage(self._root)
        return Summary(
            projects=len(matrix.names().all), wheels=wheels, wheel_bytes=size, sets=sets.count(),
            missing=sum(states.get(state, 0) for state in MISSING), failed=states.get("failed", 0) + states.get("timed-out", 0),
            building=len(builds.under_way()), days=days, downloads=downloads, misses=misses, seconds_saved=saved,
            disk_free=disk.free, disk_total=disk.total, last_night=next(iter(builds.nights(1)), None),
        )  # fmt: skip

    def _since(self, days: int) -> str:
        return f"{self._now() - timedelta(days=days - 1):{_DAY}}"

    def _rank(self, days: int, name: str) -> tuple[list[Row[Any]], int]:
        table = tables.misses.c
        key = (table.name, table.version, table.target)
        conditions = (table.day >= self._since(days), *((table.name == name,) if name else ()))
        total = func.sum(table.count)
        query: Select[Any] = select(*key, total.label("total"), func.max(table.last).label("last")).where(*conditions).group_by(*key)
        with self._database().read() as connection:
            rows = connection.execute(query.order_by(total.desc(), *key).limit(_RANKED_AT_MOST)).all()
            count = connection.execute(select(total).where(*conditions)).scalar_one() or 0
        return list(rows), int(count)

    def _clients(self, connection: Connection, days: int, rows: Sequence[Row[Any]]) -> dict[tuple[str, str, str], tuple[str, ...]]:
        table = tables.misses.c
        names = sorted({row.name for row in rows})
        query = select(table.name, table.version, table.target, table.client).where(table.name.in_(names), table.day >= self._since(days))
        found: dict[tuple[str, str, str], set[str]] = {}
        for name, version, target, client in connection.execute(query.distinct()):
            found.setdefault((name, version, target), set()).add(client)
        return {key: tuple(sorted(clients)) for key, clients in found.items()}

    def _count_saved(self, days: int) -> tuple[int, float, int]:
        """Return downloads, the seconds of building that they saved, and misses."""
        downloads, wheels, attempts, since = tables.downloads, tables.wheels.c, tables.attempts.c, self._since(days)
        fetched = (
            select(downloads.c.filename, func.sum(downloads.c.count).label("count"))
            .where(downloads.c.day >= since)
            .group_by(downloads.c.filename)
            .subquery()
        )
        query = select(fetched.c.count, attempts.started, attempts.ended).select_from(
            fetched.outerjoin(tables.wheels, wheels.filename == fetched.c.filename).outerjoin(
                tables.attempts, attempts.id == wheels.attempt
            )
        )
        count, seconds = 0, 0.0
        with self._database().read() as connection:
            for times, started, ended in connection.execute(query):
                count += times
                if started is not None and ended is not None:
                    seconds += times * (ended - started).total_seconds()
            misses = connection.execute(select(func.sum(tables.misses.c.count)).where(tables.misses.c.day >= since)).scalar_one()
        return count, seconds, int(misses or 0)

    def _count_files(self) -> tuple[int, int]:
        with self._database().read() as connection:
            count, size = connection.execute(select(func.count(), func.sum(tables.wheels.c.size))).one()
        return int(count), int(size or 0)


def target_views(matrix: MatrixReader, configured: Sequence[str]) -> tuple[TargetView, ...]:
    """Return the targets that config.toml names, then the others that the catalogue knows."""
    totals = {total.target: total.states for total in matrix.totals()}
    return tuple(_target(name, totals.get(name, {}), configured=name in configured) for name in matrix.targets())


def _target(name: str, states: Mapping[str, int], *, configured: bool) -> TargetView:
    try:
        target = parse_target(name)
    except FarmError:
        return TargetView(name=name, configured=configured, python="", libc="", arch="", states=states)
    libc = target.libc
    python = f"{target.implementation}{target.python[0]}.{target.python[1]}{'t' if target.free_threaded else ''}"
    level = f"{'glibc' if libc[0] == 'manylinux' else 'musl'} {libc[1]}.{libc[2]}" if libc else ""
    return TargetView(name=name, configured=configured, python=python, libc=level, arch=target.arch, states=states)
