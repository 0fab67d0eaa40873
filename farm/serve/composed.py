"""Views that are composed: upstream's pages, the farm's files and a rule that makes one page of them.

A page is rendered when something that it is made of has changed, and kept under a key of all that: upstream's bytes, the farm's
own page of the project, the operator's policy.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from farm.errors import UpstreamError
from farm.serve.merge import merge, place, strict, wheels_only
from farm.serve.repair import utc_text
from farm.serve.simple import render_document

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from farm.model.mirrored import Mirrored, UpstreamPage
    from farm.model.package import NormalizedName
    from farm.model.page import Coding, Kind, Page
    from farm.model.target import Target
    from farm.serve.inherit import OwnFile
    from farm.serve.merge import Document, Gaps, MergedPage, MergePolicy
    from farm.serve.repair import Entry

_log = logging.getLogger("farm.serve")
_VERSION = "2"
"""To be raised when the same things are rendered to other bytes."""
_LOCKS = 64
_TRIES = 3
_LOGGED = 10_000


class Upstream(Protocol):
    """Upstream's pages as they are known (`farm.adapters.mirror`)."""

    def fresh(self, name: NormalizedName) -> str | None:
        """Return the token of what is known while it needs no asking, else None. Touches neither disk nor network."""
        ...

    def get(self, name: NormalizedName) -> Mirrored:
        """Return the pages of a project. May wait; UpstreamError when an index was never heard of it."""
        ...

    def known(self, name: NormalizedName) -> Mirrored | None:
        """Return what is known without waiting, None when nothing is."""
        ...

    def read(self, mirrored: Mirrored) -> tuple[UpstreamPage, ...] | None:
        """Return the pages' contents; None when they have been replaced since."""
        ...


class Own(Protocol):
    """The farm's files. StoreError when they cannot be read."""

    def stamp(self, name: NormalizedName) -> Hashable | None:
        """Return what changes whenever `files` does, None where the farm has no file; costs one stat."""
        ...

    def files(self, name: NormalizedName) -> tuple[OwnFile, ...]: ...


class Rendered(Protocol):
    """Pages that were rendered before (`farm.adapters.rendered`)."""

    def find(self, view: str, name: NormalizedName, key: str, kind: Kind, coding: Coding) -> Page | None: ...

    def put(self, view: str, name: NormalizedName, key: str, pages: Sequence[Page]) -> None: ...


