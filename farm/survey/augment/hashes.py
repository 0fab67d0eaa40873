"""Formats that know files by their hashes only: `--hash` in requirements files, `hashes` in Pipfile.lock."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from farm.survey.augment.edits import Edit
from farm.survey.augment.scan import scan_value
from farm.survey.augment.slots import ArraySlot, Closed, Entry, Slot
from farm.survey.augment.tables import strange
from farm.survey.locks.document import digest
from farm.survey.reading.lines import logical_lines

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from farm.model.demand import Requirement
    from farm.model.shelf import FarmWheel
    from farm.survey.augment.scan import Node
    from farm.survey.reading.lines import LogicalLine

_HASH = re.compile(r"--hash(?:=|[ \t]+)(\w+:[0-9A-Fa-f]+)(?=[\s\\]|\Z)")
_COMMENT = re.compile(r"(?:(?<=\s)|^)#.*")
_GAP = " \t\r\n\\"


@dataclass(frozen=True, slots=True, kw_only=True)
class _LineSlot:
    """The `--hash` options of one requirement; `tokens` are their spans, each with what sets it apart from the word before."""

    text: str
    tokens: Sequence[tuple[int, int]]
    entries: Sequence[Entry]
    closed: str = ""

    def add(self, wheels: Sequence[FarmWheel]) -> Iterable[Edit]:
        start, end = self.tokens[-1]
        token = self.text[start:end]
        gap = token[: len(token) - len(token.lstrip(_GAP))]
        text = "".join(f"{gap}--hash=sha256:{wheel.sha256}" for wheel in wheels)
        return (Edit(start=end, end=end, text=text),)

    def remove(self, indices: Collection[int]) -> Iterable[Edit]:
        return [Edit(start=self.tokens[i][0], end=self.tokens[i][1]) for i in sorted(indices)]


def line_slots(text: str, requirements: Iterable[Requirement], env: Mapping[str, str]) -> Iterator[Slot]:
    """Yield the slot of each requirement of one file's text."""
    starts = [0]
    for raw in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(raw))
    lines = {line.number: line for line in logical_lines(text, env)}
    for requirement in requirements:
        yield _line_slot(text, requirement, lines[requirement.origin.line], starts)


def _line_slot(text: str, requirement: Requirement, line: LogicalLine, starts: Sequence[int]) -> Slot:
    if requirement.url is not None or requirement.pinned is None:
        return Closed(closed="the line pins no version of an index")
    found: list[tuple[int, int, str]] = []
    for number, raw in line.parts:
        start = starts[number - 1]
        comment = _COMMENT.search(raw)
        end = start + (comment.start() if comment else len(raw))
        found += [(match.start(), match.end(), match[1].lower()) for match in _HASH.finditer(text, start, end)]
    if tuple(dict.fromkeys(value for _, _, value in found)) != requirement.hashes:
        return Closed(closed="its hashes are written with quotes, variables or shortened options: write --hash=sha256:DIGEST")
    tokens = [(_gap_start(text, start), end) for start, end, _ in found]
    return _LineSlot(text=text, tokens=tokens, entries=[Entry(sha256=digest(value) or "") for _, _, value in found])


def _gap_start(text: str, at: int) -> int:
    while text[at - 1] in _GAP:
        at -= 1
    return at


def pipfile_slots(text: str) -> tuple[Slot, ...]:
    """Return the slot of each package, category after category."""
    data: dict[str, Any] = json.loads(text)
    return tuple(
        _pipfile_slot(text, package, entry)
        for (category, node), packages in _beside(scan_value(text), data)
        if category != "_meta"
        for (_, package), entry in _beside(node, packages)
    )


def _beside(node: Node, data: dict[str, Any]) -> Iterator[tuple[tuple[str, Node], Any]]:
    if len(node.pairs) != len(data):
        raise strange("a key stands twice in one object")
    return zip(node.pairs, data.values(), strict=True)


def _pipfile_slot(text: str, package: Node, entry: dict[str, Any]) -> Slot:
    array = next((node for key, node in package.pairs if key == "hashes"), None)
    if array is None or "version" not in entry:
        return Closed(closed="its entry has no hashes" if "version" in entry else "the lock takes the package from no index")
    entries = [Entry(sha256=digest(value) or "") for value in entry["hashes"]]
    return ArraySlot(text=text, array=array, entries=entries, write=lambda wheel: f'"sha256:{wheel.sha256}"')
