"""uv.lock, pylock.toml and poetry.lock: where each package's files stand, and how each tool writes an entry."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from datetime import UTC
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from farm.errors import UsageError
from farm.survey.augment.edits import Edit, newline
from farm.survey.augment.scan import scan_toml
from farm.survey.augment.slots import ArraySlot, Closed, Entry, MadeSlot, Slot, made_here
from farm.survey.locks.document import digest, file_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import datetime

    from farm.model.shelf import FarmWheel
    from farm.survey.augment.scan import Section

    _Write = Callable[[FarmWheel], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One of the three: the name of its package tables, and the key of their files."""

    tables: str
    key: str
    entry: Callable[[dict[str, Any]], Entry]
    writer: Callable[[dict[str, Any], bool], Callable[[FarmWheel], str]]
    closed: Callable[[dict[str, Any]], str]


def read_slots(text: str, kind: str) -> tuple[Slot, ...]:
    """Return the slot of each package table, in the file's order. UsageError when it is laid out as no tool does."""
    made = FORMATS[kind]
    tables = tomllib.loads(text).get(made.tables, [])
    try:
        groups = _groups(scan_toml(text), made.tables)
    except ValueError as error:
        raise strange(str(error)) from error
    if len(groups) != len(tables):
        raise strange(f"found {len(groups)} [[{made.tables}]] headers for {len(tables)} packages")
    padded = "{ " in text or "{" not in text
    return tuple(_slot(text, group, table, made, padded) for group, table in zip(groups, tables, strict=True))


def strange(found: str) -> UsageError:
    """Return the refusal of a lock whose text is not laid out so that places in it can be told."""
    return UsageError(f"expected a lock laid out as its own tool writes it; {found}", solution="make the lock anew with its own tool")


def _groups(sections: Sequence[Section], name: str) -> list[list[Section]]:
    """Return each package's section with those below it."""
    groups: list[list[Section]] = []
    for section in sections:
        if section.array and section.header == name:
            groups.append([section])
        elif groups and section.header.startswith(f"{name}."):
            groups[-1].append(section)
    return groups


def _slot(text: str, group: list[Section], table: dict[str, Any], made: Format, padded: bool) -> Slot:
    listed = table.get(made.key, [])
    entries = [made.entry(entry) for entry in listed]
    closed = made.closed(table)
    if closed:
        return Closed(closed=closed)
    own, pair = group[0], group[0].pair(made.key)
    header = f"{own.header}.{made.key}"
    if any(section.header == header for section in group):
        return _AotSlot(text=text, header=header, blocks=_blocks(group, header), entries=entries)
    write = made.writer(table, padded)
    if pair is None:
        return MadeSlot(text=text, key=made.key, place=own.pairs[-1].end, array=None, entries=(), write=write)
    if made_here(text, pair.value):
        before = max([own.start, *(other.end for other in own.pairs if other.end <= pair.start)])
        blank = text[before : pair.start] == newline(text) and text[pair.start : pair.value.start] == f"{made.key} = "
        place = before if blank else pair.start
        return MadeSlot(text=text, key=made.key, place=place, array=pair.value, entries=entries, write=write)
    return ArraySlot(text=text, array=pair.value, entries=entries, write=write)


def _blocks(group: list[Section], header: str) -> list[tuple[int, int, int]]:
    """Return (end of what stands before it, start, end) of each table of an array of tables."""
    blocks: list[tuple[int, int, int]] = []
    for before, section in pairwise(group):
        if section.header == header:
            blocks.append((before.end, section.start, section.end))
        elif section.header.startswith(f"{header}.") and blocks:
            blocks[-1] = (*blocks[-1][:2], section.end)
    return blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class _AotSlot:
    """An array of tables, `[[packages.wheels]]`, as pip writes where lines would grow long."""

    text: str
    header: str
    blocks: Sequence[tuple[int, int, int]]
    entries: Sequence[Entry]
    closed: str = ""

    def add(self, wheels: Sequence[FarmWheel]) -> Iterable[Edit]:
        end, place = newline(self.text), self.blocks[-1][2]
        blocks = [f"{end * 2}[[{self.header}]]{end}" + end.join(_pylock_pairs(wheel, padded=True)) for wheel in wheels]
        return (Edit(start=place, end=place, text="".join(blocks)),)

    def remove(self, indices: Collection[int]) -> Iterable[Edit]:
        for index in sorted(indices):
            before, start, end = self.blocks[index]
            yield Edit(start=start if self.text[before:start].strip() else before, end=end)


