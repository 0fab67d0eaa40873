"""An index as a strict client sees it on the wire: one request at a time, no redirect followed unless told, nothing repaired."""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.client
import io
import json
import ssl
import zipfile
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"
TEXT = "text/html"
PIP_ACCEPT = f"{JSON}, {HTML}; q=0.1, {TEXT}; q=0.01"
_REDIRECTS = {301, 302, 303, 307, 308}
_TIMEOUT = 30.0
_MOST_FILES = 6
_MOST_BYTES = 5_000_000


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back. `headers` by lower-case name; values of a header that came twice are joined."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def type(self) -> str:
        """The media type without parameters, "" without a Content-Type."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def etag(self) -> str:
        return self.headers.get("etag", "")

    @property
    def text(self) -> str:
        return self.plain.decode("utf-8", "replace")

    @property
    def plain(self) -> bytes:
        """The body without its content coding."""
        return gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body

    def __str__(self) -> str:
        told = f"{self.status} {self.headers.get('content-type', 'without a type')} ({len(self.body)} bytes) from {self.url}"
        return told + (f" to {self.headers['location']}" if "location" in self.headers else "")


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """A link of an HTML page: its attributes, decoded, and its text."""

    attributes: Mapping[str, str]
    text: str

    @property
    def href(self) -> str:
        return self.attributes.get("href", "")


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A file of a page, from JSON where the index speaks it."""

    filename: str
    url: str
    hashes: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None
    metadata: str | bool = False
    """The sha256 of `.metadata`, True where it is promised without one."""

    @property
    def is_wheel(self) -> bool:
        return self.filename.endswith(".whl")


