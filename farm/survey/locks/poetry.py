"""poetry.lock of Poetry 2 (lock-version 2.1: a list with groups and markers) and of Poetry 1.5 to 1.8 (2.0: a graph without roots)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from farm.model.demand import Demand, Remark
from farm.model.lock import Lock, LockedDependency, LockedFile, LockedPackage
from farm.survey.locks.document import Document, Found, Record, digest, direct_sources, either, with_subdirectory
from farm.survey.locks.poetry_pythons import as_marker, pythons

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.markers import Marker
    from packaging.specifiers import SpecifierSet

    from farm.model.package import NormalizedName

KNOWN = ("2.0", "2.1")
MAIN = canonicalize_name("main")


def read_poetry(document: Document) -> Found:
    """Return the lock of a poetry.lock. Unasked, every group counts: the file does not tell which are optional.

    RequirementsError when malformed.
    """
    root = document.toml()
    metadata = root.table("metadata")
    version = metadata.text("lock-version")
    if version not in KNOWN:
        line = document.find("lock-version")
        known = " or ".join(KNOWN)
        found = repr(version) if version else "none"
        document.refuse(line, expected=f"lock-version {known}", found=found, solution="run `poetry lock` of Poetry 2")
    tables = root.records("package", document.headers("package"))
    extras = _extras(root.table("extras"))
    groups = frozenset(canonicalize_name(name) for record in tables for name in record.texts("groups"))
    wanted = {MAIN} | document.choice.groups | (groups if document.choice.default_groups else frozenset())
    packages = tuple(_package(record, wanted) for record in tables if _in_groups(record, wanted))
    old = version == KNOWN[0]
    limits = _limits(metadata)
    lock = Lock(
        source=document.origin(),
        kind="poetry.lock",
        packages=packages,
        roots=_roots(tables, packages, document, extras) if old else None,
        requires_python=limits[0] if len(limits) == 1 else None,
        environments=(as_marker(limits),) if len(limits) > 1 else (),
        extras=document.choice.extras,
    )
    text = "lock-version 2.0 tells neither groups nor the markers of what the project itself asks for: all of it counts"
    return Found(
        demand=Demand(
            locks=(lock,),
            direct=direct_sources(packages),
            files=(document.file,),
            remarks=(Remark(origin=document.origin(document.find("lock-version")), text=text),) if old else (),
        ),
        extras=frozenset(extras),
        groups=groups,
    )


def _limits(record: Record) -> tuple[SpecifierSet, ...]:
    text = record.text("python-versions") or "*"
    try:
        return pythons(text)
    except ValueError:
        record.refuse("python-versions", expected="a constraint of Poetry's, such as ^3.10", found=repr(text))


def _extras(table: Record) -> dict[NormalizedName, tuple[NormalizedName, ...]]:
    return {
        canonicalize_name(key): tuple(canonicalize_name(text.partition(" ")[0].partition("[")[0]) for text in table.texts(key))
        for key in table.data
    }


def _in_groups(record: Record, wanted: set[NormalizedName]) -> bool:
    return "groups" not in record or any(canonicalize_name(name) in wanted for name in record.texts("groups"))


def _package(record: Record, wanted: set[NormalizedName]) -> LockedPackage:
    source = record.table("source")
    direct = _direct(source)
    version = record.version()
    if version is None:
        record.refuse("version", expected="a version (PEP 440)", found="nothing")
    limits = _limits(record)
    files = tuple(_file(entry, source) for entry in record.records("files"))
    return LockedPackage(
        name=record.name(),
        version=version,
        origin=record.document.origin(record.line),
        marker=_marker(record, wanted) if len(limits) <= 1 else _both(_marker(record, wanted), as_marker(limits)),
        requires_python=limits[0] if len(limits) == 1 else None,
        extras=frozenset(canonicalize_name(name) for name in record.table("extras").data),
        files=files,
        hashes=frozenset(file.sha256 for file in files if file.sha256),
        dependencies=tuple(_edges(record.table("dependencies"))),
        direct=direct,
        editable=record.flag("develop"),
    )


def _both(first: Marker | None, second: Marker) -> Marker:
    return first & second if first else second


def _marker(record: Record, wanted: set[NormalizedName]) -> Marker | None:
    """Return the marker of a package; where each group has its own, that of the chosen groups together."""
    value: Any = record.data.get("markers")
    if not isinstance(value, dict):
        return record.marker("markers")
    table = record.table("markers")
    chosen = [name for name in record.texts("groups") if canonicalize_name(name) in wanted]
    if any(name not in table for name in chosen):
        return None
    return either(marker for name in chosen if (marker := table.marker(name)))


def _file(entry: Record, source: Record) -> LockedFile:
    name = entry.need("file")
    url = source.text("url") if source.text("type") == "url" else entry.text("url")
    return LockedFile(filename=name, url=url, sha256=digest(entry.text("hash")))


def _direct(source: Record) -> str | None:
    kind = source.text("type")
    if kind in {None, "legacy", "pypi"}:
        return None
    url = source.need("url")
    commit = source.text("resolved_reference") or source.text("reference")
    return with_subdirectory(f"git+{url}@{commit}" if kind == "git" else url, source.text("subdirectory"))


def _edges(table: Record) -> Iterator[LockedDependency]:
    for key, value in table.data.items():
        entries = value if isinstance(value, list) else [value]
        for entry in entries:
            record = table.within(key, entry if isinstance(entry, dict) else {})
            # An optional edge belongs to an extra: had nobody asked for that, its package would not be locked for the group.
            marker = None if record.flag("optional") else record.marker("markers")
            yield LockedDependency(name=canonicalize_name(key), marker=marker)


def _roots(
    tables: tuple[Record, ...],
    packages: tuple[LockedPackage, ...],
    document: Document,
    extras: dict[NormalizedName, tuple[NormalizedName, ...]],
) -> tuple[LockedDependency, ...]:
    """Return what the project seems to ask for: what nothing else in the lock does, and the packages of the chosen extras."""
    optional = {record.name() for record in tables if record.flag("optional")}
    edges = {package.name: {edge.name for edge in package.dependencies} for package in packages}
    asked = {name for names in edges.values() for name in names}
    chosen = {name for extra in document.choice.extras for name in extras.get(extra, ())}
    roots = [name for name in edges if name in chosen or (name not in asked and name not in optional)]
    reached: set[NormalizedName] = set()
    # What only a circle asks for has no root yet: each such name becomes one.
    for name in (*roots, *(name for name in edges if name not in optional)):
        if name not in reached and name not in roots:
            roots.append(name)
        todo = [name]
        while todo:
            here = todo.pop()
            if here not in reached:
                reached.add(here)
                todo += edges.get(here, ())
    return tuple(LockedDependency(name=name) for name in roots)
