"""Who may do what: tokens as pip, uv, twine and curl send them (RFC 7617 Basic, RFC 6750 Bearer)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from threading import Lock
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from datetime import datetime

    from farm.model.token import Scope, Token

_LONGEST = 1024
_HOUR = 3600


class Access(Protocol):
    """Who may do what. Cheap: asked for every request. StoreError when the tokens cannot be read."""

    @property
    def open_reading(self) -> bool:
        """Everybody may read; then a wrong token for a page or a file is no reason to refuse it."""
        ...

    def allows(self, scope: Scope, authorization: str | None) -> bool:
        """Tell whether the Authorization header of a request (None without one) gives this right."""
        ...

    def identify(self, authorization: str | None) -> Token | None:
        """Return the valid token of an Authorization header, None without one: 401."""
        ...

    def stamp(self) -> Hashable:
        """Return what changes whenever an answer of `allows` may."""
        ...


class TokenSource(Protocol):
    """Where tokens are kept."""

    def tokens(self) -> tuple[Token, ...]: ...

    def signature(self) -> Hashable:
        """Return what changes whenever `tokens` does; cheap."""
        ...

    def mark_used(self, name: str) -> None: ...


class TokenAccess:
    """`Access` by tokens. A revoked or expired one is refused at the next request, in every process. Safe for threads.

    In Basic credentials the token is the password, whatever the user (`__token__` by custom); a token as the user, with no
    password, is taken too, as in `https://TOKEN@farm.example/simple/`.
    """

    def __init__(self, source: TokenSource, now: Callable[[], datetime], *, open_reading: bool) -> None:
        self._source = source
        self._now = now
        self._open = open_reading
        self._lock = Lock()
        self._known: tuple[Hashable, tuple[Token, ...]] | None = None
        self._used: dict[str, int] = {}

    @property
    def open_reading(self) -> bool:
        return self._open

    def allows(self, scope: Scope, authorization: str | None) -> bool:
        if scope == "read" and self._open:
            return True
        token = self.identify(authorization)
        return token is not None and token.grants(scope)

    def identify(self, authorization: str | None) -> Token | None:
        secret = read_secret(authorization)
        if secret is None:
            return None
        digest = hashlib.sha256(secret.encode()).hexdigest()
        found = None
        # All of them, each in constant time: how long it takes tells nothing of any token.
        for token in self._tokens():
            if hmac.compare_digest(token.hash, digest):
                found = token
        now = self._now()
        if found is None or found.expired(now):
            return None
        self._mark_used(found.name, now)
        return found

    def stamp(self) -> Hashable:
        now = self._now()
        expired = sum(token.expired(now) for token in self._tokens())
        # By the hour, so that answers which others keep do not hide that a token is still in use.
        return self._source.signature(), expired, _hour(now)

    def _tokens(self) -> tuple[Token, ...]:
        signature = self._source.signature()
        with self._lock:
            # The signature is read first: tokens that change in between are read once more next time.
            if self._known is None or self._known[0] != signature:
                self._known = signature, self._source.tokens()
            return self._known[1]

    def _mark_used(self, name: str, now: datetime) -> None:
        """At most once an hour for each token: a write for each request would be the dearest part of it."""
        hour = _hour(now)
        with self._lock:
            if self._used.get(name) == hour:
                return
            self._used[name] = hour
        self._source.mark_used(name)


def _hour(now: datetime) -> int:
    return int(now.timestamp()) // _HOUR


def read_secret(authorization: str | None) -> str | None:
    """Return the token in an Authorization header, None when there is none or it cannot be read."""
    if authorization is None or len(authorization) > _LONGEST:
        return None
    scheme, _, rest = authorization.strip().partition(" ")
    rest = rest.strip()
    if scheme.lower() == "bearer":
        return rest or None
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return password.strip() or user.strip() or None
