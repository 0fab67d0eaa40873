"""What the indexes hold, as one run of the resolver sees it: each version's files, and one METADATA text a version.

Shared by all targets of a run: a page is grouped once, a text is read once, and what is too young is left out for all.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from farm.adapters.core_metadata import Fields, read_fields
from farm.adapters.lazy_page import LazyPage, MergedPage
from farm.model.package import Pin, Project, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from packaging.tags import Tag

    from farm.adapters.exact_metadata import ExactMetadata
    from farm.model.package import IndexFile, NormalizedName
    from farm.ports import Index, Sdists

Files = tuple["IndexFile", ...]
_SDISTS = (".tar.gz", ".zip", ".tar.bz2")
_HEADER = re.compile(r"([A-Za-z-]+):[ \t]*(.*)")
_HEADERS_END = re.compile(r"\r?\n\r?\n")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """One version's files. `wheels` come with the part of the file name that tells the tags, and the tags; `sdist` is the one to build."""

    files: Files
    wheels: tuple[tuple[IndexFile, str, frozenset[Tag]], ...]
    sdist: IndexFile | None

    @classmethod
    def of(cls, files: Files) -> Sorted:
        named = ((file, file.wheel) for file in files if file.is_wheel)
        wheels = tuple((file, file.filename.split("-", 2)[2], wheel.tags) for file, wheel in named if wheel is not None)
        return cls(files=files, wheels=wheels, sdist=best_sdist(files))


def best_sdist(files: Iterable[IndexFile]) -> IndexFile | None:
    """Return the sdist to build from: one that is not yanked, `.tar.gz` before `.zip` before `.tar.bz2`."""
    return min((file for file in files if file.is_sdist), key=_sdist_rank, default=None)


def _sdist_rank(file: IndexFile) -> tuple[bool, int]:
    return bool(file.yanked), next((n for n, suffix in enumerate(_SDISTS) if file.filename.endswith(suffix)), len(_SDISTS))


class VersionFiles:
    """The files and texts of one run. Safe to use from several threads."""

    def __init__(self, sources: Sources, selection: Selection) -> None:
        self._sources = sources
        self._selection = selection
        self._lock = threading.Lock()
        self._pages: dict[NormalizedName, tuple[Project, ...]] = {}
        self._whole: dict[NormalizedName, dict[Version, Files]] = {}
        self._within: dict[tuple[NormalizedName, str], tuple[Version, ...] | None] = {}
        self._of: dict[tuple[NormalizedName, Version], Files] = {}
        self._sorted: dict[tuple[NormalizedName, Version], Sorted] = {}
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

    def within(self, name: NormalizedName, bounds: str) -> tuple[Version, ...] | None:
        """Return the versions that the bounds admit, pre-releases too, newest first; None when no index has the project."""
        key = (name, bounds)
        if key not in self._within:
            specifiers = SpecifierSet(bounds)
            exact = [one.version for one in specifiers if one.operator == "==" and not one.version.endswith(".*")]
            pages = self._indexed(name)
            versions = None if pages is None else _candidates(pages, Version(exact[0]) if exact else None)
            admitted = None if versions is None else [v for v in versions if specifiers.contains(v, prereleases=True)]
            self._within[key] = None if admitted is None else tuple(sorted(admitted, reverse=True))
        return self._within[key]

    def of(self, name: NormalizedName, version: Version) -> Files:
        """Return the files of one version that count, the farm's first."""
        key = (name, version)
        files = self._of.get(key)
        if files is None:
            found = (file for page in self._indexed(name) or () for file in page.of(version))
            files = self._of[key] = self._counting(name, version, found)
        return files

    def sorted(self, name: NormalizedName, files: Files) -> Sorted:
        """Return one version's files by kind, remembered: every target asks."""
        version = files[0].version if files else None
        if version is None:
            return Sorted.of(files)
        found = self._sorted.get((name, version))
        if found is None or found.files is not files:
            found = self._sorted[name, version] = Sorted.of(files)
        return found

    def _counting(self, name: NormalizedName, version: Version, found: Iterable[IndexFile]) -> Files:
        files = tuple(file for file in found if file.is_wheel or file.is_sdist)
        return files if name in self._selection.direct else self._cooled(Pin(name=name, version=version), files)

    def _indexed(self, name: NormalizedName) -> tuple[Project, ...] | None:
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
        text = self._texts.get(key)
        if text is not None:
            return text
        with self._lock:
            reading = self._reading.setdefault(key, threading.Lock())
        with reading:
            if self._texts.get(key) is None:
                self._texts[key] = read()
            return self._texts[key]


@lru_cache(maxsize=8192)
def fields_of(text: str) -> Fields:
    """Return `read_fields(text)`, parsed once: the same text is asked about for each target."""
    # A description after the headers tells nothing here, and is most of the text.
    end = _HEADERS_END.search(text)
    head = text[: end.start()] if end else text
    return _plain_fields(head) or read_fields(head)


def _plain_fields(head: str) -> Fields | None:
    """Return the fields of headers as nearly all tools write them, one a line; None for whatever is odd.

    What a parser of e-mail takes for a whole METADATA file is most of the time that a version costs.
    """
    if not head.isascii() or "\r" in head:
        return None
    found: dict[str, list[str]] = {"requires-dist": [], "requires-python": [], "provides-extra": []}
    for line in head.split("\n"):
        match = _HEADER.fullmatch(line)
        if match is None:
            return None
        values = found.get(match[1].lower())
        if values is not None:
            values.append(match[2])
    if len(found["requires-python"]) > 1:
        return None
    python = found["requires-python"][0] if found["requires-python"] else None
    return Fields(requires_dist=tuple(found["requires-dist"]), requires_python=python, extras=tuple(found["provides-extra"]))


def _candidates(pages: Iterable[Project], pinned: Version | None) -> Iterable[Version]:
    """Return the versions on some pages; with `pinned` only those that could be it, local versions of it included.

    Most requirements of a lock name one, and a page's other thousand are slow to parse and to ask a specifier about.
    """
    if pinned is None:
        return dict.fromkeys(version for page in pages for version in page.by_version())
    near = (page.near(pinned) if isinstance(page, LazyPage | MergedPage) else page.by_version() for page in pages)
    return dict.fromkeys(version for versions in near for version in versions if version.release[:1] == pinned.release[:1])
