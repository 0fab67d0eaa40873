"""Building what no command line's requirements ask for: a campaign's goals, a backfill's pins. Ordinary builds, as a plan's are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from farm.engine.tally import tally
from farm.errors import FarmError
from farm.model.job import Plan
from farm.model.report import Row
from farm.model.watch import Watched
from farm.wire.bell import Bell
from farm.wire.night_work import choose
from farm.wire.records import EXTRA, begin, end

if TYPE_CHECKING:
    from collections.abc import Callable

    from farm.model.job import Job, JobId
    from farm.wire.assembly import Farm
    from farm.wire.night import Asked, Stage

_ROUNDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What came of it: a row for each job, those that there was no time for, and those that wait as they failed lately, with why."""

    rows: tuple[Row, ...] = ()
    later: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    broken: BaseException | None = None
    stopped: bool = False


def carry_out(farm: Farm, wanted: Callable[[], Plan], asked: Asked, stage: Stage) -> Carried:
    """Build what `wanted` plans, and what it plans then, until it plans nothing new or the time is up. What failed lately waits."""
    began = farm.clock.monotonic()
    found = Carried()
    tried: set[JobId] = set()
    begun = False
    try:
        for _ in range(_ROUNDS):
            try:
                with stage.looking() as progress:
                    farm.progress = progress
                    plan = wanted()
            except (FarmError, KeyboardInterrupt) as error:
                if not begun:
                    raise
                # What was built is told whatever goes wrong afterwards.
                found = replace(found, broken=error) if isinstance(error, FarmError) else replace(found, stopped=True)
                break
            left = None if asked.budget is None else max(0.0, asked.budget - (farm.clock.monotonic() - began))
            work = choose(farm, Watched(plan=replace(plan, jobs=tuple(job for job in plan.jobs if job.id not in tried))), left)
            waiting = tuple(dict.fromkeys((*found.waiting, *work.waiting)))
            found = replace(found, later=tuple(work.later), waiting=waiting)
            if not work.jobs or left == 0.0:
                break
            if not begun:
                begin(farm, EXTRA)
                begun = True
            farm.retry_jobs = work.again
            tried |= {job.id for job in work.jobs}
            found = _round(farm, work.jobs, found, (stage, Bell(farm, left, asked.grace)))
            if found.broken or found.stopped:
                break
    finally:
        if begun:
            end(farm, farm.run, "broken" if found.broken else "stopped" if found.stopped else "ended")
    return found


def _round(farm: Farm, jobs: tuple[Job, ...], before: Carried, course: tuple[Stage, Bell]) -> Carried:
    stage, bell = course
    rows = tuple(
        Row(
            name=str(job.pin.name), version=str(job.pin.version), target=job.target.name, state="build", reason=job.reason,
            required_by=job.via,
        )
        for job in jobs
    )  # fmt: skip
    try:
        with stage.building() as progress, bell:
            finished = farm.execute(Plan(jobs=jobs), progress)
    except FarmError as error:
        lost = tuple(replace(row, state="cancelled", reason="the run broke off before") for row in rows)
        return replace(before, rows=(*before.rows, *lost), broken=error)
    return replace(
        before, rows=(*before.rows, *tally(rows, finished.jobs)), broken=finished.broken, stopped=finished.stopped and not bell.rung
    )
