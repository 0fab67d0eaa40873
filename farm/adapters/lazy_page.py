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
# Texts that do not begin as their release is written: an epoch, a "v", a number with a zero before it.
_ODD = re.compile(r"!|^[^0-9]|(?<![0-9])0[0-9]")
_BITE = 1 << 20
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
    groups: dict[str, list[tuple[int, int]]] = {}
    for text, start, end in _runs(filenames, Reader(name, base).version_text):
        groups.setdefault(text, []).append((start, end))
    digest, encoded, hashed = _Digest(base), {}, 0
    for text, runs in groups.items():
        # A JSON array; a join takes anything that holds bytes.
        array = b"[%s]" % b",".join(raw[slice(*runs[0])] if len(runs) == 1 else [one for run in runs for one in raw[slice(*run)]])
        numbers = [number for run in runs for number in range(*run)]
        hashed += _hashed(array, len(numbers))
        digest.add(text.encode(), array)
        encoded[text] = msgspec.Raw(_encoder.encode((numbers, array)))
    return Entries(base, digest.finish() if hashed >= len(filenames) else "", encoded)


class _Digest:
    """blake2b in large bites: each bite lets other threads run, and waits until they let go again."""

    def __init__(self, base: str) -> None:
        self._digest = hashlib.blake2b(base.encode(), digest_size=16)
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, *parts: bytes) -> None:
        self._parts += parts
        self._size += sum(map(len, parts))
        if self._size > _BITE:
            self.finish()

    def finish(self) -> str:
        """Return the digest of all that was added so far."""
        self._digest.update(b"".join(self._parts))
        self._parts.clear()
        self._size = 0
        return self._digest.hexdigest()


def _runs(filenames: list[str], version_text: Callable[[str], str]) -> Iterator[tuple[str, int, int]]:
    """Yield (version text, first place, place after the last) of entries that follow each other.

    Most follow one of the same version, whose names begin alike: of 15,000 wheels only a few hundred names are taken apart.
    """
    text, start, prefix = "", 0, ""
    for number, filename in enumerate(filenames):
        if prefix and filename.startswith(prefix) and filename.count("-") == 4 and filename.endswith(".whl"):
            continue
        found = version_text(filename)
        if found != text:
            if number > start:
                yield text, start, number
            text, start = found, number
        # What `version_text` takes apart at the first two dashes; it says "" of other projects' names.
        whole = found and filename.endswith(".whl") and filename.count("-") == 4
        prefix = f"{filename.partition('-')[0]}-{found}-" if whole else ""
    if len(filenames) > start:
        yield text, start, len(filenames)


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
            texts = self._texts.get(version, ()) if self._texts else _near(version, entries.groups).get(version, ())
            found = self._known[version] = self._read(entries, (entries.groups[text] for text in texts))
        return found

    def near(self, version: Version) -> Iterable[Version]:
        """Return the versions whose release begins as this one's does: among them are all that `==` could mean."""
        return self._texts or _near(version, self.entries.groups)

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


def _near(version: Version, texts: Iterable[str]) -> dict[Version, list[str]]:
    """Return the versions whose release begins as this one's does, each with its spellings. The others stay unparsed."""
    release = ".".join(map(str, version.release))
    # 1.0 is 1, too. What has an epoch, or begins in another way, is parsed.
    stem = re.sub(r"(\.0)+$", "", release)
    found: dict[Version, list[str]] = {}
    for text in texts:
        may_be = text.startswith(stem) or _ODD.search(text) is not None
        parsed = parse_version(text) if may_be else None
        if parsed is not None:
            found.setdefault(parsed, []).append(text)
    return found


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

    def near(self, version: Version) -> Iterable[Version]:
        """Return the versions whose release begins as this one's does: among them are all that `==` could mean."""
        return dict.fromkeys(found for page in self._pages for found in page.near(version))

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
