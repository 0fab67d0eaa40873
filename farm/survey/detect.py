"""For each pin and target: is there a wheel, upstream or on the farm, whose tags fit? Three-valued: unknown is not missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from farm.errors import UpstreamError
from farm.model.client import Client, client_ranks, needed_pip
from farm.model.demand import IndexOptions
from farm.model.gap import Cell, Hidden, Impossible, Missing, Presence, Present, Unknown
from farm.survey.reason import why_no_wheel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from farm.model.gap import Resolution
    from farm.model.package import Digest, IndexFile, NormalizedName, Pin, Version
    from farm.model.target import Target
    from farm.ports import Index

@dataclass(frozen=True, slots=True, kw_only=True)
class DetectPolicy:
    """What the user decided about files.

    `options` hold pip's --no-binary and --only-binary; `from_source` are further names whose upstream wheels do not
    count (`[policy] build-from-source`). `hashes`: for these names only files with one of these sha256 count (pip's
    hash-checking mode). `client_pip`: the version of pip that installs, None for today's; an old one does not know every tag.
    """

    options: IndexOptions = field(default_factory=IndexOptions)
    from_source: frozenset[NormalizedName] = frozenset()
    hashes: Mapping[NormalizedName, frozenset[Digest]] = field(default_factory=dict)
    client_pip: Version | None = None

    def forced(self, name: NormalizedName) -> bool:
        """True when upstream's wheels of a project do not count."""
        return name in self.from_source or "binary" not in self.options.allowed_formats(name)

    def forbidden(self, name: NormalizedName) -> bool:
        """True when a project may not be built."""
        return "source" not in self.options.allowed_formats(name)


def detect(resolution: Resolution, upstream: Index, farm: Index, policy: DetectPolicy) -> tuple[Cell, ...]:
    """Return one cell for each pin of a resolution, in its order. An index that does not answer gives Unknown cells."""
    return tuple(
        Cell(
            pin=resolved.pin,
            target=resolution.target,
            presence=presence(resolved.pin, resolution.target, upstream, farm, policy=policy),
            via=resolved.via,
            dependencies=resolved.dependencies,
        )
        for resolved in resolution.pins
    )


def presence(pin: Pin, target: Target, upstream: Index, farm: Index, *, policy: DetectPolicy) -> Presence:
    """Return whether `target`'s client finds a wheel of `pin`.

    Upstream's wheel goes first; a farm wheel counts even where the requirement's hashes do not name it (`farm lock`
    adds them), because it was built from the sdist that they do name.
    """
    built = farm.project(pin.name)
    ours = built.of(pin.version) if built else ()
    own = best_wheel(ours, target, policy.client_pip)
    try:
        page = upstream.project(pin.name)
    except UpstreamError as error:
        return Present(file=own, where="farm") if own else _hidden((), ours, target, policy) or Unknown(reason=error.reason)
    files = tuple(file for file in page.of(pin.version) if _allowed(file, policy.hashes.get(pin.name))) if page else ()
    forced = policy.forced(pin.name)
    theirs = None if forced else best_wheel(files, target, policy.client_pip)
    if theirs is not None:
        return Present(file=theirs, where="upstream", note=_note(theirs, files))
    if own is not None:
        return Present(file=own, where="farm")
    return _hidden(() if forced else files, ours, target, policy) or _absent(pin, target, files, policy)


def _hidden(files: tuple[IndexFile, ...], ours: tuple[IndexFile, ...], target: Target, policy: DetectPolicy) -> Hidden | None:
    """Return the wheel that a newer pip would take; of several, the one that the oldest pip would."""
    if policy.client_pip is None:
        return None
    sides: tuple[tuple[Literal["upstream", "farm"], tuple[IndexFile, ...]], ...] = (("upstream", files), ("farm", ours))
    found = [
        Hidden(file=file, where=where, pip=policy.client_pip, needs=needs)
        for where, side in sides
        for file in side
        if (wheel := file.wheel) and python_fits(file, target) and (needs := needed_pip(wheel.tags, target)) is not None
    ]
    return min(found, key=lambda hidden: hidden.needs, default=None)


def _absent(pin: Pin, target: Target, files: tuple[IndexFile, ...], policy: DetectPolicy) -> Missing | Impossible:
    wheels = tuple(file for file in files if file.is_wheel)
    forced = policy.forced(pin.name) and bool(wheels)
    reason = "built from source by policy" if forced else why_no_wheel(wheels, target)
    if policy.forbidden(pin.name):
        return Impossible(reason=f"{reason}, and --only-binary forbids building it")
    sdist = choose_sdist(files)
    if sdist is None:
        hashed = " among the files that the requirement's hashes allow" if pin.name in policy.hashes else ""
        return Impossible(reason=f"{reason}, and there is no sdist{hashed}" if wheels else f"neither wheel nor sdist{hashed}")
    if not python_fits(sdist, target):
        return Impossible(reason=f"requires Python {sdist.requires_python}, the target has {target.full_version}")
    return Missing(reason=reason, sdist=sdist)


def _allowed(file: IndexFile, hashes: frozenset[Digest] | None) -> bool:
    return hashes is None or file.sha256 in hashes


def best_wheel(files: Iterable[IndexFile], target: Target, client_pip: Version | None = None) -> IndexFile | None:
    """Return the wheel that pip would take on `target`: best tag first, then the highest build tag; None when none fits.

    `client_pip` takes only tags that it knows; None is today's pip.
    """
    ranks = target.ranks if client_pip is None else client_ranks(target, Client(version=client_pip))
    best: tuple[int, IndexFile] | None = None
    for file in files:
        wheel = file.wheel
        rank = min((ranks[tag] for tag in wheel.tags if tag in ranks), default=None) if wheel else None
        if wheel is None or rank is None or not python_fits(file, target):
            continue
        if best is None or rank < best[0] or (rank == best[0] and wheel.build > _build(best[1])):
            best = (rank, file)
    return best[1] if best else None


def _build(file: IndexFile) -> tuple[()] | tuple[int, str]:
    wheel = file.wheel
    return wheel.build if wheel else ()


def choose_sdist(files: Iterable[IndexFile]) -> IndexFile | None:
    """Return the sdist to build from: .tar.gz (PEP 625) before .zip before .tar.bz2, which pip takes and uv refuses."""
    order = (".tar.gz", ".zip", ".tar.bz2")
    sdists = [file for file in files if file.is_sdist]
    return min(sdists, key=lambda f: next(i for i, s in enumerate(order) if f.filename.endswith(s)), default=None)


def python_fits(file: IndexFile, target: Target) -> bool:
    """Whether a file's Requires-Python admits the target. One that cannot be parsed is ignored, as pip does."""
    if not file.requires_python:
        return True
    try:
        return SpecifierSet(file.requires_python).contains(target.full_version, prereleases=True)
    except InvalidSpecifier:
        return True


def _note(file: IndexFile, files: tuple[IndexFile, ...]) -> str:
    notes = []
    wheel = file.wheel
    others = (other.wheel for other in files)
    if wheel and wheel.pure and any(other and not other.pure for other in others):
        notes.append("pure fallback; native wheels exist for other targets")
    if file.yanked:
        notes.append(f"yanked: {file.yanked}" if isinstance(file.yanked, str) else "yanked")
    return "; ".join(notes)
