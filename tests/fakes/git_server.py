"""Repositories over git's smart HTTP protocol on the loopback interface, behind a password: `git http-backend` does the work."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    root: Path
    known: str

    def _answer(self) -> None:
        body = self._body()
        if self.headers.get("Authorization") != self.known:
            self._send(401, [("WWW-Authenticate", 'Basic realm="repositories"')], b"")
            return
        path, _, query = self.path.partition("?")
        env = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
            "QUERY_STRING": query, "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)), "REMOTE_ADDR": "127.0.0.1", "HOME": str(self.root),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }  # fmt: skip
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=True)
        head, _, data = done.stdout.partition(b"\r\n\r\n")
        fields = [(name, value) for name, _, value in (line.partition(": ") for line in head.decode().splitlines())]
        status = int(dict(fields).get("Status", "200").split()[0])
        self._send(status, [field for field in fields if field[0] != "Status"], data)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, status: int, fields: list[tuple[str, str]], data: bytes) -> None:
        self.send_response(status)
        for name, value in (*fields, ("Content-Length", str(len(data)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = _answer  # noqa: N815 - http.server's name
    do_POST = _answer  # noqa: N815 - the same

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


@contextmanager
def git_server(root: Path, user: str, password: str) -> Iterator[int]:
    """Serve the repositories below `root` to one user; give the port."""
    known = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
    handler = type("Handler", (_Handler,), {"root": root, "known": known})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()
