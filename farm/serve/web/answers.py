"""An HTML page as an answer: what browsers may do with it, gzip, and a 304 for who has it already."""

from __future__ import annotations

import gzip
import hashlib
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from farm.serve.ask import joined
from farm.serve.negotiate import choose_encoding, matches

if TYPE_CHECKING:
    from starlette.requests import Request

POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_WORTH_ZIPPING: Final = 1000
# Most of what level 9 gains, at a third of its time.
_LEVEL: Final = 5


def page_headers(*, private: bool) -> dict[str, str]:
    """Return the headers of every HTML page. `private` when a token is asked for reading: shared caches then keep nothing."""
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "private, no-cache" if private else "no-cache",
        "Vary": "Accept-Encoding",
    }


def give_page(request: Request, text: str, headers: dict[str, str], status: int = 200) -> Response:
    """Return the answer with a strong ETag of the bytes as sent; 304 when the client has them (RFC 9110 13.1.2)."""
    body = text.encode("utf-8", "replace")
    if len(body) > _WORTH_ZIPPING and choose_encoding(joined(request, "accept-encoding")) == "gzip":
        body = gzip.compress(body, _LEVEL, mtime=0)
        headers = headers | {"Content-Encoding": "gzip"}
    if status != 200:
        return Response(body, status, headers=headers)
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    if matches(joined(request, "if-none-match"), etag):
        kept = {name: headers[name] for name in ("Cache-Control", "Vary", "Content-Security-Policy", "Referrer-Policy")}
        return Response(status_code=304, headers=kept | {"ETag": etag})
    return Response(body, headers=headers | {"ETag": etag})
