"""Jobs and a bound on time -> what to build now, and what another night. Pure.

What most clients wait for goes first, each job with everything that it hangs on; of what does not fit any more, something smaller
that is wanted less may still fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Mapping, Sequence

    from farm.model.job import Job, JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """How much a job is needed: by `users` requirement sets, and by clients that fetched its sdist `misses` times of late."""

    users: int = 0
    misses: int = 0

    @property
    def rank(self) -> int:
        """A client that compiled today counts as much as a set that may do so tomorrow."""
        return self.users + self.misses


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """What may be spent: `seconds` of the clock, None for no bound, with `width` builds side by side."""

    seconds: float | None
    width: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """`now` are the jobs to do and `later` the others, both in the plan's order; `expected_s` is what `now` takes at the least."""

    now: tuple[Job, ...] = ()
    later: tuple[Job, ...] = ()
    expected_s: float = 0.0


class _Chosen:
    """The jobs that were taken so far, and when each would end with builders enough."""

    def __init__(self, expected: Mapping[JobId, float], purse: Purse) -> None:
        self._expected = expected
        self._purse = purse
        self._total = 0.0
        self._critical = 0.0
        self.ends: dict[JobId, float] = {}

    @property
    def elapsed(self) -> float:
        return self._elapsed(self._total, self._critical)

    def take(self, jobs: Sequence[Job], *, always: bool = False) -> bool:
        """Take jobs, in an order in which they can run, if they still fit; tell whether they were taken."""
        ends: dict[JobId, float] = {}
        total, critical = self._total, self._critical
        for job in jobs:
            seconds = self._expected.get(job.id, 0.0)
            waits = (ends.get(need, self.ends.get(need, 0.0)) for need in _waits_for(job))
            ends[job.id] = max(waits, default=0.0) + seconds
            total += seconds
            critical = max(critical, ends[job.id])
        bound = self._purse.seconds
        if not always and bound is not None and self._elapsed(total, critical) > bound:
            return False
        self._total, self._critical = total, critical
        self.ends |= ends
        return True

    def _elapsed(self, total: float, critical: float) -> float:
        return max(critical, total / max(self._purse.width, 1))


def spend(jobs: Sequence[Job], expected: Mapping[JobId, float], needs: Mapping[JobId, Need], purse: Purse) -> Spending:
    """Return what to do now. `jobs` are in an order in which they can run, `expected` are seconds; an unknown job takes none.

    The time is the larger of the longest chain and an equal share for each builder. Where not even what is needed most fits, with all
    that it hangs on, as many of the latter are done as fit, one at the least: so that in the end it will have been built.
    """
    by_id = {job.id: job for job in jobs}
    place = {job.id: number for number, job in enumerate(jobs)}
    chosen = _Chosen(expected, purse)

    def urgency(job: Job) -> tuple[int, float, int]:
        return -needs.get(job.id, Need()).rank, expected.get(job.id, 0.0), place[job.id]

    first: list[Job] = []
    for job in sorted((job for job in jobs if job.wanted), key=urgency):
        if job.id in chosen.ends:
            continue
        wanted = sorted(_closure(job, by_id, chosen.ends), key=lambda each: place[each.id])
        if not chosen.take(wanted):
            first = first or wanted
    if not chosen.ends:
        _begin(first, chosen)
    return Spending(
        now=tuple(job for job in jobs if job.id in chosen.ends),
        later=tuple(job for job in jobs if job.id not in chosen.ends),
        expected_s=chosen.elapsed,
    )


def precedence(jobs: Sequence[Job], expected: Mapping[JobId, float], needs: Mapping[JobId, Need]) -> dict[JobId, float]:
    """Return for each job seconds, more of them than all jobs take for each step of what is needed more, by it or through it."""
    whole = 1.0 + sum(expected.get(job.id, 0.0) for job in jobs)
    by_id = {job.id: job for job in jobs}
    ranks: dict[JobId, int] = {}
    for job in sorted(jobs, key=lambda each: -needs.get(each.id, Need()).rank):
        for each in _closure(job, by_id, ranks.keys()):
            ranks[each.id] = needs.get(job.id, Need()).rank
    return {identity: rank * whole for identity, rank in ranks.items()}


def _begin(jobs: Sequence[Job], chosen: _Chosen) -> None:
    """Take as much as fits of what does not fit as a whole; the first of it whatever it takes."""
    for number, group in enumerate(_groups(jobs)):
        if not chosen.take(group, always=number == 0):
            return


def _groups(jobs: Sequence[Job]) -> list[list[Job]]:
    """Return the jobs one by one, in their order; what hangs on something later in it comes together with that."""
    found: list[list[Job]] = []
    seen: set[JobId] = set()
    by_id = {job.id: job for job in jobs}
    for job in jobs:
        if job.id not in seen:
            group = [each for each in jobs if each.id in {other.id for other in _closure(job, by_id, seen)}]
            seen.update(each.id for each in group)
            found.append(group)
    return found


def _closure(job: Job, by_id: Mapping[JobId, Job], without: Container[JobId]) -> list[Job]:
    """Return a job with everything in the plan that it hangs on and that is not in `without`."""
    found: dict[JobId, Job] = {}
    todo = [job.id]
    while todo:
        identity = todo.pop()
        if identity in found or identity in without or identity not in by_id:
            continue
        found[identity] = by_id[identity]
        todo += hangs_on(by_id[identity])
    return list(found.values())


def apart(jobs: Sequence[Job], left: Collection[JobId]) -> tuple[tuple[Job, ...], tuple[Job, ...]]:
    """Return the jobs that can be done while those in `left` are not, and those that cannot, as they hang on one of them."""
    lost = set(left)
    grown = True
    while grown:
        more = {job.id for job in jobs if job.id not in lost and any(need in lost for need in hangs_on(job))}
        lost |= more
        grown = bool(more)
    kept = tuple(job for job in jobs if job.id not in lost)
    return kept, tuple(job for job in jobs if job.id in lost and job.id not in left)


def hangs_on(job: Job) -> tuple[JobId, ...]:
    """Return the jobs that have to be done with this one: what it is built with, proven with, or made unnecessary by."""
    return (*_waits_for(job), *job.beside)


def _waits_for(job: Job) -> tuple[JobId, ...]:
    return (*job.needs, *((job.after,) if job.after else ()))
