"""Watches how much containers write, and kills those that write too much.

An engine can bound a container's disk only on some file systems (overlay2 with `pquota`), so that it is asked for the size of what
was written (SizeRw) again and again. A build may be over its limit by what it writes between two questions.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from docker import DockerClient

_PAUSE_S = 2.0
# The engine walks through every file that was written: the more there are, the seldomer it is asked.
_SHARE = 20


class DiskWatch:
    """A context manager: while it is entered, the containers with a label are killed once they hold more than `limit` bytes.

    `limit` 0 watches nothing. `exceeded` tells whether that happened; it stays when the watch is over.
    """

    def __init__(self, client: DockerClient, label: str, limit: int) -> None:
        self._client = client
        self._label = label
        self._limit = limit
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="disk-watch", daemon=True)
        self.exceeded = False

    def __enter__(self) -> Self:
        if self._limit:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._limit:
            self._thread.join()

    def _watch(self) -> None:
        pause = _PAUSE_S
        while not self._over.wait(pause):
            started = time.monotonic()
            self._look()
            pause = max(_PAUSE_S, _SHARE * (time.monotonic() - started))

    def _look(self) -> None:
        from docker.errors import DockerException  # noqa: PLC0415 - see docker_engine
        from requests.exceptions import RequestException  # noqa: PLC0415

        try:
            for found in self._client.api.containers(size=True, filters={"label": self._label}):
                if found.get("SizeRw", 0) > self._limit:
                    self.exceeded = True
                    self._client.api.kill(found["Id"])
        except (DockerException, RequestException):
            # The container ended while it was looked at; an engine that fails is told by whoever runs something in it.
            return
