"""Logs of builds that run, to any number of readers: each file is looked at by one task, whoever reads it.

The writer is another process that appends, and knows nothing of readers. The task looks at the file's size some times a second (no
notification works on every file system), reads what is new once and keeps the last of it. A reader that falls behind reads the file
itself, a piece at a time when its connection takes more: nothing is kept for it. The log ends with the build, however that ends.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync

from farm.errors import FarmError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from farm.serve.overview import Overview

PIECE = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """In seconds: how often a file is looked at, how often whether its build still runs, and after what silence a reader hears of it.

    `kept` is how many of the newest bytes are in memory for each log that is read.
    """

    look: float = 0.2
    alive: float = 1.0
    silence: float = 15.0
    kept: int = 1 << 18


class Tails:
    """The logs that are read now. For one event loop."""

    def __init__(self, overview: Overview, pace: Pace | None = None) -> None:
        self._overview = overview
        self._pace = pace or Pace()
        self._tails: dict[str, _Tail] = {}

    def __len__(self) -> int:
        """How many files are looked at."""
        return len(self._tails)

    async def follow(self, identity: str, start: int = 0) -> AsyncGenerator[bytes, None]:
        """Yield a build's log from byte `start` on, and what comes, until the build has ended or the log is gone.

        A piece is empty where nothing came for a while. StoreError when the catalogue cannot be read.
        """
        path = await run_sync(self._overview.log, identity)
        if path is None:
            return
        if not await run_sync(self._overview.running, identity):
            async for piece in read_pieces(path, start):
                yield piece
            return
        tail = self._join(identity, path)
        try:
            async for piece in tail.pieces(start):
                yield piece
        finally:
            self._leave(identity, tail)

    def _join(self, identity: str, path: Path) -> _Tail:
        tail = self._tails.get(identity)
        if tail is None or tail.ended:
            tail = self._tails[identity] = _Tail(path, lambda: self._overview.running(identity), self._pace)
        tail.readers += 1
        return tail

    def _leave(self, identity: str, tail: _Tail) -> None:
        tail.readers -= 1
        if not tail.readers:
            tail.stop()
            if self._tails.get(identity) is tail:
                del self._tails[identity]


class _Tail:
    """One file that grows. `ended` once nothing more will come."""

    def __init__(self, path: Path, running: Callable[[], bool], pace: Pace) -> None:
        self._path = path
        self._running = running
        self._pace = pace
        self._size = 0
        self._recent = b""
        self._changed = asyncio.Event()
        self.readers = 0
        self.ended = False
        self._task = asyncio.get_running_loop().create_task(self._watch())

    def stop(self) -> None:
        self._task.cancel()

    async def pieces(self, start: int) -> AsyncGenerator[bytes, None]:
        offset = start
        while True:
            # Before the size is looked at: what comes in between sets this very event.
            changed, ended = self._changed, self.ended
            while offset < self._size:
                piece = self._kept(offset) or await run_sync(_read, self._path, offset, PIECE)
                if not piece:
                    return
                offset += len(piece)
                yield piece
            if ended:
                return
            try:
                await asyncio.wait_for(changed.wait(), self._pace.silence)
            except TimeoutError:
                yield b""

    def _kept(self, offset: int) -> bytes:
        first = self._size - len(self._recent)
        return self._recent[offset - first : offset - first + PIECE] if offset >= first else b""

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._pace.alive
        alive = True
        try:
            while alive:
                # First whether it runs: what a build wrote last is there when it has ended.
                if loop.time() >= due:
                    alive = await run_sync(self._alive)
                    due = loop.time() + self._pace.alive
                found = await run_sync(self._look, self._size, self._recent)
                if found is None:
                    break
                self._size, self._recent = found
                self._tell()
                if alive:
                    await asyncio.sleep(self._pace.look)
        finally:
            self.ended = True
            self._tell()

    def _alive(self) -> bool:
        with suppress(FarmError):
            return self._running()
        # Nobody can tell any more: a reader that comes again sees more.
        return False

    def _look(self, known: int, recent: bytes) -> tuple[int, bytes] | None:
        """Return the file's size and newest bytes, None when it is gone or not the one that it was. For a thread."""
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            # A build that has just begun has written nothing yet.
            return None if known else (0, b"")
        except OSError:
            return None
        if size <= known:
            return (known, recent) if size == known else None
        first = max(known, size - self._pace.kept)
        new = _read(self._path, first, size - first)
        return first + len(new), (recent + new if first == known else new)[-self._pace.kept :]

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


async def read_pieces(path: Path, start: int, end: int | None = None) -> AsyncGenerator[bytes, None]:
    """Yield a file's bytes from `start` up to `end`, or to where it ends now; one that is gone has none."""
    offset = start
    while end is None or offset < end:
        piece = await run_sync(_read, path, offset, PIECE if end is None else min(PIECE, end - offset))
        if not piece:
            return
        offset += len(piece)
        yield piece


def _read(path: Path, offset: int, size: int) -> bytes:
    with suppress(OSError), path.open("rb", buffering=0) as file:
        return os.pread(file.fileno(), size, offset)
    return b""
