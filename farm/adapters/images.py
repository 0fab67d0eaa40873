"""Builder and runtime images in the Docker engine: found by their inputs, built when those change.

An image's tag carries the digest of everything it is made from, and is set last: what has the tag is whole.
"""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from farm.adapters import debian_root, docker_engine
from farm.adapters.docker_engine import translated
from farm.adapters.image_files import ImageFiles, official_reference
from farm.adapters.image_maker import BASE, LIBC, PACKAGES, PYTHONS, ROOT, SPEC, ImageMaker, ImageSettings, Order
from farm.errors import ImageError
from farm.model.image import Availability, Image, StoredImage, candidates, parse_spec, system_packages, target_libc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from docker import DockerClient

    from farm.adapters.image_files import Recipe
    from farm.model.image import ImageSpec, Libc, Role
    from farm.model.target import Target

    Say = Callable[[str], None]

__all__ = ["DockerImages", "ImageSettings"]

# Long enough for a registry's answer, short enough to go on without one.
_REGISTRY_SECONDS = 15


class DockerImages:
    """The images of one engine (`farm.ports.Images`). Connects at the first use; every method may raise EngineError.

    `docker_host` is DOCKER_HOST's value, None for the local socket; `folder` another images/ than farm's own. `note` is
    told which family serves a target where there was a choice, and why.
    """

    def __init__(
        self, docker_host: str | None, settings: ImageSettings, folder: Path | None = None, note: Say = lambda _: None
    ) -> None:
        self._host = docker_host
        self._settings = settings
        self._note = note
        self._files = ImageFiles(folder)
        self._asked: dict[str, Availability] = {}
        self._silent: dict[str, str] = {}

    def choose(self, target: Target, role: Role = "builder") -> ImageSpec:
        """Return the best image that serves a target and can be had here. ImageError, saying what was tried, when none."""
        tried: list[str] = []
        libc = target_libc(target)
        offers = [offer for offer in self._files.offers() if offer.family in self._settings.families]
        fitting = candidates(offers, python=target.python_tag, libc=libc, arch=target.arch, role=role) if libc else ()
        for spec in fitting:
            if spec.family == "debian":
                if tried and role == "builder":
                    self._note(f"{target.name} is built in Debian's {spec.variant} image; {tried[0]}")
                return spec
            official = self.official_available(spec)
            if official.available or self.find(spec) is not None:
                if role == "builder":
                    how = "is at hand" if official.local else "can be pulled"
                    self._note(f"{target.name} is built in the official image {spec.variant}, which {how}")
                return spec
            tried.append(f"{spec.name}: {official.reason}")
        suites = "; ".join(
            f"{offer.variant}: {', '.join(offer.pythons)}, {offer.libc[0]} {offer.libc[1]}.{offer.libc[2]}"
            for offer in offers
            if offer.family == "debian"
        )
        raise ImageError(
            f"no {role} image serves {target.name}" + "".join(f"\n  {line}" for line in tried),
            solution="make the official images reachable, name your own in `[images.bases]` of config.toml,"
            f" or take a target that a Debian suite serves ({suites})",
        )

    def alternatives(self, target: Target) -> tuple[ImageSpec, ...]:
        """Return every builder image that serves a target and can be had here, the best first: a variant may have another
        compiler or Rust.
        """
        libc = target_libc(target)
        offers = [offer for offer in self._files.offers() if offer.family in self._settings.families]
        found = (
            candidates(offers, python=target.python_tag, libc=libc, arch=target.arch, role="builder") if libc else ()
        )
        return tuple(spec for spec in found if spec.family == "debian" or self.official_available(spec).available)

    def find(self, spec: ImageSpec) -> Image | None:
        """Return the image if one with today's inputs is in the engine; builds nothing."""
        if spec.family != "debian" and self._base(spec) is None:
            return None
        return self._stored(self._order(spec).reference)

    def ensure(self, spec: ImageSpec, say: Say) -> Image:
        """Return the image, building it when it is absent or its inputs changed.

        Two processes that want the same one build it once. ImageError when it cannot be built.
        """
        if spec.family != "debian" and self._base(spec) is None:
            raise ImageError(f"{spec.name} has no base image by default", solution=_name_base(spec))
        order = self._order(spec)
        found = self._stored(order.reference)
        if found is not None:
            return found
        with self._maker.lock(order.reference):
            if self._stored(order.reference) is None:
                self._maker.make(order, self._mirror if spec.family == "debian" else None, say)
            return self._made(order.reference)

    def overlay(self, base: Image, packages: Sequence[str], say: Say) -> Image:
        """Return `base` with system packages added, `base` itself when there are none. ImageError when one cannot be had."""
        names = system_packages(packages)
        if not names:
            return base
        recipe = self._files.overlay(base.spec, base.digest, names)
        order = Order(spec=base.spec, recipe=recipe, reference=_reference(base.spec, recipe))
        found = self._stored(order.reference)
        if found is not None:
            return found
        with self._maker.lock(order.reference):
            if self._stored(order.reference) is None:
                say(f"{base.spec.name}: adding {' '.join(names)}")
                self._maker.make_overlay(order, say)
            return self._made(order.reference)

    def list(self) -> tuple[StoredImage, ...]:
        """Return farm's images in the engine, overlays included, by name and age."""
        with translated("listing images"):
            found = self._client.images.list(filters={"label": SPEC})
            stored = [
                _stored_image(entry.attrs, tag) for entry in found for tag in entry.tags if tag.startswith("farm/")
            ]
        return tuple(sorted(stored, key=lambda one: (one.image.spec, one.created)))

    def remove(self, reference: str) -> None:
        """Remove one image, and the root file system below it when no other image needs that. ImageError if it is in use."""
        from docker.errors import APIError, ImageNotFound  # noqa: PLC0415 - see docker_engine

        with translated(f"removing {reference}"):
            try:
                self._client.images.remove(reference)
            except ImageNotFound as error:
                raise ImageError(
                    f"no image {reference} in the engine", solution="`farm images list` shows what is there"
                ) from error
            except APIError as error:
                if error.status_code != 409:
                    raise
                raise ImageError(
                    f"{reference} is in use: {error.explanation}", solution="end what uses it, then try again"
                ) from error
            self._remove_unused_roots()

    def official_available(self, spec: ImageSpec) -> Availability:
        """Return whether an official image can be had: asked of the engine and its registry once per process."""
        reference = self._base(spec)
        if reference is None:
            return Availability(reference="", local=False, reason=f"no base image by default; {_name_base(spec)}")
        if reference not in self._asked:
            self._asked[reference] = self._ask(reference)
        return self._asked[reference]

    def _ask(self, reference: str) -> Availability:
        from docker.errors import DockerException  # noqa: PLC0415
        from requests.exceptions import RequestException  # noqa: PLC0415

        if self._maker.identity(reference) is not None:
            return Availability(reference=reference, local=True)
        registry = reference.split("/", 1)[0]
        if registry not in self._silent:
            try:
                docker_engine.connect(self._host, timeout=_REGISTRY_SECONDS).images.get_registry_data(reference)
            except (DockerException, RequestException) as error:
                # one answer speaks for the whole registry: the next variant must not wait for the same silence
                self._silent[registry] = f"cannot be pulled: {getattr(error, 'explanation', None) or error}"
            else:
                return Availability(reference=reference, local=False)
        return Availability(reference=reference, local=False, reason=self._silent[registry])

    @cached_property
    def _client(self) -> DockerClient:
        return docker_engine.connect(self._host)

    @cached_property
    def _maker(self) -> ImageMaker:
        return ImageMaker(self._client, self._files, self._settings)

    @cached_property
    def _mirror(self) -> debian_root.Mirror:
        return debian_root.mirror(self._settings.debian_mirror, self._settings.apt, self._files.suites())

    @cached_property
    def _certificates(self) -> bytes:
        try:
            return self._settings.certificates.read_bytes()
        except OSError as error:
            raise ImageError(
                f"expected the host's CA certificates at {self._settings.certificates}, found: {error.strerror}",
                solution="set SSL_CERT_FILE to the bundle that this host trusts",
            ) from error

    def _base(self, spec: ImageSpec) -> str | None:
        return self._settings.bases.get(spec.name) or (None if spec.family == "debian" else official_reference(spec))

    def _order(self, spec: ImageSpec) -> Order:
        sources = ""
        if spec.family == "debian":
            sources = "\n".join(self._mirror.sources(self._files.suite(spec.variant)))
        recipe = self._files.recipe(spec, self._certificates, base=self._base(spec), mirror=sources)
        return Order(spec=spec, recipe=recipe, reference=_reference(spec, recipe))

    def _stored(self, reference: str) -> Image | None:
        from docker.errors import ImageNotFound  # noqa: PLC0415

        with translated("looking for an image"):
            try:
                return _image(self._client.images.get(reference).attrs, reference)
            except ImageNotFound:
                return None

    def _made(self, reference: str) -> Image:
        image = self._stored(reference)
        assert image is not None, "the engine has just tagged it"
        return image

    def _remove_unused_roots(self) -> None:
        used = {
            f"{one.image.spec.variant}-{one.image.spec.arch}"
            for one in self.list()
            if one.image.spec.family == "debian"
        }
        for entry in self._client.images.list(filters={"label": ROOT}):
            # images built on a root inherit its label, but not its name
            for tag in entry.tags:
                if "-root:" in tag and entry.labels[ROOT] not in used:
                    self._client.images.remove(tag)


def _reference(spec: ImageSpec, recipe: Recipe) -> str:
    return f"farm/{spec.name}:{recipe.digest[:12]}"


def _image(attributes: dict[str, Any], reference: str) -> Image:
    labels = attributes["Config"]["Labels"]
    kind, major, minor = labels[LIBC].split()
    libc: Libc = ("musl" if kind == "musl" else "glibc", int(major), int(minor))
    return Image(
        spec=parse_spec(labels[SPEC]),
        reference=reference,
        digest=attributes["Id"],
        pythons=tuple(labels[PYTHONS].split()),
        libc=libc,
    )


def _stored_image(attributes: dict[str, Any], reference: str) -> StoredImage:
    labels = attributes["Config"]["Labels"]
    return StoredImage(
        image=_image(attributes, reference),
        size=attributes["Size"],
        created=datetime.fromisoformat(attributes["Created"]),
        packages=tuple(labels.get(PACKAGES, "").split()) if BASE in labels else (),
    )


def _name_base(spec: ImageSpec) -> str:
    return f'name one in config.toml: `[images.bases]` "{spec.name}" = "REFERENCE@sha256:DIGEST"'
