"""What a lock file may take from a farm, and what became of the attempt (`farm lock`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from farm.model.package import Digest, NormalizedName, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmWheel:
    """A wheel on the farm. `url` is absolute, "" where nobody told the farm's URL. `sdist_sha256` is what it was built from.

    `size` is in bytes, None where the index does not tell; `upload_time` is aware.
    """

    filename: str
    name: NormalizedName
    version: Version
    sha256: Digest
    url: str
    size: int | None
    upload_time: datetime | None
    sdist_sha256: Digest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A farm's wheels of the projects that were asked for. `base` is its URL with a final slash, "" where unknown.

    `gone` are the digests of wheels that it had once: they stand in locks still. `kept` are those of wheels that it lists no
    more but still gives to whoever has the URL (their sdist changed upstream, or upstream took their name).
    """

    base: str = ""
    wheels: Mapping[NormalizedName, tuple[FarmWheel, ...]] = field(default_factory=dict)
    gone: frozenset[Digest] = frozenset()
    kept: frozenset[Digest] = frozenset()

    @property
    def digests(self) -> frozenset[str]:
        """All that is known to be the farm's, now or once."""
        return self.gone | self.kept | {wheel.sha256 for wheels in self.wheels.values() for wheel in wheels}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A farm wheel that is put into a lock or taken out. `line` is its package's; `filename` "" where the format has none."""

    kind: Literal["add", "remove"]
    name: NormalizedName
    version: Version
    line: int
    filename: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver:
    """A farm wheel of a locked version that does not go into the lock, and why."""

    filename: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """What has no wheel for a target. `certain` False: the format tells no file names, so upstream may have one."""

    target: str
    pins: tuple[str, ...]
    certain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmented:
    """A lock's new text, and what is different in it; `text` is the old one when `changes` is empty."""

    file: str
    kind: str
    text: str
    changes: tuple[Change, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()
    lacking: tuple[Lacking, ...] = ()
    remarks: tuple[str, ...] = ()
