"""Core metadata as text: writing the fields that a resolver reads, and comparing and folding them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from farm.model.package import NormalizedName, Pin
    from farm.model.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """The fields of core metadata that change a resolution, as written."""

    requires_dist: tuple[str, ...] = ()
    requires_python: str | None = None
    extras: tuple[str, ...] = ()


def metadata_text(pin: Pin, fields: Fields) -> str:
    """Return a METADATA file with just these fields."""
    lines = ["Metadata-Version: 2.2", f"Name: {pin.name}", f"Version: {pin.version}"]
    if fields.requires_python:
        lines.append(f"Requires-Python: {_line(fields.requires_python)}")
    lines += [f"Requires-Dist: {_line(text)}" for text in fields.requires_dist]
    lines += [f"Provides-Extra: {_line(extra)}" for extra in fields.extras]
    return "\n".join(lines) + "\n"


def _line(text: str) -> str:
    return " ".join(text.split())


def read_fields(metadata: str) -> Fields:
    """Return the fields of a METADATA text; headers that cannot be read are left out."""
    # Imported late: it costs a fifth of the time of a run that finds everything cached.
    from packaging.metadata import parse_email  # noqa: PLC0415

    raw, _ = parse_email(metadata)
    return Fields(
        requires_dist=tuple(raw.get("requires_dist", ())),
        requires_python=raw.get("requires_python"),
        extras=tuple(raw.get("provides_extra", ())),
    )


def same_fields(first: str, second: str) -> bool:
    """Tell whether two METADATA texts give the same resolution: equal as parsed, whatever the spelling and order."""
    return _compared(read_fields(first)) == _compared(read_fields(second))


def _compared(fields: Fields) -> tuple[frozenset[str], str]:
    return frozenset(map(_requirement_key, fields.requires_dist)), _specifier_key(fields.requires_python or "")


def _requirement_key(text: str) -> str:
    try:
        parsed = Requirement(text)
    except InvalidRequirement:
        return _line(text)
    extras = ",".join(sorted(map(canonicalize_name, parsed.extras)))
    return f"{canonicalize_name(parsed.name)}[{extras}]{parsed.specifier}@{parsed.url or ''};{parsed.marker or ''}"


def _specifier_key(text: str) -> str:
    try:
        return str(SpecifierSet(text))
    except InvalidSpecifier:
        return _line(text)


def requires_txt(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (requirements with markers, extras) of setuptools' requires.txt: sections `[extra]`, `[:marker]`, `[extra:marker]`."""
    found: list[str] = []
    extras: dict[str, None] = {}
    condition = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("[") and line.endswith("]"):
            extra, _, marker = line[1:-1].partition(":")
            if extra:
                extras[extra] = None
            parts = [f"({marker})"] if marker else []
            parts += [f"extra == '{extra}'"] if extra else []
            condition = " and ".join(parts)
        else:
            found.append(f"{line} ; {condition}" if condition else line)
    return tuple(found), tuple(extras)


def without_urls(metadata: str, names: Collection[NormalizedName]) -> str:
    """Return the metadata with `NAME @ URL` as NAME for these names: the user has said where they are from."""
    return "".join(_without_url(line, names) for line in metadata.splitlines(keepends=True))


def _without_url(line: str, names: Collection[NormalizedName]) -> str:
    header, colon, text = line.partition(":")
    if header.lower() != "requires-dist" or "@" not in text:
        return line
    try:
        parsed = Requirement(text.strip())
    except InvalidRequirement:
        return line
    if parsed.url is None or canonicalize_name(parsed.name) not in names:
        return line
    parsed.url = None
    return f"{header}{colon} {parsed}\n"


def fold_markers(metadata: str, pin: Pin, target: Target) -> str:
    """Return the metadata with every marker decided for `target`, leaving only conditions on extras.

    For targets that the resolver cannot be told of exactly (another implementation, an architecture it has no name for).
    """
    fields = read_fields(metadata)
    folded = tuple(line for text in fields.requires_dist for line in _folded(text, fields.extras, target))
    return metadata_text(
        pin, Fields(requires_dist=folded, requires_python=fields.requires_python, extras=fields.extras)
    )


def _folded(text: str, extras: tuple[str, ...], target: Target) -> Iterator[str]:
    try:
        parsed = Requirement(text)
    except InvalidRequirement:
        # The resolver knows more old spellings than `packaging` does.
        yield text
        return
    marker = parsed.marker
    if marker is None:
        yield text
        return
    parsed.marker = None
    environment = dict(target.markers)
    if marker.evaluate({**environment, "extra": ""}):
        yield str(parsed)
        return
    for extra in extras:
        if marker.evaluate({**environment, "extra": extra}):
            yield f"{parsed} ; extra == '{extra}'"
