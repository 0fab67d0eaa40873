"""Where things stand in a TOML or JSON text: the character spans of sections, pairs and values.

The text has been parsed before, by a real parser: this only finds the places, and gives up (ValueError) on what it does not know.
Source: TOML 1.0, RFC 8259.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BLANK = re.compile(r"(?:\s|#[^\n]*)*")
_LINE_END = re.compile(r"[ \t]*(?:#[^\r\n]*)?")
_BASIC = r'"(?:[^"\\\n]|\\.)*"'
_LITERAL = r"'[^'\n]*'"
_STRING = re.compile(
    rf"""\"\"\"(?:[^"\\]|\\[\s\S]|"{{1,2}}(?!"))*"{{3,5}}|'''(?:[^']|'{{1,2}}(?!'))*'{{3,5}}|{_BASIC}|{_LITERAL}"""
)
_BARE = re.compile(r"\d{4}-\d\d-\d\d \d\d:[^\s,\]}#]+|[^\s,\]}\[{\"'#]+")
_KEY = re.compile(rf"((?:{_BASIC}|{_LITERAL}|[^=:\"'\s]|[ \t]+(?![=:\s]))+)\s*[=:]\s*")
_HEADER = re.compile(rf"\[(\[)?[ \t]*((?:{_BASIC}|{_LITERAL}|[^\]\"'\n])+?)[ \t]*\](?(1)\])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A value's span. An array has `items`, an inline table or object has `pairs`; all else has neither."""

    start: int
    end: int
    items: tuple[Node, ...] | None = None
    pairs: tuple[tuple[str, Node], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """`key = value` of a section; `end` is that of its line's last character, comment included."""

    key: str
    value: Node
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A `[header]` or `[[header]]` with its pairs; `end` is that of its last line's text. The root has no header: ""."""

    header: str
    array: bool
    start: int
    end: int
    pairs: tuple[Pair, ...]

    def pair(self, key: str) -> Pair | None:
        return next((pair for pair in self.pairs if pair.key == key), None)


def scan_value(text: str, at: int = 0) -> Node:
    """Return the value that stands at or after a place. ValueError when there is none."""
    start = _skip(text, at)
    opening = text[start : start + 1]
    if opening == "[":
        return _array(text, start)
    if opening == "{":
        return _table(text, start)
    found = _STRING.match(text, start) or _BARE.match(text, start)
    if found is None:
        raise _lost(text, start)
    return Node(start=start, end=found.end())


def scan_toml(text: str) -> tuple[Section, ...]:
    """Return the sections of a TOML document, the root first."""
    sections: list[Section] = []
    header, array, start, end = "", False, 0, 0
    pairs: list[Pair] = []
    at = _skip(text, 0)
    while at < len(text):
        found = _HEADER.match(text, at) if text[at] == "[" else None
        if found:
            sections.append(Section(header=header, array=array, start=start, end=end, pairs=tuple(pairs)))
            header, array, start, pairs = _plain(found[2]), bool(found[1]), at, []
            end = _line_end(text, found.end())
        else:
            pairs.append(_pair(text, at))
            end = pairs[-1].end
        at = _skip(text, end)
    sections.append(Section(header=header, array=array, start=start, end=end, pairs=tuple(pairs)))
    return tuple(sections)


def _pair(text: str, at: int) -> Pair:
    key = _KEY.match(text, at)
    if key is None:
        raise _lost(text, at)
    value = scan_value(text, key.end())
    return Pair(key=_plain(key[1]), value=value, start=at, end=_line_end(text, value.end))


def _array(text: str, start: int) -> Node:
    items: list[Node] = []
    at = _skip(text, start + 1)
    while text[at : at + 1] != "]":
        items.append(scan_value(text, at))
        at = _after_comma(text, items[-1].end, "]")
    return Node(start=start, end=at + 1, items=tuple(items))


def _table(text: str, start: int) -> Node:
    pairs: list[tuple[str, Node]] = []
    at = _skip(text, start + 1)
    while text[at : at + 1] != "}":
        key = _KEY.match(text, at)
        if key is None:
            raise _lost(text, at)
        pairs.append((_plain(key[1]), scan_value(text, key.end())))
        at = _after_comma(text, pairs[-1][1].end, "}")
    return Node(start=start, end=at + 1, pairs=tuple(pairs))


def _after_comma(text: str, at: int, closing: str) -> int:
    at = _skip(text, at)
    sign = text[at : at + 1]
    if sign == ",":
        return _skip(text, at + 1)
    if sign != closing:
        raise _lost(text, at)
    return at


def _skip(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    assert found is not None
    return found.end()


def _line_end(text: str, at: int) -> int:
    found = _LINE_END.match(text, at)
    assert found is not None
    return found.end()


def _plain(key: str) -> str:
    """Return a key without its quotes; a dotted one without the spaces around its dots."""
    return ".".join(part.strip().strip("\"'") for part in key.split("."))


def _lost(text: str, at: int) -> ValueError:
    return ValueError(f"line {text.count(chr(10), 0, at) + 1}: found {text[at : at + 20]!r} where a value or key was expected")
