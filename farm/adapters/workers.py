"""A few threads for what goes on behind a request. They are daemons: a server that ends does not wait for a silent upstream."""

from __future__ import annotations

import logging
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("farm.serve")
_IDLE = 10.0


class Workers:
    """At most `limit` threads, started when there is work and ended `_IDLE` seconds after there was none."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._threads = 0
        self._idle = 0

    def submit(self, job: Callable[[], None]) -> None:
        """Do a job soon. What it raises is logged: it must tell its own waiters."""
        with self._lock:
            self._jobs.put(job)
            if self._idle >= self._jobs.qsize() or self._threads >= self._limit:
                return
            self._threads += 1
        threading.Thread(target=self._work, daemon=True, name="farm-worker").start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except Exception:  # noqa: BLE001 - logged; the thread goes on for others
                _log.exception("a job behind the requests failed")

    def _next(self) -> Callable[[], None] | None:
        with self._lock:
            self._idle += 1
        while True:
            try:
                job = self._jobs.get(timeout=_IDLE)
            except Empty:
                with self._lock:
                    # Somebody may have counted on this thread a moment ago.
                    if not self._jobs.empty():
                        continue
                    self._idle -= 1
                    self._threads -= 1
                    return None
            with self._lock:
                self._idle -= 1
            return job
