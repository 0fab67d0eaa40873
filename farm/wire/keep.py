"""`farm fsck` and `farm gc` put together: the store, and the roots whose wheels are kept."""

from __future__ import annotations

import glob
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from farm.adapters.audit import AuditPorts, AuditRequest, audit
from farm.adapters.collector import Collector
from farm.adapters.sdist_archive import read_sdist
from farm.errors import FarmError, StoreError, UpstreamError, UsageError
from farm.model.keeping import Bounds, Named
from farm.serve.simple import render_project
from farm.wire.check import Question, check
from farm.wire.site import processors
from farm.wire.watch import sets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from farm.model.keeping import Audit, Step
    from farm.model.package import Digest, NormalizedName, Version
    from farm.model.settings import Settings
    from farm.model.watch import WatchSet
    from farm.wire.assembly import Farm

_MOST_WORKERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What `farm gc` removed or, in a dry run, would remove now. `named` is None where there are no roots."""

    steps: tuple[Step, ...]
    named: Named | None
    dry_run: bool


def fsck(farm: Farm, *, fix: bool, sample: float, since: float | None, say: Callable[[str], None]) -> Audit:
    """Look at the whole store; `since` in seconds before now. StoreError when it cannot be read, or another keeper is at work."""
    _expect_store(farm.root)
    when = None if since is None else farm.clock.now().timestamp() - since
    request = AuditRequest(fix=fix, sample=sample, since=when, workers=min(processors(), _MOST_WORKERS))
    ports = AuditPorts(clock=farm.clock, render=render_project, sdist_metadata=_sdist_metadata, say=say)
    if not fix:
        return audit(farm.root, farm.store, request, ports)
    with _alone(farm):
        return audit(farm.root, farm.store, request, ports)


def gc(farm: Farm, *, dry_run: bool, keep: float | None) -> Collected:
    """Remove what nobody wants; `keep` in seconds in place of the configuration's.

    Nothing is removed when a root cannot be read (UsageError, RequirementsError) or resolved (UpstreamError, UsageError).
    """
    _expect_store(farm.root)
    settings = farm.settings
    watches = sets(farm)
    named = read_roots(farm, watches) if settings.gc_roots or watches else None
    bounds = Bounds(
        keep=settings.gc_keep if keep is None else keep,
        grace=settings.gc_grace,
        logs=settings.gc_logs,
        cache=settings.gc_cache,
    )
    if dry_run:
        steps = tuple(Collector(farm.root, farm.store, (bounds, named), farm.clock.now()).plan())
        return Collected(steps=steps, named=named, dry_run=True)
    with _alone(farm):
        farm.store.recover()
        collector = Collector(farm.root, farm.store, (bounds, named), farm.clock.now())
        return Collected(steps=tuple(collector.carry_out(tuple(collector.plan()))), named=named, dry_run=False)


def read_roots(farm: Farm, watches: Sequence[WatchSet]) -> Named:
    """Return what the configured roots name: locks as they are, requirements as they resolve for the configured targets now.

    Watch sets name what they wanted at their last good look, so that one that cannot be read today loses nothing. What was built for
    the target of an open campaign is kept too: nobody uses it yet, and the next night would build it again.
    """
    # Without a config.toml there are no roots, so its folder is known.
    folder = Path(farm.settings.source).resolve().parent
    paths = [path for pattern in farm.settings.gc_roots for path in _matching(pattern, folder)]
    pins: set[tuple[NormalizedName, Version]] = set()
    digests: set[Digest] = set()
    for path in dict.fromkeys(paths):
        demand = farm.read((path,), ())
        for package in (package for lock in demand.locks for package in lock.packages):
            if package.version is not None:
                pins.add((package.name, package.version))
            digests |= package.hashes | {file.sha256 for file in package.files if file.sha256}
        for entry in demand.requirements:
            if entry.pinned is not None:
                pins.add((entry.name, entry.pinned))
            digests |= {digest for digest in map(_sha256, entry.hashes) if digest}
        if demand.requirements:
            pins |= _resolved(farm.settings, farm.env, path)
    roots = dict.fromkeys((*paths, *(f"watch set {each.name}" for each in watches)))
    return Named(roots=tuple(roots), pins=frozenset(pins | _watched(farm, watches)), digests=frozenset(digests))


def _watched(farm: Farm, watches: Sequence[WatchSet]) -> set[tuple[NormalizedName, Version]]:
    """Return the pins of watch sets. UsageError for one that was never read: what it wants is not known."""
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - only with watch sets

    from farm.model.package import Version  # noqa: PLC0415 - the same

    looks = farm.records.watches.looks()
    for each in watches:
        wanted = looks.get(each.name)
        if wanted is None or (wanted.error and not wanted.pins):
            raise UsageError(
                f"watch set {each.name}: nothing is collected, as it was never read, so nobody knows what it wants",
                solution=f"`farm watch check {each.name}`, or remove the set",
            )
    pins = farm.records.watches.pins() | farm.records.campaigns.built()
    return {(canonicalize_name(name), Version(version)) for name, version in pins}


def _matching(pattern: str, folder: Path) -> list[str]:
    if "://" in pattern:
        return [pattern]
    found = sorted(glob.glob(str(folder / Path(pattern).expanduser()), recursive=True))  # noqa: PTH207 - it may be absolute
    if not found:
        raise UsageError(
            f"gc.roots: {pattern}: expected a file, found none; nothing is collected",
            solution="correct the path in config.toml, or remove the line if its wheels may go",
        )
    return found


def _resolved(settings: Settings, env: Mapping[str, str], path: str) -> set[tuple[NormalizedName, Version]]:
    """Return the versions that a requirements file leads to: what it needs without naming it is kept too."""
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - only with requirements files

    from farm.model.package import Version  # noqa: PLC0415 - the same
    from farm.wire.assembly import Farm  # noqa: PLC0415 - the same

    # One of its own: a farm reads for one set of index options.
    with Farm(settings, env) as other:
        report = check(other, Question(inputs=(path,))).report
    if report.problems:
        problem = report.problems[0]
        raise UsageError(
            f"{path}: nothing is collected, as not all that it needs is known: {problem.subject}: {problem.text}",
            solution="correct the file, or replace it in gc.roots by the lock that it leads to",
        )
    if report.count()["unknown"]:
        raise UpstreamError(f"{path}: nothing is collected, as an index did not answer", solution="try again later")
    return {(canonicalize_name(row.name), Version(row.version)) for row in report.rows if row.version}


def _sha256(text: str) -> Digest | None:
    from farm.model.package import parse_digest  # noqa: PLC0415 - only with hashes

    try:
        return parse_digest(text)
    except ValueError:
        return None


@contextmanager
def _alone(farm: Farm) -> Iterator[None]:
    with farm.store.locks.keeper() as held:
        if not held:
            raise StoreError(
                f"{farm.root}: another farm fsck --fix or farm gc is at work",
                solution="wait until it has ended, then try again",
            )
        yield


def _expect_store(root: Path) -> None:
    if not (root / "catalogue.sqlite").is_file():
        raise UsageError(
            f"{root}: expected the farm's store with its catalogue, found none",
            solution="set path under [store] in config.toml, or restore catalogue.sqlite from a backup",
        )


def _sdist_metadata(path: Path) -> bytes | None:
    try:
        return read_sdist(path).text("PKG-INFO").encode()
    except FarmError:
        return None
