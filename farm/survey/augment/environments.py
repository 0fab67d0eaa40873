"""Where a lock's packages count, and which clients a wheel is for: together they say whether the wheel belongs in the lock."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from farm.errors import UsageError
from farm.model.lock import Choice
from farm.model.package import tags_of
from farm.model.target import parse_target
from farm.survey.locks.closure import counting
from farm.survey.locks.document import Document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from packaging.tags import Tag

    from farm.model.demand import Requirement
    from farm.model.lock import Lock
    from farm.model.target import Target
    from farm.survey.locks.document import Found

Place = tuple[int, str]
"""Where a package stands in a lock: its line and name."""

_ANYWHERE = ("manylinux_2_41_x86_64", "macosx_14_0_arm64", "win_amd64")
_NEWEST = 15
_OLDEST = 8
_INTERPRETER = re.compile(r"(cp|pp|py)3(\d*)")
_CONFLICTS = re.compile(r"^conflicts\s*=", re.MULTILINE)


class LockScope:
    """Which packages of a lock count on a target, with any of its extras and groups."""

    def __init__(self, read: Callable[[Document], Found], file: str, text: str) -> None:
        """`read` is the format's reader. RequirementsError when the lock is malformed."""
        document = Document(file=file, text=text)
        found = read(document)
        choices = [Choice(extras=found.extras, groups=found.groups)]
        if _CONFLICTS.search(text):
            # Not all together are possible: each by itself, beside what counts unasked.
            choices += [Choice(), *(Choice(extras=frozenset({name})) for name in sorted(found.extras))]
            choices += [Choice(groups=frozenset({name}), default_groups=False) for name in sorted(found.groups)]
        reads = (found if choice == document.choice else read(Document(file=file, text=text, choice=choice)) for choice in choices)
        self._locks = [each.demand.locks[0] for each in reads]
        self._known: dict[str, frozenset[Place]] = {}

    @property
    def lock(self) -> Lock:
        """The lock with all extras and groups."""
        return self._locks[0]

    def places(self, target: Target) -> frozenset[Place]:
        """Return the packages that count on a target."""
        if target.full_name not in self._known:
            found = (package for lock in self._locks for package in counting(lock, target))
            self._known[target.full_name] = frozenset((package.origin.line, package.name) for package in found)
        return self._known[target.full_name]


class LineScope:
    """The same for the lines of a requirements file."""

    def __init__(self, requirements: Iterable[Requirement]) -> None:
        self._requirements = tuple(requirements)

    def places(self, target: Target) -> frozenset[Place]:
        """Return the lines whose marker holds on a target."""
        environment = {**target.markers, "extra": ""}
        return frozenset(
            (entry.origin.line, entry.name) for entry in self._requirements if entry.marker is None or entry.marker.evaluate(environment)
        )


def clients(filename: str) -> tuple[Target, ...]:
    """Return targets that take a wheel: enough of them to ask a lock's conditions of. Empty for tags of other worlds."""
    names = dict.fromkeys(name for tag in sorted(tags_of(filename), key=str) for name in _names(tag))
    return tuple(target for name in names if (target := _target(name)) is not None)


def _names(tag: Tag) -> Iterator[str]:
    match = _INTERPRETER.fullmatch(tag.interpreter)
    if match is None:
        return
    kind, minor = match[1], int(match[2]) if match[2] else _OLDEST
    platforms = _ANYWHERE if tag.platform == "any" else (_platform(tag.platform),)
    many = kind == "py" or tag.abi in {"abi3", "abi3t", "abi3.abi3t"} or (tag.abi == "none" and tag.platform == "any")
    implementation = "pp" if kind == "pp" else "cp"
    free = "t" if kind == "cp" and (tag.abi.endswith("t")) else ""
    for here in range(max(minor, _OLDEST), _NEWEST + 1) if many else (minor,):
        for platform in platforms:
            yield f"{implementation}3{here}{free}-{platform}"


def _platform(tag: str) -> str:
    return re.sub(r"_universal2$", "_arm64", tag)


def _target(name: str) -> Target | None:
    try:
        return parse_target(name)
    except UsageError:
        return None
