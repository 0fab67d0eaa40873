"""environment: the wheels of a build environment, or the words that say why there is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from farm.errors import UpstreamError
from farm.model.gap import Missing, Present
from farm.survey.detect import DetectPolicy
from farm.survey.environment import NoEnvironment, environment
from tests.fakes.index import FakeIndex, FakeResolver
from tests.fakes.nouns import CP311, project

if TYPE_CHECKING:
    from farm.model.demand import Demand
    from farm.model.gap import Resolution, Unresolved
    from farm.model.target import Target


@dataclass(kw_only=True)
class Ports:
    upstream: FakeIndex
    resolver: FakeResolver
    farm: FakeIndex = field(default_factory=FakeIndex)


def make(resolver: FakeResolver) -> Ports:
    pages = (project("setuptools", "setuptools-80.0-py3-none-any.whl"), project("tool", "tool-1.0.tar.gz"))
    return Ports(upstream=FakeIndex(*pages), resolver=resolver)


def test_every_package_of_the_environment_has_a_cell() -> None:
    ports = make(FakeResolver(versions={"setuptools": "80.0", "tool": "1.0"}, depends={"setuptools": ("tool",)}))
    cells = environment(["setuptools>=40"], [], CP311, policy=DetectPolicy(), ports=ports)
    assert {cell.pin.name: type(cell.presence) for cell in cells} == {"setuptools": Present, "tool": Missing}
    assert all(cell.target == CP311 for cell in cells)


def test_constraints_reach_the_resolver_and_ask_for_nothing() -> None:
    seen: list[tuple[tuple[str, ...], tuple[str, ...]]] = []

    class Watched(FakeResolver):
        def resolve(self, demand: Demand, target: Target) -> Resolution | Unresolved:
            seen.append((tuple(r.text for r in demand.requirements), tuple(r.text for r in demand.constraints)))
            return super().resolve(demand, target)

    ports = make(Watched(versions={"setuptools": "80.0"}))
    environment(["setuptools"], ["setuptools<81", "numpy<3"], CP311, policy=DetectPolicy(), ports=ports)
    assert seen == [(("setuptools",), ("setuptools<81", "numpy<3"))]


@pytest.mark.parametrize("texts", [(["setup tools"], []), (["setuptools"], ["numpy<<3"])])
def test_a_malformed_build_requirement_is_quoted(texts: tuple[list[str], list[str]]) -> None:
    with pytest.raises(NoEnvironment, match=r"'(setup tools|numpy<<3)' is not a valid requirement"):
        environment(*texts, CP311, policy=DetectPolicy(), ports=make(FakeResolver(versions={})))


def test_no_solution_is_told_in_the_resolver_s_words() -> None:
    ports = make(FakeResolver(versions={}, conflicts=frozenset({"setuptools"})))
    with pytest.raises(NoEnvironment, match="have no solution: no version of setuptools fits"):
        environment(["setuptools"], [], CP311, policy=DetectPolicy(), ports=ports)


def test_an_index_that_does_not_answer_is_told_as_that() -> None:
    class Deaf(FakeResolver):
        def resolve(self, demand: Demand, target: Target) -> Resolution | Unresolved:
            raise UpstreamError("no answer from the index", solution="try again")

    with pytest.raises(UpstreamError, match="no answer from the index"):
        environment(["setuptools"], [], CP311, policy=DetectPolicy(), ports=make(Deaf(versions={})))
