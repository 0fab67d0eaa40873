"""What clients fetched and asked for, day by day, in the catalogue's database: tables misses, clients, downloads."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from farm.adapters import tables
from farm.errors import StoreError
from farm.model.demand_seen import OTHER, Download, Miss, Visits
from farm.model.package import NormalizedName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import Connection, Select, Table

    from farm.adapters.database import Database
    from farm.model.demand_seen import Seen

MOST_MISSES = 20_000
MOST_CLIENTS = 2_000
"""Rows of one day. What goes beyond is counted without its target and program, and not at all where even that would be a row."""

_AT_ONCE = 300
_DAY = "%Y-%m-%d"


class MissBook:
    """Each method is one transaction; StoreError when the database fails. Several servers' counts add up."""

    def __init__(self, database: Database, *, most_misses: int = MOST_MISSES, most_clients: int = MOST_CLIENTS) -> None:
        self._database = database
        self._most_misses, self._most_clients = most_misses, most_clients

    def record(self, seen: Seen, now: datetime) -> None:
        """Add what was counted to the day of `now` (UTC)."""
        try:
            self._add(seen, now)
        except StoreError as error:
            if not isinstance(error.__cause__, IntegrityError):
                raise
            # Another server began the same row meanwhile, where the database lets two write at once: now it is there.
            self._add(seen, now)

    def _add(self, seen: Seen, now: datetime) -> None:
        day = now.strftime(_DAY)
        with self._database.write(durable=False) as connection:
            misses = _Adding(connection, tables.misses, day, self._most_misses)
            for key, count in seen.misses.items():
                row = {"name": key.name, "version": key.version, "target": key.target, "client": key.client}
                misses.add(row, count, last=now)
            clients = _Adding(connection, tables.clients, day, self._most_clients)
            for (target, client), count in seen.clients.items():
                clients.add({"target": target, "client": client}, count)
            downloads = _Adding(connection, tables.downloads, day, None)
            for filename, count in seen.downloads.items():
                downloads.add({"filename": filename}, count)

    def published(self, filenames: Iterable[str]) -> frozenset[str]:
        """Return those of the names that the farm's index has a file of its own under."""
        wheels = tables.wheels
        found: set[str] = set()
        with self._database.read() as connection:
            for some in _parts(sorted(filenames)):
                found.update(connection.execute(select(wheels.c.filename).where(wheels.c.filename.in_(some))).scalars())
        return frozenset(found)

    def forget(self, now: datetime, kept: timedelta) -> int:
        """Drop the rows of days that ended longer ago than `kept`; return how many."""
        before = (now - kept).strftime(_DAY)
        with self._database.write(durable=False) as connection:
            found = (tables.misses, tables.clients, tables.downloads)
            return sum(connection.execute(delete(table).where(table.c.day < before)).rowcount for table in found)

    def targets(self, since: datetime) -> tuple[str, ...]:
        """Return the targets for which something was compiled since that day, sorted; without those that are not told."""
        column = tables.misses.c.target
        query = select(column).where(tables.misses.c.day >= since.strftime(_DAY), column != "").distinct().order_by(column)
        with self._database.read() as connection:
            return tuple(connection.execute(query).scalars())

    def misses(
        self, since: datetime, limit: int | None = None, *, name: NormalizedName | None = None, targets: Sequence[str] | None = None
    ) -> tuple[Miss, ...]:
        """Return what was compiled elsewhere since the day of `since`, the most frequent first; of one project, of some targets if told."""
        table = tables.misses
        key = (table.c.name, table.c.version, table.c.target)
        total = func.sum(table.c.count)
        query = select(*key, total.label("total"), func.max(table.c.last).label("last")).where(table.c.day >= since.strftime(_DAY))
        if name is not None:
            query = query.where(table.c.name == name)
        if targets is not None:
            query = query.where(table.c.target.in_(targets))
        query = query.group_by(*key).order_by(total.desc(), *key).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            clients = _programs(connection, since, {row.name for row in rows})
        return tuple(
            Miss(
                name=NormalizedName(row.name), version=row.version, target=row.target, count=row.total, last=row.last,
                clients=clients.get((row.name, row.version, row.target), ()),
            )
            for row in rows
        )  # fmt: skip

    def counts(self, pins: Iterable[tuple[NormalizedName, str]], since: datetime) -> dict[tuple[NormalizedName, str], int]:
        """Return how often clients compiled each (name, version) since that day, whatever their target; 0 is left out."""
        wanted = frozenset(pins)
        names = sorted({name for name, _ in wanted})
        table = tables.misses
        found: dict[tuple[NormalizedName, str], int] = {}
        with self._database.read() as connection:
            for some in _parts(names):
                query = select(table.c.name, table.c.version, func.sum(table.c.count).label("total"))
                query = query.where(table.c.day >= since.strftime(_DAY), table.c.name.in_(some)).group_by(table.c.name, table.c.version)
                found.update(((NormalizedName(row.name), row.version), row.total) for row in connection.execute(query))
        return {pin: count for pin, count in found.items() if pin in wanted}

    def downloads(self, since: datetime, limit: int | None = None) -> tuple[Download, ...]:
        """Return how often the farm's own wheels were fetched since that day, the most frequent first."""
        table = tables.downloads
        total = func.sum(table.c.count)
        query = select(table.c.filename, total.label("total")).where(table.c.day >= since.strftime(_DAY))
        query = query.group_by(table.c.filename).order_by(total.desc(), table.c.filename).limit(limit)
        with self._database.read() as connection:
            return tuple(Download(filename=row.filename, count=row.total) for row in connection.execute(query))

    def visits(self, since: datetime) -> tuple[Visits, ...]:
        """Return requests for pages since that day by target and client, the most frequent first."""
        table = tables.clients
        total = func.sum(table.c.count)
        query: Select[Any] = select(table.c.target, table.c.client, total.label("total")).where(table.c.day >= since.strftime(_DAY))
        query = query.group_by(table.c.target, table.c.client).order_by(total.desc(), table.c.target, table.c.client)
        with self._database.read() as connection:
            return tuple(Visits(target=row.target, client=row.client, count=row.total) for row in connection.execute(query))


