"""The farm's images in one engine: listing them, telling those of today's inputs from older ones, and removing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from farm.adapters.docker_engine import translated
from farm.adapters.image_maker import BASE, LIBC, PACKAGES, PART, PYTHONS, ROOT, SPEC, STAGE
from farm.errors import ImageError
from farm.model.image import Image, StoredImage, parse_spec
from farm.model.image_lock import Surplus

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from docker import DockerClient

    from farm.model.image import ImageSpec, Libc
    from farm.model.image_lock import Pruning

    Current = Callable[[ImageSpec], frozenset[str]]


# Under emulation a builder takes an hour.
_LONGEST_BUILD = timedelta(hours=6)


class ImageStock:
    """The images that one engine has. Every method may raise EngineError.

    `current` returns the references that a spec has with today's inputs: the image's own, and those of the root and the
    interpreters below it. None of them when the spec cannot be made any more.
    """

    def __init__(self, client: DockerClient, current: Current) -> None:
        self._client = client
        self._current = current

    def list(self) -> tuple[StoredImage, ...]:
        """Return builders, runtimes and overlays, by name and age, each with its state."""
        with translated("listing images"):
            found = self._client.images.list(filters={"label": SPEC})
            entries = [(entry.attrs, tag) for entry in found for tag in entry.tags if tag.startswith("farm/")]
        wanted = self._wanted({_labels(attributes)[SPEC] for attributes, _ in entries})
        alive = {attributes["Id"] for attributes, tag in entries if tag in wanted}
        stored = [_stored_image(attributes, tag, wanted, alive) for attributes, tag in entries]
        return tuple(sorted(stored, key=lambda one: (one.image.spec, one.created)))

    def _wanted(self, names: Iterable[str]) -> frozenset[str]:
        return frozenset(reference for name in names for reference in self._current(parse_spec(name)))

    def surplus(self, request: Pruning) -> tuple[Surplus, ...]:
        """Return what is not needed any more, in an order in which it can be removed."""
        before, only = request.before, request.only
        images = [one for one in self.list() if not only or one.image.spec in only]
        found = [_surplus(one) for one in images if one.state == "superseded" and one.packages]
        found += [_surplus(one) for one in images if one.state == "overlay" and request.overlays]
        found += [_surplus(one) for one in images if one.state == "superseded" and not one.packages]
        found = [one for one in found if one.created < before]
        if only:
            return tuple(found)
        wanted = self._wanted({one.image.spec.name for one in images})
        gone = {one.digest for one in found}
        # what has no name yet, and what nothing is made on yet, may belong to a build that runs
        settled = min(before, datetime.now(UTC) - _LONGEST_BUILD)
        with translated("listing images"):
            found += [one for one in self._unfinished() if one.created < settled]
            found += [one for one in self._parts(wanted, gone) if one.created < settled]
        return tuple(found)

    def lowest_layer(self, reference: str) -> str | None:
        """Return the layer that an image begins with; None when there is no such image."""
        from docker.errors import ImageNotFound  # noqa: PLC0415 - see docker_engine

        with translated(f"looking at {reference}"):
            try:
                return str(self._client.images.get(reference).attrs["RootFS"]["Layers"][0])
            except ImageNotFound:
                return None

    def unused_roots(self, layer: str | None) -> tuple[str, ...]:
        """Return the root file systems with this layer, when no image is made on them that is still there."""
        with translated("listing images"):
            found = [one.reference for one in self._parts((), ()) if "-root:" in one.reference]
        return tuple(reference for reference in found if self.lowest_layer(reference) == layer)

    def _unfinished(self) -> Iterable[Surplus]:
        """Yield what a build that was cut short left: it has a label of the farm's, and no name."""
        seen = set()
        for label in (SPEC, STAGE):
            for entry in self._client.images.list(filters={"label": label, "dangling": True}):
                if entry.id not in seen:
                    seen.add(entry.id)
                    yield _bare(entry.attrs, str(entry.id), "left by a build that was cut short")

    def _parts(self, wanted: Collection[str], gone: Collection[str]) -> Iterable[Surplus]:
        """Yield the root file systems and interpreters that no image needs which stays."""
        staying = [entry for entry in self._client.images.list(filters={"label": SPEC}) if entry.id not in gone]
        lowest = {entry.attrs["RootFS"]["Layers"][0] for entry in staying}
        for label, mark in ((ROOT, "-root:"), (PART, "-cpython:")):
            for entry in self._client.images.list(filters={"label": label}):
                # images that are made on a root inherit its label, but not its name
                for tag in (tag for tag in entry.tags if mark in tag and tag not in wanted):
                    if label == PART or entry.attrs["RootFS"]["Layers"][0] not in lowest:
                        yield _bare(entry.attrs, tag, "no image is made on it any more")

    def remove(self, reference: str) -> None:
        """Remove one image. ImageError if it is absent or in use."""
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

    def size(self) -> int:
        """Return the bytes of all layers of all images in the engine."""
        with translated("measuring images"):
            return int(self._client.df()["LayersSize"])


def image_of(attributes: dict[str, Any], reference: str) -> Image:
    """Return what the engine tells of an image of the farm's."""
    labels = _labels(attributes)
    kind, major, minor = labels[LIBC].split()
    libc: Libc = ("musl" if kind == "musl" else "glibc", int(major), int(minor))
    return Image(
        spec=parse_spec(labels[SPEC]),
        reference=reference,
        digest=attributes["Id"],
        pythons=tuple(labels[PYTHONS].split()),
        libc=libc,
    )


def _labels(attributes: dict[str, Any]) -> dict[str, str]:
    labels: dict[str, str] = attributes["Config"]["Labels"]
    return labels


def _stored_image(attributes: dict[str, Any], reference: str, wanted: Collection[str], alive: Collection[str]) -> StoredImage:
    labels = _labels(attributes)
    overlay = BASE in labels
    current = labels[BASE] in alive if overlay else reference in wanted
    return StoredImage(
        image=image_of(attributes, reference),
        size=attributes["Size"],
        created=datetime.fromisoformat(attributes["Created"]),
        packages=tuple(labels.get(PACKAGES, "").split()) if overlay else (),
        state=("overlay" if overlay else "current") if current else "superseded",
    )


def _surplus(one: StoredImage) -> Surplus:
    why = "its inputs have changed since"
    if one.packages:
        what = f"an overlay with {' '.join(one.packages)}"
        why = f"{what}, of a builder whose inputs have changed since" if one.state == "superseded" else what
    return Surplus(reference=one.image.reference, digest=one.image.digest, size=one.size, created=one.created, why=why)


def _bare(attributes: dict[str, Any], reference: str, why: str) -> Surplus:
    created = datetime.fromisoformat(attributes["Created"])
    return Surplus(reference=reference, digest=attributes["Id"], size=attributes["Size"], created=created, why=why)
