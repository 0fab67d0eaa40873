"""Pins, files on an index, digests. Parsed once from file names; what is unsafe or malformed is refused here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NewType

from packaging.utils import (
    BuildTag,
    InvalidSdistFilename,
    InvalidWheelFilename,
    NormalizedName,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from packaging.tags import Tag

__all__ = [  # names of packaging are part of this module: other rooms take them from here
    "BuildTag", "Digest", "IndexFile", "NormalizedName", "Pin", "Project", "Version", "WheelName", "file_version", "make_pin",
    "parse_digest", "parse_sdist_version", "parse_wheel_name", "tags_of",
]  # fmt: skip

Digest = NewType("Digest", str)
"""A sha256 as 64 lower-case hex digits."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SDIST_SUFFIXES = (".tar.gz", ".zip", ".tar.bz2")


def parse_digest(text: str) -> Digest:
    """Return `text` ("sha256:<hex>" or the bare hex) as a Digest; ValueError when it is not a sha256."""
    bare = text.removeprefix("sha256:").lower()
    if not _SHA256.fullmatch(bare):
        message = f"expected 64 hex digits of a sha256, found {text!r}"
        raise ValueError(message)
    return Digest(bare)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Pin:
    """One version of one project."""

    name: NormalizedName
    version: Version

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


def make_pin(name: str, version: str) -> Pin:
    """Return the pin of a name and version as written anywhere; `packaging.version.InvalidVersion` when not PEP 440."""
    return Pin(name=canonicalize_name(name), version=Version(version))


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelName:
    """What a wheel's file name says (binary distribution format, "File name convention")."""

    filename: str
    name: NormalizedName
    version: Version
    build: BuildTag
    tags: frozenset[Tag]

    @property
    def pure(self) -> bool:
        """True when no tag names a platform."""
        return all(tag.platform == "any" for tag in self.tags)


@cache
def parse_wheel_name(filename: str) -> WheelName | None:
    """Return the parts of a wheel's file name, or None when it is malformed (old uploads, variants)."""
    try:
        name, version, build, tags = parse_wheel_filename(filename)
    except (InvalidWheelFilename, InvalidVersion, ValueError):
        return None
    return WheelName(filename=filename, name=name, version=version, build=build, tags=tags)


def parse_sdist_version(filename: str, project: NormalizedName) -> Version | None:
    """Return the version of an sdist's file name, or None when it is no sdist of `project`.

    Beside PEP 625 names it reads the older ones still on indexes: any spelling of the name, `.zip` and `.tar.bz2`
    (which pip takes and `packaging` refuses).
    """
    suffix = next((s for s in _SDIST_SUFFIXES if filename.endswith(s)), None)
    if suffix is None:
        return None
    if suffix != ".tar.bz2":
        try:
            name, version = parse_sdist_filename(filename)
        except (InvalidSdistFilename, InvalidVersion):
            pass
        else:
            if name == project:
                return version
    return _version_after_name(filename.removesuffix(suffix), project)


def _version_after_name(stem: str, project: NormalizedName) -> Version | None:
    for dash in (m.start() for m in re.finditer("-", stem)):
        if canonicalize_name(stem[:dash]) == project:
            try:
                return Version(stem[dash + 1 :])
            except InvalidVersion:
                continue
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFile:
    """One file of a project page (PEP 691 and 700), upstream's or the farm's.

    `version` is None when the file name tells none. `yanked` is False, True, or the reason (PEP 592). `upload_time` is
    aware UTC. `size` is in bytes. `metadata` says whether `url + ".metadata"` is served (PEP 658/714): False, True, or
    its sha256. `provenance` is the absolute URL of the statements about it (PEP 740), "" without any; kept of the farm's own only.
    """

    filename: str
    url: str
    version: Version | None
    sha256: Digest | None
    size: int | None = None
    requires_python: str | None = None
    yanked: bool | str = False
    upload_time: datetime | None = None
    metadata: bool | Digest = False
    provenance: str = ""

    @property
    def is_wheel(self) -> bool:
        return self.filename.endswith(".whl")

    @property
    def is_sdist(self) -> bool:
        return self.filename.endswith(_SDIST_SUFFIXES) and self.version is not None

    @property
    def wheel(self) -> WheelName | None:
        return parse_wheel_name(self.filename) if self.is_wheel else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project's page: its files in the order in which the index listed them."""

    name: NormalizedName
    files: tuple[IndexFile, ...]

    def of(self, version: Version) -> tuple[IndexFile, ...]:
        """Return the files of one version."""
        return tuple(file for file in self.files if file.version == version)

    def near(self, version: Version) -> Iterable[Version]:
        """Return versions among which are all that `==` could mean: with a local part, too (PEP 440)."""
        del version
        return self.by_version()

    def by_version(self) -> Mapping[Version, tuple[IndexFile, ...]]:
        """Return each version's files; files that tell no version are left out."""
        grouped: dict[Version, list[IndexFile]] = {}
        for file in self.files:
            if file.version is not None:
                grouped.setdefault(file.version, []).append(file)
        return {version: tuple(files) for version, files in grouped.items()}


def file_version(filename: str, project: NormalizedName) -> Version | None:
    """Return the version that a wheel's or sdist's file name tells, else None."""
    if filename.endswith(".whl"):
        wheel = parse_wheel_name(filename)
        return wheel.version if wheel and wheel.name == project else None
    return parse_sdist_version(filename, project)


def tags_of(filename: str) -> frozenset[Tag]:
    """Return the expanded tags of a wheel's file name; empty when it is malformed."""
    wheel = parse_wheel_name(filename)
    return wheel.tags if wheel else frozenset()
