"""What a farm tells of itself in numbers: builds, queue, disk, last night. Read off the catalogue, rendered as metrics."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

BUCKETS_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14400.0)
"""The upper bounds of the histogram of build times, in seconds; a last one without a bound comes after them."""


@dataclass(slots=True)
class Durations:
    """A histogram of build times: how many fell into each bucket (not cumulative), and the sum of all, in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.total += seconds

    def cumulated(self) -> tuple[tuple[str, int], ...]:
        """Return (upper bound, how many were at most that long), as Prometheus has histograms."""
        bounds = (*(str(bound) for bound in BUCKETS_S), "+Inf")
        return tuple((bound, sum(self.counts[: place + 1])) for place, bound in enumerate(bounds))


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFigures:
    """Builds that have ended since the store was made, by (outcome, cause); how long those took that ran, by outcome; how many run."""

    ended: tuple[tuple[str, str, int], ...] = ()
    durations: tuple[tuple[str, Durations], ...] = ()
    running: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """A nightly run. `exit_code`, `built` and `failed` are what it reported; None as long as it has not."""

    started: datetime
    ended: datetime | None
    state: str
    exit_code: int | None = None
    built: int | None = None
    failed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """What is cheap to ask: builds, the jobs of running runs by state, the last night, and the last one that has ended."""

    builds: BuildFigures = field(default_factory=BuildFigures)
    queue: tuple[tuple[str, int], ...] = ()
    night: Night | None = None
    last_night: Night | None = None
    open_campaigns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What takes a look at everything: files on the index with their bytes, wanted wheels by state, bytes on the disk by part."""

    wheels: int = 0
    wheel_bytes: int = 0
    retired: int = 0
    watches: int = 0
    broken_watches: int = 0
    wanted: tuple[tuple[str, int], ...] = ()
    parts: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All of it. None where it could not be read, or not yet. `free` and `size` are bytes of the store's file system."""

    recent: Recent | None = None
    holdings: Holdings | None = None
    free: int | None = None
    size: int | None = None
