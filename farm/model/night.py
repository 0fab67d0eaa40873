"""What a nightly run did and found: one record for the page, the mail, Markdown, JSON and the table of nights."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from datetime import datetime

SCHEMA = 1

NightState = Literal["running", "ended", "stopped", "broken", "killed"]
MailTls = Literal["starttls", "tls", "none"]
When = Literal["changes", "always", "failures"]
"""Which nights are worth telling: those in which something changed, all, or those in which something failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """An earlier attempt at a job: how it ended, as in `model.attempt.State`, by which cause, and when."""

    state: str
    cause: str
    ended: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NightRecord:
    """A night as the catalogue keeps it; `report` is JSON (`from_text`), empty until it has ended."""

    id: str
    started: datetime
    ended: datetime | None
    state: NightState
    report: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retirement:
    """A farm wheel that need not be built again, as upstream has come up with one: `upstream` names it, `retired` tells since when."""

    filename: str
    upstream: str
    retired: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One version of a package for one target, and what became of it.

    `reason` says why, `file` is the wheel, `attempt` names the log. `since` is the day on which it was first told as failing, `sets`
    are the requirement sets that want it, or "campaign NAME" where only that does. `healed` are the changes that made a build go well
    that had failed at first. `cause`, `line` and `remedy` are the diagnosis' (farm/model/outcome.py). `seconds` is what the build took,
    or is expected to take.
    """

    name: str
    version: str
    target: str
    reason: str = ""
    file: str = ""
    attempt: str = ""
    since: str = ""
    sets: tuple[str, ...] = ()
    healed: tuple[str, ...] = ()
    cause: str = ""
    line: str = ""
    remedy: str = ""
    seconds: float = 0.0

    @property
    def key(self) -> tuple[str, str, str]:
        return self.name, self.version, self.target

    def __str__(self) -> str:
        return f"{self.name} {self.version} for {self.target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is no package's: a requirement set that cannot be read, a delivery that failed. `text` says why, and what to do."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One night. `run` is the farm's run that built; `sets` counts those that were looked at, `cells` their (version, target) pairs.

    Every cell that had no wheel, and every build dependency that lacked one, is in just one of `built`, `failing`, `regressions`,
    `deferred` (no time), `waiting` (tried again later), `planned` (a dry run would build it) and `hopeless` (nothing can be built, or
    nothing is known). `failing` failed
    before too or was never built, `regressions` have been built for an earlier version or night. `missing` are those of them that
    lacked a wheel for the first time. `retired` are the farm's wheels that upstream has come up with, `returned` those for which that
    is over.

    `newly_failing` counts what is in `failing` or `hopeless` and was in neither, nor waiting after a failure, the night before.

    `unknown` counts cells of which nothing can be said, as an index did not answer: what lacked a wheel before stays among the lacking.

    `collected` counts removed things with their `collected_bytes`; `saved_s` are seconds of building that downloads of the farm's
    wheels saved clients, on the days `saved_days`. `budget_s` is None where there was no bound. `broken` is the farm's own failure.
    """

    id: str
    started: str
    ended: str = ""
    state: NightState = "running"
    run: str = ""
    dry_run: bool = False
    sets: int = 0
    cells: int = 0
    there: int = 0
    unknown: int = 0
    lacking: int = 0
    built: tuple[Item, ...] = ()
    failing: tuple[Item, ...] = ()
    regressions: tuple[Item, ...] = ()
    deferred: tuple[Item, ...] = ()
    waiting: tuple[Item, ...] = ()
    planned: tuple[Item, ...] = ()
    hopeless: tuple[Item, ...] = ()
    missing: tuple[Item, ...] = ()
    retired: tuple[Item, ...] = ()
    returned: tuple[Item, ...] = ()
    unreadable: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
    collected: int = 0
    collected_bytes: int = 0
    saved_s: float = 0.0
    saved_days: str = ""
    budget_s: float | None = None
    expected_s: float = 0.0
    seconds: float = 0.0
    broken: str = ""
    undelivered: tuple[Fault, ...] = ()
    code: int = 0
    new_faults: tuple[str, ...] = ()
    newly_failing: int = 0

    @property
    def healed(self) -> tuple[Item, ...]:
        return tuple(item for item in self.built if item.healed)

    @property
    def adds_up(self) -> bool:
        """Whether each of the `lacking` is told once."""
        told = (self.built, self.failing, self.regressions, self.deferred, self.waiting, self.planned, self.hopeless)
        keys = [item.key for items in told for item in items]
        return len(keys) == len(set(keys)) == self.lacking

    @property
    def failed(self) -> bool:
        """Whether a person has something to look at that was not so the night before."""
        return bool(self.regressions or self.broken or self.new_faults or self.newly_failing)

    @property
    def changed(self) -> bool:
        """Whether anything is worth telling whoever read the last report."""
        news = (self.built, self.missing, self.retired, self.returned)
        return self.failed or any(news) or self.state in {"stopped", "broken"}

    def worth(self, when: When) -> bool:
        """Tell whether to report this night."""
        return when == "always" or (self.changed if when == "changes" else self.failed)


def to_text(night: Night) -> str:
    """Return a night as JSON, with `schema` and what follows from the rest for readers that only read."""
    told = {"schema": SCHEMA, **asdict(night), "changed": night.changed, "failed": night.failed}
    # Halves of surrogate pairs, as of a file's name, are in no encoding.
    return json.dumps(told, ensure_ascii=False, indent=2).encode("utf-8", "replace").decode()


def from_text(text: str) -> Night:
    """Return the night of a JSON text by whichever farm; what this one does not know is left out. ValueError for anything else."""
    said = json.loads(text)
    if not isinstance(said, dict) or not isinstance(said.get("id"), str) or not isinstance(said.get("started"), str):
        message = "expected a night as `farm nightly --json` prints it"
        raise ValueError(message)
    return Night(**{name: _read(name, value) for name, value in _known(Night, said).items()})


def _read(name: str, value: Any) -> Any:
    if not isinstance(value, list):
        return value
    kind = Fault if name in {"unreadable", "undelivered"} else Item
    return tuple(kind(**_tuples(_known(kind, each))) if isinstance(each, dict) else each for each in value)


def _known(kind: type, said: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in said.items() if name in names}


def _tuples(said: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}


def day(when: datetime) -> str:
    """Return the day of an aware time as reports tell it."""
    return f"{when:%Y-%m-%d}"
