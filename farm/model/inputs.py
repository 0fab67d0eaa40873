"""What one attempt at a build was given, so that it can be given again (`farm repro`).

Written before the build, of failed ones too; `provenance.BuildFacts` are written after one that made a wheel, and tell what came of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from farm.model.job import Kind, Recipe  # noqa: TC001 - a decoder reads the types of Inputs when it runs
from farm.model.package import NormalizedName  # noqa: TC001 - the same

if TYPE_CHECKING:
    from farm.model.build import BuildRequest
    from farm.model.job import Job
    from farm.model.package import IndexFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A file by its name, where it came from (empty: the farm's own store), and its sha256 in hex digits."""

    filename: str
    url: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """One attempt's sdist, build dependencies, image and recipe; `image` is the engine's ID, `reference` its name there.

    `spec` is the name of the image without what the recipe added, `epoch` SOURCE_DATE_EPOCH. `seconds`, `memory` (bytes), `processes`,
    `cpus` and `disk` (bytes) are the limits that it had.
    """

    attempt: str
    name: NormalizedName
    version: str
    target: str
    kind: Kind
    rust: bool
    sdist: Input
    dependencies: tuple[Input, ...]
    image: str
    reference: str
    spec: str
    recipe: Recipe
    epoch: int
    seconds: float
    memory: int
    processes: int
    cpus: float
    disk: int


def inputs_of(job: Job, request: BuildRequest, dependencies: tuple[Input, ...]) -> Inputs:
    """Return what a build is given."""
    limits = request.limits
    return Inputs(
        attempt=request.attempt, name=job.pin.name, version=str(job.pin.version), target=job.target.full_name, kind=job.kind, rust=job.rust,
        sdist=as_input(job.sdist), dependencies=dependencies, image=request.image.digest, reference=request.image.reference,
        spec=job.image.name, recipe=job.recipe, epoch=request.epoch, seconds=limits.seconds, memory=limits.memory,
        processes=limits.processes, cpus=limits.cpus, disk=limits.disk,
    )  # fmt: skip


def as_input(file: IndexFile) -> Input:
    """Return a file of an index as an input."""
    return Input(filename=file.filename, url=file.url, sha256=file.sha256 or "")
