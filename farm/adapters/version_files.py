"""What the indexes hold, as one run of the resolver sees it: each version's files, and one METADATA text a version.

Shared by all targets of a run: a page is grouped once, a text is read once, and what is too young is left out for all.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from farm.adapters.core_metadata import read_fields
from farm.model.package import Pin, Project, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from packaging.specifiers import SpecifierSet

    from farm.adapters.core_metadata import Fields
    from farm.adapters.exact_metadata import ExactMetadata
    from farm.model.package import IndexFile, NormalizedName
    from farm.ports import Index, Sdists

Files = tuple["IndexFile", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the answers come from. `wheel_metadata` returns a wheel's METADATA, or None when the wheel is gone."""

    upstream: Index
    farm: Index | None
    sdists: Sdists
    wheel_metadata: Callable[[IndexFile], str | None]
    exact: ExactMetadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which files count. `pinned` are versions named with `==`, `direct` the files that `name @ url` requirements name.

    `newest` is the last upload time that counts (the cool-down); pinned versions are exempt, None lets all count.
    """

    pinned: frozenset[Pin] = frozenset()
    direct: Mapping[NormalizedName, IndexFile] = field(default_factory=dict)
    newest: datetime | None = None


class VersionFiles:
    """The files and texts of one run. Safe to use from several threads."""

    def __init__(self, sources: Sources, selection: Selection) -> None:
        self._sources = sources
        self._selection = selection
        self._lock = threading.Lock()
        self._pages: dict[NormalizedName, tuple[Project, ...]] = {}
        self._whole: dict[NormalizedName, dict[Version, Files]] = {}
        self._within: dict[tuple[NormalizedName, SpecifierSet], tuple[Version, ...] | None] = {}
        self._reading: dict[object, threading.Lock] = {}
        self._texts: dict[object, str | None] = {}
        self.absent: set[NormalizedName] = set()
        self.young: dict[NormalizedName, dict[Version, bool]] = {}
        """The versions that the cool-down left out; False for those that tell no upload time."""
        self.exempt: set[Pin] = set()
        """What the cool-down would have left out, were it not pinned; for whoever does not pin it, it is not there."""

    @property
    def asked(self) -> frozenset[NormalizedName]:
        """The projects that the answers so far depend on, those that no index has included."""
        with self._lock:
            return frozenset((self._pages.keys() | self.absent) - self._selection.direct.keys())

    def versions(self, name: NormalizedName) -> dict[Version, Files] | None:
        """Return each version's files that count, the farm's first; None when no index has the project. Reads whole pages."""
        pages = self._indexed(name)
        if pages is None:
            return None
        if name not in self._whole:
            grouped: dict[Version, list[IndexFile]] = {}
            for page in pages:
                for file in page.files:
                    if file.version is not None:
                        grouped.setdefault(file.version, []).append(file)
            self._whole[name] = {version: self._counting(name, version, found) for version, found in grouped.items()}
        return {version: files for version, files in self._whole[name].items() if files}

    def within(self, name: NormalizedName, bounds: SpecifierSet) -> tuple[Version, ...] | None:
        """Return the versions that the bounds admit, pre-releases too, newest first; None when no index has the project."""
        key = (name, bounds)
        if key not in self._within:
            pages = self._indexed(name)
            versions = None if pages is None else {version: None for page in pages for version in page.by_version()}
            exact = [str(one.version) for one in bounds if one.operator == "==" and not one.version.endswith(".*")]
            if versions and exact:
                # Most requirements of a lock are such; a specifier is slow to ask about a thousand versions.
                wanted = Version(exact[0])
                versions = {version: None for version in versions if version.release[:1] == wanted.release[:1]}
            admitted = None if versions is None else [v for v in versions if bounds.contains(v, prereleases=True)]
            self._within[key] = None if admitted is None else tuple(sorted(admitted, reverse=True))
        return self._within[key]

    def of(self, name: NormalizedName, version: Version) -> Files:
        """Return the files of one version that count, the farm's first."""
        found = (file for page in self._indexed(name) or () for file in page.of(version))
        return self._counting(name, version, found)

    def _counting(self, name: NormalizedName, version: Version, found: Iterable[IndexFile]) -> Files:
        files = tuple(file for file in found if file.is_wheel or file.is_sdist)
        return files if name in self._selection.direct else self._cooled(Pin(name=name, version=version), files)

    def _indexed(self, name: NormalizedName) -> tuple[Project, ...] | None:
        with self._lock:
            known = self._pages.get(name)
        if known is not None:
            return known
        given = self._selection.direct.get(name)
        if given is not None:
            pages: tuple[Project, ...] = (Project(name=name, files=(given,)),)
        else:
            indexes = filter(None, (self._sources.farm, self._sources.upstream))
            pages = tuple(page for index in indexes if (page := index.project(name)) is not None)
        with self._lock:
            if not pages:
                self.absent.add(name)
                return None
            return self._pages.setdefault(name, pages)

    def _cooled(self, pin: Pin, files: Files) -> Files:
        """Leave out what is younger than the cool-down, and what does not tell its age: that may be younger."""
        newest = self._selection.newest
        if newest is None:
            return files
        old = tuple(file for file in files if file.upload_time is not None and file.upload_time <= newest)
        with self._lock:
            if len(old) < len(files) and pin in self._selection.pinned:
                self.exempt.add(pin)
                return files
            if files and not old:
                self.young.setdefault(pin.name, {})[pin.version] = any(file.upload_time is not None for file in files)
        return old

    def wheel_text(self, name: NormalizedName, wheel: IndexFile) -> str | None:
        """Return the METADATA of a wheel, or None when it is gone.

        Wheels of one version are taken to say the same, as uv does, unless the index's own digests of the two differ
        (or they are of different indexes); so for many targets one text is read.
        """
        where = wheel.url.rpartition("/")[0].partition("//")[2].partition("/")[0]
        key = wheel.metadata if isinstance(wheel.metadata, str) else (name, wheel.version, where)
        return self._once(key, lambda: self._sources.wheel_metadata(wheel))

    def _once(self, key: object, read: Callable[[], str | None]) -> str | None:
        with self._lock:
            reading = self._reading.setdefault(key, threading.Lock())
        with reading:
            if self._texts.get(key) is None:
                self._texts[key] = read()
            return self._texts[key]


@lru_cache(maxsize=8192)
def fields_of(text: str) -> Fields:
    """Return `read_fields(text)`, parsed once: the same text is asked about for each target."""
    return read_fields(text)
