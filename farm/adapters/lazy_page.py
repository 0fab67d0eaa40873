"""A project page of which only what is asked for is read: most surveys want one version of the hundreds on a page.

Entries are grouped by the version in their file name, each group encoded by itself. A page holds them until `release`,
and reads them from the disk again if somebody asks for more.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from farm.adapters.index_page import RawFile, Reader, parse_version, read_entries
from farm.model.package import IndexFile, NormalizedName, Project, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Files = tuple[IndexFile, ...]
_Group = tuple[list[int], bytes]
_SHA256 = re.compile(rb'"hashes"\s*:\s*\{[^{}]*"sha256"|#sha256=')


class Entries(msgspec.Struct, array_like=True):
    """A page's entries: `groups` maps version texts to encoded (places on the page, a JSON array of the entries); "" has none.

    `base` is what relative links count from, `mark` a digest that tells two states of a page apart, "" where a file has
    no sha256: then its bytes may change without a trace here.
    """

    base: str
    mark: str
    groups: dict[str, msgspec.Raw]


_group = msgspec.msgpack.Decoder(_Group)
_encoder = msgspec.msgpack.Encoder()


def group(page: tuple[list[str], list[bytes | msgspec.Raw], str], name: NormalizedName) -> Entries:
    """Return the entries of a page (`index_page.split_page`), grouped."""
    filenames, raw, base = page
    version_text = Reader(name, base).version_text
    groups: dict[str, tuple[list[int], list[bytes | msgspec.Raw]]] = {}
    for number, filename in enumerate(filenames):
        text = version_text(filename)
        found = groups.get(text)
        if found is None:
            found = groups[text] = ([], [])
        found[0].append(number)
        found[1].append(raw[number])
    digest, encoded, hashed = hashlib.blake2b(base.encode(), digest_size=16), {}, 0
    for text, (numbers, members) in groups.items():
        # A JSON array; a join takes anything that holds bytes.
        array = b"[%s]" % b",".join(members)
        hashed += _hashed(array, len(members))
        digest.update(text.encode())
        digest.update(array)
        encoded[text] = msgspec.Raw(_encoder.encode((numbers, array)))
    return Entries(base, digest.hexdigest() if hashed >= len(filenames) else "", encoded)


def _hashed(array: bytes, entries: int) -> int:
    """Return how many entries tell their file's sha256. As indexes write JSON first: that is quick to count."""
    for usual in (b'"hashes":{"sha256":', b'"hashes": {"sha256":'):
        if array.count(usual) == entries:
            return entries
    return len(_SHA256.findall(array))


class LazyPage(Project):
    """A Project whose files are read when asked for. `load` brings the entries with a mark back after `release`; None: they stay."""

    __slots__ = ("_held", "_known", "_load", "_mark", "_texts")

    def __init__(self, name: NormalizedName, entries: Entries, load: Callable[[str], Entries] | None) -> None:
        # The record is frozen; what these hold may change, what they are may not.
        slots: dict[str, object] = {"name": name, "_held": [entries], "_known": {}, "_load": load, "_mark": entries.mark, "_texts": {}}
        for slot, value in slots.items():
            object.__setattr__(self, slot, value)

    _held: list[Entries]
    _known: dict[Version | None, Files]
    _load: Callable[[str], Entries] | None
    _mark: str
    _texts: dict[Version, list[str]]

    @property
    def mark(self) -> str:
        """A digest of all that is on the page; "" where bytes may change under a file's name."""
        return self._mark

    @property
    def entries(self) -> Entries:
        """Every entry, from the disk after `release`. UpstreamError when another process has changed the page there since."""
        for entries in self._held:
            return entries
        assert self._load is not None
        return self._load(self._mark)

    def release(self) -> None:
        """Give the memory back; what was asked for stays."""
        if self._load is not None:
            self._held.clear()

    @property
    def files(self) -> Files:
        found = self._known.get(None)
        if found is None:
            entries = self.entries
            found = self._known[None] = self._read(entries, entries.groups.values())
        return found

    def of(self, version: Version) -> Files:
        found = self._known.get(version)
        if found is None:
            entries = self.entries
            texts = self._spellings(entries).get(version, ())
            found = self._known[version] = self._read(entries, (entries.groups[text] for text in texts))
        return found

    def by_version(self) -> Mapping[Version, Files]:
        return Lazily(self._texts or self._spellings(self.entries), self.of)

    def _spellings(self, entries: Entries) -> Mapping[Version, list[str]]:
        """Return how each version is written: 1.0 and 1.0.0 are one."""
        if not self._texts:
            texts: dict[Version, list[str]] = {}
            for text in entries.groups:
                version = parse_version(text)
                if version is not None:
                    texts.setdefault(version, []).append(text)
            self._texts.update(texts)
        return self._texts

    def _read(self, entries: Entries, groups: Iterable[msgspec.Raw]) -> Files:
        reader = Reader(self.name, entries.base)
        placed: list[tuple[int, RawFile]] = []
        for members in groups:
            numbers, array = _group.decode(members)
            placed += zip(numbers, read_entries(array), strict=False)
        ordered = sorted(placed, key=lambda pair: pair[0])
        return tuple(file for _, raw in ordered if (file := reader.file(raw)) is not None)


class Lazily(Mapping[Version, Files]):
    """Versions with their files, which are looked up when asked for."""

    def __init__(self, versions: Iterable[Version], of: Callable[[Version], Files]) -> None:
        self._versions = dict.fromkeys(versions)
        self._of = of

    def __getitem__(self, version: Version) -> Files:
        if version not in self._versions:
            raise KeyError(version)
        return self._of(version)

    def __contains__(self, version: object) -> bool:
        return version in self._versions

    def __iter__(self) -> Iterator[Version]:
        return iter(self._versions)

    def __len__(self) -> int:
        return len(self._versions)


class MergedPage(Project):
    """The pages of several indexes as one: of files with one name, the first index's counts."""

    __slots__ = ("_pages",)

    def __init__(self, name: NormalizedName, pages: tuple[LazyPage, ...]) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "_pages", pages)

    _pages: tuple[LazyPage, ...]

    @property
    def mark(self) -> str:
        """A digest of all that is on the pages; "" where bytes may change under a file's name."""
        marks = [page.mark for page in self._pages]
        return "-".join(marks) if all(marks) else ""

    def release(self) -> None:
        """Give the memory back; what was asked for stays."""
        for page in self._pages:
            page.release()

    @property
    def files(self) -> Files:
        return _first(page.files for page in self._pages)

    def of(self, version: Version) -> Files:
        return _first(page.of(version) for page in self._pages)

    def by_version(self) -> Mapping[Version, Files]:
        return Lazily((version for page in self._pages for version in page.by_version()), self.of)


def _first(pages: Iterable[Files]) -> Files:
    found: dict[str, IndexFile] = {}
    for files in pages:
        for file in files:
            found.setdefault(file.filename, file)
    return tuple(found.values())
