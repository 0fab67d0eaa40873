"""The template environment: everything is escaped, what is not defined is an error, and times, sizes and spans read one way."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from farm import __version__
from farm.serve.web.ansi import plain, visible
from farm.serve.web.assets import asset
from farm.serve.web.words import BUILDS, CELLS, NIGHTS, word

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from farm.model.overview import TargetTotals

_UNITS: Final = ("B", "kB", "MB", "GB", "TB")


@cache
def environment() -> Environment:
    """Return the one environment of the process. Templates are compiled once and never looked at again."""
    made = Environment(
        loader=PackageLoader("farm.serve.web"), autoescape=True, undefined=StrictUndefined, auto_reload=False,
        trim_blocks=True, lstrip_blocks=True, finalize=_finalize,
    )  # fmt: skip
    made.filters.update(
        moment=moment, duration=duration, size=size, count=count, segment=segment, visible=plain, visible_lines=visible_lines,
        parts=target_parts,
    )
    made.globals.update(
        style=asset("farm.css"), script=asset("farm.js"), icon=asset("farm.svg"), version=__version__,
        cell_word=lambda state: word(CELLS, state), build_word=lambda state: word(BUILDS, state),
        night_word=lambda state: word(NIGHTS, state), known_states=known_states,
    )  # fmt: skip
    return made


def _finalize(value: object) -> object:
    """Let nothing hide in what a template puts out, whether or not it thought of it."""
    return visible(value) if type(value) is str else value


def visible_lines(text: str) -> str:
    """Return a text of several lines with nothing in it that hides or reorders."""
    return "\n".join(plain(line) for line in text.split("\n"))


def known_states(rows: Iterable[TargetTotals]) -> tuple[str, ...]:
    """Return the states that any of the totals counts, in the order of the words."""
    found = {state for row in rows for state, number in row.states.items() if number}
    return (*(state for state in CELLS if state in found), *sorted(found.difference(CELLS)))


def moment(when: datetime | None) -> str:
    """Return a time element: minutes for a person, all of it for a machine; "never" for None."""
    if when is None:
        return "never"
    return Markup('<time datetime="{}">{}</time>').format(when.isoformat(timespec="seconds"), when.strftime("%Y-%m-%d %H:%M"))


def duration(seconds: float) -> str:
    """Return a span of time in its two largest units: `4 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if 0 < seconds < 9.95 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def size(octets: float) -> str:
    """Return a size in decimal units (IEC 80000-13): `820 B`, `1.4 MB`, `23 MB`."""
    unit = 0
    value = float(octets)
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value /= 1000
        unit += 1
    return f"{value:.1f} {_UNITS[unit]}" if unit and value < 9.95 else f"{value:.0f} {_UNITS[unit]}"


def count(number: float) -> str:
    """Return a number with its thousands apart by a narrow space, as no locale misreads it."""
    return f"{number:,.0f}".replace(",", "\u202f")


def segment(text: str) -> str:
    """Return a text as one segment of a URL's path, or as a value in its query."""
    return quote(text, safe="")


@cache
def target_parts(target: str) -> tuple[str, str, str]:
    """Return a target's interpreter, platform and architecture, for a heading of three lines."""
    python, _, rest = target.partition("-")
    for mark in ("_x86_64", "_aarch64", "_arm64", "_armv7l", "_i686", "_ppc64le", "_s390x", "_riscv64", "_amd64"):
        if rest.endswith(mark):
            return python, rest.removesuffix(mark), mark[1:]
    return python, rest, ""


def render(name: str, context: dict[str, Any]) -> str:
    """Return a page. `context` has `root`: the relative path from the page's URL to the server's root, "./" or "../"."""
    return environment().get_template(name).render(context)
