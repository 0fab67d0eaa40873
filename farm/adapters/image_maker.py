"""Making one image: root file system, context, build, a look at what came out, and only then its labels and its tag."""

from __future__ import annotations

import fcntl
import json
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from farm.adapters import debian_root, docker_engine
from farm.adapters.docker_engine import BuildRequest, translated
from farm.adapters.image_files import debian_architecture, oci_platform, write_context
from farm.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from docker import DockerClient

    from farm.adapters.image_files import ImageFiles, Recipe
    from farm.model.image import Family, ImageSpec

    Say = Callable[[str], None]

SPEC, INPUTS, PYTHONS, LIBC = "farm.image.spec", "farm.image.inputs", "farm.image.pythons", "farm.image.libc"
BASE, PACKAGES, STAGE, ROOT = "farm.image.base", "farm.image.packages", "farm.image.stage", "farm.image.root"
# Images that are only there to be copied from, or to be FROM: they run nothing.
PART = "farm.image.part"
_PROBE_PYTHON = {"builder": "/opt/python/cp39-cp39/bin/python", "runtime": "/opt/farm/bin/python"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageSettings:
    """What images are made with.

    `cache` is a folder for locks, logs and passing archives. `certificates` is the host's bundle of CA certificates.
    `pip` holds pip's own variables for the build only (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_TRUSTED_HOST, PIP_PROXY),
    `proxies` the usual ones (HTTP_PROXY and so on). `bases` maps an official image's name (`ImageSpec.name`) to a
    reference of the site's own; `families` are the ones that may be used. `host` is what mmdebstrap runs with (PATH and its
    like), None for this process's own environment. `lock` is the file of pins, `binfmt` where the kernel tells what it
    emulates.
    """

    cache: Path
    certificates: Path
    debian_mirror: str | None = None
    pip: Mapping[str, str] = field(default_factory=dict)
    proxies: Mapping[str, str] = field(default_factory=dict)
    bases: Mapping[str, str] = field(default_factory=dict)
    families: tuple[Family, ...] = ("manylinux", "musllinux", "debian")
    apt: Path = Path("/etc/apt")
    host: Mapping[str, str] | None = None
    lock: Path | None = None
    binfmt: Path = Path("/proc/sys/fs/binfmt_misc")

    def folder(self, name: str) -> Path:
        """Return a folder of the cache, made when it is not there."""
        folder = self.cache / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One image to make, with the reference it is to have."""

    spec: ImageSpec
    recipe: Recipe
    reference: str

    @property
    def short(self) -> str:
        return self.recipe.digest[:12]


class ImageMaker:
    """Makes images in one engine. Every method may raise EngineError, and ImageError when an image cannot be made."""

    def __init__(self, client: DockerClient, files: ImageFiles, settings: ImageSettings) -> None:
        self._client = client
        self._files = files
        self._settings = settings

    def make(self, order: Order, below: Mapping[str, str], say: Say) -> None:
        """Make a builder or runtime image on what is `below` it: BASE and CPYTHON by digest, as its Dockerfile needs them."""
        arguments = {**order.recipe.arguments, **below, "FARM_STAGE": order.spec.name, **self._settings.pip}
        self._finish(order, self._build(order, arguments, say), {})
        self._clear_stages(order.spec.name)

    def _clear_stages(self, stage: str) -> None:
        with translated("removing intermediate stages"):
            self._client.images.prune(filters={"dangling": True, "label": f"{STAGE}={stage}"})

    def make_overlay(self, order: Order, say: Say) -> None:
        """Make an overlay; what it is FROM is in its recipe's arguments."""
        built = self._build(order, dict(order.recipe.arguments), say)
        arguments = order.recipe.arguments
        self._finish(order, built, {BASE: arguments["BASE"], PACKAGES: arguments["PACKAGES"]})

    @contextmanager
    def lock(self, reference: str) -> Iterator[None]:
        """Hold the lock of one reference between processes; the system releases it with its holder, however that ends."""
        path = self._settings.folder("locks") / (reference.replace("/", "-").replace(":", "-") + ".lock")
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def identity(self, reference: str) -> str | None:
        """Return the ID of an image in the engine, or None."""
        from docker.errors import ImageNotFound  # noqa: PLC0415 - see docker_engine

        with translated("looking for an image"):
            try:
                return str(self._client.images.get(reference).id)
            except ImageNotFound:
                return None

    def _build(self, order: Order, arguments: Mapping[str, str], say: Say, labels: Mapping[str, str] | None = None) -> str:
        """Build an image and return its ID. It has no tag yet, unless there are labels to give it too."""
        with self._context(order.recipe.files) as path, path.open("rb") as context:
            request = BuildRequest(
                context=context,
                platform=oci_platform(order.spec.arch),
                log=self._log(order),
                arguments={**self._settings.proxies, **arguments},
                labels=labels or {},
                tag=order.reference if labels else None,
            )
            return docker_engine.build(self._client, request, lambda line: say(f"{order.spec.name}: {line}"))

    def _finish(self, order: Order, built: str, labels: Mapping[str, str]) -> None:
        """Read the facts off an image that has no tag yet, and only then give it its labels and its tag."""
        facts = self._probe(order.spec, built)
        dockerfile = {"Dockerfile": f"FROM {built}\n".encode()}
        with self._context(dockerfile) as path, path.open("rb") as context:
            request = BuildRequest(
                context=context,
                platform=oci_platform(order.spec.arch),
                log=self._log(order),
                labels={
                    **labels,
                    SPEC: order.spec.name,
                    INPUTS: order.recipe.digest,
                    PYTHONS: " ".join(facts["pythons"]),
                    LIBC: " ".join(map(str, facts["libc"])),
                },
                tag=order.reference,
            )
            docker_engine.build(self._client, request, _silence)

    def _probe(self, spec: ImageSpec, built: str) -> dict[str, Any]:
        with translated(f"starting {spec.name} to see what is in it"):
            container = self._client.containers.run(
                built,
                [_PROBE_PYTHON[spec.role], "-c", self._files.probe()],
                entrypoint="",
                network_mode="none",
                cap_drop=["ALL"],
                detach=True,
            )
            try:
                # the SDK's own way to run and read follows the log, and can miss the end of a program that is this short
                code = container.wait()["StatusCode"]
                output = container.logs(stdout=True, stderr=code != 0).decode(errors="replace")
            finally:
                container.remove(force=True)
        if code != 0:
            raise ImageError(
                f"{spec.name} was built, but its Python could not tell what is in it: {output.strip()}",
                solution="look at the image's Dockerfile; for a base of your own, see docs/images.md",
            )
        facts: dict[str, Any] = json.loads(output)
        return facts

    def root(self, spec: ImageSpec, source: debian_root.Mirror, say: Say) -> str:
        """Return the ID of the root file system's image, making it first where it is not there."""
        order = self._part(spec, source, "root")
        with self.lock(order.reference):
            return self.identity(order.reference) or self._make_root(order, self._files.suite(spec.suite), source, say)

    def references(self, spec: ImageSpec, source: debian_root.Mirror) -> tuple[str, ...]:
        """Return the references of the root file system and the interpreter that a Debian image is made on today."""
        parts: tuple[Literal["root", "cpython"], ...] = ("root", "cpython") if spec.free_threaded else ("root",)
        return tuple(self._part(spec, source, part).reference for part in parts)

    def _part(self, spec: ImageSpec, source: debian_root.Mirror, part: Literal["root", "cpython"]) -> Order:
        identity = source.identity(self._files.suite(spec.suite))
        recipe = self._files.root(spec, identity) if part == "root" else self._files.cpython(spec, identity)
        name = spec.suite if part == "root" else spec.variant
        reference = f"farm/debian-{name}-{spec.arch}-{part}:{recipe.digest[:12]}"
        return Order(spec=spec, recipe=recipe, reference=reference)

    def _make_root(self, order: Order, suite: debian_root.Suite, source: debian_root.Mirror, say: Say) -> str:
        def tell(line: str) -> None:
            say(f"{order.spec.name}: {line}")

        host = None if self._settings.host is None else {**self._settings.host, **self._settings.proxies}
        with tempfile.TemporaryDirectory(dir=self._settings.folder("contexts")) as folder:
            archive = Path(folder) / "root.tar"
            architecture = debian_architecture(order.spec.arch)
            call = debian_root.command(suite, source, architecture, archive, self._settings.certificates)
            debian_root.bootstrap(call, self._log(order), tell, host)
            labels = {ROOT: f"{order.spec.suite}-{order.spec.arch}", INPUTS: order.recipe.digest}
            with self._context(order.recipe.files, archive) as path, path.open("rb") as context:
                request = BuildRequest(
                    context=context,
                    platform=oci_platform(order.spec.arch),
                    log=self._log(order),
                    labels=labels,
                    tag=order.reference,
                )
                return docker_engine.build(self._client, request, tell)

    def cpython(self, spec: ImageSpec, source: debian_root.Mirror, builder: str, say: Say) -> str:
        """Return the ID of the image with a free-threaded interpreter, compiling it in `builder` where it is not there."""
        order = self._part(spec, source, "cpython")
        with self.lock(order.reference):
            known = self.identity(order.reference)
            if known is not None:
                return known
            stage = f"{spec.variant}-{spec.arch}-cpython"
            labels = {PART: stage, INPUTS: order.recipe.digest}
            made = self._build(order, {**order.recipe.arguments, "BASE": builder, "FARM_STAGE": stage}, say, labels)
            self._clear_stages(stage)
            return made

    def pull(self, spec: ImageSpec, reference: str, say: Say) -> str:
        """Return the ID of an image of a registry, pulling it where it is not in the engine."""
        if self.identity(reference) is None:
            say(f"{spec.name}: pulling {reference}")
            with translated(f"pulling {reference}"):
                self._client.images.pull(reference, platform=oci_platform(spec.arch))
        return self.identity(reference) or reference

    @contextmanager
    def _context(self, contents: Mapping[str, bytes], *extra: Path) -> Iterator[Path]:
        """Write a build context, which is gone afterwards."""
        with tempfile.TemporaryDirectory(dir=self._settings.folder("contexts")) as folder:
            path = Path(folder) / "context.tar"
            write_context(path, contents, extra)
            yield path

    def _log(self, order: Order) -> Path:
        return self._settings.folder("logs") / f"{order.spec.name}-{order.short}.log"


def _silence(_line: str) -> None:
    """Say nothing: the step that only adds labels is of no interest."""
