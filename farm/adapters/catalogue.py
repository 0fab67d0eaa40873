"""The catalogue of attempts and wheels: SQLAlchemy Core on SQLite (WAL), or another database by URL.

Importing this module costs some 0.15 s; who only reads pages must not (`farm.adapters.store` imports it when it writes).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, delete, event, insert, inspect, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from farm.adapters import tables
from farm.errors import StoreError
from farm.model.attempt import Attempt, WheelRecord
from farm.model.package import Version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Select
    from sqlalchemy.engine import Connection, Engine, RowMapping

    from farm.adapters.locks import Locks
    from farm.model.job import JobKey
    from farm.model.package import Digest, NormalizedName

_BUSY_SECONDS = 60
_REUSABLE = ("built", "proven", "published")
_GOOD = ("proven", "published")
_NAMES_AT_ONCE = 500


class Catalogue:
    """ports.Catalogue, and what the store needs of it. Each method is one transaction; StoreError when the database fails."""

    def __init__(self, url: str, locks: Locks) -> None:
        """Open the database, making or migrating its tables. StoreError when they are newer than this farm."""
        self._locks = locks
        self._url = url
        self._engine = _engine(url)
        # SQLite gives up at once, timeout or not, when two processes turn a new file to WAL at the same moment.
        with locks.shared_file("schema"), self._write() as connection:
            prepare(connection, tables.SCHEMA, tables.STEPS, url)

    def close(self) -> None:
        self._engine.dispose()

    def begin(self, attempt: Attempt) -> None:
        """Record an attempt that starts. StoreError when its id is taken."""
        with self._write() as connection:
            connection.execute(insert(tables.attempts).values(_attempt_row(attempt)))

    def finish(self, attempt: Attempt) -> None:
        """Record how an attempt stands now; may be called at each stage. StoreError when it was never begun."""
        with self._write() as connection:
            query = update(tables.attempts).where(tables.attempts.c.id == attempt.id).values(_attempt_row(attempt))
            if connection.execute(query).rowcount != 1:
                raise StoreError(
                    f"{self._url}: expected attempt {attempt.id} to be there, found none",
                    solution="the catalogue was replaced while the farm ran: run again",
                )

    def built(self, key: JobKey) -> Attempt | None:
        """Return the newest attempt whose wheel may be used again for `key`; one that was rejected may not."""
        table = tables.attempts
        query = select(table).where(table.c.key == key, table.c.state.in_(_REUSABLE), table.c.digest.is_not(None))
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
        with self._read() as connection:
            # Databases bound how many parameters a query may have.
            for start in range(0, len(names), _NAMES_AT_ONCE):
                some = table.c.name.in_(names[start : start + _NAMES_AT_ONCE])
                query = select(table.c.id, *columns).where(some, table.c.state.in_(_GOOD), table.c.ended.is_not(None))
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
        with self._write() as connection:
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
        with self._read() as connection:
            row = (
                connection.execute(select(tables.wheels).where(tables.wheels.c.filename == filename))
                .mappings()
                .one_or_none()
            )
        return None if row is None else _wheel(row)

    def wheels(self, name: NormalizedName) -> tuple[WheelRecord, ...]:
        """Return a project's wheels by version, then file name."""
        with self._read() as connection:
            rows = connection.execute(select(tables.wheels).where(tables.wheels.c.name == name)).mappings().all()
        return tuple(sorted((_wheel(row) for row in rows), key=lambda wheel: (wheel.version, wheel.filename)))

    def add_wheel(self, record: WheelRecord) -> Digest | None:
        """Add a wheel and mark its page dirty, or return the digest of the wheel that has its name already."""
        with self._write() as connection:
            found = select(tables.wheels.c.sha256).where(tables.wheels.c.filename == record.filename)
            taken: Digest | None = connection.execute(found).scalar_one_or_none()
            if taken is not None:
                return taken
            row = asdict(record) | {"version": str(record.version), "targets": list(record.targets)}
            connection.execute(insert(tables.wheels).values(row))
            mark = update(tables.pages).where(tables.pages.c.name == record.name).values(dirty=True)
            if connection.execute(mark).rowcount == 0:
                connection.execute(insert(tables.pages).values(name=record.name, dirty=True, on_list=False))
        return None

    def dirty(self) -> tuple[NormalizedName, ...]:
        """Return the projects whose page does not show all their wheels yet."""
        with self._read() as connection:
            query = select(tables.pages.c.name).where(tables.pages.c.dirty).order_by(tables.pages.c.name)
            return tuple(connection.execute(query).scalars())

    def page_state(self, name: NormalizedName) -> tuple[bool, bool]:
        """Return whether a page is dirty, and whether its project stands in the list of projects."""
        with self._read() as connection:
            query = select(tables.pages.c.dirty, tables.pages.c.on_list).where(tables.pages.c.name == name)
            row = connection.execute(query).one_or_none()
        return (False, False) if row is None else (row.dirty, row.on_list)

    def next_serial(self) -> int:
        """Return a number that no change of the index has had before."""
        with self._write() as connection:
            connection.execute(update(tables.serial).values(value=tables.serial.c.value + 1))
            value: int = connection.execute(select(tables.serial.c.value)).scalar_one()
        return value

    def mark_clean(self, name: NormalizedName) -> None:
        """Record that the page on the disk shows all wheels and the list of projects has the name."""
        with self._write() as connection:
            connection.execute(
                update(tables.pages).where(tables.pages.c.name == name).values(dirty=False, on_list=True)
            )

    def mark_all_dirty(self) -> None:
        """Ask for every page to be made anew, and for every name to be put on the list again."""
        with self._write() as connection:
            connection.execute(update(tables.pages).values(dirty=True, on_list=False))

    def _attempts(self, query: Select[Any]) -> tuple[Attempt, ...]:
        with self._read() as connection:
            return tuple(_attempt(row) for row in connection.execute(query).mappings())

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with _failures(self._url), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with _failures(self._url), self._engine.connect() as plain:
            connection = plain.execution_options(farm_writes=True)
            with connection.begin():
                yield connection


