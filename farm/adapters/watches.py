"""Watch sets in the catalogue: those that were registered, how looks at them went, what they want, and what is known of that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from farm.adapters import tables
from farm.errors import UsageError
from farm.model.watch import Look, WatchedCell, WatchSet

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from datetime import datetime

    from sqlalchemy.engine import Connection, RowMapping

    from farm.adapters.database import Database
    from farm.model.watch import CellKey

_WATCHES, _STATES, _WANTED, _CELLS = tables.watches, tables.watch_states, tables.wanted, tables.cells
_SOME = 5_000
_OPTIONS = ("extras", "groups", "constraints")


class Watches:
    """StoreError when the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, watch: WatchSet, now: datetime) -> None:
        """Register a set. UsageError when there is one of its name."""
        options = {name: list(getattr(watch, name)) for name in _OPTIONS} | {"default_groups": watch.default_groups}
        row = {"name": watch.name, "source": json.dumps(watch.sources), "targets": list(watch.targets), "options": options, "created": now}
        with self._database.write() as connection:
            if connection.execute(select(_WATCHES.c.name).where(_WATCHES.c.name == watch.name)).first() is not None:
                raise UsageError(
                    f"{watch.name}: expected a name that is free, found a watch set that has it",
                    solution=f"choose another one with --name, or `farm watch remove {watch.name}` first",
                )
            connection.execute(insert(_WATCHES), [row])

    def remove(self, name: str) -> bool:
        """Remove a registered set with all that is known of it; False when there is none."""
        with self._database.write() as connection:
            found = connection.execute(delete(_WATCHES).where(_WATCHES.c.name == name)).rowcount
            if found:
                _forget(connection, (name,))
        return bool(found)

    def registered(self) -> tuple[WatchSet, ...]:
        """Return the registered sets by name."""
        with self._database.read() as connection:
            rows = connection.execute(select(_WATCHES).order_by(_WATCHES.c.name)).mappings()
            return tuple(_watch(row) for row in rows)

    def looks(self) -> dict[str, Look]:
        """Return the last look at each set, by the set's name."""
        with self._database.read() as connection:
            return {row["name"]: Look(**row) for row in connection.execute(select(_STATES)).mappings()}
