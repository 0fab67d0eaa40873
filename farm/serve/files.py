"""Files: the farm's wheels and their METADATA below `/files/`, upstream's below `/packages/`."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import anyio
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response, StreamingResponse

from farm.errors import FarmError
from farm.model.attestation import parse_envelopes
from farm.model.package import parse_digest, parse_wheel_name
from farm.serve.ask import joined
from farm.serve.kept import offer
from farm.serve.negotiate import matches
from farm.serve.ranges import Unsatisfiable, holds, parse_range

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from starlette.requests import Request
    from starlette.types import Send

    from farm.model.package import Digest
    from farm.serve.views import FileSource, UpstreamFile, UpstreamFiles

METADATA = ".metadata"
DSSE = ".intoto.jsonl"
STATEMENTS = (".provenance", DSSE)
SDISTS = (".tar.gz", ".zip")
# Each chunk costs a change of thread; wheels of hundreds of megabytes are common.
_CHUNK = 1 << 20
# What is smaller is read at once, and kept with its headers.
_SMALL = 1 << 14


class Files:
    """The endpoint of `/files/<2>/<62>/<file name>`. What is behind such a URL never changes."""

    def __init__(
        self,
        source: FileSource,
        cache_control: str,
        removed: Callable[[Digest], str | None] | None = None,
        statement: Callable[[Digest], bytes | None] | None = None,
    ) -> None:
        """`statement` gives the signed statement about a wheel, as a DSSE envelope; None without one."""
        self._source = source
        self._cache_control = cache_control
        self._removed = removed
        self._statement = statement

    def __call__(self, request: Request) -> Response:
        filename: str = request.path_params["filename"]
        ending = next((end for end in STATEMENTS if filename.endswith(end)), "")
        name = filename.removesuffix(ending or METADATA)
        try:
            digest = parse_digest(request.path_params["first"] + request.path_params["rest"])
        except ValueError:
            raise HTTPException(404, "no such file") from None
        if len(request.path_params["first"]) != 2 or not _possible(name, metadata=name != filename):
            raise HTTPException(404, "no such file")
        if ending:
            return self._stated(request, digest, name, ending)
        path, etag = self._find(digest, name, metadata=name != filename)
        kind = "application/zip" if filename.endswith((".whl", ".zip")) else "application/octet-stream"
        return send(request, path, {"ETag": etag, "Cache-Control": self._cache_control, "Content-Type": kind})

    def _stated(self, request: Request, digest: Digest, name: str, ending: str) -> Response:
        self._find(digest, name, metadata=False)
        found = self._statement(digest) if self._statement else None
        if found is None:
            raise HTTPException(404, f"the farm serves no statement about {name}")
        body = found if ending == DSSE else b"".join(envelope.to_pep740() for envelope in parse_envelopes(found)[:1])
        # Not for ever: a farm may sign again with another key.
        headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"', "Cache-Control": "no-cache"}
        if matches(joined(request, "if-none-match"), headers["ETag"]):
            return Response(status_code=304, headers=headers)
        kind = "application/jsonl" if ending == DSSE else "application/vnd.pypi.integrity.v1+json"
        return Response(body, headers=headers | {"Content-Type": kind, "X-Content-Type-Options": "nosniff"})

    def _find(self, digest: Digest, name: str, *, metadata: bool) -> tuple[Path, str]:
        # Only what was published has METADATA; other blobs (sources, logs) are not the world's business.
        beside = self._source.metadata(digest)
        path = beside if metadata else self._source.blob(digest)
        if beside is None or path is None:
            reason = None if self._removed is None else self._removed(digest)
            if reason is not None:
                raise HTTPException(410, f"{name} was removed: {reason}")
            raise HTTPException(404, f"the farm has no file {name} with sha256 {digest}")
        return path, f'"{digest}{METADATA if metadata else ""}"'


def _possible(name: str, *, metadata: bool) -> bool:
    # An sdist's metadata may change when it is built, so there is none to be had without it.
    return parse_wheel_name(name) is not None or (not metadata and name.endswith(SDISTS))


class Packages:
    """The endpoint of `/packages/<path>`: a redirect to upstream, or its bytes, kept here from then on."""

    def __init__(self, source: UpstreamFiles, cache_control: str) -> None:
        self._source = source
        self._cache_control = cache_control

    def __call__(self, request: Request) -> Response:
        found = self._source.find(request.path_params["path"])
        if found is None:
            raise HTTPException(404, "no such file of upstream")
        if found.redirect is not None:
            # Not for ever: upstream's address may change, and so may this farm's policy.
            return RedirectResponse(found.redirect, status_code=307, headers={"Cache-Control": "no-cache"})
        headers = {"Cache-Control": self._cache_control, "Content-Type": "application/octet-stream"}
        if found.etag:
            headers["ETag"] = found.etag
        try:
            return self._bytes(request, found, headers)
        except FarmError as error:
            raise HTTPException(502, error.reason) from error

    @staticmethod
    def _bytes(request: Request, found: UpstreamFile, headers: dict[str, str]) -> Response:
        path = found.path
        if path is None and "range" in request.headers:
            path = found.wait()
        if path is not None:
            return send(request, path, headers)
        if request.method == "HEAD":
            return Response(headers=headers | ({} if found.size is None else {"Content-Length": str(found.size)}))
        stream = found.start()
        if stream.size is not None:
            headers["Content-Length"] = str(stream.size)
        return StreamingResponse(stream.chunks(), headers=headers)


def send(request: Request, path: Path, headers: dict[str, str]) -> Response:
    """Return the file or the one range of it that is asked for; 304 when the client has it."""
    headers = headers | {"Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff"}
    etag, found = headers.get("ETag", ""), path.stat()
    if etag and matches(joined(request, "if-none-match"), etag):
        response = Response(status_code=304, headers={k: v for k, v in headers.items() if k != "Content-Type"})
        offer(request.scope, response, _there(path, found.st_size))
        return response
    part = _part(request, etag, found.st_size) if request.method == "GET" else None
    if part is not None:
        headers |= {"Content-Range": f"bytes {part[0]}-{part[1] - 1}/{found.st_size}"}
        return _stream(path, part, headers, status=206)
    if request.method == "HEAD":
        response = Response(headers=headers | {"Content-Length": str(found.st_size)})
        offer(request.scope, response, _there(path, found.st_size))
        return response
    if found.st_size <= _SMALL:
        response = Response(path.read_bytes(), headers=headers)
        offer(request.scope, response, _there(path, found.st_size))
        return response
    response = _stream(path, (0, found.st_size), headers, status=200)
    offer(request.scope, response, _always, file=(path, found.st_size))
    return response


def _part(request: Request, etag: str, size: int) -> tuple[int, int] | None:
    if not holds(request.headers.get("if-range"), etag):
        return None
    try:
        return parse_range(joined(request, "range"), size)
    except Unsatisfiable:
        raise HTTPException(416, f"the file has {size} bytes", {"Content-Range": f"bytes */{size}"}) from None


def _there(path: Path, size: int) -> Callable[[], bool]:
    name = str(path)

    def still() -> bool:
        try:
            return os.stat(name).st_size == size  # noqa: PTH116 - asked for each request; a Path is slower
        except OSError:
            return False

    return still


def _always() -> bool:
    # The server itself looks whether a file that it sends is still there.
    return True


def _stream(path: Path, part: tuple[int, int], headers: dict[str, str], *, status: int) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        left = part[1] - part[0]
        async with await anyio.open_file(path, "rb") as file:
            await file.seek(part[0])
            while left and (chunk := await file.read(min(left, _CHUNK))):
                left -= len(chunk)
                yield chunk

    size = part[1] - part[0]
    return _FileStream(chunks(), status_code=status, headers=headers | {"Content-Length": str(size)})


class _FileStream(StreamingResponse):
    """Ends with its last chunk: Starlette would send an empty one after it, when the client has long asked on."""

    async def stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        left = int(self.headers["content-length"])
        async for chunk in self.body_iterator:
            left -= len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": left > 0})
        if left > 0:
            message = "the file is shorter than it was"
            raise RuntimeError(message)
