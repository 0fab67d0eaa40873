"""The brain of a run: events in, commands out. Pure; knows no thread, no container, no clock, so that local, remote,
resumed and simulated runs share it.

    waiting -> building -> built -> verifying -> verified -> publishing -> published
                  |                    |                          |
                  +----------------> failed <----------------------+
                  +-> resting -> waiting (a server did not answer; again, later)
                  +-> broken -> mending -> waiting (changed, to be tried again) | failed
                  +-> waiting (its backend named what has to be built first: new jobs)
    waiting -> blocked (a job it needs failed) | covered (another job's wheel serves it) | cancelled (Stop)
             | unneeded (all that it was to be built for are covered)

An event costs what it changes, not what the plan is long.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from farm.engine.commands import next_command, published
from farm.engine.floor import Floor
from farm.engine.graph import Graph, urgency, urgency_of_new
from farm.engine.progress import (
    FINAL,
    LOST,
    PAUSES_S,
    RUNNING,
    ImpossibleEvent,
    Progress,
    State,
    again,
    entangled,
    given_up,
    in_circle,
    without,
)
from farm.model.load import Load, Weight
from farm.model.messages import (
    Build,
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
from farm.model.outcome import Built, Failed, Published, TimedOut, Verified
from farm.survey.order import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from farm.model.job import Job, JobId, Plan
    from farm.model.messages import More


class Machine:
    """Decides what to do next. `limit` is how many commands may be under way at once; `heal` has failed builds mended.

    The plan grows where builds turn out to need what nobody foresaw.

    `load` is what builds are expected to take and may take together; the longest remaining chain of builds goes first. `pauses` are
    the seconds before each further attempt at what failed for want of an answer.
    """

    def __init__(
        self, plan: Plan, *, limit: int, heal: bool = False, load: Load | None = None, pauses: tuple[float, ...] = PAUSES_S
    ) -> None:
        load = load or Load()
        self._heal = heal
        self._pauses = pauses
        self._jobs: dict[JobId, Progress] = {job.id: Progress(job=job) for job in plan.jobs}
        self._graph = Graph(plan.jobs)
        # In the plan's order, which breaks ties.
        urgent = self._urgent = urgency(plan.jobs, self._graph, load.weights, Weight())
        self._floor = Floor(limit, load, {identity: urgent[identity] + load.first.get(identity, 0.0) for identity in self._jobs})
        self._stopped = False
        self._left = len(self._jobs)
        self._changed: dict[JobId, None] = dict.fromkeys(self._jobs)
        self._news: deque[JobId] = deque()
        # How many wheels each job still has to wait for, and which ones its proof lacks.
        self._open = {identity: len(needs) for identity, needs in self._graph.needs.items()}
        self._lacks = {identity: set(beside) for identity, beside in self._graph.beside.items()}
        # Who waits whether another job's wheel serves it too: until then nobody works for it, whoever asked.
        self._locked = {follower for followers in self._graph.followers.values() for follower in followers}
        self._wished: set[JobId] = set()
        self._asked: set[JobId] = set()
        self._resting = 0
        self._grown: set[JobId] = set()
        self._ask(job.id for job in plan.jobs if job.wanted)

    @property
    def jobs(self) -> tuple[Progress, ...]:
        """Every job's progress, in the plan's order."""
        return tuple(self._jobs.values())

    @property
    def done(self) -> bool:
        return self._left == 0

    def changes(self) -> tuple[Progress, ...]:
        """Return the progress of each job that changed since this was last asked."""
        changed, self._changed = self._changed, {}
        return tuple(self._jobs[identity] for identity in changed)

    def start(self) -> tuple[Order, ...]:
        """Return the first commands."""
        return self._advance()

    def on(self, event: Event) -> tuple[Order, ...]:
        """Take one event in and return what to do now. ImpossibleEvent when the event cannot have happened."""
        waits: tuple[Order, ...] = ()
        match event:
            case Stop():
                self._stop()
            case BuildDone():
                waits = self._after_build(event)
            case VerifyDone():
                waits = self._after_verify(event)
            case PublishDone():
                self._after_publish(event)
            case MendDone():
                self._after_mend(event)
            case WaitDone():
                self._after_wait(event)
            case _:
                assert_never(event)
        self._settle()
        return (*waits, *self._advance())

    def _expect(self, identity: JobId, state: State) -> Progress:
        progress = self._jobs[identity]
        if progress.state != state:
            message = f"{identity} is {progress.state}, an event for {state} came: {progress}"
            raise ImpossibleEvent(message)
        if state in RUNNING:
            self._floor.end(identity)
        return progress

    def _put(self, progress: Progress) -> None:
        """Record where a job is now. What follows from that for others is seen to in `_settle`."""
        identity = progress.job.id
        self._jobs[identity] = progress
        self._changed[identity] = None
        self._left -= progress.state in FINAL
        if progress.state not in RUNNING:
            self._news.append(identity)

    def _after_build(self, event: BuildDone) -> tuple[Order, ...]:
        progress = self._expect(event.job, "building")
        if isinstance(event.outcome, Built):
            self._put(replace(progress, state="built", built=event.outcome))
            return ()
        failure = event.outcome
        # Once a job: a backend that names something else each time would never end.
        if event.better is not None and isinstance(failure, Failed) and not (self._stopped or progress.job.named):
            circle = self._grow(event.better, event.more)
            if not circle:
                self._put(replace(progress, state="waiting", job=event.better, why=None))
                return ()
            failure = in_circle(failure, circle)
        return self._failed(progress, failure)

    def _after_verify(self, event: VerifyDone) -> tuple[Order, ...]:
        progress = self._expect(event.job, "verifying")
        if isinstance(event.outcome, Verified):
            self._put(replace(progress, state="verified", verified=event.outcome))
            return ()
        return self._failed(progress, event.outcome)

    def _failed(self, progress: Progress, failure: Failed | TimedOut) -> tuple[Order, ...]:
        progress = replace(progress, failure=failure)
        times = sum(trial.mend.kind == "again" for trial in progress.job.trials)
        if self._stopped or isinstance(failure, TimedOut):
            self._put(replace(progress, state="failed"))
        elif failure.transient and times < len(self._pauses):
            resting = replace(progress, state="resting", job=again(progress.job, failure, self._pauses[times]))
            self._put(resting)
            self._resting += 1
            return (Wait(job=resting.job, seconds=self._pauses[times]),)
        else:
            mend = self._heal and not failure.hopeless
            self._put(replace(progress, state="broken" if mend else "failed"))
        return ()

    def _after_wait(self, event: WaitDone) -> None:
        self._resting -= 1
        progress = self._jobs[event.job]
        if progress.state == "resting":  # else it was stopped, blocked or covered meanwhile
            self._put(replace(progress, state="waiting" if progress.built is None else "built"))

    def _after_mend(self, event: MendDone) -> None:
        progress = self._expect(event.job, "mending")
        circle = self._grow(event.better, event.more) if event.better is not None and not self._stopped else ""
        if event.better is None or self._stopped or circle:
            obstacles = (*event.obstacles, circle) if circle else event.obstacles
            told = replace(progress, proposal=event.proposal, obstacles=obstacles, remedy=event.remedy)
            self._put(given_up(told))
        else:
            self._put(replace(progress, state="waiting", job=event.better, built=None, why=None))

    def _grow(self, job: Job, more: More) -> str:
        """Have a changed job wait for what it needs now, new jobs among it; or tell of the circle that this would close."""
        new = tuple(each for each in more.jobs if each.id not in self._jobs)
        circle = self._graph.circle(job, new, waits=lambda identity: self._published(identity) is None)
        if circle:
            pins = {each.id: each.pin for each in (*new, job)}
            return describe(pins[i] if i in pins else self._jobs[i].job.pin for i in circle)
        for each in more.jobs:
            if each.id in self._grown:
                self._ask_also(each)
        self._take_in(new, more.weights)
        self._rewire(job)
        return ""

    def _take_in(self, new: Sequence[Job], weights: Mapping[JobId, Weight]) -> None:
        self._graph.add(new)
        for job in new:
            self._jobs[job.id] = Progress(job=job)
            self._changed[job.id] = None
            self._open[job.id] = sum(self._published(need) is None for need in self._graph.needs[job.id])
            self._lacks[job.id] = {need for need in self._graph.beside[job.id] if self._published(need) is None}
            if job.after in self._jobs and self._jobs[job.after].state not in FINAL:
                self._locked.add(job.id)
        self._left += len(new)
        self._grown.update(job.id for job in new)
        urgent = urgency_of_new(new, self._graph, weights, self._urgent)
        self._urgent |= urgent
        self._floor.add(urgent, weights)

    def _ask_also(self, job: Job) -> None:
        """Two jobs may turn out to need the same: whichever was quicker, the report names both."""
        known = self._jobs[job.id]
        via = tuple(sorted({*known.job.via, *job.via}))
        self._jobs[job.id] = replace(known, job=replace(known.job, via=via))

    def _rewire(self, job: Job) -> None:
        """Have a changed job wait for what it needs now."""
        self._graph.rewire(job)
        needs = self._graph.needs[job.id]
        self._open[job.id] = sum(self._published(need) is None for need in needs)
        self._ask(needs)

    def _after_publish(self, event: PublishDone) -> None:
        progress = self._expect(event.job, "publishing")
        if isinstance(event.outcome, Failed):
            self._put(replace(progress, state="failed", failure=event.outcome))
            return
        self._put(replace(progress, state="published", published=event.outcome))
        served = {verdict.target for verdict in event.outcome.verified.verdicts}
        for identity in self._graph.kin[progress.job.pin]:
            other = self._jobs[identity]
            if other.state in {"waiting", "resting"} and other.job.target in served:
                self._put(replace(other, state="covered", why=event.job, published=event.outcome))

    def _stop(self) -> None:
        self._stopped = True
        for progress in tuple(self._jobs.values()):
            if progress.state in {"waiting", "resting", "broken"}:
                begun = progress.failure is not None
                self._put(given_up(progress) if begun else replace(progress, state="cancelled"))

    def _settle(self) -> None:
        """Let everybody know what became of whom they wait for, until nothing changes."""
        while self._news:
            progress = self._jobs[self._news.popleft()]
            self._see_to(progress.job.id, progress.state)
            if progress.state in FINAL:
                self._unlock(progress.job.id)

    def _see_to(self, identity: JobId, state: State) -> None:
        if state == "waiting":
            self._doom(identity)
            self._ready(identity)
        elif state == "built":
            self._doom(identity)
            self._prove(identity)
            for other in self._mutual(identity):
                self._lacks[other].discard(identity)
                self._prove(other)
        elif state == "verified":
            self._floor.ready(identity, "verified")
        elif state == "broken":
            for other in self._mutual(identity):
                self._lacks[other].add(identity)
            self._floor.ready(identity, "broken")
        elif state in {"published", "covered"}:
            self._serve(identity)
        elif state in LOST:
            for other in self._graph.hang_on(identity):
                self._doom(other)

    def _serve(self, identity: JobId) -> None:
        for user in self._graph.users[identity]:
            self._open[user] -= 1
            self._ready(user)
        for prover in self._graph.provers[identity]:
            self._lacks[prover].discard(identity)
            self._prove(prover)

    def _mutual(self, identity: JobId) -> tuple[JobId, ...]:
        """Packages that require each other at run time prove each other: there, built is enough.

        What else goes beside a wheel is published first, so that the outcome does not hang on who is quicker.
        """
        provers = self._graph.provers[identity]
        return tuple(other for other in self._graph.beside[identity] if other in provers) if provers else ()

    def _unlock(self, identity: JobId) -> None:
        """Let go those that waited whether this job's wheel serves them."""
        for follower in self._graph.followers[identity]:
            self._locked.discard(follower)
            if follower in self._wished and self._jobs[follower].state == "waiting":
                self._ask((follower,))

    def _ask(self, wanted: Iterable[JobId]) -> None:
        """Have these jobs built, with whatever they hang on; what is locked asks for others when it is not any more."""
        todo = list(wanted)
        while todo:
            identity = todo.pop()
            if identity in self._locked:
                self._wished.add(identity)
            elif identity not in self._asked:
                self._asked.add(identity)
                self._news.append(identity)
                todo.extend(self._graph.asks(identity))

    def _dismiss(self) -> None:
        """Drop what nobody asked for in the end: the wheels that it was to be built for came from elsewhere."""
        for progress in tuple(self._jobs.values()):
            if progress.state == "waiting":
                users = self._graph.hang_on(progress.job.id)
                why = next((user for user in users if self._jobs[user].state == "covered"), None)
                self._put(replace(progress, state="unneeded", why=why))

    def _untangle(self) -> bool:
        """Give up what can never be proven, as its proof waits for a wheel whose build waits for it. False where there is nothing such."""
        stuck = [progress for progress in self._jobs.values() if progress.state == "built"]
        for progress in stuck:
            self._put(entangled(progress, self._jobs[min(self._lacks[progress.job.id])].job))
        return bool(stuck)

    def _doom(self, identity: JobId) -> None:
        """Give up what hangs on something lost. What is locked may still be served by another's wheel."""
        progress = self._jobs[identity]
        if progress.state not in {"waiting", "built", "resting"} or identity in self._locked:
            return
        lost = [need for need in self._graph.asks(identity) if self._jobs[need].state in LOST]
        if lost and not self._bereft(progress, lost):
            cancelled = all(self._jobs[need].state == "cancelled" for need in lost)
            self._put(replace(progress, state="cancelled" if cancelled else "blocked", why=lost[0]))

    def _bereft(self, progress: Progress, lost: Sequence[JobId]) -> bool:
        """Have a job mended that lost what it is built with: another release of that may do. False where that is of no use."""
        needs = (self._jobs[need] for need in lost if need in self._graph.needs[progress.job.id])
        other = next((need for need in needs if need.state == "failed" and isinstance(need.failure, Failed)), None)
        if not self._heal or self._stopped or progress.state != "waiting" or other is None:
            return False
        assert isinstance(other.failure, Failed)
        self._put(replace(progress, state="broken", failure=without(other.job, other.failure), why=other.job.id))
        return True

    def _ready(self, identity: JobId) -> None:
        waits = self._open[identity] or identity in self._locked or identity not in self._asked
        if not waits and self._jobs[identity].state == "waiting":
            self._floor.ready(identity, "waiting")

    def _prove(self, identity: JobId) -> None:
        if not self._lacks[identity] and self._jobs[identity].state == "built":
            self._floor.ready(identity, "built")

    def _advance(self) -> tuple[Order, ...]:
        self._settle()
        commands: list[Command] = []
        while (identity := self._floor.take(self._holds)) is not None:
            commands.append(self._command(self._jobs[identity]))
        if not commands and self._left and not self._floor.busy and not self._resting:
            if self._untangle():
                return self._advance()
            self._dismiss()
            self._settle()
        more = self._floor.share(sum(isinstance(command, Build) for command in commands))
        return tuple(replace(c, cpus=self._floor.cpus(c.job.id) + more) if isinstance(c, Build) else c for c in commands)

    def _holds(self, identity: JobId, state: str) -> bool:
        return self._jobs[identity].state == state and not (state == "built" and self._lacks[identity])

    def _command(self, progress: Progress) -> Command:
        state, command = next_command(progress, self._jobs)
        self._put(replace(progress, state=state))
        return command

    def _published(self, need: JobId) -> Published | None:
        return published(need, self._jobs)