def prepare(connection: Connection, newest: int, steps: Sequence[tuple[int, tuple[str, ...]]], url: str) -> None:
    """Make the tables in an empty database, or take the `steps` from its version to `newest`. StoreError when it is newer."""
    if not inspect(connection).has_table(tables.schema.name):
        tables.metadata.create_all(connection)
        connection.execute(insert(tables.schema).values(version=newest))
        connection.execute(insert(tables.serial).values(value=0))
        return
    found = connection.execute(select(tables.schema.c.version)).scalar_one()
    if found > newest:
        raise StoreError(
            f"{url}: expected a catalogue of schema {newest} or older, found schema {found}",
            solution="a newer farm has used this store: upgrade this one, or give it a store of its own",
        )
    for version, statements in steps:
        if version > found:
            for statement in statements:
                connection.execute(text(statement))
            connection.execute(delete(tables.schema))
            connection.execute(insert(tables.schema).values(version=version))


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        engine = create_engine(parsed)
    except (ArgumentError, ImportError) as error:
        raise StoreError(
            f"expected a database URL such as sqlite:////srv/farm/catalogue.sqlite, found {url!r}: {error}",
            solution="correct the catalogue's URL, or install the driver that it names",
        ) from error
    if parsed.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions on its own, and deferred: two writers would then deadlock instead of waiting.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    # In WAL, NORMAL may lose the last transactions in a power cut; a published wheel must not vanish.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("farm_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _failures(url: str) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        raise StoreError(f"the catalogue at {url} failed: {cause}", solution=_advice(str(cause))) from error


def _advice(cause: str) -> str:
    for sign, advice in (
        ("full", "free some space, or move the store to a larger disk"),
        ("readonly", "give the farm's user the right to write the store, or choose another one"),
        ("unable to open", "make the store's folder, readable and writable for the farm's user"),
        ("locked", f"another process held the catalogue for {_BUSY_SECONDS} s: look for one that hangs"),
        ("malformed", "the catalogue is damaged: restore it from a backup; wheels and pages are not affected"),
        ("not a database", "the file is something else: choose another store"),
    ):
        if sign in cause:
            return advice
    return "look at the database, then try again"


def _attempt_row(attempt: Attempt) -> dict[str, Any]:
    return asdict(attempt) | {"version": str(attempt.version)}


def _attempt(row: RowMapping) -> Attempt:
    return Attempt(**(dict(row) | {"version": Version(row["version"])}))


def _wheel(row: RowMapping) -> WheelRecord:
    return WheelRecord(**(dict(row) | {"version": Version(row["version"]), "targets": tuple(row["targets"])}))
