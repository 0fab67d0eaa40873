"""HTTP as pip is configured to speak it: CA bundle, proxy, trusted hosts, credentials; with retries, back-off and bounds.

Whole answers come over kept-alive HTTP/1.1, as pip's do. httpx is for streams, proxies, and servers that speak HTTP/2
alone; it is imported when it is first needed: it takes longer to load than a warm run takes in all.
"""

from __future__ import annotations

import threading
import time
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from farm.adapters.index_page import without_credentials
from farm.adapters.process import redact
from farm.errors import UpstreamError, UsageError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeVar

    import httpx

    from farm.adapters.http1 import Answer, Connections
    from farm.adapters.pipconfig import IndexSettings

    _T = TypeVar("_T")

CONNECTIONS = 20
"""The most connections to one host, and so the most requests at the same time."""

_HEADERS = {"User-Agent": "farm", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often to try and how long, in seconds: the first pause doubles each time; no try starts after `total`."""

    tries: int = 4
    pause: float = 0.5
    total: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer below 400, 404 included. `url` is where redirects led to."""

    status: int
    url: str
    headers: Mapping[str, str]
    body: bytes


class Transient(Exception):  # noqa: N818 - says what it is
    """A failure that trying again may cure. `after` is what the server asked to wait, in seconds."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Web:
    """One pool of connections for everything that is read from upstream. Safe to use from several threads."""

    def __init__(self, settings: IndexSettings, retry: Retry | None = None) -> None:
        self._settings = settings
        self._retry = retry or Retry()
        self._lock = threading.Lock()
        self._clients: dict[bool, httpx.Client] = {}
        self._connections: Connections | None = None
        self._plain: dict[str, bool] = {}
        self._credentials = dict(filter(None, map(_credentials, settings.urls)))

    def close(self) -> None:
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
            connections, self._connections = self._connections, None
        for client in clients:
            client.close()
        if connections is not None:
            connections.close()

    def get(self, url: str, headers: Mapping[str, str], *, subject: str) -> Reply:
        """Return the answer to a GET: 2xx, 304 or 404. UpstreamError naming `subject` for all else, after retries."""
        return self.retrying(url, subject, lambda: self._get(url, headers))

    def _get(self, url: str, headers: Mapping[str, str]) -> Reply:
        where = _origin(url)
        plain = self._plain.get(where)
        if plain is None and (self._settings.proxy or _proxied(url)):
            plain = self._plain[where] = False
        if plain is False:
            return self._get_by_httpx(url, headers)
        try:
            answer = self._get_plainly(url, headers)
        except Transient:
            if plain or not where.startswith("https:"):
                raise
            # Nothing has come from there yet: it may be a server that speaks HTTP/2 alone.
            reply = self._get_by_httpx(url, headers)
            self._plain[where] = False
            return reply
        self._plain[where] = True
        _refuse(answer.status, answer.reason, answer.url, answer.headers.get("retry-after"))
        return Reply(status=answer.status, url=answer.url, headers=answer.headers, body=answer.body)

    def _get_plainly(self, url: str, headers: Mapping[str, str]) -> Answer:
        from http.client import HTTPException, IncompleteRead, RemoteDisconnected  # noqa: PLC0415 - a warm run never needs it

        from farm.adapters.http1 import BadURL  # noqa: PLC0415 - the same

        try:
            return self._direct().get(without_credentials(url), _HEADERS | dict(headers))
        except TimeoutError as error:
            message = f"no answer within {self._settings.timeout:g} s"
            raise Transient(message) from error
        except IncompleteRead as error:
            message = "the connection ended before the whole answer had come"
            raise Transient(message) from error
        except RemoteDisconnected as error:
            message = "the server disconnected without an answer"
            raise Transient(message) from error
        except (OSError, HTTPException, zlib.error) as error:
            raise Transient(str(error) or type(error).__name__) from error
        except (BadURL, ValueError) as error:
            raise _failure(url, str(error)) from error

    def _direct(self) -> Connections:
        from farm.adapters.http1 import Connections, Setting  # noqa: PLC0415 - a warm run never needs it

        with self._lock:
            if self._connections is None:
                setting = Setting(timeout=self._settings.timeout, limit=CONNECTIONS, context=self._tls, login=self._login)
                self._connections = Connections(setting)
            return self._connections

    def _tls(self, url: str) -> ssl.SSLContext:
        try:
            verified = not _trusted(url, self._settings.trusted_hosts)
            return _context(self._settings.cert if verified else None, verified=verified, protocol="http/1.1")
        except OSError as error:
            raise self._unusable(error) from error

    def _login(self, url: str) -> tuple[str, str] | None:
        return self._credentials.get(_origin(url)) or _netrc_login(urlsplit(url).hostname or "")

    def _get_by_httpx(self, url: str, headers: Mapping[str, str]) -> Reply:
        with self.opened(url, headers) as response:
            body = response.read()
            return Reply(
                status=response.status_code, url=str(response.url), headers=dict(response.headers.items()), body=body
            )

    @contextmanager
    def opened(self, url: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """Open one GET, unread. Transient for what may pass, UpstreamError for other refusals; use inside `retrying`."""
        import httpx  # noqa: PLC0415 - a warm run never needs it

        client = self._client(url)
        secret = self._credentials.get(_origin(url))
        auth = httpx.BasicAuth(*secret) if secret else httpx.USE_CLIENT_DEFAULT
        try:
            with client.stream("GET", without_credentials(url), headers=dict(headers), auth=auth) as response:
                _refuse(response.status_code, response.reason_phrase, str(response.url), response.headers.get("Retry-After"))
                yield response
        except httpx.TimeoutException as error:
            message = f"no answer within {self._settings.timeout:g} s"
            raise Transient(message) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise Transient(str(error) or type(error).__name__) from error
        except (httpx.InvalidURL, httpx.TooManyRedirects) as error:
            raise _failure(url, str(error)) from error

    def retrying(self, url: str, subject: str, once: Callable[[], _T]) -> _T:
        """Return `once()`, called again after a Transient with growing pauses, within the bounds of Retry."""
        limit = time.monotonic() + self._retry.total
        for attempt in range(1, self._retry.tries + 1):
            try:
                return once()
            except Transient as error:
                pause = self._retry.pause * 2 ** (attempt - 1)
                if error.after is not None:
                    pause = max(pause, error.after)
                last = attempt == self._retry.tries or pause > _LONGEST_PAUSE or time.monotonic() + pause > limit
                if last:
                    reason = f"{subject}: {error} (tried {attempt} time{'s' if attempt > 1 else ''})"
                    raise _failure(url, reason) from error
                time.sleep(pause)
        message = "Retry.tries must be at least 1"
        raise AssertionError(message)

    def _client(self, url: str) -> httpx.Client:
        trusted = _trusted(url, self._settings.trusted_hosts)
        with self._lock:
            client = self._clients.get(trusted)
            if client is None:
                client = self._clients[trusted] = self._make(trusted=trusted)
            return client

    def _make(self, *, trusted: bool) -> httpx.Client:
        import httpx  # noqa: PLC0415 - a warm run never needs it

        timeout = self._settings.timeout
        try:
            return httpx.Client(
                http2=True,
                verify=False if trusted else _context(self._settings.cert),
                proxy=self._settings.proxy,
                timeout=httpx.Timeout(timeout, pool=None),
                limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
                follow_redirects=True,
                auth=_netrc(),
                headers=_HEADERS,
            )
        except (OSError, ValueError, httpx.InvalidURL) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> UsageError:
        message = f"cannot use pip's cert ({self._settings.cert}) or proxy setting: {redact(str(error))}"
        return UsageError(message, solution="correct them; `pip config list` shows them")


def _refuse(status: int, phrase: str, url: str, retry_after: str | None) -> None:
    if status < 400 or status == 404:
        return
    if status in _TRANSIENT:
        message = f"the server answered {status} {phrase}"
        raise Transient(message, _retry_after(retry_after))
    if status in {401, 407}:
        raise UpstreamError(
            f"{redact(url)}: the server answered {status} {phrase}: credentials are missing or wrong",
            solution="put them into pip's index-url (https://user:password@host/...) or into .netrc",
        )
    raise _failure(url, f"the server answered {status} {phrase}")


def _failure(url: str, reason: str) -> UpstreamError:
    host = urlsplit(url).netloc.rpartition("@")[2]
    return UpstreamError(
        f"{redact(url)}: {redact(reason)}",
        solution=f"check that {host} is up and reachable from here, with pip's proxy and cert settings, then run again",
    )


def _retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header, which holds seconds or a date (RFC 9110, 10.2.3); None for neither."""
    if not value:
        return None
    if value.isdigit():
        return float(value)
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - seldom needed

    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, date.timestamp() - time.time())


