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


class RawFile(msgspec.Struct, rename="kebab", omit_defaults=True, gc=False):
    """One entry of a PEP 691 page, as it came. The types are wider than the standard's, for indexes that write "" or null."""

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
    files: list[RawFile]
    meta: _Meta | None = None


class _Named(msgspec.Struct, gc=False):
    filename: str
    url: str


class _NamedPage(msgspec.Struct):
    files: list[_Named]


class _LoosePage(msgspec.Struct):
    files: list[msgspec.Raw]
    meta: _Meta | None = None


_typed = msgspec.json.Decoder(_RawPage)
_loose = msgspec.json.Decoder(_LoosePage)
_one = msgspec.json.Decoder(RawFile)
_several = msgspec.json.Decoder(list[RawFile])
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_named = msgspec.json.Decoder(_NamedPage)


def parse_page(body: bytes, content_type: str, url: str, name: NormalizedName) -> Project:
    """Return the page in `body`, JSON or HTML; `url` is where it was read, relative links count from there. BadPage otherwise."""
    raw, base = raw_files(body, content_type, url)
    reader = Reader(name, base)
    return Project(name=name, files=tuple(file for entry in raw if (file := reader.file(entry)) is not None))


def raw_files(body: bytes, content_type: str, url: str) -> tuple[list[RawFile], str]:
    """Return a page's entries as they are, and the URL that their relative links count from. BadPage otherwise."""
    if _is_json(body, content_type):
        return _json_files(body), without_credentials(url)
    return _html_files(body), without_credentials(urljoin(url, _base_href(body)))


def split_page(body: bytes, content_type: str, url: str) -> tuple[list[str], list[bytes | msgspec.Raw], str]:
    """Return what `raw_files` does, unread: file names, the entries as JSON in the same order, the base of their links.

    A fifth of the cost, for pages of which only a few entries are wanted. `read_entries` reads them.
    """
    if _is_json(body, content_type):
        try:
            page, names = _loose.decode(body), _named.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            # Odd values, or no page: found out entry by entry.
            pass
        else:
            _check_version(page.meta)
            return [file.filename for file in names.files], list(page.files), without_credentials(url)
    files, base = raw_files(body, content_type, url)
    return [file.filename for file in files], [msgspec.json.encode(file) for file in files], base


def read_entries(entries: bytes) -> list[RawFile]:
    """Return the entries of a JSON array, read; what cannot be read is left out."""
    try:
        return _several.decode(entries)
    except msgspec.ValidationError:
        return [file for raw in _raws.decode(entries) if (file := _loose_file(raw)) is not None]


def _is_json(body: bytes, content_type: str) -> bool:
    return "json" in content_type or ("html" not in content_type and body.lstrip()[:1] == b"{")


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


def _json_files(body: bytes) -> list[RawFile]:
    try:
        page = _typed.decode(body)
    except msgspec.ValidationError:
        return _loose_files(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"JSON that breaks off or is malformed ({error}, {len(body)} bytes)"
        raise BadPage(message) from error
    _check_version(page.meta)
    return page.files


def _check_version(meta: _Meta | None) -> None:
    major = (meta or _Meta()).api_version.partition(".")[0]
    if major != "1":
        message = f"a page of API version {major}, newer than the 1.x that is understood"
        raise BadPage(message)


def _loose_files(body: bytes) -> list[RawFile]:
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


def _loose_file(raw: msgspec.Raw) -> RawFile | None:
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


def _html_files(body: bytes) -> list[RawFile]:
    parser = _Anchors()
    parser.feed(body.decode("utf-8", "replace"))
    parser.close()
    files = [file for attributes, text in parser.found if (file := _anchor_file(attributes, text)) is not None]
    if not files and not (parser.standard and not parser.found):
        text = " ".join(re.sub(rb"<[^>]*>", b" ", body[:4000]).decode("utf-8", "replace").split())[:80]
        message = f"a page without any link to a file: {text!r}"
        raise BadPage(message)
    return files


def link_filename(href: str, text: str) -> str | None:
    """Return the file name of a link: the last part of the URL's path, as pip reads it (PEP 503), else the link's text."""
    try:
        filename = unquote(urlsplit(href).path.rsplit("/", 1)[-1])
    except ValueError:
        return None
    return next((name for name in (filename, text) if name.lower().endswith(_FILE_SUFFIXES)), None)


def _anchor_file(attributes: dict[str, str], text: str) -> RawFile | None:
    href = attributes["href"].strip()
    filename = link_filename(href, text)
    if filename is None:
        return None
    yanked = attributes.get("data-yanked")
    return RawFile(
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


class Reader:
    """Makes IndexFile of raw entries; remembers names, of whose spellings a page repeats few."""

    def __init__(self, name: NormalizedName, base: str) -> None:
        self._name = name
        self._base = base
        parts = urlsplit(base)
        self._origin = f"{parts.scheme}://{parts.netloc}" if parts.scheme in {"http", "https"} else ""
        self._own: dict[str, bool] = {}

    def file(self, raw: RawFile) -> IndexFile | None:
        """Return the file, or None for a name that could lead elsewhere or a missing URL."""
        url, _, fragment = raw.url.partition("#")
        if not url or "/" in raw.filename or "\\" in raw.filename or raw.filename[:1] in {"", "."}:
            return None
        if not url.startswith(_ABSOLUTE):
            # The usual relative link needs no resolving, which is slow: a page has thousands.
            rooted = url[0] == "/" and not url.startswith("//") and "/." not in url and self._origin
            url = f"{self._origin}{url}" if rooted else urljoin(self._base, url)
        return IndexFile(
            filename=raw.filename,
            url=url,
            version=parse_version(self.version_text(raw.filename)),
            sha256=_sha256(raw.hashes, fragment),
            size=_size(raw.size),
            requires_python=raw.requires_python or None,
            yanked=raw.yanked or False,
            upload_time=_time(raw.upload_time),
            metadata=_metadata(raw),
        )

    def version_text(self, filename: str) -> str:
        """Return the part of a file name that is its version, perhaps malformed; "" where it tells none of this project."""
        if filename.endswith(".whl"):
            if filename.count("-") == 4:
                head, text, _ = filename.split("-", 2)
                return text if self._is_own(head) else ""
            # Splitting is enough here, and far faster than parsing every tag of a page of 15,000 wheels.
            parts = filename[:-4].split("-")
            if len(parts) != 5 and not (len(parts) == 6 and parts[2][:1].isdigit()):
                return ""
            return parts[1] if self._is_own(parts[0]) else ""
        if filename.endswith((".tar.gz", ".zip")):
            head, _, tail = filename.removesuffix(".gz").rpartition(".")[0].rpartition("-")
            if head and self._is_own(head) and parse_version(tail) is not None:
                return tail
        version = parse_sdist_version(filename, self._name)
        return "" if version is None else str(version)

    def _is_own(self, spelling: str) -> bool:
        own = self._own.get(spelling)
        if own is None:
            own = self._own[spelling] = canonicalize_name(spelling) == self._name
        return own


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


def _metadata(raw: RawFile) -> bool | Digest:
    for value in (raw.core_metadata, raw.dist_info_metadata, raw.data_dist_info_metadata):
        if value is None:
            continue
        if isinstance(value, dict):
            return _sha256(value, "") or True
        return value is True or (isinstance(value, str) and value.lower() not in {"", "false"})
    return False
