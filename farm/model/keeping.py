"""What keeping a store in order finds and does: tombstones, the damage that `farm fsck` tells, the steps of `farm gc`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

    from farm.model.attempt import WheelRecord
    from farm.model.package import Digest, NormalizedName, Version

Kind = Literal[
    "catalogue-damaged", "row-nonsense", "blob-missing", "blob-damaged", "blob-foreign", "metadata-missing", "metadata-differs",
    "page-dirty", "page-missing", "page-damaged", "page-stale", "page-orphan", "name-missing", "name-extra", "staging-leftover",
    "permissions", "direct-missing",
]  # fmt: skip
Removal = Literal["wheel", "blob", "staging", "log", "cache", "lock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """A file that was taken off the index: why, when, and what makes it again. Its name stays with its sha256 for ever."""

    filename: str
    name: NormalizedName
    version: Version
    sha256: Digest
    size: int
    sdist: str
    sdist_sha256: Digest | None
    why: str
    removed: datetime
    remedy: str

    def __str__(self) -> str:
        return f"{self.why} ({self.removed:%Y-%m-%d}); to have it again: {self.remedy}"


def tombstone(record: WheelRecord, why: str, removed: datetime) -> Tombstone:
    """Return the tombstone of a file of the index."""
    return Tombstone(
        filename=record.filename,
        name=record.name,
        version=record.version,
        sha256=record.sha256,
        size=record.size,
        sdist=record.sdist,
        sdist_sha256=record.sdist_sha256,
        why=why,
        removed=removed,
        remedy=remake(record),
    )


def remake(record: WheelRecord) -> str:
    """Return the command that makes a file again."""
    if record.key is None:
        return f"upload {record.filename} with sha256 {record.sha256}"
    targets = "".join(f" --target {target}" for target in record.targets)
    return f"echo '{record.name}=={record.version}' | farm build{targets} -r -"


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One thing that is not as it should be. `mended` tells that it is now; `remedy` what a person is to do, "" for nothing."""

    kind: Kind
    subject: str
    found: str
    remedy: str = ""
    mended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What `farm fsck` found. `checked` counts files that were hashed, with their `hashed` bytes; `skipped` those left out
    by --sample or --since. Unlisted blobs are no damage: they are attempts that were not published, or wait for `farm gc`.
    """

    damages: tuple[Damage, ...]
    files: int = 0
    checked: int = 0
    hashed: int = 0
    skipped: int = 0
    projects: int = 0
    unlisted: int = 0
    unlisted_bytes: int = 0
    seconds: float = 0.0

    @property
    def left(self) -> tuple[Damage, ...]:
        """Return what still is not as it should be."""
        return tuple(damage for damage in self.damages if not damage.mended)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that `farm gc` removes: a wheel from its page, or something from the disk. `size` in bytes, `why` for people.

    `subject` is a file name of the index, a digest, a path relative to the store, or a lock's name.
    """

    removal: Removal
    subject: str
    size: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What the roots name: versions, and files by digest. `roots` are the files that were read."""

    roots: tuple[str, ...] = ()
    pins: frozenset[tuple[NormalizedName, Version]] = field(default_factory=frozenset)
    digests: frozenset[Digest] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long things are kept, in seconds: wheels since they were made or used, bytes since nothing lists them, logs; `cache` in bytes."""

    keep: float
    grace: float
    logs: float
    cache: int
