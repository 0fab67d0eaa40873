"""Pipfile.lock: a list for each category, with hashes and without file names. Source: pipenv's "Pipfile & Pipfile.lock"."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from farm.model.demand import Demand
from farm.model.lock import Lock, LockedPackage
from farm.survey.locks.document import Document, Found, Record, digest, direct_sources, with_subdirectory

if TYPE_CHECKING:
    from collections.abc import Iterator

KNOWN = 6
_ALIASES = {canonicalize_name(name): "develop" for name in ("dev", "dev-packages", "develop")}
_SYSTEMS = ("git", "hg", "svn", "bzr")


def read_pipfile(document: Document) -> Found:
    """Return the lock of a Pipfile.lock: `default`, and the chosen categories ("develop" or "dev", and the user's own).

    As in `pipenv sync`, no category but `default` counts unasked. RequirementsError when malformed.
    """
    root = document.json()
    meta = root.table("_meta")
    version = meta.number("pipfile-spec")
    if version != KNOWN:
        meta.refuse("pipfile-spec", expected=f"{KNOWN}", found="nothing" if version is None else str(version))
    wanted = {_ALIASES.get(name, name) for name in document.choice.groups}
    categories = {key: table for key, table in root.tables() if key != "_meta"}
    chosen = [key for key in categories if _chosen(key, wanted)]
    lines = _lines(document)
    packages = tuple(
        _package(entry, key, lines.get((category, key), 1)) for category in chosen for key, entry in categories[category].tables()
    )
    lock = Lock(
        source=document.origin(), kind="Pipfile.lock", packages=packages, requires_python=_python(meta.table("requires"))
    )
    names = {canonicalize_name(key) for key in categories if key != "default"}
    known = frozenset(names | ({name for name, key in _ALIASES.items() if key in categories}))
    return Found(
        demand=Demand(locks=(lock,), direct=direct_sources(packages), files=(document.file,)), groups=known
    )


def _chosen(key: str, wanted: set[str]) -> bool:
    return key == "default" or key in wanted or canonicalize_name(key) in wanted


def _python(requires: Record) -> SpecifierSet | None:
    full = requires.text("python_full_version")
    version = requires.text("python_version")
    if full:
        return SpecifierSet(f"=={full}")
    return SpecifierSet(f"=={version}.*") if version and re.fullmatch(r"\d+(\.\d+)*", version) else None


def _package(entry: Record, key: str, line: int) -> LockedPackage:
    entry = Record(document=entry.document, data=entry.data, line=line, path=entry.path)
    version = entry.version("version", prefix="==")
    direct = _direct(entry)
    if version is None and direct is None:
        entry.refuse("version", expected="a version, as ==1.0", found="nothing")
    return LockedPackage(
        name=canonicalize_name(key),
        version=version,
        origin=entry.document.origin(line),
        marker=entry.marker("markers"),
        extras=frozenset(canonicalize_name(extra) for extra in entry.texts("extras")),
        hashes=frozenset(found for text in entry.texts("hashes") if (found := digest(text))),
        direct=direct,
        editable=entry.flag("editable"),
    )


def _direct(entry: Record) -> str | None:
    for system in _SYSTEMS:
        url = entry.text(system)
        if url is not None:
            scheme = url if url.startswith(f"{system}+") else f"{system}+{url}"
            return with_subdirectory(f"{scheme}@{entry.text('ref')}" if "ref" in entry else scheme, entry.text("subdirectory"))
    return entry.text("file") or entry.text("path")


def _lines(document: Document) -> dict[tuple[str, str], int]:
    """Return the line of each package in its category, by the indentation that pipenv writes (4 spaces a level)."""
    return dict(_places(document))


def _places(document: Document) -> Iterator[tuple[tuple[str, str], int]]:
    category = ""
    for number, line in enumerate(document.lines, 1):
        match = re.match(r'( {4}| {8})("(?:[^"\\]|\\.)*"): \{', line)
        if match is None:
            continue
        name = json.loads(match[2])
        if len(match[1]) == 4:
            category = name
        else:
            yield (category, name), number
