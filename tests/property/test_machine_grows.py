"""A plan that grows while it is carried out keeps the promises of one that does not; what would wait for itself is told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from farm.engine.machine import Machine
from farm.engine.tally import tally
from farm.model.job import Dependency, Job, Plan
from farm.model.load import Load, Weight
from farm.model.messages import Build, BuildDone, Mend, MendDone, More, Order, Publish
from tests.fakes.engine import answer
from tests.fakes.nouns import failed, job
from tests.property.test_machine_orders import CPUS, MEMORY, picks, plans

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from farm.model.job import JobId
    from farm.model.messages import Event
    from farm.model.report import Row


@dataclass(frozen=True, kw_only=True)
class World:
    """`grows` has for some jobs what their builds turn out to need: jobs of the plan, or others with what those need."""

    jobs: tuple[Job, ...]
    grows: Mapping[JobId, tuple[Job, ...]]
    pool: tuple[Job, ...]

    def more(self, asks: Job) -> More:
        """Every new job that is hung on, each after what it needs, asked for by this one."""
        found: set[JobId] = set()
        todo = list(self.grows[asks.id])
        known = {each.id: each for each in self.pool}
        while todo:
            each = todo.pop()
            if each.id in known and each.id not in found:
                found.add(each.id)
                todo.extend(known[need] for need in (*each.needs, *each.beside) if need in known)
        via = (f"{asks.pin} (build requirement)",)
        weight = Weight(seconds=3, memory=4, cpus=1)
        return More(
            jobs=tuple(replace(each, via=via) for each in self.pool if each.id in found), weights=dict.fromkeys(found, weight)
        )


@st.composite
def worlds(draw: st.DrawFn, *, circles: bool) -> World:
    jobs = draw(plans())
    pool: list[Job] = []
    for number in range(draw(st.integers(1, 5))):
        known = [*pool, *jobs] if circles else pool
        picked = st.lists(st.sampled_from(known), unique_by=lambda j: j.id, max_size=2) if known else st.just([])
        made = job(f"new{number}==1", needs=tuple(draw(picked)), beside=tuple(draw(picked)))
        pool.append(replace(made, wanted=False))
    some = st.lists(st.sampled_from([*pool, *jobs] if circles else pool), unique_by=lambda j: j.id, min_size=1, max_size=3)
    able = [*jobs, *pool] if circles else list(jobs)
    growers = draw(st.lists(st.sampled_from(able), unique_by=lambda j: j.id, min_size=1, max_size=4))
    return World(jobs=jobs, grows={each.id: tuple(draw(some)) for each in growers}, pool=tuple(pool))


def carry(order: Order, world: World, bad: set[JobId]) -> Event:
    mine = order.job
    if isinstance(order, Build) and mine.id in world.grows and not mine.named:
        outcome = replace(failed(mine.id, "requirements"), wants=("more",))
        new = tuple(Dependency(pin=each.pin, file=None, job=each.id) for each in world.grows[mine.id])
        better = replace(mine, named=("more",), requires=(*mine.requires, *new))
        return BuildDone(job=mine.id, outcome=outcome, better=better, more=world.more(mine))
    return answer(order, lambda c: isinstance(c, Build) and c.job.id in bad)


def drive(machine: Machine, world: World, bad: set[JobId], chosen: Iterator[int], load: Load | None = None) -> list[Order]:
    under_way = list(machine.start())
    story = list(under_way)
    while under_way:
        running = [order.job.id for order in under_way if isinstance(order, Build) and order.job.id.startswith("new")]
        assert not (load and load.memory) or 4 * len(running) <= load.memory
        following = machine.on(carry(under_way.pop(next(chosen) % len(under_way)), world, bad))
        under_way.extend(following)
        story.extend(following)
    return story


@given(worlds(circles=True), st.integers(1, 4), picks(), st.data())
def test_a_grown_plan_keeps_the_promises(world: World, limit: int, chosen: Iterator[int], data: st.DataObject) -> None:
    bad = data.draw(st.sets(st.sampled_from([each.id for each in (*world.jobs, *world.pool)]), max_size=2))
    load = Load(memory=data.draw(st.sampled_from([0, MEMORY])), cpus=data.draw(st.sampled_from([0.0, CPUS])))
    machine = Machine(Plan(jobs=world.jobs), limit=limit, load=load)
    story = drive(machine, world, bad, chosen, load)
    assert machine.done
    state = {progress.job.id: progress for progress in machine.jobs}
    assert len(state) == len(machine.jobs)
    published = {order.job.id: place for place, order in enumerate(story) if isinstance(order, Publish)}
    for place, order in enumerate(story):
        if isinstance(order, Build):
            assert all(published[need] < place for need in order.job.needs if need in state)
            assert set(order.made) == set(order.job.needs)
    for identity, progress in state.items():
        builds = sum(isinstance(order, Build) and order.job.id == identity for order in story)
        assert builds <= (2 if identity in world.grows else 1)
        circle = progress.failure is not None and "a circle" in str(progress.failure)
        lost = any(state[need].state in {"failed", "blocked"} for need in (*progress.job.needs, *progress.job.beside))
        assert progress.state in {"failed", "blocked", "published"}
        assert (progress.state == "blocked") <= lost
        assert (progress.state == "failed") <= (identity in bad or circle)


def told(machine: Machine, world: World) -> tuple[Row, ...]:
    assert {each.id for each in world.jobs} <= {progress.job.id for progress in machine.jobs}
    return tally((), machine.jobs)


@given(worlds(circles=False), picks())
def test_the_same_report_for_any_order(world: World, chosen: Iterator[int]) -> None:
    """Where nothing fails: what a job would have turned out to need is not found out where another's failure blocks it first."""
    one, other = Machine(Plan(jobs=world.jobs), limit=3), Machine(Plan(jobs=world.jobs), limit=2)
    drive(one, world, set(), iter([0] * 10_000))
    drive(other, world, set(), chosen)
    assert one.done
    assert other.done
    assert told(one, world) == told(other, world)


