"""Does the wheel's METADATA agree with the sdist's? uv takes one file's metadata for all of a version, so drift is a fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from packaging.metadata import RawMetadata

    from farm.model.package import Pin


def identity_faults(wheel: bytes, pin: Pin) -> tuple[str, ...]:
    """Return what is wrong when a wheel's METADATA is not of this name and version."""
    raw, _ = parse_email(wheel)
    faults = []
    if canonicalize_name(raw.get("name", "")) != pin.name:
        faults.append(f"its METADATA says Name: {raw.get('name', '')}, expected {pin.name}")
    try:
        same = Version(raw.get("version", "")) == pin.version
    except InvalidVersion:
        same = False
    if not same:
        faults.append(f"its METADATA says Version: {raw.get('version', '')}, expected {pin.version}")
    return tuple(faults)


def drift(sdist: str, wheel: bytes) -> tuple[str, ...]:
    """Return where a wheel's METADATA differs from the sdist's static one in what a resolver reads.

    Fields that the sdist declares dynamic (core metadata 2.2) may differ.
    """
    before, _ = parse_email(sdist)
    after, _ = parse_email(wheel)
    dynamic = {name.lower() for name in before.get("dynamic", [])}
    faults = []
    if "requires-python" not in dynamic and _specifiers(before) != _specifiers(after):
        was, now = before.get("requires_python", "none"), after.get("requires_python", "none")
        faults.append(f"Requires-Python differs: the sdist says {was}, the wheel {now}")
    if "requires-dist" not in dynamic:
        was_requires, now_requires = _requires(before), _requires(after)
        lost, won = sorted(was_requires - now_requires), sorted(now_requires - was_requires)
        if lost or won:
            faults.append(f"Requires-Dist differs: only in the sdist {lost}, only in the wheel {won}")
    return tuple(faults)


def _specifiers(raw: RawMetadata) -> str:
    text = raw.get("requires_python") or ""
    try:
        return str(SpecifierSet(text))
    except InvalidSpecifier:
        return text


def _requires(raw: RawMetadata) -> set[str]:
    found = set()
    for text in raw.get("requires_dist", []):
        try:
            parsed = Requirement(text)
        except InvalidRequirement:
            found.add(text)
            continue
        extras = f"[{','.join(sorted(parsed.extras))}]" if parsed.extras else ""
        url = f" @ {parsed.url}" if parsed.url else ""
        marker = f"; {parsed.marker}" if parsed.marker else ""
        found.add(f"{canonicalize_name(parsed.name)}{extras}{parsed.specifier}{url}{marker}")
    return found
