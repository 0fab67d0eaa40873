"""An upstream page's bytes as a PEP 691 document with all its keys, whether it came as JSON or as HTML. Knows no network.

`index_page` reads the same pages for the survey, which wants few keys fast; here nothing may get lost.
"""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import msgspec

from farm.adapters.index_page import BadPage, link_filename, without_credentials
from farm.model.mirrored import UpstreamPage

_NEWER = re.compile(r"\s*(?!1(\.|$))\d+")


class _Meta(msgspec.Struct, rename="kebab"):
    api_version: str = "1.0"


class _Loose(msgspec.Struct):
    files: list[msgspec.Raw]
    meta: _Meta | None = None


_loose = msgspec.json.Decoder(_Loose)


def check_document(body: bytes, content_type: str, url: str) -> None:
    """Raise BadPage where `read_document` would; of large pages of the usual kind it reads a fraction."""
    if _is_json(body, content_type):
        try:
            page = _loose.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        else:
            _refuse_newer((page.meta or _Meta()).api_version)
            return
    read_document(body, content_type, url)


def read_document(body: bytes, content_type: str, url: str) -> UpstreamPage:
    """Return the page; `url` is where it was read. BadPage when it is no project page of API version 1."""
    if _is_json(body, content_type):
        return UpstreamPage(document=_json(body), base=without_credentials(url))
    reader = _Reader()
    reader.feed(body.decode("utf-8", "replace"))
    reader.close()
    return UpstreamPage(document=reader.document(body), base=without_credentials(urljoin(url, reader.base)))


def _is_json(body: bytes, content_type: str) -> bool:
    return "json" in content_type or ("html" not in content_type and body.lstrip()[:1] == b"{")


def _refuse_newer(version: object) -> None:
    if isinstance(version, str) and _NEWER.match(version):
        message = f"a page of API version {version}, newer than the 1.x that is understood"
        raise BadPage(message)


def _json(body: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        document = _lenient(body)
    if not isinstance(document, dict) or not isinstance(document.get("files"), list):
        message = "JSON without a list of files"
        raise BadPage(message)
    meta = document.get("meta")
    _refuse_newer(meta.get("api-version") if isinstance(meta, dict) else None)
    return document


def _lenient(body: bytes) -> object:
    """Read what is JSON to Python, but not to others (NaN, half a surrogate), and leave out what could not be written again."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        message = f"JSON that breaks off or is malformed ({error}, {len(body)} bytes)"
        raise BadPage(message) from error
    if isinstance(document, dict):
        document = {key: value for key, value in document.items() if key == "files" or _writable((key, value))}
        if isinstance(document.get("files"), list):
            document["files"] = [file for file in document["files"] if _writable(file)]
    return document


def _writable(value: object) -> bool:
    try:
        # Not a number is written as null, which is another thing.
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return False
    return True


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.base = ""
        self._metas: dict[str, str] = {}
        self._files: list[dict[str, Any]] = []
        self._anchors = 0
        self._open: dict[str, str] | None = None
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in values:
            self._open, self._text = values, []
            self._anchors += 1
        elif tag == "meta":
            self._metas.setdefault(values.get("name", ""), values.get("content", ""))
        elif tag == "base":
            self.base = self.base or values.get("href", "")

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._open is not None:
            entry = _entry(self._open, "".join(self._text).strip())
            self._open = None
            if entry is not None:
                self._files.append(entry)

    def document(self, body: bytes) -> dict[str, Any]:
        """Return what was read. BadPage when it is no index page, such as a login page."""
        version = self._metas.get("pypi:repository-version")
        if not self._files and (version is None or self._anchors):
            text = " ".join(re.sub(rb"<[^>]*>", b" ", body[:4000]).decode("utf-8", "replace").split())[:80]
            message = f"a page without any link to a file: {text!r}"
            raise BadPage(message)
        _refuse_newer(version)
        document: dict[str, Any] = {"meta": {"api-version": version or "1.0"}, "files": self._files}
        status, reason = self._metas.get("pypi:project-status"), self._metas.get("pypi:project-status-reason")
        if status:
            document["project-status"] = {"status": status} | ({"reason": reason} if reason else {})
        return document


def _entry(attributes: dict[str, str], text: str) -> dict[str, Any] | None:
    """Return a link as JSON says it."""
    url, _, fragment = attributes["href"].strip().partition("#")
    filename = link_filename(url, text)
    if filename is None:
        return None
    algorithm, found, digest = fragment.partition("=")
    entry: dict[str, Any] = {
        "filename": filename,
        "url": url,
        "hashes": {algorithm: digest.partition("&")[0]} if found else {},
    }
    for name, key in (("data-requires-python", "requires-python"), ("data-provenance", "provenance")):
        if attributes.get(name):
            entry[key] = attributes[name]
    if "data-yanked" in attributes:
        entry["yanked"] = attributes["data-yanked"] or True
    if attributes.get("data-gpg-sig") in {"true", "false"}:
        entry["gpg-sig"] = attributes["data-gpg-sig"] == "true"
    metadata = attributes.get("data-core-metadata", attributes.get("data-dist-info-metadata"))
    if metadata:
        entry["core-metadata"] = metadata
    return entry
