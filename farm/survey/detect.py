"""For each pin and target: is there a wheel, upstream or on the farm, whose tags fit? Three-valued: unknown is not missing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from farm.errors import UpstreamError
from farm.model.client import Client, client_ranks, needed_pip
from farm.model.demand import IndexOptions
from farm.model.gap import Cell, Hidden, Impossible, Missing, Presence, Present, Unknown
from farm.model.releases import python_fits
from farm.survey.reason import LeftOut, why_left_out, why_no_wheel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from farm.model.demand import Demand, Requirement
    from farm.model.gap import Resolution
    from farm.model.package import Digest, IndexFile, NormalizedName, Pin, Version
    from farm.model.target import Target
    from farm.ports import Index

@dataclass(frozen=True, slots=True, kw_only=True)
class DetectPolicy:
    """What the user decided about files.

    `options` hold pip's --no-binary and --only-binary; `from_source` are further names whose upstream wheels do not
    count (`[policy] build-from-source`; ":all:" is every one). `hashes`: for these names only files with one of these sha256 count (pip's
    hash-checking mode). `client_pip`: the version of pip that installs, None for today's; an old one does not know every tag.
    `newest`: the last upload time that counts (the cool-down; pip's --uploaded-prior-to, uv's exclude-newer, file by file);
    what `pinned` names with `==` is exempt. `locked`: where the lock is (FILE:LINE) that chose these names' files, whatever
    their age and whether they are yanked.
    """

    options: IndexOptions = field(default_factory=IndexOptions)
    from_source: frozenset[NormalizedName] = frozenset()
    hashes: Mapping[NormalizedName, frozenset[Digest]] = field(default_factory=dict)
    client_pip: Version | None = None
    newest: datetime | None = None
    pinned: Mapping[NormalizedName, tuple[Requirement, ...]] = field(default_factory=dict)
    locked: Mapping[NormalizedName, str] = field(default_factory=dict)
    outdated: frozenset[str] = frozenset()

    def pinned_by(self, demand: Demand) -> DetectPolicy:
        """Return the policy with the versions that a demand names with `==`, in requirements or constraints."""
        pinned: dict[NormalizedName, tuple[Requirement, ...]] = {}
        for entry in (*demand.requirements, *demand.constraints) if self.newest else ():
            if entry.pinned is not None:
                pinned[entry.name] = (*pinned.get(entry.name, ()), entry)
        return replace(self, pinned=pinned)

    def old_enough(self, file: IndexFile) -> bool:
        """True for what the cool-down lets count; a file that tells no age may be younger."""
        return self.newest is None or (file.upload_time is not None and file.upload_time <= self.newest)

    def exempt(self, pin: Pin, target: Target) -> bool:
        """True when the cool-down does not hold for a version: a lock or a requirement for this target names just it."""
        environment = {**target.markers, "extra": ""}
        return pin.name in self.locked or any(
            entry.pinned == pin.version and (entry.marker is None or entry.marker.evaluate(environment))
            for entry in self.pinned.get(pin.name, ())
        )

    def forced(self, name: NormalizedName) -> bool:
        """True when upstream's wheels of a project do not count."""
        named = name in self.from_source or ":all:" in self.from_source
        return named or "binary" not in self.options.allowed_formats(name)

    def forbidden(self, name: NormalizedName) -> bool:
        """True when a project may not be built."""
        return "source" not in self.options.allowed_formats(name)


def policy_of_builds(from_source: frozenset[NormalizedName], newest: datetime | None) -> DetectPolicy:
    """Return the policy for build requirements. ":all:" is not for them: build backends need each other, and all would be refused."""
    return DetectPolicy(from_source=frozenset(name for name in from_source if name != ":all:"), newest=newest)


Memory = dict[tuple[object, ...], Presence]
"""What was found out before of pins and targets, over the same indexes and as of the same day."""


