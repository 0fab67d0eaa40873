"""Upstream's files below the farm's own `/packages/`: which file a path means, and where it is to be had.

Only what upstream's page lists is ever fetched, so a path is looked up in the page of the project in its file name.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, unquote, urljoin, urlsplit

import msgspec
from packaging.utils import canonicalize_name

from farm.adapters.index_page import without_credentials
from farm.adapters.page_cache import keep
from farm.errors import UpstreamError
from farm.model.package import parse_sdist_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from farm.adapters.mirror import Mirror
    from farm.adapters.mirror_stream import Fetches, Stream
    from farm.model.package import NormalizedName

Mode = Literal["link", "redirect", "cache"]

_PURE = "py3-none-any.whl"
_METADATA = ".metadata"
_SEGMENT = re.compile(r"[A-Za-z0-9_~+!-][A-Za-z0-9._~+!-]*")
_LENGTHS = {"sha256": 64, "sha512": 128, "sha384": 96, "sha3_512": 128, "sha3_256": 64, "blake2b": 128}
_ENTRIES = 200_000
_KEPT = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+!"


class Listed(msgspec.Struct, frozen=True):
    """A file of upstream. `algorithm` and `digest` are of its bytes, "" where upstream tells none that can be checked."""

    url: str
    algorithm: str
    digest: str
    size: int | None


_listed = msgspec.json.Decoder(Listed)


def package_path(entry: dict[str, Any]) -> str:
    """Return the path of an upstream file below the index's root: as upstream's own after `/packages/`, so that one prefix maps
    all of them, else made of its hash. Percent-encoded.
    """
    url, filename = entry["url"], entry["filename"]
    last = quote(filename, safe=_KEPT)
    parts = urlsplit(url)
    _, found, rest = parts.path.partition("/packages/")
    folders, _, name = rest.rpartition("/")
    usable = found and not parts.query and unquote(name) == filename
    if usable and all(map(_SEGMENT.fullmatch, folders.split("/"))):
        return f"packages/{folders}/{last}"
    digest = entry["hashes"].get("sha256") if isinstance(entry.get("hashes"), dict) else None
    if isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest):
        return f"packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{last}"
    return f"packages/url/{hashlib.sha256(without_credentials(url).encode()).hexdigest()[:40]}/{last}"


def sdists_here(document: dict[str, Any]) -> Callable[[dict[str, Any]], str]:
    """Return for a page what gives `package_path` for an sdist that clients compile, and else upstream's own URL.

    Beside a wheel of upstream's that every Python 3 takes, an sdist is compiled by nobody: locks keep upstream's URL of it.
    """
    name = document["name"]
    pure = {
        entry["filename"].split("-", 2)[1] for entry in document["files"] if entry["filename"].endswith(_PURE) and "://" in entry["url"]
    }

    def address(entry: dict[str, Any]) -> str:
        url: str = entry["url"]
        if entry["filename"].endswith(".whl") or urlsplit(url).scheme not in {"http", "https"}:
            return url
        return url if pure and str(parse_sdist_version(entry["filename"], name)) in pure else package_path(entry)

    return address


class MirrorFiles:
    """Satisfies `views.UpstreamFiles`. What was once listed is remembered with mode "cache", so that its URL stays good."""

    def __init__(self, mode: Mode, mirror: Mirror, fetches: Fetches, folder: Path) -> None:
        self.mode: Mode = mode
        self._mirror = mirror
        self._fetches = fetches
        self._folder = folder
        self._lock = threading.Lock()
        self._size = 0
        self._pages: OrderedDict[NormalizedName, tuple[str, dict[str, Listed]]] = OrderedDict()

    def find(self, path: str) -> MirroredFile | None:
        """Return the file at `/packages/<path>`, percent-decoded; None when no page lists it. UpstreamError as for a page."""
        if self.mode == "link" and path.endswith((".whl", ".whl" + _METADATA)):
            # No page names these; an sdist's URL may stand in a lock, also when nothing is counted any more.
            return None
        wanted = f"packages/{path}"
        trouble: UpstreamError | None = None
        for name in _projects(path.rpartition("/")[2].removesuffix(_METADATA)):
            try:
                found = self._page(name).get(wanted)
            except UpstreamError as error:
                trouble = trouble or error
                continue
            if found is not None:
                self._remember(wanted, found)
                return self._file(found)
        remembered = self._remembered(wanted)
        if remembered is None and trouble is not None:
            raise trouble
        return None if remembered is None else self._file(remembered)

    def _file(self, listed: Listed) -> MirroredFile:
        return MirroredFile(listed=listed, fetches=self._fetches if self.mode == "cache" and listed.digest else None)

    def _page(self, name: NormalizedName) -> dict[str, Listed]:
        """Return the files of a project by path. A page that is known will do, however old."""
        for _ in range(3):
            mirrored = self._mirror.known(name) or self._mirror.get(name)
            with self._lock:
                found = self._pages.get(name)
                if found is not None and found[0] == mirrored.token:
                    self._pages.move_to_end(name)
                    return found[1]
            pages = self._mirror.read(mirrored)
            if pages is None:
                continue
            files: dict[str, Listed] = {}
            for page in pages:
                for raw in page.document["files"]:
                    for path, listed in _entries(raw, page.base):
                        files.setdefault(path, listed)
            self._keep(name, mirrored.token, files)
            return files
        return {}

    def _keep(self, name: NormalizedName, token: str, files: dict[str, Listed]) -> None:
        with self._lock:
            old = self._pages.pop(name, None)
            self._size += len(files) - (len(old[1]) if old else 0)
            self._pages[name] = token, files
            while self._size > _ENTRIES and len(self._pages) > 1:
                self._size -= len(self._pages.popitem(last=False)[1][1])

    def _remember(self, path: str, listed: Listed) -> None:
        if self.mode == "cache" and listed.digest:
            place = self._place(path)
            if not place.exists():
                keep(place, msgspec.json.encode(listed))

    def _remembered(self, path: str) -> Listed | None:
        try:
            return _listed.decode(self._place(path).read_bytes())
        except (OSError, msgspec.DecodeError):
            return None

    def _place(self, path: str) -> Path:
        key = hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()
        return self._folder / "paths" / key[:2] / key[2:40]


@dataclass(frozen=True, slots=True, kw_only=True)
class MirroredFile:
    """Satisfies `views.UpstreamFile`. `fetches` None: the client is sent to upstream."""

    listed: Listed
    fetches: Fetches | None
    size: int | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", self.listed.size)

    @property
    def redirect(self) -> str | None:
        return self.listed.url if self.fetches is None else None

    @property
    def path(self) -> Path | None:
        return None if self.fetches is None else self.fetches.kept(self.listed)

    @property
    def etag(self) -> str:
        return f'"{self.listed.digest}"' if self.fetches is not None else ""

    def start(self) -> Stream:
        assert self.fetches is not None
        return self.fetches.start(self.listed)

    def wait(self) -> Path:
        assert self.fetches is not None
        return self.fetches.whole(self.listed)


def _projects(filename: str) -> Iterator[NormalizedName]:
    """Yield the projects that a file name may belong to, the likeliest first."""
    if filename.endswith(".whl"):
        yield canonicalize_name(filename.partition("-")[0])
        return
    dashes = [match.start() for match in re.finditer("-", filename[:250])]
    # A version begins with a digit, mostly.
    dashes.sort(key=lambda at: (not filename[at + 1 : at + 2].isdigit(), -at))
    for at in dashes[:8]:
        yield canonicalize_name(filename[:at])


def _entries(raw: object, base: str) -> Iterator[tuple[str, Listed]]:
    """Yield a file's path with what it is, and that of its metadata; nothing for an entry that is not listed either."""
    if not isinstance(raw, dict) or not isinstance(raw.get("filename"), str) or not isinstance(raw.get("url"), str):
        return
    try:
        url = without_credentials(urljoin(base, raw["url"].strip())).replace(" ", "%20")
        path = unquote(package_path(raw | {"url": url}))
    except ValueError:
        return
    if urlsplit(url).scheme not in {"http", "https"}:
        return
    size = raw.get("size")
    algorithm, digest = _checkable(raw.get("hashes"))
    yield path, Listed(url.partition("#")[0], algorithm, digest, size if type(size) is int and size >= 0 else None)
    for key in ("core-metadata", "dist-info-metadata", "data-dist-info-metadata"):
        told = raw.get(key)
        if told:
            if isinstance(told, str) and "=" in told:
                told = dict([told.split("=", 1)])
            yield path + _METADATA, Listed(url.partition("#")[0] + _METADATA, *_checkable(told), None)
            return


def _checkable(hashes: object) -> tuple[str, str]:
    """Return the best hash that can be checked here, ("", "") for none."""
    if isinstance(hashes, dict):
        for algorithm, length in _LENGTHS.items():
            digest = hashes.get(algorithm)
            # It becomes a path.
            if isinstance(digest, str) and re.fullmatch(r"[0-9a-fA-F]+", digest) and len(digest) == length:
                return algorithm, digest.lower()
    return "", ""
