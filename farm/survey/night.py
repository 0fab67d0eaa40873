"""What was watched, what was built and what was known before -> the parts of a night's report. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from farm.model.job import make_job_id
from farm.model.night import Fault, Item
from farm.model.report import THERE, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from farm.model.job import Job, JobId
    from farm.model.night import Night
    from farm.model.report import State
    from farm.model.watch import CellKey, Watched, WatchedCell
    from farm.survey.retry import Retry

_FAILED: frozenset[State] = frozenset({"failed", "timed-out", "blocked"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Evening:
    """All that a report is made of.

    `rows` are the report's rows of the jobs that were to be done; `later` the jobs that had to wait for another night and why, `waiting`
    those that failed lately; `expected` are seconds by job. `before` is the last night that was reported, None for none; `ever` are the
    (name, target) pairs for which the farm has published a wheel before this night. `day` is tonight's.
    """

    watched: Watched
    rows: tuple[Row, ...] = ()
    later: Mapping[JobId, str] = field(default_factory=dict)
    waiting: Mapping[JobId, Retry] = field(default_factory=dict)
    expected: Mapping[JobId, float] = field(default_factory=dict)
    before: Night | None = None
    ever: frozenset[tuple[str, str]] = frozenset()
    day: str = ""


@dataclass(slots=True, kw_only=True)
class _Told:
    built: list[Item] = field(default_factory=list)
    failing: list[Item] = field(default_factory=list)
    regressions: list[Item] = field(default_factory=list)
    deferred: list[Item] = field(default_factory=list)
    waiting: list[Item] = field(default_factory=list)
    hopeless: list[Item] = field(default_factory=list)
    planned: list[Item] = field(default_factory=list)

    def all(self) -> tuple[Item, ...]:
        return (*self.built, *self.failing, *self.regressions, *self.deferred, *self.waiting, *self.planned, *self.hopeless)


def jobs_rows(watched: Watched, jobs: Iterable[Job]) -> tuple[Row, ...]:
    """Return a row for each job that a set itself wants, with its reason; `engine.tally` adds the others."""
    rows = []
    for job in jobs:
        cell = watched.cells.get((job.pin.name, str(job.pin.version), job.target.name))
        if cell is not None:
            rows.append(Row(name=cell.name, version=cell.version, target=cell.target, state="build", reason=cell.reason))
    return tuple(rows)


def tell(night: Night, evening: Evening) -> Night:
    """Return the night with everything that it says of packages and sets."""
    told = _Told()
    seen = _sort_rows(told, evening)
    _sort_jobs(told, evening, seen)
    _sort_cells(told, evening, seen)
    old = _old(evening)
    failed_before = _told_as_failing(evening)
    everything = told.all()
    unreadable = tuple(dict.fromkeys(_unreadable(evening.watched)))
    known = set() if evening.before is None else {fault.subject for fault in evening.before.unreadable}
    cells = evening.watched.cells.values()
    return replace(
        night,
        sets=len(evening.watched.sets),
        cells=len(evening.watched.cells),
        there=sum(cell.state in THERE for cell in cells),
        unknown=sum(cell.state == "unknown" for cell in cells),
        lacking=len(everything),
        built=_ordered(told.built),
        failing=_ordered(told.failing),
        regressions=_ordered(told.regressions),
        deferred=_ordered(told.deferred),
        waiting=_ordered(told.waiting),
        planned=_ordered(told.planned),
        hopeless=_ordered(told.hopeless),
        missing=_ordered(item for item in everything if item.key not in old),
        unreadable=unreadable,
        new_faults=tuple(fault.subject for fault in unreadable if fault.subject not in known),
        newly_failing=sum(item.key not in failed_before for item in (*told.failing, *told.hopeless)),
        notes=tuple(dict.fromkeys((*night.notes, *evening.watched.notes))),
    )


def _sort_rows(told: _Told, evening: Evening) -> set[CellKey]:
    seen: set[CellKey] = set()
    old = _old(evening)
    for row in evening.rows:
        item = _of_row(row, evening)
        seen.add(item.key)
        # What was left alone since it failed has failed all the same.
        since = old[item.key].since if item.key in old else ""
        if row.state == "built":
            told.built.append(item)
        elif row.state == "build":
            told.planned.append(item)
        elif row.state == "cancelled":
            told.deferred.append(replace(item, since=since))
        elif row.state in _FAILED:
            item = replace(item, since=since or evening.day)
            regressed = (row.name, row.target) in evening.ever and not since
            (told.regressions if regressed else told.failing).append(item)
        elif row.state != "not-needed":
            told.hopeless.append(item)
    return seen


def _sort_jobs(told: _Told, evening: Evening, seen: set[CellKey]) -> None:
    old = _old(evening)
    for job in evening.watched.plan.jobs:
        key = (str(job.pin.name), str(job.pin.version), job.target.name)
        if key in seen or not (job.id in evening.later or job.id in evening.waiting):
            continue
        seen.add(key)
        why = evening.waiting[job.id].why if job.id in evening.waiting else evening.later[job.id]
        item = Item(
            name=key[0], version=key[1], target=key[2], reason=why, sets=_users(evening, job.id),
            seconds=evening.expected.get(job.id, 0.0), since=old[key].since if key in old else "",
        )  # fmt: skip
        (told.waiting if job.id in evening.waiting else told.deferred).append(item)
    for refusal in evening.watched.plan.refused:
        key = (str(refusal.pin.name), str(refusal.pin.version), refusal.target.name)
        if key not in seen:
            seen.add(key)
            told.hopeless.append(
                Item(name=key[0], version=key[1], target=key[2], reason=refusal.reason, cause=refusal.cause, remedy=refusal.remedy)
            )


def _sort_cells(told: _Told, evening: Evening, seen: set[CellKey]) -> None:
    planned = {(str(job.pin.name), str(job.pin.version), job.target.name) for job in evening.watched.plan.jobs}
    wanting: dict[CellKey, list[str]] = {}
    lacking = {key for key, cell in evening.watched.cells.items() if cell.state not in THERE and key not in seen and key not in planned}
    for one in evening.watched.sets:
        for cell in one.wants:
            if cell.key in lacking:
                wanting.setdefault(cell.key, []).append(one.watch.name)
    old = _old(evening)
    for key in sorted(lacking):
        cell = evening.watched.cells[key]
        if cell.state != "unknown":
            told.hopeless.append(_of_cell(cell, tuple(wanting.get(key, ()))))
        elif key in old:
            told.hopeless.append(replace(old[key], reason=f"{cell.reason}; before: {_once(old[key].reason)}"))


def _once(reason: str) -> str:
    """Return the reason of the first of several nights on which an index did not answer."""
    return reason.rpartition("; before: ")[2]


def _of_cell(cell: WatchedCell, sets: tuple[str, ...]) -> Item:
    return Item(name=cell.name, version=cell.version, target=cell.target, reason=cell.reason or cell.state, sets=sets)


def _of_row(row: Row, evening: Evening) -> Item:
    diagnosis = row.diagnosis
    users = _users(evening, make_job_id(row.name, row.version, row.target))
    return Item(
        name=row.name, version=row.version, target=row.target, reason=row.reason, file=row.file, attempt=row.attempt,
        sets=users, healed=row.healed, cause=diagnosis.cause if diagnosis else "",
        line=diagnosis.line if diagnosis else "", remedy=diagnosis.remedy if diagnosis else "", seconds=row.seconds,
    )  # fmt: skip


def _users(evening: Evening, job: JobId) -> tuple[str, ...]:
    """Return who wants a job's wheel: sets, and where none does, a campaign, which is told from them by its words."""
    watched = evening.watched
    return watched.users.get(job, ()) or ((f"campaign {watched.campaigns[job]}",) if job in watched.campaigns else ())


