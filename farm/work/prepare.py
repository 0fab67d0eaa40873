"""Asks a build backend, in a locked-down container, for the metadata that an sdist does not state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farm.model.build import BuildRequest
from farm.model.image import of_variant
from farm.model.job import Job, job_id
from farm.model.requirements import required
from farm.work.build import EPOCH_WITHOUT_UPLOAD_TIME, path_of

if TYPE_CHECKING:
    from farm.model.job import Recipe, SdistFacts
    from farm.model.package import IndexFile, Pin
    from farm.model.target import Target
    from farm.ports import Room
    from farm.work.build import BuildPorts


def prepare(source: tuple[Pin, IndexFile, Target], facts: SdistFacts, recipe: Recipe, ports: BuildPorts) -> str:
    """Return the METADATA that the backend computes (PEP 517 prepare_metadata_for_build_wheel). Network off, as in a build.

    FarmError when it cannot be had; the engine's and the store's own failures keep their class.
    """
    pin, sdist, target = source
    variant = recipe.variant
    spec = of_variant(ports.images.alternatives(target), variant, target) if variant else ports.images.choose(target, "builder")
    job = Job(
        id=job_id(pin, target), pin=pin, target=target, proofs=(), reason="metadata", sdist=sdist, kind="native",
        rust=facts.rust, asks=facts.asks, recipe=recipe, image=spec, requires=(), via=(),
    )  # fmt: skip
    attempt = f"{ports.run}-metadata-{job.id}"
    ports.progress.say(job.id, "asking its build backend for metadata")
    try:
        with ports.rooms.room(attempt) as room:
            return ports.builder.metadata(_request(job, facts, room, attempt, ports))
    finally:
        ports.progress.say(job.id, "metadata: its build backend was asked")


def _request(job: Job, facts: SdistFacts, room: Room, attempt: str, ports: BuildPorts) -> BuildRequest:
    def say(text: str) -> None:
        ports.progress.say(job.id, text)

    image = ports.images.overlay(ports.images.ensure(job.image, say), job.recipe.packages_for(job.image.family), say)
    folder = room.folder("wheels")
    wanted = required(facts.build_requires, job.recipe)
    for file in ports.toolbox.wheels(wanted, job.recipe, job.target):
        room.place(path_of(file, ports), folder, file.filename)
    request = BuildRequest(
        job=job, image=image, sdist=ports.downloads.fetch(job.sdist), wheels=folder, crates=None, log=room.log,
        out=room.folder("out"), attempt=attempt, limits=ports.limits.within(job.recipe), epoch=EPOCH_WITHOUT_UPLOAD_TIME,
    )  # fmt: skip
    more = ports.builder.requirements(request) if facts.asks else ()
    if more:
        for file in ports.toolbox.wheels((*wanted, *more), job.recipe, job.target):
            room.place(path_of(file, ports), folder, file.filename)
    return request
