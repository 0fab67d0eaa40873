"""A night's report, as it is kept in JSON, in sections for its page. Reports of other versions of the farm are read as far as they go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ITEMS: Final = (
    ("regressions", "Built before, and fail now"),
    ("failing", "Still fail"),
    ("built", "Built"),
    ("missing", "Lacked a wheel for the first time"),
    ("retired", "Upstream has a wheel now"),
    ("returned", "Upstream's wheel is gone again"),
    ("deferred", "Had to wait: no time was left"),
    ("waiting", "To be tried again later"),
    ("hopeless", "Nothing can be built"),
)
_FAULTS: Final = (("unreadable", "Sets that could not be read"), ("undelivered", "Reports that could not be delivered"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An item of a report: `name` is the project's ("" where it is none's), `build` the id of its attempt, `text` what became of it."""

    name: str
    about: str
    text: str
    build: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    heading: str
    lines: tuple[Line, ...]


def report_sections(report: Mapping[str, Any]) -> tuple[Section, ...]:
    """Return what a report has to say, the worst first; nothing for an empty one."""
    found = [Section(heading=heading, lines=tuple(_faults(report, key))) for key, heading in _FAULTS]
    if isinstance(broken := report.get("broken"), str) and broken:
        found.insert(0, Section(heading="The night broke off", lines=(Line(name="", about="", text=broken),)))
    found += [Section(heading=heading, lines=tuple(_items(report, key))) for key, heading in _ITEMS]
    notes = report.get("notes")
    if isinstance(notes, list | tuple):
        lines = tuple(Line(name="", about="", text=str(note)) for note in notes)
        found.append(Section(heading="Notes", lines=lines))
    return tuple(section for section in found if section.lines)


def _items(report: Mapping[str, Any], key: str) -> Iterator[Line]:
    for item in _dicts(report, key):
        healed = item.get("healed")
        text = _text(item, "reason")
        if isinstance(healed, list) and healed:
            text = f"healed: {', '.join(map(str, healed))}"
        if remedy := _text(item, "remedy"):
            text = f"{text}; {remedy}" if text else remedy
        about = " ".join(filter(None, (_text(item, "version"), f"for {target}" if (target := _text(item, "target")) else "")))
        if not _text(item, "name"):
            continue
        yield Line(name=_text(item, "name"), about=about, text=text, build=_text(item, "attempt"))


def _faults(report: Mapping[str, Any], key: str) -> Iterator[Line]:
    for fault in _dicts(report, key):
        yield Line(name="", about=_text(fault, "subject"), text=_text(fault, "text"))


def _dicts(report: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
    found = report.get(key)
    yield from (item for item in found if isinstance(item, dict)) if isinstance(found, list | tuple) else ()


def _text(item: Mapping[str, Any], key: str) -> str:
    found = item.get(key)
    return found if isinstance(found, str) else ""
