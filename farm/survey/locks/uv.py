"""uv.lock: a graph over all platforms. Source: uv's own documentation ("Resolution", "Locking") and lock files of uv 0.13.

Only what the project reaches counts. Forks have a name more than once; then each edge names the version it means.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from farm.model.demand import Demand
from farm.model.lock import Lock, LockedDependency, LockedFile, LockedPackage
from farm.survey.locks.closure import reach
from farm.survey.locks.document import (
    Document,
    Found,
    Record,
    digest,
    direct_sources,
    either,
    file_name,
    with_subdirectory,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from farm.model.lock import Choice
    from farm.model.package import NormalizedName

KNOWN = 1
DEFAULT_GROUPS = frozenset({canonicalize_name("dev")})
_LOCAL = ("virtual", "editable", "directory")


def read_uv(document: Document) -> Found:
    """Return the lock of a uv.lock. Unasked, the `dev` group is in it, as in `uv sync`. RequirementsError when malformed."""
    root = document.toml()
    version = root.number("version")
    if version != KNOWN:
        root.refuse("version", expected=f"{KNOWN}", found="nothing" if version is None else str(version))
    tables = root.records("package", document.headers("package"))
    projects = _projects(root, tables)
    own = [record for record in tables if record.name() in projects and _is_local(record)]
    packages = tuple(_package(record, member=record in own) for record in tables)
    starts = [record for record in own if _is_root(record)] or own
    manifest = root.table("manifest")
    choice = document.choice
    lock = Lock(
        source=document.origin(),
        kind="uv.lock",
        packages=packages,
        roots=(*_edges_of(starts, choice), *_loose(manifest, choice)),
        requires_python=root.specifier("requires-python"),
        environments=tuple(root.parsed_marker("supported-markers", text) for text in root.texts("supported-markers")),
        extras=frozenset(_conflict_names(starts, choice)) | choice.extras,
        groups=frozenset(_groups(choice)),
    )
    reached = reach(lock)
    direct = direct_sources(package for package in packages if package in reached)
    return Found(
        demand=Demand(locks=(lock,), direct=direct, files=(document.file,)),
        extras=frozenset(canonicalize_name(name) for record in starts for name in record.table("optional-dependencies").data),
        groups=frozenset(
            canonicalize_name(name)
            for table in (*(record.table("dev-dependencies") for record in starts), manifest.table("dependency-groups"))
            for name in table.data
        ),
    )


def _projects(root: Record, tables: Iterable[Record]) -> frozenset[NormalizedName]:
    """Return the names of the locked project and of its workspace's members."""
    members = root.table("manifest").texts("members")
    return frozenset(canonicalize_name(name) for name in members) | {r.name() for r in tables if _is_root(r)}


def _is_local(record: Record) -> bool:
    source = record.table("source")
    return any(kind in source for kind in _LOCAL)


def _is_root(record: Record) -> bool:
    source = record.table("source")
    return any(source.text(kind) == "." for kind in _LOCAL)


def _groups(choice: Choice) -> frozenset[NormalizedName]:
    return choice.groups | (DEFAULT_GROUPS if choice.default_groups else frozenset())


def _edges_of(starts: Iterable[Record], choice: Choice) -> Iterator[LockedDependency]:
    for record in starts:
        yield from _edges(record, "dependencies")
        for key, wanted in (("optional-dependencies", choice.extras), ("dev-dependencies", _groups(choice))):
            table = record.table(key)
            for name in table.data:
                if canonicalize_name(name) in wanted:
                    yield from _edges(table, name)


def _loose(manifest: Record, choice: Choice) -> Iterator[LockedDependency]:
    """Yield what is asked for where there is no project: by a script, or by the groups of a bare workspace."""
    yield from _edges(manifest, "requirements")
    groups = manifest.table("dependency-groups")
    for name in groups.data:
        if canonicalize_name(name) in _groups(choice):
            yield from _edges(groups, name)


def _conflict_names(starts: Iterable[Record], choice: Choice) -> Iterator[str]:
    """Yield the names under which uv's markers tell conflicting extras and groups apart ("extra-3-foo-cpu")."""
    for record in starts:
        name = record.name()
        yield f"project-{len(name)}-{name}"
        yield from (f"extra-{len(name)}-{name}-{extra}" for extra in choice.extras)
        yield from (f"group-{len(name)}-{name}-{group}" for group in _groups(choice))


def _package(record: Record, *, member: bool) -> LockedPackage:
    source = record.table("source")
    files = tuple(_file(entry) for entry in (*record.records("wheels"), *_sdist(record)))
    direct = None if "registry" in source else _direct(source)
    version = record.version()
    if version is None and direct is None:
        record.refuse("version", expected="a version (PEP 440)", found="nothing")
    optional = record.table("optional-dependencies")
    under = [edge for name in optional.data for edge in _edges(optional, name, under=canonicalize_name(name))]
    markers = [record.parsed_marker("resolution-markers", text) for text in record.texts("resolution-markers")]
    return LockedPackage(
        name=record.name(),
        version=version,
        origin=record.document.origin(record.line),
        marker=either(markers),
        extras=frozenset(canonicalize_name(name) for name in optional.data),
        files=tuple(file for file in files if file.filename),
        hashes=frozenset(file.sha256 for file in files if file.sha256),
        dependencies=(*_edges(record, "dependencies"), *under),
        direct=direct,
        editable="editable" in source,
        member=member,
        source=_identity(source),
    )


def _sdist(record: Record) -> tuple[Record, ...]:
    return (record.table("sdist"),) if "sdist" in record else ()


def _file(entry: Record) -> LockedFile:
    """A file of a registry has a URL or a path; one of a direct source may have neither, it is the source itself."""
    url = entry.text("url")
    place = url or entry.text("path") or ""
    return LockedFile(
        filename=entry.text("filename") or file_name(place), url=url, sha256=digest(entry.text("hash")), size=entry.number("size")
    )


def _direct(source: Record) -> str:
    git = source.text("git")
    if git is not None:
        url, _, commit = git.partition("#")
        plain, _, query = url.partition("?")
        folder = next((part[13:] for part in query.split("&") if part.startswith("subdirectory=")), None)
        return with_subdirectory(f"git+{plain}@{commit}" if commit else f"git+{plain}", folder)
    place = next((found for kind in ("url", "path", *_LOCAL) if (found := source.text(kind)) is not None), None)
    if place is not None:
        return place
    return source.refuse("registry", expected="there, or git, url, path, directory, editable or virtual", found=f"{list(source.data)}")


def _edges(record: Record, key: str, under: NormalizedName | None = None) -> Iterator[LockedDependency]:
    for entry in record.records(key):
        extras = entry.texts("extra") or entry.texts("extras")
        yield LockedDependency(
            name=entry.name(),
            marker=entry.marker("marker"),
            extras=frozenset(canonicalize_name(extra) for extra in extras),
            under=under,
            version=entry.version(),
            source=_identity(entry.table("source")) if "source" in entry else None,
        )


def _identity(source: Record) -> str:
    return json.dumps(source.data, sort_keys=True, default=str)
