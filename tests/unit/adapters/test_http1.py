"""Requests over kept-alive connections, against a server that answers byte by byte what a test says."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable
from http.client import HTTPException, IncompleteRead
from typing import TYPE_CHECKING

import pytest

from farm.adapters.http1 import BadURL, Connections, Setting

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = b"what a page holds " * 20_000


class Server:
    """Answers each request by `answers[path](request head)`; counts connections. b"" as an answer closes the connection."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[str], bytes]] = {}
        self.connections = 0
        self.at_once = 0
        self.most_at_once = 0
        self.heads: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.left = threading.Event()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            self._answer(connection)
        self.left.set()

    def _answer(self, connection: socket.socket) -> None:
        while head := self._head(connection):
            with self._lock:
                self.heads.append(head)
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
            self.gate.wait(10)
            answer = self.answers[head.split(" ", 2)[1]](head)
            with self._lock:
                self.at_once -= 1
            connection.sendall(answer)
            if not answer or b"onnection: close" in answer:
                return

    @staticmethod
    def _head(connection: socket.socket) -> str:
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            part = connection.recv(65536)
            if not part:
                return ""
            data += part
        return data.decode("latin-1")


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


Pool = Callable[..., Connections]


@pytest.fixture
def connections() -> Iterator[Pool]:
    made: list[Connections] = []

    def make(limit: int = 4, login: tuple[str, str] | None = None) -> Connections:
        setting = Setting(timeout=5, limit=limit, context=lambda _: ssl.create_default_context(), login=lambda _: login)
        made.append(Connections(setting))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


def answer(body: bytes, *headers: str, status: str = "200 OK") -> Callable[[str], bytes]:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return lambda _: "\r\n".join(lines).encode() + body


def test_one_connection_serves_one_request_after_the_other(connections: Pool, server: Server) -> None:
    server.answers["/a"] = answer(TEXT, "ETag: one", "etag: two")
    pool = connections()
    for _ in range(3):
        found = pool.get(f"{server.url}/a", {"X-Asked": "yes"})
        assert (found.status, found.reason, found.body, found.url) == (200, "OK", TEXT, f"{server.url}/a")
        assert found.headers["etag"] == "one, two"
    assert server.connections == 1
    assert all("X-Asked: yes" in head for head in server.heads)


def test_a_connection_that_the_server_has_closed_is_not_used_again(connections: Pool, server: Server) -> None:
    server.answers["/a"] = answer(b"first", "Connection: close")
    server.answers["/b"] = lambda head: b"" if server.connections < 3 else answer(b"second")(head)
    server.answers["/keep"] = answer(b"kept")
    pool = connections()
    assert pool.get(f"{server.url}/a", {}).body == b"first"
    assert pool.get(f"{server.url}/keep", {}).body == b"kept"
    # The kept one is closed instead of an answer: that was its age, and a new one is asked.
    assert pool.get(f"{server.url}/b", {}).body == b"second"
    assert server.connections == 3


def test_a_request_that_outlasts_its_pool_leaves_no_connection_open(connections: Pool, server: Server) -> None:
    server.answers["/a"] = answer(b"late")
    server.gate.clear()
    pool, done = connections(), []
    thread = threading.Thread(target=lambda: done.append(pool.get(f"{server.url}/a", {}).body))
    thread.start()
    while not server.at_once:
        time.sleep(0.01)
    pool.close()
    server.gate.set()
    thread.join(10)
    assert done == [b"late"]
    assert server.left.wait(5), "the connection is still open"


