"""The legacy upload API, as twine, `uv publish` and `curl -F` speak it: POST a form to /legacy/ (or to /).

Answers are plain text with Warehouse's statuses: 200 (also for the same bytes again), 400 with the reason ("File already
exists" for other bytes under a taken name), 401 without a valid token, 403 for one that may not, 408 too slow, 413 too
large, 503 try later, 507 the disk is full.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import anyio
from anyio.to_thread import run_sync
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from farm.errors import FarmError, StoreError, StoreFull, UpstreamError
from farm.model.upload import Refused
from farm.serve.form import FormLimits, UploadForm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import BinaryIO

    from starlette.requests import Request
    from starlette.responses import Response

    from farm.model.token import Token
    from farm.model.upload import Offer
    from farm.serve.access import Access

_log = logging.getLogger("farm.upload")
_PIECE = 1 << 20
_LOGIN = 'Basic realm="farm", charset="UTF-8"'
# What of a refused request is read on, so that the client, which writes before it reads, gets to see why.
_DRAIN_BYTES = 64 << 20
_DRAIN_SECONDS = 10.0
_LONGEST_REASON = 2000


class Uploads(Protocol):
    """Where uploads go. Its methods block."""

    def staged(self) -> AbstractContextManager[tuple[BinaryIO, Path]]:
        """Open a new file for bytes that come in; it is gone at the end of the block unless `receive` took it."""
        ...

    def receive(self, offer: Offer) -> str:
        """Put the file on the index and return its URL path. Refused with the reason; StoreError, UpstreamError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadLimits:
    """Bounds of uploads. A client may pause for `stall` seconds, and sends `rate` bytes a second at least, after `grace` seconds.

    `at_once` uploads at most are under way; further ones are told to come again.
    """

    form: FormLimits = field(default_factory=FormLimits)
    stall: float = 60.0
    grace: float = 30.0
    rate: float = 1024.0
    at_once: int = 32
    threads: int = 4


def upload_routes(uploads: Uploads, access: Access, limits: UploadLimits | None = None) -> list[Route]:
    """Return the routes that take uploads from who has a token with the scope "upload"."""
    endpoint = _Endpoint(uploads, access, limits or UploadLimits()).post
    return [Route(path, endpoint, methods=["POST"], name=f"upload{path}") for path in ("/legacy/", "/legacy", "/")]


class _Endpoint:
    def __init__(self, uploads: Uploads, access: Access, limits: UploadLimits) -> None:
        self._uploads = uploads
        self._access = access
        self._limits = limits
        # Of their own, so that checking large wheels never takes the threads that answer readers.
        self._threads = anyio.CapacityLimiter(limits.threads)
        self._under_way = 0

    async def post(self, request: Request) -> Response:
        body = _Body(request, self._limits)
        try:
            token = self._admit(request)
            self._under_way += 1
            try:
                await self._take(request, body, token)
            finally:
                self._under_way -= 1
        except FarmError as error:
            answer = _refusal(error)
            await body.drain()
            return answer
        return PlainTextResponse("")

    def _admit(self, request: Request) -> Token:
        """Return the token that lets this request in, before anything of its body is read."""
        authorization = request.headers.get("authorization")
        token = self._access.identify(authorization)
        if token is None:
            why = "no token" if authorization is None else "an unknown, revoked or expired token"
            raise Refused(
                f"{why}: `farm token create NAME --scope upload` makes one; user __token__, the token as password",
                status=401,
            )
        if not token.grants("upload"):
            raise Refused(f"the token {token.name} is for {token.scope} only", status=403)
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._limits.form.body:
            limit = self._limits.form.file
            raise Refused(f"the file is larger than {limit} bytes (config.toml: serve.upload-limit)", status=413)
        if self._under_way >= self._limits.at_once:
            raise Refused(f"{self._under_way} uploads are under way: try again soon", status=503)
        return token

    async def _take(self, request: Request, body: _Body, token: Token) -> None:
        incoming = _Incoming(self._uploads, request.headers.get("content-type", ""), self._limits.form)
        try:
            buffer = bytearray()
            async for chunk in body.chunks():
                buffer += chunk
                if len(buffer) >= _PIECE:
                    await run_sync(incoming.feed, bytes(buffer), limiter=self._threads)
                    buffer.clear()
            # The last piece, the checks and the publishing in one go: small uploads change threads once.
            url = await run_sync(incoming.finish, bytes(buffer), token, limiter=self._threads, abandon_on_cancel=False)
        finally:
            incoming.close()
        _log.info("%s uploaded %s", token.name, url)


