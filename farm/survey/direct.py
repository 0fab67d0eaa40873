"""Direct references of a demand -> what each of them is, so that the rest of the survey needs no special case for them.

A settled one becomes a requirement whose URL is a file in the store: the resolver takes its dependencies from there, and
holds whatever else asks for the name to its version, as pip does. A lock's own package gets the version that it has now.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from farm.model.demand import Requirement
from farm.model.direct import Asked, Settled, Unsettled
from farm.model.gap import Cell, Impossible, Missing, Present, Unknown
from farm.model.releases import python_fits
from farm.survey.detect import best_wheel
from farm.survey.reason import why_no_wheel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.markers import Marker

    from farm.model.demand import Demand, DirectSource, Origin
    from farm.model.gap import Presence, ResolvedPin
    from farm.model.lock import Lock
    from farm.model.package import NormalizedName
    from farm.model.target import Target
    from farm.ports import DirectSources
    from farm.survey.detect import DetectPolicy

_Key = tuple["NormalizedName | None", "Origin"]
CellMaker = Callable[["ResolvedPin", "Target", "DetectPolicy"], "Cell"]


def settle(demand: Demand, targets: Sequence[Target], sources: DirectSources) -> Demand:
    """Return the demand with each direct reference looked at that counts on some target; the demand itself when it has none.

    Only what counts on some target is fetched.
    """
    if not demand.direct and not any(entry.url for entry in (*demand.requirements, *demand.constraints)):
        return demand
    return _Settling(demand, targets, sources).demand()


def direct_presence(settled: Settled, target: Target, policy: DetectPolicy) -> Presence:
    """Return whether there is a wheel: the reference is one that fits, or the farm has built one from these very sources."""
    if settled.file.is_wheel:
        if best_wheel((settled.file,), target, policy.client_pip):
            return Present(file=settled.file, where="upstream")
        if not python_fits(settled.file, target):
            return Impossible(
                reason=f"requires Python {settled.file.requires_python}, the target has {target.full_version}"
            )
        return Impossible(reason=f"{why_no_wheel((settled.file,), target)}, and {settled.direct} is this one wheel")
    own = best_wheel(settled.wheels, target, policy.client_pip)
    if own is not None:
        return Present(file=own, where="farm", note=f"built from {settled.direct}")
    return Missing(reason=f"from {settled.direct}", sdist=settled.file)


def direct_cell(settled: Settled, resolved: ResolvedPin, target: Target, policy: DetectPolicy) -> Cell:
    """Return the cell of what a direct reference stands for."""
    return Cell(
        pin=resolved.pin, target=target, presence=direct_presence(settled, target, policy), via=resolved.via,
        dependencies=resolved.dependencies, direct=settled.direct,
    )  # fmt: skip


class _Settling:
    def __init__(self, demand: Demand, targets: Sequence[Target], sources: DirectSources) -> None:
        self._given = demand
        self._targets = targets
        self._sources = sources
        self._locked: set[_Key] = {
            (package.name, package.origin)
            for lock in demand.locks
            for package in lock.packages
            if package.direct is not None
        }
        self._settled: list[Settled] = []
        self._unsettled: list[Unsettled] = []

    def demand(self) -> Demand:
        given = self._given
        requirements = [made for entry in given.requirements if (made := self._requirement(entry)) is not None]
        for source in given.direct:
            found = self._look(_asked_of(source))
            if found is not None and (source.name, source.origin) not in self._locked:
                requirements.append(_requirement_of(source, found))
        constraints = tuple(entry for entry in given.constraints if entry.url is None or self._refuse(entry))
        return replace(
            given, requirements=tuple(requirements), constraints=constraints, direct=(), locks=tuple(map(self._lock, given.locks)),
            settled=tuple(self._settled), unsettled=tuple(self._unsettled),
        )  # fmt: skip

    def _requirement(self, entry: Requirement) -> Requirement | None:
        if entry.url is None:
            return entry
        found = self._look(
            Asked(
                url=entry.url,
                name=entry.name,
                hashes=entry.hashes,
                editable=entry.editable,
                marker=entry.marker,
                origin=entry.origin,
            )
        )
        return None if found is None else _pointed(entry, found)

    def _refuse(self, entry: Requirement) -> bool:
        assert entry.url is not None
        self._unsettled.append(
            Unsettled(
                name=entry.name, direct=self._sources.shown(entry.url), origin=entry.origin, marker=entry.marker,
                reason="a constraint by URL is not heeded; write the line into a requirements file",
            )
        )  # fmt: skip
        return False

    def _look(self, asked: Asked) -> Settled | None:
        targets = [target for target in self._targets if counts(asked.marker, target)]
        if not targets:
            return None
        found = self._sources.settle(asked, targets)
        if isinstance(found, Settled):
            other = self._rival(found, targets)
            if other is None:
                self._settled.append(found)
                return found
            reason = f"{found.pin.name} is {found.direct} here and {other.direct} in {other.origin}; remove one of them"
            found = Unsettled(
                name=found.pin.name, direct=found.direct, origin=asked.origin, marker=asked.marker, reason=reason
            )
        self._unsettled.append(found)
        return None

    def _rival(self, found: Settled, targets: Sequence[Target]) -> Settled | None:
        """Return what was settled before under this name with other contents, for one of the same targets. Locks stand alone."""
        if (found.pin.name, found.origin) in self._locked:
            return None
        for other in self._settled:
            if (other.pin.name, other.origin) in self._locked or other.pin.name != found.pin.name:
                continue
            if other.file.sha256 != found.file.sha256 and any(counts(other.marker, target) for target in targets):
                return other
        return None

    def _lock(self, lock: Lock) -> Lock:
        versions = {(settled.pin.name, settled.origin): settled.pin.version for settled in self._settled}
        packages = tuple(
            replace(package, version=versions[package.name, package.origin])
            if package.direct is not None and (package.name, package.origin) in versions
            else package
            for package in lock.packages
        )
        return replace(lock, packages=packages)


def counts(marker: Marker | None, target: Target) -> bool:
    """Tell whether a direct reference counts on a target. A lock's marker may ask for extras: the lock itself decides then."""
    if marker is None:
        return True
    if "extras" in str(marker) or "dependency_groups" in str(marker):
        return True
    return marker.evaluate({**target.markers, "extra": ""})


