"""Upstream's pages on disk, digested, one file for each index and project."""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from farm.adapters.index_page import without_credentials
from farm.adapters.lazy_page import Entries, LazyPage
from farm.adapters.process import redact
from farm.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from farm.model.package import NormalizedName

_SCHEMA = 2


class _Stored(msgspec.Struct, array_like=True):
    schema: int
    index: str
    name: str
    fetched_at: float
    etag: str | None
    entries: Entries | None


_stored = msgspec.msgpack.Decoder(_Stored)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedPage:
    """A page as it was read: `project` None for a 404, `fetched_at` in seconds since 1970, `etag` to ask again with."""

    project: LazyPage | None
    fetched_at: float
    etag: str | None


class PageCache:
    """Keeps pages for `ttl` seconds, then for revalidation. What cannot be read is treated as absent and replaced.

    `now` returns seconds since 1970.
    """

    def __init__(self, folder: Path, *, ttl: float, now: Callable[[], float]) -> None:
        self._folder = folder
        self._ttl = ttl
        self._now = now

    def fresh(self, page: CachedPage) -> bool:
        """Tell whether the page may be used without asking; one from the future (a clock set back) may not."""
        return 0 <= self._now() - page.fetched_at <= self._ttl

    def load(self, index: str, name: NormalizedName) -> CachedPage | None:
        stored = self._stored(index, name)
        if stored is None:
            return None
        project = None if stored.entries is None else LazyPage(name, stored.entries, self._reload(index, name))
        return CachedPage(project=project, fetched_at=stored.fetched_at, etag=stored.etag)

    def save(self, index: str, name: NormalizedName, entries: Entries | None, etag: str | None) -> LazyPage | None:
        """Keep a page read just now and return it. A disk that cannot be written costs speed only, so it is not reported."""
        plain = without_credentials(index)
        stored = _Stored(schema=_SCHEMA, index=plain, name=name, fetched_at=self._now(), etag=etag, entries=entries)
        kept = keep(self._path(plain, name), msgspec.msgpack.encode(stored))
        return None if entries is None else LazyPage(name, entries, self._reload(index, name) if kept else None)

    def _stored(self, index: str, name: NormalizedName) -> _Stored | None:
        plain = without_credentials(index)
        try:
            stored = _stored.decode(self._path(plain, name).read_bytes())
        except (OSError, msgspec.DecodeError):
            return None
        return stored if (stored.schema, stored.index, stored.name) == (_SCHEMA, plain, name) else None

    def _reload(self, index: str, name: NormalizedName) -> Callable[[str], Entries]:
        def load(mark: str) -> Entries:
            stored = self._stored(index, name)
            if stored is None or stored.entries is None or stored.entries.mark != mark:
                raise UpstreamError(
                    f"{redact(without_credentials(index))}: the page of {name} changed while it was read",
                    solution="run again; another farm on this store has read it anew",
                )
            return stored.entries

        return load

    def _path(self, index: str, name: NormalizedName) -> Path:
        # Digests, because a name may be longer than a file's may be, or hold what a path must not.
        folder = hashlib.sha256(index.encode()).hexdigest()[:16]
        return self._folder / folder / hashlib.sha256(name.encode()).hexdigest()[:32]


def keep(path: Path, data: bytes) -> bool:
    """Write a cache file so that readers see all of it or none; tell whether it was kept. A cache may be empty."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        try:
            fresh.write_bytes(data)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_bytes(data)
        fresh.replace(path)
    except OSError:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        return False
    return True
