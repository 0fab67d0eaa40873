"""A farm as its clients see it: the wheels-only view over HTTP."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import msgspec
from packaging.utils import canonicalize_name

from farm.adapters.downloads import Downloads
from farm.adapters.index_page import BadPage, parse_page
from farm.adapters.process import redact
from farm.errors import UpstreamError, UsageError
from farm.model.package import parse_digest
from farm.model.page import JSON

if TYPE_CHECKING:
    from pathlib import Path

    from farm.adapters.web import Reply, Web
    from farm.model.package import Digest, IndexFile, NormalizedName, Project

_WHEELS = "/wheels/simple"
_MERGED = "/simple"


def farm_root(url: str) -> str:
    """Return a farm's root URL, without a slash at its end, from the URL of any of its views. UsageError when it is no URL."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(
            f"expected the farm's URL, found {redact(url)!r}",
            solution="give it as https://HOST/simple/, or only https://HOST",
        )
    path = parts.path.rstrip("/")
    head, strict, tail = path.rpartition("/strict/")
    if strict and tail.endswith(_MERGED) and tail.count("/") == 1:
        path = head
    elif path.endswith(_WHEELS):
        path = path.removesuffix(_WHEELS)
    else:
        path = path.removesuffix(_MERGED)
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


class FarmIndex:
    """Reads a farm's own wheels. Every method raises UpstreamError when the farm does not answer as one."""

    def __init__(self, web: Web, url: str, folder: Path) -> None:
        self._web = web
        self._url = farm_root(url) + _WHEELS
        self._downloads = Downloads(web, folder)
        self._sources: dict[str, Digest] = {}

    def names(self) -> tuple[NormalizedName, ...]:
        """Return the projects of which the farm has wheels."""
        reply = self._get(f"{self._url}/", "the farm's list of projects")
        if reply.status == 404:
            raise self._strange(reply, "404, which is no farm's answer")
        try:
            listed: dict[str, Any] = msgspec.json.decode(reply.body, type=dict[str, Any])
            return tuple(canonicalize_name(row["name"]) for row in listed["projects"])
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            raise self._strange(reply, "no list of projects as JSON (PEP 691)") from error

    def project(self, name: NormalizedName) -> Project | None:
        """Return the farm's wheels of a project, or None."""
        reply = self._get(f"{self._url}/{name}/", f"the farm's page of {name}")
        if reply.status == 404:
            return None
        try:
            page = parse_page(reply.body, reply.headers.get("content-type", ""), reply.url, name)
        except BadPage as error:
            raise self._strange(reply, str(error)) from error
        self._sources |= _sources(reply.body)
        return page

    def fetch(self, file: IndexFile) -> Path:
        """Return where a wheel lies now, its sha256 checked. As Downloads.fetch."""
        return self._downloads.fetch(file)

    def source(self, file: IndexFile) -> Digest | None:
        """Return the sha256 of the sdist that a wheel of a page read before was built from; None where the page does not tell."""
        return self._sources.get(file.filename)

    def _get(self, url: str, subject: str) -> Reply:
        return self._web.get(url, {"Accept": JSON, "Cache-Control": "max-age=0"}, subject=subject)

    def _strange(self, reply: Reply, found: str) -> UpstreamError:
        return UpstreamError(
            f"{redact(reply.url)}: expected a farm's index, found {found}",
            solution="check --index-url: `farm serve` tells it when it starts",
        )


class _Private(msgspec.Struct, rename="kebab"):
    sdist_sha256: str = ""


class _File(msgspec.Struct):
    filename: str
    farm: _Private = msgspec.field(default_factory=_Private, name="_farm")


class _Page(msgspec.Struct):
    files: list[_File]


def _sources(body: bytes) -> dict[str, Digest]:
    """Return what the farm's own key `_farm` says of each file's sdist; nothing where the page is of another form."""
    with suppress(msgspec.DecodeError, ValueError):
        page = msgspec.json.decode(body, type=_Page)
        return {file.filename: parse_digest(file.farm.sdist_sha256) for file in page.files if file.farm.sdist_sha256}
    return {}
