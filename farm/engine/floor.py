"""The shop floor: what is ready, the most urgent first, and what there is room for. Pure; O(what changed), not O(the plan)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Literal

from farm.model.load import Weight

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from farm.model.job import JobId
    from farm.model.load import Load

Quick = Literal["verified", "built", "broken"]
# What is nearly done goes first: a published wheel frees its dependants and cannot be lost any more.
_QUICK: tuple[Quick, ...] = ("verified", "built", "broken")
_MILLI = 1000
# Weights are rounded up to steps, so that jobs fall into few kinds, of which only the most urgent has to be looked at.
STEPS = 1024
_CPU_STEP = 125


@dataclass(frozen=True, slots=True)
class _Room:
    """What a build takes: bytes, thousandths of a CPU (whole numbers add up without drift), and whether nothing else may run."""

    memory: int
    cpus: int
    exclusive: bool


class Floor:
    """At most `limit` commands side by side; builds moreover within the load's memory and CPUs.

    Something that fits never waits for something more urgent that does not: what is heavy goes when there is room for it.
    """

    def __init__(self, limit: int, load: Load, urgency: Mapping[JobId, float]) -> None:
        self._limit = limit
        self._load = load
        self._rank = {identity: (-seconds, place) for place, (identity, seconds) in enumerate(urgency.items())}
        self._quick: dict[Quick, list[tuple[tuple[float, int], JobId]]] = {state: [] for state in _QUICK}
        self._builds: defaultdict[_Room, list[tuple[tuple[float, int], JobId]]] = defaultdict(list)
        self._rooms = {identity: self._room(load.weights.get(identity, Weight())) for identity in urgency}
        self._running: dict[JobId, _Room] = {}
        self._memory = self._cpus = 0
        self._alone = False

    def add(self, urgency: Mapping[JobId, float], weights: Mapping[JobId, Weight]) -> None:
        """Take in jobs that are new, with their urgency as at first."""
        places = range(len(self._rank), len(self._rank) + len(urgency))
        self._rank |= {identity: (-seconds, place) for place, (identity, seconds) in zip(places, urgency.items(), strict=True)}
        self._rooms |= {identity: self._room(weights.get(identity, Weight())) for identity in urgency}

    def _room(self, weight: Weight) -> _Room:
        step = max(1, self._load.memory // STEPS)
        memory, cpus = -(-weight.memory // step) * step, -(-round(weight.cpus * _MILLI) // _CPU_STEP) * _CPU_STEP
        return _Room(
            memory=min(memory, self._load.memory) if self._load.memory else 0,
            cpus=min(cpus, round(self._load.cpus * _MILLI)) if self._load.cpus else 0,
            exclusive=weight.exclusive,
        )

    def ready(self, identity: JobId, state: Quick | Literal["waiting"]) -> None:
        """Put a job where its next command is taken from."""
        queue = self._builds[self._rooms[identity]] if state == "waiting" else self._quick[state]
        heappush(queue, (self._rank[identity], identity))

    def take(self, holds: Callable[[JobId, str], bool]) -> JobId | None:
        """Return the most urgent job that has room, and give it that; None where nothing fits.

        `holds` tells whether a job still is in the state in which it was put here.
        """
        if self._alone or len(self._running) >= self._limit:
            return None
        for state in _QUICK:
            queue = self._quick[state]
            while queue:
                _, identity = heappop(queue)
                if holds(identity, state):
                    self._begin(identity, _Room(memory=0, cpus=0, exclusive=False))
                    return identity
        return self._take_build(holds)

    def _take_build(self, holds: Callable[[JobId, str], bool]) -> JobId | None:
        best: _Room | None = None
        for room in tuple(self._builds):
            queue = self._builds[room]
            while queue and not holds(queue[0][1], "waiting"):
                heappop(queue)
            if not queue:
                del self._builds[room]
            elif self._fits(room) and (best is None or queue[0] < self._builds[best][0]):
                best = room
        if best is None:
            return None
        _, identity = heappop(self._builds[best])
        self._begin(identity, best)
        return identity

    def _fits(self, room: _Room) -> bool:
        if room.exclusive and self._running:
            return False
        memory = not self._load.memory or self._memory + room.memory <= self._load.memory
        return memory and (not self._load.cpus or self._cpus + room.cpus <= round(self._load.cpus * _MILLI))

    def _begin(self, identity: JobId, room: _Room) -> None:
        self._running[identity] = room
        self._memory += room.memory
        self._cpus += room.cpus
        self._alone = room.exclusive

    def end(self, identity: JobId) -> None:
        """Take back what a command had."""
        room = self._running.pop(identity)
        self._memory -= room.memory
        self._cpus -= room.cpus
        self._alone = False

    @property
    def busy(self) -> bool:
        return bool(self._running)

    def share(self, builds: int) -> float:
        """Return how many CPUs each of so many builds that begin now may have beyond its weight: what nobody has asked for."""
        left = round(self._load.cpus * _MILLI) - self._cpus
        return max(0.0, left / builds / _MILLI) if self._load.cpus and builds else 0.0

    def cpus(self, identity: JobId) -> float:
        """Return the CPUs that a running build was given."""
        return self._running[identity].cpus / _MILLI