def test_no_more_connections_than_the_limit(connections: Pool, server: Server) -> None:
    server.answers["/a"] = answer(b"x")
    server.gate.clear()
    pool, done = connections(limit=3), []
    threads = [threading.Thread(target=lambda: done.append(pool.get(f"{server.url}/a", {}).status)) for _ in range(12)]
    for thread in threads:
        thread.start()
    server.gate.set()
    for thread in threads:
        thread.join(10)
    assert done == [200] * 12
    assert server.most_at_once <= 3
    assert server.connections <= 3


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (gzip.compress(TEXT), "gzip"),
        (gzip.compress(TEXT), "X-GZip"),
        (zlib.compress(TEXT), "deflate"),
        (zlib.compress(TEXT)[2:-4], "deflate"),
        (TEXT, "identity"),
    ],
    ids=["gzip", "x-gzip", "deflate", "deflate without a header", "identity"],
)
def test_codings(connections: Pool, server: Server, body: bytes, coding: str) -> None:
    server.answers["/a"] = answer(body, f"Content-Encoding: {coding}")
    assert connections().get(f"{server.url}/a", {}).body == TEXT


def test_an_empty_body_has_no_coding(connections: Pool, server: Server) -> None:
    server.answers["/a"] = answer(b"", "Content-Encoding: gzip", status="304 Not Modified")
    assert connections().get(f"{server.url}/a", {}).body == b""


@pytest.mark.parametrize("coding", ["gzip", "deflate", "identity"])
def test_what_breaks_off_is_an_error_and_never_a_short_answer(connections: Pool, server: Server, coding: str) -> None:
    whole = {"gzip": gzip.compress(TEXT), "deflate": zlib.compress(TEXT), "identity": TEXT}[coding]
    full = answer(whole, f"Content-Encoding: {coding}", "Connection: close")
    # Less than was promised; and a whole answer of compressed bytes that themselves break off.
    server.answers["/less"] = lambda head: full(head)[:-100]
    server.answers["/cut"] = answer(whole[:-100], f"Content-Encoding: {coding}")
    with pytest.raises((IncompleteRead, zlib.error)):
        connections().get(f"{server.url}/less", {})
    if coding != "identity":
        with pytest.raises(zlib.error):
            connections().get(f"{server.url}/cut", {})


def test_chunks_and_an_answer_that_ends_with_its_connection(connections: Pool, server: Server) -> None:
    packed = gzip.compress(TEXT)
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (packed[:50], packed[50:])) + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
    server.answers["/chunks"] = lambda _: head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked
    server.answers["/until"] = lambda _: head + b"Connection: close\r\n\r\n" + packed
    server.answers["/short"] = lambda _: (
        head + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked[:-20]
    )
    pool = connections()
    assert pool.get(f"{server.url}/chunks", {}).body == TEXT
    assert pool.get(f"{server.url}/until", {}).body == TEXT
    with pytest.raises((HTTPException, zlib.error)):
        pool.get(f"{server.url}/short", {})


def test_redirects_are_followed_and_a_secret_stays_with_its_host(connections: Pool, server: Server) -> None:
    other = Server()
    other.answers["/c"] = answer(b"there")
    server.answers["/a"] = answer(b"", "Location: /b?x=1", status="301 Moved")
    server.answers["/b?x=1"] = answer(b"", f"Location: {other.url}/c", status="302 Found")
    found = connections(login=("me", "secret")).get(f"{server.url}/a", {})
    assert (found.body, found.url) == (b"there", f"{other.url}/c")
    assert ["Authorization: Basic bWU6c2VjcmV0" in head for head in server.heads] == [True, True]
    assert "Authorization" not in other.heads[0]
    other.close()


def test_redirects_in_a_circle_and_to_elsewhere_are_refused(connections: Pool, server: Server) -> None:
    server.answers["/a"] = answer(b"", "Location: /a", status="302 Found")
    server.answers["/file"] = answer(b"", "Location: file:///etc/passwd", status="302 Found")
    with pytest.raises(BadURL, match="more than 20 redirects"):
        connections().get(f"{server.url}/a", {})
    with pytest.raises(BadURL, match="expected http"):
        connections().get(f"{server.url}/file", {})


def test_what_a_url_may_not_hold_is_encoded_and_what_is_encoded_stays_so(connections: Pool, server: Server) -> None:
    server.answers["/a%20b/%C3%A4+c%2Bd?q=x%20y"] = answer(b"found")
    assert connections().get(f"{server.url}/a b/ä+c%2Bd?q=x y", {}).body == b"found"
