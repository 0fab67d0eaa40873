"""Watch sets that read from the same indexes, and what they share in a look: pages, what was found out, what is to be built."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farm.model.demand import IndexOptions
from farm.wire.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from farm.adapters.resolver import UvResolver
    from farm.adapters.store import Store
    from farm.model.demand import Demand
    from farm.model.gap import Matrix
    from farm.model.package import NormalizedName, Project, Version
    from farm.model.target import Target
    from farm.model.watch import CellKey
    from farm.ports import Index
    from farm.survey.detect import Memory
    from farm.wire.assembly import Farm


class Own:
    """The farm's own index, each project read once in a look."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._found: dict[NormalizedName, Project | None] = {}
        self._stamps: dict[str, str] = {}

    def project(self, name: NormalizedName) -> Project | None:
        if name not in self._found:
            # First the stamp: of a page that changes meanwhile it is then the older one, and the answer is asked for again.
            self.stamp(name)
            self._found[name] = self._store.project(name)
        return self._found[name]

    def stamp(self, name: str) -> str:
        """Return what tells the states of a project's page apart."""
        found = self._stamps.get(name)
        if found is None:
            found = self._stamps[name] = repr(self._store.stamp(name))  # type: ignore[arg-type]
        return found


class _Noting:
    """An index that notes what it is asked for."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.asked: set[NormalizedName] = set()

    def project(self, name: NormalizedName) -> Project | None:
        self.asked.add(name)
        return self._index.project(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ports:
    """Satisfies `survey.environment.EnvironmentPorts`."""

    upstream: Index
    farm: Index
    resolver: UvResolver


class Group:
    """The sets that read from the same indexes, and what they share."""

    def __init__(self, reading: Reading, own: Own, *, usual: bool) -> None:
        self.reading = reading
        self.usual = usual
        self.upstream = _Noting(reading.upstream)
        self.ports = _Ports(upstream=self.upstream, farm=own, resolver=reading.resolver)
        self.memory: Memory = {}
        self.newest: datetime | None = reading.resolver.newest()
        self.matrices: list[Matrix] = []
        self.gaps: set[CellKey] = set()


class Groups:
    """The groups of one look, made when a set first needs one. `usual` reads as the farm itself does."""

    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        self.own = Own(farm.store)
        self._stack = ExitStack()
        self._groups: dict[tuple[object, ...], Group] = {}

    def __iter__(self) -> Iterator[Group]:
        return iter(self._groups.values())

    def close(self) -> None:
        """Close the connections of all but the usual one, which is the farm's."""
        self._stack.close()

    @property
    def usual(self) -> Group:
        return self.of(IndexOptions())

    def of(self, options: IndexOptions) -> Group:
        """Return the group of a demand's index options."""
        key = (options.index_url, options.extra_index_urls, options.no_index)
        if key not in self._groups:
            usual = key == (None, (), False)
            reading = self._farm.reading(IndexOptions()) if usual else self._stack.enter_context(Reading(self._farm, options))
            self._groups[key] = Group(reading, self.own, usual=usual)
        return self._groups[key]


def expect(reading: Reading, demand: Demand, targets: Sequence[Target]) -> None:
    """Read the pages that a set will be asked about side by side."""
    wanted: dict[NormalizedName, set[Version]] = {}
    names: dict[NormalizedName, None] = {}
    for entry in demand.requirements:
        if entry.url is not None or not _applies(entry.marker, targets):
            continue
        names[entry.name] = None
        if entry.pinned is not None:
            wanted.setdefault(entry.name, set()).add(entry.pinned)
    for package in (package for lock in demand.locks for package in lock.packages):
        # What a lock lists with URL and hash needs a page only where that is not enough.
        if package.version is None or package.direct is not None or all(file.url and file.sha256 for file in package.files):
            continue
        names[package.name] = None
        wanted.setdefault(package.name, set()).add(package.version)
    loose = {entry.name for entry in demand.requirements if entry.pinned is None}
    reading.upstream.expect({name: sorted(versions) for name, versions in wanted.items() if name not in loose})
    reading.upstream.prefetch(names)


def _applies(marker: object, targets: Sequence[Target]) -> bool:
    return marker is None or any(marker.evaluate({**target.markers, "extra": ""}) for target in targets)  # type: ignore[attr-defined]
