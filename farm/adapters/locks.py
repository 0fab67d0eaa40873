"""Locks between processes, by flock: the kernel releases them when the holder dies, however it dies.

Whoever gets a lock looks whether its file still has its name: so `farm gc` may remove the files of locks that nobody holds.
"""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from farm.adapters.durable import make_dirs, storing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from farm.model.job import JobKey
    from farm.model.package import NormalizedName

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Locks:
    """ports.Locks in a folder. A lock belongs to one `with` block; threads of one process exclude each other too."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def job(self, key: JobKey) -> Iterator[None]:
        """Hold the right to build `key`; waits for whoever has it."""
        with self._hold(f"job-{key}", fcntl.LOCK_EX):
            yield

    @contextmanager
    def run(self, run: str) -> Iterator[None]:
        """Hold the sign that the run `run` is alive. Its attempts are taken for interrupted once it is gone."""
        with self._hold(f"run-{run}", fcntl.LOCK_EX):
            yield

    def alive(self, run: str) -> bool:
        """Tell whether some process holds `run`."""
        # Shared, so that two processes that ask at once do not take each other for the run.
        with self._hold(f"run-{run}", fcntl.LOCK_SH | fcntl.LOCK_NB) as held:
            return not held

    @contextmanager
    def page(self, name: NormalizedName, *, wait: bool) -> Iterator[bool]:
        """Hold a project's page; yields False, holding nothing, when `wait` is False and another process has it."""
        with self._hold(f"page-{name}", fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)) as held:
            yield held

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Hold off the removal of blobs while bytes become a listed file; any number may hold this at once."""
        with ExitStack() as stack:
            # Through a gate that `removing` shuts: else publishers who relieve each other would let nobody remove anything.
            with self._hold("store-gate", fcntl.LOCK_EX):
                stack.enter_context(self._hold("store-blobs", fcntl.LOCK_SH))
            yield

    @contextmanager
    def removing(self) -> Iterator[None]:
        """Hold the right to remove blobs; waits for who publishes, and lets nobody begin meanwhile. To be held briefly."""
        with self._hold("store-gate", fcntl.LOCK_EX), self._hold("store-blobs", fcntl.LOCK_EX):
            yield

    @contextmanager
    def keeper(self) -> Iterator[bool]:
        """Hold the right to mend or collect; yields False, holding nothing, when another process has it."""
        with self._hold("store-keeper", fcntl.LOCK_EX | fcntl.LOCK_NB) as held:
            yield held

    @contextmanager
    def night(self, holder: str) -> Iterator[str | None]:
        """Hold the right to be tonight's `farm nightly`; yields None, or what the one that has it said it is.

        What it said is lost with a power cut only; where it has not yet said anything, "".
        """
        make_dirs(self._root)
        path = self._root / "store-nightly"
        handle, held = _acquired(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            with storing(path):
                if held:
                    os.ftruncate(handle, 0)
                    os.pwrite(handle, holder.encode(), 0)
                found = None if held else os.pread(handle, 4096, 0).decode(errors="replace")
            yield found
        finally:
            os.close(handle)

    def idle(self, name: str) -> bool:
        """Tell whether nobody holds a lock of this name."""
        with self._hold(name, fcntl.LOCK_SH | fcntl.LOCK_NB) as held:
            return held

    def remove_idle(self, name: str) -> None:
        """Remove the file of a lock that nobody holds."""
        with self._hold(name, fcntl.LOCK_EX | fcntl.LOCK_NB) as held:
            if held:
                (self._root / name).unlink(missing_ok=True)

    @contextmanager
    def shared_file(self, name: str) -> Iterator[None]:
        """Hold one of the store's own files that every writer touches, such as the list of projects."""
        with self._hold(f"store-{name}", fcntl.LOCK_EX):
            yield

    @contextmanager
    def _hold(self, name: str, operation: int) -> Iterator[bool]:
        if not _SAFE.fullmatch(name):
            message = f"expected a lock name of letters, digits, '.', '_' and '-', found {name!r}"
            raise ValueError(message)
        make_dirs(self._root)
        path = self._root / name
        handle, held = _acquired(path, operation)
        try:
            yield held
        finally:
            os.close(handle)


def _acquired(path: Path, operation: int) -> tuple[int, bool]:
    """Return a descriptor of the lock's file, and whether it is locked; the file had its name when it was."""
    while True:
        with storing(path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            held = _lock(handle, path, operation)
            if not held or _named(handle, path):
                return handle, held
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _named(handle: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), path.stat())
    return False


def _lock(handle: int, path: Path, operation: int) -> bool:
    with storing(path):
        try:
            fcntl.flock(handle, operation)
        except BlockingIOError:
            return False
    return True
