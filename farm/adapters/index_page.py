"""What an index answers for a project (PEP 691 JSON, PEP 503 HTML), parsed. Knows no network and no disk.

Indexes are old and uneven: an odd file name or an odd value costs that one value, never the page.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from farm.model.package import Digest, IndexFile, NormalizedName, Project, parse_digest, parse_sdist_version

_FILE_SUFFIXES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz", ".tar.z", ".tar", ".egg", ".exe", ".msi",
                  ".rpm", ".deb", ".dmg")  # fmt: skip
_ABSOLUTE = ("https://", "http://", "file://")
_Hashes = dict[str, str | None] | str | list[object] | None
_Metadata = bool | dict[str, str | None] | str | None


class BadPage(ValueError):  # noqa: N818 - names the thing
    """What came is no project page; the text says what it is instead."""


class _RawFile(msgspec.Struct, rename="kebab"):
    """One entry of a PEP 691 page. The types are wider than the standard's, for indexes that write "" or null."""

    filename: str
    url: str
    hashes: _Hashes = None
    size: int | float | str | None = None
    requires_python: str | None = None
    yanked: bool | str | None = False
    upload_time: str | None = None
    core_metadata: _Metadata = None
    dist_info_metadata: _Metadata = None
    data_dist_info_metadata: _Metadata = None


class _Meta(msgspec.Struct, rename="kebab"):
    api_version: str = "1.0"


class _RawPage(msgspec.Struct):
    files: list[_RawFile]
    meta: _Meta | None = None


class _LoosePage(msgspec.Struct):
    files: list[msgspec.Raw]


_typed = msgspec.json.Decoder(_RawPage)
_loose = msgspec.json.Decoder(_LoosePage)
_one = msgspec.json.Decoder(_RawFile)


def parse_page(body: bytes, content_type: str, url: str, name: NormalizedName) -> Project:
    """Return the page in `body`, JSON or HTML; `url` is where it was read, relative links count from there. BadPage otherwise."""
    if "json" in content_type or ("html" not in content_type and body.lstrip()[:1] == b"{"):
        raw = _json_files(body)
    else:
        raw = _html_files(body)
        url = urljoin(url, _base_href(body))
    reader = _Reader(name, without_credentials(url))
    return Project(name=name, files=tuple(file for entry in raw if (file := reader.file(entry)) is not None))


