"""What stands before the endpoints: who may read, the path prefix, and that trouble is logged and never shown. ASGI."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from farm.errors import UpstreamError
from farm.serve.api_problem import is_api, problem
from farm.serve.ask import refuse
from farm.serve.kept import EXTENSION, unchanged

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from farm.serve.access import Access


_log = logging.getLogger("farm.serve")
# Each of these is for anyone, or judges by itself.
_OPEN = ("/health", "/ready", "/metrics")
_RETRY_SECONDS = 30
_LOGIN = 'Basic realm="farm", charset="UTF-8"'


class Guard:
    """Turns what should not happen into a log line and a short error; a traceback is never sent."""

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
        except ClientDisconnect:
            # Nobody is left to be told.
            return
        except Exception as error:
            if started:
                # Half an answer is out: only closing the connection tells the client.
                raise
            await self._tell(scope, error)(scope, receive, send)

    @staticmethod
    def _tell(scope: Scope, error: Exception) -> Response:
        if isinstance(error, UpstreamError):
            # Never 404, and no page without upstream's files: clients would take the package for missing, or compile.
            _log.warning("%s %s: %s", scope["method"], scope["path"], error.reason)
            return refuse(
                Request(scope), 503, "the upstream index does not answer", {"Retry-After": str(_RETRY_SECONDS)}
            )
        _log.error("%s %s failed", scope["method"], scope["path"], exc_info=error)
        return Response("500 the farm could not answer; its log says why\n", 500, media_type="text/plain")


class Gate:
    """Lets in who may read. Uploads are for their endpoints to judge; whether the server lives is anyone's to know."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reads = scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}
        if not reads or self._access.open_reading or _route(scope) in _OPEN:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        # Before it is judged: an answer to a token that is taken back in between must not be kept.
        seen = self._access.stamp()
        if not await run_in_threadpool(self._access.allows, "read", request.headers.get("authorization")):
            told, login = "this index is read with a token", {"WWW-Authenticate": _LOGIN}
            answer = problem(401, told, login) if is_api(_route(scope)) else refuse(request, 401, told, login)
            await answer(scope, receive, send)
            return
        if EXTENSION in scope.get("extensions", {}):
            scope["extensions"][EXTENSION]["still"] = unchanged(self._access.stamp, seen)
        await self._app(scope, receive, send)


class Prefix:
    """Serves below a path prefix, whether the proxy before it hands the prefix on or cuts it off."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope.get("root_path"):
            path = scope["path"]
            below = path == self._prefix or path.startswith(self._prefix + "/")
            scope = {**scope, "root_path": self._prefix, "path": path if below else self._prefix + path}
        await self._app(scope, receive, send)


def _route(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
