"""The index over HTTP, as an ASGI application. Each request sees what is published at that moment.

For each view `/simple/`, `/simple/<project>/` and `/files/<2>/<62>/<file name>` (and `.metadata`) below the view's prefix;
upstream's files below `/packages/`; `/health`, `/ready` and a page for people at `/`. index-servers' rules: pages
`no-cache` with a strong ETag, files for ever, unknown is 404 and nothing else, a 304 has no Content-Type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from farm.errors import FarmError
from farm.serve.api_problem import is_api, problem
from farm.serve.ask import refuse
from farm.serve.counted import Counted
from farm.serve.direct import direct_routes
from farm.serve.files import Files, Packages
from farm.serve.gate import Gate, Guard, Prefix
from farm.serve.pages import OneView, StrictViews, Terms, to_slash
from farm.serve.web.site import Site, SiteOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from farm.model.package import Digest
    from farm.serve.access import Access
    from farm.serve.direct import DirectPages
    from farm.serve.metrics import MetricsPage
    from farm.serve.overview import Overview
    from farm.serve.pages import Pages
    from farm.serve.tally import Tally
    from farm.serve.views import FileSource, PageSource, UpstreamFiles
    from farm.serve.web.build_page import Follow

_YEAR = 31536000


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What an index may have beside its views.

    `direct` has the lists of what is on no index. `strict` gives the view of a target, UsageError for an unknown one;
    `packages` has upstream's files; `uploads` are routes of their own; `access` says who may read (None: everyone).
    `cache_control` is for pages. `prefix` is the path below which a proxy shows the index, "" or "/farm". `pulse` gives bytes
    that change whenever something is published, None when nobody knows; it is asked in the event loop, for each answer that
    was given before. `removed` tells why a file that was published is there no more, None when it never was: 410 and 404.
    `statement` gives the signed statement about a file (PEP 740), None without one. `tally` counts answers. `metrics` answers at
    `/metrics`, and judges by itself who may read them. `api` are the routes of `/api/v1`. `overview` has what the pages for people
    show, `follow` the logs of builds that run.
    """

    direct: DirectPages | None = None
    strict: Callable[[str], PageSource] | None = None
    packages: UpstreamFiles | None = None
    uploads: Sequence[BaseRoute] = ()
    access: Access | None = None
    cache_control: str = "no-cache"
    prefix: str = ""
    pulse: Callable[[], bytes | None] | None = None
    removed: Callable[[Digest], str | None] | None = None
    statement: Callable[[Digest], bytes | None] | None = None
    tally: Tally | None = None
    metrics: MetricsPage | None = None
    api: Sequence[BaseRoute] = ()
    overview: Overview | None = None
    follow: Follow | None = None


def create_app(views: Mapping[str, PageSource], files: FileSource, options: Options | None = None) -> Starlette:
    """Return the application. `views` maps a prefix ("" or "/wheels") to the view below it; all share `files`.

    It works below any path prefix (`root_path`), as every link and redirect in it is relative.
    """
    options = options or Options()
    # A shared cache must not hand on what only a token's owner may read (RFC 9111 3.5).
    forever = f"{'public' if _is_open(options) else 'private'}, max-age={_YEAR}, immutable"
    behind = {"files/{first}/{rest}/{filename}": Files(files, forever, options.removed, options.statement).__call__}
    if options.packages is not None:
        behind["packages/{path:path}"] = Packages(options.packages, forever).__call__
    routes: list[BaseRoute] = [
        *Site(options.overview, _site_options(views, options)).routes(),
        Route("/health", _health, name="health"),
        Route("/ready", _ready(files), name="ready"),
        *((Route("/metrics", options.metrics.answer, name="metrics"),) if options.metrics else ()),
        *options.uploads,
        *options.api,
        *(direct_routes(options.direct) if options.direct else ()),
    ]
    terms = Terms(cache_control=options.cache_control, pulse=options.pulse)
    pages: dict[str, Pages] = {prefix: OneView(source, terms) for prefix, source in views.items()}
    if options.strict is not None:
        pages["/strict/{target}"] = StrictViews(options.strict, terms)
    for prefix, view in pages.items():
        routes += _routes(prefix, view, behind)
    middleware = [Middleware(Counted, tally=options.tally, prefix=options.prefix)] if options.tally else []
    middleware.append(Middleware(Guard))
    if options.prefix:
        middleware.append(Middleware(Prefix, prefix=options.prefix))
    if options.access is not None:
        middleware.append(Middleware(Gate, access=options.access))
    app = Starlette(routes=routes, exception_handlers={HTTPException: _refuse}, middleware=middleware)
    # Its own redirects name the host.
    app.router.redirect_slashes = False
    return app


def _routes(prefix: str, pages: Pages, behind: Mapping[str, Callable[[Request], Response]]) -> list[Route]:
    return [
        Route(f"{prefix}/simple", to_slash, name=f"{prefix}simple"),
        Route(f"{prefix}/simple/", pages.root, name=f"{prefix}root"),
        Route(f"{prefix}/simple/{{project}}", to_slash, name=f"{prefix}project-without-slash"),
        Route(f"{prefix}/simple/{{project}}/", pages.project, name=f"{prefix}project"),
        # Links in pages are relative, so each view may have its files below its own prefix.
        *(Route(f"{prefix}/{path}", endpoint, name=f"{prefix}{path}") for path, endpoint in behind.items()),
    ]


def _is_open(options: Options) -> bool:
    return options.access is None or options.access.open_reading


def _site_options(views: Mapping[str, PageSource], options: Options) -> SiteOptions:
    strict, private = options.strict is not None, not _is_open(options)
    return SiteOptions(prefixes=tuple(views), strict=strict, private=private, follow=options.follow)


def _health(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
    return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


def _ready(files: FileSource) -> Callable[[Request], Response]:
    def ready(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
        headers = {"Cache-Control": "no-store"}
        try:
            serial = files.serial()
        except FarmError as error:
            # Without the reason: it names paths, and anyone may ask. The log has it.
            return JSONResponse({"status": "error", "reason": type(error).__name__}, status_code=503, headers=headers)
        return JSONResponse({"status": "ok", "serial": serial}, headers=headers)

    return ready


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if is_api(request.url.path.removeprefix(request.scope.get("root_path", ""))):
        return problem(error.status_code, error.detail, error.headers)
    return refuse(request, error.status_code, error.detail, dict(error.headers or {}))