def _credentials(url: str) -> tuple[str, tuple[str, str]] | None:
    parts = urlsplit(url)
    if parts.username is None:
        return None
    return _origin(url), (unquote(parts.username), unquote(parts.password or ""))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


def _trusted(url: str, hosts: tuple[str, ...]) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return host in hosts or f"{host}:{parts.port}" in hosts


def _proxied(url: str) -> bool:
    """Tell whether the user's environment has a proxy for a URL, as httpx and pip read it."""
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - a warm run never needs it

    parts, proxies = urlsplit(url), getproxies()
    return bool(proxies.get(parts.scheme) or proxies.get("all")) and not proxy_bypass(parts.hostname or "")


@cache
def _netrc_login(host: str) -> tuple[str, str] | None:
    from netrc import netrc  # noqa: PLC0415 - a warm run never needs it

    try:
        found = netrc().authenticators(host)
    except Exception:  # noqa: BLE001 - no .netrc, or one that netrc cannot read: pip ignores both
        return None
    return (found[0], found[2] or "") if found else None


def _netrc() -> httpx.Auth | None:
    import httpx  # noqa: PLC0415 - a warm run never needs it

    try:
        return httpx.NetRCAuth()
    except Exception:  # noqa: BLE001 - no .netrc, or one that netrc cannot read: pip ignores both
        return None


@cache
def _context(cert: str | None, *, verified: bool = True, protocol: str = "") -> ssl.SSLContext:
    """Return a TLS context. `protocol` is the one to agree on (ALPN); httpx sets its own, so it has contexts of its own."""
    import ssl  # noqa: PLC0415 - a warm run never needs it

    folder = cert is not None and Path(cert).is_dir()
    context = ssl.create_default_context(cafile=None if folder else cert, capath=cert if folder else None)
    if protocol:
        context.set_alpn_protocols([protocol])
    if not verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif cert is None:
        # The system's store knows a company's own CA; certifi serves systems that have no store at all.
        import certifi  # noqa: PLC0415 - a warm run never needs it

        context.load_verify_locations(certifi.where())
    return context
