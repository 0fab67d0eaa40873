"""`farm gc`: what nobody wants any more, found first and then removed step by step, beside publishers and readers.

A wheel leaves its page at once, its bytes after a grace period: whoever has an older page or a lock still gets them. Each step
looks again, under the lock that keeps publishers out, and may be repeated; so the run may end anywhere.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from farm.adapters.durable import storing
from farm.adapters.inventory import DIGITS, Inventory, following
from farm.adapters.leftovers import leftovers, tree_size
from farm.adapters.tombstones import Tombstones
from farm.model.keeping import Step, tombstone
from farm.model.package import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from farm.adapters.store import Store
    from farm.model.attempt import WheelRecord
    from farm.model.keeping import Bounds, Named

_AT_ONCE = 50
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DAY = 24 * 3600.0
_SIDECAR = ".metadata"
_LOCKS = ("job-", "run-", "page-")
# Of these each file stands for itself, and what is gone is fetched or computed again.
_CACHES = ("answers", "files", "metadata", "mirror", "pages", "rendered", "resolver/resolutions")


class Collector:
    """`named` is what the roots name; None: there are no roots, and no wheel leaves the index. `now` is aware."""

    def __init__(self, root: Path, store: Store, rules: tuple[Bounds, Named | None], now: datetime) -> None:
        self._root = root
        self._store = store
        self._bounds, self._named = rules
        self._now = now
        self._inventory = Inventory(store.catalogue.database)
        self._tombstones = Tombstones(store.catalogue.database)
        self._tried = self._inventory.tried_since(now - timedelta(seconds=self._bounds.keep))

    def plan(self) -> Iterator[Step]:
        """Yield what `carry_out` would remove now, in its order."""
        if self._named is not None:
            for digit in DIGITS:
                yield from self._wheels(digit)
        for digit in DIGITS:
            yield from self._blobs(digit)
        for path, size in leftovers(self._root, self._store.catalogue, self._store.locks, self._before(_DAY)):
            yield Step(
                removal="staging",
                subject=str(path.relative_to(self._root)),
                size=size,
                why="a process left it when it died",
            )
        yield from self._logs()
        yield from self._caches()
        yield from self._locks()

    def carry_out(self, steps: Sequence[Step]) -> Iterator[Step]:
        """Remove what was planned, and yield each step that was taken; what has come into use since is left alone."""
        for removal, alike in groupby(steps, key=lambda step: step.removal):
            some = list(alike)
            if removal == "wheel":
                for start in range(0, len(some), _AT_ONCE):
                    yield from self._unlist(some[start : start + _AT_ONCE])
            elif removal == "blob":
                for start in range(0, len(some), _AT_ONCE):
                    yield from self._remove_blobs(some[start : start + _AT_ONCE])
            elif removal == "lock":
                for step in some:
                    self._store.locks.remove_idle(step.subject)
                    yield step
            else:
                for step in some:
                    _remove(self._root / step.subject)
                    yield step

    def _before(self, seconds: float) -> float:
        return self._now.timestamp() - seconds

    def _wheels(self, digit: str) -> Iterator[Step]:
        for record in self._inventory.between(digit):
            if not self._wanted(record):
                yield Step(removal="wheel", subject=record.filename, size=record.size, why=self._why())

    def _why(self) -> str:
        return f"no root names it, and it was neither made nor used for {self._bounds.keep / _DAY:g} days"

    def _wanted(self, record: WheelRecord) -> bool:
        assert self._named is not None
        # What was uploaded, the farm could not make again.
        if (
            record.key is None
            or (record.name, record.version) in self._named.pins
            or record.sha256 in self._named.digests
        ):
            return True
        if record.sha256 in self._tried or record.built_at.timestamp() >= self._before(self._bounds.keep):
            return True
        return self._used(record.sha256)

    def _used(self, digest: Digest) -> bool:
        """Tell whether a blob was published or read within the time: access times are to the day on most file systems."""
        try:
            found = self._blob(digest).stat()
        except FileNotFoundError:
            return False
        return max(found.st_mtime, found.st_atime) >= self._before(self._bounds.keep)

    def _unlist(self, steps: Sequence[Step]) -> list[Step]:
        with self._store.locks.removing():
            records = {step: self._store.catalogue.wheel(step.subject) for step in steps}
            gone = {step: record for step, record in records.items() if record is not None and not self._wanted(record)}
            self._store.unlist(
                [tombstone(record, f"collected: {step.why}", self._now) for step, record in gone.items()]
            )
        return list(gone)

    def _blobs(self, digit: str) -> Iterator[Step]:
        # The files first: what is published after that is listed below, and what was before has its row.
        folders = [digit + second for second in DIGITS]
        there = [(prefix + name, found) for prefix in folders for name, found in _files(self._root / "blobs" / prefix)]
        listed = {record.sha256 for record in self._inventory.between(digit)} | self._direct()
        removed = self._tombstones.between(digit, following(digit))
        sizes: dict[Digest, int] = {}
        for name, found in there:
            digest = Digest(name.removesuffix(_SIDECAR))
            # Foreign files are for `farm fsck`.
            if not _DIGEST.fullmatch(digest) or digest in listed or digest in self._tried:
                continue
            since = max(found.st_mtime, removed[digest].timestamp() if digest in removed else 0.0)
            if since < self._before(self._bounds.grace):
                sizes[digest] = sizes.get(digest, 0) + found.st_size
        for digest, size in sizes.items():
            why = "collected from the index before" if digest in removed else "never came onto the index"
            yield Step(removal="blob", subject=digest, size=size, why=why)

    def _remove_blobs(self, steps: Sequence[Step]) -> list[Step]:
        done = []
        with self._store.locks.removing():
            direct = self._direct()
            for step in steps:
                path = self._blob(Digest(step.subject))
                with storing(path), suppress(FileNotFoundError):
                    fresh = path.exists() and path.stat().st_mtime >= self._before(self._bounds.grace)
                    if fresh or self._inventory.lists(Digest(step.subject)) or step.subject in direct:
                        continue
                    # The bytes first: METADATA without them is no file of the index to anyone.
                    path.unlink(missing_ok=True)
                    path.with_name(path.name + _SIDECAR).unlink(missing_ok=True)
                    self._store.attestations.remove(Digest(step.subject))
                done.append(step)
        return done

    def _direct(self) -> set[Digest]:
        """Return the wheels of what is on no index: requirement files name them by URL, so none is ever collected."""
        return {file.sha256 for _, file in self._store.direct.all() if file.sha256 is not None}

    def _blob(self, digest: Digest) -> Path:
        return self._root / "blobs" / digest[:2] / digest[2:]

    def _logs(self) -> Iterator[Step]:
        days = self._bounds.logs / _DAY
        for name, _ in _files(self._root / "logs"):
            folder = self._root / "logs" / name
            times = [found.st_mtime for _, found in _files(folder)]
            if folder.is_dir() and max(times, default=0.0) < self._before(self._bounds.logs):
                yield Step(
                    removal="log", subject=f"logs/{name}", size=tree_size(folder), why=f"older than {days:g} days"
                )

    def _caches(self) -> Iterator[Step]:
        """Yield the files that were used longest ago, until the rest fits; what was used today may be in use now."""
        excess = tree_size(self._root / "cache") - self._bounds.cache if (self._root / "cache").is_dir() else 0
        if excess <= 0:
            return
        found = sorted(_below(self._root, [self._root / "cache" / name for name in _CACHES]))
        for used, subject, size in found:
            if excess <= 0 or used >= self._before(_DAY):
                return
            excess -= size
            yield Step(
                removal="cache",
                subject=subject,
                size=size,
                why=f"the cache is larger than {self._bounds.cache >> 20} MiB",
            )

    def _locks(self) -> Iterator[Step]:
        for name, found in _files(self._root / "locks"):
            if name.startswith(_LOCKS) and found.st_mtime < self._before(_DAY) and self._store.locks.idle(name):
                yield Step(removal="lock", subject=name, size=0, why="nobody holds it")


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    with storing(folder):
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            with suppress(FileNotFoundError):
                yield entry.name, entry.stat(follow_symlinks=False)


def _below(root: Path, folders: Sequence[Path]) -> Iterator[tuple[float, str, int]]:
    for folder in folders:
        for place, _, names in os.walk(folder):
            for name in names:
                path = Path(place) / name
                with suppress(FileNotFoundError):
                    found = path.lstat()
                    yield max(found.st_mtime, found.st_atime), str(path.relative_to(root)), found.st_size


def _remove(path: Path) -> None:
    with storing(path), suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