class _Adding:
    """Adds to counts of one table and day. `most` bounds the rows of the day: who makes up a user agent must not fill the disk."""

    def __init__(self, connection: Connection, table: Table, day: str, most: int | None) -> None:
        self._connection, self._table, self._day = connection, table, day
        self._room: int | None = None if most is None else most
        self._known: int | None = None

    def add(self, key: Mapping[str, str], count: int, **last: datetime) -> None:
        if self._raise(key, count, last) or self._insert(key, count, last):
            return
        vague = {**key, "target": "", "client": OTHER}
        # Half as many again, for what is told apart by its project alone.
        if not self._raise(vague, count, last):
            self._insert(vague, count, last, share=1.5)

    def _raise(self, key: Mapping[str, str], count: int, last: Mapping[str, datetime]) -> bool:
        columns = self._table.c
        query = update(self._table).where(columns.day == self._day, *(columns[name] == value for name, value in key.items()))
        return self._connection.execute(query.values(count=columns.count + count, **last)).rowcount > 0

    def _insert(self, key: Mapping[str, str], count: int, last: Mapping[str, datetime], share: float = 1.0) -> bool:
        if self._room is not None:
            if self._known is None:
                query = select(func.count()).select_from(self._table).where(self._table.c.day == self._day)
                self._known = self._connection.execute(query).scalar_one()
            if self._known >= self._room * share:
                return False
            self._known += 1
        self._connection.execute(insert(self._table).values(day=self._day, count=count, **key, **last))
        return True


def _programs(connection: Connection, since: datetime, names: Iterable[str]) -> dict[tuple[str, str, str], tuple[tuple[str, int], ...]]:
    table = tables.misses
    found: dict[tuple[str, str, str], list[tuple[str, int]]] = defaultdict(list)
    total = func.sum(table.c.count)
    key = (table.c.name, table.c.version, table.c.target, table.c.client)
    for some in _parts(sorted(names)):
        query = select(*key, total.label("total")).where(table.c.day >= since.strftime(_DAY), table.c.name.in_(some))
        for row in connection.execute(query.group_by(*key).order_by(total.desc(), table.c.client)):
            found[row.name, row.version, row.target].append((row.client, row.total))
    return {key: tuple(clients) for key, clients in found.items()}


def _parts(names: Sequence[str]) -> Iterable[Sequence[str]]:
    return (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))
