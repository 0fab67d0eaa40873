"""What every endpoint needs of a request, and how it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from farm.model.page import JSON
from farm.serve.negotiate import choose_type, kind_of

if TYPE_CHECKING:
    from starlette.requests import Request


def joined(request: Request, header: str) -> str | None:
    """Return all values of a header as one list (RFC 9110 5.3), or None."""
    values = request.headers.getlist(header)
    return ", ".join(values) if values else None


def base_of(request: Request) -> str:
    """Return the server's URL as the client has it, without a slash at its end. HTTPException 400 when its Host header is none."""
    try:
        return str(request.base_url).rstrip("/")
    except ValueError:
        raise HTTPException(400, "expected a host name in the Host header") from None


def redirect(request: Request, to: str) -> Response:
    """Return a permanent redirect. Relative, so that it holds behind a proxy that adds a path prefix or another host name."""
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"{to}{query}", status_code=301)


def refuse(request: Request, status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    """Return a short error: JSON for those who read JSON, else text. A traceback or a path of ours is never in it."""
    headers = (headers or {}) | {"Vary": "Accept", "Cache-Control": "no-cache"}
    if kind_of(choose_type(joined(request, "accept")) or "") == JSON:
        return JSONResponse({"status": status, "message": reason}, status_code=status, headers=headers)
    return Response(f"{status} {reason}\n", status_code=status, headers=headers, media_type="text/plain")
