"""Lock x target -> the pins that count there, with their edges. Markers and requires-python decide; nothing is resolved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from farm.model.gap import Resolution, ResolvedPin, Unresolved
from farm.model.package import Pin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from packaging.markers import Marker
    from packaging.specifiers import SpecifierSet

    from farm.model.lock import Lock, LockedDependency, LockedPackage
    from farm.model.package import NormalizedName
    from farm.model.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """What of a lock counts on one target; `packages` has the lock's entry of each pin."""

    resolution: Resolution
    packages: Mapping[Pin, LockedPackage]


def select(lock: Lock, target: Target) -> Selected | Unresolved:
    """Return the pins of a lock for a target, or Unresolved where the lock's own tool would refuse it there."""
    walk = _Walk(lock, target)
    refusal = walk.refusal()
    if refusal is not None:
        return Unresolved(target=target, explanation=refusal)
    walk.go()
    fault = walk.fault()
    return Unresolved(target=target, explanation=fault) if fault else walk.selected()


def reach(lock: Lock) -> tuple[LockedPackage, ...]:
    """Return the packages that count on some target: all of a list, what the roots reach of a graph."""
    if lock.roots is None:
        return lock.packages
    walk = _Walk(lock, None)
    walk.go()
    return tuple(lock.packages[index] for index in sorted(walk.kept))


def counting(lock: Lock, target: Target) -> tuple[LockedPackage, ...]:
    """Return the packages that count on a target, whatever contradicts itself there; none where the lock is not for it."""
    walk = _Walk(lock, target)
    if walk.refusal() is not None:
        return ()
    walk.go()
    return tuple(lock.packages[index] for index in sorted(walk.kept))


@dataclass(slots=True)
class _Kept:
    """Why a package counts: who asks for it, and for which of its extras."""

    via: dict[str, None] = field(default_factory=dict)
    extras: set[NormalizedName] = field(default_factory=set)
    dependencies: dict[NormalizedName, None] = field(default_factory=dict)


class _Walk:
    """Without a target every marker holds."""

    def __init__(self, lock: Lock, target: Target | None) -> None:
        self._lock = lock
        self._target = target
        self._known: dict[int, bool] = {}
        self._environment: dict[str, str | AbstractSet[str]] = (
            {**target.markers, "extra": "", "extras": lock.extras, "dependency_groups": lock.groups} if target else {}
        )
        self._names: dict[NormalizedName, list[int]] = {}
        for index, package in enumerate(lock.packages):
            self._names.setdefault(package.name, []).append(index)
        self.kept: dict[int, _Kept] = {}

    def refusal(self) -> str | None:
        """Return why the lock is not for this target at all, if so."""
        lock, target = self._lock, self._target
        assert target is not None
        if not _admits(lock.requires_python, target):
            return f"{lock.source.file} is for Python {lock.requires_python}, the target has {target.full_version}"
        if lock.environments and not any(self._holds(marker) for marker in lock.environments):
            kinds = " or ".join(f"({marker})" for marker in lock.environments)
            return f"{lock.source.file} is for environments with {kinds}, which the target is not"
        return None

    def go(self) -> None:
        if self._lock.roots is None:
            self._take_list()
        else:
            self._follow(self._lock.roots)

    def fault(self) -> str | None:
        """Return what contradicts itself in the lock on this target, if anything does."""
        lock, target = self._lock, self._target
        assert target is not None
        chosen: dict[NormalizedName, LockedPackage] = {}
        for package in self._packages():
            other = chosen.setdefault(package.name, package)
            if other.version != package.version:
                return (
                    f"{lock.source.file} has both {other.name} {other.version} (line {other.origin.line}) and {package.version}"
                    f" (line {package.origin.line}) for this target: choose other extras or groups, or lock again"
                )
            if lock.kind == "pylock.toml" and not _admits(package.requires_python, target):
                return f"{package.origin}: {package.name} requires Python {package.requires_python}, the target has {target.full_version}"
        return None

    def selected(self) -> Selected:
        assert self._target is not None
        pins: list[ResolvedPin] = []
        packages: dict[Pin, LockedPackage] = {}
        present = {package.name for package in self._packages()}
        for index in sorted(self.kept, key=lambda i: self._lock.packages[i].name):
            package, why = self._lock.packages[index], self.kept[index]
            if package.member or package.version is None:
                continue
            pin = Pin(name=package.name, version=package.version)
            if pin not in packages:
                packages[pin] = package
                needs = tuple(sorted(name for name in why.dependencies if name in present))
                pins.append(ResolvedPin(pin=pin, via=tuple(why.via) or (str(package.origin),), dependencies=needs))
        return Selected(resolution=Resolution(target=self._target, pins=tuple(pins)), packages=packages)

    def _packages(self) -> Iterable[LockedPackage]:
        return (self._lock.packages[index] for index in sorted(self.kept))

    def _holds(self, marker: Marker | None) -> bool:
        if marker is None or self._target is None:
            return True
        # A lock repeats a few markers hundreds of times; the readers make each text one object.
        known = self._known.get(id(marker))
        if known is None:
            known = self._known[id(marker)] = marker.evaluate(self._environment, "lock_file")
        return known

    def _take_list(self) -> None:
        """A list: each package tells itself where it counts; edges only tell who asks."""
        target = self._target
        strict = self._lock.kind == "pylock.toml"
        for index, package in enumerate(self._lock.packages):
            if self._holds(package.marker) and (strict or target is None or _admits(package.requires_python, target)):
                self.kept[index] = _Kept()
        chosen = {self._lock.packages[index].name: index for index in self.kept}
        for index in list(self.kept):
            package = self._lock.packages[index]
            for edge in package.dependencies:
                other = chosen.get(edge.name)
                if other is not None and self._holds(edge.marker):
                    self.kept[other].via[package.name] = None
                    self.kept[index].dependencies[edge.name] = None

    def _follow(self, roots: Iterable[LockedDependency]) -> None:
        todo: list[tuple[int | None, LockedDependency]] = [(None, edge) for edge in roots]
        while todo:
            asker, edge = todo.pop()
            if self._holds(edge.marker):
                for index in self._meant(edge):
                    todo += self._arrive(index, asker, edge)

    def _arrive(self, index: int, asker: int | None, edge: LockedDependency) -> list[tuple[int | None, LockedDependency]]:
        """Note who asks for a package, and return the edges that this opened: its own at first, an extra's when it is asked for."""
        package = self._lock.packages[index]
        first = index not in self.kept
        why = self.kept.setdefault(index, _Kept())
        if asker is None or self._lock.packages[asker].member:
            why.via.setdefault(str(package.origin))
        else:
            why.via.setdefault(self._lock.packages[asker].name)
        if asker is not None:
            self.kept[asker].dependencies.setdefault(package.name)
        fresh = edge.extras - why.extras
        why.extras |= fresh
        return [(index, d) for d in package.dependencies if (d.under is None and first) or d.under in fresh]

    def _meant(self, edge: LockedDependency) -> list[int]:
        found = [
            index
            for index in self._names.get(edge.name, ())
            if edge.version in {None, self._lock.packages[index].version}
            and edge.source in {None, self._lock.packages[index].source}
        ]
        if len(found) <= 1:
            return found
        return [index for index in found if self._holds(self._lock.packages[index].marker)]


def _admits(specifier: SpecifierSet | None, target: Target) -> bool:
    return specifier is None or specifier.contains(target.full_version, prereleases=True)
