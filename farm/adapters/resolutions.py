"""Resolutions on disk: good for as long as index pages are, and after that for as long as the pages stay what they were.

So a night on which nothing was uploaded costs one conditional request for each project, and no resolver.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
from packaging.utils import canonicalize_name

from farm.adapters.lazy_page import LazyPage, MergedPage
from farm.adapters.page_cache import keep
from farm.adapters.side_by_side import side_by_side
from farm.adapters.uv_compile import Row
from farm.adapters.web import CONNECTIONS
from farm.model.package import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from farm.model.package import IndexFile, NormalizedName, Project
    from farm.ports import Index

_UNSURE = "?"


class _Kept(msgspec.Struct, array_like=True):
    """`pages` tells, for each project that the answer depends on, what its upstream page held; "" for no page."""

    at: float
    rows: list[tuple[str, str, list[str], bool]]
    pages: dict[str, str]


class Resolutions:
    """Answers by key, which has to hold everything that they depend on except upstream's pages.

    `ttl` is in seconds, `now` returns seconds since 1970. Safe to use from several threads.
    """

    def __init__(self, folder: Path, upstream: Index, *, ttl: float, now: Callable[[], float]) -> None:
        self._folder = folder
        self._upstream = upstream
        self._ttl = ttl
        self._now = now
        self._pages: dict[NormalizedName, str] = {}
        self.asked: set[str] = set()
        """The projects that the answers given so far depend on; whoever reads it may empty it."""

    def load(self, key: str) -> tuple[Row, ...] | None:
        """Return an answer that still holds, or None. UpstreamError when an index did not answer."""
        try:
            kept = msgspec.msgpack.decode((self._folder / key).read_bytes(), type=_Kept)
        except (OSError, msgspec.DecodeError):
            return None
        if not 0 <= self._now() - kept.at <= self._ttl:
            # Asking the index again is cheap, resolving again is not; and the same pages have the same answer.
            if _UNSURE in kept.pages.values() or self._held(map(canonicalize_name, kept.pages)) != kept.pages:
                return None
            self._write(key, kept.rows, kept.pages)
        self.asked.update(kept.pages)
        return tuple(
            Row(
                name=canonicalize_name(name),
                version=Version(version),
                via=tuple(map(canonicalize_name, via)),
                direct=direct,
            )
            for name, version, via, direct in kept.rows
        )

    def save(self, key: str, rows: Iterable[Row], asked: Iterable[NormalizedName]) -> None:
        """Keep an answer that depends on the pages of the projects `asked` for."""
        plain = [(str(row.name), str(row.version), list(map(str, row.via)), row.direct) for row in rows]
        # All of them were read in this run: to ask side by side would only take time.
        self.asked.update(asked := tuple(asked))
        for name in asked:
            if name not in self._pages:
                self._pages[name] = self._digest(name)
        self._write(key, plain, self._held(asked))

    def _write(self, key: str, rows: list[tuple[str, str, list[str], bool]], pages: dict[str, str]) -> None:
        keep(self._folder / key, msgspec.msgpack.encode(_Kept(self._now(), rows, pages)))

    def _held(self, names: Iterable[NormalizedName]) -> dict[str, str]:
        wanted = sorted(names)
        unknown = [name for name in wanted if name not in self._pages]
        if unknown:
            self._pages.update(zip(unknown, side_by_side(self._digest, unknown, limit=CONNECTIONS), strict=True))
        return {name: self._pages[name] for name in wanted}

    def _digest(self, name: NormalizedName) -> str:
        page = self._upstream.project(name)
        return "" if page is None else page_digest(page)


def page_digest(page: Project) -> str:
    """Return a digest of all on a page that a resolution can depend on; "?" where bytes may change under a file's name."""
    if isinstance(page, LazyPage | MergedPage):
        return page.mark or _UNSURE
    return files_digest(page.files)


def files_digest(files: Iterable[IndexFile]) -> str:
    """Return the same of some files of a page."""
    digest = hashlib.sha256()
    for file in files:
        if file.sha256 is None:
            return _UNSURE
        facts = (file.filename, file.sha256, file.requires_python, file.yanked, file.upload_time, file.metadata)
        digest.update(repr(facts).encode())
    return digest.hexdigest()