class _Incoming:
    """One upload on its way to the disk. For threads."""

    def __init__(self, uploads: Uploads, content_type: str, limits: FormLimits) -> None:
        self._uploads = uploads
        self._content_type = content_type
        self._limits = limits
        self._stack = ExitStack()
        self._form: UploadForm | None = None
        self._path: Path | None = None

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Refused when they are wrong, StoreError when they cannot be written."""
        with self._storing():
            self._opened().feed(data)

    def finish(self, data: bytes, token: Token) -> str:
        """Take the last bytes, and the file into the index; return its URL path."""
        with self._storing():
            form = self._opened()
            form.feed(data)
            assert self._path is not None
            offer = form.offer(self._path, token)
        return self._uploads.receive(offer)

    def _opened(self) -> UploadForm:
        if self._form is None:
            file, self._path = self._stack.enter_context(self._uploads.staged())
            self._form = UploadForm(self._content_type, file, self._limits)
        return self._form

    @contextmanager
    def _storing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # The staged file's own block knows what its disk's trouble means to a person.
            self._stack.__exit__(type(error), error, error.__traceback__)
            raise

    def close(self) -> None:
        """Remove what was not taken in. Quick: a close and an unlink."""
        with suppress(StoreError):
            self._stack.close()


class _Body:
    """A request's body with the times that it may take."""

    def __init__(self, request: Request, limits: UploadLimits) -> None:
        self._stream = request.stream()
        # Who asks before sending (RFC 9110 10.1.1) sends nothing once refused.
        self._asked_first = request.headers.get("expect", "").lower() == "100-continue"
        self._limits = limits
        self._size = 0
        self._ended = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body. Refused (408) when it comes too slowly, (413) when it is more than a form can be."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        while not self._ended:
            due = started + self._limits.grace + self._size / self._limits.rate
            wait = min(self._limits.stall, due - loop.time())
            try:
                chunk = await asyncio.wait_for(anext(self._stream, None), max(wait, 0))
            except TimeoutError:
                raise Refused(
                    f"the upload is too slow: {self._size} bytes in {loop.time() - started:.0f} s", status=408
                ) from None
            if chunk is None:
                self._ended = True
                return
            self._size += len(chunk)
            if self._size > self._limits.form.body:
                raise Refused(f"the request is larger than {self._limits.form.body} bytes", status=413)
            yield chunk

    async def drain(self) -> None:
        """Read on after a refusal, within bounds."""
        if self._asked_first and not self._size:
            return
        with suppress(Exception):
            async with asyncio.timeout(min(_DRAIN_SECONDS, self._limits.stall)):
                left = _DRAIN_BYTES
                while left > 0 and (chunk := await anext(self._stream, None)) is not None:
                    left -= len(chunk)


def _refusal(error: FarmError) -> Response:
    """Return the answer to an upload that failed. What is the farm's own trouble is logged, and told without paths."""
    if isinstance(error, Refused):
        headers = {401: {"WWW-Authenticate": _LOGIN}, 503: {"Retry-After": "5"}, 408: {"Connection": "close"}}.get(
            error.status, {}
        )
        # What a form says may be megabytes.
        return PlainTextResponse(f"{error.status} {error.reason[:_LONGEST_REASON]}\n", error.status, headers=headers)
    _log.error("upload failed: %s", error.reason)
    if isinstance(error, StoreFull):
        return PlainTextResponse("507 the farm's disk is full: free some space, then try again\n", 507)
    what = (
        "the upstream index does not answer, so it is unknown whether it has this file"
        if isinstance(error, UpstreamError)
        else None
    )
    reason = what or "the farm's store cannot be written; the server's log says why"
    return PlainTextResponse(f"503 {reason}\n", 503, headers={"Retry-After": "30"})
