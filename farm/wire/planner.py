"""Planning on the way: what a build turns out to need becomes jobs of the running plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farm.model.build import BuildFailed
from farm.model.job import Plan
from farm.model.messages import More
from farm.model.outcome import Diagnosis
from farm.survey.detect import DetectPolicy
from farm.survey.plan import NoPlan, plan_more
from farm.wire.loads import load

if TYPE_CHECKING:
    from farm.model.job import Job
    from farm.wire.assembly import Farm
    from farm.wire.reading import Reading


class RunPlanner:
    """`ports.Planner` by the survey's own planning, with what the indexes have now."""

    def __init__(self, farm: Farm, reading: Reading) -> None:
        self._farm = farm
        self._reading = reading

    def plan(self, job: Job) -> tuple[Job, More]:
        policy = DetectPolicy(from_source=self._farm.settings.from_source, newest=self._reading.resolver.newest())
        try:
            better, made = plan_more(job, policy, self._reading.plan_ports())
        except NoPlan as error:
            found = error.refusal
            raise BuildFailed(Diagnosis(cause="missing-python-build-dep", summary=found.reason, remedy=found.remedy)) from error
        for note in made.notes:
            self._farm.note(note)
        weights = load(self._farm, Plan(jobs=made.jobs)).weights if made.jobs else {}
        return better, More(jobs=made.jobs, weights=weights)
