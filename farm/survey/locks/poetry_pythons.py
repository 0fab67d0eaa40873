"""Poetry's own constraints on Python ("^3.10", "~3.12", ">=3.9,<3.13 || >=3.14") as PEP 440 specifiers."""

from __future__ import annotations

import re

from packaging.markers import Marker
from packaging.specifiers import SpecifierSet

_PIECE = re.compile(r"(\^|~=|~|===?|[<>!]=|=|<|>)?\s*(\d[\w.*+!-]*)[\s,]*")


def pythons(text: str) -> tuple[SpecifierSet, ...]:
    """Return the alternatives of a constraint, none for "*". ValueError when it is not one (Poetry's "Version constraints")."""
    alternatives = [part.strip() for part in text.replace("||", "|").split("|")]
    return () if "*" in alternatives else tuple(_alternative(part) for part in alternatives)


def as_marker(alternatives: tuple[SpecifierSet, ...]) -> Marker:
    """Return the marker that holds where one of the alternatives does."""
    texts = (" and ".join(f"python_full_version {s.operator} '{s.version}'" for s in each) for each in alternatives)
    return Marker(" or ".join(f"({text})" for text in texts))


def _alternative(text: str) -> SpecifierSet:
    pieces: list[str] = []
    position = 0
    while position < len(text):
        found = _PIECE.match(text, position)
        if found is None:
            break
        pieces.append(_specifier(found[1] or "==", found[2]))
        position = found.end()
    if not pieces or position < len(text):
        message = f"expected a constraint such as ^3.10, found {text!r}"
        raise ValueError(message)
    return SpecifierSet(",".join(pieces))


def _specifier(operator: str, version: str) -> str:
    if operator not in {"^", "~"}:
        return f"{'==' if operator == '=' else operator}{version}"
    numbers = [int(number) for number in version.split(".")]
    last = len(numbers) - 1
    # A caret admits all up to the next change of the first number that is not 0.
    kept = min(1, last) if operator == "~" else next((i for i, number in enumerate(numbers) if number), last)
    above = [*numbers[:kept], numbers[kept] + 1]
    return f">={version},<{'.'.join(map(str, above))}"
