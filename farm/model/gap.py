"""What is there and what is missing: one cell for each pin and target. Unknown is never missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from farm.model.direct import Direct, Unsettled
    from farm.model.package import IndexFile, NormalizedName, Pin, Version
    from farm.model.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedPin:
    """A pin of one target's resolution. `via` are the names, or "FILE:LINE" origins, that ask for it."""

    pin: Pin
    via: tuple[str, ...]
    dependencies: tuple[NormalizedName, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The pins that one target needs, sorted by name; edges are the `dependencies` of each."""

    target: Target
    pins: tuple[ResolvedPin, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unresolved:
    """The requirements have no solution for this target; `explanation` is the resolver's own, several lines."""

    target: Target
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """A wheel that this target's client takes is on the index. `note` says what is worth knowing of it ("pure fallback")."""

    file: IndexFile
    where: Literal["upstream", "farm"]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """No wheel fits, and `sdist` could be built. `reason`: "sdist only", "wheels for cp311-cp313, target cp314"."""

    reason: str
    sdist: IndexFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Impossible:
    """No wheel fits and nothing can be built: no sdist, or the user forbade building."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """The index did not answer; nothing may be concluded."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """The wheel is there, but this client's `pip` knows none of its tags that fit; `needs` is the oldest pip that does.

    Nothing is built for it: a wheel of the farm's own would carry tags that this pip does not know either.
    """

    file: IndexFile
    where: Literal["upstream", "farm"]
    pip: Version
    needs: Version

    @property
    def reason(self) -> str:
        return f"present, pip {self.pip} cannot see it: needs >= {self.needs}"


Presence = Present | Hidden | Missing | Impossible | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One pin for one target. `locked`: only locks ask for it, so it was not resolved and will not be.

    `direct` tells where it is from when that is no index.
    """

    pin: Pin
    target: Target
    presence: Presence
    via: tuple[str, ...]
    dependencies: tuple[NormalizedName, ...]
    locked: bool = False
    direct: Direct | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """The survey's answer: every cell of every resolved target, and the targets that could not be resolved.

    `unsettled` are the direct references of which nothing more is known; they have no cells.
    """

    targets: tuple[Target, ...]
    cells: tuple[Cell, ...]
    unresolved: tuple[Unresolved, ...]
    unsettled: tuple[Unsettled, ...] = ()

    def of(self, target: Target) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if cell.target == target)
