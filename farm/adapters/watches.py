"""Watch sets in the catalogue: those that were registered, how looks at them went, what they want, and what is known of that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from farm.adapters import tables
from farm.errors import UsageError
from farm.model.watch import Look, WatchedCell, WatchSet

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection, RowMapping

    from farm.adapters.database import Database
    from farm.model.watch import CellKey, SetSeen

_WATCHES, _STATES, _WANTED, _CELLS = tables.watches, tables.watch_states, tables.wanted, tables.cells
_SOME = 500
_ROWS = 20_000
_OPTIONS = ("extras", "groups", "constraints")
_THIS_WANT = (
    (_WANTED.c.watch == bindparam("w")) & (_WANTED.c.name == bindparam("n")) & (_WANTED.c.version == bindparam("v"))
    & (_WANTED.c.target == bindparam("t"))
)  # fmt: skip
_THIS_CELL = (_CELLS.c.name == bindparam("n")) & (_CELLS.c.version == bindparam("v")) & (_CELLS.c.target == bindparam("t"))


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

    def last(self, name: str) -> tuple[WatchedCell, ...]:
        """Return what a set wanted at its last good look, with what is known of it; "unknown" where that is nothing."""
        joined = _WANTED.outerjoin(
            _CELLS,
            (_CELLS.c.name == _WANTED.c.name) & (_CELLS.c.version == _WANTED.c.version) & (_CELLS.c.target == _WANTED.c.target),
        )
        query = (
            select(_WANTED.c.name, _WANTED.c.version, _WANTED.c.target, _CELLS.c.state, _CELLS.c.reason, _CELLS.c.file)
            .select_from(joined).where(_WANTED.c.watch == name).order_by(_WANTED.c.name, _WANTED.c.version, _WANTED.c.target)
        )  # fmt: skip
        with self._database.read() as connection:
            return tuple(
                WatchedCell(
                    name=row.name, version=row.version, target=row.target, state=row.state or "unknown", reason=row.reason or "",
                    file=row.file or "",
                )
                for row in connection.execute(query)
            )  # fmt: skip

    def pins(self) -> set[tuple[str, str]]:
        """Return (name, version) of all that some set wants."""
        with self._database.read() as connection:
            return {(row.name, row.version) for row in connection.execute(select(_WANTED.c.name, _WANTED.c.version).distinct())}

    def keep(self, seen: Sequence[SetSeen]) -> None:
        """Write down how looks went, and what the sets want where that is not what was written last.

        What a set wants and its look are one transaction. Of a set that could not be read nothing else than that is written.
        """
        before = self.looks()
        batch: list[SetSeen] = []
        size = 0
        for each in seen:
            batch.append(each)
            size += 0 if _unchanged(each, before.get(each.watch.name)) else len(each.wants)
            if size > _ROWS:
                self._keep(batch, before)
                batch, size = [], 0
        self._keep(batch, before)

    def _keep(self, seen: Sequence[SetSeen], before: Mapping[str, Look]) -> None:
        if not seen:
            return
        names = [each.watch.name for each in seen]
        with self._database.write(durable=False) as connection:
            for each in seen:
                if not each.look.error and not _unchanged(each, before.get(each.watch.name)):
                    _rewrite(connection, each.watch.name, {cell.key for cell in each.wants})
            for start in range(0, len(names), _SOME):
                connection.execute(delete(_STATES).where(_STATES.c.name.in_(names[start : start + _SOME])))
            connection.execute(insert(_STATES), [_look_row(each.look) for each in seen])

    def keep_cells(self, cells: Mapping[CellKey, WatchedCell], now: datetime, *, whole: bool) -> None:
        """Write down what is known of cells, as seen `now`. `whole`: these are all that any set wants, so others go."""
        with self._database.write(durable=False) as connection:
            known = _known(connection, None if whole else {key[0] for key in cells})
            new = [cell for key, cell in cells.items() if key not in known]
            changed = [cell for key, cell in cells.items() if key in known and known[key] != (cell.state, cell.reason, cell.file)]
            if new:
                connection.execute(insert(_CELLS), [_cell_row(cell) | {"since": now, "seen": now} for cell in new])
            for moved in (True, False):
                rows = [_update_row(cell) for cell in changed if (known[cell.key][0] != cell.state) == moved]
                when = {"since": now} if moved else {}
                if rows:
                    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in ("state", "reason", "file")}
                    connection.execute(update(_CELLS).where(_THIS_CELL).values(**values, **when), rows)
            gone = [_key_row(key) for key in known if key not in cells] if whole else []
            if gone:
                connection.execute(delete(_CELLS).where(_THIS_CELL), gone)
            if whole:
                connection.execute(update(_CELLS).values(seen=now))
            elif cells:
                connection.execute(update(_CELLS).where(_THIS_CELL).values(seen=now), [_key_row(key) for key in cells])

    def forget_others(self, names: Collection[str]) -> None:
        """Remove what is known of sets that are not among these."""
        with self._database.read() as connection:
            found = {row.name for row in connection.execute(select(_STATES.c.name))}
            found |= {row.watch for row in connection.execute(select(_WANTED.c.watch).distinct())}
        lost = sorted(found - set(names))
        if lost:
            with self._database.write() as connection:
                _forget(connection, lost)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return for each set how many of the cells that it wants are in each state."""
        query = (
            select(_WANTED.c.watch, _CELLS.c.state, func.count())
            .where((_CELLS.c.name == _WANTED.c.name) & (_CELLS.c.version == _WANTED.c.version) & (_CELLS.c.target == _WANTED.c.target))
            .group_by(_WANTED.c.watch, _CELLS.c.state)
        )
        found: dict[str, dict[str, int]] = {}
        with self._database.read() as connection:
            for watch, state, count in connection.execute(query):
                found.setdefault(watch, {})[state] = count
        return found


