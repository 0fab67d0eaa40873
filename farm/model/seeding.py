"""Pip's wheel cache and the farm: which pips were tried, and what became of each requirement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from packaging.version import Version

from farm.errors import UsageError

if TYPE_CHECKING:
    from typing import Final

TESTED: Final[dict[str, str]] = {
    "23.1": "23.1.2", "23.2": "23.2.1", "23.3": "23.3.2",
    "24.0": "24.0", "24.1": "24.1.2", "24.2": "24.2", "24.3": "24.3.1",
    "25.0": "25.0.1", "25.1": "25.1.1", "25.2": "25.2", "25.3": "25.3",
    "26.0": "26.0.1", "26.1": "26.1.2", "26.2": "26.2.1", "26.3": "26.3",
}  # fmt: skip
"""Each series of pip whose cache was seeded and installed from, and the release that it was tried with (tests/functional)."""

State = Literal[
    "seeded",
    "there",
    "own-build",
    "wheel",
    "not-here",
    "no-farm-wheel",
    "other-sdist",
    "unhashed",
    "direct",
    "none",
    "unknown",
]
GOOD: frozenset[State] = frozenset({"seeded", "there", "own-build", "wheel", "not-here"})
"""States in which pip compiles nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """What became of one requirement.

    `asked` is the requirement as written, `sdist` the file that pip would compile, `wheel` the farm's that takes its place,
    `folder` that entry of pip's cache; each "" where there is none.
    """

    name: str
    asked: str
    state: State
    version: str = ""
    sdist: str = ""
    wheel: str = ""
    folder: str = ""
    note: str = ""


def check_pip(version: str) -> Version:
    """Return a pip's version when its cache's form is known. UsageError for all others, naming those that are."""
    found = Version(version)
    if f"{found.major}.{found.minor}" in TESTED:
        return found
    first, *_, last = TESTED
    older = found < Version(first)
    why = "it keeps no origin.json, which hash checking needs" if older else "its cache may have another form"
    raise UsageError(
        f"pip {version}: expected pip {first} to {last}, whose wheel cache farm was tested with; {why}",
        solution=f"give --python an interpreter with such a pip (`python -m pip install 'pip>={first},<={last}.99'`), or add the"
        " farm's hashes to the lock instead",
    )
