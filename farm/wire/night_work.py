"""What a night has to do: of all that is missing, what there is time for, what is left for later, and what deserves another try."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from farm.model.job import Plan
from farm.survey.budget import Need, Purse, apart, precedence, spend
from farm.survey.retry import lasting, retry
from farm.wire.loads import load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farm.model.job import Job, JobId
    from farm.model.watch import Watched
    from farm.survey.retry import Retry
    from farm.wire.assembly import Farm

_MISSES_COUNT_DAYS = 14
# What it takes to find out that a failure is remembered: the inputs are fetched, nothing is built.
_RECALL_S = 5.0
_NO_TIME = "no time left tonight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """`jobs` are to be done now, those of `later` another night (why), those of `waiting` failed lately.

    `again` are those of `jobs` whose remembered failure is not heeded. `expected` are seconds by job, `expected_s` of all `jobs` together.
    `first` are what `model.load.Load` has of that name, for which what is needed most goes first.
    """

    jobs: tuple[Job, ...] = ()
    later: Mapping[JobId, str] = field(default_factory=dict)
    waiting: Mapping[JobId, Retry] = field(default_factory=dict)
    again: frozenset[JobId] = frozenset()
    expected: Mapping[JobId, float] = field(default_factory=dict)
    first: Mapping[JobId, float] = field(default_factory=dict)
    expected_s: float = 0.0


def choose(farm: Farm, watched: Watched, seconds: float | None) -> Work:
    """Return what to do in `seconds` of the clock; None: all of it, but for what failed lately."""
    plan = watched.plan
    if not plan.jobs:
        return Work()
    names = tuple(dict.fromkeys(str(job.pin.name) for job in plan.jobs))
    now = farm.clock.now()
    tries = farm.records.nights.tries(names)
    verdicts = {job.id: retry(tries.get(_key(job), ()), now) for job in plan.jobs}
    waiting = {identity: verdict for identity, verdict in verdicts.items() if verdict.wait_until is not None}
    kept, lost = apart(plan.jobs, waiting)
    misses = farm.records.nights.misses(names, f"{now - timedelta(days=_MISSES_COUNT_DAYS):%Y-%m-%d}")
    weights = load(farm, Plan(jobs=kept)).weights if kept else {}
    expected = {job.id: _RECALL_S if lasting(tries.get(_key(job), ())) else weights[job.id].seconds for job in kept}
    needs = {job.id: Need(users=len(watched.users.get(job.id, ())), misses=_misses(job, misses)) for job in kept}
    spent = spend(kept, expected, needs, Purse(seconds=seconds, width=farm.jobs))
    held = "needs a wheel that is not tried tonight, as it failed lately"
    return Work(
        jobs=spent.now,
        later={job.id: _NO_TIME for job in spent.later} | {job.id: held for job in lost},
        waiting=waiting,
        again=frozenset(job.id for job in spent.now if verdicts[job.id].again),
        expected=expected,
        first=precedence(spent.now, expected, needs),
        expected_s=spent.expected_s,
    )


def _key(job: Job) -> tuple[str, str, str]:
    return str(job.pin.name), str(job.pin.version), job.target.name


def _misses(job: Job, misses: Mapping[tuple[str, str, str], int]) -> int:
    """Clients that do not say what they are may be any."""
    name, version, target = _key(job)
    return misses.get((name, version, target), 0) + misses.get((name, version, ""), 0)
