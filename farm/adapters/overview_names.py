"""Which projects the catalogue knows, and where: by skips through its indexes, never by reading a table."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from farm.adapters import tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection
    from sqlalchemy.sql.elements import ColumnElement


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Sorted names: of all projects, of those with files, and of those that no survey has looked at."""

    all: tuple[str, ...] = ()
    wheels: tuple[str, ...] = ()
    unsurveyed: tuple[str, ...] = ()


def read_names(connection: Connection) -> Names:
    cells = set(distinct(connection, tables.cells.c.name))
    wheels = distinct(connection, tables.wheels.c.name)
    others = {*wheels, *distinct(connection, tables.attempts.c.name)}
    return Names(all=tuple(sorted(cells | others)), wheels=tuple(wheels), unsurveyed=tuple(sorted(others - cells)))


def distinct(connection: Connection, column: ColumnElement[Any]) -> list[str]:
    """Return a column's different values, sorted: a seek for each, where an index begins with it. Databases do not think of it."""
    found = select(func.min(column).label("value")).cte("found", recursive=True)
    following = select(func.min(column)).where(column > found.c.value).correlate(found).scalar_subquery()
    found = found.union_all(select(following).where(found.c.value.is_not(None)))
    query = select(found.c.value).where(found.c.value.is_not(None))
    return list(connection.execute(query).scalars())


def from_on(names: Sequence[str], start: str, search: str, limit: int) -> list[str]:
    """Return the first `limit` names that are not before `start` and contain `search`."""
    found: list[str] = []
    for place in range(bisect_left(names, start), len(names)):
        if search in names[place]:
            found.append(names[place])
            if len(found) == limit:
                break
    return found
