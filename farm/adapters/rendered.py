"""Rendered pages, in memory and on disk, by what they were made from: whoever asks with the same key gets the same bytes.

One file for each representation; it tells its key in its first line, so that a stale one is merely not found.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from farm.adapters.page_cache import keep
from farm.model.page import make_page, page_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farm.model.package import NormalizedName
    from farm.model.page import Coding, Kind, Page

_MEMORY = 64_000_000
_DISK = 1_000_000_000
_LOOK_AFTER = 512
# A dictionary entry with its key and a Page.
_OVERHEAD = 600

_Place = tuple[str, str, str, str]


class Rendered:
    """At most `memory` bytes in memory, least recently used out first, and about `disk` bytes on the disk."""

    def __init__(self, folder: Path, *, memory: int = _MEMORY, disk: int = _DISK) -> None:
        self._folder = folder
        self._memory = memory
        self._disk = disk
        self._lock = threading.Lock()
        self._size = 0
        self._written = 0
        self._pages: OrderedDict[_Place, tuple[str, Page]] = OrderedDict()

    def find(self, view: str, name: NormalizedName, key: str, kind: Kind, coding: Coding) -> Page | None:
        """Return the representation that was made with this key, or None."""
        place = (view, name, kind, coding)
        with self._lock:
            found = self._pages.get(place)
            if found is not None and found[0] == key:
                self._pages.move_to_end(place)
                return found[1]
        page = self._load(place, key)
        if page is not None:
            self._remember(place, key, page)
        return page

    def put(self, view: str, name: NormalizedName, key: str, pages: Sequence[Page]) -> None:
        """Keep representations of a page, in place of those made with another key."""
        for page in pages:
            place = (view, name, page.content_type, page.encoding)
            self._remember(place, key, page)
            keep(self._path(place), f"{key} {page.etag}\n".encode() + page.body)
        with self._lock:
            self._written += 1
            due = self._written % _LOOK_AFTER == 1
        if due:
            self._shrink()

    def _remember(self, place: _Place, key: str, page: Page) -> None:
        with self._lock:
            old = self._pages.pop(place, None)
            self._size += len(page.body) + _OVERHEAD - (len(old[1].body) + _OVERHEAD if old else 0)
            self._pages[place] = key, page
            while self._size > self._memory and self._pages:
                self._size -= len(self._pages.popitem(last=False)[1][1].body) + _OVERHEAD

    def _load(self, place: _Place, key: str) -> Page | None:
        try:
            with self._path(place).open("rb") as file:
                made_with, _, etag = file.readline(200).decode("ascii", "replace").strip().partition(" ")
                if made_with != key:
                    return None
                body = file.read()
        except OSError:
            return None
        _, _, kind, coding = place
        page = make_page(kind, coding, body)  # type: ignore[arg-type]
        # A power cut may leave half a file, as nothing waits for the disk here.
        return page if page.etag == etag else None

    def _path(self, place: _Place) -> Path:
        view, name, kind, coding = place
        key = hashlib.sha256(f"{view} {name}".encode()).hexdigest()[:32]
        return self._folder / key[:2] / f"{key[2:]}.{page_file(kind, coding)}"  # type: ignore[arg-type]

    def _shrink(self) -> None:
        """Remove the files that were written longest ago, when all together are too large."""
        found = []
        for folder in _entries(self._folder):
            for entry in _entries(Path(folder.path)):
                with suppress(OSError):
                    stat = entry.stat(follow_symlinks=False)
                    found.append((stat.st_mtime, stat.st_size, entry.path))
        excess = sum(size for _, size, _ in found) - self._disk
        for _, size, path in sorted(found):
            if excess <= 0:
                return
            with suppress(OSError):
                Path(path).unlink()
                excess -= size


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []
