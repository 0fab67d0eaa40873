"""The end of the time that a run has."""

from __future__ import annotations

from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farm.wire.assembly import Farm

_AGAIN_S = 1.0


class Bell:
    """Ends the work when its time is up: nothing new starts, and after the grace what runs is ended. `rung` tells that it was."""

    def __init__(self, farm: Farm, seconds: float | None, grace: float) -> None:
        self._farm = farm
        self._seconds = seconds
        self._grace = grace
        self._over = Event()
        self._thread = Thread(target=self._wait, name="budget", daemon=True)
        self.rung = False

    def __enter__(self) -> Self:
        if self._seconds is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._seconds is not None:
            self._thread.join()

    def _wait(self) -> None:
        if self._over.wait(self._seconds):
            return
        self.rung = True
        # Again and again: where the engine has not begun yet, it would not hear of it.
        for _ in self._pauses():
            self._farm.stop()
        if not self._over.is_set():
            self._farm.progress.say("nightly", "the grace is over: what still runs is ended")
        while not self._over.is_set():
            # What an engine that has not begun would be told is said to this thread, which nobody waits for.
            with suppress(KeyboardInterrupt):
                self._farm.abandon()
            self._over.wait(_AGAIN_S)

    def _pauses(self) -> Iterator[None]:
        left = self._grace
        yield
        while left > 0 and not self._over.wait(min(left, _AGAIN_S)):
            left -= _AGAIN_S
            yield