def detect(
    resolution: Resolution, upstream: Index, farm: Index, policy: DetectPolicy, memory: Memory | None = None
) -> tuple[Cell, ...]:
    """Return one cell for each pin of a resolution, in its order. An index that does not answer gives Unknown cells.

    `memory` is used and added to; it must be of the same indexes, `client_pip` and `newest`.
    """
    # What a lock chose hangs on that lock; what is outdated, on one farm wheel.
    memory = None if policy.locked or policy.outdated else memory
    return tuple(
        Cell(
            pin=resolved.pin,
            target=resolution.target,
            presence=_remembered(resolved.pin, resolution.target, (upstream, farm), policy, memory),
            via=resolved.via,
            dependencies=resolved.dependencies,
        )
        for resolved in resolution.pins
    )


def _remembered(
    pin: Pin, target: Target, indexes: tuple[Index, Index], policy: DetectPolicy, memory: Memory | None
) -> Presence:
    if memory is None:
        return presence(pin, target, *indexes, policy=policy)
    exempt = policy.newest is not None and policy.exempt(pin, target)
    name = pin.name
    key = (pin, target.name, policy.forced(name), policy.forbidden(name), policy.hashes.get(name), exempt)
    found = memory.get(key)
    if found is None:
        found = memory[key] = presence(pin, target, *indexes, policy=policy)
    return found


def presence(pin: Pin, target: Target, upstream: Index, farm: Index, *, policy: DetectPolicy) -> Presence:
    """Return whether `target`'s client finds a wheel of `pin`.

    Upstream's wheel goes first; a farm wheel counts even where the requirement's hashes do not name it (`farm lock`
    adds them), because it was built from the sdist that they do name.
    """
    built = farm.project(pin.name)
    ours = tuple(file for file in built.of(pin.version) if file.filename not in policy.outdated) if built else ()
    own = best_wheel(ours, target, policy.client_pip)
    try:
        page = upstream.project(pin.name)
    except UpstreamError as error:
        return Present(file=own, where="farm") if own else _hidden((), ours, target, policy) or Unknown(reason=error.reason)
    files, left_out = _counting(page.of(pin.version) if page else (), pin, target, policy)
    forced = policy.forced(pin.name)
    theirs = None if forced else best_wheel(files, target, policy.client_pip)
    if forced and own is not None and page is not None:
        own = best_wheel(_not_upstreams(ours, page.of(pin.version)), target, policy.client_pip)
    if theirs is not None:
        return Present(file=theirs, where="upstream", note=_note(theirs, files))
    if own is not None:
        return Present(file=own, where="farm")
    return _hidden(() if forced else files, ours, target, policy) or _absent(pin, target, files, left_out, policy=policy)


def _not_upstreams(ours: tuple[IndexFile, ...], files: tuple[IndexFile, ...]) -> tuple[IndexFile, ...]:
    """Return the farm's files that a merged page lists: of two with one name it has upstream's (`farm.serve.inherit`)."""
    theirs = {file.filename: file.sha256 for file in files}
    return tuple(file for file in ours if theirs.get(file.filename, file.sha256) == file.sha256)


def _counting(
    files: tuple[IndexFile, ...], pin: Pin, target: Target, policy: DetectPolicy
) -> tuple[tuple[IndexFile, ...], LeftOut]:
    """Return the files of a version that count, and the others by why they do not; in the order in which pip looks."""
    old = files
    if policy.newest is not None and not policy.exempt(pin, target):
        old = tuple(filter(policy.old_enough, files))
    allowed = _allowed(old, policy.hashes.get(pin.name))
    fresh = allowed
    if any(file.yanked is not False for file in allowed) and pin.name not in policy.locked:
        fresh = _not_yanked(pin, target, allowed, policy)
    if len(fresh) == len(files):
        return files, LeftOut()
    return fresh, LeftOut(
        young=_without(files, old),
        newest=policy.newest,
        unnamed=_without(old, allowed),
        lock=policy.locked.get(pin.name, ""),
        yanked=_without(allowed, fresh),
    )


def _without(files: tuple[IndexFile, ...], others: tuple[IndexFile, ...]) -> tuple[IndexFile, ...]:
    kept = set(map(id, others))
    return tuple(file for file in files if id(file) not in kept)


