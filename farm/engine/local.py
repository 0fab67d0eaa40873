"""Drives the machine with a thread pool on this machine."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from heapq import heappop, heappush
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from farm.engine.machine import Machine
from farm.engine.progress import PAUSES_S, Progress
from farm.model.messages import (
    BuildDone,
    Command,
    Event,
    MendDone,
    Order,
    PublishDone,
    Stop,
    VerifyDone,
    Wait,
    WaitDone,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from farm.model.job import JobId, Plan
    from farm.model.load import Load

_LOOK = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a run ended: every job's progress, and what broke the farm itself, if anything did.

    `stopped` when the user asked to; a job that was under way then may be left in a running state.
    """

    jobs: tuple[Progress, ...]
    broken: BaseException | None
    stopped: bool


class LocalEngine:
    """Runs a plan with `limit` commands side by side.

    `stop()` (first Ctrl-C) starts nothing new and lets what runs finish; `abandon()` (second) returns as soon as the
    hands let go, which whoever calls it has to bring about (kill the containers). Both are safe in a signal handler.
    """

    def __init__(
        self, carry: Callable[[Command], Event], *, limit: int, heal: bool = False, load: Load | None = None,
        pauses: tuple[float, ...] = PAUSES_S,
    ) -> None:  # fmt: skip
        self._carry = carry
        self._heal = heal
        self._limit = limit
        self._load = load
        self._pauses = pauses
        self._naps: list[tuple[float, JobId]] = []
        # SimpleQueue: `put` may be interrupted by a signal handler that calls `put` itself.
        self._inbox: SimpleQueue[Event | BaseException] = SimpleQueue()
        # Plain flags: a second Ctrl-C may come while the first one's handler is in `stop`, and an Event's lock would then
        # wait for itself.
        self._stopped = False
        self._abandoned = False

    def stop(self) -> None:
        self._stopped = True
        self._inbox.put(Stop())

    def abandon(self) -> None:
        self._abandoned = True
        self.stop()

    def run(self, plan: Plan, tell: Callable[[tuple[Progress, ...]], None]) -> Finished:
        """Carry the plan out; `tell` gets the progress of the jobs that changed, after each event, all of them at first.

        A package's failure never ends the run. The farm's own failure (EngineError, StoreError, a bug) does: nothing new starts,
        what runs may finish, and the failure is in the answer's `broken`.
        """
        machine = Machine(plan, limit=self._limit, heal=self._heal, load=self._load, pauses=self._pauses)
        broken: BaseException | None = None
        with ThreadPoolExecutor(max_workers=self._limit, thread_name_prefix="farm") as pool:
            under_way = 0
            orders = machine.start()
            while True:
                under_way += self._give(orders, pool)
                tell(machine.changes())
                if machine.done or under_way + len(self._naps) == 0:
                    break
                message = self._next()
                under_way -= not isinstance(message, Stop | WaitDone)
                if isinstance(message, BaseException):
                    # What breaks after `abandon` broke because of it: its container was killed.
                    broken = broken if self._abandoned else broken or message
                    message = Stop()
                if isinstance(message, Stop):
                    self._naps.clear()
                orders = machine.on(message) if not self._abandoned else ()
        return Finished(jobs=machine.jobs, broken=broken, stopped=self._stopped)

    def _give(self, orders: tuple[Order, ...], pool: ThreadPoolExecutor) -> int:
        """Have orders carried out and return how many are now under way; who waits keeps no thread."""
        given = 0
        for order in orders:
            if isinstance(order, Wait):
                heappush(self._naps, (time.monotonic() + order.seconds, order.job.id))
            else:
                pool.submit(self._do, order)
                given += 1
        return given

    def _next(self) -> Event | BaseException:
        # Python handles a signal between two of its own steps: one that comes just before a wait without end is not seen
        # until that ends. So the wait ends twice a second.
        while True:
            left = self._naps[0][0] - time.monotonic() if self._naps else _LOOK
            if left <= 0:
                return WaitDone(job=heappop(self._naps)[1])
            try:
                return self._inbox.get(timeout=min(left, _LOOK))
            except Empty:
                continue

    def _do(self, command: Command) -> None:
        try:
            event = self._carry(command)
            assert isinstance(event, BuildDone | VerifyDone | PublishDone | MendDone)
            self._inbox.put(event)
        except BaseException as error:  # noqa: BLE001 - the outermost loop of a worker thread; raised again by the caller
            self._inbox.put(error)
