"""What a path, URL or repository is: a wheel, or sources whose name and version they state or a build backend is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from farm.adapters.core_metadata import read_fields
from farm.adapters.direct_place import place_of, shown
from farm.adapters.identity import Identity, metadata_identity, text_identity
from farm.adapters.process import redact
from farm.adapters.wheel_metadata import metadata_of
from farm.errors import EngineError, ImageError, UpstreamError
from farm.model.build import BadSdist, BuildFailed, IntegrityError
from farm.model.direct import Direct, Settled, Unsettled
from farm.model.package import Digest, IndexFile, Pin, parse_wheel_name
from farm.model.page import file_url

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from farm.adapters.direct_files import Blobs
    from farm.adapters.direct_place import Place
    from farm.adapters.direct_trees import Source, Trees
    from farm.adapters.exact_metadata import ExactMetadata
    from farm.model.direct import Asked
    from farm.model.package import NormalizedName, Version
    from farm.model.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectSetting:
    """What this needs of the world.

    `ask` returns the METADATA that the build backend computes for an archive, in a container (BuildFailed, or what
    else the engine raises); None where no container may be started. `mark` tells apart what the recipe of a project makes its
    backend say. `built` returns the farm's wheels of a project that
    were built from the archive with a sha256.
    """

    blobs: Blobs
    exact: ExactMetadata
    built: Callable[[NormalizedName, Digest], tuple[IndexFile, ...]]
    ask: Callable[[IndexFile, NormalizedName | None, Target], str] | None
    mark: Callable[[NormalizedName | None, Target], str]


class _NotHere(Exception):  # noqa: N818 - says what is not
    """Only a container could tell, and none may be started; or the engine is not there."""


class DirectSources:
    """Satisfies `ports.DirectSources`."""

    def __init__(self, trees: Trees, setting: DirectSetting) -> None:
        self._trees = trees
        self._setting = setting

    def settle(self, asked: Asked, targets: Sequence[Target]) -> Settled | Unsettled:
        """Return what a direct reference is; see `ports.DirectSources`."""
        direct = Direct(url=shown(asked.url), editable=asked.editable)
        try:
            place = place_of(asked)
            if place.filename.endswith(".whl"):
                return self._wheel(asked, place, direct)
            source = self._trees.source(asked, place)
            direct = replace(direct, commit=source.commit)
            if source.name is not None:
                _same_name(asked, text_identity(source.name, None).name)
            return self._settled(asked, source, direct, targets)
        except _NotHere as error:
            return _unsettled(asked, direct, str(error), unknown=True)
        except UpstreamError as error:
            return _unsettled(asked, direct, f"{error.reason}; {error.solution}", unknown=True)
        except (BadSdist, IntegrityError, BuildFailed) as error:
            return _unsettled(asked, direct, f"{error.reason}; {error.solution}" if error.solution else error.reason)

    def shown(self, url: str) -> Direct:
        """Return a direct reference as people may see it."""
        return Direct(url=shown(url))

    def _wheel(self, asked: Asked, place: Place, direct: Direct) -> Settled:
        wheel = parse_wheel_name(place.filename)
        if wheel is None:
            raise BadSdist(f"{place.filename!r} is no wheel's file name", solution="correct the file's name")
        _same_name(asked, wheel.name)
        digest = self._trees.bytes_of(asked, place)
        path = self._blob(digest)
        text = metadata_of(path)
        if text is None:
            raise BadSdist(
                f"{direct}: expected a wheel, found a file without METADATA", solution="correct the URL or the file"
            )
        file = IndexFile(
            filename=place.filename, url=file_url(digest, place.filename), version=wheel.version, sha256=digest,
            size=path.stat().st_size, requires_python=read_fields(text).requires_python,
        )  # fmt: skip
        pin = Pin(name=wheel.name, version=wheel.version)
        return Settled(pin=pin, file=file, direct=direct, origin=asked.origin, marker=asked.marker)

    def _settled(self, asked: Asked, source: Source, direct: Direct, targets: Sequence[Target]) -> Settled:
        known = text_identity(source.name, source.version)
        if known.name is None or known.version is None:
            known = self._asked(asked, source, targets)
        assert known.name is not None
        assert known.version is not None
        _same_name(asked, known.name)
        digest = Digest(source.sha256)
        file = _archive(known.name, known.version, digest, self._blob(digest).stat().st_size)
        return Settled(
            pin=Pin(name=known.name, version=known.version), file=file, direct=direct, origin=asked.origin, marker=asked.marker,
            # A recipe may have the same sources tell another version today.
            wheels=tuple(wheel for wheel in self._setting.built(known.name, digest) if wheel.version == known.version),
        )  # fmt: skip

    def _asked(self, asked: Asked, source: Source, targets: Sequence[Target]) -> Identity:
        """Return what the build backend says, as it did before or as it does now."""
        file = IndexFile(filename="source.tar.gz", url=file_url(Digest(source.sha256), "source.tar.gz"), version=None,
                         sha256=Digest(source.sha256))  # fmt: skip
        name = text_identity(source.name, None).name or asked.name
        for target in targets:
            text = self._setting.exact.get(file, target, self._setting.mark(name, target))
            if text is not None:
                return _read(text)
        what = "name" if source.name is None and asked.name is None else "version"
        if self._setting.ask is None:
            message = f"its {what} is not stated in its files: only its build backend can tell it, in a container (`farm build`)"
            raise _NotHere(message)
        told = ""
        for target in targets:
            try:
                text = self._setting.ask(file, name, target)
            except (EngineError, ImageError) as error:
                told = error.reason.splitlines()[0]
                continue
            self._setting.exact.put(file, target, text, self._setting.mark(name, target))
            return _read(text)
        message = f"its {what} is not stated in its files, and its build backend could not be asked: {told}"
        raise _NotHere(message)

    def _blob(self, digest: Digest) -> Path:
        path = self._setting.blobs.find(digest)
        assert path is not None, "what is kept is there"
        return path


def _unsettled(asked: Asked, direct: Direct, reason: str, *, unknown: bool = False) -> Unsettled:
    told = reason.replace(asked.url, direct.url).replace(redact(asked.url), direct.url)
    return Unsettled(
        name=asked.name or direct.url,
        direct=direct,
        origin=asked.origin,
        reason=redact(told),
        marker=asked.marker,
        unknown=unknown,
    )


def _same_name(asked: Asked, name: NormalizedName | None) -> None:
    if asked.name is not None and asked.name != name:
        reason = f"expected {asked.name}, found {name} there"
        raise BadSdist(reason, solution=f"write {name} in its place, or correct the URL")


def _archive(name: NormalizedName, version: Version, digest: Digest, size: int) -> IndexFile:
    filename = f"{name.replace('-', '_')}-{version}.tar.gz"
    return IndexFile(filename=filename, url=file_url(digest, filename), version=version, sha256=digest, size=size)


def _read(metadata: str) -> Identity:
    found = metadata_identity(metadata)
    if found.name is None or found.version is None:
        reason = "expected a name and a version from its build backend, found none that is valid"
        raise BadSdist(reason, solution="correct the project's metadata")
    return found
