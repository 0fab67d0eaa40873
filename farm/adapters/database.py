"""The catalogue's database: opening it, its schema, its transactions, and what its failures mean to a person."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, delete, event, insert, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from farm.adapters import tables
from farm.errors import StoreError, StoreFull

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import Connection, Engine

    from farm.adapters.locks import Locks

_BUSY_SECONDS = 60


class Database:
    """Connections to one database by URL, whose tables are made or migrated when it is opened. Safe for threads."""

    def __init__(self, url: str, locks: Locks) -> None:
        """StoreError when it cannot be opened, or its tables are newer than this farm."""
        self._url = url
        self._engine = _engine(url)
        # SQLite gives up at once, timeout or not, when two processes turn a new file to WAL at the same moment.
        with locks.shared_file("schema"), self.write() as connection:
            prepare(connection, tables.SCHEMA, tables.STEPS, url)

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with _failures(self._url), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Connection]:
        """Open a transaction that writes. One that is not `durable` may be lost in a power cut, never in a crash."""
        with _failures(self._url), self._engine.connect() as plain:
            connection = plain.execution_options(farm_writes="FULL" if durable else "NORMAL")
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
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    synchronous = connection.get_execution_options().get("farm_writes")
    if synchronous is not None:
        # In WAL, NORMAL may lose the last transactions in a power cut; a published wheel must not vanish.
        connection.exec_driver_sql(f"PRAGMA synchronous = {synchronous}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if synchronous else "BEGIN")


@contextmanager
def _failures(url: str) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        kind = StoreFull if "full" in str(cause) else StoreError
        raise kind(f"the catalogue at {url} failed: {cause}", solution=_advice(str(cause))) from error


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
