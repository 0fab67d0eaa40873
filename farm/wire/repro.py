"""`farm repro` put together: what an attempt was given is had again, and handed over in a container."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from farm.adapters.repro import Visit, visit
from farm.errors import UsageError
from farm.model.attempt import FAILED
from farm.model.build import BuildRequest, Limits
from farm.model.image import Image, parse_spec
from farm.model.job import Job, job_id
from farm.model.package import Digest, IndexFile, make_pin
from farm.model.target import parse_target
from farm.wire.hands import Workshop
from farm.work.build import path_of

if TYPE_CHECKING:
    from farm.model.attempt import Attempt
    from farm.model.edits import Visited
    from farm.model.inputs import Input, Inputs
    from farm.wire.assembly import Farm

_LAST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user wants of an attempt: see `farm repro --help`. `seconds` bounds the whole visit."""

    command: str | None
    build: bool
    seconds: float


def find(farm: Farm, build: str) -> tuple[Attempt, Inputs]:
    """Return an attempt by its id, the beginning of one, or the project whose last failure is meant. UsageError when there is none."""
    found = farm.find_attempts(build)
    if not found:
        of_project = farm.catalogue.attempts(canonicalize_name(build), _LAST)
        found = tuple(one for one in of_project if one.state in FAILED)[:1]
    if len(found) != 1:
        what = "no failed build" if not found else f"{len(found)} builds ({', '.join(one.id for one in found[:5])})"
        reason = f"expected the id of a build or the name of a project that failed, found {what} for {build!r}"
        raise UsageError(reason, solution="`farm status` lists the ids")
    inputs = farm.rooms.inputs(found[0].id)
    if inputs is None:
        reason = f"what {found[0].id} was given is not known: it did not come as far as building, or its log has been removed"
        raise UsageError(reason, solution="build it again, then repeat this")
    return found[0], inputs


def visited(farm: Farm, inputs: Inputs, wish: Wish) -> tuple[Visited, str]:
    """Build again and hand over; return how it went and a note where something is not as it was.

    UpstreamError when an input can no longer be had; ImageError, EngineError.
    """
    workshop = Workshop(farm)
    ports = workshop.hands().build
    job = _job(inputs)
    image, note = _image(farm, inputs, job)
    attempt = farm.new_id()
    with farm.rooms.room(attempt) as room:
        wheels = room.folder("wheels")
        for dependency in inputs.dependencies:
            room.place(path_of(_file(dependency), ports), wheels, dependency.filename)
        sdist = ports.downloads.fetch(job.sdist)
        crates = ports.crates.vendor(job, image, sdist, room.log) if job.rust else None
        limits = Limits(seconds=wish.seconds, memory=inputs.memory, processes=inputs.processes, cpus=inputs.cpus, disk=inputs.disk)
        request = BuildRequest(
            job=job, image=image, sdist=sdist, wheels=wheels, crates=crates, log=room.log, out=room.folder("out"), attempt=attempt,
            limits=limits, epoch=inputs.epoch,
        )  # fmt: skip
        return visit(workshop.host, Visit(request=request, command=wish.command, build=wish.build)), note


def _job(inputs: Inputs) -> Job:
    pin, target = make_pin(inputs.name, inputs.version), parse_target(inputs.target)
    return Job(
        id=job_id(pin, target), pin=pin, target=target, proofs=(), reason="repro", sdist=_file(inputs.sdist), kind=inputs.kind,
        rust=inputs.rust, asks=False, recipe=inputs.recipe, image=parse_spec(inputs.spec), requires=(), via=(),
    )  # fmt: skip


def _file(given: Input) -> IndexFile:
    return IndexFile(filename=given.filename, url=given.url, version=None, sha256=Digest(given.sha256) if given.sha256 else None)


def _image(farm: Farm, inputs: Inputs, job: Job) -> tuple[Image, str]:
    """Return the very image, else one made as farm would make it today."""
    stored = {one.image.digest: one.image for one in farm.images.list()}
    if inputs.image in stored:
        return stored[inputs.image], ""
    base = farm.images.ensure(job.image, lambda text: farm.progress.say(job.id, text))
    made = farm.images.overlay(base, job.recipe.packages_for(job.image.family), lambda text: farm.progress.say(job.id, text))
    return made, f"the image {inputs.image[:19]} is gone; this is {made.digest[:19]}, made as it would be made today"
