"""One index's page of one project, fetched or confirmed, and kept on this disk when it is a page at all."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from farm.adapters.index_page import BadPage, without_credentials
from farm.adapters.mirror_disk import SCHEMA, Facts, page_digest
from farm.adapters.mirror_page import check_document
from farm.adapters.process import redact
from farm.adapters.upstream import ACCEPT
from farm.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable

    from farm.adapters.mirror_disk import PageDisk
    from farm.adapters.web import Reply, Web
    from farm.model.package import NormalizedName

_MAX_AGE = re.compile(r"(?:^|[\s,])(?:s-maxage|max-age)\s*=\s*\"?(\d{1,9})", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds. `max_age`: a page is used so long without asking, less when upstream says so, but `least` at any rate.

    `unknown`: so long a 404 is believed. `stale` and `first`: how long a request waits. `pause`: how long an index that did
    not answer is left alone.
    """

    max_age: float = 300.0
    least: float = 10.0
    unknown: float = 60.0
    stale: float = 2.0
    first: float = 12.0
    pause: float = 15.0


def _nothing(_index: str, _name: NormalizedName) -> Facts | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where pages come from: index URLs in their order. Names that match a pattern of `private` are never asked for.

    `surveyed` gives what else is known of an index's page, for when nothing was ever heard of it here.
    """

    urls: tuple[str, ...]
    private: tuple[str, ...] = ()
    patience: Patience = field(default_factory=Patience)
    surveyed: Callable[[str, NormalizedName], Facts | None] = _nothing


class PageFetcher:
    """Asks upstream. `now` returns seconds since 1970. Safe for threads; processes on one disk do not ask twice."""

    def __init__(self, web: Web, disk: PageDisk, patience: Patience, now: Callable[[], float]) -> None:
        self._web = web
        self._disk = disk
        self._patience = patience
        self._now = now

    def updated(self, index: str, name: NormalizedName, before: Facts | None) -> Facts:
        """Return what is known of a page now. UpstreamError when the index does not answer, or not with a page."""
        with self._disk.alone(index, name):
            others = self._disk.load(index, name)
            if others is not None and 0 <= others.fresh_until - self._now() <= self._patience.max_age:
                return others
            before = others or before
            reply = self._fetch(index, name, before)
            facts, body = self._understood(reply, index, name, before)
            kept = self._disk.save(facts, body, before)
        if not kept.digest:
            self._disk.forget_lock(index, name)
        return kept

    def _fetch(self, index: str, name: NormalizedName, before: Facts | None) -> Reply:
        headers = {"Accept": ACCEPT, "Cache-Control": "max-age=0"}
        if before is not None and before.digest and before.etag:
            headers["If-None-Match"] = before.etag
        return self._web.get(f"{index.rstrip('/')}/{name}/", headers, subject=f"the page of {name}")

    def _understood(
        self, reply: Reply, index: str, name: NormalizedName, before: Facts | None
    ) -> tuple[Facts, bytes | None]:
        now = self._now()
        fresh = now + self._lifetime(reply)
        if reply.status == 304 and before is not None and before.digest:
            return msgspec.structs.replace(before, read=now, fresh_until=fresh), before.body
        facts = Facts(
            schema=SCHEMA, index=without_credentials(index), name=name, digest="", url=without_credentials(reply.url),
            content_type=reply.headers.get("content-type", ""), etag=reply.headers.get("etag"), read=now,
            fresh_until=now + self._patience.unknown,
        )  # fmt: skip
        if reply.status == 404:
            return facts, None
        try:
            if reply.status != 200:
                message = f"status {reply.status}"
                raise BadPage(message)
            # A page that cannot be read must not replace the last good one.
            check_document(reply.body, facts.content_type, facts.url)
        except BadPage as error:
            raise UpstreamError(
                f"{redact(facts.url)}: expected the index page of {name}, found {error}",
                solution="check that the upstream index is a simple index (PEP 503 or PEP 691) and that no proxy or login"
                " page answers in its place",
            ) from error
        return msgspec.structs.replace(facts, digest=page_digest(reply.body), fresh_until=fresh), reply.body

    def _lifetime(self, reply: Reply) -> float:
        said = _MAX_AGE.search(reply.headers.get("cache-control", ""))
        upstream = float(said[1]) if said else self._patience.max_age
        return min(self._patience.max_age, max(upstream, self._patience.least))
