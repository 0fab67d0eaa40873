"""The sources behind a direct reference, packed into one archive in the store; nothing of them is run.

A commit or an answer of a server that was seen before is neither cloned nor downloaded again.
"""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from packaging.utils import InvalidSdistFilename, parse_sdist_filename
from packaging.version import InvalidVersion

from farm.adapters.direct_place import shown
from farm.adapters.durable import storing
from farm.adapters.git import Git, describe_here, is_commit, may_be_abbreviated, no_such
from farm.adapters.identity import describe_patterns, metadata_identity, stated
from farm.adapters.page_cache import keep
from farm.adapters.sdist_archive import read_sdist
from farm.adapters.source_tree import unpack
from farm.adapters.tree_pack import Packing, pack
from farm.model.build import BadSdist
from farm.model.package import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from farm.adapters.direct_files import Blobs, DirectFiles
    from farm.adapters.direct_place import Place
    from farm.adapters.git import Refs
    from farm.model.direct import Asked

_SCHEMA = 1
_ARCHIVAL = ".git_archival.txt"
_PROJECT = frozenset({"pyproject.toml", "setup.py"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeSetting:
    """What this needs of the world. `omit` are folders that are never part of a project."""

    cache: Path
    scratch: Path
    env: Mapping[str, str]
    blobs: Blobs
    say: Callable[[str, str], None]
    omit: tuple[Path, ...] = ()


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A packed project: the archive's sha256, what it states, its commit, and the state of the tags that its version hangs on."""

    sha256: str
    name: str | None = None
    version: str | None = None
    commit: str = ""
    tags: str | None = None


class Trees:
    """Makes archives of places. BadSdist, IntegrityError and UpstreamError tell what is wrong with a place."""

    def __init__(self, files: DirectFiles, setting: TreeSetting) -> None:
        self._files = files
        self._setting = setting

    def source(self, asked: Asked, place: Place) -> Source:
        """Return the sources of a repository, a folder or an archive."""
        match place.kind:
            case "git":
                return self._repository(asked, place)
            case "folder":
                return self._folder(asked, place)
            case _:
                return self._unpacked(asked, place)

    def bytes_of(self, asked: Asked, place: Place) -> Digest:
        """Return the sha256 of a file at a URL or path, kept in the store, its hashes checked."""
        if place.kind == "file":
            return self._files.local(place.path, asked.hashes)
        self._setting.say(shown(asked.url), "fetching")
        return self._files.fetched(place.url, asked.hashes)

    def _unpacked(self, asked: Asked, place: Place) -> Source:
        """A .tar archive is taken as it is: an sdist's build is then the same job, wherever the sdist came from."""
        digest = self.bytes_of(asked, place)
        memory = self._memory("archive", digest, place.subdirectory)
        known = self._remembered(memory)
        if known is not None:
            return known
        with self._scratch() as folder:
            archive = self._blob(digest)
            tree = unpack(archive, folder / "tree")
            if place.subdirectory or not tarfile.is_tarfile(archive):
                found = self._packed(asked, tree, place.subdirectory, Packing(within=tree))
            else:
                found = self._stated(digest)
            found = _sdist_identity(found, place, tree / place.subdirectory)
        return self._remember(memory, found)

    def _folder(self, asked: Asked, place: Place) -> Source:
        packing = Packing(within=place.path, tidy=True, omit=self._setting.omit)
        source = self._packed(asked, place.path, "", packing)
        patterns = self._patterns(source)
        if patterns:
            text = describe_here(place.path, self._setting.env, patterns)
            if text is not None:
                more = {**packing.more, _ARCHIVAL: text.encode()}
                source = self._packed(asked, place.path, "", replace(packing, more=more))
        return source

    def _repository(self, asked: Asked, place: Place) -> Source:
        remote, setting = place.remote, self._setting
        setting.say(str(remote), "asking which commit it is")
        with self._scratch() as folder:
            git = Git(setting.env, folder / "git")
            refs: Refs | None = None
            commit = remote.ref if is_commit(remote.ref) else None
            if commit is None:
                refs = git.refs(remote)
                commit = refs.find(remote.ref) or self._whole(folder, place)
            assert commit is not None
            memory = self._memory("git", str(remote), commit, place.subdirectory)
            known = self._remembered(memory)
            if known is not None and (known.tags is None or refs is None or known.tags == refs.tags):
                return known
            setting.say(str(remote), f"fetching {commit[:12]}")
            tree = git.check_out(remote, commit)
            source = self._packed(asked, tree, place.subdirectory, Packing(within=tree))
            tags = None
            patterns = self._patterns(source)
            if patterns:
                text = git.archival(remote, commit, patterns)
                tags = (refs or git.refs(remote)).tags
                packing = Packing(within=tree, more={_ARCHIVAL: text.encode()})
                source = self._packed(asked, tree, place.subdirectory, packing)
        return self._remember(memory, msgspec.structs.replace(source, commit=commit, tags=tags))

    def _whole(self, folder: Path, place: Place) -> str:
        if not may_be_abbreviated(place.remote.ref):
            raise no_such(place.remote)
        assert place.remote.ref is not None
        return Git(self._setting.env, folder / "history").whole(place.remote, place.remote.ref)

    def _packed(self, asked: Asked, tree: Path, subdirectory: str, packing: Packing) -> Source:
        project = tree / subdirectory
        if not project.is_dir() or not project.resolve().is_relative_to(tree.resolve()):
            raise BadSdist(f"there is no folder {subdirectory!r} in it", solution="correct #subdirectory=")
        if not any((project / name).is_file() for name in _PROJECT):
            where = subdirectory or shown(asked.url)
            reason = f"expected a pyproject.toml or setup.py in {where}, found neither"
            raise BadSdist(
                reason, solution="correct the path; a project in a folder of its repository needs #subdirectory="
            )
        with self._scratch() as folder:
            with (folder / "source.tar").open("w+b") as archive:
                pack(project, archive, packing)
            digest = self._setting.blobs.keep(folder / "source.tar")
        return self._stated(digest)

    def _stated(self, digest: Digest) -> Source:
        found = stated(read_sdist(self._blob(digest)))
        return Source(sha256=digest, name=found.name, version=None if found.version is None else str(found.version))

    def _patterns(self, source: Source) -> tuple[str, ...]:
        """Return which tags tell the version; none where it hangs on no tag."""
        if source.version is not None:
            return ()
        return describe_patterns(read_sdist(self._blob(Digest(source.sha256))))

    def _blob(self, digest: Digest) -> Path:
        path = self._setting.blobs.find(digest)
        assert path is not None, "what is kept is there"
        return path

    def _memory(self, *parts: str) -> Path:
        key = hashlib.sha256("\0".join((str(_SCHEMA), *parts)).encode()).hexdigest()
        return self._setting.cache / f"{key}.json"

    def _remembered(self, path: Path) -> Source | None:
        try:
            found = msgspec.json.decode(path.read_bytes(), type=Source)
        except (OSError, msgspec.DecodeError):
            return None
        return found if self._setting.blobs.find(Digest(found.sha256)) is not None else None

    def _remember(self, path: Path, source: Source) -> Source:
        keep(path, msgspec.json.encode(source))
        return source

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        with storing(self._setting.scratch):
            self._setting.scratch.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(
                prefix="direct-", dir=self._setting.scratch, ignore_cleanup_errors=True
            ) as folder:
                yield Path(folder)


def _sdist_identity(source: Source, place: Place, project: Path) -> Source:
    """Return it with what an sdist's PKG-INFO (of any version, if the archive's own name agrees) says."""
    if source.version is not None:
        return source
    try:
        name, version = parse_sdist_filename(place.filename)
        text = (project / "PKG-INFO").read_text("utf-8", "replace")
    except (InvalidSdistFilename, InvalidVersion, OSError):
        return source
    said = metadata_identity(text)
    return (
        msgspec.structs.replace(source, name=name, version=str(version))
        if (said.name, said.version) == (name, version)
        else source
    )
