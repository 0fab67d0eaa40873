"""LocalEngine: side by side within its limit, and how a run ends when it is stopped or breaks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from farm.engine.local import Finished, LocalEngine
from farm.errors import EngineError
from farm.model.job import Plan
from farm.model.messages import Build, BuildDone
from farm.model.outcome import Diagnosis, Failed
from tests.fakes import nouns
from tests.fakes.engine import answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from farm.model.messages import Command, Event

PATIENCE = 20.0


def states(finished: Finished) -> dict[str, str]:
    return {str(progress.job.pin): progress.state for progress in finished.jobs}


def run(plan: Plan, carry: Callable[[Command], Event], limit: int = 2) -> Finished:
    return LocalEngine(carry, limit=limit).run(plan, lambda _: None)


def well(command: Command) -> Event:
    return answer(command, lambda _: False)


def test_a_plan_without_jobs_ends_at_once() -> None:
    assert run(Plan(), well) == Finished(jobs=(), broken=None, stopped=False)


def test_every_job_is_published_and_told() -> None:
    told: list[tuple[str, str]] = []
    plan = Plan(jobs=(nouns.job("a==1"), nouns.job("b==1"), nouns.job("c==1")))
    finished = LocalEngine(well, limit=2).run(plan, lambda changed: told.extend((p.job.pin.name, p.state) for p in changed))
    assert states(finished) == {"a==1": "published", "b==1": "published", "c==1": "published"}
    story = [state for name, state in told if name == "c"]
    assert story == ["waiting", "building", "verifying", "publishing", "published"]
    assert len(told) == len(set(told)), "each change is told once"


def test_no_more_than_the_limit_run_side_by_side_and_as_many_do() -> None:
    both, lock, now, most = threading.Barrier(2), threading.Lock(), [0], [0]

    def carry(command: Command) -> Event:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        if isinstance(command, Build):
            both.wait(PATIENCE)
        with lock:
            now[0] -= 1
        return well(command)

    finished = run(Plan(jobs=tuple(nouns.job(f"p{n}==1") for n in range(4))), carry)
    assert set(states(finished).values()) == {"published"}
    assert most == [2]


def test_one_package_s_failure_does_not_end_the_rest() -> None:
    bad = nouns.job("bad==1")
    plan = Plan(jobs=(bad, nouns.job("user==1", needs=(bad,)), nouns.job("good==1")))
    finished = run(plan, lambda command: answer(command, lambda c: c.job.id == bad.id))
    assert states(finished) == {"bad==1": "failed", "user==1": "blocked", "good==1": "published"}
    assert finished.broken is None


def test_stop_lets_what_runs_finish_and_starts_nothing_new() -> None:
    plan = Plan(jobs=(nouns.job("first==1"), nouns.job("second==1")))

    def carry(command: Command) -> Event:
        engine.stop()
        return well(command)

    engine = LocalEngine(carry, limit=1)
    finished = engine.run(plan, lambda _: None)
    assert states(finished) == {"first==1": "published", "second==1": "cancelled"}
    assert finished.stopped


def test_what_breaks_the_farm_ends_the_run_after_what_was_under_way() -> None:
    plan = Plan(jobs=(nouns.job("breaks==1"), nouns.job("runs==1"), nouns.job("later==1")))
    broke = threading.Event()

    def carry(command: Command) -> Event:
        if command.job.pin.name == "breaks":
            broke.set()
            raise EngineError("the engine went away", solution="start it")
        broke.wait(PATIENCE)
        return well(command)

    finished = run(plan, carry)
    assert isinstance(finished.broken, EngineError)
    assert states(finished)["runs==1"] == "published"
    assert states(finished)["later==1"] == "cancelled"
    assert not finished.stopped


def test_a_bug_in_the_hands_does_not_hang_the_run() -> None:
    def carry(command: Command) -> Event:
        message = f"a bug at {command.job.id}"
        raise KeyError(message)

    finished = run(Plan(jobs=(nouns.job("a==1"), nouns.job("b==1"))), carry, limit=1)
    assert isinstance(finished.broken, KeyError)
    assert states(finished) == {"a==1": "building", "b==1": "cancelled"}


def test_abandon_returns_once_the_hands_let_go_and_their_complaints_are_its_own_doing() -> None:
    plan = Plan(jobs=(nouns.job("killed==1"), nouns.job("waits==1", needs=(nouns.job("killed==1"),))))
    running, killed = threading.Event(), threading.Event()

    def carry(command: Command) -> Event:
        running.set()
        assert killed.wait(PATIENCE)
        raise EngineError("the container is gone", solution="run again")

    engine = LocalEngine(carry, limit=2)
    ended: list[Finished] = []
    thread = threading.Thread(target=lambda: ended.append(engine.run(plan, lambda _: None)))
    thread.start()
    assert running.wait(PATIENCE)
    engine.abandon()
    killed.set()
    thread.join(PATIENCE)
    (finished,) = ended
    assert (finished.stopped, finished.broken) == (True, None)
    assert states(finished)["killed==1"] == "building"


def many(jobs: int) -> Plan:
    """Chains of three: what is stopped has what depends on it."""
    made = []
    for number in range(jobs // 3):
        tool = nouns.job(f"tool{number}==1")
        lib = nouns.job(f"lib{number}==1", needs=(tool,))
        made += [tool, lib, nouns.job(f"app{number}==1", needs=(lib,), beside=(lib,))]
    return Plan(jobs=tuple(made))


def test_stop_holds_with_many_jobs_nothing_new_starts_and_what_ran_is_published() -> None:
    began: list[str] = []
    stopped_at: list[int] = []

    def carry(command: Command) -> Event:
        if isinstance(command, Build):
            began.append(command.job.id)
            if len(began) == 100:
                engine.stop()
                stopped_at.append(len(began))
        return well(command)

    engine = LocalEngine(carry, limit=16)
    finished = engine.run(many(3000), lambda _: None)
    ended = [progress.state for progress in finished.jobs]
    assert finished.stopped
    # Those that the pool had been given when the signal came may still begin: never more than there are places.
    assert len(began) <= 100 + 16
    assert ended.count("published") == len(began)
    assert ended.count("cancelled") == 3000 - len(began)


def test_abandon_ends_at_once_with_many_jobs() -> None:
    killed, running = threading.Event(), threading.Semaphore(0)
    carried: list[str] = []

    def carry(command: Command) -> Event:
        carried.append(command.job.id)
        running.release()
        assert killed.wait(PATIENCE)
        raise EngineError("the container is gone", solution="run again")

    engine = LocalEngine(carry, limit=32)
    ended: list[Finished] = []
    thread = threading.Thread(target=lambda: ended.append(engine.run(many(3000), lambda _: None)))
    thread.start()
    for _ in range(32):
        assert running.acquire(timeout=PATIENCE)
    engine.stop()
    engine.abandon()
    killed.set()
    thread.join(PATIENCE)
    (finished,) = ended
    assert (len(carried), finished.stopped, finished.broken) == (32, True, None)


def test_a_job_that_waits_for_a_server_keeps_nobody_s_place_and_is_done_later() -> None:
    story: list[str] = []

    def carry(command: Command) -> Event:
        story.append(f"{type(command).__name__} {command.job.pin.name}")
        if isinstance(command, Build) and command.job.pin.name == "down" and not command.job.trials:
            diagnosis = Diagnosis(cause="network", summary="no answer")
            return BuildDone(job=command.job.id, outcome=Failed(attempt="a1", stage="fetch", diagnosis=diagnosis, seconds=0.0))
        return well(command)

    engine = LocalEngine(carry, limit=1, pauses=(0.3,))
    finished = engine.run(Plan(jobs=(nouns.job("down==1"), nouns.job("up==1"))), lambda _: None)
    assert set(states(finished).values()) == {"published"}
    assert story == [f"{what} {name}" for what, name in (
        ("Build", "down"), ("Build", "up"), ("Verify", "up"), ("Publish", "up"), ("Build", "down"), ("Verify", "down"), ("Publish", "down"),
    )]  # fmt: skip


def test_stopping_does_not_wait_for_a_server_that_may_come_back() -> None:
    def carry(command: Command) -> Event:
        diagnosis = Diagnosis(cause="network", summary="no answer")
        threading.Timer(0.1, engine.stop).start()
        return BuildDone(job=command.job.id, outcome=Failed(attempt="a1", stage="fetch", diagnosis=diagnosis, seconds=0.0))

    engine = LocalEngine(carry, limit=1, pauses=(3600.0,))
    finished = engine.run(Plan(jobs=(nouns.job("down==1"),)), lambda _: None)
    assert states(finished) == {"down==1": "failed"}
    assert finished.stopped
