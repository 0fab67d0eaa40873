"""What a run did to the rows of its report: each job's final state and why."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from farm.engine.advice import advice
from farm.model.healing import mended
from farm.model.job import make_job_id
from farm.model.outcome import Failed, TimedOut
from farm.model.report import Tried
from farm.survey.tell import job_row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from farm.engine.progress import Progress
    from farm.model.job import JobId
    from farm.model.report import Row


def tally(rows: Iterable[Row], jobs: Iterable[Progress]) -> tuple[Row, ...]:
    """Return the rows with what became of those that were to be built, and of what turned out to be needed for that."""
    ended = {progress.job.id: progress for progress in jobs}
    told = [(make_job_id(row.name, row.version, row.target), row) for row in rows]
    # In an order that does not tell who was quicker.
    told += [(identity, job_row(ended[identity].job)) for identity in sorted(ended.keys() - {identity for identity, _ in told})]
    return tuple(_after(row, ended[identity], ended) if identity in ended else row for identity, row in told)


def _after(row: Row, progress: Progress, jobs: dict[JobId, Progress]) -> Row:
    row = replace(row, tried=_tried(progress))
    match progress.state:
        case "published" | "covered":
            return _built(row, progress, jobs)
        case "failed":
            found = _failed(row, progress)
            return replace(
                found, proposal=progress.proposal.text if progress.proposal else "", obstacles=progress.obstacles
            )
        case "blocked":
            return replace(row, state="blocked", reason=f"needs {_subject(progress, jobs)}, which failed")
        case "unneeded":
            return replace(row, state="not-needed", reason=_unneeded(progress, jobs))
        case "cancelled" | "waiting" | "resting" | "broken" | "mending" | "building" | "built" | "verifying" | "verified" | "publishing":
            return replace(row, state="cancelled", reason="stopped before it was done")
        case _:
            assert_never(progress.state)


def _tried(progress: Progress) -> tuple[Tried, ...]:
    helped = mended(progress.job.trials)
    return tuple(
        Tried(
            build=trial.attempt, stage=trial.stage, diagnosis=trial.diagnosis, change=trial.mend.text,
            kept=any(mend is trial.mend for mend in helped),
        )
        for trial in progress.job.trials
    )  # fmt: skip


def _subject(progress: Progress, jobs: dict[JobId, Progress]) -> str:
    """The job at the root: what is blocked by something blocked names the one that really failed.

    Of several the first that the job names, whichever failed first: a report does not tell who was quicker.
    """
    seen = {progress.job.id}
    current = progress
    while True:
        asks = (*current.job.needs, *current.job.beside)
        lost = next((need for need in asks if need in jobs and jobs[need].state in {"failed", "blocked"}), None)
        if lost is None or lost in seen:
            return str(current.job.pin)
        seen.add(lost)
        current = jobs[lost]


def _unneeded(progress: Progress, jobs: dict[JobId, Progress]) -> str:
    served = jobs.get(progress.why) if progress.why else None
    if served is None:
        return "dropped: nothing that is built needs it"
    return f"dropped: it was to build {served.job.pin} for {served.job.target}, which another target's wheel serves"


def _built(row: Row, progress: Progress, jobs: dict[JobId, Progress]) -> Row:
    assert progress.published is not None
    built = progress.published.verified.built
    note = row.reason
    if progress.state == "covered" and progress.why:
        note = f"not built: served by the wheel of another target, {jobs[progress.why].job.target}"
    elif built.reused:
        note = "the same inputs had been built before"
    if progress.published.note:
        note = f"{note}; {progress.published.note}"
    facts = built.facts
    return replace(
        row, state="built", reason=note, file=built.wheel.filename, attempt=built.attempt, seconds=built.seconds,
        coupling=tuple(map(str, facts.coupling)) if facts else (), reproduction=facts.reproduction if facts else None,
        instructions=progress.published.verified.instructions,
    )  # fmt: skip


_RETRY = "; --retry-failed tries again"


def _before(failure: Failed | TimedOut) -> str:
    if not failure.remembered:
        return ""
    cause = failure.diagnosis.cause if isinstance(failure, Failed) else "timed-out"
    return f"failed before, not tried again ({failure.attempt}, {cause}): "


def _failed(row: Row, progress: Progress) -> Row:
    failure = progress.failure
    match failure:
        case Failed():
            reason = f"{_before(failure)}{failure.stage}: {failure.diagnosis.summary}{_RETRY if failure.remembered else ''}"
            return replace(
                row, state="failed", reason=reason, attempt=failure.attempt, seconds=failure.seconds,
                diagnosis=replace(failure.diagnosis, remedy=progress.remedy or advice(failure, row.name)),
            )  # fmt: skip
        case TimedOut():
            told = f"{_before(failure)}took longer than {failure.limit:.0f} s: raise [build] time-limit, or build fewer at once (--jobs)"
            reason = f"{told}{_RETRY if failure.remembered else ''}"
            return replace(row, state="timed-out", reason=reason, attempt=failure.attempt, seconds=failure.seconds)
        case None:
            return replace(row, state="failed", reason="no outcome was recorded")
        case _:
            assert_never(failure)

