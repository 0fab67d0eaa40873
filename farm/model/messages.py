"""What the machine and its hands say to each other: commands out, events in. Values only, no time but inside events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farm.model.healing import Mend as Change
    from farm.model.job import Job, JobId, Proof
    from farm.model.load import Weight
    from farm.model.outcome import Built, Failed, Published, TimedOut, Verified


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Build this job. `made` are the wheels of the plan that it needs, by the job that made each, all published.

    `cpus` is how many it may use now, more than its share where nobody else wants them; 0 leaves that to the builder.
    """

    job: Job
    made: Mapping[JobId, Published]
    cpus: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """Prove this wheel on each target it serves. `made` are the plan's wheels that go beside it, by job."""

    job: Job
    built: Built
    proofs: tuple[Proof, ...]
    made: Mapping[JobId, Built]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Make this proven wheel visible."""

    job: Job
    verified: Verified


@dataclass(frozen=True, slots=True, kw_only=True)
class Mend:
    """Find what may heal this job, whose build has just failed."""

    job: Job
    failure: Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Let so many seconds pass before this job goes on. Takes nobody's place."""

    job: Job
    seconds: float


Command = Build | Verify | Publish | Mend
"""What hands carry out."""
Order = Command | Wait


@dataclass(frozen=True, slots=True, kw_only=True)
class More:
    """Jobs that a running plan gains, in an order in which they can run, and what they are expected to take.

    What is in the plan already stays as it is there.
    """

    jobs: tuple[Job, ...] = ()
    weights: Mapping[JobId, Weight] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildDone:
    """`better` is a job whose build failed for want of what its backend named, as it is to be built once that is there.

    It needs what it `named`, for which `more` may have to be built first.
    """

    job: JobId
    outcome: Built | Failed | TimedOut
    better: Job | None = None
    more: More = field(default_factory=More)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyDone:
    job: JobId
    outcome: Verified | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishDone:
    job: JobId
    outcome: Published | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class MendDone:
    """`better` is the job as it is to be tried next, None when nothing is left; `proposal` is what a person may want to do.

    `obstacles` say what could not be tried, and why; `remedy` what a person has to do, where that is more than the diagnosis knows.
    `certain` unless somebody who was asked did not answer: another day there may be more to try. `more` is what `better` needs built
    first and the plan may not have.
    """

    job: JobId
    better: Job | None = None
    proposal: Change | None = None
    obstacles: tuple[str, ...] = ()
    remedy: str = ""
    certain: bool = True
    more: More = field(default_factory=More)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitDone:
    job: JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The user asked to stop: start nothing new."""


Event = BuildDone | VerifyDone | PublishDone | MendDone | WaitDone | Stop
