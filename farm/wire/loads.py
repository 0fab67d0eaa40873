"""What this machine has for builds, and what those of a plan are expected to take of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farm.engine.floor import STEPS
from farm.model.load import Load
from farm.survey.cost import PastBuild
from farm.survey.weigh import Fair, weights
from farm.wire.site import memory, processors

if TYPE_CHECKING:
    from farm.model.job import Plan
    from farm.wire.assembly import Farm


def slots(farm: Farm) -> int:
    """Return how many commands may be under way at once: what the user said, else what the processors may have room for.

    Unseen builds take a processor each, so that these many at once are builds known to be light, and proofs.
    """
    return farm.settings.jobs or 2 * processors()


def share(farm: Farm) -> float:
    """Return the processors of each build when as many as the user wants are under way."""
    return max(1.0, processors() / farm.jobs)


def load(farm: Farm, plan: Plan) -> Load:
    """Return the machine's memory and processors, and each job's weight by what the catalogue knows of such builds."""
    names = tuple(dict.fromkeys(job.pin.name for job in plan.jobs))
    past = [
        PastBuild(name=name, version=version, target=target, seconds=seconds)
        for name, version, target, seconds in farm.store.catalogue.durations(names)
    ]
    room = memory()
    step = max(1, room // STEPS)
    # Rounded down to the floor's steps: so many unseen builds as the user wants must fit beside each other.
    fair = Fair(memory=min(farm.settings.memory, max(step, room // farm.jobs // step * step)), cpus=int(share(farm) * 8) / 8)
    known = weights(plan.jobs, past, farm.records.usages.of(names), fair)
    return Load(memory=room, cpus=max(float(processors()), farm.jobs * fair.cpus), weights=known, first=farm.first)