def _allowed(files: tuple[IndexFile, ...], hashes: frozenset[Digest] | None) -> tuple[IndexFile, ...]:
    """Return what pip's hash-checking mode could take: of files whose hash the index does not tell, pip finds it out."""
    if hashes is None:
        return files
    matching = tuple(file for file in files if file.sha256 in hashes)
    return matching or tuple(file for file in files if file.sha256 is None)


def _not_yanked(pin: Pin, target: Target, files: tuple[IndexFile, ...], policy: DetectPolicy) -> tuple[IndexFile, ...]:
    """Return what pip takes of a version with yanked files: these only where there is no other that it could use (PEP 592)."""
    if not Client(version=policy.client_pip).knows_yanked:
        return files
    usable = [] if policy.forced(pin.name) else [best_wheel((file,), target, policy.client_pip) for file in files]
    sdists = () if policy.forbidden(pin.name) else (file for file in files if file.is_sdist and python_fits(file, target))
    if any(file is not None and file.yanked is False for file in (*usable, *sdists)):
        return tuple(file for file in files if file.yanked is False)
    return files


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


def _absent(
    pin: Pin, target: Target, files: tuple[IndexFile, ...], left_out: LeftOut, *, policy: DetectPolicy
) -> Missing | Impossible:
    wheels = tuple(file for file in files if file.is_wheel)
    forced = policy.forced(pin.name) and any(file.is_wheel for file in (*files, *left_out.all))
    reason = "built from source by policy" if forced else why_left_out(left_out, _fitting(left_out, target, policy))
    reason = reason or why_no_wheel(wheels, target)
    if policy.forbidden(pin.name):
        return Impossible(reason=f"{reason}, and --only-binary forbids building it")
    sdist = choose_sdist(files, target)
    if sdist is None:
        return Impossible(reason=_no_sdist(reason if wheels or left_out.all else "", pin, left_out, policy))
    if not python_fits(sdist, target):
        return Impossible(reason=f"requires Python {sdist.requires_python}, the target has {target.full_version}")
    return Missing(reason=reason, sdist=sdist)


def _fitting(left_out: LeftOut, target: Target, policy: DetectPolicy) -> IndexFile | None:
    """Return the best of the wheels that would serve, were they not left out."""
    return best_wheel(left_out.all, target, policy.client_pip)


def _no_sdist(reason: str, pin: Pin, left_out: LeftOut, policy: DetectPolicy) -> str:
    among = ""
    if any(file.is_sdist for file in left_out.young):
        among = " that is old enough for the cool-down"
    elif pin.name in policy.locked and pin.name in policy.hashes:
        among = f" among the files that {policy.locked[pin.name]} names"
    elif pin.name in policy.hashes:
        among = " among the files that the requirement's hashes allow"
    return f"{reason}, and there is no sdist{among}" if reason else f"neither wheel nor sdist{among}"


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


def choose_sdist(files: Iterable[IndexFile], target: Target) -> IndexFile | None:
    """Return the sdist to build from; None where there is none.

    One for the target's Python before others, one that is not yanked before others, then .tar.gz (PEP 625) before .zip
    before .tar.bz2, which pip takes and uv refuses.
    """
    order = (".tar.gz", ".zip", ".tar.bz2")

    def rank(file: IndexFile) -> tuple[bool, bool, int]:
        suffix = next(i for i, s in enumerate(order) if file.filename.endswith(s))
        return not python_fits(file, target), file.yanked is not False, suffix

    return min((file for file in files if file.is_sdist), key=rank, default=None)


def _note(file: IndexFile, files: tuple[IndexFile, ...]) -> str:
    notes = []
    wheel = file.wheel
    others = (other.wheel for other in files)
    if wheel and wheel.pure and any(other and not other.pure for other in others):
        notes.append("pure fallback; native wheels exist for other targets")
    if file.yanked:
        notes.append(f"yanked: {file.yanked}" if isinstance(file.yanked, str) else "yanked")
    return "; ".join(notes)
