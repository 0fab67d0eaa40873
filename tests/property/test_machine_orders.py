"""Whatever the order of events: no job before its needs, nothing lost, nothing unproven published, no room given twice, no idling."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from farm.engine.machine import Machine
from farm.engine.progress import FINAL
from farm.engine.tally import tally
from farm.model.job import Job, Plan
from farm.model.load import Load, Weight
from farm.model.messages import Build, BuildDone, Command, Event, Order, Publish, Stop, Verify, Wait
from farm.model.outcome import Diagnosis, Failed
from farm.model.report import Row
from tests.fakes.engine import answer, drive
from tests.fakes.nouns import CP311, CP313, MUSL, built, job

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from farm.model.job import JobId

MEMORY, CPUS = 10, 4.0


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


@st.composite
def chained(draw: st.DrawFn) -> tuple[Job, ...]:
    """Plans with pure packages for three targets, where the later ones wait for the first, and tools that only builds ask for."""
    tools = [replace(job(f"tool{number}==1", target), wanted=False) for number in range(2) for target in (CP311, CP313, MUSL)]
    jobs: list[Job] = [*tools]
    for number in range(draw(st.integers(1, 4))):
        before: Job | None = None
        for target in (CP311, CP313, MUSL):
            mine = [tool for tool in tools if tool.target == target]
            needs = tuple(draw(st.lists(st.sampled_from(mine), unique_by=lambda j: j.id, max_size=2)))
            also = tuple(t for t in (CP311, CP313, MUSL) if t != target)
            made = job(f"pure{number}==1", target, kind="pure", needs=needs, after=before, also=also)
            before = made
            jobs.append(made)
    return tuple(jobs)


@st.composite
def loads(draw: st.DrawFn, jobs: tuple[Job, ...]) -> Load:
    seldom = st.integers(0, 5).map(lambda n: n == 0)
    eighths = st.integers(0, 48).map(lambda n: n / 8)
    weight = st.builds(Weight, seconds=st.floats(0.1, 100), memory=st.integers(0, 14), cpus=eighths, exclusive=seldom)
    known: dict[JobId, Weight] = {each.id: draw(weight) for each in jobs if draw(st.booleans())}
    return Load(memory=draw(st.sampled_from([0, MEMORY])), cpus=draw(st.sampled_from([0.0, CPUS])), weights=known)


def picks(size: int = 60) -> st.SearchStrategy[Iterator[int]]:
    return st.lists(st.integers(0, 99), min_size=size, max_size=size).map(lambda chosen: iter(chosen * 20))


@given(plans(), st.integers(1, 4), picks(), st.data())
def test_any_order_keeps_the_promises(jobs: tuple[Job, ...], limit: int, chosen: Iterator[int], data: st.DataObject) -> None:
    bad = data.draw(st.sets(st.sampled_from([j.id for j in jobs]), max_size=3))
    stage: type[Command] = data.draw(st.sampled_from([Build, Verify, Publish]))
    machine = Machine(Plan(jobs=jobs), limit=limit, load=data.draw(loads(jobs)))
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


def told(machine: Machine) -> tuple[Row, ...]:
    rows = [Row(name=p.job.pin.name, version=str(p.job.pin.version), target=p.job.target.name, state="build") for p in machine.jobs]
    return tally(rows, machine.jobs)


def told_apart(jobs: tuple[Job, ...], bad: set[JobId]) -> set[JobId]:
    """Return the bad jobs without those whose wheel needs, when it runs, what hangs on another bad one: these are built beside that one,
    and are failed or blocked by which of the two fails first.
    """
    by = {each.id: each for each in jobs}
    hangs: dict[JobId, set[JobId]] = {}
    for each in jobs:  # whatever a job needs stands before it
        hangs[each.id] = {each.id}.union(*(hangs[need] for need in (*each.needs, *each.beside)))
    return {one for one in bad if not any(hangs[other] & (bad - {one}) for other in by[one].beside)}


@given(st.one_of(plans(), chained()), picks(), st.sampled_from([Build, Verify, Publish]), st.data())
def test_the_same_report_for_any_order(
    jobs: tuple[Job, ...], chosen: Iterator[int], stage: type[Command], data: st.DataObject
) -> None:
    bad = told_apart(jobs, data.draw(st.sets(st.sampled_from([j.id for j in jobs]), max_size=2)))
    one = Machine(Plan(jobs=jobs), limit=3)
    other = Machine(Plan(jobs=jobs), limit=data.draw(st.integers(1, 5)), load=data.draw(loads(jobs)))
    drive(one, fail=bad, stage=stage)
    drive(other, fail=bad, stage=stage, pick=lambda _: next(chosen))
    assert one.done
    assert other.done
    assert told(one) == told(other)


@given(chained(), picks())
def test_nothing_is_built_that_a_wheel_of_an_older_python_makes_unnecessary(jobs: tuple[Job, ...], chosen: Iterator[int]) -> None:
    machine = Machine(Plan(jobs=jobs), limit=3)
    story = drive(machine, pick=lambda _: next(chosen))
    state = {progress.job.id: progress.state for progress in machine.jobs}
    built_ids = {command.job.id for command in story if isinstance(command, Build)}
    for each in jobs:
        users = [user for user in jobs if each.id in user.needs]
        if each.wanted:
            assert state[each.id] == ("covered" if each.after else "published")
        else:
            needed = any(state[user.id] == "published" for user in users)
            assert state[each.id] == ("published" if needed else "unneeded")
        assert (each.id in built_ids) == (state[each.id] == "published")


@given(plans(), st.integers(1, 5), picks(), st.data())
def test_room_is_never_given_twice_and_nothing_that_fits_is_kept_waiting(
    jobs: tuple[Job, ...], limit: int, chosen: Iterator[int], data: st.DataObject
) -> None:
    load = data.draw(loads(jobs))
    machine = Machine(Plan(jobs=jobs), limit=limit, load=load)
    under_way = list(machine.start())
    while under_way:
        running = [command for command in under_way if isinstance(command, Build)]
        weights = [clamped(load, command.job.id) for command in running]
        assert len(under_way) <= limit
        if load.memory:
            assert sum(weight.memory for weight in weights) <= load.memory
        if load.cpus:
            assert sum(round(weight.cpus * 1000) for weight in weights) <= round(load.cpus * 1000)
        alone = any(weight.exclusive for weight in weights)
        assert not alone or len(under_way) == 1
        state = {progress.job.id: progress.state for progress in machine.jobs}
        if len(under_way) < limit and not alone:
            for each in jobs:
                startable = state[each.id] == "waiting" and all(state[need] == "published" for need in each.needs)
                assert not (startable and fits(load, each.id, weights, under_way)), each.id
        command = under_way.pop(next(chosen) % len(under_way))
        under_way.extend(machine.on(answer(command, lambda _: False)))
    assert machine.done


def clamped(load: Load, identity: JobId) -> Weight:
    weight = load.weights.get(identity, Weight())
    memory = min(weight.memory, load.memory) if load.memory else 0
    return replace(weight, memory=memory, cpus=min(weight.cpus, load.cpus) if load.cpus else 0)


def fits(load: Load, identity: JobId, weights: list[Weight], under_way: list[Order]) -> bool:
    weight = clamped(load, identity)
    if weight.exclusive and under_way:
        return False
    memory = not load.memory or sum(w.memory for w in weights) + weight.memory <= load.memory
    cpus = not load.cpus or sum(round(w.cpus * 1000) for w in (*weights, weight)) <= round(load.cpus * 1000)
    return memory and cpus


@given(plans(), st.integers(1, 4), picks(), st.integers(0, 30))
def test_a_machine_that_is_given_the_same_events_again_stands_where_the_other_stood(
    jobs: tuple[Job, ...], limit: int, chosen: Iterator[int], length: int
) -> None:
    first = Machine(Plan(jobs=jobs), limit=limit)
    under_way, events = list(first.start()), list[Event]()
    while under_way and len(events) < length:
        events.append(answer(under_way.pop(next(chosen) % len(under_way)), lambda _: False))
        under_way.extend(first.on(events[-1]))
    second = Machine(Plan(jobs=jobs), limit=limit)
    orders = list(second.start())
    for event in events:
        orders.extend(second.on(event))
    assert second.jobs == first.jobs
    done = {(type(event).__name__.removesuffix("Done"), event.job) for event in events if not isinstance(event, Stop)}
    assert [c for c in orders if (type(c).__name__, c.job.id) not in done] == under_way or set(under_way) <= set(orders)


@given(plans(), st.integers(1, 4), picks(), st.integers(0, 12))
def test_after_stop_nothing_new_starts_and_everything_ends(
    jobs: tuple[Job, ...], limit: int, chosen: Iterator[int], moment: int
) -> None:
    machine = Machine(Plan(jobs=jobs), limit=limit)
    under_way = list(machine.start())
    for _ in range(moment):
        if under_way:
            under_way.extend(machine.on(answer(under_way.pop(next(chosen) % len(under_way)), lambda _: False)))
    begun = {p.job.id for p in machine.jobs if p.state not in {"waiting", *FINAL}}
    under_way.extend(machine.on(Stop()))
    while under_way:
        command = under_way.pop(next(chosen) % len(under_way))
        following = machine.on(answer(command, lambda _: False))
        assert not any(isinstance(order, Build | Wait) for order in following)
        under_way.extend(following)
    assert machine.done
    assert all(p.state != "cancelled" or p.job.id not in begun or p.job.beside for p in machine.jobs)


def unanswered(made: Job) -> Failed:
    return Failed(attempt="a", stage="fetch", diagnosis=Diagnosis(cause="network", summary="no answer"), seconds=0.0)


@settings(max_examples=50)
@given(plans(), st.integers(1, 4), picks(), st.data())
def test_what_got_no_answer_is_tried_again_a_bounded_number_of_times(
    jobs: tuple[Job, ...], limit: int, chosen: Iterator[int], data: st.DataObject
) -> None:
    down: Mapping[JobId, int] = {each.id: data.draw(st.integers(0, 4)) for each in jobs}
    left = dict(down)
    machine = Machine(Plan(jobs=jobs), limit=limit, pauses=(1.0, 2.0))
    under_way, waits = list(machine.start()), list[Wait]()
    while under_way:
        assert sum(not isinstance(order, Wait) for order in under_way) <= limit
        order = under_way.pop(next(chosen) % len(under_way))
        waits += [order] if isinstance(order, Wait) else []
        if isinstance(order, Build):
            left[order.job.id] -= 1
            outcome = unanswered(order.job) if left[order.job.id] >= 0 else built(order.job)
            under_way.extend(machine.on(BuildDone(job=order.job.id, outcome=outcome)))
        else:
            under_way.extend(machine.on(answer(order, lambda _: False)))
    assert machine.done
    for progress in machine.jobs:
        if progress.state != "blocked":
            assert progress.state == ("published" if down[progress.job.id] <= 2 else "failed")
        seconds = [wait.seconds for wait in waits if wait.job.id == progress.job.id]
        assert seconds == [1.0, 2.0][: len(seconds)]
