"""A lock file's text as a tree whose every value is checked when it is asked for, and told with its place when it is wrong."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from packaging.markers import InvalidMarker, Marker
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from farm.model.demand import Demand, DirectSource, Origin
from farm.model.lock import Choice
from farm.model.package import parse_digest
from farm.survey.reading.faults import Fault, RequirementsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from farm.model.lock import LockedPackage
    from farm.model.package import Digest, NormalizedName

_T = TypeVar("_T")
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_EXTRA = re.compile(r"""\bextra\s*(==|!=)\s*(['"])([^'"]*)\2""")
_EXTRA_LAST = re.compile(r"""(['"])([^'"]*)\1\s*(==|!=)\s*extra\b""")
_KINDS = {str: "a string", bool: "true or false", int: "a whole number", list: "an array", dict: "a table"}
_AGAIN = "make the lock anew with its own tool"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a reader got out of a file: the demand, and which extras and groups there were to choose from."""

    demand: Demand
    extras: frozenset[NormalizedName] = frozenset()
    groups: frozenset[NormalizedName] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Document:
    """A file to read: its name as the user gave it, its text, and what was chosen of it."""

    file: str
    text: str
    choice: Choice = field(default_factory=Choice)

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def origin(self, line: int = 1) -> Origin:
        return Origin(file=self.file, line=line)

    def refuse(self, line: int, *, expected: str, found: str, solution: str = _AGAIN) -> NoReturn:
        """Raise RequirementsError with this one fault; `line` counts from 1."""
        raise RequirementsError((self.fault((line, 1), expected=expected, found=found, solution=solution),))

    def fault(self, place: tuple[int, int], *, expected: str, found: str, solution: str = _AGAIN) -> Fault:
        line, column = place
        excerpt = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return Fault(
            file=self.file, line=line, column=column, excerpt=excerpt, found=found, expected=expected, solution=solution
        )

    def toml(self) -> Record:
        """Return the root table. RequirementsError with line and column when it is not TOML."""
        try:
            return Record(document=self, data=tomllib.loads(self.text), line=1, path="")
        except tomllib.TOMLDecodeError as error:
            told = _PLACE.search(str(error))
            place = (int(told[1]), int(told[2])) if told and told[1] else (max(1, len(self.lines)), 1)
            what = _PLACE.sub("", str(error))
            found = f"a fault in the TOML: {what[:1].lower()}{what[1:]}"
            raise RequirementsError((self.fault(place, expected="TOML", found=found, solution="correct the line"),)) from None

    def json(self) -> Record:
        """Return the root object. RequirementsError with line and column when it is not a JSON object."""
        try:
            data = json.loads(self.text)
        except json.JSONDecodeError as error:
            place = (error.lineno, error.colno)
            found = f"a fault in the JSON: {error.msg[:1].lower()}{error.msg[1:]}"
            raise RequirementsError((self.fault(place, expected="JSON", found=found, solution="correct the line"),)) from None
        if not isinstance(data, dict):
            self.refuse(1, expected="a JSON object", found=_told(data))
        return Record(document=self, data=data, line=1, path="")

    def headers(self, name: str) -> list[int]:
        """Return the line of each `[[name]]` header, in order: that of the array's items, as tools write them."""
        header = f"[[{name}]]"
        return [number for number, line in enumerate(self.lines, 1) if line.strip() == header]

    def find(self, text: str) -> int:
        """Return the first line that contains `text`; 1 when none does."""
        return next((number for number, line in enumerate(self.lines, 1) if text in line), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A table. Each getter returns a value of the right kind, or raises RequirementsError with the key's dotted path."""

    document: Document
    data: dict[str, Any]
    line: int
    path: str

    def __contains__(self, key: str) -> bool:
        return key in self.data

    def refuse(self, key: str, *, expected: str, found: str, solution: str = _AGAIN) -> NoReturn:
        path = f"{self.path}.{key}" if self.path else key
        self.document.refuse(self.line, expected=f"{path} to be {expected}", found=found, solution=solution)

    def _get(self, key: str, kind: type[_T]) -> _T | None:
        value = self.data.get(key)
        if value is None:
            return None
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.refuse(key, expected=_KINDS[kind], found=_told(value))
        return value

    def text(self, key: str) -> str | None:
        return self._get(key, str)

    def need(self, key: str) -> str:
        value = self.text(key)
        if value is None:
            self.refuse(key, expected="a string", found="nothing")
        return value

    def number(self, key: str) -> int | None:
        return self._get(key, int)

    def flag(self, key: str) -> bool:
        return self._get(key, bool) or False

    def texts(self, key: str) -> tuple[str, ...]:
        values: list[Any] = self._get(key, list) or []
        for value in values:
            if not isinstance(value, str):
                self.refuse(key, expected="an array of strings", found=f"one with {_told(value)}")
        return tuple(values)

    def table(self, key: str) -> Record:
        """Return a table within this one; an empty one when it is not there."""
        return self.within(key, self._get(key, dict) or {})

    def within(self, key: str, data: dict[str, Any], line: int | None = None) -> Record:
        path = f"{self.path}.{key}" if self.path else key
        return Record(document=self.document, data=data, line=line or self.line, path=path)

    def records(self, key: str, lines: Iterable[int] = ()) -> tuple[Record, ...]:
        """Return the tables of an array, each at its own line where as many `lines` are given as there are tables."""
        values: list[Any] = self._get(key, list) or []
        for value in values:
            if not isinstance(value, dict):
                self.refuse(key, expected="an array of tables", found=f"one with {_told(value)}")
        places: list[int | None] = list(lines)
        if len(places) != len(values):
            places = [None] * len(values)
        return tuple(self.within(f"{key}[{i}]", value, places[i]) for i, value in enumerate(values))

    def tables(self) -> tuple[tuple[str, Record], ...]:
        """Return the tables of a table, by name."""
        return tuple((key, self.table(key)) for key in self.data)

    def name(self, key: str = "name") -> NormalizedName:
        return canonicalize_name(self.need(key))

    def version(self, key: str = "version", prefix: str = "") -> Version | None:
        text = self.text(key)
        if text is None:
            return None
        try:
            return Version(text.removeprefix(prefix))
        except InvalidVersion:
            self.refuse(key, expected="a version (PEP 440)", found=repr(text))

    def specifier(self, key: str) -> SpecifierSet | None:
        text = self.text(key)
        if text is None or text == "*":
            return None
        try:
            return SpecifierSet(text)
        except InvalidSpecifier:
            self.refuse(key, expected="version specifiers (PEP 440)", found=repr(text))

    def marker(self, key: str) -> Marker | None:
        text = self.text(key)
        return self.parsed_marker(key, text) if text else None

    def parsed_marker(self, key: str, text: str) -> Marker:
        try:
            return read_marker(text)
        except InvalidMarker as error:
            found = f"{text!r} ({str(error).splitlines()[0]})"
            self.refuse(key, expected="an environment marker", found=found)


@lru_cache(maxsize=8192)
def read_marker(text: str) -> Marker:
    """Return a marker with each `extra == "x"` as `"x" in extras` (PEP 751): several extras may be asked for at once."""

    def member(extra: str, operator: str) -> str:
        return f"'{extra}' {'in' if operator == '==' else 'not in'} extras"

    text = _EXTRA.sub(lambda found: member(found[3], found[1]), text)
    return Marker(_EXTRA_LAST.sub(lambda found: member(found[2], found[3]), text))


def either(markers: Iterable[Marker]) -> Marker | None:
    """Return the marker that holds where one of these does."""
    texts = list(dict.fromkeys(str(marker) for marker in markers))
    return Marker(" or ".join(f"({text})" for text in texts)) if texts else None


def digest(text: str | None) -> Digest | None:
    """Return a file's sha256; None when there is none or it is of another algorithm."""
    if text is None or not text.startswith("sha256:"):
        return None
    try:
        return parse_digest(text)
    except ValueError:
        return None


def file_name(url: str) -> str:
    """Return the file name at the end of a URL or path."""
    name = re.split(r"[?#]", url, maxsplit=1)[0].rpartition("/")[2]
    return _ESCAPES.sub(lambda found: bytes.fromhex(found[0].replace("%", "")).decode("utf-8", "replace"), name)


def direct_sources(packages: Iterable[LockedPackage]) -> tuple[DirectSource, ...]:
    """Return what a lock takes from elsewhere than an index and has to be built; a wheel at a URL is just a file."""
    return tuple(
        DirectSource(
            url=package.direct,
            base=package.origin.file.rpartition("/")[0],
            hashes=tuple(f"sha256:{digest}" for digest in sorted(package.hashes)),
            editable=package.editable,
            name=package.name,
            marker=package.marker,
            origin=package.origin,
            text=f"{package.name} @ {package.direct}",
        )
        for package in packages
        if package.direct is not None and not package.member and not takes_wheel(package)
    )


def with_subdirectory(url: str, folder: str | None) -> str:
    """Return a URL or path with the folder in it that holds the project, as pip writes it."""
    return f"{url}{'&' if '#' in url else '#'}subdirectory={folder}" if folder else url


def takes_wheel(package: LockedPackage) -> bool:
    """True when a package has a version, and a wheel among its files: its client may take that."""
    return package.version is not None and any(file.filename.endswith(".whl") for file in package.files)


def _told(value: object) -> str:
    kind = next((told for kind, told in _KINDS.items() if type(value) is kind), type(value).__name__)
    return f"{kind} ({str(value)[:40]!r})" if isinstance(value, str | int) else kind
