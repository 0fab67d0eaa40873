"""Whatever the plan and the bound: no job without what it hangs on, nothing over the bound but one, what is needed most goes first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from farm.model.night import Try
from farm.survey.budget import Need, Purse, apart, hangs_on, precedence, spend
from farm.survey.cost import cost
from farm.survey.retry import retry
from tests.property.test_machine_orders import chained, plans

if TYPE_CHECKING:
    from farm.model.job import Job, JobId

jobs = plans() | chained()
NOW = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)


def closure(job: Job, by_id: dict[JobId, Job]) -> set[JobId]:
    found: set[JobId] = set()
    todo = [job.id]
    while todo:
        identity = todo.pop()
        if identity not in found and identity in by_id:
            found.add(identity)
            todo += hangs_on(by_id[identity])
    return found


@st.composite
def cases(draw: st.DrawFn) -> tuple[tuple[Job, ...], dict[JobId, float], dict[JobId, Need], Purse]:
    plan = draw(jobs)
    expected = {job.id: draw(st.integers(0, 50)) * 1.0 for job in plan}
    needs = {job.id: Need(users=draw(st.integers(0, 3)), misses=draw(st.integers(0, 3))) for job in plan if draw(st.booleans())}
    return plan, expected, needs, Purse(seconds=draw(st.none() | st.integers(0, 120).map(float)), width=draw(st.integers(1, 4)))


@given(cases())
def test_every_job_is_told_once_in_the_plans_order_and_with_what_it_hangs_on(
    case: tuple[tuple[Job, ...], dict[JobId, float], dict[JobId, Need], Purse]
) -> None:
    plan, expected, needs, purse = case
    spent = spend(plan, expected, needs, purse)
    now, later = {job.id for job in spent.now}, {job.id for job in spent.later}
    assert now | later == {job.id for job in plan}
    assert not now & later
    assert [job for job in plan if job.id in now] == list(spent.now)
    known = {job.id for job in plan}
    assert all(need in now for job in spent.now for need in hangs_on(job) if need in known)


@given(cases())
def test_it_fits_the_bound_but_for_a_first_job_that_alone_is_longer(
    case: tuple[tuple[Job, ...], dict[JobId, float], dict[JobId, Need], Purse]
) -> None:
    plan, expected, needs, purse = case
    spent = spend(plan, expected, needs, purse)
    told = cost(spent.now, expected, purse.width)
    assert spent.expected_s == told.elapsed_s
    if purse.seconds is None:
        assert {job.id for job in spent.later} == {job.id for job in plan} - {
            identity for job in plan if job.wanted for identity in closure(job, {each.id: each for each in plan})
        }
    elif told.elapsed_s > purse.seconds:
        heavy = [job for job in spent.now if expected[job.id] > 0]
        by_id = {job.id: job for job in plan}
        # One job, or a circle of jobs that prove each other, that nothing could make shorter.
        assert any({job.id for job in heavy} <= closure(job, by_id) for job in spent.now)
        assert any(job.wanted for job in plan)


@given(cases())
def test_what_is_left_would_not_have_fitted_beside_what_is_needed_more(
    case: tuple[tuple[Job, ...], dict[JobId, float], dict[JobId, Need], Purse]
) -> None:
    plan, expected, needs, purse = case
    spent = spend(plan, expected, needs, purse)
    by_id = {job.id: job for job in plan}
    rank = {job.id: needs.get(job.id, Need()).rank for job in plan}
    for left in (job for job in spent.later if job.wanted):
        assert purse.seconds is not None
        before = [job for job in spent.now if job.wanted and rank[job.id] >= rank[left.id]]
        with_it = {identity for job in (*before, left) for identity in closure(job, by_id)}
        assert cost([job for job in plan if job.id in with_it], expected, purse.width).elapsed_s > purse.seconds


@given(cases())
def test_what_is_needed_more_takes_precedence_with_all_that_it_hangs_on(
    case: tuple[tuple[Job, ...], dict[JobId, float], dict[JobId, Need], Purse]
) -> None:
    plan, expected, needs, _ = case
    first = precedence(plan, expected, needs)
    whole = sum(expected.values())
    by_id = {job.id: job for job in plan}
    for one in plan:
        assert all(first[each] >= first[one.id] for each in closure(one, by_id))
        own = needs.get(one.id, Need()).rank
        assert first[one.id] >= own * whole
        assert all(first[one.id] - first[two.id] > whole for two in plan if first[one.id] > first[two.id])


@given(cases())
def test_with_time_for_anything_something_is_always_begun(
    case: tuple[tuple[Job, ...], dict[JobId, float], dict[JobId, Need], Purse]
) -> None:
    plan, expected, needs, purse = case
    assert bool(spend(plan, expected, needs, purse).now) == any(job.wanted for job in plan)


@given(jobs, st.data())
def test_what_hangs_on_something_left_is_left_too(plan: tuple[Job, ...], data: st.DataObject) -> None:
    left = data.draw(st.sets(st.sampled_from([job.id for job in plan]), max_size=3))
    kept, lost = apart(plan, left)
    assert {job.id for job in (*kept, *lost)} | left == {job.id for job in plan}
    assert not any(need in left or need in {job.id for job in lost} for job in kept for need in hangs_on(job))


@given(st.integers(1, 40), st.integers(0, 40 * 24))
def test_who_fails_ever_again_is_tried_ever_more_seldom_and_always_in_the_end(failures: int, hours: int) -> None:
    past = [Try(state="failed", cause="network", ended=NOW - timedelta(hours=hours + 24 * number)) for number in range(failures)]
    found = retry(past, NOW)
    assert found.failures == failures
    assert found.again == (found.wait_until is None)
    if failures == 1:
        assert found.again
    if found.wait_until is not None:
        assert NOW < found.wait_until <= NOW + timedelta(days=16)
        assert hours < 16 * 24