def _unchanged(seen: SetSeen, before: Look | None) -> bool:
    return before is not None and bool(before.digest) and before.digest == seen.look.digest


def _rewrite(connection: Connection, watch: str, keys: set[CellKey]) -> None:
    query = select(_WANTED.c.name, _WANTED.c.version, _WANTED.c.target).where(_WANTED.c.watch == watch)
    known = {(row.name, row.version, row.target) for row in connection.execute(query)}
    gone, new = known - keys, keys - known
    if gone:
        connection.execute(delete(_WANTED).where(_THIS_WANT), [_key_row(key) | {"w": watch} for key in gone])
    if new:
        rows = [{"watch": watch, "name": name, "version": version, "target": target} for name, version, target in sorted(new)]
        connection.execute(insert(_WANTED), rows)


def _known(connection: Connection, names: Iterable[str] | None) -> dict[CellKey, tuple[str, str, str]]:
    query = select(_CELLS.c.name, _CELLS.c.version, _CELLS.c.target, _CELLS.c.state, _CELLS.c.reason, _CELLS.c.file)
    wanted = sorted(names) if names is not None else []
    some = [wanted[start : start + _SOME] for start in range(0, len(wanted), _SOME)]
    queries = [query] if names is None else [query.where(_CELLS.c.name.in_(part)) for part in some]
    return {tuple(row[:3]): tuple(row[3:]) for each in queries for row in connection.execute(each)}


def _forget(connection: Connection, names: Sequence[str]) -> None:
    for table, column in ((_WANTED, _WANTED.c.watch), (_STATES, _STATES.c.name)):
        for start in range(0, len(names), _SOME):
            connection.execute(delete(table).where(column.in_(names[start : start + _SOME])))


def _look_row(look: Look) -> dict[str, Any]:
    return {name: getattr(look, name) for name in ("name", "looked", "digest", "error", "pins", "seconds")}


def _cell_row(cell: WatchedCell) -> dict[str, Any]:
    return {name: getattr(cell, name) for name in ("name", "version", "target", "state", "reason", "file")}


def _update_row(cell: WatchedCell) -> dict[str, Any]:
    return {"n": cell.name, "v": cell.version, "t": cell.target, "new_state": cell.state, "new_reason": cell.reason, "new_file": cell.file}


def _key_row(key: CellKey) -> dict[str, Any]:
    return {"n": key[0], "v": key[1], "t": key[2]}


def _watch(row: RowMapping) -> WatchSet:
    options = row["options"]
    extras, groups, constraints = (tuple(options.get(name, ())) for name in _OPTIONS)
    return WatchSet(
        name=row["name"], sources=tuple(json.loads(row["source"])), targets=tuple(row["targets"]), extras=extras, groups=groups,
        constraints=constraints, default_groups=bool(options.get("default_groups", True)),
    )  # fmt: skip
