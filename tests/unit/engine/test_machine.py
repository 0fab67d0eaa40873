"""The brain of a run: what it commands, and in which order."""

from __future__ import annotations

import pytest

from farm.engine.machine import ImpossibleEvent, Machine
from farm.model.job import Plan
from farm.model.messages import Build, BuildDone, Publish, Stop, Verify
from tests.fakes.engine import answer, drive
from tests.fakes.nouns import CP311, CP313, built, job


def states(machine: Machine) -> dict[str, str]:
    return {str(progress.job.pin): progress.state for progress in machine.jobs}


def test_a_job_is_built_then_proven_then_published() -> None:
    machine = Machine(Plan(jobs=(job("a==1"),)), limit=2)
    assert [type(command) for command in drive(machine)] == [Build, Verify, Publish]
    assert machine.done
    assert states(machine) == {"a==1": "published"}


def test_a_build_dependency_is_published_before_what_needs_it_starts() -> None:
    tool = job("tool==1")
    machine = Machine(Plan(jobs=(tool, job("app==1", needs=(tool,)))), limit=4)
    story = [(type(c).__name__, str(c.job.pin)) for c in drive(machine)]
    assert story.index(("Publish", "tool==1")) < story.index(("Build", "app==1"))


def test_the_build_gets_the_published_wheels_that_it_needs() -> None:
    tool = job("tool==1")
    app = job("app==1", needs=(tool,))
    story = drive(Machine(Plan(jobs=(tool, app)), limit=1))
    [build] = [c for c in story if isinstance(c, Build) and c.job.id == app.id]
    assert build.made[tool.id].verified.built.wheel.filename.startswith("tool-1-")


def test_what_needs_a_failure_is_marked_and_not_tried() -> None:
    tool = job("tool==1")
    app = job("app==1", needs=(tool,))
    far = job("far==1", beside=(app,))
    machine = Machine(Plan(jobs=(tool, app, far, job("other==1"))), limit=4)
    story = drive(machine, fail=[tool.id])
    assert [str(c.job.pin) for c in story if isinstance(c, Build)].count("app==1") == 0
    assert states(machine)["tool==1"] == "failed"
    assert states(machine)["app==1"] == "blocked"
    assert states(machine)["other==1"] == "published"


def test_a_wheel_that_fails_its_proof_is_never_published() -> None:
    lone = job("lone==1")
    machine = Machine(Plan(jobs=(lone,)), limit=1)
    story = drive(machine, fail=[lone.id], stage=Verify)
    assert not [c for c in story if isinstance(c, Publish)]
    assert states(machine) == {"lone==1": "failed"}


def test_packages_that_require_each_other_at_run_time_prove_each_other() -> None:
    one, two = job("one==1"), job("two==1")
    one, two = job("one==1", beside=(two,)), job("two==1", beside=(one,))
    machine = Machine(Plan(jobs=(one, two)), limit=2)
    story = drive(machine)
    [first] = [c for c in story if isinstance(c, Verify) and c.job.id == one.id]
    assert set(first.made) == {two.id}
    assert set(states(machine).values()) == {"published"}


def test_a_pure_wheel_closes_the_other_target() -> None:
    first = job("pure==1", CP311, kind="pure", also=(CP313,))
    second = job("pure==1", CP313, kind="pure", after=first, also=(CP311,))
    machine = Machine(Plan(jobs=(first, second)), limit=4)
    story = drive(machine)
    assert len([c for c in story if isinstance(c, Build)]) == 1
    assert [progress.state for progress in machine.jobs] == ["published", "covered"]
    [verify] = [c for c in story if isinstance(c, Verify)]
    assert [proof.target for proof in verify.proofs] == [CP311, CP313]


def test_when_the_oldest_python_fails_the_next_one_is_tried() -> None:
    first = job("pure==1", CP311, kind="pure", also=(CP313,))
    second = job("pure==1", CP313, kind="pure", after=first, also=(CP311,))
    machine = Machine(Plan(jobs=(first, second)), limit=4)
    drive(machine, fail=[first.id])
    assert [progress.state for progress in machine.jobs] == ["failed", "published"]


def test_never_more_at_once_than_the_limit() -> None:
    most: list[int] = []
    drive(Machine(Plan(jobs=tuple(job(f"p{n}==1") for n in range(9))), limit=3), most=most)
    assert max(most) == 3


def test_stop_lets_what_runs_finish_and_starts_nothing_new() -> None:
    jobs = tuple(job(f"p{n}==1") for n in range(3))
    machine = Machine(Plan(jobs=jobs), limit=1)
    [build] = machine.start()
    assert machine.on(Stop()) == ()
    [verify] = machine.on(answer(build, lambda _: False))
    [publish] = machine.on(answer(verify, lambda _: False))
    assert machine.on(answer(publish, lambda _: False)) == ()
    assert machine.done
    assert [progress.state for progress in machine.jobs] == ["published", "cancelled", "cancelled"]


def test_an_event_that_cannot_have_happened_is_refused_with_the_story() -> None:
    lone = job("lone==1")
    machine = Machine(Plan(jobs=(lone,)), limit=1)
    machine.start()
    machine.on(BuildDone(job=lone.id, outcome=built(lone)))
    with pytest.raises(ImpossibleEvent, match="lone-1-cp311-manylinux_2_36_x86_64 is verifying"):
        machine.on(BuildDone(job=lone.id, outcome=built(lone)))
