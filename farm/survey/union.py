"""Many sets' wants and plans as one: each cell once, each job once, and who uses it. Pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from farm.model.job import Plan, job_id, make_job_id
from farm.model.report import THERE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from farm.model.job import Job, JobId
    from farm.model.report import State
    from farm.model.watch import CellKey, WatchedCell

# What goes before what, where sets with different options differ about a cell: a gap that will be closed, then what nobody knows,
# then what cannot be had.
_ORDER: tuple[State, ...] = ("build", "unknown", "refused", "failed", "timed-out", "blocked", "hidden", "impossible")


def joined_cells(sets: Iterable[Iterable[WatchedCell]]) -> dict[CellKey, WatchedCell]:
    """Return every cell once; where sets differ about one, the one that lacks something."""
    found: dict[CellKey, WatchedCell] = {}
    for cells in sets:
        for cell in cells:
            first = found.setdefault(cell.key, cell)
            if first is not cell and _rank(cell) < _rank(first):
                found[cell.key] = cell
    return found


def _rank(cell: WatchedCell) -> int:
    return _ORDER.index(cell.state) if cell.state in _ORDER else len(_ORDER)


def joined_plans(plans: Sequence[Plan]) -> Plan:
    """Return one plan without repetition, in an order that can be run: of two jobs with one id the first counts.

    Only plans that read from different indexes can have such two. What the later plan needs of it is of the same pin, so it serves;
    a note tells where the sdists differ. A job goes before a refusal.
    """
    jobs: dict[JobId, Job] = {}
    notes = [note for plan in plans for note in plan.notes]
    for job in (job for plan in plans for job in plan.jobs):
        first = jobs.setdefault(job.id, job)
        if first is not job and first.sdist.sha256 != job.sdist.sha256:
            notes.append(f"{job.pin}: its sdist is another one on {job.sdist.url} than on {first.sdist.url}; the latter is built")
    refused = {job_id(each.pin, each.target): each for plan in reversed(plans) for each in plan.refused}
    left = tuple(refusal for identity, refusal in refused.items() if identity not in jobs)
    return Plan(jobs=tuple(jobs.values()), refused=left, notes=tuple(dict.fromkeys(notes)))


def users_of(plan: Plan, wants: Mapping[str, Iterable[WatchedCell]]) -> dict[JobId, tuple[str, ...]]:
    """Return for each job the names of the sets that want its wheel, or something that needs it to be built or proven."""
    jobs = {job.id: job for job in plan.jobs}
    found: dict[JobId, set[str]] = {identity: set() for identity in jobs}
    for name, cells in wants.items():
        for cell in cells:
            if cell.state not in THERE:
                identity = make_job_id(cell.name, cell.version, cell.target)
                if identity in found:
                    found[identity].add(name)
    todo = deque(jobs)
    while todo:
        identity = todo.popleft()
        job = jobs[identity]
        for need in (*job.needs, *job.beside):
            if need in found and not found[identity] <= found[need]:
                found[need] |= found[identity]
                todo.append(need)
    return {identity: tuple(sorted(names)) for identity, names in found.items()}
