"""The matrix of pins and targets a page at a time, and what is missing of it: no page costs more on a larger farm."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from packaging.utils import canonicalize_name
from sqlalchemy import Select, and_, exists, func, or_, select

from farm.adapters import tables
from farm.adapters.overview_cells import ATTEMPTS_FOR, NAMES_AT_ONCE, UNDER_WAY, PinCells, newest_first, read_pins
from farm.adapters.overview_kept import KeptValue
from farm.adapters.overview_names import distinct, from_on, read_names
from farm.model.overview import Gap, GapPage, Matrix, MatrixRow, TargetTotals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Connection

    from farm.adapters.database import Database
    from farm.adapters.overview_names import Names
    from farm.model.overview import CellState, MatrixQuery

_LOOKED_AT_MOST = 2_000
# How many projects a page reads at most, and how many names it passes over, before it comes short and leaves the rest to the next.
_READ_AT_MOST = 600
_PASSED_AT_MOST = 20_000
_AT_ONCE = 1_000
_SETS_TOLD = 5
MISSING: tuple[CellState, ...] = (
    "build", "building", "failed", "timed-out", "blocked", "refused", "impossible", "hidden", "cancelled",
)  # fmt: skip
"""What is no wheel. "unknown" is not among them: an index did not answer."""


# Only the name is bare: without statistics SQLite takes an index by target or state, and goes through half of the attempts for each cell.
_SAME_PIN = and_(
    tables.attempts.c.name == tables.cells.c.name, tables.attempts.c.version.concat("") == tables.cells.c.version,
    tables.attempts.c.target.concat("") == tables.cells.c.target,
)  # fmt: skip
_OF_PIN = and_(
    tables.attempts.c.name == tables.cells.c.name, tables.attempts.c.version == tables.cells.c.version,
    tables.attempts.c.target == tables.cells.c.target,
)  # fmt: skip
_TELLS_MORE = or_(tables.cells.c.state == "build", tables.attempts.c.state.concat("").in_(("published", *UNDER_WAY)))
# Projects with a pin that was missing when a survey looked and was tried since, that no survey has looked at, or that was uploaded.
_SINCE: tuple[Select[Any], ...] = (
    select(tables.cells.c.name)
    .where(tables.cells.c.state.in_((*MISSING, "unknown")), exists().where(_SAME_PIN, _TELLS_MORE).correlate(tables.cells))
    .distinct(),
    select(tables.wheels.c.name).where(tables.wheels.c.attempt == "").distinct(),
    select(tables.attempts.c.name).where(~exists().where(_OF_PIN).correlate(tables.attempts)).distinct(),
)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page begins: with `name`, but what is not older than `version`; "" for all of its versions."""

    name: str
    version: str

    @staticmethod
    def read(after: str) -> _Place:
        name, told, version = after.partition("==")
        # "name==" is after all versions of the name.
        return _Place(f"{name}\0" if told and not version else name, version)

    def has_passed(self, pin: PinCells) -> bool:
        return bool(self.version) and pin.name == self.name and newest_first(pin.version) >= newest_first(self.version)


class _Names(NamedTuple):
    """Names that were `found`, after how many were `passed`; the `last` one that was looked at, "" where there are no more."""

    found: list[str]
    last: str
    passed: int

    @staticmethod
    def of(found: list[str], limit: int) -> _Names:
        return _Names(found, found[-1] if len(found) == limit else "", len(found))


