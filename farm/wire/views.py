"""The views of the index put together: the store's files, upstream's pages, and what is made of them."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from farm.adapters.mirror import Mirror
from farm.adapters.mirror_disk import PageDisk
from farm.adapters.mirror_fetch import Origin, Patience
from farm.adapters.mirror_files import MirrorFiles, package_path, sdists_here
from farm.adapters.mirror_names import MirrorNames
from farm.adapters.mirror_seed import SurveyedPages
from farm.adapters.mirror_stream import Fetches
from farm.adapters.page_cache import PageCache
from farm.adapters.pipconfig import Machine, read_settings, with_indexes
from farm.adapters.rendered import Rendered
from farm.adapters.web import Retry, Web
from farm.adapters.workers import Workers
from farm.errors import StoreError, UsageError
from farm.model.target import parse_target
from farm.serve.composed import Parts, View, merged_rule, strict_rule, wheels_rule
from farm.serve.inherit import OwnFile
from farm.serve.merge import MergePolicy
from farm.serve.views import Views
from farm.wire.uploads import upstream_projects

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from farm.adapters.pipconfig import IndexSettings
    from farm.adapters.store import Store
    from farm.model.package import NormalizedName
    from farm.model.settings import Settings
    from farm.serve.merge import Document
    from farm.serve.repair import Entry

_log = logging.getLogger("farm.serve")
_PAGES_AT_ONCE = 10
_FILES_AT_ONCE = 8
_PAGE_TIMEOUT = 10.0
# Who asks waits, so that trying is left to the next request.
_PAGE_RETRY = Retry(tries=2, pause=0.3, total=15.0)
_MOST_TARGETS = 256


def upstream_settings(settings: Settings, env: Mapping[str, str]) -> IndexSettings:
    """Return the upstream index as config.toml says, else as pip on this machine has it. UsageError when pip's is malformed."""
    given = {"PIP_INDEX_URL": settings.index_url} if settings.index_url else {}
    found = read_settings(Machine(env={**env, **given}, cache=settings.store / "cache" / "pip"))
    return with_indexes(found, settings.index_url, settings.extra_index_urls) if given else found


def make_views(settings: Settings, store: Store, pip: IndexSettings, now: Callable[[], float] = time.time) -> Views:
    """Return the views over a store. `pip` is the upstream index (`upstream_settings`). UsageError when that is this farm.

    `now` returns seconds since 1970.
    """
    _refuse_itself(settings, pip)
    cache = settings.store / "cache"
    pages = Web(replace(pip, timeout=min(pip.timeout, _PAGE_TIMEOUT)), _PAGE_RETRY)
    # A connection pool of their own: large files must not hold up pages.
    files = Web(pip, Retry(tries=3, total=60.0))
    workers, carriers = Workers(_PAGES_AT_ONCE), Workers(_FILES_AT_ONCE)
    patience = Patience(max_age=settings.upstream_max_age, stale=settings.patience)
    disk = PageDisk(cache / "mirror" / "pages")
    surveyed = SurveyedPages(PageCache(cache / "pages", ttl=settings.index_ttl, now=now), disk)
    origin = Origin(urls=pip.urls, private=settings.private, patience=patience, surveyed=surveyed.page)
    mirror = Mirror(pages, disk, workers, origin, now)
    fetches = Fetches(files, carriers, cache / "mirror" / "files")
    fetches.sweep()
    policy = MergePolicy(
        upload_time=settings.upload_time, same_tags=settings.same_tags, always=settings.from_source
    )  # fmt: skip
    parts = Parts(
        upstream=mirror,
        own=StoreFiles(store),
        rendered=Rendered(cache / "rendered"),
        policy=policy,
        address=_address(settings),
        mark=_mark(settings),
    )
    listing = MirrorNames(pages, cache / "mirror" / "pages", workers, origin, now) if settings.list_upstream else None
    names = _Names(store, listing)

    def close() -> None:
        pages.close()
        files.close()

    return Views(
        sources={"": View(parts, merged_rule(policy), names), "/wheels": View(parts, wheels_rule(policy), store)},
        strict=_strict(parts, names, settings),
        packages=MirrorFiles(settings.mirror, mirror, fetches, cache / "mirror"),
        project=upstream_projects(mirror),
        close=close,
        upstream=mirror.counts,
    )


