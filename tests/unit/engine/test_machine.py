"""The brain of a run: what it commands, and in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from farm.engine.machine import ImpossibleEvent, Machine
from farm.engine.tally import tally
from farm.model.job import Plan
from farm.model.load import Load, Weight
from farm.model.messages import Build, BuildDone, Publish, Stop, Verify
from farm.model.outcome import Failed
from farm.model.report import Report, Row
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


def test_a_proof_that_waits_for_a_wheel_whose_build_waits_for_it_ends_with_its_reason() -> None:
    app = job("app==1")
    tool = job("tool==1", beside=(app,))
    app, user = job("app==1", needs=(tool,)), job("user==1", needs=(app,))
    machine = Machine(Plan(jobs=(tool, app, user, job("other==1"))), limit=2)
    drive(machine)
    assert machine.done
    assert states(machine) == {"tool==1": "failed", "app==1": "blocked", "user==1": "blocked", "other==1": "published"}
    failure = machine.jobs[0].failure
    assert isinstance(failure, Failed)
    assert failure.diagnosis.summary == "its proof needs app==1, whose build needs tool==1 first"


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


def test_the_longest_chain_goes_first_and_learned_durations_decide() -> None:
    short, tool = job("short==1"), job("tool==1")
    app = job("app==1", needs=(tool,))
    load = Load(weights={short.id: Weight(seconds=30), tool.id: Weight(seconds=5), app.id: Weight(seconds=40)})
    [first] = Machine(Plan(jobs=(short, tool, app)), limit=1, load=load).start()
    assert first.job.id == tool.id


def test_what_is_heavy_waits_for_room_and_the_rest_passes() -> None:
    heavy, other, small = job("heavy==1"), job("other==1"), job("small==1")
    weights = {heavy.id: Weight(seconds=9, memory=8), other.id: Weight(seconds=5, memory=8), small.id: Weight(seconds=1, memory=2)}
    machine = Machine(Plan(jobs=(heavy, other, small)), limit=3, load=Load(memory=10, weights=weights))
    assert [command.job.pin.name for command in machine.start()] == ["heavy", "small"]


def test_an_exclusive_build_runs_alone() -> None:
    alone, other = job("alone==1"), job("other==1")
    load = Load(weights={alone.id: Weight(seconds=9, exclusive=True)})
    machine = Machine(Plan(jobs=(alone, other)), limit=4, load=load)
    [build] = machine.start()
    assert build.job.id == alone.id
    following = machine.on(answer(build, lambda _: False))
    assert {(type(command), command.job.pin.name) for command in following} == {(Verify, "alone"), (Build, "other")}


def test_a_build_that_is_alone_gets_the_processors_that_nobody_wants() -> None:
    one, two = job("one==1"), job("two==1")
    weights = {one.id: Weight(cpus=1.0), two.id: Weight(cpus=1.0)}
    [alone] = Machine(Plan(jobs=(one,)), limit=4, load=Load(cpus=4.0, weights=weights)).start()
    assert isinstance(alone, Build)
    assert alone.cpus == 4.0
    both = Machine(Plan(jobs=(one, two)), limit=4, load=Load(cpus=4.0, weights=weights)).start()
    assert [command.cpus for command in both if isinstance(command, Build)] == [2.0, 2.0]


def test_a_tool_for_a_build_that_another_wheel_makes_unnecessary_is_not_built() -> None:
    tool = replace(job("tool==1", CP313), wanted=False)
    first = job("pure==1", CP311, kind="pure", also=(CP313,))
    second = job("pure==1", CP313, kind="pure", after=first, needs=(tool,), also=(CP311,))
    machine = Machine(Plan(jobs=(tool, first, second)), limit=4)
    story = drive(machine)
    assert [command.job.id for command in story if isinstance(command, Build)] == [first.id]
    assert [progress.state for progress in machine.jobs] == ["unneeded", "published", "covered"]
    (row, *_) = tally([Row(name="tool", version="1", target=CP313.name, state="build")], machine.jobs)
    assert (row.state, row.reason) == ("not-needed", f"dropped: it was to build pure==1 for {CP313}, which another target's wheel serves")
    assert Report(rows=(row,)).exit_code == 0
