"""The upstream index: its pages, merged over all configured indexes, cached on disk, fixed for the length of a run.

"Not there" (404 everywhere) and "no answer" (UpstreamError) never mix: an index that is down must not look like an index
without the package.
"""

from __future__ import annotations

import re
import threading
from concurrent.futures import Future
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from farm.adapters.index_page import BadPage, split_page, without_credentials
from farm.adapters.lazy_page import LazyPage, MergedPage, group
from farm.adapters.process import redact
from farm.adapters.side_by_side import side_by_side
from farm.adapters.web import CONNECTIONS
from farm.errors import FarmError, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from farm.adapters.lazy_page import Entries
    from farm.adapters.page_cache import CachedPage, PageCache
    from farm.adapters.web import Reply, Web
    from farm.model.package import NormalizedName, Project, Version

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
"""As pip asks for a page (PEP 691, "Content Negotiation")."""

PAGES = 10
"""The most pages on their way at the same time. With more of them the large ones would all be there only at the very end,
and be read when nothing is left to wait for; other requests take the connections that this leaves."""

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


class Upstream:
    """Satisfies `ports.Index`. `urls` are index URLs, the first one wins where two have a file of the same name.

    `private` are patterns (fnmatch) of normalised names that are never asked for, so that they do not leak and cannot
    be taken over. `refresh` reads every page anew, whatever the cache holds.
    """

    def __init__(
        self, web: Web, cache: PageCache, urls: tuple[str, ...], *, private: tuple[str, ...] = (), refresh: bool = False
    ) -> None:
        self._web = web
        self._cache = cache
        self._urls = urls
        self._private = private
        self._refresh = refresh
        self._lock = threading.Lock()
        self._on_their_way = threading.BoundedSemaphore(PAGES)
        self._parsing = threading.Lock()
        self._expected: dict[NormalizedName, tuple[Version, ...]] = {}
        self._pages: dict[NormalizedName, Future[Project | None]] = {}
        self.oldest: float | None = None
        """When the oldest page that was used without asking was read, in seconds since 1970; None where none was."""

    def project(self, name: NormalizedName) -> Project | None:
        """Return the merged page, or None when every index says 404; the same answer, or UpstreamError, for the whole run."""
        with self._lock:
            page = self._pages.get(name)
            mine = page is None
            if page is None:
                page = self._pages[name] = Future()
        if mine:
            self._settle(name, page)
        return page.result()

    def _settle(self, name: NormalizedName, page: Future[Project | None]) -> None:
        try:
            page.set_result(self._read(name))
        except FarmError as error:
            page.set_exception(error)
        except BaseException as error:
            page.set_exception(error)
            raise

    def expect(self, wanted: Mapping[NormalizedName, Iterable[Version]]) -> None:
        """Say which versions will be asked for: of these pages nothing else stays in memory, it is read from the disk again."""
        self._expected |= {name: tuple(versions) for name, versions in wanted.items()}

    def release(self) -> None:
        """Give back the memory of all pages that were read; what else is asked of them is read from the disk again."""
        with self._lock:
            pages = list(self._pages.values())
        for page in pages:
            if page.done() and page.exception() is None and isinstance(found := page.result(), LazyPage | MergedPage):
                found.release()

    def prefetch(self, names: Iterable[NormalizedName]) -> None:
        """Read many pages at the same time. A failure is kept for whoever asks for that page."""
        wanted = [name for name in dict.fromkeys(names) if name not in self._pages]
        side_by_side(self._quietly, wanted, limit=CONNECTIONS)

    def _quietly(self, name: NormalizedName) -> None:
        try:
            self.project(name)
        except FarmError:
            return

    def _read(self, name: NormalizedName) -> Project | None:
        if not _NAME.fullmatch(name) or any(fnmatchcase(name, pattern) for pattern in self._private):
            return None
        found = [page for url in self._urls if (page := self._page(url, name)) is not None]
        for page in found if name in self._expected else ():
            for version in self._expected[name]:
                page.of(version)
            page.release()
        if len(found) < 2:
            return found[0] if found else None
        return MergedPage(name, tuple(found))

    def _page(self, index: str, name: NormalizedName) -> LazyPage | None:
        known = self._cache.load(index, name)
        if known is not None and not self._refresh and self._cache.fresh(known):
            self._note_age(known.fetched_at)
            return known.project
        headers = {"Accept": ACCEPT, "Cache-Control": "max-age=0"}
        if known is not None and known.etag:
            headers["If-None-Match"] = known.etag
        url = f"{index.rstrip('/')}/{name}/"
        with self._on_their_way:
            reply = self._web.get(url, headers, subject=f"the page of {name}")
        entries = self._understood(reply, known, name)
        etag = known.etag if reply.status == 304 and known else reply.headers.get("etag")
        return self._cache.save(index, name, entries, etag)

    def _note_age(self, fetched_at: float) -> None:
        with self._lock:
            self.oldest = fetched_at if self.oldest is None else min(self.oldest, fetched_at)

    def _understood(self, reply: Reply, known: CachedPage | None, name: NormalizedName) -> Entries | None:
        if reply.status == 404:
            return None
        if reply.status == 304 and known is not None:
            return known.project.entries if known.project is not None else None
        try:
            if reply.status != 200:
                message = f"status {reply.status}"
                raise BadPage(message)
            # One at a time: they would only take the interpreter from each other, and from the threads that ask for more.
            with self._parsing:
                return group(split_page(reply.body, reply.headers.get("content-type", ""), reply.url), name)
        except BadPage as error:
            raise UpstreamError(
                f"{redact(without_credentials(reply.url))}: expected the index page of {name}, found {error}",
                solution="check that pip's index-url is a simple index (PEP 503 or PEP 691) and that no proxy or login page"
                " answers in its place",
            ) from error