def without_credentials(url: str) -> str:
    """Return the URL without `user:password@`, so that it, and links resolved against it, can be stored."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


@lru_cache(maxsize=65536)
def parse_version(text: str) -> Version | None:
    """Return the version, remembered, or None when it is not PEP 440."""
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _json_files(body: bytes) -> list[_RawFile]:
    try:
        page = _typed.decode(body)
    except msgspec.ValidationError:
        return _loose_files(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"JSON that breaks off or is malformed ({error}, {len(body)} bytes)"
        raise BadPage(message) from error
    major = (page.meta or _Meta()).api_version.partition(".")[0]
    if major != "1":
        message = f"a page of API version {major}, newer than the 1.x that is understood"
        raise BadPage(message)
    return page.files


def _loose_files(body: bytes) -> list[_RawFile]:
    """Read a page that has a value of an unforeseen type somewhere, entry by entry, leaving out what cannot be read."""
    try:
        page = _loose.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"JSON that is no project page ({error})"
        raise BadPage(message) from error
    files = [file for raw in page.files if (file := _loose_file(raw)) is not None]
    if page.files and not files:
        message = "JSON whose files have neither a filename nor a url"
        raise BadPage(message)
    return files


def _loose_file(raw: msgspec.Raw) -> _RawFile | None:
    try:
        return _one.decode(raw)
    except msgspec.DecodeError:
        return None


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[dict[str, str], str]] = []
        self.standard = False
        self._open: dict[str, str] | None = None
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in values:
            self._open, self._text = values, []
        elif tag == "meta" and values.get("name") == "pypi:repository-version":
            self.standard = True

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._open is not None:
            self.found.append((self._open, "".join(self._text).strip()))
            self._open = None


def _html_files(body: bytes) -> list[_RawFile]:
    parser = _Anchors()
    parser.feed(body.decode("utf-8", "replace"))
    parser.close()
    files = [file for attributes, text in parser.found if (file := _anchor_file(attributes, text)) is not None]
    if not files and not (parser.standard and not parser.found):
        text = " ".join(re.sub(rb"<[^>]*>", b" ", body[:4000]).decode("utf-8", "replace").split())[:80]
        message = f"a page without any link to a file: {text!r}"
        raise BadPage(message)
    return files


def _anchor_file(attributes: dict[str, str], text: str) -> _RawFile | None:
    """Return the file of a link; its name is the last part of the URL's path, as pip reads it (PEP 503), else the link's text."""
    href = attributes["href"].strip()
    try:
        filename = unquote(urlsplit(href).path.rsplit("/", 1)[-1])
    except ValueError:
        return None
    if not filename.lower().endswith(_FILE_SUFFIXES):
        filename = text
    if not filename.lower().endswith(_FILE_SUFFIXES):
        return None
    yanked = attributes.get("data-yanked")
    return _RawFile(
        filename=filename,
        url=href,
        requires_python=attributes.get("data-requires-python"),
        yanked=False if yanked is None else yanked or True,
        upload_time=attributes.get("data-upload-time"),
        core_metadata=_attribute_metadata(attributes),
    )


def _attribute_metadata(attributes: dict[str, str]) -> _Metadata:
    for name in ("data-core-metadata", "data-dist-info-metadata"):
        value = attributes.get(name)
        if value is not None:
            algorithm, found, digest = value.partition("=")
            return {algorithm: digest} if found else value.lower() != "false"
    return None


def _base_href(body: bytes) -> str:
    match = re.search(rb"""<base\s[^>]*href\s*=\s*["']([^"']+)["']""", body[:4000], re.IGNORECASE)
    return match[1].decode("utf-8", "replace") if match else ""


class _Reader:
    """Makes IndexFile of raw entries; remembers names, of whose spellings a page repeats few."""

    def __init__(self, name: NormalizedName, base: str) -> None:
        self._name = name
        self._base = base
        self._own: dict[str, bool] = {}

    def file(self, raw: _RawFile) -> IndexFile | None:
        url, _, fragment = raw.url.partition("#")
        if not url or "/" in raw.filename or "\\" in raw.filename or raw.filename[:1] in {"", "."}:
            return None
        if not url.startswith(_ABSOLUTE):
            url = urljoin(self._base, url)
        return IndexFile(
            filename=raw.filename,
            url=url,
            version=self._version_of(raw.filename),
            sha256=_sha256(raw.hashes, fragment),
            size=_size(raw.size),
            requires_python=raw.requires_python or None,
            yanked=raw.yanked or False,
            upload_time=_time(raw.upload_time),
            metadata=_metadata(raw),
        )

    def _version_of(self, filename: str) -> Version | None:
        if not filename.endswith(".whl"):
            return parse_sdist_version(filename, self._name)
        # Splitting is enough here, and far faster than parsing every tag of a page of 15,000 wheels.
        parts = filename[:-4].split("-")
        if len(parts) != 5 and not (len(parts) == 6 and parts[2][:1].isdigit()):
            return None
        own = self._own.get(parts[0])
        if own is None:
            own = self._own[parts[0]] = canonicalize_name(parts[0]) == self._name
        return parse_version(parts[1]) if own else None


def _sha256(hashes: object, fragment: str) -> Digest | None:
    text = hashes.get("sha256") if isinstance(hashes, dict) else None
    if not text and fragment.startswith("sha256="):
        text = fragment.removeprefix("sha256=").partition("&")[0]
    try:
        return parse_digest(text) if isinstance(text, str) and text else None
    except ValueError:
        return None


def _size(value: float | str | None) -> int | None:
    try:
        return None if value is None or value == "" else int(value)
    except (ValueError, OverflowError):
        return None


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _metadata(raw: _RawFile) -> bool | Digest:
    for value in (raw.core_metadata, raw.dist_info_metadata, raw.data_dist_info_metadata):
        if value is None:
            continue
        if isinstance(value, dict):
            return _sha256(value, "") or True
        return value is True or (isinstance(value, str) and value.lower() not in {"", "false"})
    return False
