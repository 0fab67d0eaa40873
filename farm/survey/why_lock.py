"""Which file a client takes that installs from a lock: of those that the lock names by hash, and of no others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from farm.errors import UpstreamError
from farm.model.client import Client
from farm.model.gap import Unresolved
from farm.survey.locks.cells import Pages
from farm.survey.locks.closure import select
from farm.survey.why import Answer, Out, answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from farm.model.lock import Lock, LockedPackage
    from farm.model.package import IndexFile, Pin, Project
    from farm.survey.why import Listing, Question, Where

    AskPages = Callable[[], tuple[Project | None, Project | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """What a lock has of the project that is asked about."""

    pin: Pin
    package: LockedPackage
    files: tuple[IndexFile, ...]

    @property
    def settled(self) -> bool:
        """True when the client takes the files from the lock's own URLs, and asks no index."""
        return bool(self.files) and all(file.url and file.sha256 for file in self.files)


def why_locked(question: Question, lock: Lock, ask: AskPages) -> Answer:
    """Return what a client takes that installs from `lock`. uv.lock is installed by uv, whichever client was asked about.

    `ask` returns upstream's and the farm's pages; its UpstreamError is passed on where only these can tell.
    """
    empty = Answer(view="lock", source=lock.source.file, chosen=None)
    entry = _entry(question, lock)
    if isinstance(entry, str):
        return replace(empty, note=entry)
    empty, origin = replace(empty, source=str(entry.package.origin)), entry.package.origin
    if not question.specifier.contains(entry.pin.version, prereleases=True):
        return replace(empty, note=f"{origin} has {entry.pin}, which is not {question.specifier}")
    if entry.package.direct is not None and not entry.files:
        return replace(empty, note=f"{origin} takes it from {entry.package.direct}, not from an index")
    client = Client(name="uv") if lock.kind == "uv.lock" else question.client
    # The lock's hashes decide below; and a version that is locked may be a pre-release or yanked.
    asked = replace(question, client=client, specifier=SpecifierSet(f"=={entry.pin.version}"), hashes=None)
    listing, others, note = _listing(entry, ask)
    found = answer("lock", asked, listing)
    out = tuple(Out(file=file, where=where, reason=f"{origin} does not name it") for where, file in others)
    return replace(found, source=str(origin), out=(*found.out, *out), note="; ".join(filter(None, (found.note, note))))


def _entry(question: Question, lock: Lock) -> _Entry | str:
    """Return what the lock has, or in words why it has nothing for this target."""
    selected = select(lock, question.target)
    if isinstance(selected, Unresolved):
        return selected.explanation
    found = next(((pin, package) for pin, package in selected.packages.items() if pin.name == question.name), None)
    if found is None:
        known = any(package.name == question.name for package in lock.packages)
        elsewhere = ": it has it only for other targets, extras or groups" if known else ""
        return f"{lock.source.file} installs no {question.name} for {question.target}{elsewhere}"
    pin, package = found
    return _Entry(pin=pin, package=package, files=Pages().page(pin, package).files)


def _listing(entry: _Entry, ask: AskPages) -> tuple[Listing, Listing, str]:
    """Return the files that the client chooses from, those of that version which the lock does not name, and a note."""
    try:
        pages = ask()
    except UpstreamError as error:
        if not entry.settled:
            raise
        own: Listing = [("lock", file) for file in entry.files]
        return own, [], f"what the lock does not name is not told: {error.reason}"
    sides: tuple[Where, Where] = ("upstream", "farm")
    theirs: Listing = [
        (where, file) for where, page in zip(sides, pages, strict=True) if page for file in page.of(entry.pin.version)
    ]
    named = entry.package.hashes
    others = [(where, file) for where, file in theirs if named and file.sha256 is not None and file.sha256 not in named]
    if entry.settled:
        return [("lock", file) for file in entry.files], others, ""
    listing = [one for one in theirs if one not in others]
    return listing, others, "" if listing else f"no index has a file that {entry.package.origin} names"
