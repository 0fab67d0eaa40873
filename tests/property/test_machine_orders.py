"""Whatever the order of events: no job before its needs, nothing lost, nothing unproven published."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from farm.engine.machine import Machine
from farm.model.job import Job, Plan
from farm.model.messages import Build, Command, Publish, Verify
from tests.fakes.engine import drive
from tests.fakes.nouns import job


@st.composite
def plans(draw: st.DrawFn) -> tuple[Job, ...]:
    """Plans as the planner makes them: what goes beside a wheel is the whole closure of what it needs at run time."""
    jobs: list[Job] = []
    by: dict[str, Job] = {}
    for number in range(draw(st.integers(1, 9))):
        needs = draw(st.lists(st.sampled_from(jobs), unique_by=lambda j: j.id, max_size=3)) if jobs else []
        beside = draw(st.lists(st.sampled_from(jobs), unique_by=lambda j: j.id, max_size=2)) if jobs else []
        closed = {each.id: each for each in beside} | {i: by[i] for each in beside for i in each.beside}
        made = job(f"p{number}==1", needs=tuple(needs), beside=tuple(closed.values()))
        by[made.id] = made
        jobs.append(made)
    return tuple(jobs)


@given(plans(), st.integers(1, 4), st.lists(st.integers(0, 99), min_size=40, max_size=40), st.data())
def test_any_order_keeps_the_promises(jobs: tuple[Job, ...], limit: int, picks: list[int], data: st.DataObject) -> None:
    bad = data.draw(st.sets(st.sampled_from([j.id for j in jobs]), max_size=3))
    stage: type[Command] = data.draw(st.sampled_from([Build, Verify, Publish]))
    chosen = iter(picks * 10)
    machine = Machine(Plan(jobs=jobs), limit=limit)
    story = drive(machine, fail=bad, stage=stage, pick=lambda _: next(chosen))

    assert machine.done
    state = {progress.job.id: progress.state for progress in machine.jobs}
    first = {(type(c), c.job.id): position for position, c in reversed(list(enumerate(story)))}
    for each in jobs:
        for need in each.needs:
            if (Build, each.id) in first:
                assert first[Publish, need] < first[Build, each.id]
        lost = [n for n in (*each.needs, *each.beside) if state[n] in {"failed", "blocked"}]
        assert state[each.id] in ({"blocked", "failed", "published"} if lost else {"published", "failed"})
        if state[each.id] == "published":
            assert (Verify, each.id) in first
        assert sum(isinstance(c, Build) and c.job.id == each.id for c in story) <= 1
    assert {identity for identity, s in state.items() if s == "failed"} <= bad


@given(plans(), st.lists(st.integers(0, 99), min_size=60, max_size=60), st.sampled_from([Build, Verify, Publish]))
def test_the_same_report_for_any_order(jobs: tuple[Job, ...], picks: list[int], stage: type[Command]) -> None:
    bad = {jobs[0].id}
    chosen = iter(picks * 10)
    one, other = Machine(Plan(jobs=jobs), limit=3), Machine(Plan(jobs=jobs), limit=3)
    drive(one, fail=bad, stage=stage)
    drive(other, fail=bad, stage=stage, pick=lambda _: next(chosen))
    assert [p.state for p in one.jobs] == [p.state for p in other.jobs]
