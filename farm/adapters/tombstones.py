"""Files that were taken off the index, in the catalogue: what a name was, and that it is not given away again."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select

from farm.adapters import tables
from farm.model.keeping import Tombstone
from farm.model.package import Version

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Connection, RowMapping

    from farm.adapters.database import Database
    from farm.model.package import Digest

_TABLE = tables.tombstones
_SOME = 500
_DIGESTS = select(_TABLE.c.filename, _TABLE.c.sha256).where(_TABLE.c.filename.in_(bindparam("some", expanding=True)))
_LIFT = delete(_TABLE).where(_TABLE.c.filename.in_(bindparam("some", expanding=True)))


class Tombstones:
    """Reading them. StoreError when the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, digest: Digest) -> Tombstone | None:
        """Return the newest tombstone of these bytes."""
        return next(iter(self._found(_TABLE.c.sha256 == digest, limit=1)), None)

    def between(self, low: str, high: str) -> dict[Digest, datetime]:
        """Return the digests of removed files from `low` up to `high`, each with when it was last removed."""
        found = self._found((_TABLE.c.sha256 >= low) & (_TABLE.c.sha256 < high))
        return {stone.sha256: stone.removed for stone in reversed(found)}

    def all(self) -> tuple[Tombstone, ...]:
        """Return all, the newest first."""
        return self._found(_TABLE.c.filename != "")

    def _found(self, where: ColumnElement[bool], limit: int | None = None) -> tuple[Tombstone, ...]:
        query = select(_TABLE).where(where).order_by(_TABLE.c.removed.desc(), _TABLE.c.filename).limit(limit)
        with self._database.read() as connection:
            return tuple(_tombstone(row) for row in connection.execute(query).mappings())


def digests(connection: Connection, filenames: Sequence[str]) -> dict[str, Digest]:
    """Return the digests that these names stand for ever."""
    found: dict[str, Digest] = {}
    for start in range(0, len(filenames), _SOME):
        rows = connection.execute(_DIGESTS, {"some": list(filenames[start : start + _SOME])})
        found |= {row.filename: row.sha256 for row in rows}
    return found


def lift(connection: Connection, filenames: Collection[str]) -> None:
    """Remove the tombstones of files that came back."""
    some = list(filenames)
    for start in range(0, len(some), _SOME):
        connection.execute(_LIFT, {"some": some[start : start + _SOME]})


def put(connection: Connection, stones: Sequence[Tombstone]) -> None:
    """Add tombstones, in place of older ones of the same names."""
    lift(connection, [stone.filename for stone in stones])
    if stones:
        connection.execute(insert(_TABLE), [_row(stone) for stone in stones])


def _row(stone: Tombstone) -> dict[str, Any]:
    return asdict(stone) | {"version": str(stone.version)}


def _tombstone(row: RowMapping) -> Tombstone:
    return Tombstone(**(dict(row) | {"version": Version(row["version"])}))
