"""The catalogue of attempts and wheels: SQLAlchemy Core on SQLite (WAL), or another database by URL.

Importing this module costs some 0.15 s; who only reads pages must not (`farm.adapters.store` imports it when it writes).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select, update

from farm.adapters import tables, tombstones
from farm.adapters.database import Database
from farm.errors import StoreError
from farm.model.attempt import Attempt, WheelRecord
from farm.model.package import Version

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Executable, Select
    from sqlalchemy.engine import Connection, Row, RowMapping

    from farm.adapters.locks import Locks
    from farm.model.job import JobKey
    from farm.model.keeping import Tombstone
    from farm.model.package import Digest, NormalizedName

_REUSABLE = ("built", "proven", "published")
_GOOD = ("proven", "published")
_NAMES_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What became of files that were offered: `digests` in their order are those that the index has under their names.

    `dirty` are the pages of their projects that do not show everything yet, with whether the list of projects has the name;
    `files` is what they should show. `serial` is the new one, 0 when nothing changed.
    """

    digests: tuple[Digest, ...]
    dirty: Mapping[NormalizedName, bool]
    files: Mapping[NormalizedName, tuple[WheelRecord, ...]]
    serial: int


class Catalogue:
    """ports.Catalogue, and what the store needs of it. Each method is one transaction; StoreError when the database fails."""

    def __init__(self, url: str, locks: Locks) -> None:
        """Open the database, making or migrating its tables. StoreError when they are newer than this farm."""
        self._locks = locks
        self._url = url
        self._database = Database(url, locks)

    def close(self) -> None:
        self._database.close()

    @property
    def database(self) -> Database:
        """For the keepers of other tables."""
        return self._database

    def begin(self, attempt: Attempt) -> None:
        """Record an attempt that starts. StoreError when its id is taken."""
        with self._database.write() as connection:
            connection.execute(insert(tables.attempts).values(_attempt_row(attempt)))

    def finish(self, attempt: Attempt) -> None:
        """Record how an attempt stands now; may be called at each stage. StoreError when it was never begun."""
        with self._database.write() as connection:
            query = update(tables.attempts).where(tables.attempts.c.id == attempt.id).values(_attempt_row(attempt))
            if connection.execute(query).rowcount != 1:
                raise StoreError(
                    f"{self._url}: expected attempt {attempt.id} to be there, found none",
                    solution="the catalogue was replaced while the farm ran: run again",
                )

    def built(self, key: JobKey) -> Attempt | None:
        """Return the newest attempt whose wheel may be used again for `key`; one that was rejected may not."""
        return self._made(key, _REUSABLE)

    def rejected(self, key: JobKey) -> Attempt | None:
        """Return the newest attempt whose wheel for `key` did not pass its proof."""
        return self._made(key, ("rejected",))

    def _made(self, key: JobKey, states: Sequence[str]) -> Attempt | None:
        table = tables.attempts
        query = select(table).where(table.c.key == key, table.c.state.in_(states), table.c.digest.is_not(None))
        return next(iter(self._attempts(query.order_by(table.c.id.desc()).limit(1))), None)

    def attempts(self, name: NormalizedName | None, limit: int) -> tuple[Attempt, ...]:
        """Return at most `limit` attempts at `name`, or at anything, newest first."""
        query = select(tables.attempts).order_by(tables.attempts.c.id.desc()).limit(limit)
        return self._attempts(query if name is None else query.where(tables.attempts.c.name == name))

    def attempt(self, identity: str) -> Attempt | None:
        """Return the attempt with exactly this id."""
        return next(iter(self._attempts(select(tables.attempts).where(tables.attempts.c.id == identity))), None)

    def matching(self, prefix: str, limit: int) -> tuple[Attempt, ...]:
        """Return at most `limit` attempts whose id starts with `prefix` in any case, newest first."""
        column = tables.attempts.c.id
        query = select(tables.attempts).where(column.istartswith(prefix, autoescape=True))
        return self._attempts(query.order_by(column.desc()).limit(limit))

    def durations(self, names: Sequence[NormalizedName]) -> tuple[tuple[NormalizedName, Version, str, float], ...]:
        """Return (name, version, target, seconds) of the builds of these projects that gave a good wheel, newest first.

        An attempt that found its wheel made already has the key of the one that made it, and is left out.
        """
        table = tables.attempts
        found: dict[str, tuple[str, list[Any]]] = {}
        columns = (table.c.name, table.c.version, table.c.target, table.c.started, table.c.ended, table.c.key)
        with self._database.read() as connection:
            for some in _portions(names):
                query = select(table.c.id, *columns).where(
                    table.c.name.in_(some), table.c.state.in_(_GOOD), table.c.ended.is_not(None)
                )
                # Oldest first: the first with a key is the one that built.
                for identity, *row in connection.execute(query.order_by(table.c.id)):
                    found.setdefault(row[-1] or identity, (identity, row))
        newest = sorted(found.values(), key=lambda entry: str(entry[0]), reverse=True)
        return tuple(
            (name, Version(version), target, (ended - started).total_seconds())
            for _, (name, version, target, started, ended, _) in newest
        )

    def interrupted(self, now: datetime) -> tuple[Attempt, ...]:
        """Mark the attempts still "building" whose run no process holds any more; return them as marked."""
        table = tables.attempts
        with self._database.write() as connection:
            building = table.c.state == "building"
            runs = connection.execute(select(table.c.run).where(building).distinct()).scalars().all()
            dead = [run for run in runs if not self._locks.alive(run)]
            of_dead = building & table.c.run.in_(dead)
            ids = connection.execute(select(table.c.id).where(of_dead)).scalars().all()
            values = {"state": "interrupted", "ended": now, "summary": "the farm was stopped while it built this"}
            connection.execute(update(table).where(of_dead).values(values))
            rows = (
                connection.execute(select(table).where(table.c.id.in_(ids)).order_by(table.c.id.desc()))
                .mappings()
                .all()
            )
        return tuple(_attempt(row) for row in rows)

    def wheel(self, filename: str) -> WheelRecord | None:
        """Return the wheel of this name."""
        with self._database.read() as connection:
            row = (
                connection.execute(select(tables.wheels).where(tables.wheels.c.filename == filename))
                .mappings()
                .one_or_none()
            )
        return None if row is None else read_wheel(row)

    def wheels(self, name: NormalizedName) -> tuple[WheelRecord, ...]:
        """Return a project's files by version, then file name."""
        with self._database.read() as connection:
            rows = connection.execute(select(tables.wheels).where(tables.wheels.c.name == name)).mappings().all()
        return _ordered(read_wheel(row) for row in rows)

    def add_wheels(self, records: Sequence[WheelRecord]) -> Added:
        """Add files and mark their pages dirty, all in one transaction; a name that is taken, or was ever, keeps its file."""
        with self._database.write() as connection:
            filenames = [record.filename for record in records]
            taken, removed = _taken(connection, filenames), tombstones.digests(connection, filenames)
            free = (r for r in reversed(records) if r.filename not in taken and removed.get(r.filename, r.sha256) == r.sha256)
            fresh = {record.filename: record for record in free}
            if fresh:
                connection.execute(_INSERT, [_wheel_row(record) for record in fresh.values()])
                tombstones.lift(connection, fresh.keys() & removed.keys())
            changed = {record.name for record in fresh.values()}
            dirty = _mark_dirty(connection, changed) | _dirty_pages(connection, {r.name for r in records} - changed)
            serial = _grown_serial(connection) if dirty else 0
            files = _files(connection, sorted(dirty))
        digests = removed | taken | {record.filename: record.sha256 for record in fresh.values()}
        return Added(digests=tuple(digests[r.filename] for r in records), dirty=dirty, files=files, serial=serial)

    def bury(self, stones: Sequence[Tombstone]) -> Added:
        """Take files off, with tombstones in their place, and mark their pages dirty; who has other bytes by now stays."""
        table = tables.wheels
        with self._database.write() as connection:
            there = _taken(connection, [stone.filename for stone in stones])
            gone = [stone for stone in stones if there.get(stone.filename) == stone.sha256]
            for some in _portions([stone.filename for stone in gone]):
                connection.execute(delete(table).where(table.c.filename.in_(some)))
            tombstones.put(connection, gone)
            dirty = _mark_dirty(connection, {stone.name for stone in gone})
            serial = _grown_serial(connection) if dirty else 0
            return Added(digests=(), dirty=dirty, files=_files(connection, sorted(dirty)), serial=serial)

    def mark_dirty(self, names: Iterable[NormalizedName]) -> None:
        """Ask for these pages to be made anew, and for their names to be put on the list again."""
        with self._database.write() as connection:
            _mark_dirty(connection, set(names))
            for some in _portions(sorted(names)):
                connection.execute(update(tables.pages).where(tables.pages.c.name.in_(some)).values(on_list=False))

    def forget_pages(self, names: Iterable[NormalizedName]) -> None:
        """Record that these projects have neither page nor place on the list."""
        with self._database.write() as connection:
            for some in _portions(sorted(names)):
                connection.execute(delete(tables.pages).where(tables.pages.c.name.in_(some)))

    def dirty_pages(self, names: Sequence[NormalizedName]) -> Added | None:
        """Return what those of these pages that are dirty should show, with a new serial; None when all are clean."""
        with self._database.write() as connection:
            dirty = _dirty_pages(connection, names)
            if not dirty:
                return None
            return Added(digests=(), dirty=dirty, files=_files(connection, sorted(dirty)), serial=_grown_serial(connection))

    def dirty(self) -> tuple[NormalizedName, ...]:
        """Return the projects whose page does not show all their wheels yet."""
        with self._database.read() as connection:
            return _all_dirty(connection)

    def page_state(self, name: NormalizedName) -> tuple[bool, bool]:
        """Return whether a page is dirty, and whether its project stands in the list of projects."""
        with self._database.read() as connection:
            query = select(tables.pages.c.dirty, tables.pages.c.on_list).where(tables.pages.c.name == name)
            row = connection.execute(query).one_or_none()
        return (False, False) if row is None else (row.dirty, row.on_list)

    def mark_clean(self, names: Iterable[NormalizedName]) -> tuple[NormalizedName, ...]:
        """Record that these pages show all files and the list of projects has their names; return those still dirty.

        A power cut may undo it: the pages would be made once more.
        """
        with self._database.write(durable=False) as connection:
            for some in _portions(sorted(names)):
                connection.execute(_CLEAN, {"some": list(some)})
            return _all_dirty(connection)

    def mark_all_dirty(self) -> None:
        """Ask for every page to be made anew, and for every name to be put on the list again."""
        with self._database.write() as connection:
            connection.execute(update(tables.pages).values(dirty=True, on_list=False))

    def _attempts(self, query: Select[Any]) -> tuple[Attempt, ...]:
        with self._database.read() as connection:
            return tuple(_attempt(row) for row in connection.execute(query).mappings())


