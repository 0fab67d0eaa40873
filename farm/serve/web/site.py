"""The pages for people: a route for each, from what the overview tells. They only read; nothing here can change anything."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from markupsafe import Markup
from packaging.utils import canonicalize_name
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from farm.errors import FarmError
from farm.model.overview_runs import BuildQuery
from farm.serve.api_problem import read_path
from farm.serve.ask import base_of, redirect
from farm.serve.lines import beside_line, client_lines
from farm.serve.pages import PROJECT
from farm.serve.web import asked
from farm.serve.web.answers import give_page, page_headers
from farm.serve.web.assets import asset_route
from farm.serve.web.build_page import BuildPage
from farm.serve.web.gantt import chart
from farm.serve.web.night_report import report_sections
from farm.serve.web.shown import API, Shown, missing, root_of
from farm.serve.web.templates import render
from farm.serve.web.words import BUILD_STATES, BUILDS, CELL_STATES, CELLS, MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from starlette.requests import Request

    from farm.model.overview_runs import BuildRow
    from farm.serve.overview import Overview
    from farm.serve.web.build_page import Follow

_log = logging.getLogger("farm.serve")
_DAYS = 30
_NIGHTS = 60
_FEW = 6
# Nothing that is escaped can be this: a page that is streamed is cut here, and its stream goes between.
_CUT: Final = Markup("<!--cut-->")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteOptions:
    """`prefixes` are those of the index's views, `strict` whether there are strict ones, `private` whether reading wants a token.

    `follow` gives logs of builds that run.
    """

    prefixes: tuple[str, ...] = ("",)
    strict: bool = False
    private: bool = False
    follow: Follow | None = None


async def _between(head: str, stream: Iterator[Markup] | AsyncIterator[Markup], tail: str) -> AsyncIterator[str]:
    yield head
    # A file is read in threads: other requests go on meanwhile.
    async for piece in stream if isinstance(stream, AsyncIterator) else iterate_in_threadpool(stream):
        yield piece
    yield tail


class Site:
    """Endpoints. Plain functions: Starlette runs them in threads, as the overview blocks."""

    def __init__(self, overview: Overview | None, options: SiteOptions) -> None:
        self._overview = overview
        self._options = options
        self._headers = page_headers(private=options.private)

    def routes(self) -> list[Route]:
        """Return the routes; of a server without an overview, only the start page's."""
        pages = [Route("/", self._page(self._start), name="start"), asset_route()]
        if self._overview is None:
            return pages
        made = _Pages(self._overview, self._options)
        return [
            *pages,
            *(Route(path, self._page(make), name=f"page {path}") for path, make in made.makers().items()),
        ]

    def _page(self, make: Callable[[Request], Shown | Response]) -> Callable[[Request], Response]:
        def page(request: Request) -> Response:
            read_path(request)
            try:
                shown = make(request)
            except FarmError as error:
                # Without the reason: it names paths, and anyone may ask. The log has it.
                _log.error("%s cannot be shown: %s", request.url.path, error.reason)
                text = "The farm cannot read what this page shows; its log says why."
                shown = Shown(template="trouble.html", context={"title": "Out of order", "text": text}, status=503)
            if not isinstance(shown, Shown):
                return shown
            context = {"root": root_of(request), "here": shown.here, "twin": shown.twin, **shown.context}
            if shown.stream is None:
                return give_page(request, render(shown.template, context), self._headers, shown.status)
            return self._stream(request, shown, render(shown.template, context | {"log": _CUT}))

        return page

    def _stream(self, request: Request, shown: Shown, text: str) -> Response:
        # No proxy is to hold back what comes, nor to keep it: the next one who asks gets another page.
        headers = self._headers | {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        if request.method == "HEAD" or shown.stream is None:
            return Response(headers=headers)
        head, _, tail = text.partition(_CUT)
        return StreamingResponse(_between(head, shown.stream, tail), headers=headers)

    def _start(self, request: Request) -> Shown:
        base = base_of(request)
        failing: Sequence[BuildRow] = ()
        summary = None
        if self._overview is not None:
            summary = self._overview.summary(_DAYS)
            failing = self._overview.builds(BuildQuery(states=("failed", "timed-out", "rejected"), limit=_FEW)).builds
        context = {
            "summary": summary, "failing": failing, "strict": self._options.strict, "prefixes": self._options.prefixes,
            "lines": client_lines(base, "PACKAGE") + ((beside_line(base, "PACKAGE"),) if "/wheels" in self._options.prefixes else ()),
        }  # fmt: skip
        return Shown(template="start.html", context=context, twin=f"{API}/summary" if summary else "")


class _Pages:
    """What each page but the start page and a build's shows."""

    def __init__(self, overview: Overview, options: SiteOptions) -> None:
        self._overview = overview
        self._build = BuildPage(overview, options.follow)

    def makers(self) -> dict[str, Callable[[Request], Shown | Response]]:
        return {
            "/matrix": self.matrix, "/project/{name}": self.project, "/builds": self.builds, "/queue": self.queue,
            "/nights": self.nights, "/night/{id}": self.night, "/misses": self.misses, "/sets": self.sets, "/set/{name}": self.set,
            "/build/{id}": self._build.make,
        }  # fmt: skip

    def matrix(self, request: Request) -> Shown:
        query = asked.matrix_query(request.query_params)
        matrix = self._overview.matrix(query)
        context = _paged(request, "matrix", matrix.next) | {
            "query": query, "matrix": matrix, "words": CELLS, "states": CELL_STATES,
            "targets": tuple(total.target for total in matrix.totals) or matrix.targets,
            "filtered": bool(query.search or query.states or query.targets or query.watch),
        }  # fmt: skip
        return Shown(template="matrix.html", context=context, twin=_twin("matrix", request), here="matrix")

    def project(self, request: Request) -> Shown | Response:
        wanted = request.path_params["name"]
        name = canonicalize_name(wanted)
        if PROJECT.fullmatch(wanted) and name != wanted:
            return redirect(request, f"./{name}")
        package = self._overview.package(name) if PROJECT.fullmatch(wanted) else None
        if package is None:
            return missing("No such project", f"The farm knows nothing of {wanted}.")
        built = (version.version for version in package.versions if version.wheels)
        newest = next(built, package.versions[0].version if package.versions else "")
        context = {
            "package": package, "words": CELLS, "states": CELL_STATES, "untold": (*MISSING, "hidden"),
            "lines": client_lines(base_of(request), name, newest),
        }  # fmt: skip
        return Shown(template="project.html", context=context, twin=f"{API}/packages/{name}", here="matrix")

    def builds(self, request: Request) -> Shown:
        query = asked.build_query(request.query_params)
        page = self._overview.builds(query)
        targets = (target.name for target in self._overview.targets())
        context = _paged(request, "builds", page.next) | {
            "query": query, "page": page, "words": BUILDS, "states": BUILD_STATES,
            "targets": tuple(dict.fromkeys((*targets, *((query.target,) if query.target else ())))),
            "filtered": bool(query.name or query.states or query.target or query.run),
        }  # fmt: skip
        return Shown(template="builds.html", context=context, twin=_twin("builds", request), here="builds")

    def queue(self, request: Request) -> Shown:  # noqa: ARG002 - as all makers
        return Shown(template="queue.html", context={"queue": self._overview.queue()}, twin=f"{API}/queue", here="queue")

    def nights(self, request: Request) -> Shown:  # noqa: ARG002 - as all makers
        context = {"nights": self._overview.nights(_NIGHTS)}
        return Shown(template="nights.html", context=context, twin=f"{API}/nights", here="nights")

    def night(self, request: Request) -> Shown:
        identity = request.path_params["id"]
        view = self._overview.night(identity)
        if view is None:
            return missing("No such night", f"There was no nightly run {identity}.")
        context = {"view": view, "night": view.night, "chart": chart(view), "report": report_sections(view.report)}
        return Shown(template="night.html", context=context, twin=f"{API}/nights/{view.night.id}", here="nights")

    def misses(self, request: Request) -> Shown:
        query = asked.miss_query(request.query_params)
        page = self._overview.misses(query)
        following = asked.query_string(request.query_params, offset=str(query.offset + query.limit)) if page.more else ""
        first = asked.query_string(request.query_params, offset="") if query.offset else ""
        context = {
            "query": query, "page": page, "filtered": bool(query.name or query.days != _DAYS),
            "next": f"misses{following}" if page.more else "", "first": f"misses{first}" if query.offset else "",
        }  # fmt: skip
        return Shown(template="misses.html", context=context, twin=_twin("misses", request), here="misses")

    def sets(self, request: Request) -> Shown:
        after = asked.after(request.query_params)
        page = self._overview.sets(after, 100)
        context = _paged(request, "sets", page.next) | {"page": page}
        return Shown(template="sets.html", context=context, twin=_twin("sets", request), here="sets")

    def set(self, request: Request) -> Shown:
        view = self._overview.set(request.path_params["name"])
        if view is None:
            return missing("No such set", f"The farm watches no set called {request.path_params['name']}.")
        context = {"set": view.set, "totals": view.totals, "options": view.options}
        return Shown(template="set.html", context=context, twin=f"{API}/sets/{view.set.name}", here="sets")


def _paged(request: Request, path: str, following: str) -> dict[str, str]:
    """Return the links to the first and the next page, "" for none."""
    params = request.query_params
    return {
        "next": path + asked.query_string(params, after=following) if following else "",
        "first": path + asked.query_string(params, after="") if params.get("after") else "",
    }


def _twin(path: str, request: Request) -> str:
    """Return the path of a list's JSON, with the same filters and the same place in it."""
    return f"{API}/{path}{asked.twin_query(path, request.query_params)}"