class MatrixReader:
    """StoreError when the database fails. Safe for threads."""

    def __init__(self, database: Callable[[], Database], configured: Sequence[str], alive: Callable[[str], bool]) -> None:
        """`configured` are config.toml's targets; `alive` tells whether a run still is."""
        self._database = database
        self._configured = tuple(configured)
        self._alive = alive
        self.names = KeptValue(self._names)
        self.targets = KeptValue(self._targets)
        self.totals = KeptValue(self._totals)

    def matrix(self, query: MatrixQuery) -> Matrix:
        # Before a connection is taken: who holds one and waits for another may wait for ever.
        names, search = self.names(), canonicalize_name(query.search)
        with self._database().read() as connection:
            pins, following = self._page(connection, names, query)
            watched = self._watched(connection, query) if query.watch else None
        targets = query.targets or tuple(dict.fromkeys((*self.targets(), *(t for pin in pins for t in sorted(pin.cells)))))
        return Matrix(
            targets=targets,
            rows=tuple(_row(pin, targets) for pin in pins),
            next=following,
            projects=watched if watched is not None else sum(search in name for name in names.all),
            totals=tuple(total for total in self.totals() if total.target in targets),
        )

    def gaps(self, query: MatrixQuery) -> GapPage:
        states = tuple(state for state in MISSING if not query.states or state in query.states)
        if not states:
            return GapPage(gaps=(), next="")
        names = self.names()
        with self._database().read() as connection:
            pins, following = self._page(connection, names, replace(query, states=states))
            gaps: list[Gap] = []
            for place, pin in enumerate(pins):
                for target, cell in sorted(pin.cells.items()):
                    if cell.state in states and (not query.targets or target in query.targets):
                        wanted_by = _wanted_by(connection, (pin.name, pin.version, target))
                        gaps.append(Gap(name=pin.name, version=pin.version, cell=cell, wanted_by=wanted_by))
                if len(gaps) >= query.limit and place + 1 < len(pins):
                    following = f"{pin.name}=={pin.version}"
                    break
        return GapPage(gaps=tuple(gaps), next=following)

    def of_project(self, connection: Connection, name: str) -> list[PinCells]:
        return read_pins(connection, (name,), self._alive)

    def _page(self, connection: Connection, known: Names, query: MatrixQuery) -> tuple[list[PinCells], str]:
        """Return at most `limit` pins, and where the next page begins ("" on the last)."""
        place, found = _Place.read(query.after), list[PinCells]()
        start, read, passed = place.name, 0, 0
        following = _candidates(connection, known, query)
        while read < _READ_AT_MOST and passed < _PASSED_AT_MOST:
            names = following(start, query.limit + 1)
            pins = (pin for pin in read_pins(connection, names.found, self._alive) if not place.has_passed(pin))
            found += self._kept(connection, query, names.found, pins)
            if len(found) > query.limit:
                last = found[query.limit - 1]
                return found[: query.limit], f"{last.name}=={last.version}"
            if not names.last:
                return found, ""
            start, read, passed = f"{names.last}\0", read + len(names.found), passed + names.passed
        return found, f"{start[:-1]}=="

    @staticmethod
    def _kept(connection: Connection, query: MatrixQuery, names: Sequence[str], pins: Iterator[PinCells]) -> Iterator[PinCells]:
        wanted = None
        if query.watch:
            table = tables.wanted.c
            rows = select(table.name, table.version).where(table.watch == query.watch, table.name.in_(names)).distinct()
            wanted = {(row.name, row.version) for row in connection.execute(rows)}
        for pin in pins:
            cells = [cell for target, cell in pin.cells.items() if not query.targets or target in query.targets]
            fits = any(cell.state in query.states for cell in cells) if query.states else bool(cells) or not query.targets
            if fits and (wanted is None or (pin.name, pin.version) in wanted):
                yield pin

    def _watched(self, connection: Connection, query: MatrixQuery) -> int:
        column, search = tables.wanted.c.name, canonicalize_name(query.search)
        conditions = (tables.wanted.c.watch == query.watch, *_containing(column, search))
        return int(connection.execute(select(func.count(column.distinct())).where(*conditions)).scalar_one())

    def _names(self) -> Names:
        with self._database().read() as connection:
            return read_names(connection)

    def _targets(self) -> tuple[str, ...]:
        with self._database().read() as connection:
            found = {*distinct(connection, tables.cells.c.target), *distinct(connection, tables.attempts.c.target)}
        return tuple(dict.fromkeys((*self._configured, *sorted(found))))

    def _totals(self) -> tuple[TargetTotals, ...]:
        """Count what surveys know; one by one what wheels and attempts tell otherwise, as far as that is not too much."""
        cells = tables.cells.c
        query = select(cells.target, cells.state, func.count()).group_by(cells.target, cells.state)
        counted: dict[str, dict[str, int]] = {target: {} for target in self.targets()}
        unsurveyed = self.names().unsurveyed

        def count(target: str, state: str, number: int) -> None:
            of_target = counted.setdefault(target, {})
            of_target[state] = of_target.get(state, 0) + number
            if not of_target[state]:
                del of_target[state]

        with self._database().read() as connection:
            since = {name for told in _SINCE for name in connection.execute(told.limit(_LOOKED_AT_MOST)).scalars()}
            looked = sorted({*since, *unsurveyed})[:_LOOKED_AT_MOST]
            for target, state, number in connection.execute(query):
                count(target, state, number)
            for start in range(0, len(looked), NAMES_AT_ONCE):
                some = cells.name.in_(looked[start : start + NAMES_AT_ONCE])
                for target, state, number in connection.execute(query.where(some)):
                    count(target, state, -number)
            for pin in read_pins(connection, looked, self._alive):
                for target, cell in pin.cells.items():
                    count(target, cell.state, 1)
        return tuple(TargetTotals(target=target, states=states) for target, states in counted.items())


