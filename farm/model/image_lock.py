"""What images are pinned to: the lock file's content, what an update found, and what a clearing away takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from farm.model.image import ImageSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePin:
    """A base image of a registry: the `reference` that moves (`registry.example/python:3.13-slim`), and what it was."""

    reference: str
    digest: str

    @property
    def pinned(self) -> str:
        """The reference by digest."""
        return f"{repository(self.reference)}@{self.digest}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageLock:
    """The lock file. `suites` maps a Debian suite to the day of its packages (`20261030T080801Z`), `images` an image's name
    (`ImageSpec.name`) to the pin of its base.
    """

    suites: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, ImagePin] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """What an update found of one pin. `kind` is "suite" or "image"; `before` is None where there was none, `now` None where
    nothing could be found or nothing is to be: `reason` says why, and `failed` whether that is a failure.
    """

    kind: Literal["suite", "image"]
    subject: str
    before: str | None
    now: str | None
    reference: str = ""
    reason: str = ""
    failed: bool = False

    @property
    def moved(self) -> bool:
        return self.now is not None and self.now != self.before


@dataclass(frozen=True, kw_only=True, slots=True)
class Pruning:
    """What to clear away: images made before `before`; with `overlays` also those of today's builders, which a recipe that
    still asks for one has made again; with `only` nothing but images of these specs. In a dry run nothing is removed.
    """

    before: datetime
    overlays: bool = False
    only: frozenset[ImageSpec] = frozenset()
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Surplus:
    """An image of the farm's that nothing needs any more, and why. `size` counts bytes, shared layers included; `kept` says
    why it could not be removed.
    """

    reference: str
    digest: str
    size: int
    created: datetime
    why: str
    kept: str = ""


def repository(reference: str) -> str:
    """Return a reference without its tag and digest: `registry.example:5000/python`."""
    name = reference.split("@", 1)[0]
    head, _, last = name.rpartition("/")
    last = last.split(":", 1)[0]
    return f"{head}/{last}" if head else last


def movable(reference: str, *, official: bool) -> str | None:
    """Return the tag that an update asks for; None for a reference that is given by digest and so stands.

    An `official` one is given by digest as well, by cibuildwheel: its newest is `latest` of the same repository.
    """
    if official:
        return f"{repository(reference)}:latest"
    if "@" in reference:
        return None
    return reference if repository(reference) != reference else f"{reference}:latest"