def _unreadable(watched: Watched) -> Iterable[Fault]:
    for one in watched.sets:
        if one.look.error:
            yield Fault(subject=one.watch.name, text=one.look.error)
        else:
            for problem in one.problems:
                yield Fault(subject=f"{one.watch.name}: {problem.subject}", text=problem.text)
    silent = sum(cell.state == "unknown" for cell in watched.cells.values())
    if silent:
        why = next(cell.reason for cell in watched.cells.values() if cell.state == "unknown")
        yield Fault(subject="index", text=f"of {silent} wheels nothing is known: {why}")


def _lacking(night: Night) -> tuple[Item, ...]:
    """Return what had no wheel at the end of a night. What was built and lacks again lacks it anew."""
    return (*night.failing, *night.regressions, *night.deferred, *night.waiting, *night.hopeless)


def _old(evening: Evening) -> dict[CellKey, Item]:
    return {} if evening.before is None else {item.key: item for item in _lacking(evening.before)}


def _told_as_failing(evening: Evening) -> frozenset[CellKey]:
    """Return what readers of the last report know to fail: not what was only left for another night then."""
    night = evening.before
    if night is None:
        return frozenset()
    known = {item.key for item in (*night.failing, *night.regressions, *night.waiting, *night.hopeless)}
    return frozenset(known | {item.key for item in night.deferred if item.since})


def _ordered(items: Iterable[Item]) -> tuple[Item, ...]:
    return tuple(sorted(items, key=lambda item: item.key))
