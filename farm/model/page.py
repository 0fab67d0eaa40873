"""A page as it is sent: bytes with their type, coding and ETag. Also how a wheel's row becomes an entry of its project's page."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from farm.model.package import IndexFile

if TYPE_CHECKING:
    from farm.model.attempt import WheelRecord
    from farm.model.package import Digest

Kind = Literal["application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.v1+html"]
Coding = Literal["identity", "gzip"]

JSON: Kind = "application/vnd.pypi.simple.v1+json"
HTML: Kind = "application/vnd.pypi.simple.v1+html"

_STEMS: dict[Kind, str] = {JSON: "index.json", HTML: "index.html"}
_SUFFIXES: dict[Coding, str] = {"identity": "", "gzip": ".gz"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One representation of one page (PEP 691 content type, HTTP content coding).

    `body` is already coded. `etag` is strong, quotes included, and differs between codings, as RFC 9110 8.8.3.3 asks.
    """

    content_type: Kind
    encoding: Coding
    body: bytes
    etag: str


def make_page(content_type: Kind, encoding: Coding, body: bytes) -> Page:
    """Return the page with the ETag that its (coded) bytes have."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return Page(content_type=content_type, encoding=encoding, body=body, etag=etag)


def page_file(content_type: Kind, encoding: Coding) -> str:
    """Return the file name of a representation in its project's folder: `index.json`, `index.html.gz`."""
    return _STEMS[content_type] + _SUFFIXES[encoding]


def file_url(digest: Digest, filename: str) -> str:
    """Return a file's URL path below the index's root. The digest is in it, so the bytes behind it never change."""
    return f"files/{digest[:2]}/{digest[2:]}/{_quoted(filename)}"


def _quoted(filename: str) -> str:
    """Percent-encode what a path segment may not hold (RFC 3986 3.3); wheels' names hold little else than these."""
    kept = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+!"
    return "".join(c if c in kept else "".join(f"%{byte:02X}" for byte in c.encode()) for c in filename)


def listed(record: WheelRecord) -> IndexFile:
    """Return the page entry of a file. It always has an upload time: without one uv and pip refuse it under a cutoff date."""
    return IndexFile(
        filename=record.filename,
        url=file_url(record.sha256, record.filename),
        version=record.version,
        sha256=record.sha256,
        size=record.size,
        requires_python=record.requires_python,
        yanked=record.yanked,
        upload_time=record.upload_time or record.built_at,
        metadata=record.metadata_sha256 or False,
    )
