"""Builder and runtime images in the Docker engine: found by their inputs, built when those change.

An image's tag carries the digest of everything it is made from, and is set last: what has the tag is whole.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from farm.adapters import debian_root, docker_engine, emulation
from farm.adapters.docker_engine import translated
from farm.adapters.image_files import ImageFiles, official_reference
from farm.adapters.image_maker import ImageMaker, ImageSettings, Order
from farm.adapters.image_pins import REGISTRY_SECONDS, look_at_image, look_at_suite, moved, read_lock, write_lock
from farm.adapters.image_stock import ImageStock, image_of
from farm.errors import ImageError
from farm.model.image import Availability, candidates, system_packages, target_libc
from farm.model.image_lock import movable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from docker import DockerClient

    from farm.adapters.image_files import Recipe
    from farm.model.image import Image, ImageSpec, Role, StoredImage
    from farm.model.image_lock import ImageLock, Looked, Pruning, Surplus
    from farm.model.target import Target

    Say = Callable[[str], None]

__all__ = ["DockerImages", "ImageSettings"]


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

        Two processes that want the same one build it once. ImageError when it cannot be built, or could not run here.
        """
        named = None if spec.family == "debian" else self._base(spec)
        if spec.family != "debian" and named is None:
            raise ImageError(f"{spec.name} has no base image by default", solution=_name_base(spec))
        self.check_runs(spec)
        order = self._order(spec)
        found = self._stored(order.reference)
        if found is not None:
            return found
        if named is not None and "@" not in named:
            self._note(f"{spec.name} is made of {named}, whatever that is today: `farm images update` pins it")
        below = self._free_threaded_below(spec, say) if spec.free_threaded else {}
        with self._maker.lock(order.reference):
            if self._stored(order.reference) is None:
                self._maker.make(order, below or self._below(spec, say), say)
            return self._made(order.reference)

    def _below(self, spec: ImageSpec, say: Say) -> dict[str, str]:
        named = None if spec.family == "debian" else self._base(spec)
        return {"BASE": self._maker.root(spec, self._mirror, say) if named is None else self._maker.pull(spec, named, say)}

    def _free_threaded_below(self, spec: ImageSpec, say: Say) -> dict[str, str]:
        """Return what an image with a free-threaded Python is made on: the plain one, and what was compiled in the builder."""
        builder = self.ensure(replace(spec.plain, role="builder"), say)
        base = builder if spec.role == "builder" else self.ensure(spec.plain, say)
        return {"BASE": base.digest, "CPYTHON": self._maker.cpython(spec, self._mirror, builder.digest, say)}

    def check_runs(self, spec: ImageSpec) -> None:
        """Do nothing where programs of an image's architecture run here; else ImageError. An engine elsewhere is believed."""
        if docker_engine.is_local(self._host):
            emulation.check(spec.arch, self._settings.binfmt)

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
        return self._stock.list()

    def remove(self, reference: str) -> None:
        """Remove one image, and the root file system below it when no other image needs that. ImageError if it is in use."""
        layer = self._stock.lowest_layer(reference)
        self._stock.remove(reference)
        for root in self._stock.unused_roots(layer):
            self._stock.remove(root)

    def prune(self, request: Pruning) -> tuple[tuple[Surplus, ...], int]:
        """Remove what nothing needs any more. What a container uses stays, and says so.

        Returns all of it, and the bytes that the engine got back (0 in a dry run).
        """
        found = self._stock.surplus(request)
        if request.dry_run or not found:
            return found, 0
        size = self._stock.size()
        done = []
        for one in found:
            try:
                self._stock.remove(one.reference)
                done.append(one)
            except ImageError as error:
                done.append(replace(one, kept=error.reason))
        return tuple(done), size - self._stock.size()

    def update(self, specs: Iterable[ImageSpec], *, dry_run: bool = False) -> tuple[Looked, ...]:
        """Move the pins of what these images are made from to the newest there is, in the lock file; builds nothing.

        An archive or registry that does not answer leaves its pin where it is, and is among the answers. UsageError,
        StoreError for the lock file.
        """
        lock = self._lock
        found: dict[tuple[str, str], Looked] = {}
        for spec in specs:
            if spec.family == "debian":
                if ("suite", spec.suite) not in found:
                    suite = self._files.suite(spec.suite)
                    found["suite", spec.suite] = look_at_suite(suite, self._mirror, lock, self._settings)
                continue
            named = self._named(spec)
            if named is None:
                raise ImageError(f"{spec.name} has no base image by default", solution=_name_base(spec))
            official = spec.name not in self._settings.bases
            found["image", spec.name] = look_at_image(spec.name, (named, official), lock, self._host)
        after = moved(lock, found.values())
        if after != lock and not dry_run and self._settings.lock is not None:
            write_lock(self._settings.lock, after)
            self.__dict__.pop("_lock", None)
            self.__dict__.pop("_mirror", None)
        return tuple(found.values())

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
                docker_engine.connect(self._host, timeout=REGISTRY_SECONDS).images.get_registry_data(reference)
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
    def _stock(self) -> ImageStock:
        return ImageStock(self._client, self._references)

    def _references(self, spec: ImageSpec) -> frozenset[str]:
        """Return the references that a spec and what it is made on have with today's inputs; none when it cannot be made."""
        try:
            if spec.family != "debian" and self._base(spec) is None:
                return frozenset()
            mine = self._order(spec).reference
            below = self._maker.references(spec, self._mirror) if spec.family == "debian" else ()
            plain = self._references(spec.plain) if spec.free_threaded else ()
        except ImageError:
            return frozenset()
        return frozenset({mine, *below, *plain})

    @cached_property
    def _lock(self) -> ImageLock:
        return read_lock(self._settings.lock)

    @cached_property
    def _mirror(self) -> debian_root.Mirror:
        found = debian_root.mirror(self._settings.debian_mirror, self._settings.apt, self._files.suites())
        return replace(found, pins=self._lock.suites)

    @cached_property
    def _certificates(self) -> bytes:
        try:
            return self._settings.certificates.read_bytes()
        except OSError as error:
            raise ImageError(
                f"expected the host's CA certificates at {self._settings.certificates}, found: {error.strerror}",
                solution="set SSL_CERT_FILE to the bundle that this host trusts",
            ) from error

    def _named(self, spec: ImageSpec) -> str | None:
        """Return the base that config.toml names, else the official one as cibuildwheel pins it."""
        return self._settings.bases.get(spec.name) or official_reference(spec)

    def _base(self, spec: ImageSpec) -> str | None:
        """Return the base as it is to be used: by the lock file's digest where it has one for this very reference."""
        named = None if spec.family == "debian" else self._named(spec)
        pin = self._lock.images.get(spec.name)
        if named is not None and pin is not None:
            official = spec.name not in self._settings.bases
            return pin.pinned if pin.reference == movable(named, official=official) else named
        return named

    def _order(self, spec: ImageSpec) -> Order:
        sources = ""
        if spec.family == "debian":
            sources = self._mirror.identity(self._files.suite(spec.suite))
        recipe = self._files.recipe(spec, self._certificates, base=self._base(spec), mirror=sources)
        return Order(spec=spec, recipe=recipe, reference=_reference(spec, recipe))

    def _stored(self, reference: str) -> Image | None:
        from docker.errors import ImageNotFound  # noqa: PLC0415

        with translated("looking for an image"):
            try:
                return image_of(self._client.images.get(reference).attrs, reference)
            except ImageNotFound:
                return None

    def _made(self, reference: str) -> Image:
        image = self._stored(reference)
        assert image is not None, "the engine has just tagged it"
        return image


def _reference(spec: ImageSpec, recipe: Recipe) -> str:
    return f"farm/{spec.name}:{recipe.digest[:12]}"


def _name_base(spec: ImageSpec) -> str:
    return f'name one in config.toml: `[images.bases]` "{spec.name}" = "REFERENCE@sha256:DIGEST"'
