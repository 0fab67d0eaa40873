"""Of any sets over any index: no job twice, every gap of every set covered, users right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from farm.model.demand import Demand, Origin, Requirement
from farm.model.job import Plan, Recipe, make_job_id
from farm.model.watch import WatchedCell
from farm.survey.detect import DetectPolicy, Memory
from farm.survey.plan import PlanPorts, plan_all
from farm.survey.survey import survey
from farm.survey.tell import rows
from farm.survey.union import joined_cells, users_of
from tests.fakes.index import FakeIndex, FakeResolver, FakeSdists
from tests.fakes.nouns import CP311, CP313, IMAGE, canonical, project

if TYPE_CHECKING:
    from farm.model.gap import Matrix

NAMES = "abcdefgh"
TARGETS = (CP311, CP313)
SETS = st.lists(st.tuples(st.frozensets(st.sampled_from(NAMES), min_size=1), st.frozensets(st.sampled_from(TARGETS), min_size=1)),
                min_size=1, max_size=6)  # fmt: skip


@given(sets=SETS, built=st.frozensets(st.sampled_from(NAMES)))
def test_one_plan_covers_every_gap_of_every_set_once(sets: list[tuple[frozenset[str], frozenset[object]]], built: frozenset[str]) -> None:
    pages = [project(name, f"{name}-1-py3-none-any.whl" if name in built else f"{name}-1.tar.gz") for name in NAMES]
    ports = PlanPorts(
        upstream=FakeIndex(project("setuptools", "setuptools-80.0-py3-none-any.whl"), *pages), farm=FakeIndex(),
        resolver=FakeResolver(versions=dict.fromkeys(NAMES, "1") | {"setuptools": "80.0"}), sdists=FakeSdists(),
        image=lambda _target, _variant: IMAGE, recipe=lambda _pin, _target: Recipe(),
    )  # fmt: skip
    memory: Memory = {}
    matrices: dict[str, Matrix] = {}
    wants: dict[str, tuple[WatchedCell, ...]] = {}
    for number, (names, targets) in enumerate(sets):
        demand = _demand(sorted(names))
        alone = survey(demand, sorted(targets), DetectPolicy(), ports)  # type: ignore[type-var]
        found = survey(demand, sorted(targets), DetectPolicy(), ports, memory)  # type: ignore[type-var]
        assert found == alone, "what sets remember for each other changes no answer"
        matrices[str(number)] = found
        wants[str(number)] = tuple(
            WatchedCell(name=row.name, version=row.version, target=row.target, state=row.state) for row in rows(found, Plan())
        )
    made = plan_all(list(matrices.values()), DetectPolicy(), ports)
    ids = [job.id for job in made.jobs]
    assert len(ids) == len(set(ids))
    gaps = {name: {make_job_id(*cell.key) for cell in cells if cell.state == "build"} for name, cells in wants.items()}
    assert set(ids) == set().union(*gaps.values())
    users = users_of(made, wants)
    assert {identity: set(users[identity]) for identity in ids} == {
        identity: {name for name, theirs in gaps.items() if identity in theirs} for identity in ids
    }
    cells = joined_cells(wants.values())
    assert {key for each in wants.values() for key in (cell.key for cell in each)} == set(cells)


def _demand(names: list[str]) -> Demand:
    origin = Origin(file="requirements.txt", line=1)
    return Demand(requirements=tuple(Requirement(name=canonical(name), origin=origin, text=name) for name in names))
