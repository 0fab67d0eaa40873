"""What a run or a survey says in the end: the same record for the table, the JSON, JUnit and the page."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from farm.model.outcome import Diagnosis
    from farm.model.provenance import Reproduction

State = Literal[
    "upstream-wheel", "farm-wheel", "pure-fallback", "build", "built", "failed", "timed-out", "blocked", "refused",
    "impossible", "hidden", "not-needed", "unknown", "cancelled",
]  # fmt: skip
THERE: frozenset[State] = frozenset({"upstream-wheel", "farm-wheel", "pure-fallback", "built"})
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """An attempt that failed before the last one, and the change that followed. `kept` is False for one that was taken back."""

    build: str
    stage: str
    diagnosis: Diagnosis
    change: str
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One package for one target.

    `reason` says why it is in that state; `file` is the wheel that serves it. `attempt` names the log (`farm log`).
    `required_by` are names of packages, or FILE:LINE of requirements, that ask for it. `seconds` is the build's time,
    `estimate_s` what it is expected to be, in seconds, by past builds; None without any. `url` is where it is from when that
    is no index, without credentials; `commit` is the repository's. `tried` are the earlier attempts of the run, `proposal` is
    what may heal a package that failed, where that was not tried. `advice` is what the index says of
    other releases of a package that cannot be had, `upgrade` the version of the nearest newer one with a wheel for the target. `coupling`
    are the build dependencies whose ABI the wheel is tied to, as "numpy 2.1.3"; `instructions` what its code uses beyond the
    baseline of its platform, `reproduction` what a second build came to.
    """

    name: str
    version: str
    target: str
    state: State
    reason: str = ""
    file: str = ""
    attempt: str = ""
    seconds: float = 0.0
    required_by: tuple[str, ...] = ()
    diagnosis: Diagnosis | None = None
    estimate_s: float | None = None
    url: str = ""
    commit: str = ""
    tried: tuple[Tried, ...] = ()
    proposal: str = ""
    advice: str = ""
    upgrade: str = ""
    coupling: tuple[str, ...] = ()
    instructions: tuple[str, ...] = ()
    reproduction: Reproduction | None = None

    @property
    def healed(self) -> tuple[str, ...]:
        """What a build that failed at first was healed by; empty where it did not fail, or was not healed."""
        return tuple(tried.change for tried in self.tried if tried.kept) if self.state == "built" else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is not a row: a target without a solution, a path, URL or repository that cannot be used."""

    subject: str
    text: str
    kind: Literal["unresolved", "direct", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What closing the gaps would take, in seconds, as far as past builds tell.

    `jobs` wheels have to be built, `known` of them have a past; only these are in the sums. `longest` names the jobs of the
    critical path, each of which needs the one before it; `elapsed_s` is the wall time with `side_by_side` builds at once.
    """

    jobs: int
    known: int
    total_s: float
    critical_s: float
    elapsed_s: float
    side_by_side: int
    longest: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole answer. Reports of several runs add up with `+`; `Report.empty()` is the neutral element."""

    targets: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    dry_run: bool = False
    seconds: float = 0.0
    cost: Cost | None = None

    @staticmethod
    def empty() -> Report:
        return Report()

    def __add__(self, other: Report) -> Report:
        return Report(
            targets=tuple(dict.fromkeys(self.targets + other.targets)),
            rows=self.rows + other.rows,
            problems=self.problems + other.problems,
            notes=self.notes + other.notes,
            dry_run=self.dry_run or other.dry_run,
            seconds=self.seconds + other.seconds,
            cost=self.cost or other.cost,
        )

    def count(self) -> Counter[State]:
        return Counter(row.state for row in self.rows)

    def not_needed(self) -> tuple[Row, ...]:
        """Return a row for each package that some target needs, for each other target that was resolved without it."""
        unresolved = {problem.subject for problem in self.problems if problem.kind == "unresolved"}
        told = {(row.name, row.version, row.target) for row in self.rows}
        others: dict[tuple[str, str], list[str]] = {}
        for row in self.rows:
            others.setdefault((row.name, row.target), []).append(row.version)
        return tuple(
            Row(
                name=name, version=version, target=target, state="not-needed",
                reason=f"{' and '.join(others[name, target])} is what it needs" if (name, target) in others else "",
            )
            for name, version in dict.fromkeys((row.name, row.version) for row in self.rows)
            for target in self.targets
            if target not in unresolved and (name, version, target) not in told
        )  # fmt: skip

    @property
    def exit_code(self) -> int:
        """0 all wheels there, 7 a target has no solution, 3 an index did not answer, 1 anything else is not there.

        A dry run that would build and finds nothing wrong gives 0: it did what it was asked.
        """
        states = self.count()
        if any(problem.kind == "unresolved" for problem in self.problems):
            return 7
        if states["unknown"]:
            return 3
        fine = THERE | {"not-needed"} | ({"build"} if self.dry_run else set())
        return 0 if set(states) <= fine and not self.problems else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What `farm check` found. `remarks` are about the input; `places` give each requirement's column by its FILE:LINE."""

    report: Report
    remarks: tuple[str, ...] = ()
    places: tuple[tuple[str, int], ...] = ()
