"""What the pages and the API of `farm serve` show of packages and sets: frozen records, each also its own JSON (`farm.serve.api`).

Names are normalised, versions as their wheels have them, targets by name, times aware and in UTC, sizes in bytes.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - read at run time, for the API's schemas
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - the same
from typing import Any, Literal

from farm.model.overview_runs import BuildRow  # noqa: TC001 - the same
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
