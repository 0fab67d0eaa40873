"""What the pages and the API of `farm serve` show: frozen records, each of which is also its own JSON (`farm.serve.api`).

Names are normalised, versions as their wheels have them, targets by name, times aware and in UTC, sizes in bytes.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - read at run time, for the API's schemas
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - the same
from typing import Any, Literal

from farm.model.attempt import State as BuildState  # noqa: TC001 - the same
from farm.model.outcome import Diagnosis  # noqa: TC001 - the same
from farm.model.report import State

CellState = State | Literal["building"]
"""As in a report, or under way at this moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What is known of a pin for a target: `file` serves it, `build` is the newest attempt at it ("" for none).
    `since` is when it came to be so, where a survey has seen it; None where only wheels and attempts tell.
    """

    target: str
    state: CellState
    reason: str = ""
    file: str = ""
    build: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """A pin; `cells` are in the order of the matrix' targets, None where nothing is known."""

    name: str
    version: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixQuery:
    """What to show of the matrix. Empty fields filter nothing.

    `search` is a part of a project's name in any spelling; `states` keep rows that have one of them for one of the `targets`, and only
    these targets are columns; `watch` keeps what a set wants. `after` is the `next` of the page before, `limit` how many rows.
    """

    search: str = ""
    states: tuple[CellState, ...] = ()
    targets: tuple[str, ...] = ()
    watch: str = ""
    after: str = ""
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTotals:
    """How many pins are in each state for a target."""

    target: str
    states: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """One page of rows, by name, then the newest version first.
    `next` is "" on the last page; a page may hold fewer rows than were asked for and still have a next one. `totals` are of the whole
    farm, a few seconds old at most on a small one; `projects` are those whose name fits the search.
    """

    targets: tuple[str, ...]
    rows: tuple[MatrixRow, ...]
    next: str
    projects: int
    totals: tuple[TargetTotals, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the proof in a runtime image found; `failed` names its checks that did not pass."""

    target: str
    image: str
    ok: bool
    checks: tuple[str, ...]
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelView:
    """A file of the index. `url` and `provenance` are paths below the farm's own URL; `provenance` is "" where none is served.

    `why` says why it is there. `retired` is upstream's file that made it superfluous, "" while it is needed. `verdicts` are only told
    with its package.
    """

    filename: str
    name: str
    version: str
    size: int
    sha256: str
    url: str
    targets: tuple[str, ...]
    built: datetime
    build: str
    sdist: str
    requires_python: str = ""
    yanked: bool | str = False
    uploader: str = ""
    provenance: str = ""
    why: str = ""
    retired: str = ""
    downloads: int = 0
    verdicts: tuple[Verdict, ...] = ()


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
class WantedBy:
    """A set that wants a version of a package, for these targets."""

    watch: str
    version: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionView:
    """A version of a package: its cells in the order of PackageView.targets, its files and the sets that want it."""

    version: str
    cells: tuple[Cell | None, ...]
    wheels: tuple[WheelView, ...]
    wanted_by: tuple[WantedBy, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageView:
    """Everything about a project; `versions` newest first, `builds` its newest attempts, `misses` how often clients compiled it."""

    name: str
    targets: tuple[str, ...]
    versions: tuple[VersionView, ...]
    builds: tuple[BuildRow, ...]
    misses: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLine:
    """What to copy so that `tool` uses the farm."""

    tool: str
    text: str


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
class SetRow:
    """A requirement set. `sources` are shown without credentials, `origin` tells where it is registered.
    `error` says why it could not be read the last time ("" otherwise). `missing` counts its pins without a wheel.
    """

    name: str
    sources: tuple[str, ...]
    origin: Literal["command", "config"]
    targets: tuple[str, ...]
    created: datetime | None
    looked: datetime | None
    error: str
    pins: int
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPage:
    sets: tuple[SetRow, ...]
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetView:
    """A set and its cells by state and target; what it wants is the matrix with its name as `watch`."""

    set: SetRow
    options: Mapping[str, Any]
    totals: tuple[TargetTotals, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A pin without a wheel for a target, and the sets that want it (the first few)."""

    name: str
    version: str
    cell: Cell
    wanted_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GapPage:
    gaps: tuple[Gap, ...]
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelPage:
    wheels: tuple[WheelView, ...]
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetView:
    """A target that the farm knows: whether config.toml names it, what it is, and how its pins stand."""

    name: str
    configured: bool
    python: str
    libc: str
    arch: str
    states: Mapping[str, int]


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
