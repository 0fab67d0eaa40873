"""Published pages as files: `pages/<project>/index.json` and its kin. Reads without the catalogue, so that reading is quick.

Beside what clients get, each project has `project.json`, the farm's own short form, and the store's root has `projects`
(one name a line, appended to) and `serial` (changed with each change of the index).
"""

from __future__ import annotations

import json
import os
import re
from collections import OrderedDict
from contextlib import suppress
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from farm.adapters.durable import flush, fsync_dir, make_dirs, replace_file, replace_files, storing, sweep
from farm.errors import StoreError
from farm.model.package import IndexFile, Project, Version
from farm.model.page import make_page, page_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from farm.model.package import NormalizedName
    from farm.model.page import Coding, Kind, Page

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_DIGEST = "project.json"
_CACHE_BYTES = 64_000_000
_LONGEST_LINE = 4096
_LONGEST_NAME = 200


class PageFiles:
    """The pages below a store's root. Readers need no lock; writers hold `Locks.page` or `Locks.shared_file`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._cache = _Cache(_CACHE_BYTES)

    def page(self, name: NormalizedName, kind: Kind, encoding: Coding) -> Page | None:
        """Return one representation of a project's page, or None when the farm has no wheel of it."""
        if not _possible(name):
            return None
        path = self._folder(name) / page_file(kind, encoding)
        with storing(path):
            try:
                found = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            return self._cache.get(path, found) or self._load(path, kind, encoding)

    def project(self, name: NormalizedName) -> Project | None:
        """Return a project's files as they are published, or None. StoreError when the page's digest is damaged."""
        if not _possible(name):
            return None
        path = self._folder(name) / _DIGEST
        with storing(path):
            try:
                data = path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None
        try:
            return Project(name=name, files=tuple(_read(row) for row in json.loads(data)))
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(
                f"{path}: expected the farm's own list of files, found something else: {error}",
                solution="have the farm make its pages anew from the catalogue, or restore the file from a backup",
            ) from error

    def write(self, project: Project, pages: Sequence[Page]) -> None:
        """Put a project's pages, durably. Afterwards every reader sees them."""
        contents = {page_file(page.content_type, page.encoding): page.body for page in pages}
        folder = self._folder(project.name)
        replace_files(folder, contents | {_DIGEST: json.dumps([_row(file) for file in project.files]).encode()})
        # We hold the project's lock, so whatever is half written here has no writer any more.
        sweep(folder, before=float("inf"))

    def names(self) -> tuple[NormalizedName, ...]:
        """Return the projects that have a page, sorted."""
        path = self._root / "projects"
        with storing(path):
            try:
                lines = path.read_text("ascii", errors="replace").split("\n")
            except FileNotFoundError:
                return ()
        # What follows the last newline is being written, or was when a writer died.
        return tuple(sorted({cast("NormalizedName", line) for line in lines[:-1] if _possible(line)}))

    def names_token(self) -> str:
        """Return what changes whenever `names` does."""
        path = self._root / "projects"
        with storing(path), suppress(FileNotFoundError):
            found = path.stat()
            return f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"
        return "none"

    def append_name(self, name: NormalizedName) -> None:
        """Add a project to the list; the cost does not grow with the list. Adding twice does no harm."""
        path = self._root / "projects"
        make_dirs(self._root)
        with storing(path):
            new = not path.exists()
            with path.open("a+b") as file:
                file.truncate(_whole_lines(file))
                file.write(f"{name}\n".encode())
                flush(file)
            if new:
                fsync_dir(self._root)

    def serial(self) -> str:
        """Return a token that changes with each change of the index; costs one small read."""
        path = self._root / "serial"
        with storing(path):
            try:
                return path.read_text("ascii").strip()
            except FileNotFoundError:
                return "0"

    def write_serial(self, value: int) -> None:
        replace_file(self._root / "serial", f"{value}\n".encode())

    def _folder(self, name: NormalizedName) -> Path:
        return self._root / "pages" / name

    def _load(self, path: Path, kind: Kind, encoding: Coding) -> Page:
        with path.open("rb") as file:
            page = make_page(kind, encoding, file.read())
            self._cache.put(path, os.fstat(file.fileno()), page)
        return page


class _Cache:
    """Pages by path while the file is the same (inode, time, size), least recently used out first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._pages: OrderedDict[Path, tuple[tuple[int, int, int], Page]] = OrderedDict()
        self._lock = Lock()

    def get(self, path: Path, found: os.stat_result) -> Page | None:
        with self._lock:
            entry = self._pages.get(path)
            if entry is None or entry[0] != _signature(found):
                return None
            self._pages.move_to_end(path)
            return entry[1]

    def put(self, path: Path, found: os.stat_result, page: Page) -> None:
        with self._lock:
            old = self._pages.pop(path, None)
            self._size += len(page.body) - (len(old[1].body) if old else 0)
            self._pages[path] = (_signature(found), page)
            while self._size > self._limit and self._pages:
                self._size -= len(self._pages.popitem(last=False)[1][1].body)


def _possible(name: str) -> bool:
    """Tell whether a folder could have this name: normalised (PEP 503), so it leads nowhere else, and not too long."""
    return len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None


def _signature(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_mtime_ns, found.st_size


def _whole_lines(file: BinaryIO) -> int:
    """Return the size up to the last newline: a writer that died may have left half a name, which must not become one."""
    size = file.seek(0, os.SEEK_END)
    start = max(size - _LONGEST_LINE, 0)
    file.seek(start)
    return start + file.read().rfind(b"\n") + 1


def _row(file: IndexFile) -> dict[str, Any]:
    return {
        "filename": file.filename,
        "url": file.url,
        "version": None if file.version is None else str(file.version),
        "sha256": file.sha256,
        "size": file.size,
        "requires_python": file.requires_python,
        "yanked": file.yanked,
        "upload_time": None if file.upload_time is None else file.upload_time.isoformat(),
        "metadata": file.metadata,
    }


def _read(row: dict[str, Any]) -> IndexFile:
    version, uploaded = row["version"], row["upload_time"]
    return IndexFile(
        **row
        | {
            "version": None if version is None else Version(version),
            "upload_time": None if uploaded is None else datetime.fromisoformat(uploaded),
        }
    )
