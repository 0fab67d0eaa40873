"""Campaigns: bringing all that the watched sets want to one further target, a new Python above all, newest releases first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

    from farm.model.package import NormalizedName, Version

Versions = Literal["newest", "pinned", "both"]
VERSIONS: tuple[Versions, ...] = ("newest", "pinned", "both")
GoalState = Literal["upstream", "farm", "build", "failed", "waiting", "skipped", "impossible", "unknown"]
"""There upstream or on the farm; to be built; could not be; waits for the newest release; skipped as that failed; cannot be; not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """`versions`: of each project the newest release that admits the target's Python, those that sets pin, or both."""

    name: str
    target: str
    versions: Versions
    created: datetime
    closed: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A project that watched sets want: the versions of it that they pin, and by how many sets it is wanted."""

    name: NormalizedName
    versions: tuple[Version, ...]
    sets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One version of one project that a campaign wants for its target, and where that stands.

    `version` is None where no release admits the target's Python, or the index did not answer. `attempt_state` and `cause` are the
    last attempt's. `expected_s` is what its build is expected to take by past builds; None without any, or where none is due.
    """

    name: NormalizedName
    version: Version | None
    newest: bool
    sets: int
    state: GoalState
    reason: str = ""
    cause: str = ""
    expected_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A campaign and where it stands: goals by project, most wanted first, of each the newest version first."""

    campaign: Campaign
    goals: tuple[Goal, ...]
    side_by_side: int

    def count(self, *states: GoalState) -> int:
        return sum(goal.state in states for goal in self.goals)

    @property
    def failing(self) -> tuple[tuple[str, int], ...]:
        """Return how many failed by cause, the most frequent first."""
        found: dict[str, int] = {}
        for goal in self.goals:
            if goal.state == "failed":
                found[goal.cause or "unknown"] = found.get(goal.cause or "unknown", 0) + 1
        return tuple(sorted(found.items(), key=lambda entry: (-entry[1], entry[0])))

    @property
    def left(self) -> tuple[Goal, ...]:
        """Return what has still to be built, now or later."""
        return tuple(goal for goal in self.goals if goal.state in {"build", "waiting"})

    @property
    def known(self) -> int:
        """Of `left`, how many have a past to go by."""
        return sum(goal.expected_s is not None for goal in self.left)

    @property
    def predicted_s(self) -> float:
        """The wall time of what is left as far as it is known: the longest build, or an equal share for each builder."""
        seconds = [goal.expected_s for goal in self.left if goal.expected_s is not None]
        return max(max(seconds, default=0.0), sum(seconds) / max(self.side_by_side, 1))
