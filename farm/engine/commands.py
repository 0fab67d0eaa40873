"""Where a job is -> the command that carries it on, with the wheels of the plan that it takes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farm.model.messages import Build, Command, Mend, Publish, Verify
from farm.model.outcome import Failed
from farm.model.package import tags_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farm.engine.progress import Progress, State
    from farm.model.job import JobId
    from farm.model.outcome import Built, Published


def next_command(progress: Progress, jobs: Mapping[JobId, Progress]) -> tuple[State, Command]:
    """Return the state that a job goes into and the command for it; it is waiting, built, verified or broken."""
    job = progress.job
    match progress.state:
        case "waiting":
            return "building", Build(job=job, made={need: made for need in job.needs if (made := published(need, jobs))})
        case "built":
            assert progress.built is not None
            tags = tags_of(progress.built.wheel.filename)
            proofs = tuple(proof for proof in job.proofs if proof.target.rank(tags) is not None)
            beside = {need: wheel for need in job.beside if (wheel := _built(need, jobs))}
            return "verifying", Verify(job=job, built=progress.built, proofs=proofs, made=beside)
        case "verified":
            assert progress.verified is not None
            return "publishing", Publish(job=job, verified=progress.verified)
        case _:
            assert isinstance(progress.failure, Failed), "what is left is broken"
            return "mending", Mend(job=job, failure=progress.failure)


def published(need: JobId, jobs: Mapping[JobId, Progress]) -> Published | None:
    """Return the published wheel that closes a job, its own or another's; None where there is none."""
    other = jobs.get(need)
    return other.published if other else None


def _built(need: JobId, jobs: Mapping[JobId, Progress]) -> Built | None:
    other = jobs.get(need)
    if other is None:
        return None
    return other.built or (other.published.verified.built if other.published else None)
