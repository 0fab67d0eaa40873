"""`farm nightly` put together: look at all sets, build what there is time for, retire, collect, and say what came of it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from farm.engine.tally import tally
from farm.errors import FarmError, Interrupted, StoreError
from farm.model.job import Plan
from farm.model.night import Night, day, from_text, to_text
from farm.survey.night import Evening, jobs_rows, tell
from farm.wire.bell import Bell
from farm.wire.night_work import Work, choose
from farm.wire.records import NIGHTLY, begin, end
from farm.wire.retire import retire

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractContextManager
    from datetime import datetime

    from farm.engine.local import Finished
    from farm.model.job import JobId
    from farm.model.report import Row
    from farm.model.watch import Watched
    from farm.ports import Progress
    from farm.wire.assembly import Farm

_ROUNDS = 3
_FIRST_SAVED_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`budget` in seconds, None for no bound; `grace` what builds may go on when it is spent."""

    budget: float | None = None
    grace: float = 0.0
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """How the command line wants to be told, and to hear signals: while the farm looks, and while it builds."""

    looking: Callable[[], AbstractContextManager[Progress]]
    building: Callable[[], AbstractContextManager[Progress]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """Another process is at it: since when, and its process id (0: it has not said yet)."""

    pid: int
    since: str


@dataclass(slots=True, kw_only=True)
class _Course:
    """A night under way: what was seen, and what was done."""

    watched: Watched
    rows: tuple[Row, ...] = ()
    work: Work = field(default_factory=Work)
    tried: set[JobId] = field(default_factory=set)
    broken: BaseException | None = None
    stopped: bool = False


def run_night(farm: Farm, asked: Asked, stage: Stage) -> Night | Busy:
    """Do a night's work and return what came of it; the farm's own failure is told in it too. A dry run writes nothing down."""
    if asked.dry_run:
        return _Night(farm, asked, stage).run()
    said = json.dumps({"pid": os.getpid(), "since": farm.clock.now().isoformat(timespec="seconds")})
    with farm.store.locks.night(said) as other:
        if other is not None:
            return _busy(other)
        return keep(farm, _Night(farm, asked, stage).run())


def keep(farm: Farm, night: Night) -> Night:
    """Write a night down as it has come out, or once more with what became of its delivery; return it, broken where that fails.

    A disk that is full at the end is no reason to keep quiet about what was built.
    """
    try:
        farm.records.nights.end(night.id, night.state, farm.clock.now(), to_text(night))
    except FarmError as error:
        words = "; ".join(filter(None, (night.broken, f"the report is not kept: {_words(error)}")))
        return replace(night, state="broken", broken=words, code=night.code if night.broken else error.exit_code)
    return night


def past(farm: Farm, prefix: str, limit: int = 30) -> tuple[Night, ...]:
    """Return the nights whose id begins so, newest first; "" finds the last ones. One that was killed has only its beginning."""
    if not (farm.root / "catalogue.sqlite").is_file():
        return ()
    return tuple(
        from_text(row.report) if row.report else Night(id=row.id, started=_text(row.started), state=row.state)
        for row in farm.records.nights.find(prefix, limit)
    )


def without(watched: Watched, names: Collection[str]) -> Watched:
    """Return what was watched with these sets as nobody's in particular: what they lack is in the plan, what is wrong with them a note."""
    others = tuple(each for each in watched.sets if each.watch.name not in names)
    wrong = [f"{each.watch.name}: {each.look.error}" for each in watched.sets if each.watch.name in names and each.look.error]
    return replace(watched, sets=others, notes=(*watched.notes, *wrong))


class _Night:
    def __init__(self, farm: Farm, asked: Asked, stage: Stage) -> None:
        self._farm = farm
        self._asked = asked
        self._stage = stage
        self._began = farm.clock.monotonic()
        self._begun_building = self._began
        self._night = Night(
            id=farm.run, started=_text(farm.clock.now()), run=farm.run, dry_run=asked.dry_run, budget_s=asked.budget,
        )  # fmt: skip

    def run(self) -> Night:
        try:
            if not self._asked.dry_run:
                self._farm.records.nights.begin(self._farm.run, self._farm.clock.now())
            night = self._done()
        except (FarmError, OSError) as raised:
            error = _own(raised)
            # With what is known by then: what was built is told whatever went wrong afterwards.
            night = replace(self._night, state="broken", broken=_words(error), code=error.exit_code)
        except KeyboardInterrupt:
            night = replace(self._night, state="stopped", code=Interrupted.exit_code)
        return replace(night, ended=_text(self._farm.clock.now()), seconds=round(self._farm.clock.monotonic() - self._began, 1))

    def _done(self) -> Night:
        farm = self._farm
        before = _before(farm)
        course = _Course(watched=self._look())
        ever = farm.records.nights.ever_built([str(job.pin.name) for job in course.watched.plan.jobs])
        course.work = choose(farm, course.watched, self._asked.budget)
        # However long the look took: a budget that it spent would never build anything.
        self._begun_building = farm.clock.monotonic()
        if not self._asked.dry_run:
            self._built(course)
        evening = Evening(
            watched=course.watched, rows=course.rows, later=course.work.later, waiting=course.work.waiting,
            expected=course.work.expected, before=before, ever=ever, day=day(farm.clock.now()),
        )  # fmt: skip
        if self._asked.dry_run:
            evening = replace(evening, rows=self._planned(course))
        night = replace(self._night, expected_s=round(course.work.expected_s, 1), notes=farm.notes())
        self._night = night = self._ended(tell(night, evening), course)
        if not (course.broken or course.stopped):
            night = self._tidied(night, course.watched)
        if course.broken is not None:
            return replace(night, code=course.broken.exit_code if isinstance(course.broken, FarmError) else FarmError.exit_code)
        return replace(night, code=exit_code(night, course.watched))

    def _look(self) -> Watched:
        from farm.wire.demand import client_sets  # noqa: PLC0415 - only what a command needs
        from farm.wire.watch import look, sets  # noqa: PLC0415 - the same

        with self._stage.looking() as progress:
            self._farm.progress = progress
            clients = client_sets(self._farm)
            watched = without(look(self._farm, (*sets(self._farm), *clients), progress.say), {each.name for each in clients})
            for more in MORE:
                watched = more(self._farm, watched)
            return watched

    def _planned(self, course: _Course) -> tuple[Row, ...]:
        from farm.engine.machine import Machine  # noqa: PLC0415 - only in a dry run

        # As if nothing had been done: each job that would be is told as a row of its own.
        machine = Machine(Plan(jobs=course.work.jobs), limit=1)
        return tuple(
            replace(row, state="build", reason="") for row in tally(jobs_rows(course.watched, course.work.jobs), machine.jobs)
        )

    def _built(self, course: _Course) -> None:
        """Build; what was built is told also where something goes wrong between two rounds or after them."""
        try:
            self._build(course)
        except (FarmError, OSError) as error:
            course.broken = course.broken or _own(error)
        except KeyboardInterrupt:
            course.stopped = True

    def _build(self, course: _Course) -> None:
        """Build; and where wheels say other dependencies than their sdists let guess, look again and build what is missing now."""
        farm = self._farm
        if not course.work.jobs:
            return
        begin(farm, NIGHTLY)
        try:
            for _ in range(_ROUNDS):
                self._round(course)
                if course.broken or course.stopped or not farm.surprising or self._left() == 0.0:
                    break
                seen = self._look()
                course.watched = _together(course.watched, seen)
                fresh = tuple(job for job in seen.plan.jobs if job.id not in course.tried)
                more = choose(farm, replace(seen, plan=Plan(jobs=fresh)), self._left())
                course.work = replace(more, later={**course.work.later, **more.later}, waiting={**course.work.waiting, **more.waiting})
                if not more.jobs:
                    break
        finally:
            self._remember(course)
            end(farm, farm.run, "broken" if course.broken else "stopped" if course.stopped else "ended")

    def _round(self, course: _Course) -> None:
        farm, work = self._farm, course.work
        farm.retry_jobs = work.again
        # Where time may run out, what is needed most is not to be what it runs out for.
        farm.first = work.first if self._asked.budget is not None else {}
        course.tried |= {job.id for job in work.jobs}
        rows = jobs_rows(course.watched, work.jobs)
        bell = Bell(farm, self._left(), self._asked.grace)
        try:
            with self._stage.building() as progress, bell:
                finished: Finished = farm.execute(Plan(jobs=work.jobs), progress)
        except (FarmError, OSError) as error:
            course.broken = _own(error)
            course.rows = (*course.rows, *(replace(row, state="cancelled", reason="the night broke off before") for row in rows))
            return
        told = {(row.name, row.version, row.target) for row in course.rows}
        made = tally(rows, finished.jobs)
        course.rows = (*course.rows, *(row for row in made if (row.name, row.version, row.target) not in told))
        course.broken = finished.broken
        course.stopped = finished.stopped and not bell.rung

    def _remember(self, course: _Course) -> None:
        """Have pages show at once what was built: the next look would find it only tomorrow."""
        done = {(row.name, row.version, row.target): row.file for row in course.rows if row.state == "built"}
        cells = {
            key: replace(cell, state="farm-wheel", file=done[key], reason="") for key, cell in course.watched.cells.items() if key in done
        }
        if cells:
            self._farm.records.watches.keep_cells(cells, self._farm.clock.now(), whole=False)

    def _left(self) -> float | None:
        if self._asked.budget is None:
            return None
        return max(0.0, self._asked.budget - (self._farm.clock.monotonic() - self._begun_building))

    def _ended(self, night: Night, course: _Course) -> Night:
        if course.broken is not None:
            return replace(night, state="broken", broken=_words(course.broken))
        return replace(night, state="stopped" if course.stopped else "ended")

    def _tidied(self, night: Night, watched: Watched) -> Night:
        farm = self._farm
        retired, returned = retire(farm, watched, dry_run=self._asked.dry_run)
        days, saved = _saved(farm)
        night = replace(night, retired=retired, returned=returned, saved_s=round(saved, 1), saved_days=days)
        return night if self._asked.dry_run else _collected(farm, night, watched)


def _campaigns(farm: Farm, watched: Watched) -> Watched:
    from farm.wire.campaign import with_campaigns  # noqa: PLC0415 - only while it looks

    return with_campaigns(farm, watched)


MORE: tuple[Callable[[Farm, Watched], Watched], ...] = (_campaigns,)
"""What gives a night further jobs beside the sets': each takes what was watched and returns it with more in its plan, and their users."""


def exit_code(night: Night, watched: Watched) -> int:
    """Return what `farm build` would for the same (docs/nightly.md)."""
    states = {cell.state for cell in watched.cells.values()}
    problems = {problem.kind for one in watched.sets for problem in one.problems}
    if night.state == "stopped":
        return Interrupted.exit_code
    if "unknown" in states:
        return 3
    if any(one.look.error for one in watched.sets):
        return 2
    if "unresolved" in problems:
        return 7
    return 1 if night.failing or night.regressions or night.hopeless or night.waiting or problems else 0


def _together(first: Watched, second: Watched) -> Watched:
    """Return what two looks of one night found: the first one's word holds for what it saw."""
    known = {job.id for job in first.plan.jobs}
    jobs = (*first.plan.jobs, *(job for job in second.plan.jobs if job.id not in known))
    return replace(
        second,
        plan=replace(second.plan, jobs=jobs),
        users={**second.users, **first.users},
        campaigns={**second.campaigns, **first.campaigns},
        cells={**second.cells, **first.cells},
        notes=tuple(dict.fromkeys((*first.notes, *second.notes))),
    )


def _collected(farm: Farm, night: Night, watched: Watched) -> Night:
    """Collect garbage; that it cannot is worth a note, and nothing more."""
    from farm.wire.keep import gc  # noqa: PLC0415 - only where there is a store

    if not (farm.settings.gc_roots or watched.sets):
        return night
    try:
        done = gc(farm, dry_run=False, keep=None)
    except FarmError as error:
        return replace(night, notes=(*night.notes, f"no garbage was collected: {_words(error)}"))
    size = sum(step.size for step in done.steps if step.removal != "wheel")
    return replace(night, collected=len(done.steps), collected_bytes=size)


def _before(farm: Farm) -> Night | None:
    """Return the last night in which the farm looked: at its sets, at what clients compile, at campaigns."""
    for row in farm.records.nights.begun():
        report = next((found.report for found in farm.records.nights.find(row.id, 1) if row.state != "running"), "")
        night = from_text(report) if report else None
        if night is not None and (night.sets or night.lacking or night.state == "ended"):
            return night
    return None


def _saved(farm: Farm) -> tuple[str, float]:
    """Return the days since the last night that came this far, whole ones only, and the seconds that downloads saved on them."""
    yesterday = farm.clock.now() - timedelta(days=1)
    last = next((row for row in farm.records.nights.begun(100) if row.state == "ended"), None)
    first = yesterday - timedelta(days=_FIRST_SAVED_DAYS - 1) if last is None else last.started
    if day(first) > day(yesterday):
        return "", 0.0
    days = day(first) if day(first) == day(yesterday) else f"{day(first)} to {day(yesterday)}"
    return days, farm.records.nights.saved(day(first), day(yesterday))


def _busy(said: str) -> Busy:
    try:
        found = json.loads(said)
        return Busy(pid=int(found["pid"]), since=str(found["since"]))
    except (ValueError, KeyError, TypeError):
        return Busy(pid=0, since="")


def _own(error: FarmError | OSError) -> FarmError:
    """Return the farm's own failure; of one of the system's what the command line makes of it."""
    if isinstance(error, FarmError):
        return error
    where = f": {error.filename}" if error.filename else ""
    return StoreError(f"{error.strerror or error}{where}", solution="check the disk's room and permissions")


def _words(error: BaseException) -> str:
    if isinstance(error, FarmError):
        return f"{error.reason}; {error.solution}" if error.solution else error.reason
    return f"{type(error).__name__}: {error}"


def _text(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="seconds")
