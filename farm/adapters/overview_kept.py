"""Values that cost a look at a whole index: made anew when they are old, where old is a multiple of what making them took."""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_LEAST_SECONDS = 1.0
_SHARE = 50.0
"""At most a fiftieth of one processor goes into keeping a value fresh."""


class KeptValue(Generic[T]):
    """Of a small farm it is a second old at most. Safe for threads: while one makes it anew, the others get the old one."""

    def __init__(self, make: Callable[[], T], now: Callable[[], float] = time.monotonic) -> None:
        self._make = make
        self._now = now
        self._lock = Lock()
        self._value: T | None = None
        self._until = 0.0

    def __call__(self) -> T:
        """Return the value. What `make` raises goes to whoever had it made."""
        value = self._value
        if value is not None and self._now() < self._until:
            return value
        if not self._lock.acquire(blocking=value is None):
            assert value is not None
            return value
        try:
            if self._value is not None and self._now() < self._until:
                return self._value
            begun = self._now()
            made = self._make()
            ended = self._now()
            self._value, self._until = made, ended + max(_LEAST_SECONDS, _SHARE * (ended - begun))
            return made
        finally:
            self._lock.release()
