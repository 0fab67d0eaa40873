"""Locks between processes, by flock: the kernel releases them when the holder dies, however it dies.

The lock files stay: removing one while another process waits for it would let two hold the same lock.
"""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import contextmanager
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
        with storing(path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            yield _lock(handle, path, operation)
        finally:
            os.close(handle)


def _lock(handle: int, path: Path, operation: int) -> bool:
    with storing(path):
        try:
            fcntl.flock(handle, operation)
        except BlockingIOError:
            return False
    return True
