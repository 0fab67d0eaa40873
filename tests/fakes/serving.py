"""A real server on the loopback interface in a thread of the test, and raw connections to it."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn

from farm.serve.fast import Shared, fast_protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.types import ASGIApp

    from farm.serve.limits import Limits


@dataclass(kw_only=True)
class Running:
    """A server: where it listens, and what its connections share."""

    port: int
    shared: Shared
    server: uvicorn.Server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> Raw:
        return Raw(socket.create_connection(("127.0.0.1", self.port), timeout=20))

    def keeps(self, count: int) -> bool:
        """Tell whether so many answers are kept, within a moment: the client has its answer before that is done."""
        deadline = time.monotonic() + 5
        while len(self.shared.answers) != count and time.monotonic() < deadline:
            time.sleep(0.01)
        return len(self.shared.answers) == count

    def stop(self) -> None:
        """Begin the graceful stop; `serving` waits for its end."""
        self.server.should_exit = True


@dataclass(frozen=True)
class Got:
    """An answer as it came: the status, headers by lower-case name, the body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def but_date(self) -> tuple[int, dict[str, str], bytes]:
        return self.status, {name: value for name, value in self.headers.items() if name != "date"}, self.body


class Raw:
    """One connection, byte by byte."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._rest = b""

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(self, head: bytes, *, method: str = "GET") -> Got:
        self.send(head)
        return self.answer(method=method)

    def answer(self, *, method: str = "GET") -> Got:
        """Read one answer. ConnectionError when the server closes before it is whole."""
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, self._rest = self._rest.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        status = int(first.split()[1])
        size = 0 if method == "HEAD" or status == 304 else int(headers.get("content-length", "0"))
        while len(self._rest) < size:
            self._more()
        body, self._rest = self._rest[:size], self._rest[size:]
        return Got(status, headers, body)

    def is_closed(self, *, within: float = 10.0) -> bool:
        """Tell whether the server closes the connection in time, having sent nothing more."""
        self.socket.settimeout(within)
        try:
            return self._rest == b"" and self.socket.recv(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def _more(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._rest += data


def request(path: str, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    """Return a request head."""
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: farm.invalid", *lines, "", ""]).encode()


@contextmanager
def serving(app: ASGIApp, limits: Limits | None = None, *, tls: tuple[Path, Path] | None = None) -> Iterator[Running]:
    """Run a server until the end of the block."""
    shared = Shared(limits)
    certificate, key = tls or (None, None)
    config = uvicorn.Config(
        app, http=fast_protocol(shared), loop="uvloop", ws="none", lifespan="off", server_header=False, log_level="warning",
        access_log=False, proxy_headers=False, timeout_graceful_shutdown=5, ssl_certfile=certificate, ssl_keyfile=key,
    )  # fmt: skip
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(256)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            deadline = time.monotonic() + 20
            while not server.started and time.monotonic() < deadline:
                time.sleep(0.01)
            yield Running(port=listener.getsockname()[1], shared=shared, server=server)
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()
