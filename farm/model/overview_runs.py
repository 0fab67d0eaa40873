"""What the pages and the API show of work: builds, runs, nights, misses, and the farm at a glance. As `farm.model.overview`."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - read at run time, for the API's schemas
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - the same
from typing import Any

from farm.model.attempt import State as BuildState  # noqa: TC001 - the same
from farm.model.outcome import Diagnosis  # noqa: TC001 - the same


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRow:
    """One attempt. `seconds` is how long it took, or takes already; `running` when a process is at it now."""

    id: str
    run: str
    name: str
    version: str
    target: str
    state: BuildState
    started: datetime
    ended: datetime | None
    seconds: float
    running: bool = False
    wheel: str = ""
    sha256: str = ""
    cause: str = ""
    summary: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildView:
    """An attempt, and everything about it. `earlier` are this run's attempts at the same before it, oldest first.

    `repro` is a command line, "" where it would not work; `log_size` None when the log is gone. `memory` (bytes at the peak) and
    `cpu_seconds` are 0 where they were not measured. `commands` made the wheel, `dependencies` are the files of its build environment.
    """

    build: BuildRow
    image: str = ""
    diagnosis: Diagnosis | None = None
    earlier: tuple[BuildRow, ...] = ()
    repro: str = ""
    log_size: int | None = None
    memory: int = 0
    cpu_seconds: float = 0.0
    commands: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    reproducible: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildQuery:
    """Which attempts to list, newest first. `after` is the id of the last one before this page."""

    name: str = ""
    states: tuple[BuildState, ...] = ()
    target: str = ""
    run: str = ""
    after: str = ""
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPage:
    """One page of attempts; `next` is "" on the last."""

    builds: tuple[BuildRow, ...]
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run of the farm that builds: how many of its jobs are in each state (as `farm build --json` names them)."""

    id: str
    started: datetime
    state: str
    jobs: Mapping[str, int]
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """What one place is at: the attempt it builds, since when."""

    run: str
    build: BuildRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What is under way: the runs that are alive, and each build that has begun and not ended. `waiting` are jobs still to come."""

    runs: tuple[RunView, ...]
    workers: tuple[Worker, ...]
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NightRow:
    """A nightly run; `builds` counts its attempts by state."""

    id: str
    started: datetime
    ended: datetime | None
    state: str
    seconds: float
    builds: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """An attempt on a Gantt chart: the lane (from 0) is the first that was free when it began."""

    lane: int
    begins: float
    ends: float
    build: BuildRow


@dataclass(frozen=True, slots=True, kw_only=True)
class NightView:
    """A night with its report as `farm nightly --json` gives it (empty until it has ended), and its attempts as spans.

    `begins` and `ends` of spans are seconds since the night's start; `complete` is False where there were more than are told.
    """

    night: NightRow
    report: Mapping[str, Any]
    spans: tuple[Span, ...]
    lanes: int
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class MissRow:
    """An sdist that clients fetched to compile it, over the days that were asked for. `state` is what the farm has for it, "" unknown."""

    name: str
    version: str
    target: str
    count: int
    last: datetime
    clients: tuple[str, ...]
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissQuery:
    """`days` up to today; the most frequent first, `limit` of them from `offset` on."""

    days: int = 30
    name: str = ""
    offset: int = 0
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class MissPage:
    misses: tuple[MissRow, ...]
    more: bool
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The farm at a glance. `seconds_saved` is, over each download of a wheel, what building it took; `disk` is in bytes.
    `downloads`, `misses` and `seconds_saved` are of the last `days` days.
    """

    projects: int
    wheels: int
    wheel_bytes: int
    sets: int
    missing: int
    failed: int
    building: int
    days: int
    downloads: int
    misses: int
    seconds_saved: float
    disk_free: int
    disk_total: int
    last_night: NightRow | None
