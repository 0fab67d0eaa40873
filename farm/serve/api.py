"""The API below `/api/v1`: JSON of what the pages show (docs/api.md), logs as they grow, and the sets that are watched.

Reading follows the index' own rule (serve.read-access, `farm.serve.gate`); changing anything takes a token of the scope "build".
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from farm.errors import StoreError
from farm.serve.api_changes import ChangeEndpoints
from farm.serve.api_document import openapi
from farm.serve.api_log import LogEndpoint
from farm.serve.api_operations import READINGS, Asked
from farm.serve.api_problem import LONGEST, problem, read_path, read_query
from farm.serve.ask import base_of, joined
from farm.serve.negotiate import choose_encoding, matches

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from farm.serve.access import Access
    from farm.serve.api_changes import Changes
    from farm.serve.api_operations import Reading
    from farm.serve.overview import Overview
    from farm.serve.tail import Tails

    Endpoint = Callable[[Request], Awaitable[Response]]

ROOT = "/api/v1"
_log = logging.getLogger("farm.serve")
_JSON = "application/json"
_ACCEPTED = (_JSON, "application/*", "*/*")
_WORTH_ZIPPING = 1000
_LEVEL = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOptions:
    """`changes` None: nothing can be changed, also not with a token. `private` when reading asks for a token."""

    changes: Changes | None = None
    access: Access | None = None
    private: bool = False


def api_routes(overview: Overview, tails: Tails, options: ApiOptions | None = None) -> list[Route]:
    """Return the routes. Whatever else is asked for below `/api/` is a 404 of the API's own form."""
    options = options or ApiOptions()
    cache_control = "private, no-cache" if options.private else "no-cache"
    methods: dict[str, dict[str, Endpoint]] = defaultdict(dict)
    for reading in READINGS:
        methods[reading.path]["GET"] = _reading(overview, reading, cache_control)
    methods["/builds/{id}/log"]["GET"] = LogEndpoint(overview, tails, cache_control).get
    if options.changes is not None:
        changes = ChangeEndpoints(options.changes, options.access)
        methods["/sets"]["POST"] = changes.register
        methods["/sets/{name}"]["DELETE"] = changes.remove
    methods["/openapi.json"]["GET"] = _fixed(cache_control, _document_bytes)
    for path in ("", "/"):
        methods[path]["GET"] = _fixed(cache_control, _contents_bytes)
    routes = [
        Route(f"{ROOT}{path}", _guarded(endpoints), methods=list(endpoints), name=f"api{path}") for path, endpoints in methods.items()
    ]
    return [*routes, Route("/api/{path:path}", _unknown, methods=None, name="api-unknown")]


def _guarded(endpoints: Mapping[str, Endpoint]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        try:
            return await endpoints["GET" if request.method == "HEAD" else request.method](request)
        except HTTPException as error:
            return problem(error.status_code, error.detail, error.headers)
        except StoreError as error:
            # Without the reason: it names paths. The log has it.
            _log.error("%s: %s", request.url.path, error.reason)
            return problem(503, "the catalogue cannot be read now; the server's log says why", {"Retry-After": "30"})

    return endpoint


def _reading(overview: Overview, reading: Reading, cache_control: str) -> Endpoint:
    def answer(request: Request) -> Response:
        _check_accept(request)
        asked = Asked(path=read_path(request), query=read_query(request, reading.query), base=base_of(request))
        found = reading.answer(overview, asked)
        if found is None:
            raise HTTPException(404, f"there is no {reading.name} {next(iter(asked.path.values()))[:100]!r}")
        return _json(request, msgspec.json.encode(found), cache_control)

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(answer, request)

    return endpoint


def _fixed(cache_control: str, content: Callable[[str], bytes]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        _check_accept(request)
        read_query(request, ())
        return _json(request, content(request.scope.get("root_path", "")), cache_control)

    return endpoint


@lru_cache(4)
def _document_bytes(prefix: str) -> bytes:
    return json.dumps(openapi(f"{prefix}{ROOT}"), indent=1).encode()


@lru_cache(1)
def _contents_bytes(prefix: str) -> bytes:  # noqa: ARG001 - its links are relative
    links: dict[str, Any] = {reading.name: f".{reading.path}" for reading in READINGS}
    return json.dumps({"version": 1, "openapi": "./openapi.json", "links": links | {"log": "./builds/{id}/log"}}, indent=1).encode()


def _check_accept(request: Request) -> None:
    accept = joined(request, "accept")
    if accept is None or not accept.strip():
        return
    kinds = (part.partition(";") for part in accept.lower().split(","))
    if not any(kind.strip() in _ACCEPTED and "".join(rest.split()) not in {"q=0", "q=0.0", "q=0.00", "q=0.000"} for kind, _, rest in kinds):
        raise HTTPException(406, f"expected a client that accepts {_JSON}")


def _json(request: Request, body: bytes, cache_control: str) -> Response:
    """Return the answer with a strong ETag of its bytes as sent, or 304 (RFC 9110 13.1.2, 8.8.3.3)."""
    headers = {"Cache-Control": cache_control, "Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff"}
    if len(body) > _WORTH_ZIPPING and choose_encoding(joined(request, "accept-encoding")) == "gzip":
        body = gzip.compress(body, _LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    if matches(joined(request, "if-none-match"), etag):
        return Response(status_code=304, headers={"ETag": etag, "Cache-Control": cache_control, "Vary": "Accept-Encoding"})
    return Response(body, headers=headers | {"ETag": etag}, media_type=_JSON)


async def _unknown(request: Request) -> Response:
    return problem(404, f"there is nothing at {request.url.path[:LONGEST]}; {ROOT}/openapi.json has what there is")
