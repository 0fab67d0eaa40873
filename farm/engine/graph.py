"""Who waits for whom in a plan, and how long what hangs on each job will take. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from farm.model.load import Weight

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from farm.model.job import Job, JobId
    from farm.model.package import Pin


class Graph:
    """The edges of a plan, read from their other end; edges to what is not in the plan are left out.

    `users` need a job's wheel before they start; `provers` put it beside their own in a proof; `followers` wait whether it serves
    them too; `kin` are the jobs of one pin.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._known: set[JobId] = set()
        self.users: defaultdict[JobId, list[JobId]] = defaultdict(list)
        self.provers: defaultdict[JobId, list[JobId]] = defaultdict(list)
        self.followers: defaultdict[JobId, list[JobId]] = defaultdict(list)
        self.kin: defaultdict[Pin, list[JobId]] = defaultdict(list)
        self.needs: dict[JobId, tuple[JobId, ...]] = {}
        self.beside: dict[JobId, tuple[JobId, ...]] = {}
        self.add(jobs)

    def add(self, jobs: Sequence[Job]) -> None:
        """Take in jobs that are new."""
        known = self._known
        known.update(job.id for job in jobs)
        for job in jobs:
            self.kin[job.pin].append(job.id)
            self.needs[job.id] = tuple(need for need in dict.fromkeys(job.needs) if need in known)
            self.beside[job.id] = tuple(need for need in job.beside if need in known)
            for need in self.needs[job.id]:
                self.users[need].append(job.id)
            for need in self.beside[job.id]:
                self.provers[need].append(job.id)
            if job.after in known and job.after is not None:
                self.followers[job.after].append(job.id)

    def rewire(self, job: Job) -> None:
        """Take in that a job needs other wheels than before."""
        for need in self.needs[job.id]:
            self.users[need].remove(job.id)
        self.needs[job.id] = tuple(need for need in dict.fromkeys(job.needs) if need in self._known)
        for need in self.needs[job.id]:
            self.users[need].append(job.id)

    def circle(self, job: Job, more: Sequence[Job], *, waits: Callable[[JobId], bool]) -> tuple[JobId, ...]:
        """Return the jobs over which a job, as it is now, would wait for itself, the job first; none where it would not.

        `more` are new to the graph; `waits` tells whether one of the others is still waited for.
        """
        new = {each.id: (*each.needs, *each.beside) for each in more if each.id not in self._known}
        todo: list[tuple[JobId, tuple[JobId, ...]]] = [(need, (job.id,)) for need in reversed(job.needs)]
        seen: set[JobId] = set()
        while todo:
            identity, path = todo.pop()
            if identity == job.id:
                return path
            asks = new.get(identity, ())
            if identity in self._known and waits(identity):
                asks = self.asks(identity)
            if identity not in seen:
                seen.add(identity)
                todo.extend((need, (*path, identity)) for need in reversed(asks))
        return ()

    def asks(self, identity: JobId) -> tuple[JobId, ...]:
        """Return what a job hangs on, once each."""
        return tuple(dict.fromkeys((*self.needs[identity], *self.beside[identity])))

    def hang_on(self, identity: JobId) -> tuple[JobId, ...]:
        """Return the jobs that hang on this one, once each."""
        return tuple(dict.fromkeys((*self.users[identity], *self.provers[identity])))


def urgency(jobs: Sequence[Job], graph: Graph, weights: Mapping[JobId, Weight], default: Weight) -> dict[JobId, float]:
    """Return for each job the seconds of the longest chain of builds that begins with it.

    `jobs` are in an order in which they can run. A proof that waits for a job adds what hangs on the prover, whose own build
    need not wait; a follower most likely has nothing left to do.
    """
    tails: dict[JobId, float] = {}
    for job in reversed(jobs):
        tails[job.id] = max((_seconds(user, weights, default) + tails.get(user, 0.0) for user in graph.users[job.id]), default=0.0)
    found: dict[JobId, float] = {}
    for job in reversed(jobs):
        chains = [found.get(user, 0.0) for user in graph.users[job.id]]
        chains += [tails[user] for user in (*graph.provers[job.id], *graph.followers[job.id])]
        found[job.id] = _seconds(job.id, weights, default) + max(chains, default=0.0)
    return found


def urgency_of_new(
    jobs: Sequence[Job], graph: Graph, weights: Mapping[JobId, Weight], known: Mapping[JobId, float]
) -> dict[JobId, float]:
    """Return the same for jobs that a running plan gains; `known` is what `urgency` said of the others.

    A prover's own build may be counted although it need not wait: what is found out late is rather too urgent than not enough.
    """
    found: dict[JobId, float] = {}
    for job in reversed(jobs):
        after = max((found.get(user) or known.get(user, 0.0) for user in graph.hang_on(job.id)), default=0.0)
        found[job.id] = _seconds(job.id, weights, Weight()) + after
    return found


def _seconds(identity: JobId, weights: Mapping[JobId, Weight], default: Weight) -> float:
    return weights.get(identity, default).seconds
