"""LocalEngine: side by side within its limit, and how a run ends when it is stopped or breaks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from farm.engine.local import Finished, LocalEngine
from farm.errors import EngineError
from farm.model.job import Plan
from farm.model.messages import Build
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
