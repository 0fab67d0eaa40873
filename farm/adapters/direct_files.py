"""Wheels and archives at URLs and paths, checked against their hashes and kept in the store. Unchanged ones are not sent again."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from farm.adapters.direct_place import shown
from farm.adapters.durable import storing
from farm.adapters.page_cache import keep
from farm.model.build import BadSdist, IntegrityError
from farm.model.package import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from farm.adapters.web import Web

_CHUNK = 1 << 20
_LARGEST = 4 << 30
_ALGORITHMS = frozenset({"sha256", "sha384", "sha512", "sha224", "sha1", "md5"})


class _Known(msgspec.Struct, frozen=True):
    """What a URL gave last: the validators of its answer, and its bytes' sha256."""

    etag: str
    modified: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Blobs:
    """The store as far as it is needed here."""

    keep: Callable[[Path], Digest]
    find: Callable[[Digest], Path | None]


class DirectFiles:
    """`cache` remembers what URLs gave; `web` makes a Web that has a URL's own credentials; `scratch` is for parts."""

    def __init__(self, cache: Path, scratch: Path, blobs: Blobs, web: Callable[[str], Web]) -> None:
        self._cache = cache
        self._scratch = scratch
        self._blobs = blobs
        self._web = web

    def local(self, path: Path, hashes: tuple[str, ...]) -> Digest:
        """Return the sha256 of a file here, kept in the store. IntegrityError; StoreError."""
        with storing(path):
            _check(path, hashes, str(path))
        return self._blobs.keep(path)

    def fetched(self, url: str, hashes: tuple[str, ...]) -> Digest:
        """Return the sha256 of what a URL gives, kept in the store; with a known sha256 no network is asked.

        UpstreamError when it cannot be had, BadSdist when there is nothing (404), IntegrityError.
        """
        for text in hashes:
            algorithm, _, value = text.partition(":")
            if algorithm == "sha256" and self._blobs.find(Digest(value)) is not None:
                return Digest(value)
        memory = self._cache / f"{hashlib.sha256(url.encode()).hexdigest()}.json"
        known = _remembered(memory)
        there = self._blobs.find(Digest(known.sha256)) if known else None
        web = self._web(url)
        with storing(self._scratch):
            self._scratch.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._scratch, prefix="direct-") as part:
                headers = _conditions(known) if there else {}
                try:
                    answer = web.retrying(url, "what is there", lambda: _read(web, url, headers, part))
                finally:
                    web.close()
                if answer is None:
                    assert known is not None
                    assert there is not None
                    _check(there, hashes, shown(url))
                    return Digest(known.sha256)
                part.flush()
                _check(Path(part.name), hashes, shown(url))
                digest = self._blobs.keep(Path(part.name))
        keep(memory, msgspec.json.encode(_Known(etag=answer[0], modified=answer[1], sha256=digest)))
        return digest


def _conditions(known: _Known | None) -> dict[str, str]:
    if known is None:
        return {}
    return {
        name: value for name, value in (("If-None-Match", known.etag), ("If-Modified-Since", known.modified)) if value
    }


def _remembered(path: Path) -> _Known | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Known)
    except (OSError, msgspec.DecodeError):
        return None


def _read(web: Web, url: str, headers: Mapping[str, str], part: IO[bytes]) -> tuple[str, str] | None:
    """Write the whole answer to `part` and return its validators; None when it is what we have."""
    part.seek(0)
    part.truncate()
    # Encoded bytes would not be the file's own.
    with web.opened(url, {"Accept-Encoding": "identity", **headers}) as response:
        if response.status_code == 304 and headers:
            return None
        if response.status_code != 200:
            reason = f"{shown(url)}: expected a wheel or an archive, found nothing ({response.status_code})"
            raise BadSdist(reason, solution="correct the URL; a private file may need credentials (.netrc)")
        size = 0
        for chunk in response.iter_raw(_CHUNK):
            size += len(chunk)
            if size > _LARGEST:
                reason = f"{shown(url)}: expected at most {_LARGEST >> 30} GiB, found more"
                raise BadSdist(reason, solution="download it and name the file")
            part.write(chunk)
        return response.headers.get("ETag", ""), response.headers.get("Last-Modified", "")


def _check(path: Path, hashes: tuple[str, ...], what: str) -> None:
    """As pip: one of the hashes that are given must be the file's."""
    wanted = [
        (algorithm, value)
        for algorithm, _, value in (text.partition(":") for text in hashes)
        if algorithm in _ALGORITHMS
    ]
    if not wanted:
        return
    found: dict[str, str] = {}
    for algorithm in {algorithm for algorithm, _ in wanted}:
        with path.open("rb") as opened:
            found[algorithm] = hashlib.file_digest(opened, algorithm).hexdigest()
    if not any(found[algorithm] == value.lower() for algorithm, value in wanted):
        algorithm, value = wanted[0]
        raise IntegrityError(
            f"{what}: expected {algorithm} {value}, found {found[algorithm]}",
            solution="compare it with where the hash was published; if the file was replaced there, do not use it",
        )
