"""The upstream index: its pages, merged over all configured indexes, cached on disk, fixed for the length of a run.

"Not there" (404 everywhere) and "no answer" (UpstreamError) never mix: an index that is down must not look like an index
without the package.
"""

from __future__ import annotations

import re
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from farm.adapters.index_page import BadPage, parse_page, without_credentials
from farm.adapters.process import redact
from farm.adapters.web import CONNECTIONS
from farm.errors import FarmError, UpstreamError
from farm.model.package import Project

if TYPE_CHECKING:
    from collections.abc import Iterable

    from farm.adapters.page_cache import CachedPage, PageCache
    from farm.adapters.web import Reply, Web
    from farm.model.package import NormalizedName

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
"""As pip asks for a page (PEP 691, "Content Negotiation")."""

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
        self._pages: dict[NormalizedName, Future[Project | None]] = {}

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

    def prefetch(self, names: Iterable[NormalizedName]) -> None:
        """Read many pages at the same time. A failure is kept for whoever asks for that page."""
        wanted = [name for name in dict.fromkeys(names) if name not in self._pages]
        if not wanted:
            return
        with ThreadPoolExecutor(min(CONNECTIONS, len(wanted)), thread_name_prefix="page") as pool:
            for future in [pool.submit(self._quietly, name) for name in wanted]:
                future.result()

    def _quietly(self, name: NormalizedName) -> None:
        try:
            self.project(name)
        except FarmError:
            return

    def _read(self, name: NormalizedName) -> Project | None:
        if not _NAME.fullmatch(name) or any(fnmatchcase(name, pattern) for pattern in self._private):
            return None
        found = [page for url in self._urls if (page := self._page(url, name)) is not None]
        if len(found) < 2:
            return found[0] if found else None
        merged = {file.filename: file for page in reversed(found) for file in page.files}
        ordered = dict.fromkeys(file.filename for page in found for file in page.files)
        return Project(name=name, files=tuple(merged[filename] for filename in ordered))

    def _page(self, index: str, name: NormalizedName) -> Project | None:
        known = self._cache.load(index, name)
        if known is not None and not self._refresh and self._cache.fresh(known):
            return known.project
        headers = {"Accept": ACCEPT, "Cache-Control": "max-age=0"}
        if known is not None and known.etag:
            headers["If-None-Match"] = known.etag
        url = f"{index.rstrip('/')}/{name}/"
        reply = self._web.get(url, headers, subject=f"the page of {name}")
        project = self._understood(reply, known, name)
        etag = known.etag if reply.status == 304 and known else reply.headers.get("etag")
        self._cache.save(index, name, project, etag)
        return project

    def _understood(self, reply: Reply, known: CachedPage | None, name: NormalizedName) -> Project | None:
        if reply.status == 404:
            return None
        if reply.status == 304 and known is not None:
            return known.project
        try:
            if reply.status != 200:
                message = f"status {reply.status}"
                raise BadPage(message)
            return parse_page(reply.body, reply.headers.get("content-type", ""), reply.url, name)
        except BadPage as error:
            raise UpstreamError(
                f"{redact(without_credentials(reply.url))}: expected the index page of {name}, found {error}",
                solution="check that pip's index-url is a simple index (PEP 503 or PEP 691) and that no proxy or login page"
                " answers in its place",
            ) from error
