"""Edits of a text at known places, and how a list gets further entries so that taking them out again leaves no trace."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from farm.survey.augment.scan import Node

_COMMA = re.compile(r"(?:\s|#[^\n]*\n)*,")
_COMMENT = re.compile(r"[ \t]*#[^\r\n]*")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Edit:
    """Put `text` in place of the characters from `start` to `end`."""

    start: int
    end: int
    text: str = ""


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return the text with all edits done; they must not overlap."""
    pieces: list[str] = []
    at = 0
    for edit in sorted(edits):
        assert edit.start >= at, f"two edits overlap at {edit.start}"
        pieces += (text[at : edit.start], edit.text)
        at = edit.end
    return "".join((*pieces, text[at:]))


def newline(text: str) -> str:
    """Return the line ending that the text has first."""
    at = text.find("\n")
    return "\r\n" if at > 0 and text[at - 1] == "\r" else "\n"


def extend(text: str, array: Node, entries: Sequence[str]) -> Edit:
    """Return the edit that puts entries at the end of an array, set apart as its last one is, a final comma kept."""
    items = array.items or ()
    if not items:
        return Edit(start=array.start + 1, end=array.start + 1, text=", ".join(entries))
    gap = _gap(text, items)
    last = items[-1].end
    comma = _comma_end(text, last)
    if comma is None:
        return Edit(start=last, end=last, text="".join(f",{gap}{entry}" for entry in entries))
    comment = _COMMENT.match(text, comma) if "\n" in gap else None
    at = comment.end() if comment else comma
    return Edit(start=at, end=at, text="".join(f"{gap}{entry}," for entry in entries))


def shorten(text: str, array: Node, indices: Collection[int]) -> Iterator[Edit]:
    """Yield the edits that take entries out of an array: of what `extend` put there, exactly that."""
    items = array.items or ()
    for first, last in _runs(sorted(indices)):
        start, end = items[first].start, items[last].end
        comma = _comma_end(text, end)
        if comma is not None:
            before = _before(text, start)
            alone = before == start and first == 0 and last + 1 < len(items)
            yield Edit(start=before, end=items[last + 1].start if alone else comma)
        elif first > 0:
            comma = _comma_end(text, items[first - 1].end)
            assert comma is not None
            yield Edit(start=comma - 1, end=end)
        else:
            yield Edit(start=start, end=end)


def _gap(text: str, items: Sequence[Node]) -> str:
    start = items[-1].start
    gap = text[_before(text, start) : start]
    return gap if "\n" in gap or len(items) > 1 else " "


def _before(text: str, at: int) -> int:
    """Return where the white space before a place begins."""
    while at > 0 and text[at - 1].isspace():
        at -= 1
    return at


def _comma_end(text: str, at: int) -> int | None:
    found = _COMMA.match(text, at)
    return found.end() if found else None


def _runs(indices: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last of each row of neighbours."""
    start: int | None = None
    for here, after in zip(indices, (*indices[1:], None), strict=True):
        start = here if start is None else start
        if after != here + 1:
            yield start, here
            start = None
