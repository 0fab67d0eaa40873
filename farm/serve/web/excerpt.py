"""Which lines of a long log are shown: its head, what is around the line that matters, its end. Reads a line at a time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

_HEAD = 120
_AROUND = 40
_TAIL = 400
# What is beyond is a line's that nobody reads whole; it is read past in pieces.
LONGEST = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Lines without their ends, as text, from the line numbered `first` (1-based) on."""

    first: int
    lines: tuple[str, ...]

    @property
    def last(self) -> int:
        return self.first + len(self.lines) - 1


def read_lines(file: BinaryIO) -> Iterator[str]:
    r"""Yield the lines of a log, counted as the diagnosis counts them: by "\n" alone."""
    while line := file.readline(LONGEST):
        rest = line
        while len(rest) == LONGEST and not rest.endswith(b"\n"):
            rest = file.readline(LONGEST)
        yield line.decode("utf-8", "replace").rstrip("\n")


def read_excerpt(path: Path, mark: int = 0) -> tuple[Stretch, ...]:
    """Return the stretches to show, in order and apart; all of a log that is not longer than they are. OSError.

    `mark` is the line that must be among them, 0 for none.
    """
    kept: dict[int, str] = {}
    tail: deque[tuple[int, str]] = deque(maxlen=_TAIL)
    with path.open("rb") as file:
        for number, line in enumerate(read_lines(file), 1):
            if number <= _HEAD or (mark and abs(number - mark) <= _AROUND):
                kept[number] = line
            tail.append((number, line))
    kept.update(tail)
    return tuple(_stretches(kept))


def _stretches(kept: dict[int, str]) -> Iterator[Stretch]:
    first, lines = 0, list[str]()
    for number in sorted(kept):
        if lines and number != first + len(lines):
            yield Stretch(first=first, lines=tuple(lines))
            lines = []
        if not lines:
            first = number
        lines.append(kept[number])
    if lines:
        yield Stretch(first=first, lines=tuple(lines))