def _candidates(connection: Connection, known: Names, query: MatrixQuery) -> Callable[[str, int], _Names]:
    """Return what gives the next names, from one on and at most so many, of projects that may have rows to show."""
    search = canonicalize_name(query.search)

    def of_these(names: Sequence[str]) -> Callable[[str, int], _Names]:
        return lambda start, limit: _Names.of(from_on(names, start, search, limit), limit)

    if query.watch:
        wanted = tables.wanted.c
        conditions = (wanted.watch == query.watch, *_containing(wanted.name, search))
        return lambda start, limit: _Names.of(_names(connection, wanted.name, conditions, (start, limit)), limit)
    if not query.states:
        return of_these(known.all)
    if search:
        found = from_on(known.all, "", search, _READ_AT_MOST + 1)
        if len(found) <= _READ_AT_MOST:
            return of_these(found)

    def in_states(start: str, limit: int) -> _Names:
        # Passed over by the thousand here, where the database would go through all of a state for a name that is none of it.
        at_once = _AT_ONCE if search else limit
        passed = list(islice(_once(heapq.merge(*_in_states(connection, known, query, (start, at_once)))), at_once))
        fit = [name for name in passed if search in name]
        if len(fit) > limit:
            return _Names(fit[:limit], fit[limit - 1], len(passed))
        return _Names(fit, passed[-1] if len(passed) == at_once else "", len(passed))

    return in_states


def _in_states(connection: Connection, known: Names, query: MatrixQuery, page: tuple[str, int]) -> Iterator[list[str]]:
    """Yield sorted names, of each place that may tell of one of the states: each is a walk along an index."""
    cells, attempts = tables.cells.c, tables.attempts.c
    tried = sorted({state for asked in query.states for state in ATTEMPTS_FOR.get(asked, ())})
    for columns, states in ((cells, query.states), (attempts, tried)):
        for state in states:
            for target in query.targets or ("",):
                conditions = (columns.state == state, *((columns.target == target,) if target else ()))
                yield _names(connection, columns.name, conditions, page)
    if "farm-wheel" in query.states:
        yield from_on(known.wheels, page[0], "", page[1])


def set_totals(connection: Connection, watch: str) -> tuple[TargetTotals, ...]:
    """Return how the pins of a set stand, by its targets."""
    wanted, cells = tables.wanted.c, tables.cells.c
    same = and_(wanted.name == cells.name, wanted.version == cells.version, wanted.target == cells.target)
    query = (
        select(wanted.target, cells.state, func.count())
        .select_from(tables.wanted.outerjoin(tables.cells, same))
        .where(wanted.watch == watch)
        .group_by(wanted.target, cells.state)
    )
    counted: dict[str, dict[str, int]] = {}
    for target, state, count in connection.execute(query):
        counted.setdefault(target, {})[state or "unknown"] = count
    return tuple(TargetTotals(target=target, states=states) for target, states in sorted(counted.items()))


def _row(pin: PinCells, targets: Sequence[str]) -> MatrixRow:
    return MatrixRow(name=pin.name, version=pin.version, cells=tuple(pin.cells.get(target) for target in targets))


def _names(
    connection: Connection, column: ColumnElement[str], conditions: tuple[ColumnElement[bool], ...], page: tuple[str, int]
) -> list[str]:
    start, limit = page
    query: Select[Any] = select(column).where(*conditions, column >= start).distinct()
    return list(connection.execute(query.order_by(column).limit(limit)).scalars())


def _containing(column: ColumnElement[str], search: str) -> tuple[ColumnElement[bool], ...]:
    return (column.contains(search, autoescape=True),) if search else ()


def _once(names: Iterator[str]) -> Iterator[str]:
    last = None
    for name in names:
        if name != last:
            yield name
        last = name


def _wanted_by(connection: Connection, cell: tuple[str, str, str]) -> tuple[str, ...]:
    wanted = tables.wanted.c
    name, version, target = cell
    query = select(wanted.watch).where(wanted.name == name, wanted.version == version, wanted.target == target)
    return tuple(connection.execute(query.limit(_SETS_TOLD)).scalars())
