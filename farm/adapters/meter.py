"""What a build's containers take: memory at the peak, processor time. The engine tells once a second, wherever it runs."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Self

from farm.errors import EngineError
from farm.model.load import Usage

if TYPE_CHECKING:
    from types import TracebackType

    from docker import DockerClient

_LOOK = 0.5
_LAST_WORD = 5.0


class Meter:
    """A context manager over the containers that carry these labels, however many come and go meanwhile.

    What the engine does not tell is left out: no figure is worth a build. The last second of a container may be missed.
    """

    def __init__(self, client: DockerClient, labels: dict[str, str]) -> None:
        self._client = client
        self._filters = {"label": [f"{key}={value}" for key, value in labels.items()]}
        self._ended = threading.Event()
        self._peak = 0
        self._cpu: dict[str, float] = {}
        self._began = time.monotonic()
        self._seconds = 0.0
        self._watcher = threading.Thread(target=self._watch, name="farm-meter", daemon=True)

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._seconds = time.monotonic() - self._began
        self._ended.set()
        self._watcher.join(_LAST_WORD)

    @property
    def usage(self) -> Usage:
        return Usage(memory=self._peak, cpu_seconds=sum(self._cpu.values()), seconds=self._seconds if self._cpu else 0.0)

    def _watch(self) -> None:
        from docker.errors import DockerException  # noqa: PLC0415 - see docker_engine
        from requests.exceptions import RequestException  # noqa: PLC0415 - the same

        while not self._ended.wait(_LOOK):
            try:
                for container in self._client.api.containers(filters=self._filters):
                    self._follow(str(container["Id"]))
            except (DockerException, RequestException, EngineError, OSError, ValueError):
                continue

    def _follow(self, identity: str) -> None:
        """Read a container's figures until it is gone."""
        for sample in self._client.api.stats(identity, decode=True, stream=True):
            memory = sample.get("memory_stats") or {}
            if not memory.get("usage"):
                return  # it has ended
            self._peak = max(self._peak, _without_caches(memory))
            self._cpu[identity] = float(sample["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9
            if self._ended.is_set():
                return


def _without_caches(memory: dict[str, Any]) -> int:
    """Return the bytes that could not be had back: as `docker stats` does, without files that are read no more (cgroups 1 and 2)."""
    stats = memory.get("stats") or {}
    caches = stats.get("total_inactive_file", stats.get("inactive_file", 0))
    return max(0, int(memory["usage"]) - int(caches))
