"""Published pages as files: `pages/<project>.page`. Reads without the catalogue, so that reading is quick.

A file has all representations of a page, so that they change together: a line of JSON that tells their kinds and sizes, then
their bytes, then the farm's own short form of the project. The store's root has `projects` (one name a line, appended to)
and `serial` (changed with each change of the index).
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import OrderedDict
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from farm.adapters.durable import flush, fsync_dir, make_dirs, replace_files, store_error, storing, sweep, write_token
from farm.errors import StoreError
from farm.model.package import IndexFile, Project, Version
from farm.model.page import Page

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from farm.model.package import NormalizedName
    from farm.model.page import Coding, Kind

_Absent = TypeVar("_Absent")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
SUFFIX = ".page"
_SCHEMA = 1
_CACHE_BYTES = 64_000_000
_LONGEST_LINE = 4096
_LONGEST_NAME = 200


class PageFiles:
    """The pages below a store's root. Readers need no lock; writers hold `Locks.page` or `Locks.shared_file`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        # As text: what is asked for each request must not put paths together.
        self._prefix, self._list = f"{root / 'pages'}/", str(root / "projects")
        self._cache = _Cache(_CACHE_BYTES)

    def page(self, name: NormalizedName, kind: Kind, encoding: Coding) -> Page | None:
        """Return one representation of a project's page, or None when the farm has no file of it."""
        if not _possible(name):
            return None
        path = self._path(name)
        with storing(path):
            try:
                found = path.stat()
            except FileNotFoundError:
                return None
            pages = self._cache.get(path, found) or self._load(path)
        if pages is None:
            return None
        with _undamaged(path):
            return pages[kind, encoding]

    def stamp(self, name: NormalizedName) -> Hashable | None:
        """Return what changes whenever `page` does; costs one stat. None when the name could have no page."""
        if not _possible(name):
            return None
        return _stamp(f"{self._prefix}{name}{SUFFIX}", ())

    def project(self, name: NormalizedName) -> Project | None:
        """Return a project's files as they are published, or None. StoreError when the page is damaged."""
        if not _possible(name):
            return None
        path = self._path(name)
        with storing(path):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                return None
        with _undamaged(path):
            parts, start = _head(data)
            rows = json.loads(data[start + sum(part["size"] for part in parts) :])
            return Project(name=name, files=tuple(_read(row) for row in rows))

    def write(self, projects: Sequence[tuple[Project, Sequence[Page]]]) -> None:
        """Put the pages of some projects, durably. Afterwards every reader sees them. The caller holds their locks."""
        replace_files(
            self._root / "pages", {f"{project.name}{SUFFIX}": _encoded(project, pages) for project, pages in projects}
        )

    def remove(self, names: Sequence[NormalizedName]) -> None:
        """Remove the pages of projects that have no file any more, and their names from the list. The caller holds its lock."""
        gone = set(names)
        folder = self._root / "pages"
        if not folder.is_dir():
            return
        # The list first: what it names has a page.
        left = [name for name in self.names() if name not in gone]
        replace_files(self._root, {"projects": "".join(f"{name}\n" for name in left).encode()})
        with storing(folder):
            for name in gone:
                self._path(name).unlink(missing_ok=True)
            fsync_dir(folder)

    def sweep(self, before: float) -> None:
        """Remove what dead writers left, older than `before` (seconds since 1970), and pages in the form of older farms."""
        sweep(self._root, before)
        sweep(self._root / "pages", before)
        with storing(self._root / "pages"), suppress(FileNotFoundError):
            for entry in os.scandir(self._root / "pages"):
                if entry.is_dir(follow_symlinks=False) and self._path(cast("NormalizedName", entry.name)).is_file():
                    shutil.rmtree(entry.path, ignore_errors=True)

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
        """Return what changes whenever `names` does; costs one stat."""
        found = _stamp(self._list, None)
        return "none" if found is None else f"{found[0]}-{found[1]}-{found[2]}"

    def append_names(self, names: Sequence[NormalizedName]) -> None:
        """Add projects to the list; the cost does not grow with the list. Adding twice does no harm."""
        path = self._root / "projects"
        make_dirs(self._root)
        with storing(path):
            new = not path.exists()
            with path.open("a+b") as file:
                file.truncate(_whole_lines(file))
                file.write("".join(f"{name}\n" for name in names).encode())
                flush(file)
            if new:
                fsync_dir(self._root)

    def serial(self) -> str:
        """Return a token that changes with each change of the index; costs one small read."""
        path = self._root / "serial"
        with storing(path):
            try:
                return path.read_text("ascii").strip().lstrip("0") or "0"
            except FileNotFoundError:
                return "0"

    def write_serial(self, value: int) -> None:
        """Tell readers that something changed. In a power cut there are no readers, so it need not outlive one."""
        write_token(self._root / "serial", f"{value:020}\n")

    def _path(self, name: NormalizedName) -> Path:
        return self._root / "pages" / f"{name}{SUFFIX}"

    def _load(self, path: Path) -> _Pages | None:
        try:
            with path.open("rb") as file:
                data, found = file.read(), os.fstat(file.fileno())
        except FileNotFoundError:
            return None
        with _undamaged(path):
            pages = _decoded(data)
        self._cache.put(path, found, pages)
        return pages


