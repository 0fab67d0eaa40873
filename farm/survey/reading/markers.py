"""Environment markers (PEP 508): parsed once for each text, with the fault pointed at when one does not parse."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import lru_cache

from packaging.markers import InvalidMarker, Marker

from farm.survey.reading.explain import shown
from farm.survey.reading.faults import Complaint, RefusedError

_VARIABLES = (
    "extra",
    "implementation_name",
    "implementation_version",
    "os_name",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "python_full_version",
    "python_version",
    "sys_platform",
)
_WORD = re.compile(r"[A-Za-z0-9._-]+|\S")


def read_marker(text: str, start: int) -> Marker | None:
    """Return the marker that is written from `start` on, None when nothing is; RefusedError when it is malformed."""
    condition = text[start:]
    stripped = condition.strip()
    if not stripped:
        return None
    try:
        return _parsed_marker(stripped)
    except InvalidMarker as error:
        lead = len(condition) - len(condition.lstrip())
        raise RefusedError(_explained(stripped, error, start + lead)) from None


@lru_cache(maxsize=4096)
def _parsed_marker(text: str) -> Marker:
    # A lock repeats a few markers hundreds of times, and each costs more to parse than the rest of its line.
    return Marker(text)


def _explained(text: str, error: InvalidMarker, start: int) -> Complaint:
    offset = min(getattr(error.__cause__, "span", (0, 0))[0], len(text))
    message: str = getattr(error.__cause__, "message", "Expected a marker")
    word = _WORD.match(text, offset)
    near = get_close_matches(word[0], _VARIABLES, n=1, cutoff=0.6) if word else []
    if near:
        solution = f"perhaps you meant {near[0]}"
    elif word and word[0] in {"&", "|"}:
        solution = 'join conditions with "and" or "or"'
    else:
        solution = "write a marker like: python_version >= '3.12' and sys_platform == 'linux' (values in quotes)"
    return Complaint(
        offset=start + offset,
        found=shown(text, offset),
        expected=message.removeprefix("Expected ").strip(),
        solution=solution,
    )
