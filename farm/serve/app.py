"""The index over HTTP, as an ASGI application. Reads only; each request sees what is published at that moment.

For each view `/simple/`, `/simple/<project>/` and `/files/<2>/<62>/<file name>` (and `.metadata`) below the view's prefix;
`/health` and a page for people at `/`. index-servers' rules: pages `no-cache` with a strong ETag, files for ever, unknown
is 404 and nothing else, a 304 has no Content-Type (pip would store it as the page's).
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from farm.errors import FarmError
from farm.model.package import parse_digest, parse_wheel_name
from farm.model.page import JSON
from farm.serve.direct import direct_routes
from farm.serve.landing import render_landing
from farm.serve.negotiate import choose_encoding, choose_type, kind_of, matches
from farm.serve.views import RootPages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from farm.model.page import Coding, Kind, Page
    from farm.serve.direct import DirectPages
    from farm.serve.views import FileSource, PageSource

_log = logging.getLogger("farm.serve")
_PROJECT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_FRESH = {"Cache-Control": "no-cache", "Vary": "Accept, Accept-Encoding"}
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_METADATA = ".metadata"


def create_app(views: Mapping[str, PageSource], files: FileSource, direct: DirectPages | None = None) -> Starlette:
    """Return the application. `views` maps a prefix ("" or "/wheels") to the view below it; all share `files`.

    `direct` has the lists of what is on no index.

    It works below any path prefix (`root_path`), as every link and redirect in it is relative.
    """
    routes = [
        Route("/", _landing(tuple(views)), name="landing"),
        Route("/health", _health(files), name="health"),
    ]
    for prefix, source in views.items():
        routes += _view_routes(prefix, source, files)
    routes += direct_routes(direct) if direct else []
    app = Starlette(routes=routes, exception_handlers={HTTPException: _refuse}, middleware=[Middleware(_Guard)])
    # Its own redirects name the host.
    app.router.redirect_slashes = False
    return app


def _view_routes(prefix: str, source: PageSource, files: FileSource) -> list[Route]:
    return [
        Route(f"{prefix}/simple", _to_slash, name=f"{prefix}simple"),
        Route(f"{prefix}/simple/", _root_page(source), name=f"{prefix}root"),
        Route(f"{prefix}/simple/{{project}}", _to_slash, name=f"{prefix}project-without-slash"),
        Route(f"{prefix}/simple/{{project}}/", _project_page(source), name=f"{prefix}project"),
        Route(f"{prefix}/files/{{first}}/{{rest}}/{{filename}}", _file(files), name=f"{prefix}file"),
    ]


# Endpoints are plain functions: Starlette runs them in threads, so that a slow disk does not hold up other requests.


def _root_page(source: PageSource) -> Callable[[Request], Response]:
    pages = RootPages(source)
    return lambda request: _answer(request, pages.page)


def _project_page(source: PageSource) -> Callable[[Request], Response]:
    def project(request: Request) -> Response:
        asked = request.path_params["project"]
        name = canonicalize_name(asked)
        if not _PROJECT.fullmatch(asked):
            raise HTTPException(404, f"{asked!r} is no project name")
        if name != asked:
            return _redirect(request, f"../{name}/")

        def find(kind: Kind, encoding: Coding) -> Page:
            page = source.page(name, kind, encoding)
            if page is None:
                raise HTTPException(404, f"the farm has no wheels of {name}")
            return page

        return _answer(request, find)

    return project


def _answer(request: Request, find: Callable[[Kind, Coding], Page]) -> Response:
    content_type = choose_type(_joined(request, "accept"), request.query_params.get("format"))
    if content_type is None:
        raise HTTPException(406, f"expected a client that accepts {JSON}, its +html or text/html")
    page = find(kind_of(content_type), choose_encoding(_joined(request, "accept-encoding")))
    # text/html and v1+html are the same bytes; a cache must still tell them apart, as their Content-Type differs.
    etag = page.etag if content_type == page.content_type else f'{page.etag[:-1]}-t"'
    headers = _FRESH | {"ETag": etag}
    if matches(_joined(request, "if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    if page.encoding != "identity":
        headers["Content-Encoding"] = page.encoding
    if content_type == "text/html":
        content_type = "text/html; charset=utf-8"
    return Response(page.body, headers=headers | {"Content-Type": content_type})


def _file(files: FileSource) -> Callable[[Request], Response]:
    def file(request: Request) -> Response:
        filename: str = request.path_params["filename"]
        wheel = filename.removesuffix(_METADATA)
        try:
            digest = parse_digest(request.path_params["first"] + request.path_params["rest"])
        except ValueError:
            raise HTTPException(404, "no such file") from None
        if len(request.path_params["first"]) != 2 or parse_wheel_name(wheel) is None:
            raise HTTPException(404, "no such file")
        # Only what was published has METADATA; other blobs (sources, logs) are not the world's business.
        metadata = files.metadata(digest)
        path = metadata if wheel != filename else files.blob(digest)
        if metadata is None or path is None:
            raise HTTPException(404, f"the farm has no file {wheel} with sha256 {digest}")
        kind = "application/octet-stream" if path == metadata else "application/zip"
        return _send(request, path, f'"{digest}{_METADATA if path == metadata else ""}"', kind)

    return file


def _send(request: Request, path: Path, etag: str, content_type: str) -> Response:
    headers = _FOREVER | {"ETag": etag, "Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff"}
    if matches(_joined(request, "if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return _WheelResponse(path, headers=headers, media_type=content_type, stat_result=path.stat())


class _WheelResponse(FileResponse):
    # Each chunk costs a change of thread; wheels of hundreds of megabytes are common.
    chunk_size = 1 << 20


def _to_slash(request: Request) -> Response:
    last = request.url.path.rpartition("/")[2]
    if not _PROJECT.fullmatch(last):
        raise HTTPException(404, "no such project")
    return _redirect(request, f"./{canonicalize_name(last)}/")


def _redirect(request: Request, to: str) -> Response:
    # Relative, so that it holds behind a proxy that adds a path prefix or another host name.
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"{to}{query}", status_code=301)


def _landing(prefixes: tuple[str, ...]) -> Callable[[Request], Response]:
    def landing(request: Request) -> Response:
        return HTMLResponse(render_landing(str(request.base_url).rstrip("/"), prefixes))

    return landing


def _health(files: FileSource) -> Callable[[Request], Response]:
    def health(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
        try:
            serial = files.serial()
        except FarmError as error:
            return JSONResponse({"status": "error", "reason": error.reason}, status_code=503)
        return JSONResponse({"status": "ok", "serial": serial}, headers={"Cache-Control": "no-store"})

    return health


def _joined(request: Request, header: str) -> str | None:
    """Return all values of a header as one list (RFC 9110 5.3), or None."""
    values = request.headers.getlist(header)
    return ", ".join(values) if values else None


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _short(request, error.status_code, error.detail, dict(error.headers or {}))


def _short(request: Request, status: int, reason: str, headers: dict[str, str]) -> Response:
    headers |= {"Vary": "Accept", "Cache-Control": "no-cache"}
    if kind_of(choose_type(_joined(request, "accept")) or "") == JSON:
        return JSONResponse({"status": status, "message": reason}, status_code=status, headers=headers)
    return Response(f"{status} {reason}\n", status_code=status, headers=headers, media_type="text/plain")


class _Guard:
    """Turns what should not happen into a log line and a short 500; a traceback is never sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            if started:
                # Half an answer is out: only closing the connection tells the client.
                raise
            _log.exception("%s %s failed", scope["method"], scope["path"])
            await Response("500 the farm could not answer; its log says why\n", 500, media_type="text/plain")(
                scope, receive, send
            )
