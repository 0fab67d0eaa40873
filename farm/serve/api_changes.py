"""What the API changes: sets are registered and taken back. Only with a Bearer token, which no browser sends of itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from farm.errors import UsageError
from farm.serve.api_problem import problem, read_path

if TYPE_CHECKING:
    from starlette.requests import Request

    from farm.model.token import Token
    from farm.serve.access import Access

MOST_BYTES = 1 << 16
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
SOURCE = r"^(git\+)?https?://[!-#%-\[\]-~]{1,2000}$"
_LOGIN = 'Bearer realm="farm"'


class NewSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A requirement set: URLs of requirement or lock files, or git+https://…[@REF][#SUBDIR]. Without targets those of config.toml."""

    name: str
    sources: tuple[str, ...]
    targets: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A set that was registered; it is read at the next night, or by `farm watch check`."""

    name: str


class Changes(Protocol):
    """Where changes go. Its methods block; StoreError."""

    def register(self, new: NewSet) -> None:
        """Register a set. UsageError for what cannot be one; `taken` tells whether its name is the reason."""
        ...

    def taken(self, name: str) -> bool: ...

    def remove(self, name: str) -> bool:
        """Remove a registered set; False when there is none. UsageError for one of config.toml."""
        ...


class ChangeEndpoints:
    """POST /sets and DELETE /sets/{name}."""

    def __init__(self, changes: Changes, access: Access | None) -> None:
        self._changes = changes
        self._access = access

    async def register(self, request: Request) -> Response:
        await run_in_threadpool(self._admit, request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise HTTPException(415, f"expected application/json, found {kind or 'no Content-Type'}")
        new = _new_set(await _body(request))
        if await run_in_threadpool(self._changes.taken, new.name):
            raise HTTPException(409, f"there is a set named {new.name}")
        try:
            await run_in_threadpool(self._changes.register, new)
        except UsageError as error:
            raise HTTPException(400, f"{error.reason}; {error.solution}") from None
        body = msgspec.json.encode(Registered(name=new.name))
        # Relative, so that it holds behind a proxy that adds a prefix.
        headers = {"Location": f"./sets/{new.name}", "Cache-Control": "no-store"}
        return Response(body, 201, headers=headers, media_type="application/json")

    async def remove(self, request: Request) -> Response:
        await run_in_threadpool(self._admit, request)
        name = read_path(request)["name"]
        try:
            found = await run_in_threadpool(self._changes.remove, name)
        except UsageError as error:
            return problem(409, f"{error.reason}; {error.solution}")
        if not found:
            raise HTTPException(404, f"there is no set named {name[:100]!r}")
        return Response(status_code=204, headers={"Cache-Control": "no-store"})

    def _admit(self, request: Request) -> Token:
        """Return the token. Cookies and Basic credentials are what browsers send on their own, for whichever page asks: not taken."""
        header = request.headers.get("authorization", "")
        bearer = header if header[:7].lower() == "bearer " else None
        token = self._access.identify(bearer) if self._access is not None and bearer else None
        if token is None:
            why = "an unknown, revoked or expired token" if bearer else "no Bearer token"
            detail = f"{why}: `farm token create NAME --scope build` makes one; send Authorization: Bearer TOKEN"
            raise HTTPException(401, detail, {"WWW-Authenticate": _LOGIN})
        if not token.grants("build"):
            raise HTTPException(403, f"the token {token.name} is for {token.scope} only; this needs the scope build")
        return token


async def _body(request: Request) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > MOST_BYTES:
        raise HTTPException(413, f"expected at most {MOST_BYTES} bytes, found {length[:20]}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise HTTPException(413, f"expected at most {MOST_BYTES} bytes, found more")
    return bytes(body)


def _new_set(body: bytes) -> NewSet:
    try:
        new = msgspec.json.decode(body, type=NewSet)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HTTPException(400, f"expected a set as JSON: {error}") from None
    if not re.fullmatch(NAME, new.name, re.ASCII):
        raise HTTPException(400, "name: expected letters, digits, '.', '_' and '-', at most 64")
    if not 1 <= len(new.sources) <= 50 or not all(re.fullmatch(SOURCE, source) for source in new.sources):
        raise HTTPException(400, "sources: expected 1 to 50 URLs (http, https, git+http, git+https) of ASCII without blanks, '$' and '\\'")
    if any(len(each) > 100 for each in (new.targets, new.extras, new.groups)):
        raise HTTPException(400, "expected at most 100 targets, extras and groups")
    return new
