"""Notes every answer in a `Tally`, and has the short cut note it again whenever it repeats the answer. ASGI."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from farm.serve.kept import EXTENSION
from farm.serve.tally import Asked, answered

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from farm.serve.tally import Tally


class Counted:
    """Stands before everything else, so that refusals are counted too. An answer counts when its head is sent."""

    def __init__(self, app: ASGIApp, tally: Tally, prefix: str = "") -> None:
        """`prefix` is the path below which a proxy shows the index."""
        self._app = app
        self._tally = tally
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def count(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(scope, message["status"])
            await send(message)

        await self._app(scope, receive, count)

    def _note(self, scope: Scope, status: int) -> None:
        path: str = scope["path"]
        agent, part = _headers(scope["headers"])
        below = path.removeprefix(self._prefix) if path.startswith(self._prefix + "/") else path
        asked = Asked(method=scope["method"], path=below, agent=agent, start=not part or part.startswith(b"bytes=0-"))
        seen = answered(asked, status)
        again = self._tally.note(seen)
        offers = scope.get("extensions", {}).get(EXTENSION, {}).get("offers")
        if offers:
            offers[-1] = replace(offers[-1], given=again)


def _headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """Return User-Agent and Range; of several the last."""
    agent = part = b""
    for name, value in headers:
        if name == b"user-agent":
            agent = value
        elif name == b"range":
            part = value.replace(b" ", b"").lower()
    return agent, part
