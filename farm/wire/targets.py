"""Targets as real interpreters tell them: this machine's, an image's, and those of the farm's own images."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from farm.adapters.docker_engine import connect
from farm.adapters.interpreter import ImageInterpreters, ask_host
from farm.adapters.interpreter import told as content
from farm.errors import EngineError, ImageError, StoreError, UsageError
from farm.model.client import Client, client_ranks, parse_pip
from farm.model.interpreter import Interpreter, differences, running, target_of
from farm.wire.exact import exact_targets, keep_versions

if TYPE_CHECKING:
    from collections.abc import Callable

    from farm.model.image import Image, ImageSpec
    from farm.model.job import Plan
    from farm.model.target import Target
    from farm.wire.assembly import Farm


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """An interpreter and the target that it is. `remarks` tell where it and the farm's own tables differ."""

    target: Target
    interpreter: Interpreter
    tags: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    @property
    def json(self) -> dict[str, Any]:
        told = content(self.interpreter)
        return {
            "target": self.target.full_name, "name": self.target.name, **told, "tags": list(self.tags), "remarks": list(self.remarks),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A configured target. `image` is the builder image that would serve it, or why none does."""

    target: Target
    image: str
    served: bool


def detect(farm: Farm, python: str | None) -> Detected:
    """Return the target of the interpreter that runs the farm, or of the one at `python`. UsageError when it is none."""
    return detected(ask_host(python or running().path, dict(farm.env)))


def from_image(farm: Farm, reference: str, python: str | None) -> tuple[Detected, ...]:
    """Return the targets of an image's interpreters. EngineError; ImageError when it has no Python 3.

    Interpreters that no target is like are left out where there are others.
    """
    found = _interpreters(farm).ask(reference, python)
    made: list[Detected] = []
    strange: UsageError | None = None
    for interpreter in found:
        try:
            made.append(detected(interpreter))
        except UsageError as error:
            strange = error
    if strange is not None and not made:
        raise strange
    return tuple(made)


def detected(interpreter: Interpreter) -> Detected:
    """Return the target of an interpreter; its tags are its own pip's where it has one, else today's pip's."""
    target = target_of(interpreter)
    client = Client(version=parse_pip(interpreter.pip)) if interpreter.pip else Client()
    own = tuple(str(tag) for tag in client_ranks(target, client))
    tags = tuple(dict.fromkeys(interpreter.tags)) or own
    return Detected(target=target, interpreter=interpreter, tags=tags, remarks=differences(interpreter, own))


def configured(farm: Farm) -> tuple[Listed, ...]:
    """Return the configured targets, each with the image that would serve it.

    A farm image that is in the engine is asked for its real versions, which `exact_targets` gives from then on.
    """
    served: dict[Target, tuple[str, bool]] = {}
    for target in farm.settings.targets:
        try:
            spec = farm.builder_image(target)
        except (ImageError, EngineError) as error:
            served[target] = (error.reason.splitlines()[0], False)
            continue
        served[target] = (spec.name, True)
        try:
            farm.images.check_runs(spec)
        except ImageError as error:
            farm.note(f"{target.name}: {error.reason}; {error.solution}")
        with suppress(EngineError):
            image = farm.images.find(spec)
            if image is not None:
                remember(farm, image)
    exact = exact_targets(served, farm.cache)
    return tuple(Listed(target=now, image=image, served=ok) for now, (image, ok) in zip(exact, served.values(), strict=True))


def remember(farm: Farm, image: Image) -> None:
    """Ask one of the farm's own images for its interpreters, once for each digest, and keep their versions by target."""
    keep_versions(farm.cache, [found.target for found in from_image(farm, image.digest, None)])


def remember_used(farm: Farm, plan: Plan) -> None:
    """Remember the interpreters of the images that a build used, so that the next survey of these targets is exact.

    A runtime image's goes before a builder's, which may have a lower libc. What cannot be asked now is left for another time.
    """
    targets = dict.fromkeys(proof.target for job in plan.jobs for proof in job.proofs)
    wanted: list[Callable[[], ImageSpec]] = [partial(farm.builder_image, target) for target in targets]
    wanted += [partial(farm.images.choose, target, "runtime") for target in targets]
    seen: set[ImageSpec] = set()
    for choose in wanted:
        with suppress(EngineError, ImageError, UsageError, StoreError):
            spec = choose()
            image = None if spec in seen else farm.images.find(spec)
            seen.add(spec)
            if image is not None:
                remember(farm, image)


def _interpreters(farm: Farm) -> ImageInterpreters:
    return ImageInterpreters(lambda: connect(farm.env.get("DOCKER_HOST")), farm.cache / "interpreters")
