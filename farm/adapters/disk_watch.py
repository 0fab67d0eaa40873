"""Watches how much containers write, and kills those that write too much.

An engine can bound a container's disk only on some file systems (overlay2 with `pquota`), so that it is asked for the size of what
was written (SizeRw) again and again. A build may be over its limit by what it writes between two questions. A volume is not part of that
size, so that `du` tells it, run in the container.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from farm.adapters.compiled import FOLDER
from farm.adapters.sandbox import USER

if TYPE_CHECKING:
    from types import TracebackType

    from docker import DockerClient

_PAUSE_S = 2.0
# The engine walks through every file that was written: the more there are, the seldomer it is asked.
_SHARE = 20
_VOLUME_BYTES = 4 << 30
# A volume is looked at once in so many times.
_SELDOM = 5


class DiskWatch:
    """A context manager: while it is entered, the containers with a label are killed once they hold more than `limit` bytes, or their
    volume more than `volume_limit`. A volume that holds too much is removed in the end.

    `limit` 0 watches nothing. `exceeded` tells whether that happened; it stays when the watch is over.
    """

    def __init__(
        self, client: DockerClient, label: str, limit: int, volume: str = "", *, volume_limit: int = _VOLUME_BYTES
    ) -> None:
        self._client = client
        self._label = label
        self._limit = limit
        self._volume = volume
        self._volume_limit = volume_limit
        self._full = False
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
        if self._full:
            self._remove_volume()

    def _watch(self) -> None:
        pause, looks = _PAUSE_S, 0
        while not self._over.wait(pause):
            started = time.monotonic()
            looks += 1
            self._look(and_volume=self._volume != "" and looks % _SELDOM == 0)
            pause = max(_PAUSE_S, _SHARE * (time.monotonic() - started))

    def _look(self, *, and_volume: bool) -> None:
        from docker.errors import DockerException  # noqa: PLC0415 - see docker_engine
        from requests.exceptions import RequestException  # noqa: PLC0415

        try:
            for found in self._client.api.containers(size=True, filters={"label": self._label}):
                # Kept once seen: the volume goes when the watch is over, whatever later looks find.
                self._full = self._full or (and_volume and self._held(found["Id"]) > self._volume_limit)
                if found.get("SizeRw", 0) > self._limit or self._full:
                    self.exceeded = True
                    self._client.api.kill(found["Id"])
        except (DockerException, RequestException):
            # The container ended while it was looked at; an engine that fails is told by whoever runs something in it.
            return

    def _held(self, container: str) -> int:
        """Return how many bytes the volume holds; 0 where that cannot be told."""
        started = self._client.api.exec_create(container, ["du", "-sk", FOLDER], user=USER)
        told = self._client.api.exec_start(started["Id"]).split()
        return int(told[0]) << 10 if told and told[0].isdigit() else 0

    def _remove_volume(self) -> None:
        from docker.errors import DockerException  # noqa: PLC0415 - see docker_engine

        with suppress(DockerException):
            for found in self._client.api.containers(all=True, filters={"label": self._label}):
                self._client.api.remove_container(found["Id"], force=True)
            self._client.api.remove_volume(self._volume, force=True)