def test_two_that_ask_for_each_other_are_told_and_nobody_waits_for_ever() -> None:
    egg, hen = job("egg==1"), job("hen==1")
    world = World(jobs=(egg, hen), grows={egg.id: (hen,), hen.id: (egg,)}, pool=())
    machine = Machine(Plan(jobs=world.jobs), limit=2)
    drive(machine, world, set(), iter([0] * 99))
    assert machine.done
    rows = {row.name: row for row in tally((), machine.jobs)}
    assert "a circle of build dependencies: hen==1 needs egg==1 needs hen==1" in rows["hen"].reason
    assert rows["hen"].diagnosis is not None
    assert "recipe" in rows["hen"].diagnosis.remedy
    assert (rows["hen"].state, rows["egg"].state) == ("failed", "blocked")


def test_what_two_jobs_turn_out_to_need_is_built_once_and_names_both() -> None:
    egg, hen, tool = job("egg==1"), job("hen==1"), replace(job("tool==1"), wanted=False)
    world = World(jobs=(egg, hen), grows={egg.id: (tool,), hen.id: (tool,)}, pool=(tool,))
    machine = Machine(Plan(jobs=world.jobs), limit=1)
    story = drive(machine, world, set(), iter([0] * 99))
    assert sum(isinstance(order, Build) and order.job.id == tool.id for order in story) == 1
    row = next(row for row in tally((), machine.jobs) if row.name == "tool")
    assert (row.state, row.required_by) == ("built", ("egg==1 (build requirement)", "hen==1 (build requirement)"))


def test_what_healing_adds_is_built_first() -> None:
    demo, tool = job("demo==1"), replace(job("tool==1"), wanted=False)
    machine = Machine(Plan(jobs=(demo,)), limit=1, heal=True)
    (build,) = machine.start()
    (mend,) = machine.on(BuildDone(job=demo.id, outcome=failed(demo.id)))
    assert isinstance(mend, Mend)
    better = replace(demo, requires=(Dependency(pin=tool.pin, file=None, job=tool.id),))
    orders = machine.on(MendDone(job=demo.id, better=better, more=More(jobs=(tool,))))
    assert [(type(order), order.job.id) for order in orders] == [(Build, tool.id)]
    under_way, story = list(orders), list(orders)
    while under_way:
        following = machine.on(answer(under_way.pop(), lambda _: False))
        under_way.extend(following)
        story.extend(following)
    assert [order.job.id for order in story if isinstance(order, Build)] == [tool.id, demo.id]
    assert {progress.state for progress in machine.jobs} == {"published"}
    assert build.job.id == demo.id
