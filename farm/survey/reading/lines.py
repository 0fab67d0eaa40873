"""From a file's text to logical lines: joins, comments and variables, in the order and with the corner cases of pip."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_COMMENT = re.compile(r"(?:^|\s+)#.*$")
_VARIABLE = re.compile(r"(\$\{([A-Z0-9_]+)\})")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogicalLine:
    """A line after joining, without its comment, stripped, with variables put in; never empty.

    `number` is that of the first physical line; `parts` are the physical lines with their numbers.
    """

    number: int
    text: str
    parts: tuple[tuple[int, str], ...]

    @property
    def column(self) -> int:
        """The column, from 1, where the first physical line begins to say something."""
        raw = self.parts[0][1]
        return len(raw) - len(raw.lstrip()) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A character of a file: its physical line, the column from 1, and that line as it stands in the file."""

    line: int
    column: int
    raw: str


def logical_lines(text: str, env: Mapping[str, str]) -> Iterator[LogicalLine]:
    """Yield what pip's parser sees. A variable that is not set, or is empty, stays as written."""
    pending: list[tuple[int, str]] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        pending.append((number, raw))
        if not raw.endswith("\\") or _is_comment(raw):
            yield from _finished(tuple(pending), env)
            pending = []
    if pending:
        yield from _finished(tuple(pending), env)


def variables(line: LogicalLine, env: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the line's variables: those that were replaced, and those that were not set."""
    text = _uncommented("".join(_piece(raw)[0] for _, raw in line.parts))
    names = dict.fromkeys(name for _, name in _VARIABLE.findall(text))
    return tuple(name for name in names if env.get(name)), tuple(name for name in names if not env.get(name))


def locate(line: LogicalLine, offset: int, env: Mapping[str, str]) -> Place:
    """Return where in the file the character at `offset` of the line's text comes from.

    A character of a variable's value comes from the `$`; an offset at the end from just after the last character.
    """
    places = [
        Place(line=number, column=index + 1 - added, raw=raw)
        for number, raw in line.parts
        for piece, added in [_piece(raw)]
        for index in range(len(piece))
    ]
    joined = "".join(_piece(raw)[0] for _, raw in line.parts)
    bare = _uncommented(joined)
    lead = len(bare) - len(bare.lstrip())
    origins = _expanded_positions(bare.strip(), env)
    if offset < len(origins):
        return places[lead + origins[offset]]
    last = places[lead + origins[-1]]
    # The last character may be the `$` of a variable: the end is after the whole of it.
    end = len(bare.rstrip()) - (lead + origins[-1])
    return Place(line=last.line, column=last.column + end, raw=last.raw)


def _finished(parts: tuple[tuple[int, str], ...], env: Mapping[str, str]) -> Iterator[LogicalLine]:
    joined = "".join([_piece(raw)[0] for _, raw in parts]) if len(parts) > 1 else _piece(parts[0][1])[0]
    text = _uncommented(joined).strip()
    if text:
        yield LogicalLine(number=parts[0][0], text=_expanded(text, env), parts=parts)


def _piece(raw: str) -> tuple[str, int]:
    """Return what a physical line adds to the joined one, and by how much its columns move."""
    if _is_comment(raw):
        # A comment that follows a backslash still ends the entry as a comment, however it is glued on.
        return f" {raw}", 1
    if raw.endswith("\\"):
        return raw.strip("\\"), len(raw.lstrip("\\")) - len(raw)
    return raw, 0


def _is_comment(raw: str) -> bool:
    return "#" in raw and _COMMENT.match(raw) is not None


def _uncommented(text: str) -> str:
    return _COMMENT.sub("", text) if "#" in text else text


def _expanded(text: str, env: Mapping[str, str]) -> str:
    if "${" not in text:
        return text
    for variable, name in _VARIABLE.findall(text):
        text = text.replace(variable, env.get(name) or variable)
    return text


def _expanded_positions(text: str, env: Mapping[str, str]) -> list[int]:
    """Return, for each character after expansion, the index of the character before it that it comes from."""
    positions = list(range(len(text)))
    for variable, name in _VARIABLE.findall(text):
        value = env.get(name) or variable
        start = text.find(variable) if value != variable else -1
        while start >= 0:
            end = start + len(variable)
            text = text[:start] + value + text[end:]
            positions[start:end] = [positions[start]] * len(value)
            start = text.find(variable, start + len(value))
    return positions
