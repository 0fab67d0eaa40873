"""Farm wheels beside upstream's files in a lock, and out again. What is in the lock besides is not touched by a single byte."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from farm.errors import FarmError
from farm.model.package import parse_wheel_name
from farm.model.shelf import Augmented, Change, Lacking, PassedOver, Shelf
from farm.survey.augment.edits import Edit, apply
from farm.survey.augment.environments import clients
from farm.survey.augment.lockfile import TITLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from farm.model.lock import LockedPackage
    from farm.model.shelf import FarmWheel
    from farm.model.target import Target
    from farm.survey.augment.lockfile import LockFile
    from farm.survey.augment.slots import Entry, Slot

_FARM_URL = re.compile(r"(.*/)files/([0-9a-f]{2})/([0-9a-f]{62})/[^/]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One lock file, and what is to be done with it. `targets` are those of which it is told what they lack."""

    lock: LockFile
    mode: Literal["add", "strip"]
    shelf: Shelf
    targets: tuple[Target, ...] = ()


@dataclass(slots=True)
class _Plan:
    """What is to be done, slot by slot."""

    stale: list[list[int]] = field(default_factory=list)
    missing: list[list[FarmWheel]] = field(default_factory=list)
    kept: list[list[FarmWheel]] = field(default_factory=list)
    """Farm wheels that are in the lock afterwards."""
    changes: list[Change] = field(default_factory=list)
    passed_over: list[PassedOver] = field(default_factory=list)