class Names(Protocol):
    """The projects that a view's root page lists."""

    def names(self) -> tuple[NormalizedName, ...]: ...

    def names_token(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What views are made of. `address` gives for a page what gives the URLs of its upstream files, absolute or below the root; None:
    upstream's own.

    `mark` tells apart settings that change pages.
    """

    upstream: Upstream
    own: Own
    rendered: Rendered
    policy: MergePolicy
    address: Callable[[Document], Callable[[Entry], str]] | None
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What makes a view this view. `identity` names it among the rendered pages; `up` leads from a page to the index's root.

    `alone`: only projects of which the farm has a file are in it, and upstream is never waited for.
    """

    identity: str
    up: str
    compose: Callable[[NormalizedName, Sequence[UpstreamPage], Sequence[OwnFile]], MergedPage]
    alone: bool = False


def merged_rule(policy: MergePolicy) -> Rule:
    """Return the rule of `/simple/`."""
    return Rule(identity="merged", up="../../", compose=lambda name, pages, own: merge(name, pages, own, policy))


def wheels_rule(policy: MergePolicy) -> Rule:
    """Return the rule of `/wheels/simple/`."""

    def compose(name: NormalizedName, pages: Sequence[UpstreamPage], own: Sequence[OwnFile]) -> MergedPage:
        return wheels_only(name, pages, own, policy)

    return Rule(identity="wheels", up="../../../", compose=compose, alone=True)


def strict_rule(policy: MergePolicy, target: Target, gaps: Gaps) -> Rule:
    """Return the rule of `/strict/<target>/simple/`."""

    def compose(name: NormalizedName, pages: Sequence[UpstreamPage], own: Sequence[OwnFile]) -> MergedPage:
        return strict(merge(name, pages, own, policy), target, gaps)

    return Rule(identity=f"strict {target.full_name}", up="../../../../", compose=compose)


class View:
    """Satisfies `views.PageSource`."""

    def __init__(self, parts: Parts, rule: Rule, names: Names) -> None:
        self._parts = parts
        self._rule = rule
        self.names = names.names
        self.names_token = names.names_token
        # Not one for each project: whoever asks for many names must not fill the memory.
        self._locks = tuple(Lock() for _ in range(_LOCKS))
        self._logged: set[tuple[str, str, str]] = set()

    def stamp(self, name: NormalizedName) -> Hashable | None:
        token = self._parts.upstream.fresh(name)
        return None if token is None else (token, self._parts.own.stamp(name))

    def page(self, name: NormalizedName, kind: Kind, encoding: Coding) -> Page | None:
        for _ in range(_TRIES):
            # Before the files: what is published in between gets another stamp, and so another page.
            stamp = self._parts.own.stamp(name)
            if self._rule.alone and stamp is None:
                return None
            mirrored = self._parts.upstream.known(name) if self._rule.alone else self._parts.upstream.get(name)
            if stamp is None and (mirrored is None or not mirrored.pages):
                return None
            key = self._key(stamp, mirrored)
            page = self._find(name, key, kind, encoding)
            if page is not None:
                return page
            with self._locks[hash(name) % _LOCKS]:
                page = self._find(name, key, kind, encoding)
                if page is not None:
                    return page
                document = self._compose(name, mirrored)
                if document is not None:
                    return self._render(name, key, document, kind)[encoding] if document else None
        raise UpstreamError(
            f"the pages of {name} changed while they were read",
            solution="try again; if it stays so, look at the disk that holds the store's cache",
        )

    def _find(self, name: NormalizedName, key: str, kind: Kind, encoding: Coding) -> Page | None:
        return self._parts.rendered.find(self._rule.identity, name, key, kind, encoding)

    def _key(self, stamp: Hashable | None, mirrored: Mirrored | None) -> str:
        said = (_VERSION, self._rule.identity, self._parts.mark, stamp, None if mirrored is None else mirrored.token)
        return hashlib.sha256(repr(said).encode()).hexdigest()[:40]

    def _compose(self, name: NormalizedName, mirrored: Mirrored | None) -> dict[str, object] | None:
        """Return the page's document; an empty one when there is no such project, None when upstream's page was replaced."""
        pages = () if mirrored is None else self._parts.upstream.read(mirrored)
        if pages is None:
            return None
        own = self._parts.own.files(name)
        if not pages and not own:
            return {}
        page = self._rule.compose(name, pages, own)
        self._log(name, page)
        if self._rule.alone and _is_empty(page.document):
            # uv takes an empty page for the answer, and would not look for upstream's files on the next index.
            return {}
        address = self._parts.address
        document = place(page, self._rule.up, address(page.document) if address else None)
        if mirrored is not None and mirrored.stale and mirrored.read is not None:
            said = {"upstream": {"stale": True, "read": utc_text(mirrored.read)}}
            document["_farm"] = document.get("_farm", {}) | said
        return document

    def _render(self, name: NormalizedName, key: str, document: dict[str, object], kind: Kind) -> dict[Coding, Page]:
        pages = render_document(document, kind)
        self._parts.rendered.put(self._rule.identity, name, key, pages)
        return {page.encoding: page for page in pages}

    def _log(self, name: NormalizedName, page: MergedPage) -> None:
        for left in page.left_out:
            said = (name, left.filename, left.reason)
            if said in self._logged:
                continue
            if len(self._logged) >= _LOGGED:
                self._logged.clear()
            self._logged.add(said)
            level = logging.WARNING if left.reason in {"sdist-changed", "name-taken"} else logging.INFO
            _log.log(level, "%s: %s keeps its URL but is not listed: %s", name, left.filename, _WHY[left.reason])


def _is_empty(document: Document) -> bool:
    """Tell whether a page has nothing to say; that a project is quarantined is something."""
    return not document["files"] and document.get("project-status", {}).get("status") != "quarantined"


_WHY = {
    "quarantined": "the project is quarantined upstream",
    "name-taken": "upstream has other bytes under its name",
    "sdist-changed": "upstream's sdist is no longer the one that it was built from",
    "same-tags": "upstream has a wheel with its tags",
}
