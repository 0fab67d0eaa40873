"""What is known of pins: surveys' cells, and over them what wheels and attempts tell since, or instead where nothing was surveyed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version
from sqlalchemy import select

from farm.adapters import tables
from farm.model.overview import Cell
from farm.model.report import THERE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import Select
    from sqlalchemy.engine import Connection, Row

    from farm.model.overview import CellState

NAMES_AT_ONCE = 400
_OF_ATTEMPTS: Mapping[str, CellState] = {
    "published": "built", "failed": "failed", "rejected": "failed", "skipped": "failed", "timed-out": "timed-out",
    "interrupted": "cancelled",
}  # fmt: skip
UNDER_WAY = ("building", "built", "proven")
"""States of attempts that end soon, as long as their run is alive."""

# What attempts and wheels may make of a cell, by the state that is asked for.
ATTEMPTS_FOR: Mapping[str, tuple[str, ...]] = {
    "building": UNDER_WAY, "failed": ("failed", "rejected", "skipped"), "timed-out": ("timed-out",), "built": ("published",),
    "cancelled": ("interrupted", *UNDER_WAY),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PinCells:
    """A pin, and what is known of it by target."""

    name: str
    version: str
    cells: Mapping[str, Cell]


def newest_first(version: str) -> tuple[bool, Version | str]:
    """Sort versions by this, reversed. What is no version (PEP 440) comes last."""
    try:
        return True, Version(version)
    except InvalidVersion:
        return False, version


def read_pins(connection: Connection, names: Sequence[str], alive: Callable[[str], bool]) -> list[PinCells]:
    """Return all that is known of these projects, in their order, then the newest version first."""
    surveyed: dict[tuple[str, str], dict[str, Row[Any]]] = {}
    made: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}
    tried: dict[tuple[str, str], dict[str, Row[Any]]] = {}
    for start in range(0, len(names), NAMES_AT_ONCE):
        some = names[start : start + NAMES_AT_ONCE]
        for row in connection.execute(_CELLS.where(tables.cells.c.name.in_(some))):
            surveyed.setdefault((row.name, row.version), {})[row.target] = row
        for row in connection.execute(_WHEELS.where(tables.wheels.c.name.in_(some))):
            targets = made.setdefault((row.name, row.version), {})
            targets.update(dict.fromkeys(row.targets, (row.filename, row.attempt)))
        for row in connection.execute(_ATTEMPTS.where(tables.attempts.c.name.in_(some)).order_by(tables.attempts.c.id)):
            # The last one stays.
            tried.setdefault((row.name, row.version), {})[row.target] = row
    versions: dict[str, list[str]] = {name: [] for name in names}
    for name, version in dict.fromkeys((*surveyed, *made, *tried)):
        versions[name].append(version)
    return [
        PinCells(name, version, _joined((surveyed.get(pin, {}), made.get(pin, {}), tried.get(pin, {})), alive))
        for name in names
        for version in sorted(versions[name], key=newest_first, reverse=True)
        for pin in [(name, version)]
    ]


_CELLS: Select[Any] = select(
    tables.cells.c.name, tables.cells.c.version, tables.cells.c.target, tables.cells.c.state, tables.cells.c.reason, tables.cells.c.file,
    tables.cells.c.since,
)  # fmt: skip
_WHEELS: Select[Any] = select(
    tables.wheels.c.name, tables.wheels.c.version, tables.wheels.c.filename, tables.wheels.c.attempt, tables.wheels.c.targets
).order_by(tables.wheels.c.filename)
_ATTEMPTS: Select[Any] = select(
    tables.attempts.c.id, tables.attempts.c.run, tables.attempts.c.name, tables.attempts.c.version, tables.attempts.c.target,
    tables.attempts.c.state, tables.attempts.c.summary, tables.attempts.c.wheel,
)  # fmt: skip

_Known = tuple["Mapping[str, Row[Any]]", "Mapping[str, tuple[str, str]]", "Mapping[str, Row[Any]]"]


def _joined(known: _Known, alive: Callable[[str], bool]) -> dict[str, Cell]:
    surveyed, made, tried = known
    targets: Iterable[str] = dict.fromkeys((*surveyed, *made, *tried))
    return {target: _cell(target, (surveyed.get(target), made.get(target), tried.get(target)), alive) for target in targets}


def _cell(target: str, known: tuple[Row[Any] | None, tuple[str, str] | None, Row[Any] | None], alive: Callable[[str], bool]) -> Cell:
    surveyed, made, tried = known
    build = tried.id if tried is not None else ""
    if tried is not None and tried.state in UNDER_WAY and alive(tried.run):
        return Cell(target=target, state="building", build=build)
    if surveyed is not None and (surveyed.state in THERE or made is None):
        after = _OF_ATTEMPTS.get(tried.state) if tried is not None and surveyed.state == "build" else None
        if tried is not None and after in {"failed", "timed-out"}:
            return Cell(target=target, state=after, reason=tried.summary, build=build, since=surveyed.since)
        return Cell(
            target=target, state=surveyed.state, reason=surveyed.reason, file=surveyed.file, build=build, since=surveyed.since
        )
    if made is not None:
        return Cell(target=target, state="farm-wheel", file=made[0], build=made[1] or build)
    assert tried is not None, "one of the three brought the target"
    state = _OF_ATTEMPTS.get(tried.state, "cancelled")
    return Cell(target=target, state=state, reason=tried.summary, file=tried.wheel if state == "built" else "", build=build)