_Pages = dict[tuple[str, str], Page]


class _Cache:
    """Pages by path while the file is the same (inode, time, size), least recently used out first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._pages: OrderedDict[Path, tuple[tuple[int, int, int], _Pages]] = OrderedDict()
        self._lock = Lock()

    def get(self, path: Path, found: os.stat_result) -> _Pages | None:
        with self._lock:
            entry = self._pages.get(path)
            if entry is None or entry[0] != _signature(found):
                return None
            self._pages.move_to_end(path)
            return entry[1]

    def put(self, path: Path, found: os.stat_result, pages: _Pages) -> None:
        with self._lock:
            old = self._pages.pop(path, None)
            self._size += _size(pages) - (_size(old[1]) if old else 0)
            self._pages[path] = (_signature(found), pages)
            while self._size > self._limit and self._pages:
                self._size -= _size(self._pages.popitem(last=False)[1][1])


def _size(pages: _Pages) -> int:
    return sum(len(page.body) for page in pages.values())


def _encoded(project: Project, pages: Sequence[Page]) -> bytes:
    parts = [
        {"type": page.content_type, "coding": page.encoding, "etag": page.etag, "size": len(page.body)}
        for page in pages
    ]
    head = json.dumps({"schema": _SCHEMA, "parts": parts}).encode()
    own = json.dumps([_row(file) for file in project.files]).encode()
    return b"".join((head, b"\n", *(page.body for page in pages), own))


def _head(data: bytes) -> tuple[list[dict[str, Any]], int]:
    """Return what the parts of a page's file are, and where the first begins."""
    end = data.index(b"\n")
    head = json.loads(data[:end])
    if head["schema"] != _SCHEMA:
        message = f"the form of another farm ({head['schema']!r})"
        raise ValueError(message)
    parts: list[dict[str, Any]] = head["parts"]
    return parts, end + 1


def _decoded(data: bytes) -> _Pages:
    pages: _Pages = {}
    parts, start = _head(data)
    for part in parts:
        body = data[start : start + part["size"]]
        start += part["size"]
        key = part["type"], part["coding"]
        pages[key] = Page(content_type=key[0], encoding=key[1], body=body, etag=part["etag"])
    return pages


@contextmanager
def _undamaged(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(
            f"{path}: expected a page that the farm made, found something else: {error}",
            solution="farm fsck --fix makes it anew from the catalogue",
        ) from error


def _possible(name: str) -> bool:
    """Tell whether a folder could have this name: normalised (PEP 503), so it leads nowhere else, and not too long."""
    return len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None


def _stamp(path: str, absent: _Absent) -> tuple[int, int, int] | _Absent:
    try:
        return _signature(os.stat(path))  # noqa: PTH116 - a fifth of the time of a Path
    except FileNotFoundError:
        return absent
    except OSError as error:
        raise store_error(Path(path), error) from error


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
        **({"provenance": file.provenance} if file.provenance else {}),
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
