"""Jobs, past builds and what they took -> what each build is expected to take. Pure.

Before there is a past, a build's time is guessed from its kind and the size of its sdist: good enough to begin the long ones first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from farm.model.load import Weight
from farm.survey.cost import estimates

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from farm.model.job import Job, JobId
    from farm.model.load import PastUsage
    from farm.model.package import NormalizedName
    from farm.survey.cost import PastBuild

# Seconds for any build of the kind, and for each MB of its sdist: what builds of this farm's own benchmarks took, rounded.
_GUESS = {"pure": (4.0, 0.5), "native": (12.0, 15.0), "rust": (45.0, 60.0)}
_LONGEST_GUESS = 3600.0
_SPARE = 1.25
"""How much more memory than the most that was ever seen a build is given room for."""
_LEAST_CPUS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Fair:
    """What a build is taken for that nobody has seen yet: its share of the machine, `memory` in bytes and `cpus`."""

    memory: int
    cpus: float


def weights(jobs: Sequence[Job], past: Iterable[PastBuild], usages: Iterable[PastUsage], fair: Fair) -> dict[JobId, Weight]:
    """Return the weight of each job. `past` and `usages` are newest first; a recipe's own word goes before what was seen."""
    seconds = estimates(jobs, past)
    seen: dict[NormalizedName, list[PastUsage]] = {}
    for usage in usages:
        seen.setdefault(usage.name, []).append(usage)
    return {job.id: _weight(job, seconds.get(job.id), seen.get(job.pin.name, []), fair) for job in jobs}


def _weight(job: Job, seconds: float | None, seen: Sequence[PastUsage], fair: Fair) -> Weight:
    same = [usage for usage in seen if usage.target == job.target.name] or seen
    memory = max((usage.memory for usage in same), default=0)
    busy = [usage.cpu_seconds / usage.seconds for usage in same[:3] if usage.seconds > 1.0]
    limit = job.recipe.memory
    return Weight(
        seconds=guess(job) if seconds is None else seconds,
        memory=round(memory * _SPARE) if memory else limit or fair.memory,
        cpus=job.recipe.cpus or (min(fair.cpus, max(_LEAST_CPUS, *busy)) if busy else fair.cpus),
        exclusive=job.recipe.exclusive,
    )


def guess(job: Job) -> float:
    """Return the seconds that a build without a past is taken to last."""
    base, each = _GUESS["rust" if job.rust and job.kind == "native" else job.kind]
    return min(_LONGEST_GUESS, base + each * (job.sdist.size or 0) / 1e6)
