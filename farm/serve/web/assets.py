"""The style sheet and the script: by the digest of their bytes, so that browsers keep them for ever."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

_TYPES: Final = {"farm.css": "text/css; charset=utf-8", "farm.js": "text/javascript; charset=utf-8", "farm.svg": "image/svg+xml"}
_DIGITS = 16
FOREVER: Final = "public, max-age=31536000, immutable"


@cache
def _content(name: str) -> tuple[str, bytes]:
    """Return the name under which a file is served, and its bytes."""
    data = files("farm.serve.web").joinpath("static", name).read_bytes()
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.{hashlib.sha256(data).hexdigest()[:_DIGITS]}.{suffix}", data


def asset(name: str) -> str:
    """Return the path of an asset, relative to the server's root: `static/farm.0123456789abcdef.css`."""
    return f"static/{_content(name)[0]}"


def asset_route() -> Route:
    """Return the route of all assets. Those of another farm version are 404: their pages are older than the server."""
    known = {_content(name)[0]: (kind, _content(name)[1]) for name, kind in _TYPES.items()}

    def give(request: Request) -> Response:
        found = known.get(request.path_params["name"])
        if found is None:
            raise HTTPException(404, "no such file")
        kind, data = found
        # Without anything of the store in it: a shared cache may keep it also where reading wants a token.
        headers = {"Content-Type": kind, "Cache-Control": FOREVER, "X-Content-Type-Options": "nosniff"}
        return Response(data, headers=headers)

    return Route("/static/{name}", give, name="static")
