"""How long and how large a client may be: the bounds, and the look at every connection once a second that keeps the times.

One look a second for all connections costs less than a timer for each request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

_EVERY = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on each connection; times in seconds, sizes in bytes.

    `head_seconds` for a whole request head from its first byte (or from the connection's begin); `idle_seconds` between two
    requests; `stall_seconds` without a byte more of a body, or without the client taking one of ours; `body_rate` is the
    slowest body (bytes a second, on average). `connections` at the same time.
    """

    head_seconds: float = 15.0
    idle_seconds: float = 60.0
    stall_seconds: float = 60.0
    body_rate: float = 1024.0
    head_bytes: int = 32768
    connections: int = 1000


class Watched(Protocol):
    """A connection that can be looked at."""

    def look(self, now: float) -> None:
        """End it when it took too long. `now` is the event loop's time, in seconds."""
        ...


class Watch:
    """Looks at each of `connections` about once a second while there are any."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connections: Iterable[object]) -> None:
        self._loop = loop
        self._connections = connections
        self._next: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """To be called for each new connection."""
        if self._next is None:
            self._next = self._loop.call_later(_EVERY, self._look)

    def _look(self) -> None:
        self._next = None
        now = self._loop.time()
        for connection in tuple(self._connections):
            if hasattr(connection, "look"):
                connection.look(now)
                self.wake()
