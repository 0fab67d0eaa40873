"""What the keepers of a store ask of its catalogue: everything in portions, and rows that hold nonsense without failing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from farm.adapters import tables
from farm.adapters.catalogue import read_wheel
from farm.model.package import file_version, parse_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from farm.adapters.database import Database
    from farm.model.attempt import WheelRecord
    from farm.model.package import Digest, NormalizedName

DIGITS = "0123456789abcdef"
"""The first digit of digests: a store is looked through in these portions, so that memory stays bounded."""

_WHEELS = tables.wheels
_MALFORMED = (ValueError, TypeError, KeyError)


def following(prefix: str) -> str:
    """Return the first text after all that begin with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


class Inventory:
    """Reads each portion in a transaction of its own. StoreError when the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def faults(self) -> tuple[str, ...]:
        """Return what SQLite's own check finds wrong; nothing for other databases, which look after themselves."""
        with self._database.read() as connection:
            if connection.dialect.name != "sqlite":
                return ()
            found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check(20)")]
        return () if found == ["ok"] else tuple(found)

    def between(self, prefix: str) -> tuple[WheelRecord, ...]:
        """Return the files whose digests begin with `prefix`; rows that cannot be read are left out."""
        where = (_WHEELS.c.sha256 >= prefix) & (_WHEELS.c.sha256 < following(prefix))
        return tuple(record for _, record in self._records(where) if record is not None)

    def nonsense(self) -> Iterator[tuple[str, str]]:
        """Yield each file name whose row says what cannot be, with what that is."""
        last = ""
        while True:
            query = select(_WHEELS.c.filename).where(_WHEELS.c.filename > last).order_by(_WHEELS.c.filename).limit(1000)
            with self._database.read() as connection:
                filenames = connection.execute(query).scalars().all()
            if not filenames:
                return
            within = (_WHEELS.c.filename > last) & (_WHEELS.c.filename <= filenames[-1])
            for filename, record in self._records(within):
                fault = _fault(filename, record)
                if fault:
                    yield filename, fault
            last = filenames[-1]

    def names(self) -> tuple[NormalizedName, ...]:
        """Return the projects that have files, sorted."""
        with self._database.read() as connection:
            return tuple(connection.execute(select(_WHEELS.c.name).distinct().order_by(_WHEELS.c.name)).scalars())

    def lists(self, digest: Digest) -> bool:
        """Tell whether some file of the index has these bytes."""
        with self._database.read() as connection:
            return bool(connection.execute(select(func.count()).where(_WHEELS.c.sha256 == digest)).scalar_one())

    def tried_since(self, when: datetime) -> frozenset[Digest]:
        """Return what attempts since then built, or found built."""
        table = tables.attempts
        query = select(table.c.digest).where(table.c.started >= when, table.c.digest.is_not(None)).distinct()
        with self._database.read() as connection:
            return frozenset(connection.execute(query).scalars())

    def correct(self, filename: str, *, size: int, metadata_sha256: Digest | None) -> None:
        """Put right what a row says of its file's bytes; its page is for the caller."""
        values = {"size": size, "metadata_sha256": metadata_sha256 or ""}
        with self._database.write() as connection:
            connection.execute(update(_WHEELS).where(_WHEELS.c.filename == filename).values(values))

    def _records(self, where: ColumnElement[bool]) -> Sequence[tuple[str, WheelRecord | None]]:
        """Return the rows with their names; one by one where a row holds nonsense, which is then None."""
        try:
            with self._database.read() as connection:
                found = [read_wheel(row) for row in connection.execute(select(_WHEELS).where(where)).mappings()]
            return [(record.filename, record) for record in found]
        except _MALFORMED:
            with self._database.read() as connection:
                filenames = connection.execute(select(_WHEELS.c.filename).where(where)).scalars().all()
            return [(filename, self._one(filename)) for filename in filenames]

    def _one(self, filename: str) -> WheelRecord | None:
        try:
            with self._database.read() as connection:
                row = connection.execute(select(_WHEELS).where(_WHEELS.c.filename == filename)).mappings().one_or_none()
                return None if row is None else read_wheel(row)
        except _MALFORMED:
            return None


def _fault(filename: str, record: WheelRecord | None) -> str:
    if record is None:
        return "a version, time or list in it cannot be read"
    version = file_version(filename, record.name)
    if version != record.version:
        return f"it says {record.name} {record.version}, its file name {version or 'something else'}"
    try:
        return "" if parse_digest(record.sha256) == record.sha256 else f"{record.sha256!r} is not in lower case"
    except ValueError:
        return f"{record.sha256!r} is no sha256"