def _attempt_row(attempt: Attempt) -> dict[str, Any]:
    return asdict(attempt) | {"version": str(attempt.version)}


def _attempt(row: RowMapping) -> Attempt:
    return Attempt(**(dict(row) | {"version": Version(row["version"])}))


def _portions(names: Sequence[str]) -> Iterable[Sequence[str]]:
    """Databases bound how many parameters a query may have."""
    return (names[start : start + _NAMES_AT_ONCE] for start in range(0, len(names), _NAMES_AT_ONCE))


# Statements are made once: SQLAlchemy takes longer to put one together than SQLite to carry it out.
_INSERT = insert(tables.wheels)
_TAKEN = select(tables.wheels.c.filename, tables.wheels.c.sha256).where(
    tables.wheels.c.filename.in_(bindparam("some", expanding=True))
)
_OF_PROJECTS = select(tables.wheels).where(tables.wheels.c.name.in_(bindparam("some", expanding=True)))
_MARK = (
    update(tables.pages)
    .where(tables.pages.c.name.in_(bindparam("some", expanding=True)))
    .values(dirty=True)
    .returning(tables.pages.c.name, tables.pages.c.on_list)
)
_CLEAN = (
    update(tables.pages)
    .where(tables.pages.c.name.in_(bindparam("some", expanding=True)))
    .values(dirty=False, on_list=True)
)
_DIRTY_OF = select(tables.pages.c.name, tables.pages.c.on_list).where(
    tables.pages.c.name.in_(bindparam("some", expanding=True)), tables.pages.c.dirty
)
_DIRTY = select(tables.pages.c.name).where(tables.pages.c.dirty).order_by(tables.pages.c.name)
_GROW = update(tables.serial).values(value=tables.serial.c.value + 1).returning(tables.serial.c.value)


