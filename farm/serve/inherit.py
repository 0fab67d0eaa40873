"""What a farm's file takes over from its source on upstream's page, and what keeps it off a listing. Pure.

The rules and the experiments behind them are in index-servers.md 3.2, 3.3 and 3.7.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from packaging.utils import canonicalize_name
from packaging.version import Version

from farm.model.package import parse_sdist_version, parse_wheel_name
from farm.serve.repair import utc_text
from farm.serve.simple import file_entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from farm.model.package import Digest, IndexFile, NormalizedName
    from farm.serve.repair import Entry

UploadTime = Literal["source", "build"]
Reason = Literal["quarantined", "name-taken", "sdist-changed", "same-tags"]

GONE = "its sdist is no longer on the upstream index"
"""Why a wheel is yanked whose source upstream has withdrawn: a pin still finds it, a range does not."""

_ALIASES = {"manylinux1_": "manylinux_2_5_", "manylinux2010_": "manylinux_2_12_", "manylinux2014_": "manylinux_2_17_"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFile:
    """A file of the farm and where it comes from: `sdist` is the file name of its source, "" where nobody knows (uploads)."""

    file: IndexFile
    built_at: datetime | None = None
    sdist: str = ""
    sdist_sha256: Digest | None = None


@lru_cache(maxsize=65536)
def read_version(text: str) -> Version | None:
    """Return the version, remembered, or None when it is not PEP 440."""
    try:
        return Version(text)
    except ValueError:
        # InvalidVersion, and what Python says to a number of thousands of digits.
        return None


def wheel_version(filename: str) -> Version | None:
    """Return the version in a wheel's name. Splitting is far cheaper than parsing every tag of a page of 15,000 wheels."""
    return read_version(filename.split("-", 2)[1]) if filename.count("-") >= 4 else None


def version_of(filename: str, name: NormalizedName) -> Version | None:
    """Return the version in the name of a wheel or sdist of a project, or None."""
    if filename.endswith(".whl"):
        return wheel_version(filename)
    head, _, tail = filename.removesuffix(".tar.gz").rpartition("-")
    if filename.endswith(".tar.gz") and canonicalize_name(head) == name and (version := read_version(tail)) is not None:
        return version
    return parse_sdist_version(filename, name)


class Sources:
    """Upstream's files among which those of the farm have their sources and their rivals."""

    def __init__(self, name: NormalizedName, files: Mapping[str, Entry], own: Iterable[OwnFile]) -> None:
        self._files = files
        self._sdists: dict[Version, list[Entry]] = {}
        self._wheels: dict[Version, list[Entry]] = {}
        wanted = {mine.file.version for mine in own if mine.file.version is not None}
        for filename, entry in files.items() if wanted else ():
            version = version_of(filename, name)
            if version is not None and version in wanted:
                group = self._wheels if filename.endswith(".whl") else self._sdists
                group.setdefault(version, []).append(entry)

    def obstacle(self, mine: OwnFile) -> Reason | None:
        """Return why a file may not be listed on any page, or None."""
        taken = self._files.get(mine.file.filename)
        if taken is not None:
            # The very same bytes are upstream's own, whatever became of the sdist.
            return None if _sha256(taken) == mine.file.sha256 else "name-taken"
        named = self._files.get(mine.sdist)
        if named is not None and not _agree(_sha256(named), mine.sdist_sha256):
            return "sdist-changed"
        return None

    def listed(self, mine: OwnFile) -> bool:
        """Tell whether upstream's page has this very file."""
        return mine.file.filename in self._files

    def covered(self, mine: OwnFile) -> bool:
        """Tell whether an upstream wheel of the version, not yanked, has every tag of this one."""
        return bool(self._rivals(mine))

    def older(self, mine: OwnFile) -> bool:
        """Tell whether a file was there before every upstream wheel that has its tags: then a lock may name it.

        True also where nobody says when that was: such a lock would be broken, while an entry too many costs nothing.
        """
        if mine.built_at is None:
            return True
        built = mine.built_at.astimezone(UTC)
        times = [_time(entry.get("upload-time")) for entry in self._rivals(mine)]
        return all(time is None or built < time for time in times)

    def _rivals(self, mine: OwnFile) -> list[Entry]:
        wheel = mine.file.wheel
        if wheel is None:
            return []
        tags = _tags(wheel.filename)
        return [
            entry for entry in self._wheels.get(wheel.version, ()) if not entry.get("yanked") and tags <= _tags(entry["filename"])
        ]

    def source(self, mine: OwnFile) -> Entry | None:
        """Return upstream's entry of the sdist that a file was built from; where no one recorded it, that of its version."""
        version = mine.file.version
        sdists = self._sdists.get(version, []) if version is not None else []
        if not mine.sdist:
            return next(iter(sdists), None)
        named = self._files.get(mine.sdist)
        if named is not None:
            return named
        same = (entry for entry in sdists if mine.sdist_sha256 and _sha256(entry) == mine.sdist_sha256)
        return next(same, None)


def inherit(mine: OwnFile, source: Entry | None, *, withdrawn: bool, upload_time: UploadTime) -> Entry:
    """Return the entry of a farm's file. `withdrawn` tells that without a `source` upstream has taken the sdist back."""
    entry = file_entry(mine.file)
    if source is not None:
        entry["yanked"] = source.get("yanked", False)
        if isinstance(source.get("requires-python"), str):
            entry["requires-python"] = source["requires-python"]
        if "upload-time" in source:
            entry["upload-time"] = source["upload-time"]
    elif withdrawn:
        entry["yanked"] = entry["yanked"] or GONE
    if upload_time == "build" and mine.built_at is not None:
        entry["upload-time"] = utc_text(mine.built_at)
    entry["_farm"] = _said(mine)
    return entry


def _said(mine: OwnFile) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if mine.built_at is not None:
        said["built-at"] = utc_text(mine.built_at)
    if mine.sdist:
        said["sdist"] = mine.sdist
    if mine.sdist_sha256:
        said["sdist-sha256"] = mine.sdist_sha256
    return said


def _time(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) else None
    except ValueError:
        return None


def _sha256(entry: Entry) -> str | None:
    found = entry["hashes"].get("sha256")
    return found.lower() if isinstance(found, str) else None


def _agree(said: str | None, recorded: str | None) -> bool:
    return said is None or recorded is None or said == recorded


def _tags(filename: str) -> frozenset[tuple[str, str, str]]:
    wheel = parse_wheel_name(filename)
    if wheel is None:
        return frozenset()
    return frozenset((tag.interpreter, tag.abi, _level(tag.platform)) for tag in wheel.tags)


def _level(platform: str) -> str:
    """Return a platform tag by its PEP 600 name: manylinux2014 is manylinux_2_17."""
    for alias, level in _ALIASES.items():
        if platform.startswith(alias):
            return level + platform.removeprefix(alias)
    return platform
