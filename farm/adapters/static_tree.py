"""`farm export`: the index as static files, for nginx or a bucket, brought up to date by what changed.

    simple/<project>/index.html  index.v1_html  index.v1_json, each with .gz     simple/index.*      the list of projects
    files/<2>/<62>/<file name>   and .metadata                                   packages.json       all files, for people's scripts
    nginx.conf                   a server block                                  .farm-export.json   what was written, from what

Files come before the page that lists them, and go after it; each is whole or absent. So a tree is consistent at any moment.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, cast

import msgspec

from farm.adapters.durable import TEMPORARY, make_dirs, storing
from farm.errors import StoreError
from farm.model.package import parse_digest
from farm.model.page import HTML, JSON

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

    from farm.model.package import Digest, IndexFile, NormalizedName, Project
    from farm.model.page import Coding, Kind, Page

STATE = ".farm-export.json"
_SCHEMA = 1
_TRIES = 5
_NAMES: dict[Kind, tuple[str, ...]] = {HTML: ("index.html", "index.v1_html"), JSON: ("index.v1_json",)}
_CODINGS: dict[Coding, str] = {"identity": "", "gzip": ".gz"}

Files = Literal["auto", "link", "copy"]


# What a project's page was made from, and the name, digest, size and version of each of its files.
_Entry = tuple[str | None, list[tuple[str, str, int | None, str]]]


class _State(msgspec.Struct, kw_only=True):
    schema: int
    mark: str
    projects: dict[str, _Entry]


class Source(Protocol):
    """The view that is written."""

    def page(self, name: NormalizedName, kind: Kind, encoding: Coding) -> Page | None: ...

    def stamp(self, name: NormalizedName) -> Hashable | None: ...

    def names(self) -> tuple[NormalizedName, ...]: ...


class Own(Protocol):
    """The farm's own files."""

    def project(self, name: NormalizedName) -> Project | None: ...

    def stamp(self, name: NormalizedName) -> Hashable | None: ...

    def blob(self, digest: Digest) -> Path | None: ...

    def metadata(self, digest: Digest) -> Path | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """Where to and how. `mark` tells apart settings that change pages; `extra` are further files, by name, as they are to be."""

    folder: Path
    files: Files = "auto"
    delete: bool = False
    mark: str = ""
    extra: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Exported:
    """What an export did: projects in the tree, pages and files written and removed, bytes that were copied and not linked."""

    projects: int = 0
    pages_written: int = 0
    files_written: int = 0
    bytes_copied: int = 0
    pages_removed: int = 0
    files_removed: int = 0
    left: int = 0
    """Projects and files that are gone from the index and still in the tree, as they are not to be deleted."""


