"""Plan and past builds -> what each build is expected to take, and all of them together. Pure; invents no number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from farm.model.report import Cost

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from farm.model.job import Job, JobId
    from farm.model.package import NormalizedName, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class PastBuild:
    """A build that ended with a wheel: how long it took, in seconds, its proof included."""

    name: NormalizedName
    version: Version
    target: str
    seconds: float


def estimates(jobs: Iterable[Job], past: Iterable[PastBuild]) -> dict[JobId, float]:
    """Return the expected seconds of each job whose package was ever built; `past` is newest first.

    Of a package's builds, one for the same target counts before others (another processor, or one that is emulated, takes
    another time), the same version before others, and then the newest. A job that only waits in case another's wheel
    does not serve its target too (`Job.after`) is expected to take nothing.
    """
    by_name: dict[NormalizedName, list[PastBuild]] = {}
    for build in past:
        by_name.setdefault(build.name, []).append(build)
    found: dict[JobId, float] = {}
    for job in jobs:
        known = by_name.get(job.pin.name)
        if known:
            found[job.id] = 0.0 if job.after is not None else nearest(known, job.pin.version, job.target.name).seconds
    return found


def nearest(known: Iterable[PastBuild], version: Version, target: str) -> PastBuild:
    """Return which of a package's builds (newest first, at least one) tells most of a build of this version for this target."""
    return min(known, key=lambda build: (build.target != target, build.version != version))


def cost(jobs: Sequence[Job], expected: Mapping[JobId, float], side_by_side: int) -> Cost:
    """Return the sum, the critical path and the wall time of building `jobs`, which are in an order in which they can run.

    The wall time is the larger of the critical path and an equal share for each of `side_by_side` builders: a lower bound
    that real schedules come near. Jobs without an estimate count as nothing and show in `Cost.known`.
    """
    ends: dict[JobId, float] = {}
    before: dict[JobId, JobId | None] = {}
    for job in jobs:
        waits = [need for need in (*job.needs, *((job.after,) if job.after else ())) if need in ends]
        last = max(waits, key=lambda need: ends[need], default=None)
        before[job.id] = last
        ends[job.id] = (ends[last] if last else 0.0) + expected.get(job.id, 0.0)
    total = sum(expected.get(job.id, 0.0) for job in jobs)
    end = max(ends, key=lambda identity: ends[identity], default=None)
    critical = ends[end] if end else 0.0
    return Cost(
        jobs=len(jobs),
        known=sum(job.id in expected for job in jobs),
        total_s=total,
        critical_s=critical,
        elapsed_s=max(critical, total / max(side_by_side, 1)),
        side_by_side=max(side_by_side, 1),
        longest=_path(end, before) if critical else (),
    )


def _path(end: JobId | None, before: Mapping[JobId, JobId | None]) -> tuple[str, ...]:
    path: list[str] = []
    while end is not None:
        path.append(end)
        end = before[end]
    return tuple(reversed(path))
