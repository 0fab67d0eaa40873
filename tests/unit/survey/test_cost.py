"""Estimates come from past builds only, and the whole is bounded by its longest chain and by how many builds run at once."""

from __future__ import annotations

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from farm.survey.cost import PastBuild, cost, estimates
from tests.fakes.nouns import CP311, CP313, MUSL, job


def past(name: str, version: str, target: str, seconds: float) -> PastBuild:
    return PastBuild(name=canonicalize_name(name), version=Version(version), target=target, seconds=seconds)


def test_a_package_that_was_never_built_has_no_estimate() -> None:
    assert estimates([job("new==1.0")], [past("other", "1.0", CP311.name, 9)]) == {}


@pytest.mark.parametrize(
    ("known", "seconds"),
    [
        ([("2.0", CP313, 10), ("1.0", CP311, 50)], 50),
        ([("2.0", CP311, 10), ("1.0", CP313, 50)], 10),
        ([("1.0", MUSL, 30), ("2.0", CP313, 10)], 30),
        ([("3.0", CP311, 7), ("2.0", CP311, 10)], 7),
    ],
    ids=["same-version-and-target", "target-before-version", "version-before-newer", "newest-of-equals"],
)
def test_the_nearest_past_build_counts(known: list[tuple[str, object, float]], seconds: float) -> None:
    made = job("demo==1.0", CP311)
    builds = [past("demo", version, str(target), took) for version, target, took in known]
    assert estimates([made], builds) == {made.id: seconds}


def test_a_job_that_another_ones_wheel_will_serve_is_expected_to_take_nothing() -> None:
    first = job("pure==1.0", CP311, kind="pure")
    second = job("pure==1.0", CP313, kind="pure", after=first)
    assert estimates([first, second], [past("pure", "1.0", CP311.name, 4)]) == {first.id: 4, second.id: 0}


def test_a_chain_bounds_the_whole_however_many_builders_there_are() -> None:
    tool = job("tool==1.0")
    slow = job("slow==1.0", needs=(tool,))
    side = job("side==1.0")
    told = cost([tool, slow, side], {tool.id: 60, slow.id: 600, side.id: 100}, 8)
    assert (told.total_s, told.critical_s, told.elapsed_s) == (760, 660, 660)
    assert told.longest == (tool.id, slow.id)


def test_few_builders_bound_the_whole_by_their_share() -> None:
    jobs = [job(f"p{number}==1.0") for number in range(6)]
    told = cost(jobs, {each.id: 100.0 for each in jobs}, 2)
    assert (told.critical_s, told.elapsed_s, told.side_by_side) == (100, 300, 2)


def test_what_has_no_history_is_counted_apart() -> None:
    known, new = job("known==1.0"), job("new==1.0")
    told = cost([known, new], {known.id: 30}, 1)
    assert (told.jobs, told.known, told.total_s, told.longest) == (2, 1, 30, (known.id,))


def test_nothing_to_build_costs_nothing() -> None:
    told = cost([], {}, 0)
    assert (told.jobs, told.elapsed_s, told.longest) == (0, 0, ())
