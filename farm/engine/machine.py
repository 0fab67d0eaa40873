"""The brain of a run: events in, commands out. Pure; knows no thread, no container, no clock, so that local, remote,
resumed and simulated runs share it.

    waiting -> building -> built -> verifying -> verified -> publishing -> published
                  |                    |                          |
                  +----------------> failed <----------------------+
                  +-> broken -> mending -> waiting (changed, to be tried again) | failed
    waiting -> blocked (a job it needs failed) | covered (another job's wheel serves it) | cancelled (Stop)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, assert_never

from farm.model.messages import (
    Build,
    BuildDone,
    Command,
    Event,
    Mend,
    MendDone,
    Publish,
    PublishDone,
    Stop,
    Verify,
    VerifyDone,
)
from farm.model.outcome import Built, Failed, Published, TimedOut, Verified
from farm.model.package import tags_of

if TYPE_CHECKING:
    from farm.model.healing import Mend as Change
    from farm.model.job import Job, JobId, Plan

State = Literal[
    "waiting", "building", "built", "verifying", "verified", "publishing", "published", "failed", "blocked", "covered",
    "cancelled", "broken", "mending",
]  # fmt: skip
RUNNING: frozenset[State] = frozenset({"building", "verifying", "publishing", "mending"})
FINAL: frozenset[State] = frozenset({"published", "failed", "blocked", "covered", "cancelled"})


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


class ImpossibleEvent(AssertionError):  # noqa: N818 - names the thing
    """An event that the job's state does not allow: a fault of the driver. The message tells the job's story."""


class Machine:
    """Decides what to do next. `limit` is how many commands may be under way at once; `heal` has failed builds mended."""

    def __init__(self, plan: Plan, *, limit: int, heal: bool = False) -> None:
        self._limit = limit
        self._heal = heal
        self._jobs: dict[JobId, Progress] = {job.id: Progress(job=job) for job in plan.jobs}
        self._stopped = False

    @property
    def jobs(self) -> tuple[Progress, ...]:
        """Every job's progress, in the plan's order."""
        return tuple(self._jobs.values())

    @property
    def done(self) -> bool:
        return all(progress.state in FINAL for progress in self._jobs.values())

    def start(self) -> tuple[Command, ...]:
        """Return the first commands."""
        return self._advance()

    def on(self, event: Event) -> tuple[Command, ...]:
        """Take one event in and return what to do now. ImpossibleEvent when the event cannot have happened."""
        match event:
            case Stop():
                self._stopped = True
            case BuildDone():
                self._after_build(event)
            case VerifyDone():
                self._after_verify(event)
            case PublishDone():
                self._after_publish(event)
            case MendDone():
                self._after_mend(event)
            case _:
                assert_never(event)
        return self._advance()

    def _expect(self, identity: JobId, state: State) -> Progress:
        progress = self._jobs[identity]
        if progress.state != state:
            message = f"{identity} is {progress.state}, an event for {state} came: {progress}"
            raise ImpossibleEvent(message)
        return progress

    def _after_build(self, event: BuildDone) -> None:
        progress = self._expect(event.job, "building")
        if isinstance(event.outcome, Built):
            self._jobs[event.job] = replace(progress, state="built", built=event.outcome)
        else:
            mend = self._heal and isinstance(event.outcome, Failed)
            self._jobs[event.job] = replace(progress, state="broken" if mend else "failed", failure=event.outcome)

    def _after_mend(self, event: MendDone) -> None:
        progress = self._expect(event.job, "mending")
        if event.better is None:
            self._jobs[event.job] = replace(
                progress, state="failed", proposal=event.proposal, obstacles=event.obstacles, remedy=event.remedy
            )
        else:
            self._jobs[event.job] = replace(progress, state="waiting", job=event.better, built=None)

    def _after_verify(self, event: VerifyDone) -> None:
        progress = self._expect(event.job, "verifying")
        if isinstance(event.outcome, Verified):
            self._jobs[event.job] = replace(progress, state="verified", verified=event.outcome)
        else:
            self._jobs[event.job] = replace(progress, state="broken" if self._heal else "failed", failure=event.outcome)

    def _after_publish(self, event: PublishDone) -> None:
        progress = self._expect(event.job, "publishing")
        if isinstance(event.outcome, Failed):
            self._jobs[event.job] = replace(progress, state="failed", failure=event.outcome)
            return
        self._jobs[event.job] = replace(progress, state="published", published=event.outcome)
        served = {verdict.target for verdict in event.outcome.verified.verdicts}
        for other in self._jobs.values():
            if other.state == "waiting" and other.job.pin == progress.job.pin and other.job.target in served:
                self._jobs[other.job.id] = replace(other, state="covered", why=event.job, published=event.outcome)

    def _advance(self) -> tuple[Command, ...]:
        self._settle()
        free = self._limit - sum(progress.state in RUNNING for progress in self._jobs.values())
        commands: list[Command] = []
        # What is nearly done goes first: a published wheel frees its dependants and cannot be lost any more.
        for state in ("verified", "built", "broken", "waiting"):
            for progress in tuple(self._jobs.values()):
                if len(commands) >= free:
                    return tuple(commands)
                if progress.state == state and (command := self._command(progress)):
                    commands.append(command)
        return tuple(commands)

    def _settle(self) -> None:
        """Mark what can no longer start, until nothing changes: blocked by a failure, or cancelled by Stop."""
        changed = True
        while changed:
            changed = False
            for progress in tuple(self._jobs.values()):
                following = self._doomed(progress)
                if following is not None:
                    self._jobs[progress.job.id] = following
                    changed = True

    def _doomed(self, progress: Progress) -> Progress | None:
        if progress.state == "waiting" and self._stopped and progress.failure is not None:
            return replace(progress, state="failed")
        if progress.state == "broken":
            return replace(progress, state="failed") if self._stopped else None
        if progress.state not in {"waiting", "built"}:
            return None
        for need in (*progress.job.needs, *progress.job.beside):
            other = self._jobs.get(need)
            if other and other.state in {"failed", "blocked", "cancelled"}:
                state: State = "cancelled" if other.state == "cancelled" else "blocked"
                return replace(progress, state=state, why=need)
        if self._stopped and progress.state == "waiting":
            return replace(progress, state="cancelled")
        return None

    def _command(self, progress: Progress) -> Command | None:
        job = progress.job
        if progress.state == "waiting" and self._may_build(progress):
            self._jobs[job.id] = replace(progress, state="building")
            made = {need: p for need in job.needs if (p := self._published(need))}
            return Build(job=job, made=made)
        if progress.state == "built" and progress.built and self._may_verify(progress):
            self._jobs[job.id] = replace(progress, state="verifying")
            tags = tags_of(progress.built.wheel.filename)
            proofs = tuple(proof for proof in job.proofs if proof.target.rank(tags) is not None)
            beside = {need: b for need in job.beside if (b := self._built(need))}
            return Verify(job=job, built=progress.built, proofs=proofs, made=beside)
        if progress.state == "broken" and isinstance(progress.failure, Failed):
            self._jobs[job.id] = replace(progress, state="mending")
            return Mend(job=job, failure=progress.failure)
        if progress.state == "verified" and progress.verified:
            self._jobs[job.id] = replace(progress, state="publishing")
            return Publish(job=job, verified=progress.verified)
        return None

    def _published(self, need: JobId) -> Published | None:
        other = self._jobs.get(need)
        return other.published if other else None

    def _built(self, need: JobId) -> Built | None:
        other = self._jobs.get(need)
        if other is None:
            return None
        return other.built or (other.published.verified.built if other.published else None)

    def _may_build(self, progress: Progress) -> bool:
        after = self._jobs.get(progress.job.after) if progress.job.after else None
        settled = after is None or after.state in FINAL
        return settled and all(self._published(need) for need in progress.job.needs if need in self._jobs)

    def _may_verify(self, progress: Progress) -> bool:
        """What goes beside a wheel is published first, so that the outcome does not hang on who is quicker.

        Packages that require each other at run time prove each other: there, built is enough.
        """
        job = progress.job
        for need in job.beside:
            other = self._jobs.get(need)
            if other is None or self._published(need):
                continue
            if job.id not in other.job.beside or self._built(need) is None:
                return False
        return True
