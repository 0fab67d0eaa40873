"""A build's log: whole, a range of it, or as it grows; as text, or as events that a browser carries on with by itself."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from farm.serve.api_problem import Parameter, read_path, read_query
from farm.serve.ask import joined
from farm.serve.negotiate import matches
from farm.serve.ranges import Unsatisfiable, holds, parse_range
from farm.serve.tail import Tails, read_pieces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.requests import Request

    from farm.serve.overview import Overview

EVENTS = "text/event-stream"
_MOST = 1 << 53
LOG_QUERY = (
    Parameter(name="follow", about="1: go on while the build runs, and end with it.", kind="switch", default="0"),
    Parameter(name="offset", about="Begin with this byte.", kind="integer", default=0, least=0, most=_MOST),
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # A log is a stranger's text: shown in a browser it is never more than that.
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Vary": "Accept",
    # nginx would hold back what comes slowly.
    "X-Accel-Buffering": "no",
}
_LONGEST_LINE = 1 << 16


class LogEndpoint:
    """GET /builds/{id}/log."""

    def __init__(self, overview: Overview, tails: Tails, cache_control: str) -> None:
        self._overview = overview
        self._tails = tails
        self._headers = _HEADERS | {"Cache-Control": cache_control}

    async def get(self, request: Request) -> Response:
        asked = read_query(request, LOG_QUERY)
        identity = read_path(request)["id"]
        accept = joined(request, "accept") or "*/*"
        path = await run_in_threadpool(self._overview.log, identity)
        if path is None:
            raise HTTPException(404, f"there is no build {identity[:100]!r}")
        if EVENTS in accept.lower():
            return self._stream(request, EVENTS, _events(self._tails, identity, _last_event(request, asked["offset"])))
        if not any(kind in accept.lower() for kind in ("*/*", "text/*", "text/plain")):
            raise HTTPException(406, f"expected a client that accepts text/plain or {EVENTS}")
        if asked["follow"] and await run_in_threadpool(self._overview.running, identity):
            return self._stream(request, "text/plain; charset=utf-8", _texts(self._tails, identity, asked["offset"]))
        return await self._file(request, path, asked["offset"])

    def _stream(self, request: Request, kind: str, content: AsyncIterator[bytes]) -> Response:
        headers = self._headers | {"Content-Type": kind, "Cache-Control": "no-store"}
        return Response(headers=headers) if request.method == "HEAD" else StreamingResponse(content, headers=headers)

    async def _file(self, request: Request, path: Path, offset: int) -> Response:
        try:
            status = await run_in_threadpool(path.stat)
        except OSError:
            raise HTTPException(404, "the log of this build is gone") from None
        size, etag = status.st_size, f'"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"'
        headers = self._headers | {"Content-Type": "text/plain; charset=utf-8", "ETag": etag, "Accept-Ranges": "bytes"}
        if matches(joined(request, "if-none-match"), etag):
            return Response(status_code=304, headers={"ETag": etag, "Cache-Control": self._headers["Cache-Control"]})
        try:
            if offset > size:
                raise Unsatisfiable
            part = parse_range(request.headers.get("range"), size) if not offset and holds(request.headers.get("if-range"), etag) else None
        except Unsatisfiable:
            raise HTTPException(416, f"the log has {size} bytes", {"Content-Range": f"bytes */{size}"}) from None
        first, end = part or (offset, size)
        headers["Content-Length"] = str(end - first)
        if part:
            headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
        code = 206 if part else 200
        if request.method == "HEAD":
            return Response(status_code=code, headers=headers)
        return StreamingResponse(read_pieces(path, first, end), code, headers=headers)


def _last_event(request: Request, offset: int) -> int:
    """Return where to go on: a browser that lost its connection says what it had last (HTML, server-sent events)."""
    last = request.headers.get("last-event-id", "")
    return int(last) if last.isascii() and last.isdigit() and len(last) < 16 else offset


async def _texts(tails: Tails, identity: str, start: int) -> AsyncIterator[bytes]:
    async with aclosing(tails.follow(identity, start)) as pieces:
        async for piece in pieces:
            if piece:
                yield piece


async def _events(tails: Tails, identity: str, start: int) -> AsyncIterator[bytes]:
    """Yield whole lines as events whose ids are the byte after them, then one named "end"; their data is JSON, as lines may hold CR."""
    offset, rest = start, b""
    async with aclosing(tails.follow(identity, start)) as pieces:
        async for piece in pieces:
            if not piece:
                yield b": the build is silent\n\n"
                continue
            rest += piece
            cut = rest.rfind(b"\n") + 1 or (len(rest) if len(rest) > _LONGEST_LINE else 0)
            if cut:
                offset += cut
                yield _event(rest[:cut], offset)
                rest = rest[cut:]
    if rest:
        offset += len(rest)
        yield _event(rest, offset)
    yield b"event: end\nid: %d\ndata: {}\n\n" % offset


def _event(text: bytes, offset: int) -> bytes:
    data = json.dumps({"text": text.decode("utf-8", "replace"), "end": offset})
    return b"id: %d\ndata: %s\n\n" % (offset, data.encode())
