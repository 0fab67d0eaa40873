"""`farm serve` put together: the store's pages behind uvicorn."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from farm.adapters.clock import SystemClock
from farm.adapters.store import Store
from farm.errors import UsageError
from farm.serve.app import create_app
from farm.serve.simple import render_project

if TYPE_CHECKING:
    from collections.abc import Callable

    from farm.config import Settings


def serve_index(settings: Settings, ready: Callable[[str], None], *, verbose: bool) -> None:
    """Serve until interrupted; `ready` gets the URL once the address is taken. UsageError when it cannot be."""
    import uvicorn  # noqa: PLC0415 - the server only

    store = Store(settings.store, render_project, SystemClock())
    app = create_app({"": store, "/wheels": store}, store, store.direct)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
            # Whoever reads the URL may connect at once; the system lets it wait until uvicorn accepts.
            listener.listen()
        except OSError as error:
            raise UsageError(
                f"cannot listen on {settings.host} port {settings.port}: {error.strerror}",
                solution="choose another with --port, or end the program that has it",
            ) from error
        host = f"[{settings.host}]" if family == socket.AF_INET6 else settings.host
        ready(f"http://{host}:{listener.getsockname()[1]}")
        config = uvicorn.Config(app, log_level="info" if verbose else "warning", access_log=verbose, timeout_graceful_shutdown=5)
        uvicorn.Server(config).run(sockets=[listener])
