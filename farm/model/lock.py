"""What a lock file pins: versions with their files, edges and conditions. It was resolved once and is not resolved again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.markers import Marker
    from packaging.specifiers import SpecifierSet

    from farm.model.demand import Origin
    from farm.model.package import Digest, NormalizedName, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which optional parts of an input are wanted: extras, and dependency groups (PEP 735, Poetry's groups, Pipfile's categories).

    `groups` come on top of those that the input's own tool installs unasked; `default_groups` False leaves these out.
    """

    extras: frozenset[NormalizedName] = frozenset()
    groups: frozenset[NormalizedName] = frozenset()
    default_groups: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedFile:
    """A file that a lock lists. `url` None: the format tells only names. `size` is in bytes."""

    filename: str
    url: str | None = None
    sha256: Digest | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedDependency:
    """An edge. `version` and `source` are given where the lock has the name more than once (uv's forks).

    `extras` are asked of the dependency. `under` is the extra of the asking package that the edge belongs to.
    """

    name: NormalizedName
    marker: Marker | None = None
    extras: frozenset[NormalizedName] = frozenset()
    under: NormalizedName | None = None
    version: Version | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPackage:
    """One version in a lock. `version` is None only where the code itself tells it: a folder or a repository.

    `marker` and `requires_python` are the lock's own conditions on the package. `hashes` are the sha256 of the files that
    may be used; none where the format has none. `direct` is the path, URL or "git+URL@commit" that it comes from instead
    of an index. A `member` belongs to the locked project itself: its dependencies count, it is no package to look for.
    """

    name: NormalizedName
    version: Version | None
    origin: Origin
    marker: Marker | None = None
    requires_python: SpecifierSet | None = None
    extras: frozenset[NormalizedName] = frozenset()
    files: tuple[LockedFile, ...] = ()
    hashes: frozenset[Digest] = frozenset()
    dependencies: tuple[LockedDependency, ...] = ()
    direct: str | None = None
    editable: bool = False
    member: bool = False
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock file as read, for one choice of extras and groups.

    `roots` are the edges from the project itself: only what they reach counts. None: the format is a list, and every
    package counts whose marker holds. `environments`: when there are some, one must hold (PEP 751, uv's supported-markers).
    `extras` and `groups` are the values of the markers `extras` and `dependency_groups` (PEP 751); an `extra == "x"` of
    another format is kept as `"x" in extras`.
    """

    source: Origin
    kind: str
    packages: tuple[LockedPackage, ...]
    roots: tuple[LockedDependency, ...] | None = None
    requires_python: SpecifierSet | None = None
    environments: tuple[Marker, ...] = field(default=())
    extras: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonLimit:
    """The Pythons that a project itself is for (`project.requires-python`): it has no solution for others."""

    origin: Origin
    specifier: SpecifierSet
