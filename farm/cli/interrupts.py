"""Ctrl-C and SIGTERM while something is built: once lets what runs finish, twice stops now."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from farm.cli import render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from farm.wire import Farm


class Interrupts:
    """What becomes of signals during one run of `farm`."""

    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        self._count = 0

    @contextmanager
    def building(self) -> Iterator[None]:
        """While the engine works: the first Ctrl-C starts nothing new, the second, or a SIGTERM, ends it."""
        with _signals(self._interrupted):
            yield

    @contextmanager
    def surveying(self) -> Iterator[None]:
        """While the run surveys, nothing is worth waiting for: KeyboardInterrupt comes at once."""
        with _signals(self._stop_now):
            yield

    def _interrupted(self, number: int, _frame: object) -> None:
        self._count += 1
        if self._count == 1 and number == signal.SIGINT:
            self._farm.stop()
            render.alert("\nstopping: what runs may finish, nothing new starts; Ctrl-C again stops now")
        else:
            self._farm.abandon()
            render.alert("\nstopping now")

    def _stop_now(self, _number: int, _frame: object) -> None:
        render.alert("\nstopping now")
        self._farm.abandon()
        raise KeyboardInterrupt


@contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let `handler` have Ctrl-C and SIGTERM meanwhile."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