def _each(connection: Connection, statement: Executable, names: Iterable[str]) -> Iterator[Row[Any]]:
    for some in _portions(sorted(names)):
        yield from connection.execute(statement, {"some": list(some)})


def _taken(connection: Connection, filenames: Sequence[str]) -> dict[str, Digest]:
    return {row.filename: row.sha256 for row in _each(connection, _TAKEN, filenames)}


def _files(connection: Connection, names: Sequence[NormalizedName]) -> dict[NormalizedName, tuple[WheelRecord, ...]]:
    found: dict[NormalizedName, list[WheelRecord]] = {name: [] for name in names}
    for row in _each(connection, _OF_PROJECTS, names):
        found[row.name].append(read_wheel(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name for it
    return {name: _ordered(records) for name, records in found.items()}


def _mark_dirty(connection: Connection, names: set[NormalizedName]) -> dict[NormalizedName, bool]:
    if not names:
        return {}
    marked: dict[NormalizedName, bool] = {row.name: row.on_list for row in _each(connection, _MARK, names)}
    fresh = sorted(names - marked.keys())
    if fresh:
        connection.execute(insert(tables.pages), [{"name": name, "dirty": True, "on_list": False} for name in fresh])
    return marked | dict.fromkeys(fresh, False)


def _dirty_pages(connection: Connection, names: Collection[NormalizedName]) -> dict[NormalizedName, bool]:
    return {row.name: row.on_list for row in _each(connection, _DIRTY_OF, names)}


def _all_dirty(connection: Connection) -> tuple[NormalizedName, ...]:
    return tuple(connection.execute(_DIRTY).scalars())


def _grown_serial(connection: Connection) -> int:
    value: int = connection.execute(_GROW).scalar_one()
    return value


def _ordered(records: Iterable[WheelRecord]) -> tuple[WheelRecord, ...]:
    return tuple(sorted(records, key=lambda record: (record.version, record.filename)))


def _wheel_row(record: WheelRecord) -> dict[str, Any]:
    row = {column.name: getattr(record, column.name) for column in tables.wheels.columns}
    return row | {
        "version": str(record.version),
        "targets": list(record.targets),
        "metadata_sha256": record.metadata_sha256 or "",
        "key": record.key or "",
    }


def read_wheel(row: RowMapping) -> WheelRecord:
    """Return a row of the table of wheels. ValueError, TypeError or KeyError when it holds nonsense."""
    absent = {column: row[column] or None for column in ("metadata_sha256", "key")}
    return WheelRecord(**(dict(row) | absent | {"version": Version(row["version"]), "targets": tuple(row["targets"])}))
