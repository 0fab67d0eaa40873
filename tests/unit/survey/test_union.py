"""The gaps of many sets as one plan: where sets differ, and what several of them ask for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from farm.model.demand import Demand, IndexOptions, Origin, Requirement
from farm.model.job import Plan, Recipe, Refusal
from farm.model.watch import WatchedCell
from farm.survey.detect import DetectPolicy
from farm.survey.plan import PlanPorts, plan_all
from farm.survey.survey import survey
from farm.survey.union import joined_cells, joined_plans, users_of
from tests.fakes.index import FakeIndex, FakeResolver, FakeSdists
from tests.fakes.nouns import CP311, CP313, IMAGE, canonical, job, project

if TYPE_CHECKING:
    from farm.model.gap import Matrix

SETUPTOOLS = project("setuptools", "setuptools-80.0-py3-none-any.whl")
WANT = WatchedCell(name="demo", version="1", target=CP311.name, state="build", reason="sdist only")


def demand(*names: str, **options: frozenset[str]) -> Demand:
    origin = Origin(file="requirements.txt", line=1)
    entries = tuple(Requirement(name=canonical(name), origin=origin, text=name) for name in names)
    return Demand(requirements=entries, options=IndexOptions(**options))  # type: ignore[arg-type]


def matrices(ports: PlanPorts, *demands: Demand) -> list[Matrix]:
    return [survey(each, (CP311,), DetectPolicy(options=each.options), ports) for each in demands]


def make_ports(versions: dict[str, str], *pages: object) -> PlanPorts:
    return PlanPorts(
        upstream=FakeIndex(SETUPTOOLS, *pages), farm=FakeIndex(), resolver=FakeResolver(versions=versions | {"setuptools": "80.0"}),  # type: ignore[arg-type]
        sdists=FakeSdists(), image=lambda _target, _variant: IMAGE, recipe=lambda _pin, _target: Recipe(),
    )  # fmt: skip


def test_a_gap_of_many_sets_is_one_job() -> None:
    ports = make_ports({"demo": "1", "other": "1"}, project("demo", "demo-1.tar.gz"), project("other", "other-1.tar.gz"))
    made = plan_all(matrices(ports, demand("demo"), demand("demo", "other"), demand("demo")), DetectPolicy(), ports)
    assert [str(each.pin) for each in made.jobs] == ["demo==1", "other==1"]


def test_a_gap_is_built_though_another_set_may_not_have_it_built() -> None:
    ports = make_ports({"demo": "1"}, project("demo", "demo-1.tar.gz"))
    forbidden = demand("demo", only_binary=frozenset({":all:"}))
    for order in ((forbidden, demand("demo")), (demand("demo"), forbidden)):
        made = plan_all(matrices(ports, *order), DetectPolicy(), ports)
        assert [str(each.pin) for each in made.jobs] == ["demo==1"]


def test_where_sets_differ_about_a_cell_the_gap_counts() -> None:
    there = replace(WANT, state="upstream-wheel", reason="")
    impossible = replace(WANT, state="impossible")
    assert joined_cells([(there,), (WANT,), (impossible,)]) == {WANT.key: WANT}
    assert joined_cells([(there,), (impossible,)]) == {WANT.key: impossible}


def test_users_are_told_for_what_only_a_build_or_a_proof_needs_too() -> None:
    tool, beside = job("tool==1"), job("beside==1")
    demo = job("demo==1", needs=(tool,), beside=(beside,))
    made = users_of(Plan(jobs=(tool, beside, demo)), {"one": (WANT,), "two": (replace(WANT, name="beside"),), "three": ()})
    assert made == {demo.id: ("one",), tool.id: ("one",), beside.id: ("one", "two")}


def test_plans_over_different_indexes_hold_a_job_once_and_say_where_the_sdists_differ() -> None:
    first, other = job("demo==1"), job("demo==1")
    other = replace(other, sdist=replace(other.sdist, sha256="f" * 64, url="https://private.example/demo-1.tar.gz"))  # type: ignore[arg-type]
    more = job("more==1", CP313, needs=(other,))
    refusal = Refusal(pin=first.pin, target=first.target, reason="no", via=())
    made = joined_plans([Plan(jobs=(first,)), Plan(jobs=(other, more), refused=(refusal,))])
    assert made.jobs == (first, more)
    assert made.refused == ()
    assert "its sdist is another one on https://private.example/demo-1.tar.gz" in made.notes[0]
