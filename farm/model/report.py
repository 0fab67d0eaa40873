"""What a run or a survey says in the end: the same record for the table, the JSON, JUnit and the page."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from farm.model.outcome import Diagnosis

State = Literal[
    "upstream-wheel", "farm-wheel", "pure-fallback", "build", "built", "failed", "timed-out", "blocked", "refused",
    "impossible", "unknown", "cancelled",
]  # fmt: skip
THERE: frozenset[State] = frozenset({"upstream-wheel", "farm-wheel", "pure-fallback", "built"})
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One package for one target.

    `reason` says why it is in that state; `file` is the wheel that serves it. `attempt` names the log (`farm log`).
    `required_by` are names of packages, or FILE:LINE of requirements, that ask for it. `seconds` is the build's time.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is not a row: a target without a solution, a requirement that is no index package."""

    subject: str
    text: str
    kind: Literal["unresolved", "direct", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole answer. Reports of several runs add up with `+`; `Report.empty()` is the neutral element."""

    targets: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    dry_run: bool = False
    seconds: float = 0.0

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
        )

    def count(self) -> Counter[State]:
        return Counter(row.state for row in self.rows)

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
        fine = THERE | {"build"} if self.dry_run else THERE
        return 0 if set(states) <= fine and not self.problems else 1
