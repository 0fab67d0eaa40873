"""The loopback index that only our own resolver reads, over HTTP. What it answers is decided in metadata_answers."""

from __future__ import annotations

import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import unquote

import msgspec
from packaging.utils import canonicalize_name

from farm.adapters.index_page import parse_version

if TYPE_CHECKING:
    from types import TracebackType

    from farm.adapters.metadata_answers import Answers
    from farm.model.package import NormalizedName
    from farm.model.target import Target


class MetadataView:
    """Serves Answers on the loopback interface, under a path that cannot be guessed, while it is entered."""

    def __init__(self, answers: Answers, target: Target) -> None:
        self._answers = answers
        self._root = f"/{secrets.token_urlsafe(18)}/{target.name}"
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The index URL, without a slash at its end."""
        assert self._server is not None, "enter the view first"
        return f"http://127.0.0.1:{self._server.server_port}{self._root}/simple"

    def __enter__(self) -> MetadataView:
        view = self

        class Handler(_Handler):
            def reply(self, path: str) -> tuple[int, str, bytes]:
                return view.answer(path)

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="metadata-view", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Return (status, content type, body) for a URL path."""
        parts = [unquote(part) for part in path.partition("?")[0].removeprefix(self._root).strip("/").split("/")]
        if not path.startswith(f"{self._root}/"):
            return _NOT_FOUND
        try:
            if parts[0] == "simple" and len(parts) == 2:
                return self._page(canonicalize_name(parts[1]))
            if parts[0] == "files" and len(parts) == 3 and parts[2].endswith(".whl.metadata"):
                return self._metadata(canonicalize_name(parts[1]), parts[2])
        except Exception as error:  # noqa: BLE001 - the resolver raises it when its child has ended
            self._answers.noted(error)
            return 503, "text/plain", str(error).encode()
        return _NOT_FOUND

    def _page(self, name: NormalizedName) -> tuple[int, str, bytes]:
        page = self._answers.page(name)
        return _NOT_FOUND if page is None else (200, "application/vnd.pypi.simple.v1+json", msgspec.json.encode(page))

    def _metadata(self, name: NormalizedName, filename: str) -> tuple[int, str, bytes]:
        version = parse_version(filename.split("-")[1]) if filename.count("-") == 4 else None
        text = self._answers.metadata(name, version) if version is not None else None
        return _NOT_FOUND if text is None else (200, "text/plain; charset=utf-8", text.encode())


_NOT_FOUND = (404, "text/plain", b"not here\n")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # The resolver opens up to fifty connections at once.
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing when the resolver hangs up in the middle: it does so when it has found its answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def reply(self, path: str) -> tuple[int, str, bytes]:
        raise NotImplementedError

    def do_GET(self) -> None:
        self._send(body=True)

    def do_HEAD(self) -> None:
        self._send(body=False)

    def _send(self, *, body: bool) -> None:
        status, kind, data = self.reply(self.path)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing: standard error is the user's."""
