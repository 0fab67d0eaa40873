"""What the loopback index answers our own resolver: one file for each version, whose metadata can be had.

A resolver that may not build refuses every version without a wheel, or quietly goes back to an older one. So each
version that a target could use, from a wheel that fits or from an sdist that would be built, is offered as one wheel
of tag `py3-none-any` that does not exist: only its `.metadata` (PEP 658) is ever asked for. Which tags fit is thus
decided by `Target.rank` alone, also for targets that the resolver cannot name; and it talks to nobody but the view.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from farm.adapters.core_metadata import Fields, fold_markers, metadata_text
from farm.model.build import BadSdist, IntegrityError
from farm.model.package import Pin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from farm.adapters.exact_metadata import ExactMetadata
    from farm.model.demand import IndexOptions
    from farm.model.package import IndexFile, NormalizedName, Version
    from farm.model.target import Target
    from farm.ports import Index, Sdists

SCHEMA = 1
"""Raise it when the same indexes give the resolver other answers than before."""

_Files = tuple["IndexFile", ...]
_SDISTS = (".tar.gz", ".zip", ".tar.bz2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the answers come from. `wheel_metadata` returns a wheel's METADATA, or None when the wheel is gone."""

    upstream: Index
    farm: Index | None
    sdists: Sdists
    wheel_metadata: Callable[[IndexFile], str | None]
    exact: ExactMetadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is asked for: `pinned` are versions named with `==`, `direct` the files that `name @ url` requirements name.

    `fold` decides markers here, for targets that the resolver cannot be told of exactly.
    """

    target: Target
    options: IndexOptions
    pinned: frozenset[Pin] = frozenset()
    direct: Mapping[NormalizedName, IndexFile] = field(default_factory=dict)
    fold: bool = False


class Answers:
    """What the view answers, apart from HTTP; and what it noted while answering. Called from several threads."""

    def __init__(self, sources: Sources, scope: Scope) -> None:
        self._sources = sources
        self._scope = scope
        self._lock = threading.Lock()
        self._versions: dict[NormalizedName, dict[Version, _Files]] = {}
        self.failures: list[Exception] = []
        self.absent: set[NormalizedName] = set()
        self.unusable: dict[NormalizedName, tuple[Version, ...]] = {}
        self.provisional: dict[Pin, tuple[IndexFile, str]] = {}

    @property
    def asked(self) -> frozenset[NormalizedName]:
        """The projects that the answers so far depend on, those that no index has included."""
        with self._lock:
            return frozenset((self._versions.keys() | self.absent) - self._scope.direct.keys())

    def versions(self, name: NormalizedName) -> dict[Version, _Files] | None:
        """Return each version's files, the farm's first; None when no index has the project."""
        with self._lock:
            known = self._versions.get(name)
        if known is not None:
            return known
        given = self._scope.direct.get(name)
        indexes = () if given else filter(None, (self._sources.farm, self._sources.upstream))
        pages = [page for index in indexes if (page := index.project(name)) is not None]
        files = [given] if given else [file for page in pages for file in page.files]
        if not given and not pages:
            with self._lock:
                self.absent.add(name)
            return None
        grouped: dict[Version, list[IndexFile]] = {}
        for file in files:
            if file.version is not None and (file.is_wheel or file.is_sdist):
                grouped.setdefault(file.version, []).append(file)
        with self._lock:
            return self._versions.setdefault(name, {version: tuple(found) for version, found in grouped.items()})

    def page(self, name: NormalizedName) -> dict[str, Any] | None:
        """Return the PEP 691 page, or None for a 404. UpstreamError when an index did not answer."""
        versions = self.versions(name)
        if versions is None:
            return None
        offered = {
            version: file for version, files in versions.items() if (file := self._usable(name, files)) is not None
        }
        refused = tuple(sorted(version for version in versions if version not in offered))
        with self._lock:
            self.unusable[name] = refused
        # A version that cannot be had is still the answer to `==`, and to a project that has no other: the survey then
        # says what is missing, for this one package. Otherwise older versions that can be had come into play, as in pip.
        nothing_fits = not offered
        for version in refused:
            if nothing_fits or Pin(name=name, version=version) in self._scope.pinned:
                offered[version] = versions[version][0]
        entries = [self._entry(name, version, file) for version, file in offered.items()]
        return {"meta": {"api-version": "1.1"}, "name": name, "versions": [str(v) for v in offered], "files": entries}

    def _usable(self, name: NormalizedName, files: _Files) -> IndexFile | None:
        """Return the file of a version that this target's client would take, or None: for its Python, not yanked."""
        sdist = self._sdist(name, files)
        if sdist is not None and not sdist.yanked and self._python_fits(sdist):
            return sdist
        found = [*self.fitting(name, files), *([sdist] if sdist is not None else [])]
        return min(found, key=lambda file: (not self._python_fits(file), bool(file.yanked)), default=None)

    def _python_fits(self, file: IndexFile) -> bool:
        return python_fits(file.requires_python, self._scope.target.full_version)

    def _sdist(self, name: NormalizedName, files: _Files) -> IndexFile | None:
        if "source" not in self._scope.options.allowed_formats(name) and name not in self._scope.direct:
            return None
        return best_sdist(files)

    def fitting(self, name: NormalizedName, files: _Files) -> list[IndexFile]:
        """Return the wheels that the target's client takes, best first."""
        if "binary" not in self._scope.options.allowed_formats(name) and name not in self._scope.direct:
            return []
        ranked = [
            (rank, number, file)
            for number, file in enumerate(files)
            if (wheel := file.wheel) is not None and (rank := self._scope.target.rank(wheel.tags)) is not None
        ]
        return [file for _, _, file in sorted(ranked, key=lambda entry: entry[:2])]

    def _entry(self, name: NormalizedName, version: Version, file: IndexFile) -> dict[str, Any]:
        filename = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        entry: dict[str, Any] = {
            "filename": filename,
            "url": f"../../files/{name}/{quote(filename)}",
            # uv keys metadata by the hash, so it must be no other file's.
            "hashes": {"sha256": hashlib.sha256(f"{name} {version} {file.sha256}".encode()).hexdigest()},
            "core-metadata": True,
            "yanked": file.yanked,
        }
        if file.requires_python is not None:
            entry["requires-python"] = file.requires_python
        if file.upload_time is not None:
            entry["upload-time"] = file.upload_time.isoformat()
        return entry

    def metadata(self, name: NormalizedName, version: Version) -> str | None:
        """Return the METADATA of a version, or None for a 404. UpstreamError when an index did not answer."""
        files = (self.versions(name) or {}).get(version)
        if files is None:
            return None
        pin = Pin(name=name, version=version)
        text = self._exact(pin, files)
        if text is None:
            text = self._from_sdist(pin, best_sdist(files))
        return fold_markers(text, pin, self._scope.target) if self._scope.fold else text

    def _exact(self, pin: Pin, files: _Files) -> str | None:
        sdist = self._sdist(pin.name, files)
        fitting = self.fitting(pin.name, files)
        if sdist is not None and not fitting:
            recorded = self._sources.exact.get(sdist, self._scope.target)
            if recorded is not None:
                return recorded
        # A wheel for another platform tells it too, as in uv; of these, one with a `.metadata` file costs least.
        others = sorted((f for f in files if f.wheel is not None and f not in fitting), key=lambda f: not f.metadata)
        for wheel in (*fitting, *others[:1]):
            text = self._sources.wheel_metadata(wheel)
            if text is not None:
                return text
        return None

    def _from_sdist(self, pin: Pin, sdist: IndexFile | None) -> str:
        text, provisional = None, True
        if sdist is not None:
            try:
                facts = self._sources.sdists.facts(pin, sdist)
            except (BadSdist, IntegrityError):
                # The package's own fault: it is settled on with nothing known, and its build then says what is wrong.
                provisional = False
            else:
                text, provisional = facts.metadata, facts.provisional
        text = text or metadata_text(pin, Fields(requires_python=sdist.requires_python if sdist else None))
        if provisional and sdist is not None:
            with self._lock:
                self.provisional[pin] = (sdist, text)
        return text

    def noted(self, error: Exception) -> None:
        with self._lock:
            self.failures.append(error)


def best_sdist(files: _Files) -> IndexFile | None:
    """Return the sdist to build from: one that is not yanked, `.tar.gz` before `.zip` before `.tar.bz2`."""
    return min((file for file in files if file.is_sdist), key=_sdist_rank, default=None)


def _sdist_rank(file: IndexFile) -> tuple[bool, int]:
    return bool(file.yanked), next(
        (n for n, suffix in enumerate(_SDISTS) if file.filename.endswith(suffix)), len(_SDISTS)
    )


@lru_cache(maxsize=4096)
def python_fits(requires_python: str | None, full_version: str) -> bool:
    """Tell whether Requires-Python admits an interpreter; a specifier that cannot be read admits all, as in pip."""
    try:
        return requires_python is None or SpecifierSet(requires_python).contains(full_version, prereleases=True)
    except InvalidSpecifier:
        return True
