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

from farm.adapters.core_metadata import Fields, fold_markers, metadata_text, without_urls
from farm.adapters.version_files import Selection, VersionFiles, best_sdist
from farm.model.build import BadSdist, IntegrityError
from farm.model.package import Pin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.tags import Tag

    from farm.adapters.version_files import Files, Sources
    from farm.model.demand import IndexOptions
    from farm.model.package import IndexFile, NormalizedName, Version
    from farm.model.target import Target

__all__ = ["SCHEMA", "Answers", "Scope", "best_sdist", "python_fits"]

SCHEMA = 2
"""Raise it when the same indexes give the resolver other answers than before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """For whom the answers are. `pinned` are the versions that requirements of this target name with `==`.

    `fold` decides markers here, for targets that the resolver cannot be told of exactly. `prefer_binary` passes over
    versions without a wheel where `bounds`, the user's own, admit one with a wheel.
    """

    target: Target
    options: IndexOptions
    pinned: frozenset[Pin] = frozenset()
    selection: Selection = field(default_factory=Selection)
    fold: bool = False
    prefer_binary: bool = False
    bounds: Mapping[NormalizedName, SpecifierSet] = field(default_factory=dict)


class Answers:
    """What the view answers, apart from HTTP; and what it noted while answering. Called from several threads.

    `files` may be shared by the Answers of several targets of one run.
    """

    def __init__(self, sources: Sources, scope: Scope, files: VersionFiles | None = None) -> None:
        self._sources = sources
        self._scope = scope
        self._lock = threading.Lock()
        self._ranks: dict[str, int | None] = {}
        self.files = files or VersionFiles(sources, scope.selection)
        self.failures: list[Exception] = []
        self.unusable: dict[NormalizedName, tuple[Version, ...]] = {}
        self.provisional: dict[Pin, tuple[IndexFile, str]] = {}

    @property
    def target(self) -> Target:
        return self._scope.target

    @property
    def absent(self) -> set[NormalizedName]:
        return self.files.absent

    @property
    def asked(self) -> frozenset[NormalizedName]:
        """The projects that the answers so far depend on, those that no index has included."""
        return self.files.asked

    def versions(self, name: NormalizedName) -> dict[Version, Files] | None:
        """Return each version's files that count, the farm's first; None when no index has the project."""
        versions = self.files.versions(name)
        if versions is None:
            return None
        return {version: files for version, files in versions.items() if not self._hidden(name, version)}

    def of(self, name: NormalizedName, version: Version) -> Files:
        """Return the files of one version that count for this target."""
        files = self.files.of(name, version)
        return () if self._hidden(name, version) else files

    def _hidden(self, name: NormalizedName, version: Version) -> bool:
        """Tell whether a version is exempt from the cool-down for another target only, which pins it."""
        if not self.files.exempt:
            return False
        pin = Pin(name=name, version=version)
        return pin in self.files.exempt and pin not in self._scope.pinned

    def page(self, name: NormalizedName) -> dict[str, Any] | None:
        """Return the PEP 691 page, or None for a 404. UpstreamError when an index did not answer."""
        versions = self.versions(name)
        if versions is None:
            return None
        offered = {
            version: file
            for version, files in versions.items()
            # uv reads Requires-Python as a lower bound only; pip, and so the client, reads all of it.
            if (file := self.usable(name, files)) is not None and self._python_fits(file)
        }
        if self._scope.prefer_binary:
            offered = self._binaries(name, offered, versions)
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

    def _binaries(
        self, name: NormalizedName, offered: dict[Version, IndexFile], versions: Mapping[Version, Files]
    ) -> dict[Version, IndexFile]:
        """Leave out the versions that would be built, where one within the user's bounds has a wheel (pip's --prefer-binary)."""
        bounds = self._scope.bounds.get(name, SpecifierSet())
        wheels = {version for version in offered if self.fitting(name, versions[version])}
        if not any(bounds.contains(version) and not offered[version].yanked for version in wheels):
            return offered
        return {version: file for version, file in offered.items() if version in wheels}

    def usable(self, name: NormalizedName, files: Files) -> IndexFile | None:
        """Return the file of a version that this target's client would take, or None: for its Python, not yanked."""
        sdist = self._sdist(name, files)
        if sdist is not None and not sdist.yanked and self._python_fits(sdist):
            return sdist
        found = [*self.fitting(name, files), *([sdist] if sdist is not None else [])]
        return min(found, key=lambda file: (not self._python_fits(file), bool(file.yanked)), default=None)

    def offers(self, name: NormalizedName, version: Version) -> bool:
        """Tell whether a version would be on the page, and be taken there by whoever does not name it with `==`.

        False also for what only a look at the whole page could tell; but for a pinned version it is exact.
        """
        files = self.of(name, version)
        if not files:
            return False
        file = self.usable(name, files)
        if Pin(name=name, version=version) in self._scope.pinned:
            return self._python_fits(file or files[0])
        return file is not None and not file.yanked and self._python_fits(file)

    def _python_fits(self, file: IndexFile) -> bool:
        return python_fits(file.requires_python, self._scope.target.full_version)

    def _sdist(self, name: NormalizedName, files: Files) -> IndexFile | None:
        if "source" not in self._scope.options.allowed_formats(name) and name not in self._scope.selection.direct:
            return None
        return self.files.sorted(name, files).sdist

    def fitting(self, name: NormalizedName, files: Files) -> list[IndexFile]:
        """Return the wheels that the target's client takes, best first."""
        if "binary" not in self._scope.options.allowed_formats(name) and name not in self._scope.selection.direct:
            return []
        ranked = [
            (rank, number, file)
            for number, (file, text, tags) in enumerate(self.files.sorted(name, files).wheels)
            if (rank := self._rank(text, tags)) is not None
        ]
        return [file for _, _, file in sorted(ranked, key=lambda entry: entry[:2])]

    def _rank(self, text: str, tags: frozenset[Tag]) -> int | None:
        """Return the rank of a wheel's tags for the target. Pages repeat few, and texts are quicker to compare."""
        if text not in self._ranks:
            self._ranks[text] = self._scope.target.rank(tags)
        return self._ranks[text]

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
        files = self.of(name, version)
        if not files:
            return None
        pin = Pin(name=name, version=version)
        text = self._exact(pin, files)
        if text is None:
            text = self._from_sdist(pin, best_sdist(files))
        if self._scope.selection.direct:
            text = without_urls(text, self._scope.selection.direct)
        return fold_markers(text, pin, self._scope.target) if self._scope.fold else text

    def _exact(self, pin: Pin, files: Files) -> str | None:
        sdist = self._sdist(pin.name, files)
        fitting = self.fitting(pin.name, files)
        if sdist is not None and not fitting:
            recorded = self._sources.exact.get(sdist, self._scope.target)
            if recorded is not None:
                return recorded
        for wheel in fitting:
            text = self.files.wheel_text(pin.name, wheel)
            if text is not None:
                return text
        # A wheel for another platform tells it too, as in uv; of these, one with a `.metadata` file costs least.
        other = min((f for f in files if f.wheel is not None and f not in fitting), key=lambda f: not f.metadata, default=None)
        return self.files.wheel_text(pin.name, other) if other is not None else None

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


@lru_cache(maxsize=4096)
def python_fits(requires_python: str | None, full_version: str) -> bool:
    """Tell whether Requires-Python admits an interpreter; a specifier that cannot be read admits all, as in pip."""
    try:
        return requires_python is None or SpecifierSet(requires_python).contains(full_version, prereleases=True)
    except InvalidSpecifier:
        return True