def augment(request: Request) -> Augmented:
    """Return the lock with what the farm has for it, or without anything of the farm.

    What came from this farm and is no longer what it has is replaced. FarmError when the result would not be reversible,
    and then nothing is changed.
    """
    lock, plan = request.lock, _Plan()
    for package, slot in lock.rows:
        _plan_row(plan, _Row(lock=lock, package=package, slot=slot), request)
    text = lock.text
    if plan.changes:
        text = _applied(lock, plan)
        _prove(lock, text, request.shelf)
    return Augmented(
        file=lock.file,
        kind=TITLES[lock.kind],
        text=lock.mark + text,
        changes=tuple(plan.changes),
        passed_over=tuple(plan.passed_over),
        lacking=tuple(_lacking(lock, plan, request.targets)) if request.mode == "add" else (),
        remarks=lock.remarks,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    lock: LockFile
    package: LockedPackage
    slot: Slot


def _plan_row(plan: _Plan, row: _Row, request: Request) -> None:
    wanted = list(_wanted(plan, row, request)) if request.mode == "add" else []
    by_digest: dict[str, FarmWheel] = {wheel.sha256: wheel for wheel in wanted}
    stale: list[int] = []
    there: set[str] = set()
    for index, entry in enumerate(row.slot.entries):
        if is_own(entry, row.lock, request.shelf) and (entry.sha256 in there or not _current(entry, by_digest, row, request)):
            stale.append(index)
        elif entry.sha256:
            there.add(entry.sha256)
    missing = [wheel for wheel in wanted if wheel.sha256 not in there]
    plan.stale.append(stale)
    plan.missing.append(missing)
    plan.kept.append(wanted)
    plan.changes += [_change("remove", row, row.slot.entries[i].filename, row.slot.entries[i].sha256) for i in stale]
    plan.changes += [_change("add", row, wheel.filename, wheel.sha256) for wheel in missing]


def _current(entry: Entry, wanted: Mapping[str, FarmWheel], row: _Row, request: Request) -> bool:
    """Tell whether a farm's file in a lock may stay as it is."""
    wheel = wanted.get(entry.sha256)
    if wheel is not None:
        return not row.lock.urls or entry.url == wheel.url
    shelf = request.shelf
    return request.mode == "add" and entry.sha256 in shelf.kept and entry.url.startswith(shelf.base)


def standing(lock: LockFile, base: str) -> Iterator[Entry]:
    """Yield the files of the farm at `base` that a lock has, as far as their URLs tell them."""
    shelf = Shelf(base=base)
    if lock.urls:
        yield from (entry for _, slot in lock.rows for entry in slot.entries if is_own(entry, lock, shelf))


def _change(kind: Literal["add", "remove"], row: _Row, filename: str, sha256: str) -> Change:
    package = row.package
    assert package.version is not None
    return Change(
        kind=kind, name=package.name, version=package.version, line=package.origin.line, filename=filename, sha256=sha256
    )


def is_own(entry: Entry, lock: LockFile, shelf: Shelf) -> bool:
    """Tell whether a file in a lock is this farm's.

    Where there are URLs, by the farm's form of them, whose path is the digest itself: also when the wheel has been collected
    since, or the farm has moved. Else by the digests that the farm knows.
    """
    if not lock.urls:
        return entry.sha256 in shelf.digests
    found = _FARM_URL.fullmatch(entry.url)
    if found is None or found[2] + found[3] != entry.sha256:
        return False
    return not shelf.base or found[1] == shelf.base or entry.sha256 in shelf.digests


def _wanted(plan: _Plan, row: _Row, request: Request) -> Iterator[FarmWheel]:
    """Yield the farm's wheels that belong into a row; the others are noted with the reason."""
    package = row.package
    if package.version is None or package.member:
        return
    offered = [wheel for wheel in request.shelf.wheels.get(package.name, ()) if wheel.version == package.version]
    for wheel in sorted(offered, key=lambda wheel: wheel.filename):
        reason = row.slot.closed or _objection(wheel, row, request.shelf)
        if reason:
            plan.passed_over.append(PassedOver(filename=wheel.filename, line=package.origin.line, reason=reason))
        else:
            yield wheel


def _objection(wheel: FarmWheel, row: _Row, shelf: Shelf) -> str:
    package, lock = row.package, row.lock
    if wheel.sdist_sha256 is None:
        return "the farm does not tell which sdist it was built from"
    if wheel.sdist_sha256 not in package.hashes:
        return f"it was built from an sdist with sha256 {wheel.sdist_sha256}, which the lock does not name"
    if any(_same_name(entry, wheel) and not is_own(entry, lock, shelf) for entry in row.slot.entries):
        return "the lock lists another file of that name"
    place = (package.origin.line, package.name)
    takers = clients(wheel.filename)
    if takers and not any(place in lock.scope.places(target) for target in takers):
        return "the lock's Pythons and markers leave out the environments that it is for"
    return ""


def _same_name(entry: Entry, wheel: FarmWheel) -> bool:
    return entry.filename == wheel.filename and entry.sha256 != wheel.sha256


def _applied(lock: LockFile, plan: _Plan) -> str:
    text = apply(lock.text, _removals(lock.slots, plan.stale))
    if not any(plan.missing):
        return text
    slots = lock.reread(text) if any(plan.stale) else lock.slots
    return apply(text, [edit for slot, some in zip(slots, plan.missing, strict=True) if some for edit in slot.add(some)])


def _removals(slots: Iterable[Slot], indices: Iterable[Sequence[int]]) -> list[Edit]:
    return [edit for slot, some in zip(slots, indices, strict=True) if some for edit in slot.remove(some)]


def _prove(lock: LockFile, text: str, shelf: Shelf) -> None:
    """Take the farm out of the old and the new text: the two must be the same, or the edit went wrong."""
    if _stripped(lock, text, lock.reread(text), shelf) != _stripped(lock, lock.text, lock.slots, shelf):
        raise FarmError(
            f"{lock.file}: expected an edit that can be undone to the byte, found one that cannot; nothing was changed",
            solution="report it with the lock; until then make the lock against the farm's index",
        )


def _stripped(lock: LockFile, text: str, slots: Sequence[Slot], shelf: Shelf) -> str:
    own = [[i for i, entry in enumerate(slot.entries) if is_own(entry, lock, shelf)] for slot in slots]
    return apply(text, _removals(slots, own))


def _lacking(lock: LockFile, plan: _Plan, targets: Iterable[Target]) -> Iterator[Lacking]:
    for target in targets:
        places = lock.scope.places(target)
        pins = [
            f"{package.name}=={package.version}"
            for (package, slot), wheels in zip(lock.rows, plan.kept, strict=True)
            if (package.origin.line, package.name) in places
            and not slot.closed
            and not any(_fits(name, target) for name in (*(e.filename for e in slot.entries), *(w.filename for w in wheels)))
        ]
        if pins:
            yield Lacking(target=target.name, pins=tuple(dict.fromkeys(pins)), certain=lock.named)


def _fits(filename: str, target: Target) -> bool:
    wheel = parse_wheel_name(filename) if filename.endswith(".whl") else None
    return wheel is not None and target.rank(wheel.tags) is not None
