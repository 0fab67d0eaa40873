"""Drives the machine with a thread pool on this machine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from farm.engine.machine import Machine, Progress
from farm.model.messages import BuildDone, Command, Event, MendDone, PublishDone, Stop, VerifyDone

if TYPE_CHECKING:
    from collections.abc import Callable

    from farm.model.job import Plan


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

    def __init__(self, carry: Callable[[Command], Event], *, limit: int, heal: bool = False) -> None:
        self._carry = carry
        self._heal = heal
        self._limit = limit
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
        """Carry the plan out; `tell` gets every job's progress after each event. A package's failure never ends the run.

        The farm's own failure (EngineError, StoreError, a bug) does: nothing new starts, what runs may finish, and the
        failure is in the answer's `broken`.
        """
        machine = Machine(plan, limit=self._limit, heal=self._heal)
        broken: BaseException | None = None
        with ThreadPoolExecutor(max_workers=self._limit, thread_name_prefix="farm") as pool:
            under_way = 0
            commands = machine.start()
            while True:
                for command in commands:
                    pool.submit(self._do, command)
                under_way += len(commands)
                tell(machine.jobs)
                if machine.done or under_way == 0:
                    break
                message = self._next()
                under_way -= not isinstance(message, Stop)
                if isinstance(message, BaseException):
                    # What breaks after `abandon` broke because of it: its container was killed.
                    broken = broken if self._abandoned else broken or message
                    message = Stop()
                commands = machine.on(message) if not self._abandoned else ()
        return Finished(jobs=machine.jobs, broken=broken, stopped=self._stopped)

    def _next(self) -> Event | BaseException:
        # Python handles a signal between two of its own steps: one that comes just before a wait without end is not seen
        # until that ends. So the wait ends twice a second.
        while True:
            try:
                return self._inbox.get(timeout=0.5)
            except Empty:
                continue

    def _do(self, command: Command) -> None:
        try:
            event = self._carry(command)
            assert isinstance(event, BuildDone | VerifyDone | PublishDone | MendDone)
            self._inbox.put(event)
        except BaseException as error:  # noqa: BLE001 - the outermost loop of a worker thread; raised again by the caller
            self._inbox.put(error)
