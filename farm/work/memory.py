"""What failed and would fail again: kept under the job's key, so that nothing is tried twice until an input changes.

The key holds what goes into a build. What else can decide whether it fails is in `inputs`: nothing for most failures, the limits for one
that met them, and how failures are healed for a job that was given up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farm.model.attempt import Lasting
from farm.model.outcome import Diagnosis, Failed, TimedOut

if TYPE_CHECKING:
    from farm.model.build import Limits
    from farm.model.job import Job, JobId, JobKey
    from farm.ports import Failures

_LIMITED = frozenset({"out-of-memory", "timed-out", "too-many-processes", "too-much-disk", "too-much-output"})
# Of these another build of the same may well succeed: the machine, the network or the farm is to blame.
_PASSING = frozenset({"killed", "network", "disk-full", "configuration", "integrity"})
_STAGES = frozenset({"build", "requirements"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The failures of before. `healing` says how failures are healed, in words that change when that does; empty when they are not.

    `retry` forgets nothing and heeds nothing: everything is tried again; `again` names jobs for which that holds without it.
    """

    failures: Failures
    limits: Limits
    healing: str = ""
    retry: bool = False
    again: frozenset[JobId] = frozenset()

    def recall(self, key: JobKey, job: Job) -> Failed | TimedOut | None:
        """Return how these inputs failed before, None where nothing is known or all is to be tried again."""
        if self.retry or job.id in self.again:
            return None
        hopeless = self.failures.find(key, f"healing {self.healing}") if self.healing else None
        found = hopeless or self.failures.find(key, "") or self.failures.find(key, self._bounds(job))
        if found is None:
            return None
        if found.diagnosis.cause == "timed-out":
            return TimedOut(attempt=found.attempt, limit=self.limits.within(job.recipe).seconds, seconds=found.seconds, remembered=True)
        return Failed(
            attempt=found.attempt, stage=found.stage, diagnosis=found.diagnosis, seconds=found.seconds, remembered=True,
            hopeless=hopeless is not None,
        )  # fmt: skip

    def keep(self, key: JobKey, job: Job, outcome: Failed | TimedOut) -> None:
        """Keep a failure that would come again; any other is let go, and so is one that was only recalled."""
        if outcome.remembered:
            return
        if isinstance(outcome, TimedOut):
            late = Diagnosis(cause="timed-out", summary=f"took longer than {outcome.limit:.0f} s")
            self._keep(key, self._bounds(job), Failed(attempt=outcome.attempt, stage="build", diagnosis=late, seconds=outcome.seconds))
            return
        cause = outcome.diagnosis.cause
        if outcome.stage in _STAGES and (cause not in _PASSING or (cause == "network" and not job.recipe.network)):
            self._keep(key, self._bounds(job) if cause in _LIMITED else "", outcome)

    def give_up(self, key: JobKey, failure: Failed) -> None:
        """Keep that healing was tried to its end: `key` is that of the first attempt, `failure` the last one."""
        if failure.stage in _STAGES and failure.diagnosis.cause not in _PASSING - {"network"}:
            self._keep(key, f"healing {self.healing}", failure)

    def _keep(self, key: JobKey, inputs: str, failure: Failed) -> None:
        self.failures.keep(
            Lasting(
                key=key, inputs=inputs, attempt=failure.attempt, stage=failure.stage, seconds=failure.seconds, diagnosis=failure.diagnosis
            )
        )

    def _bounds(self, job: Job) -> str:
        limits = self.limits.within(job.recipe)
        return f"limits {json.dumps([limits.seconds, limits.memory, limits.processes, limits.disk])}"
