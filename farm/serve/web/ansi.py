"""Lines of a build's log as HTML. What a build prints is a stranger's text: nothing of it is markup, and nothing hides.

Colours are read off as terminals do (ECMA-48 8.3.117, SGR); every other control sequence is dropped. Characters that reorder or
hide text (Unicode TR36 2.5, CVE-2021-42574) are shown by their code points.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST: Final = 2000
"""Characters of a line that are shown; what is beyond is in the log's text."""

# CSI, OSC up to its end (or the line's), other strings, then sequences of two bytes (ECMA-48 5.4, 8.3.89).
_SEQUENCE = re.compile(
    r"\x1b\[(?P<sgr>[0-9;:]*)m|\x1b\[[0-?]*[ -/]*[@-~]?|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[PX^_][^\x1b]*(?:\x1b\\)?|\x1b[ -/]*[0-~]?"
)
_HIDDEN = re.compile("[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_MANNERS: Final = {"1": "b", "2": "f", "3": "i", "4": "u"}
# A manner ends with the number that takes it back; 22 ends both bold and faint.
_ENDS: Final = {"22": ("b", "f"), "23": ("i",), "24": ("u",)}


def line_html(text: str) -> Markup:
    """Return one line, without its end, as HTML: escaped, coloured by spans of the classes b f i u c0…c8."""
    text = _last_overwrite(text)
    pieces: list[str] = []
    style: dict[str, str] = {}
    left = LONGEST
    end = 0
    for match in _SEQUENCE.finditer(text):
        left -= _put(pieces, text[end : match.start()], style, left)
        end = match.end()
        if match["sgr"] is not None:
            _apply(style, match["sgr"])
    left -= _put(pieces, text[end:], style, left)
    if left < 0:
        pieces.append('<span class="f"> … the line goes on in the log as text</span>')
    return Markup("".join(pieces))  # noqa: S704 - each piece was escaped


def line_items(lines: Iterable[str], first: int, mark: int = 0) -> Iterator[Markup]:
    """Yield list items, numbered from `first`, each with a link to itself (`#L12`); the line numbered `mark` stands out."""
    for number, text in enumerate(lines, first):
        kind = Markup(' class="mark"') if number == mark else ""
        yield Markup('<li id="L{0}"{1}><a href="#L{0}">{0}</a>{2}</li>\n').format(number, kind, line_html(text))


def plain(text: str) -> str:
    """Return a line as text alone, for where no colours are shown: an excerpt of a log, a title."""
    return visible(_SEQUENCE.sub("", _last_overwrite(text)))


def _last_overwrite(text: str) -> str:
    """Return what a terminal shows in the end of a line that was written again and again, as progress bars do."""
    text = text.rstrip("\r\n")
    return text.rpartition("\r")[2] if "\r" in text else text


def _put(pieces: list[str], text: str, style: dict[str, str], left: int) -> int:
    """Append a piece as far as `left` characters go; return how many it has."""
    shown = text[: max(left, 0)]
    if shown:
        content = str(escape(visible(shown)))
        kinds = " ".join(sorted(style.values()))
        pieces.append(f'<span class="{kinds}">{content}</span>' if kinds else content)
    return len(text)


def visible(text: str) -> str:
    """Return a text in which each character shows: those that hide or reorder as their code points, controls as U+FFFD."""
    if text.isascii() and text.isprintable():
        return text
    text = _HIDDEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text)
    return _CONTROL.sub("\ufffd", text)


def _apply(style: dict[str, str], parameters: str) -> None:
    codes = iter(re.split("[;:]", parameters or "0"))
    for raw in codes:
        code = raw.lstrip("0") or "0"
        if code == "0":
            style.clear()
        elif code in _MANNERS:
            style[_MANNERS[code]] = _MANNERS[code]
        elif code in _ENDS:
            for manner in _ENDS[code]:
                style.pop(manner, None)
        elif code in {"38", "48"}:
            _skip_colour(codes)
        elif re.fullmatch("[39][0-7]", code):
            # White is the page's own text: what is light on a terminal would not be read on a light page.
            style.pop("colour", None)
            if code[1] != "7":
                style["colour"] = f"c{code[1]}" if code != "90" else "c8"
        elif code == "39":
            style.pop("colour", None)


def _skip_colour(codes: Iterator[str]) -> None:
    """Pass over a colour of 256 or of 16 million: it was chosen for another ground than the page's."""
    kind = next(codes, "")
    for _ in range({"5": 1, "2": 3}.get(kind, 0)):
        next(codes, "")