class StoreFiles:
    """Satisfies `composed.Own`: the store's files with what the catalogue knows of their sources."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._told = False

    def stamp(self, name: NormalizedName) -> Hashable | None:
        stamp = self._store.stamp(name)
        return None if stamp == () else stamp

    def files(self, name: NormalizedName) -> tuple[OwnFile, ...]:
        try:
            records = self._store.catalogue.wheels(name)
        except StoreError as error:
            return self._as_published(name, error)
        shown = self._shown(name)
        return tuple(
            OwnFile(file=self._store.entry(record), built_at=record.built_at, sdist=record.sdist, sdist_sha256=record.sdist_sha256)
            for record in records
            if shown is None or record.filename in shown
        )

    def _shown(self, name: NormalizedName) -> frozenset[str] | None:
        """Return the files of the published page, None where nobody knows.

        A row is durable before its page is. Were it shown, answers that are kept by the page's stamp would take it back for a moment.
        """
        try:
            project = self._store.project(name)
        except StoreError:
            return None
        return frozenset() if project is None else frozenset(file.filename for file in project.files)

    def _as_published(self, name: NormalizedName, error: StoreError) -> tuple[OwnFile, ...]:
        """Return what the page says alone: serving goes on without a catalogue, and whose source is which is told by versions."""
        if not self._told:
            self._told = True
            _log.warning("the catalogue cannot be read, so sdists that changed upstream go unnoticed: %s", error.reason)
        project = self._store.project(name)
        return () if project is None else tuple(OwnFile(file=file) for file in project.files)


class _Names:
    """The farm's projects and, where wanted, upstream's."""

    def __init__(self, store: Store, upstream: MirrorNames | None) -> None:
        self._store = store
        self._upstream = upstream

    def names(self) -> tuple[NormalizedName, ...]:
        own = self._store.names()
        return own if self._upstream is None else tuple(sorted({*own, *self._upstream.names()}))

    def names_token(self) -> str:
        own = self._store.names_token()
        return own if self._upstream is None else f"{own} {self._upstream.token()}"


def _strict(parts: Parts, names: _Names, settings: Settings) -> Callable[[str], View]:
    @lru_cache(maxsize=_MOST_TARGETS)
    def view(full_name: str) -> View:
        return View(parts, strict_rule(parts.policy, parse_target(full_name), settings.strict_gaps), names)

    def find(text: str) -> View:
        if text in {"native", "host"}:
            # It would be the server's interpreter, which is no business of the client's.
            raise UsageError(f"{text!r} is no target of an index", solution="name it, as cp312-manylinux_2_28_x86_64")
        target = parse_target(text)
        given = next((t for t in settings.targets if t.name == target.name and target.assumed), target)
        return view(given.full_name)

    return find


def _address(settings: Settings) -> Callable[[Document], Callable[[Entry], str]] | None:
    """Return what gives the URLs of upstream's files for a page; None: upstream's own (docs/decisions/0025-demand.md)."""
    if settings.mirror != "link":
        return lambda document: package_path  # noqa: ARG005 - the same for all pages
    return sdists_here if settings.count_demand else None


def _mark(settings: Settings) -> str:
    always = ",".join(sorted(settings.from_source))
    counted = " counted" if settings.mirror == "link" and settings.count_demand else ""
    return f"{settings.mirror}{counted} {settings.upload_time} {settings.same_tags} {settings.strict_gaps} {always}"


def _refuse_itself(settings: Settings, pip: IndexSettings) -> None:
    own = {f"{settings.host}:{settings.port}"} | (
        {urlsplit(settings.public_url).netloc} if settings.public_url else set()
    )
    for url in pip.urls:
        if urlsplit(url).netloc.rpartition("@")[2] in own:
            raise UsageError(
                f"the upstream index is this farm itself ({urlsplit(url).netloc.rpartition('@')[2]})",
                solution="set `url` under [index] in config.toml to the index that the farm is to add its wheels to",
            )
