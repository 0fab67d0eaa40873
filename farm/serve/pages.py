"""The pages of a view: `/simple/` and `/simple/<project>/` (PEP 503, 691), with content negotiation and validators."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from packaging.utils import canonicalize_name
from starlette.exceptions import HTTPException
from starlette.responses import Response

from farm.errors import UsageError
from farm.model.page import JSON
from farm.serve.ask import joined, redirect
from farm.serve.kept import offer, steady, unchanged
from farm.serve.negotiate import choose_encoding, choose_type, kind_of, matches
from farm.serve.views import RootPages

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from starlette.requests import Request

    from farm.model.page import Coding, Kind, Page
    from farm.serve.views import PageSource

PROJECT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_MOST_TARGETS = 64


class _View(NamedTuple):
    source: PageSource
    root: RootPages


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """How to get a page, and what tells whether it is still the same."""

    page: Callable[[Kind, Coding], Page]
    look: Callable[[], Hashable | None]
    seen: Hashable | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How pages are given: their Cache-Control, and what changes whenever something is published (`kept.steady`)."""

    cache_control: str
    pulse: Callable[[], bytes | None] | None


class Pages:
    """Endpoints of one view. Plain functions: Starlette runs them in threads, so that a slow disk holds up nobody else."""

    def __init__(self, terms: Terms) -> None:
        cache_control, self._pulse = terms.cache_control, terms.pulse
        self._headers = {"Cache-Control": cache_control, "Vary": "Accept, Accept-Encoding"}

    def view(self, request: Request) -> _View:
        """Return the view that the request is for. HTTPException 404 when there is none."""
        raise NotImplementedError

    def root(self, request: Request) -> Response:
        view = self.view(request)
        look = view.source.names_token
        return self._answer(request, _Found(page=view.root.page, look=look, seen=look()))

    def project(self, request: Request) -> Response:
        asked = request.path_params["project"]
        name = canonicalize_name(asked)
        if not PROJECT.fullmatch(asked):
            raise HTTPException(404, f"{asked!r} is no project name")
        if name != asked:
            return redirect(request, f"../{name}/")
        source = self.view(request).source

        def find(kind: Kind, encoding: Coding) -> Page:
            page = source.page(name, kind, encoding)
            if page is None:
                raise HTTPException(404, f"the farm has no files of {name}")
            return page

        def look() -> Hashable | None:
            return source.stamp(name)

        # Before the page is read: what is published in between must be seen at the next request.
        return self._answer(request, _Found(page=find, look=look, seen=look()))

    def _answer(self, request: Request, found: _Found) -> Response:
        content_type = choose_type(joined(request, "accept"), request.query_params.get("format"))
        if content_type is None:
            raise HTTPException(406, f"expected a client that accepts {JSON}, its +html or text/html")
        page = found.page(kind_of(content_type), choose_encoding(joined(request, "accept-encoding")))
        # text/html and v1+html are the same bytes; a cache must still tell them apart, as their Content-Type differs.
        etag = page.etag if content_type == page.content_type else f'{page.etag[:-1]}-t"'
        headers = self._headers | {"ETag": etag}
        if matches(joined(request, "if-none-match"), etag):
            # No Content-Type: pip would take it for the page's.
            response = Response(status_code=304, headers=headers)
        else:
            if page.encoding != "identity":
                headers["Content-Encoding"] = page.encoding
            if content_type == "text/html":
                content_type = "text/html; charset=utf-8"
            response = Response(page.body, headers=headers | {"Content-Type": content_type})
        if found.seen is not None:
            still = unchanged(found.look, found.seen)
            offer(request.scope, response, still if self._pulse is None else steady(still, self._pulse))
        return response


class OneView(Pages):
    """The pages of a view that is always there."""

    def __init__(self, source: PageSource, terms: Terms) -> None:
        super().__init__(terms)
        self._view = _View(source, RootPages(source))

    def view(self, request: Request) -> _View:  # noqa: ARG002 - the same for all
        return self._view


class StrictViews(Pages):
    """The pages below `/strict/<target>/`; the views are made when they are asked for."""

    def __init__(self, make: Callable[[str], PageSource], terms: Terms) -> None:
        super().__init__(terms)
        self._make = make
        self._views: dict[str, _View] = {}

    def view(self, request: Request) -> _View:
        target = request.path_params["target"]
        try:
            source = self._make(target)
        except UsageError as error:
            raise HTTPException(404, f"{error.reason}; {error.solution}") from None
        view = self._views.get(target)
        if view is None or view.source is not source:
            if len(self._views) >= _MOST_TARGETS:
                self._views.clear()
            view = self._views[target] = _View(source, RootPages(source))
        return view


def to_slash(request: Request) -> Response:
    """Redirect `/simple` and `/simple/<any spelling>` to the page (PEP 503)."""
    last = request.url.path.rpartition("/")[2]
    if not PROJECT.fullmatch(last):
        raise HTTPException(404, "no such project")
    return redirect(request, f"./{canonicalize_name(last)}/")
