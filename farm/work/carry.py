"""Command -> event: the only table from messages to functions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from farm.errors import UpstreamError
from farm.model.build import BadSdist, BuildFailed, IntegrityError
from farm.model.messages import Build, BuildDone, Command, Event, Mend, Publish, PublishDone, Verify, VerifyDone
from farm.model.outcome import Diagnosis, Failed, Published
from farm.work.build import BuildPorts, build
from farm.work.learn import learned, proposed
from farm.work.mend import MendPorts, mend
from farm.work.publish import PublishPorts, publish
from farm.work.verify import VerifyPorts, verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from farm.errors import FarmError
    from farm.model.job import Job
    from farm.model.messages import MendDone


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """Everything that carries commands out. `new_attempt` gives short, unique ids that sort by time."""

    build: BuildPorts
    verify: VerifyPorts
    publish: PublishPorts
    mend: MendPorts
    new_attempt: Callable[[Job], str]


def carry(command: Command, hands: Hands) -> Event:
    """Do what a command says and return what came of it. The farm's own failures are raised."""
    match command:
        case Build():
            return _built(command, hands)
        case Verify():
            return VerifyDone(job=command.job.id, outcome=verify(command, hands.verify))
        case Publish():
            return _published(command, hands)
        case Mend():
            return _mended(command, hands)
        case _:
            assert_never(command)


def _built(command: Build, hands: Hands) -> BuildDone:
    job, outcome = command.job, build(command, hands.new_attempt(command.job), hands.build)
    wants = outcome.wants if isinstance(outcome, Failed) else ()
    if not isinstance(outcome, Failed) or not wants or hands.build.cancelled():
        return BuildDone(job=job.id, outcome=outcome)
    say = hands.build.progress.say
    failure = outcome
    # Once a job: a backend that names something else each time would never end.
    if not job.named:
        try:
            better, more = hands.mend.planner.plan(replace(job, named=wants))
        except (BuildFailed, BadSdist, IntegrityError, UpstreamError) as error:
            failure = _unplanned(outcome, error)
        else:
            first = ", ".join(str(each.pin) for each in more.jobs) or "nothing"
            say(job.id, f"its backend wants {', '.join(wants)}; built first: {first}", outcome.attempt)
            return BuildDone(job=job.id, outcome=outcome, better=better, more=more)
    say(job.id, f"failed: {failure.diagnosis.summary}", failure.attempt)
    return BuildDone(job=job.id, outcome=failure)


def _unplanned(outcome: Failed, error: FarmError) -> Failed:
    """Return the failure of a job of which what its backend named cannot be planned."""
    if isinstance(error, UpstreamError):
        # Said of the fetch, which is tried again: the index may answer in a moment.
        return replace(outcome, stage="fetch", diagnosis=Diagnosis(cause="network", summary=error.reason, remedy=error.solution), wants=())
    summary = f"its backend also wants {', '.join(outcome.wants)}: {error.reason}"
    return replace(outcome, diagnosis=replace(outcome.diagnosis, summary=summary, remedy=error.solution), wants=())


def _published(command: Publish, hands: Hands) -> PublishDone:
    outcome = publish(command, hands.publish)
    job = command.job
    # Only what has passed its proof has been healed. What is on no index has no versions that could need the same.
    if isinstance(outcome, Published) and job.trials and job.direct is None:
        lesson = learned(job, hands.mend.configured(job.pin, job.target), hands.publish.clock.now())
        if lesson is not None:
            hands.mend.lessons.learn(lesson)
    return PublishDone(job=job.id, outcome=outcome)


def _mended(command: Mend, hands: Hands) -> MendDone:
    done = mend(command, hands.mend)
    job = command.job
    if done.better is None and done.certain:
        _give_up(command, done.remedy, hands)
    if done.proposal is not None and job.direct is None:
        now = hands.publish.clock.now()
        hands.mend.lessons.learn(proposed(job, command.failure, done.proposal, hands.mend.configured(job.pin, job.target), now))
    return done


def _give_up(command: Mend, remedy: str, hands: Hands) -> None:
    """Remember, under the inputs with which it began, that healing a job was tried to its end, and what a person has to do."""
    attempts = (*(trial.attempt for trial in command.job.trials), command.failure.attempt)
    tried = (hands.build.catalogue.attempt(attempt) for attempt in attempts)
    key = next((attempt.key for attempt in tried if attempt and attempt.key), None)
    if key is not None:
        found = command.failure.diagnosis
        hands.build.memory.give_up(key, replace(command.failure, diagnosis=replace(found, remedy=remedy or found.remedy)))
