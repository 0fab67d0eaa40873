"""HTTP as pip is configured to speak it: CA bundle, proxy, trusted hosts, credentials; with retries, back-off and bounds.

httpx is imported when the first request is made: a run that finds everything cached never pays for it.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
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

    from farm.adapters.pipconfig import IndexSettings

    _T = TypeVar("_T")

CONNECTIONS = 10
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
        self._credentials = dict(filter(None, map(_credentials, settings.urls)))

    def close(self) -> None:
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()

    def get(self, url: str, headers: Mapping[str, str], *, subject: str) -> Reply:
        """Return the answer to a GET: 2xx, 304 or 404. UpstreamError naming `subject` for all else, after retries."""
        return self.retrying(url, subject, lambda: self._get(url, headers))

    def _get(self, url: str, headers: Mapping[str, str]) -> Reply:
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
                _refuse(response)
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
                headers={"User-Agent": "farm", "Accept-Encoding": "gzip, deflate"},
            )
        except (OSError, ValueError, httpx.InvalidURL) as error:
            message = f"cannot use pip's cert ({self._settings.cert}) or proxy setting: {redact(str(error))}"
            raise UsageError(message, solution="correct them; `pip config list` shows them") from error


def _refuse(response: httpx.Response) -> None:
    status = response.status_code
    if status < 400 or status == 404:
        return
    if status in _TRANSIENT:
        message = f"the server answered {status} {response.reason_phrase}"
        raise Transient(message, _retry_after(response.headers.get("Retry-After")))
    url = str(response.url)
    if status in {401, 407}:
        raise UpstreamError(
            f"{redact(url)}: the server answered {status} {response.reason_phrase}: credentials are missing or wrong",
            solution="put them into pip's index-url (https://user:password@host/...) or into .netrc",
        )
    raise _failure(url, f"the server answered {status} {response.reason_phrase}")


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


def _netrc() -> httpx.Auth | None:
    import httpx  # noqa: PLC0415 - a warm run never needs it

    try:
        return httpx.NetRCAuth()
    except Exception:  # noqa: BLE001 - no .netrc, or one that netrc cannot read: pip ignores both
        return None


@cache
def _context(cert: str | None) -> ssl.SSLContext:
    import ssl  # noqa: PLC0415 - a warm run never needs it

    if cert is not None:
        folder = Path(cert).is_dir()
        return ssl.create_default_context(cafile=None if folder else cert, capath=cert if folder else None)
    context = ssl.create_default_context()
    # The system's store knows a company's own CA; certifi serves systems that have no store at all.
    import certifi  # noqa: PLC0415 - a warm run never needs it

    context.load_verify_locations(certifi.where())
    return context
