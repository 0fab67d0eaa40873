"""The pins of a lock -> cells. A wheel that the lock lists with URL and hash is there; all else is asked of the index."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from farm.errors import UpstreamError
from farm.model.gap import Hidden, Impossible, Present
from farm.model.package import IndexFile, Pin, Project
from farm.survey.detect import detect
from farm.survey.direct import by_place, direct_presence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from farm.model.demand import Demand
    from farm.model.direct import Settled
    from farm.model.gap import Cell
    from farm.model.lock import LockedFile, LockedPackage
    from farm.model.package import Digest, NormalizedName
    from farm.model.target import Target
    from farm.ports import Index
    from farm.survey.detect import DetectPolicy
    from farm.survey.environment import EnvironmentPorts
    from farm.survey.locks.closure import Selected


class Pages:
    """The files of locked packages as pages of an index, made once for all targets; and what is settled of the direct ones."""

    def __init__(self, demand: Demand | None = None) -> None:
        self._settled = by_place(demand) if demand and demand.settled else {}
        self._made: dict[int, tuple[LockedPackage, Project]] = {}

    def page(self, pin: Pin, package: LockedPackage) -> Project:
        """Return what the lock lists of a package."""
        # By identity: to hash a package would cost more than to make its page. Kept with it, so that no other gets its id.
        made = self._made.get(id(package))
        if made is None:
            page = Project(name=pin.name, files=tuple(_file(file, pin) for file in package.files))
            made = self._made[id(package)] = package, page
        return made[1]

    def settled(self, package: LockedPackage) -> Settled | None:
        """Return what a package from elsewhere than an index turned out to be."""
        return self._settled.get((package.name, package.origin))


def locked_cells(selected: Selected, policy: DetectPolicy, ports: EnvironmentPorts, pages: Pages) -> Iterator[Cell]:
    """Yield a cell for each pin of a lock on one target, in order of name. An index that does not answer gives Unknown cells.

    Where the lock has hashes, only files with one of them count, as for the client that installs from it.
    """
    resolution = selected.resolution
    packages = selected.packages
    listed = {pin.name: (pin, pages.page(pin, package)) for pin, package in packages.items()}
    direct = frozenset(pin.name for pin, package in packages.items() if package.direct is not None)
    hashes = {pin.name: package.hashes for pin, package in packages.items() if package.hashes}
    origins = {pin.name: str(package.origin) for pin, package in packages.items()}
    strict = replace(policy, hashes=hashes, locked=origins)
    upstream = _Listed(listed, direct, _Scene(target=resolution.target, upstream=ports.upstream, policy=strict))
    for cell in detect(resolution, upstream, _Farm(ports.farm, direct), strict):
        package = selected.packages[cell.pin]
        if package.direct is None or isinstance(cell.presence, Present | Hidden):
            yield replace(cell, locked=True)
        elif settled := pages.settled(package):
            found = direct_presence(settled, cell.target, policy)
            yield replace(cell, presence=found, locked=True, direct=settled.direct)
        else:
            reason = f"{package.origin} takes it from a path, URL or repository that could not be had"
            yield replace(cell, presence=Impossible(reason=reason), locked=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    target: Target
    upstream: Index
    policy: DetectPolicy


class _Farm:
    """The farm's index without what comes from elsewhere than an index: same name, other bytes."""

    def __init__(self, farm: Index, direct: frozenset[NormalizedName]) -> None:
        self._farm = farm
        self._direct = direct

    def project(self, name: NormalizedName) -> Project | None:
        return None if name in self._direct else self._farm.project(name)


class _Listed:
    """`ports.Index`: what a lock lists, as far as it settles the question for a target, else upstream's page.

    A wheel in the lock needs no page; a lack of one does: the lock may tell no file names, or be older than the wheel.
    """

    def __init__(
        self, listed: Mapping[NormalizedName, tuple[Pin, Project]], direct: frozenset[NormalizedName], scene: _Scene
    ) -> None:
        self._listed = listed
        self._direct = direct
        self._scene = scene

    def project(self, name: NormalizedName) -> Project | None:
        pin, own = self._listed[name]
        fits = not self._scene.policy.forced(name) and self._fits(own.files)
        if name in self._direct or (fits and all(file.url and file.sha256 for file in own.files)):
            return own
        try:
            page = self._scene.upstream.project(name)
        except UpstreamError:
            if fits:
                return own
            raise
        theirs = page.of(pin.version) if page else ()
        known: set[Digest | None] = {file.sha256 for file in theirs}
        # The client takes them from the lock's own URLs, whichever index is configured here.
        more = tuple(file for file in own.files if file.url and file.sha256 and file.sha256 not in known)
        return Project(name=name, files=(*theirs, *more)) if theirs or more else page

    def _fits(self, files: Iterable[IndexFile]) -> bool:
        rank = self._scene.target.rank
        return any((wheel := file.wheel) and rank(wheel.tags) is not None for file in files)


def _file(file: LockedFile, pin: Pin) -> IndexFile:
    return IndexFile(filename=file.filename, url=file.url or "", version=pin.version, sha256=file.sha256, size=file.size)
