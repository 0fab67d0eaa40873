"""What healed a build -> a recipe to keep, with the evidence for it. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from farm.model.healing import Evidence, Learned, mended
from farm.model.recipes import less

if TYPE_CHECKING:
    from datetime import datetime

    from farm.model.healing import Mend
    from farm.model.job import Job, Recipe
    from farm.model.outcome import Diagnosis, Failed
    from farm.model.package import Version

_PYTHON_SIDE = frozenset({"build-constraint", "build-override", "build-requires", "cythonize", "old-names", "environment"})


def learned(job: Job, configured: Recipe, at: datetime) -> Learned | None:
    """Return the recipe that healed a job which has been proven; None when it did not fail, or the next attempt needed nothing.

    `configured` is what config.toml says already, which is not learned.
    """
    kept = mended(job.trials)
    recipe = less(job.recipe, configured)
    if recipe == type(recipe)() or all(mend.kind in {"again", "image"} for mend in kept):
        return None
    found = _lesson(job, kept, recipe, at)
    evidence = (
        _evidence(trial.attempt, trial.diagnosis, trial.mend)
        for trial in job.trials
        if any(trial.mend is mend for mend in kept)
    )
    return replace(found, evidence=tuple(evidence))


def proposed(job: Job, failure: Failed, proposal: Mend, configured: Recipe, at: datetime) -> Learned:
    """Return a proposal as a recipe that nobody has tried: for a person to read, never used by itself."""
    found = _lesson(job, (proposal,), less(proposal.recipe, configured), at)
    return replace(found, evidence=(_evidence(failure.attempt, failure.diagnosis, proposal),), proposed=True)


def _evidence(attempt: str, diagnosis: Diagnosis, mend: Mend) -> Evidence:
    return Evidence(attempt=attempt, cause=diagnosis.cause, line=diagnosis.line, change=mend.text)


def _lesson(job: Job, kept: tuple[Mend, ...], recipe: Recipe, at: datetime) -> Learned:
    python_side = any(mend.kind in _PYTHON_SIDE for mend in kept)
    return Learned(
        name=job.pin.name, version=str(job.pin.version), versions=version_range(job.pin.version, up_to=python_side),
        python=job.target.python_tag if python_side else "", target=job.target.name, recipe=recipe, evidence=(), at=at,
    )  # fmt: skip


def version_range(version: Version, *, up_to: bool) -> str:
    """Return the versions for which what healed one holds: its major line (0.x and 1.x differ as much as 1.x and 2.x).

    `up_to` leaves later ones out: a bound on a build requirement is for old sources, and harms newer ones.
    """
    epoch = f"{version.epoch}!" if version.epoch else ""
    line = f"=={epoch}{version.major}.*"
    return f"{line},<={version.public}" if up_to else line
