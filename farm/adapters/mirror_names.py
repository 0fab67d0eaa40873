"""The names of an upstream's projects, for those whose root page lists them too: on disk, asked for anew beside the requests."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from html import unescape
from typing import TYPE_CHECKING

import msgspec
from packaging.utils import canonicalize_name

from farm.adapters.index_page import without_credentials
from farm.adapters.page_cache import keep
from farm.adapters.upstream import ACCEPT
from farm.errors import FarmError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from farm.adapters.mirror_fetch import Origin
    from farm.adapters.web import Web
    from farm.adapters.workers import Workers
    from farm.model.package import NormalizedName

_ANCHOR = re.compile(r"<a\s[^>]*>(.*?)</a\s*>", re.IGNORECASE | re.DOTALL)
_SCHEMA = 1


class _Project(msgspec.Struct, gc=False):
    name: str


class _Root(msgspec.Struct):
    projects: list[_Project]


class _List(msgspec.Struct, array_like=True):
    schema: int
    index: str
    etag: str | None
    read: float
    names: list[str]


_root = msgspec.json.Decoder(_Root)
_list = msgspec.msgpack.Decoder(_List)


class MirrorNames:
    """The lists of all indexes as one. Hundreds of thousands of names: some hundred bytes of memory each."""

    def __init__(
        self, web: Web, folder: Path, workers: Workers, origin: Origin, now: Callable[[], float] = time.time
    ) -> None:
        self._web = web
        self._folder = folder
        self._workers = workers
        self._origin = origin
        self._now = now
        self._lock = threading.Lock()
        self._lists: dict[str, _List] = {}
        self._asked_again = 0.0
        self._first = threading.Event()

    def names(self) -> tuple[NormalizedName, ...]:
        """Return the names, sorted. Waits once, when no list was ever read; an index that does not answer adds none then."""
        self.token()
        if not self._lists:
            self._first.wait(self._origin.patience.first)
        with self._lock:
            found = {name for known in self._lists.values() for name in known.names}
        return tuple(sorted(map(canonicalize_name, found)))

    def token(self) -> str:
        """Return what changes whenever `names` does; has the lists asked for anew when they are old."""
        now = self._now()
        with self._lock:
            due = now >= self._asked_again
            if due:
                self._asked_again = now + self._origin.patience.max_age
        if due:
            self._workers.submit(self._refresh)
        with self._lock:
            parts = [f"{known.etag or known.read} {len(known.names)}" for known in self._lists.values()]
        return hashlib.blake2b("\n".join(parts).encode(), digest_size=12).hexdigest() if parts else "none"

    def _refresh(self) -> None:
        for index in self._origin.urls:
            path = self._folder / hashlib.sha256(without_credentials(index).encode()).hexdigest()[:16] / "names"
            known = self._lists.get(index) or _load(path, without_credentials(index))
            try:
                known = self._updated(index, known, path)
            except FarmError:
                # What is known stays good enough; the pages themselves tell of trouble.
                with self._lock:
                    self._asked_again = self._now() + self._origin.patience.pause
            if known is not None:
                with self._lock:
                    self._lists[index] = known
        self._first.set()

    def _updated(self, index: str, known: _List | None, path: Path) -> _List | None:
        headers = {"Accept": ACCEPT}
        if known is not None and known.etag:
            headers["If-None-Match"] = known.etag
        reply = self._web.get(f"{index.rstrip('/')}/", headers, subject="the list of projects")
        if reply.status == 304 and known is not None:
            return known
        if reply.status != 200:
            return known
        names = _names(reply.body)
        if names is None:
            return known
        plain = without_credentials(index)
        made = _List(schema=_SCHEMA, index=plain, etag=reply.headers.get("etag"), read=self._now(), names=names)
        if known is not None and known.names == made.names:
            made.read = known.read
        keep(path, msgspec.msgpack.encode(made))
        return made


def _load(path: Path, index: str) -> _List | None:
    try:
        found = _list.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
    return found if (found.schema, found.index) == (_SCHEMA, index) else None


def _names(body: bytes) -> list[str] | None:
    """Return the names of a root page, JSON or HTML; None when it is neither."""
    if body.lstrip()[:1] == b"{":
        try:
            return [project.name for project in _root.decode(body).projects]
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
    texts = (
        unescape(re.sub(r"<[^>]*>", "", text)).strip() for text in _ANCHOR.findall(body.decode("utf-8", "replace"))
    )
    found = [text for text in texts if text]
    return found or None