class StaticTree:
    """One export into one folder. StoreError when it cannot be written."""

    def __init__(
        self, source: Source, own: Own, render_root: Callable[[Sequence[NormalizedName]], tuple[Page, ...]]
    ) -> None:
        self._source = source
        self._own = own
        self._render_root = render_root

    def write(self, request: ExportRequest) -> Exported:
        """Bring the tree up to date. For what is unchanged this costs two stats a project, whatever it has."""
        done = Exported()
        make_dirs(request.folder)
        before = _read_state(request.folder, request.mark)
        after: dict[NormalizedName, _Entry] = {}
        for name in self._source.names():
            entry = self._project(name, before.get(name), request, done)
            if entry is not None:
                after[name] = entry
        done.projects = len(after)
        done.pages_written += _put_pages(request.folder / "simple", self._render_root(sorted(after)))
        for filename, data in {**request.extra, "packages.json": _packages(after)}.items():
            _put(request.folder / filename, data)
        self._remove_gone(request, after, done)
        if after != before:
            # After a power cut the list must not tell of pages that never came to the disk.
            os.sync()
            state = _State(schema=_SCHEMA, mark=request.mark, projects=cast("dict[str, _Entry]", after))
            _put(request.folder / STATE, msgspec.json.encode(state))
        return done

    def _project(
        self, name: NormalizedName, before: _Entry | None, request: ExportRequest, done: Exported
    ) -> _Entry | None:
        """Write a project's files, then its pages; return its stamp and files, None when it has gone."""
        folder = request.folder / "simple" / name
        for _ in range(_TRIES):
            # Before the page is read: what is published in between is written by the next export.
            stamp = (self._source.stamp(name), self._own.stamp(name))
            told = None if stamp[0] is None else repr(stamp)
            if before is not None and told is not None and before[0] == told and (folder / "index.html").exists():
                return before
            project = self._own.project(name)
            pages = self._pages(name)
            if not pages or (self._source.stamp(name), self._own.stamp(name)) != stamp:
                if not pages and project is None:
                    return None
                continue
            files = () if project is None else project.files
            try:
                for file in files:
                    self._file(file, request, done)
            except FileNotFoundError:
                # Collected just now; then the page has changed too.
                continue
            done.pages_written += _put_pages(folder, pages)
            return told, [(file.filename, str(file.sha256), file.size, str(file.version)) for file in files]
        raise StoreError(
            f"{name}: its page lists a file that is not in the store, or changes all the time",
            solution="run farm fsck, then export again",
        )

    def _pages(self, name: NormalizedName) -> list[Page]:
        found = [self._source.page(name, kind, coding) for kind in _NAMES for coding in _CODINGS]
        return [page for page in found if page is not None]

    def _file(self, file: IndexFile, request: ExportRequest, done: Exported) -> None:
        digest, filename = file.sha256, file.filename
        assert digest is not None, "the farm's own files have digests"
        target = request.folder / "files" / digest[:2] / digest[2:] / filename
        with suppress(FileNotFoundError):
            # Placed last, and never changed; after a power cut it may be too short.
            if target.stat().st_size == file.size:
                return
        blob, metadata = self._own.blob(digest), self._own.metadata(digest)
        if blob is None or metadata is None:
            raise FileNotFoundError(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        for source, place in ((metadata, target.with_name(f"{filename}.metadata")), (blob, target)):
            done.bytes_copied += _place(source, place, request.files)
        done.files_written += 1

    def _remove_gone(self, request: ExportRequest, after: Mapping[NormalizedName, _Entry], done: Exported) -> None:
        for path in _folders(request.folder / "simple"):
            if path.name not in after:
                if request.delete:
                    shutil.rmtree(path)
                    done.pages_removed += 1
                else:
                    done.left += 1
        if not request.delete:
            return
        listed = {file[1] for entry in after.values() for file in entry[1]}
        for folder in _folders(request.folder / "files"):
            for path in _folders(folder):
                if _is_digest(folder.name + path.name) and folder.name + path.name not in listed:
                    shutil.rmtree(path)
                    done.files_removed += 1


def _is_digest(text: str) -> bool:
    try:
        return parse_digest(text) == text
    except ValueError:
        return False


def _read_state(folder: Path, mark: str) -> dict[NormalizedName, _Entry]:
    """Return what an earlier export wrote with the same settings; nothing when that cannot be told: then all is compared."""
    try:
        state = msgspec.json.decode((folder / STATE).read_bytes(), type=_State)
    except (FileNotFoundError, msgspec.DecodeError):
        return {}
    return cast("dict[NormalizedName, _Entry]", state.projects) if (state.schema, state.mark) == (_SCHEMA, mark) else {}


def _packages(projects: Mapping[NormalizedName, _Entry]) -> bytes:
    rows = [
        {"name": name, "version": version, "filename": filename, "sha256": digest, "size": size}
        for name, entry in projects.items()
        for filename, digest, size, version in entry[1]
    ]
    return json.dumps({"schema": 1, "files": rows}, indent=1).encode()


def _put_pages(folder: Path, pages: Sequence[Page]) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    found = ((f"{name}{_CODINGS[page.encoding]}", page.body) for page in pages for name in _NAMES[page.content_type])
    # What is coded comes first: a server takes it only where its modification is at hand, and both are made from one page.
    return sum(_put(folder / name, data) for name, data in sorted(found, reverse=True))


def _put(path: Path, data: bytes) -> bool:
    """Put `data` at `path` at once; False when it is there already."""
    with storing(path):
        with suppress(FileNotFoundError):
            if path.stat().st_size == len(data) and path.read_bytes() == data:
                return False
        temporary = path.with_name(f".{path.name}{TEMPORARY}")
        temporary.write_bytes(data)
        temporary.replace(path)
    return True


def _place(source: Path, target: Path, how: Files) -> int:
    """Give a file of the store a name in the tree; return the bytes that had to be copied. FileNotFoundError when it has gone."""
    temporary = target.with_name(f".{target.name}{TEMPORARY}")
    temporary.unlink(missing_ok=True)
    if how == "copy" or not _link(source, temporary, must=how == "link"):
        shutil.copyfile(source, temporary)
        temporary.chmod(0o444)
        temporary.replace(target)
        return target.stat().st_size
    temporary.replace(target)
    # Where both names are of one file already, a rename does nothing and leaves both.
    temporary.unlink(missing_ok=True)
    return 0


def _link(source: Path, target: Path, *, must: bool) -> bool:
    """Make a hard link; False when the two places allow none."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        if must:
            raise
        return False
    return True


def _folders(folder: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=False):
                yield Path(entry.path)
