"""A circle of build dependencies -> the wheels that break it: an older (or newer) release of one member that has a wheel already."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from farm.model.gap import Present
from farm.survey.detect import best_wheel
from farm.survey.environment import NoEnvironment, environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from farm.model.gap import Cell
    from farm.model.job import Job
    from farm.model.package import IndexFile, Pin, Version
    from farm.survey.detect import DetectPolicy
    from farm.survey.environment import EnvironmentPorts

_TRIED = 5
"""How many releases are tried: each is a resolution of its own."""


def bootstrap(job: Job, need: Pin, texts: Sequence[str], policy: DetectPolicy, ports: EnvironmentPorts) -> tuple[Cell, ...] | None:
    """Return the build environment of a job with another release of `need`, the newest that will do, where all of it has wheels.

    `texts` are the job's build requirements, which hold, as do its recipe's constraints. `policy` is that of builds: what is to be
    built from source has no wheels that count. None where there is no such environment; UpstreamError when an index did not answer.
    """
    for version in islice(_releases(job, need, texts, policy, ports), _TRIED):
        constraints = (*job.recipe.build_constraints, f"{need.name}=={version}")
        try:
            cells = environment(texts, constraints, job.target, policy=policy, ports=ports)
        except NoEnvironment:
            continue
        if all(isinstance(cell.presence, Present) for cell in cells):
            return cells
    return None


def _releases(
    job: Job, need: Pin, texts: Sequence[str], policy: DetectPolicy, ports: EnvironmentPorts
) -> Iterator[Version]:
    """Yield the releases of a project that have a wheel for the job's target and meet its requirements, the newest first."""
    theirs, ours = ports.upstream.project(need.name), ports.farm.project(need.name)
    # A bound of `==` would let in what is yanked or too young: such files do not count here.
    usable = [file for file in theirs.files if policy.old_enough(file)] if theirs and not policy.forced(need.name) else []
    files: dict[Version, list[IndexFile]] = {}
    for file in (*usable, *(ours.files if ours else ())):
        if file.version is not None and file.is_wheel and not file.yanked:
            files.setdefault(file.version, []).append(file)
    for version in sorted(files, reverse=True):
        final = not version.is_prerelease or need.version.is_prerelease
        if version != need.version and final and _meets(version, need, texts) and best_wheel(files[version], job.target):
            yield version


def _meets(version: Version, need: Pin, texts: Sequence[str]) -> bool:
    """Whether no requirement that names the project itself rules the release out; what others ask of it, the resolver knows."""
    for text in texts:
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            continue
        if canonicalize_name(wanted.name) == need.name and not wanted.specifier.contains(version, prereleases=True):
            return False
    return True
