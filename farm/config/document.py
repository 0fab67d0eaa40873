"""One TOML file while it is read: its values by the tables of fields, its faults with the line they stand on."""

from __future__ import annotations

import difflib
import tomllib
from typing import TYPE_CHECKING, Any

from farm.config.values import Wrong
from farm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from farm.config.fields import Field

Place = tuple[str | int, ...]
"""Where a value stands in a document: ("recipes", "demo", 0, "memory")."""


class ConfigError(UsageError):
    """config.toml or a recipe's file is not as expected; the reason lists every fault."""


class Document:
    """A parsed file. `name` is what people know it by, `folder` where relative paths count from, `faults` what was found wrong.

    Without its `text` faults have no line.
    """

    def __init__(self, name: str, folder: Path, text: str = "") -> None:
        self.name = name
        self.folder = folder
        self.faults: list[str] = []
        self._lines = lines(text)

    def line(self, place: Place) -> int:
        """Return the line of a value, of the nearest table around it where it has none; 0 when nothing is known."""
        return next((self._lines[place[:end]] for end in range(len(place), 0, -1) if place[:end] in self._lines), 0)

    def begin(self, place: Place) -> int:
        """Return the first line of a table, 0 when nothing is known."""
        return min((line for known, line in self._lines.items() if known[: len(place)] == place), default=0)

    def fault(self, place: Place, what: str) -> None:
        line = self.line(place)
        parts = (f"{self.name}:{line}" if line else "" if place else self.name, dotted(place), what)
        self.faults.append(": ".join(part for part in parts if part))

    def values(self, table: Mapping[str, Any], fields: Iterable[Field], place: Place, also: Sequence[str] = ()) -> dict[str, Any]:
        """Return a table's values by setting; what is unknown or not as expected is a fault. `also` are keys to propose as well."""
        known = {field.path: field for field in fields}
        values: dict[str, Any] = {}
        for path, value in table.items():
            field = known.get(path)
            here = (*place, *path.split(".")) if not place else (*place, path)
            if field is None:
                near = difflib.get_close_matches(path, [*known, *also], n=1)
                self.fault(here, f"unknown key{f'; perhaps you meant {near[0]}' if near else ''}")
                continue
            try:
                values[field.setting] = field.parse(value)
            except (Wrong, TypeError) as error:
                told = str(error) if isinstance(error, Wrong) else ""
                self.fault(here, told or f"expected {field.expected}, found {value!r}")
        return values


def refuse(faults: Sequence[str], source: str) -> None:
    """ConfigError with all of these faults, if there are any."""
    if faults:
        text = "\n".join(f"  {fault}" for fault in faults)
        reason = f"{source}: {len(faults)} fault{'s' if len(faults) > 1 else ''}\n{text}"
        raise ConfigError(reason, solution="docs/configuration.md lists every key")


def dotted(place: Place) -> str:
    """Return `recipes.demo[0].memory`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def lines(text: str) -> dict[Place, int]:
    """Return the line on which each table and value of a TOML document begins; of one that is not valid, as far as it is."""
    found: dict[Place, int] = {}
    arrays: dict[Place, int] = {}
    here: Place = ()
    for number, header, content in _statements(text):
        if header:
            here = _table(content, arrays)
            found.setdefault(here, number)
        else:
            for place in _places(content):
                found.setdefault((*here, *place), number)
    return found


def _statements(text: str) -> Iterator[tuple[int, bool, dict[str, Any]]]:
    """Yield (line, whether it is a table's header, content) of each statement: the fewest lines that are TOML by themselves."""
    start, chunk = 1, ""
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        chunk += line
        try:
            content = tomllib.loads(chunk)
        except tomllib.TOMLDecodeError:
            continue
        if content:
            yield start, chunk.startswith("[") or chunk.lstrip().startswith("["), content
        start, chunk = number + 1, ""


def _table(content: dict[str, Any], arrays: dict[Place, int]) -> Place:
    """Return the place that a header opens; `arrays` counts the tables of each array so far."""
    here: Place = ()
    value: Any = content
    while isinstance(value, dict) and value:
        name, value = next(iter(value.items()))
        here = (*here, name)
        if isinstance(value, list):
            arrays[here] = arrays.get(here, -1) + 1
        if here in arrays:
            here = (*here, arrays[here])
    return here


def _places(value: Any) -> Iterator[Place]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield (key,)
        for place in _places(item):
            yield (key, *place)
