"""Where a job of a run is, and what came out so far."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from farm.model.healing import REQUIREMENT_FAILED, Trial
from farm.model.healing import Mend as Change
from farm.model.outcome import Diagnosis, Failed

if TYPE_CHECKING:
    from farm.model.job import Job, JobId
    from farm.model.outcome import Built, Published, TimedOut, Verified

State = Literal[
    "waiting", "building", "built", "verifying", "verified", "publishing", "published", "failed", "blocked", "covered",
    "cancelled", "broken", "mending", "resting", "unneeded",
]  # fmt: skip
RUNNING: frozenset[State] = frozenset({"building", "verifying", "publishing", "mending"})
FINAL: frozenset[State] = frozenset({"published", "failed", "blocked", "covered", "cancelled", "unneeded"})
LOST: frozenset[State] = frozenset({"failed", "blocked", "cancelled"})
PAUSES_S = (5.0, 20.0)
"""How many seconds to wait before a job is tried again to which a server did not answer."""


class ImpossibleEvent(AssertionError):  # noqa: N818 - names the thing
    """An event that the job's state does not allow: a fault of the driver. The message tells the job's story."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where one job is. `why` names the job that blocks or covers it; the rest is what came out so far.

    `proposal` is what might heal a job that failed, where that was not tried, `obstacles` what could not be tried and why,
    `remedy` what a person has to do where healing knows more than the diagnosis.
    """

    job: Job
    state: State = "waiting"
    built: Built | None = None
    verified: Verified | None = None
    published: Published | None = None
    failure: Failed | TimedOut | None = None
    why: JobId | None = None
    proposal: Change | None = None
    obstacles: tuple[str, ...] = ()
    remedy: str = ""


def again(job: Job, failure: Failed, pause: float) -> Job:
    """Return the job with a trial that changes nothing but the hour."""
    change = Change(
        kind="again", what=f"after {pause:.0f} s", why=failure.diagnosis.summary, base=job.recipe, recipe=job.recipe, pause_s=pause
    )
    trial = Trial(attempt=failure.attempt, stage=failure.stage, diagnosis=failure.diagnosis, mend=change)
    return replace(job, trials=(*job.trials, trial))


def without(need: Job, failure: Failed) -> Failed:
    """Return the failure of a job whose build requirement could not be built: another release of it may do."""
    summary = f"its build requirement {need.pin} cannot be had: {failure.diagnosis.summary}"
    diagnosis = Diagnosis(cause=REQUIREMENT_FAILED, summary=summary, line=failure.diagnosis.line, subject=str(need.pin))
    return Failed(attempt=failure.attempt, stage="requirements", diagnosis=diagnosis, seconds=0.0)


def in_circle(failure: Failed, told: str) -> Failed:
    """Return the failure of a job that would have to wait for itself, would it wait for what its backend or its healing asks for."""
    remedy = "bound or add build requirements with build-constraints and build-requires in its recipe, or take another release of one"
    diagnosis = Diagnosis(cause="missing-python-build-dep", summary=told, remedy=remedy)
    return replace(failure, stage="requirements", diagnosis=diagnosis, wants=())


def entangled(progress: Progress, lacked: Job) -> Progress:
    """Return where a built job is whose proof waits for a wheel that waits, by way of its build, for this one."""
    assert progress.built is not None
    told = f"its proof needs {lacked.pin}, whose build needs {progress.job.pin} first"
    remedy = f"take another release of {lacked.pin} or {progress.job.pin}, one of which has a wheel"
    diagnosis = Diagnosis(cause="missing-python-build-dep", summary=told, remedy=remedy, subject=str(lacked.pin))
    failure = Failed(attempt=progress.built.attempt, stage="proof", diagnosis=diagnosis, seconds=progress.built.seconds)
    return replace(progress, state="failed", failure=failure)


def given_up(progress: Progress) -> Progress:
    """Return where a broken job is that is not tried again: it failed, or what it needs did."""
    return replace(progress, state="blocked", failure=None) if progress.why is not None else replace(progress, state="failed")
