"""tell: matrix and plan as rows and problems of a report."""

from __future__ import annotations

from farm.cli.render import reasons
from farm.model.demand import Origin
from farm.model.direct import Direct, Unsettled
from farm.model.gap import Cell, Impossible, Matrix, Missing, Presence, Present, Unknown, Unresolved
from farm.model.job import Plan, Refusal
from farm.model.package import make_pin
from farm.model.report import Report
from farm.survey.tell import problems, rows
from tests.fakes import nouns
from tests.fakes.nouns import CP311, index_file

SDIST = index_file("demo-1.0.tar.gz")
WHEEL = index_file("demo-1.0-py3-none-any.whl")


def cell(presence: Presence, name: str = "demo") -> Cell:
    return Cell(pin=make_pin(name, "1.0"), target=CP311, presence=presence, via=("requirements.txt:1",), dependencies=())


def matrix(*cells: Cell) -> Matrix:
    return Matrix(targets=(CP311,), cells=cells, unresolved=())


def state(presence: Presence, plan: Plan | None = None) -> tuple[str, str, str]:
    (row,) = rows(matrix(cell(presence)), plan or Plan())
    assert (row.name, row.version, row.target, row.required_by) == ("demo", "1.0", CP311.name, ("requirements.txt:1",))
    return row.state, row.reason, row.file


def test_each_presence_has_its_state() -> None:
    note = "pure fallback; native wheels exist for other targets"
    assert state(Present(file=WHEEL, where="upstream")) == ("upstream-wheel", "", WHEEL.filename)
    assert state(Present(file=WHEEL, where="upstream", note="yanked: bad")) == ("upstream-wheel", "yanked: bad", WHEEL.filename)
    assert state(Present(file=WHEEL, where="upstream", note=note)) == ("pure-fallback", note, WHEEL.filename)
    assert state(Present(file=WHEEL, where="farm")) == ("farm-wheel", "", WHEEL.filename)
    assert state(Missing(reason="sdist only", sdist=SDIST)) == ("build", "sdist only", "")
    assert state(Impossible(reason="neither wheel nor sdist")) == ("impossible", "neither wheel nor sdist", "")
    assert state(Unknown(reason="no answer")) == ("unknown", "no answer", "")


def test_a_gap_that_cannot_be_planned_says_why() -> None:
    refusal = Refusal(pin=make_pin("demo", "1.0"), target=CP311, reason="a circle", via=())
    plan = Plan(refused=(refusal,))
    assert state(Missing(reason="sdist only", sdist=SDIST), plan) == ("refused", "a circle", "")


def test_a_gap_that_cannot_be_planned_says_what_to_do() -> None:
    pin = make_pin("demo", "1.0")
    refusal = Refusal(pin=pin, target=CP311, reason="no solution", via=(), cause="missing-python-build-dep", remedy="do this")
    (row,) = rows(matrix(cell(Missing(reason="sdist only", sdist=SDIST))), Plan(refused=(refusal,)))
    assert row.diagnosis is not None
    assert (row.diagnosis.cause, row.diagnosis.remedy) == ("missing-python-build-dep", "do this")
    assert "hint: do this" in reasons(Report(rows=(row,)))


def test_build_dependencies_that_lack_wheels_have_rows_of_their_own() -> None:
    demo, tool = nouns.job("demo==1.0"), nouns.job("tool==2.0")
    lost = Refusal(pin=make_pin("lost", "3.0"), target=CP311, reason="no sdist", via=("demo==1.0 (build requirement)",))
    told = rows(matrix(cell(Missing(reason="sdist only", sdist=SDIST))), Plan(jobs=(tool, demo), refused=(lost,)))
    assert [(row.name, row.state, row.reason) for row in told] == [
        ("demo", "build", "sdist only"),
        ("tool", "build", "sdist only; a build dependency"),
        ("lost", "refused", "no sdist"),
    ]


def test_targets_without_a_solution_and_what_cannot_be_used_are_problems() -> None:
    where = Origin(file="requirements.txt", line=2)
    here = Unsettled(name="./here", direct=Direct(url="./here"), origin=where, reason="nothing there")
    matrix = Matrix(
        targets=(CP311,), cells=(), unresolved=(Unresolved(target=CP311, explanation="no way"),), unsettled=(here,)
    )
    assert [(p.subject, p.kind, p.text) for p in problems(matrix)] == [
        (CP311.name, "unresolved", "no way"),
        ("requirements.txt:2", "direct", "./here: nothing there"),
    ]
