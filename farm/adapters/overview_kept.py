"""Values that cost a look at a whole index: made anew when they are old, where old is a multiple of what making them took."""

from __future__ import annotations

import logging
import time
from threading import Lock, Thread
from typing import TYPE_CHECKING, Generic, TypeVar

from farm.errors import FarmError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_log = logging.getLogger("farm.serve")
_LEAST_SECONDS = 1.0
_SHARE = 50.0
"""At most a fiftieth of one processor goes into keeping a value fresh."""
_QUICK_SECONDS = 0.1
_STALE_SECONDS = 600.0


class KeptValue(Generic[T]):
    """Of a small farm it is a second old at most. Safe for threads: while one makes it anew, the others get the old one.

    What takes longer is made anew beside whoever asks, who gets the old one too, unless nobody has asked for ten minutes.
    """

    def __init__(self, make: Callable[[], T], now: Callable[[], float] = time.monotonic) -> None:
        self._make = make
        self._now = now
        self._lock = Lock()
        self._value: T | None = None
        self._until = 0.0
        self._seconds = 0.0

    def __call__(self) -> T:
        """Return the value. What `make` raises goes to whoever had it made, or to the log."""
        value, late = self._value, self._now() - self._until
        if value is not None and late < 0:
            return value
        if not self._lock.acquire(blocking=value is None):
            assert value is not None
            return value
        if value is not None and self._seconds > _QUICK_SECONDS and late < _STALE_SECONDS:
            Thread(target=self._refresh, name="kept value", daemon=True).start()
            return value
        try:
            return self._renew()
        finally:
            self._lock.release()

    def _refresh(self) -> None:
        try:
            self._renew()
        except FarmError as error:
            _log.warning("the totals are as they were: %s", error.reason)
            self._until = self._now() + _SHARE * self._seconds
        finally:
            self._lock.release()

    def _renew(self) -> T:
        if self._value is not None and self._now() < self._until:
            return self._value
        begun = self._now()
        made = self._make()
        ended = self._now()
        self._seconds = ended - begun
        self._value, self._until = made, ended + max(_LEAST_SECONDS, _SHARE * self._seconds)
        return made


class KeptValues(Generic[T]):
    """A `KeptValue` for each of the numbers asked for last. Safe for threads."""

    def __init__(self, make: Callable[[int], T], most: int) -> None:
        self._make = make
        self._most = most
        self._lock = Lock()
        self._kept: dict[int, KeptValue[T]] = {}

    def __call__(self, number: int) -> T:
        with self._lock:
            value = self._kept.pop(number, None) or KeptValue(lambda: self._make(number))
            self._kept[number] = value
            if len(self._kept) > self._most:
                del self._kept[next(iter(self._kept))]
        return value()
