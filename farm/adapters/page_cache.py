"""Upstream's pages on disk, digested, one file for each index and project."""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING

import msgspec

from farm.adapters.index_page import parse_version, without_credentials
from farm.model.package import Digest, IndexFile, Project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from farm.model.package import NormalizedName

_SCHEMA = 1


class _Row(msgspec.Struct, array_like=True):
    filename: str
    url: str
    version: str | None
    sha256: str | None
    size: int | None
    requires_python: str | None
    yanked: bool | str
    upload_time: datetime | None
    metadata: bool | str


class _Stored(msgspec.Struct, array_like=True):
    schema: int
    index: str
    name: str
    fetched_at: float
    etag: str | None
    files: list[_Row] | None


_stored = msgspec.msgpack.Decoder(_Stored)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedPage:
    """A page as it was read: `project` None for a 404, `fetched_at` in seconds since 1970, `etag` to ask again with."""

    project: Project | None
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
        index = without_credentials(index)
        try:
            stored = _stored.decode(self._path(index, name).read_bytes())
        except (OSError, msgspec.DecodeError):
            return None
        if (stored.schema, stored.index, stored.name) != (_SCHEMA, index, name):
            return None
        project = None if stored.files is None else Project(name=name, files=tuple(map(_file_of, stored.files)))
        return CachedPage(project=project, fetched_at=stored.fetched_at, etag=stored.etag)

    def save(self, index: str, name: NormalizedName, project: Project | None, etag: str | None) -> None:
        """Keep a page read just now. A disk that cannot be written costs speed only, so it is not reported."""
        index = without_credentials(index)
        rows = None if project is None else list(map(_row_of, project.files))
        stored = _Stored(schema=_SCHEMA, index=index, name=name, fetched_at=self._now(), etag=etag, files=rows)
        keep(self._path(index, name), msgspec.msgpack.encode(stored))

    def _path(self, index: str, name: NormalizedName) -> Path:
        # Digests, because a name may be longer than a file's may be, or hold what a path must not.
        folder = hashlib.sha256(index.encode()).hexdigest()[:16]
        return self._folder / folder / hashlib.sha256(name.encode()).hexdigest()[:32]


def keep(path: Path, data: bytes) -> None:
    """Write a cache file so that readers see all of it or none. Failure is not reported: a cache may be empty."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(data)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)


def _row_of(file: IndexFile) -> _Row:
    return _Row(
        file.filename,
        file.url,
        None if file.version is None else str(file.version),
        file.sha256,
        file.size,
        file.requires_python,
        file.yanked,
        file.upload_time,
        file.metadata,
    )


def _file_of(row: _Row) -> IndexFile:
    return IndexFile(
        filename=row.filename,
        url=row.url,
        version=None if row.version is None else parse_version(row.version),
        sha256=None if row.sha256 is None else Digest(row.sha256),
        size=row.size,
        requires_python=row.requires_python,
        yanked=row.yanked,
        upload_time=row.upload_time,
        metadata=Digest(row.metadata) if isinstance(row.metadata, str) else row.metadata,
    )
