"""The farm's wheels that upstream has come up with, or has no more, since the last night."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farm.errors import UpstreamError
from farm.model.demand import IndexOptions
from farm.model.night import Item, Retirement
from farm.survey.retire import heir

if TYPE_CHECKING:
    from collections.abc import Iterable

    from farm.model.attempt import WheelRecord
    from farm.model.watch import Watched
    from farm.wire.assembly import Farm

_THEIRS = frozenset({"upstream-wheel", "pure-fallback"})


def retire(farm: Farm, watched: Watched, *, dry_run: bool) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """Record and return what is retired now, and for what that is over. An index that does not answer changes nothing."""
    book = farm.records.retirements
    wheels = book.built([*{cell.name for cell in watched.cells.values()}])
    known = book.of([wheel.filename for wheel in wheels])
    new: list[tuple[WheelRecord, str]] = []
    over: list[WheelRecord] = []
    for wheel in wheels:
        retired = wheel.filename in known
        if not (retired or _served(wheel, watched)):
            continue
        try:
            found = heir(wheel, farm.reading(IndexOptions()).upstream.project(wheel.name))
        except UpstreamError:
            continue
        if found and not retired:
            new.append((wheel, found))
        elif retired and not found:
            over.append(wheel)
    if not dry_run and (new or over):
        now = farm.clock.now()
        book.keep(
            (Retirement(filename=wheel.filename, upstream=upstream, retired=now) for wheel, upstream in new),
            [wheel.filename for wheel in over],
        )
    back = [(wheel, f"upstream had {known[wheel.filename].upstream}") for wheel in over]
    return _items((wheel, f"upstream has {upstream}") for wheel, upstream in new), _items(back)


def _served(wheel: WheelRecord, watched: Watched) -> bool:
    cells = (watched.cells.get((str(wheel.name), str(wheel.version), target)) for target in wheel.targets)
    return any(cell is not None and cell.state in _THEIRS for cell in cells)


def _items(found: Iterable[tuple[WheelRecord, str]]) -> tuple[Item, ...]:
    return tuple(
        Item(name=str(wheel.name), version=str(wheel.version), target=", ".join(wheel.targets), file=wheel.filename, reason=why)
        for wheel, why in found
    )