def _time(time: datetime) -> str:
    """As uv writes times: UTC, fractions of a second without final zeros."""
    text = time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return text.rstrip("0").rstrip(".") + "Z"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _inline(pairs: Iterable[str], *, padded: bool) -> str:
    pad = " " if padded else ""
    return f"{{{pad}{', '.join(pairs)}{pad}}}"


def _uv_entry(entry: dict[str, Any]) -> Entry:
    place = entry.get("url") or entry.get("path") or ""
    return Entry(sha256=digest(entry.get("hash")) or "", filename=entry.get("filename") or file_name(place), url=entry.get("url", ""))


def _uv_writer(table: dict[str, Any], padded: bool) -> _Write:
    # An older uv, or an index that tells none, leaves times out.
    timed = any("upload-time" in file for file in (table.get("sdist", {}), *table.get("wheels", ())))

    def write(wheel: FarmWheel) -> str:
        pairs = [f"url = {_quoted(wheel.url)}", f'hash = "sha256:{wheel.sha256}"']
        pairs += [f"size = {wheel.size}"] if wheel.size is not None else []
        pairs += [f'upload-time = "{_time(wheel.upload_time)}"'] if timed and wheel.upload_time else []
        return _inline(pairs, padded=padded)

    return write


def _uv_closed(table: dict[str, Any]) -> str:
    registry = table.get("source", {}).get("registry", "")
    if registry.startswith(("http://", "https://")):
        return ""
    return "the lock takes the package from a folder, not from an index" if registry else "the lock takes the package from no index"


def _pylock_entry(entry: dict[str, Any]) -> Entry:
    place = entry.get("url") or entry.get("path") or ""
    sha256 = entry.get("hashes", {}).get("sha256")
    found = digest(f"sha256:{sha256}") if sha256 else None
    return Entry(sha256=found or "", filename=entry.get("name") or file_name(place), url=entry.get("url", ""))


def _pylock_pairs(wheel: FarmWheel, *, padded: bool) -> list[str]:
    pairs = [f"name = {_quoted(wheel.filename)}", f"url = {_quoted(wheel.url)}"]
    # A TOML date-time, as PEP 751 has it.
    pairs += [f"upload-time = {_time(wheel.upload_time)}"] if wheel.upload_time else []
    pairs += [f"size = {wheel.size}"] if wheel.size is not None else []
    hashes = _inline([f'sha256 = "{wheel.sha256}"'], padded=padded)
    return [*pairs, f"hashes = {hashes}"]


def _pylock_writer(table: dict[str, Any], padded: bool) -> _Write:  # noqa: ARG001 - as Format has it
    return lambda wheel: _inline(_pylock_pairs(wheel, padded=padded), padded=padded)


def _pylock_closed(table: dict[str, Any]) -> str:
    other = next((key for key in ("vcs", "directory", "archive") if key in table), "")
    if other:
        return f"the lock takes the package from its {other}"
    return "" if "version" in table else "the lock does not tell the package's version"


def _poetry_entry(entry: dict[str, Any]) -> Entry:
    return Entry(sha256=digest(entry.get("hash")) or "", filename=entry.get("file", ""), url="")


def _poetry_writer(table: dict[str, Any], padded: bool) -> _Write:  # noqa: ARG001 - as Format has it
    return lambda wheel: f'{{file = {_quoted(wheel.filename)}, hash = "sha256:{wheel.sha256}"}}'


def _poetry_closed(table: dict[str, Any]) -> str:
    kind = table.get("source", {}).get("type", "legacy")
    return "" if kind in {"legacy", "pypi"} else f"the lock takes the package from a {kind}"


FORMATS = {
    "uv": Format(tables="package", key="wheels", entry=_uv_entry, writer=_uv_writer, closed=_uv_closed),
    "pylock": Format(tables="packages", key="wheels", entry=_pylock_entry, writer=_pylock_writer, closed=_pylock_closed),
    "poetry": Format(tables="package", key="files", entry=_poetry_entry, writer=_poetry_writer, closed=_poetry_closed),
}