def elsewhere(demand: Demand, target: Target) -> dict[NormalizedName, CellMaker]:
    """Return how to make the cell of each name that a requirement takes from elsewhere than an index on a target.

    Also of those that could not be settled: others may depend on them, and what the index has under such a name is
    something else. What locks take from elsewhere is theirs alone.
    """
    made: dict[NormalizedName, CellMaker] = {}
    for entry in demand.unsettled:
        if counts(entry.marker, target):
            presence = Unknown(reason=entry.reason) if entry.unknown else Impossible(reason=entry.reason)
            made[canonicalize_name(entry.name)] = partial(_lost, presence)
    settled = by_place(demand)
    for asked in demand.requirements:
        if asked.url is not None and counts(asked.marker, target):
            found = settled.get((asked.name, asked.origin))
            made[asked.name] = (
                partial(direct_cell, found) if found else partial(_lost, Impossible(reason="it is on no index"))
            )
    return made


def _lost(presence: Presence, resolved: ResolvedPin, target: Target, _policy: DetectPolicy) -> Cell:
    return Cell(
        pin=resolved.pin, target=target, presence=presence, via=resolved.via, dependencies=resolved.dependencies
    )


def by_place(demand: Demand) -> dict[tuple[NormalizedName, Origin], Settled]:
    """Return what a demand has settled, by name and place."""
    return {(settled.pin.name, settled.origin): settled for settled in demand.settled}


def _asked_of(source: DirectSource) -> Asked:
    return Asked(
        url=source.url, name=source.name, base=source.base, hashes=source.hashes, editable=source.editable, marker=source.marker,
        origin=source.origin,
    )  # fmt: skip


def _requirement_of(source: DirectSource, found: Settled) -> Requirement:
    plain = Requirement(
        name=found.pin.name, extras=source.extras, marker=source.marker, config_settings=source.config_settings,
        origin=source.origin, text=source.text, via=source.via,
    )  # fmt: skip
    return _pointed(plain, found)


def _pointed(entry: Requirement, found: Settled) -> Requirement:
    """Return the requirement with the file in the store for its URL; only that one file has its name for the resolver."""
    return replace(
        entry, url=found.file.url, hashes=(f"sha256:{found.file.sha256}",), specifier=SpecifierSet(), editable=False
    )
