"""survey: which cells a demand becomes, and what an index is never asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from packaging.markers import Marker

from farm.errors import UpstreamError
from farm.model.demand import Demand, IndexOptions, Origin, Requirement
from farm.model.gap import Impossible, Missing, Present, Unknown
from farm.survey.detect import DetectPolicy
from farm.survey.survey import policy_of, survey
from tests.fakes.index import FakeIndex, FakeResolver
from tests.fakes.nouns import CP311, CP313, canonical, project

if TYPE_CHECKING:
    from farm.model.gap import Resolution, Unresolved
    from farm.model.package import NormalizedName, Project
    from farm.model.target import Target

WHEEL = "there-1.0-py3-none-any.whl"


@dataclass(kw_only=True)
class Ports:
    upstream: FakeIndex
    resolver: FakeResolver
    farm: FakeIndex = field(default_factory=FakeIndex)


def asked(name: str, line: int = 1, **more: object) -> Requirement:
    return Requirement(name=canonical(name), origin=Origin(file="requirements.txt", line=line), text=name, **more)  # type: ignore[arg-type]


def states(matrix: object) -> dict[tuple[str, str], str]:
    return {(c.pin.name, c.target.name): type(c.presence).__name__ for c in matrix.cells}  # type: ignore[attr-defined]


@pytest.fixture
def ports() -> Ports:
    upstream = FakeIndex(project("there", WHEEL), project("gap", "gap-1.0.tar.gz"), project("user", "user-1.0-py3-none-any.whl"))
    resolver = FakeResolver(versions={"there": "1.0", "gap": "1.0", "user": "1.0"}, depends={"user": ("gap",)})
    return Ports(upstream=upstream, resolver=resolver)


def test_each_target_has_a_cell_for_each_pin(ports: Ports) -> None:
    matrix = survey(Demand(requirements=(asked("there"), asked("gap"))), [CP311, CP313], DetectPolicy(), ports)
    assert matrix.targets == (CP311, CP313)
    assert [(c.pin.name, c.target) for c in matrix.cells] == [("gap", CP311), ("there", CP311), ("gap", CP313), ("there", CP313)]
    assert {type(c.presence) for c in matrix.of(CP311)} == {Missing, Present}


def test_a_target_without_a_solution_does_not_hide_the_others(ports: Ports) -> None:
    class Half(FakeResolver):
        def resolve(self, demand: Demand, target: Target) -> Resolution | Unresolved:
            self.conflicts = frozenset({"there"}) if target == CP313 else frozenset()
            return super().resolve(demand, target)

    ports.resolver = Half(versions={"there": "1.0"})
    matrix = survey(Demand(requirements=(asked("there"),)), [CP311, CP313], DetectPolicy(), ports)
    assert [c.target for c in matrix.cells] == [CP311]
    assert [u.target for u in matrix.unresolved] == [CP313]


def test_an_index_that_is_silent_about_one_project_makes_that_unknown(ports: Ports) -> None:
    ports.upstream = FakeIndex(project("there", WHEEL), down=frozenset({"gap"}))
    matrix = survey(Demand(requirements=(asked("there"), asked("gap"))), [CP311], DetectPolicy(), ports)
    assert {c.pin.name: type(c.presence) for c in matrix.cells} == {"there": Present, "gap": Unknown}


def test_a_resolver_that_gets_no_answer_is_not_taken_for_no_solution(ports: Ports) -> None:
    class Deaf(FakeResolver):
        def resolve(self, demand: Demand, target: Target) -> Resolution | Unresolved:
            raise UpstreamError("no answer", solution="try again")

    ports.resolver = Deaf(versions={})
    with pytest.raises(UpstreamError):
        survey(Demand(requirements=(asked("there"),)), [CP311], DetectPolicy(), ports)


def test_what_comes_from_a_url_is_never_looked_up_under_its_name(ports: Ports) -> None:
    class Discreet(FakeIndex):
        def project(self, name: NormalizedName) -> Project | None:
            assert name != "gap", "the index has another project of that name"
            return super().project(name)

    ports.upstream = ports.farm = Discreet(project("user", "user-1.0-py3-none-any.whl"))
    demand = Demand(requirements=(asked("user"), asked("gap", 2, url="git+https://example.invalid/gap")))
    matrix = survey(demand, [CP311], DetectPolicy(), ports)
    (gap,) = (c for c in matrix.cells if c.pin.name == "gap")
    assert isinstance(gap.presence, Impossible)
    assert gap.presence.reason == "it is on no index"
    (user,) = (c for c in matrix.cells if c.pin.name == "user")
    assert user.dependencies == ("gap",)


def test_a_url_for_other_machines_leaves_the_index_in_charge(ports: Ports) -> None:
    elsewhere = asked("gap", 2, url="https://example.invalid/gap-1.0.tar.gz", marker=Marker('sys_platform == "win32"'))
    matrix = survey(Demand(requirements=(asked("gap"), elsewhere)), [CP311], DetectPolicy(), ports)
    assert [type(c.presence) for c in matrix.cells] == [Missing]


def test_hashes_bind_only_where_pip_would_check_them() -> None:
    good = asked("there", hashes=(f"sha256:{'a' * 64}", "sha512:beef"))
    policy = policy_of(Demand(requirements=(good, asked("gap"))), frozenset())
    assert policy.hashes == {"there": frozenset({"a" * 64})}
    loose = Demand(requirements=(good,), options=IndexOptions(no_require_hashes=True))
    assert policy_of(loose, frozenset()).hashes == {}


def test_hashes_of_a_constraint_count_with_those_of_the_requirement() -> None:
    demand = Demand(
        requirements=(asked("there", hashes=(f"sha256:{'a' * 64}",)),),
        constraints=(asked("there", hashes=(f"sha256:{'B' * 64}",)),),
    )
    assert policy_of(demand, frozenset()).hashes["there"] == {"a" * 64, "b" * 64}  # type: ignore[index]
