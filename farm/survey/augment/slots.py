"""The places of a lock file where a package's files or hashes stand: what is there, and the edits that change it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from farm.survey.augment.edits import Edit, extend, newline, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from farm.model.shelf import FarmWheel
    from farm.survey.augment.scan import Node

INDENT = "    "


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file or hash in a lock. `filename` and `url` are "" where the format has none, `sha256` where it is of another algorithm."""

    sha256: str
    filename: str = ""
    url: str = ""


class Slot(Protocol):
    """Where one package's files stand. `closed` says why farm wheels cannot go there, "" where they can."""

    @property
    def entries(self) -> Sequence[Entry]: ...
    @property
    def closed(self) -> str: ...
    def add(self, wheels: Sequence[FarmWheel]) -> Iterable[Edit]: ...
    def remove(self, indices: Collection[int]) -> Iterable[Edit]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A slot that nothing is put into."""

    closed: str
    entries: Sequence[Entry] = ()

    def add(self, wheels: Sequence[FarmWheel]) -> Iterable[Edit]:
        raise AssertionError(wheels)

    def remove(self, indices: Collection[int]) -> Iterable[Edit]:
        raise AssertionError(indices)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArraySlot:
    """An array that is there."""

    text: str
    array: Node
    entries: Sequence[Entry]
    write: Callable[[FarmWheel], str]
    closed: str = ""

    def add(self, wheels: Sequence[FarmWheel]) -> Iterable[Edit]:
        return (extend(self.text, self.array, [self.write(wheel) for wheel in wheels]),)

    def remove(self, indices: Collection[int]) -> Iterable[Edit]:
        return shorten(self.text, self.array, indices)


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeSlot:
    """An array that may have to be made: `key = [...]` on lines of its own after `place`, the end of the line before.

    `array` is there when all in it is laid out as made here, so that taking all out takes the whole.
    """

    text: str
    key: str
    place: int
    array: Node | None
    entries: Sequence[Entry]
    write: Callable[[FarmWheel], str]
    closed: str = ""

    def add(self, wheels: Sequence[FarmWheel]) -> Iterable[Edit]:
        lines = [self.write(wheel) for wheel in wheels]
        if self.array is not None:
            return (extend(self.text, self.array, lines),)
        end = newline(self.text)
        body = "".join(f"{INDENT}{line},{end}" for line in lines)
        return (Edit(start=self.place, end=self.place, text=f"{end}{self.key} = [{end}{body}]"),)

    def remove(self, indices: Collection[int]) -> Iterable[Edit]:
        assert self.array is not None
        if len(set(indices)) == len(self.entries):
            return (Edit(start=self.place, end=self.array.end),)
        return shorten(self.text, self.array, indices)


def made_here(text: str, array: Node) -> bool:
    """Tell whether an array is laid out as MadeSlot does: an entry a line, each with its comma, and no comment."""
    items = array.items or ()
    end = newline(text)
    places = [array.start + 1, *(item.end + 1 for item in items)]
    between = [text[start : item.start] for start, item in zip(places, items, strict=False)]
    commas = all(text[item.end : item.end + 1] == "," for item in items)
    return bool(items) and commas and all(gap == end + INDENT for gap in between) and text[places[-1] : array.end] == f"{end}]"
