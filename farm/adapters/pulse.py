"""Whether anything was published since: one read(2) of the store's change token, through a descriptor that stays open."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_AGAIN = 1.0
_LONGEST = 64


class Pulse:
    """Reads a file that writers change in place. One that was replaced is noticed within a second. For one thread."""

    def __init__(self, path: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._path = str(path)
        self._now = now
        self._file: int | None = None
        self._until = 0.0

    def __call__(self) -> bytes | None:
        """Return what changes whenever something is published, None when that cannot be told."""
        try:
            if self._now() >= self._until:
                self.close()
                self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
                self._until = self._now() + _AGAIN
            # A path would be looked up each time: this is a quarter of a stat.
            return None if self._file is None else os.pread(self._file, _LONGEST, 0)
        except OSError:
            return None

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
