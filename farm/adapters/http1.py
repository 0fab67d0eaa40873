"""GETs over kept-alive HTTP/1.1 connections of the standard library's own client.

An index's pages are a few large bodies and many small ones; here a body costs one read into one buffer, and loading the
module a tenth of what a full HTTP client does. Threads do the waiting, so there is nothing that HTTP/2 would save.
"""

from __future__ import annotations

import http.client
import select
import threading
import zlib
from base64 import b64encode
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 20
_CHUNK = 1 << 18
# What RFC 3986 lets stand in a path or query; "%" too: what is encoded stays so.
_PLAIN = "%/:=&?~#+!$,;'@()*[]-._|"
_PORTS = {"http": 80, "https": 443}
# How a connection that was kept too long ends, before anything of an answer came.
_STALE = (http.client.RemoteDisconnected, ConnectionError, http.client.CannotSendRequest)


class BadURL(ValueError):  # noqa: N818 - names the thing
    """No request can be made of it, or the server sends it round in circles; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer, its content decoded. `url` is where redirects led to; `headers` have lower-case names."""

    status: int
    reason: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """`timeout` is in seconds, for each wait; `limit` the most connections to one host.

    `context` returns the TLS context for a URL, `login` the (user, password) for it, or None.
    """

    timeout: float
    limit: int
    context: Callable[[str], ssl.SSLContext]
    login: Callable[[str], tuple[str, str] | None]


class Connections:
    """Connections by origin, kept for the next request. Safe to use from several threads."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._lock = threading.Lock()
        self._idle: dict[str, list[http.client.HTTPConnection]] = {}
        self._bounds: dict[str, threading.BoundedSemaphore] = {}
        self._closed = False

    def close(self) -> None:
        """Close what is idle; what is in use is closed after its answer."""
        with self._lock:
            self._closed = True
            idle, self._idle = [one for kept in self._idle.values() for one in kept], {}
        for connection in idle:
            connection.close()

    def get(self, url: str, headers: Mapping[str, str]) -> Answer:
        """Return the answer behind all redirects. OSError, HTTPException and zlib.error as they come; BadURL."""
        first = origin(url)
        login = self._setting.login(url)
        for _ in range(_MOST_REDIRECTS + 1):
            # What is secret to one host is not sent to another.
            secret = _basic(login) if login and _same(first, origin(url)) else {}
            answer = self._once(url, {**headers, **secret})
            location = answer.headers.get("location") if answer.status in _REDIRECTS else None
            if location is None:
                return answer
            url = urljoin(url, location)
        message = f"more than {_MOST_REDIRECTS} redirects"
        raise BadURL(message)

    def _once(self, url: str, headers: Mapping[str, str]) -> Answer:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            message = f"expected http:// or https:// with a host, found {url!r}"
            raise BadURL(message)
        target = quote(parts.path or "/", safe=_PLAIN) + (f"?{quote(parts.query, safe=_PLAIN)}" if parts.query else "")
        with self._bound(origin(url)):
            while (kept := self._kept(origin(url))) is not None:
                try:
                    return _exchange(kept, target, url, headers, self._keep)
                except _STALE:
                    continue
            return _exchange(self._connect(url), target, url, headers, self._keep)

    @contextmanager
    def _bound(self, where: str) -> Iterator[None]:
        with self._lock:
            bound = self._bounds.setdefault(where, threading.BoundedSemaphore(self._setting.limit))
        with bound:
            yield

    def _kept(self, where: str) -> http.client.HTTPConnection | None:
        """Return an idle connection that its server has not closed, the one used last."""
        while True:
            with self._lock:
                kept = self._idle.get(where)
                connection = kept.pop() if kept else None
            if connection is None:
                return None
            if connection.sock is not None and not select.select([connection.sock], [], [], 0)[0]:
                return connection
            connection.close()

    def _keep(self, url: str, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.setdefault(origin(url), []).append(connection)
                return
        connection.close()

    def _connect(self, url: str) -> http.client.HTTPConnection:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self._setting.timeout)
        return http.client.HTTPSConnection(host, port, timeout=self._setting.timeout, context=self._setting.context(url))


def _exchange(
    connection: http.client.HTTPConnection,
    target: str,
    url: str,
    headers: Mapping[str, str],
    keep: Callable[[str, http.client.HTTPConnection], None],
) -> Answer:
    done = False
    try:
        connection.request("GET", target, headers=dict(headers))
        response = connection.getresponse()
        body = _decoded(response, (response.getheader("content-encoding") or "").strip().lower())
        done = not response.will_close
    finally:
        if not done:
            connection.close()
    if done:
        keep(url, connection)
    found: dict[str, str] = {}
    for name, value in response.getheaders():
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return Answer(status=response.status, reason=response.reason, url=url, headers=found, body=body)


def _decoded(response: http.client.HTTPResponse, coding: str) -> bytes:
    """Return the content without its coding; zlib.error when it breaks off."""
    if coding not in {"gzip", "x-gzip"}:
        body = response.read()
        return _inflated(body) if coding == "deflate" and body else body
    # Taken apart while it comes: what is left to do after the last byte counts.
    inflate, parts, some = zlib.decompressobj(16 + zlib.MAX_WBITS), [], False
    while chunk := response.read(_CHUNK):
        some = True
        parts.append(inflate.decompress(chunk))
    if some and not inflate.eof:
        message = "compressed content that breaks off"
        raise zlib.error(message)
    if response.length:
        # http.client tells of a body that breaks off only whoever reads it in one go.
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(parts)


def _inflated(body: bytes) -> bytes:
    try:
        return zlib.decompress(body)
    except zlib.error:
        # Some servers leave the header out.
        return zlib.decompress(body, -zlib.MAX_WBITS)


def origin(url: str) -> str:
    """Return `scheme://host:port` without credentials, in lower case."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


def _same(first: str, now: str) -> bool:
    """Tell whether two origins may share a secret: they are one, or the second is the first over TLS."""
    return first == now or (first.startswith("http://") and now == f"https://{first.removeprefix('http://')}" and ":" not in now[8:])


def _basic(login: tuple[str, str]) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(':'.join(login).encode()).decode()}"}