class Page(HTMLParser):
    """An HTML page's anchors and `meta` elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: list[Anchor] = []
        self.metas: dict[str, str] = {}
        self._open: dict[str, str] | None = None
        self._text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "a":
            self._open, self._text = found, ""
        elif tag == "meta" and "name" in found:
            self.metas[found["name"]] = found.get("content", "")

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._open is not None:
            self.anchors.append(Anchor(attributes=self._open, text=self._text.strip()))
            self._open = None


class Index:
    """An index at `url`, the root of its simple API. `projects` are the ones to look at; by default some of the root page."""

    def __init__(self, url: str, projects: Sequence[str] = ()) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc.rpartition("@")[2]
        self.given_url = url
        self.url = f"{parts.scheme}://{self.host}{parts.path.rstrip('/')}/"
        self._credentials: dict[str, str] = {}
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._credentials = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        self._given = tuple(map(canonicalize_name, projects))
        self._bodies: dict[str, bytes] = {}

    def ask(self, target: str, method: str = "GET", **headers: str) -> Answer:
        """Send one request. `target` is a URL or relative to the root; in header names `_` stands for `-`."""
        return self.send(target, method, {name.replace("_", "-"): value for name, value in headers.items()})

    def send(self, target: str, method: str, headers: Mapping[str, str]) -> Answer:
        url = urldefrag(urljoin(self.url, target))[0]
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        extra = {"context": ssl.create_default_context()} if parts.scheme == "https" else {}
        connection = kind(parts.netloc, timeout=_TIMEOUT, **extra)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            # http.client would ask for `identity`, which is not the same as asking for nothing.
            connection.putrequest(method, path, skip_accept_encoding=True)
            # Credentials are for the index alone, as pip and uv have it.
            own = self._credentials if parts.netloc == self.host else {}
            for name, value in {"User-Agent": "conformance", **own, **headers}.items():
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            body = response.read()
            found: dict[str, str] = {}
            for name, value in response.getheaders():
                key = name.lower()
                found[key] = f"{found[key]}, {value}" if key in found else value
            return Answer(url=url, status=response.status, headers=found, body=body)
        finally:
            connection.close()

    def follow(self, target: str, method: str = "GET", *, away: bool = False, **headers: str) -> tuple[Answer, ...]:
        """Send a request and follow its redirects, five at most, to other hosts only if `away`; all the answers."""
        answers = [self.ask(target, method, **headers)]
        while answers[-1].status in _REDIRECTS and len(answers) <= 5:
            to = urljoin(answers[-1].url, answers[-1].headers.get("location", ""))
            if urlsplit(to).netloc != urlsplit(answers[-1].url).netloc and not away:
                break
            answers.append(self.ask(to, method, **headers))
        return tuple(answers)

    def page_url(self, project: str) -> str:
        return f"{self.url}{project}/"

    @cached_property
    def speaks_json(self) -> bool:
        """Whether it has JSON at all; an index need not."""
        return any(self.ask(self.page_url(name), Accept=JSON).type == JSON for name in self.projects[:1])

    @cached_property
    def listed_projects(self) -> tuple[str, ...]:
        """The names on the root page, normalised."""
        answer = self.follow(self.url, Accept=PIP_ACCEPT)[-1]
        if answer.status != 200:
            return ()
        if answer.type == JSON:
            names = [entry["name"] for entry in json.loads(answer.plain)["projects"]]
        else:
            names = [anchor.text for anchor in Page(answer.text).anchors]
        return tuple(map(canonicalize_name, names))

    @cached_property
    def projects(self) -> tuple[str, ...]:
        return self._given or self.listed_projects[:8]

    def document(self, project: str) -> dict[str, Any]:
        """Return a project's JSON page, as it is."""
        found = json.loads(self.ask(self.page_url(project), Accept=JSON).plain)
        assert isinstance(found, dict), f"expected an object on the page of {project}, found {type(found).__name__}"
        return found

    def html(self, project: str) -> Page:
        return Page(self.raw_html(project))

    def raw_html(self, project: str) -> str:
        answer = self.ask(self.page_url(project), Accept=TEXT)
        assert answer.status == 200, f"expected the HTML page of {project}, found {answer}"
        return answer.text

    def files(self, project: str) -> tuple[Listed, ...]:
        """Return the files of a page, with absolute URLs."""
        base = self.page_url(project)
        if self.speaks_json:
            return tuple(_from_json(base, entry) for entry in self.document(project)["files"])
        return tuple(_from_html(base, anchor) for anchor in self.html(project).anchors)

    @cached_property
    def own_files(self) -> tuple[Listed, ...]:
        """A few files to download: those on this host, if there are any, of a moderate size; one of each project at least."""
        every = [[file for file in self.files(name) if (file.size or 0) <= _MOST_BYTES] for name in self.projects]
        here = [[file for file in files if urlsplit(file.url).netloc == self.host] for files in every]
        chosen = here if any(here) else every
        return tuple(_in_turn(chosen))[:_MOST_FILES]

    @cached_property
    def own_wheels(self) -> tuple[Listed, ...]:
        return tuple(file for file in self.own_files if file.is_wheel)

    def body(self, file: Listed) -> bytes:
        """Return a file's bytes; downloaded once."""
        if file.url not in self._bodies:
            answer = self.follow(file.url, away=True)[-1]
            assert answer.status == 200, f"expected the file {file.filename}, found {answer}"
            self._bodies[file.url] = answer.body
        return self._bodies[file.url]

    def metadata_inside(self, wheel: Listed) -> bytes:
        """Return the METADATA that is in a wheel."""
        with zipfile.ZipFile(io.BytesIO(self.body(wheel))) as archive:
            (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA") and n.count("/") == 1]
            return archive.read(name)


def _in_turn(groups: Sequence[Sequence[Listed]]) -> Iterator[Listed]:
    """Yield the first of each, then the second of each; wheels come first."""
    ordered = [sorted(group, key=lambda file: not file.is_wheel) for group in groups]
    for number in range(max(map(len, ordered), default=0)):
        yield from (group[number] for group in ordered if number < len(group))


def _from_json(base: str, entry: Mapping[str, Any]) -> Listed:
    found = entry.get("core-metadata", False)
    return Listed(
        filename=entry["filename"],
        url=urljoin(base, entry["url"]),
        hashes=entry.get("hashes") or {},
        size=entry.get("size"),
        metadata=found.get("sha256", True) if isinstance(found, dict) else found is True,
    )


def _from_html(base: str, anchor: Anchor) -> Listed:
    url, fragment = urldefrag(urljoin(base, anchor.href))
    name, _, digest = fragment.partition("=")
    promised = anchor.attributes.get("data-core-metadata", anchor.attributes.get("data-dist-info-metadata"))
    return Listed(
        filename=unquote(urlsplit(url).path.rpartition("/")[2]),
        url=url,
        hashes={name: digest} if digest else {},
        metadata=promised is not None and (promised.partition("sha256=")[2] or True),
    )


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
