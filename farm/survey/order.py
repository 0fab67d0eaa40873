"""Order and circles of a graph given as {node: nodes it needs}. Pure, deterministic."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from farm.model.job import Job, JobId
    from farm.model.package import Pin


def in_order(jobs: Mapping[JobId, Job]) -> list[Job]:
    """Return the jobs so that each comes after what it needs and what it waits for; otherwise in the order given.

    The needs must hold no circle (`cycles` finds them); names outside `jobs` are ignored.
    """
    done: dict[JobId, Job] = {}

    def visit(identity: JobId) -> None:
        stack = [identity]
        while stack:
            job = jobs[stack[-1]]
            waits = (*job.needs, *((job.after,) if job.after else ()))
            missing = [need for need in waits if need in jobs and need not in done and need not in stack]
            if missing:
                stack.append(missing[0])
            else:
                done.setdefault(stack[-1], job)
                stack.pop()

    for identity in jobs:
        if identity not in done:
            visit(identity)
    return list(done.values())


def hanging_on(jobs: Mapping[JobId, Job], wanted: Iterable[JobId]) -> dict[JobId, Job]:
    """Return, in their order, the wanted jobs and those that they need for their builds or beside their wheels."""
    found: set[JobId] = set()
    todo = list(wanted)
    while todo:
        identity = todo.pop()
        if identity in jobs and identity not in found:
            found.add(identity)
            todo.extend((*jobs[identity].needs, *jobs[identity].beside))
    return {identity: job for identity, job in jobs.items() if identity in found}


def describe(circle: Iterable[Pin]) -> str:
    """Return a circle of pins in words, each needing the next."""
    pins = [str(pin) for pin in circle]
    return f"a circle of build dependencies: {' needs '.join((*pins, pins[0]))}"


def cycles(needs: Mapping[JobId, tuple[JobId, ...]]) -> list[tuple[JobId, ...]]:
    """Return each circle as a tuple of nodes in which every one needs the next; circles share no node."""
    colour: dict[JobId, int] = {}
    found: list[tuple[JobId, ...]] = []
    taken: set[JobId] = set()
    for start in needs:
        if start in colour:
            continue
        path: list[JobId] = [start]
        edges = [iter(needs[start])]
        colour[start] = 1
        while path:
            following = next((n for n in edges[-1] if n in needs), None)
            if following is None:
                colour[path.pop()] = 2
                edges.pop()
            elif following not in colour:
                colour[following] = 1
                path.append(following)
                edges.append(iter(needs[following]))
            elif colour[following] == 1:
                circle = tuple(path[path.index(following) :])
                if not taken.intersection(circle):
                    found.append(circle)
                    taken.update(circle)
    return found
