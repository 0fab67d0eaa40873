"""Asks the application for pages in this process, without a socket: what is measured is the server's own time."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from farm.adapters.clock import SystemClock
from farm.adapters.overview import CatalogueOverview
from farm.serve.api import api_routes
from farm.serve.app import Options, create_app
from farm.serve.tail import Tails

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from farm.adapters.store import Store


@contextmanager
def client(store: Store, root: Path, targets: Sequence[str]) -> Iterator[Callable[[str], int]]:
    """Yield what asks for a path below the server's URL and gives the bytes of the answer, which must be a 200."""
    overview = CatalogueOverview(store, root, SystemClock().now, targets)
    app = create_app({}, store, Options(api=api_routes(overview, Tails(overview)), overview=overview))
    loop = asyncio.new_event_loop()

    async def ask(path: str) -> int:
        found, size = 0, 0

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            nonlocal found, size
            found = message.get("status", found)
            size += len(message.get("body", b""))

        place, _, query = path.partition("?")
        scope = {
            "type": "http", "method": "GET", "path": f"/{place}", "raw_path": f"/{place}".encode(), "query_string": query.encode(),
            "headers": [(b"host", b"farm.invalid")], "root_path": "", "scheme": "http", "server": ("farm.invalid", 80),
            "http_version": "1.1", "client": ("127.0.0.1", 1),
        }  # fmt: skip
        await app(scope, receive, send)
        if found != 200:
            message = f"{path}: expected 200, found {found}"
            raise RuntimeError(message)
        return size

    try:
        yield lambda path: loop.run_until_complete(ask(path))
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
