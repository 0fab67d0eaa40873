"""Watch sets: requirements that the farm keeps served without being asked, and what a look at all of them found."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from farm.model.job import Plan
from farm.model.report import Problem, Report, Row

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from farm.model.job import JobId
    from farm.model.report import State

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a set may be called: it stands in URLs and in TOML."""

CellKey = tuple[str, str, str]
"""(normalised name, version, target's name)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSet:
    """Requirements that are watched under a name.

    `sources` are absolute paths, patterns of paths (`*`, `**`), URLs, and `git+URL[@REF][#SUBDIR]`; they may hold `${VARIABLES}`, as
    pip's requirements files do, and credentials: `farm.wire.watch.shown_source` is how people see them. `targets` are names; empty: those
    of config.toml. `extras`, `groups` and `default_groups` are as `farm build` has them, `constraints` files or URLs. `origin` tells
    where the set is registered: config.toml, or `farm watch add`.
    """

    name: str
    sources: tuple[str, ...]
    targets: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    default_groups: bool = True
    constraints: tuple[str, ...] = ()
    origin: Literal["config", "command"] = "command"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a look at a set went. `digest` is of all that was read, "" where nothing could be; `error` says why not, and what to do.

    `pins` counts different (name, version); of a set that could not be read those of its last good look.
    """

    name: str
    looked: datetime
    digest: str
    error: str
    pins: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedCell:
    """What is known of a version for a target. `state` is as in a report; `file` the wheel that serves it, "" without one."""

    name: str
    version: str
    target: str
    state: State
    reason: str = ""
    file: str = ""

    @property
    def key(self) -> CellKey:
        return self.name, self.version, self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSeen:
    """One set as it was seen: `wants` is a cell for each of its pins and targets.

    Of a set that could not be read, or not resolved for a target, it holds what was wanted at the last look that went well.
    `files` are what its sources led to.
    """

    watch: WatchSet
    look: Look
    targets: tuple[str, ...] = ()
    wants: tuple[WatchedCell, ...] = ()
    problems: tuple[Problem, ...] = ()
    remarks: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def report(self) -> Report:
        """The set's own report, as `farm check` would have it."""
        rows = tuple(
            Row(name=cell.name, version=cell.version, target=cell.target, state=cell.state, reason=cell.reason, file=cell.file)
            for cell in self.wants
        )
        return Report(targets=self.targets, rows=rows, problems=self.problems, notes=self.remarks, dry_run=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """All sets together: what each wants, and one plan without repetition for what they lack.

    `users` names for each job of the plan, those for build dependencies too, the sets that get something from it. `cells` are
    those of all sets; where sets differ about one (their options do), it is the one that lacks something. `campaigns` names for the jobs
    that are there for a campaign only which one that is.
    """

    sets: tuple[SetSeen, ...] = ()
    plan: Plan = field(default_factory=Plan)
    users: Mapping[JobId, tuple[str, ...]] = field(default_factory=dict)
    campaigns: Mapping[JobId, str] = field(default_factory=dict)
    cells: Mapping[CellKey, WatchedCell] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
