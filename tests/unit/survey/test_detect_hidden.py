"""Wheels that are there, but that an old pip cannot select."""

from __future__ import annotations

import json

import pytest
from packaging.version import Version

from farm.cli import render
from farm.model.gap import Cell, Hidden, Matrix, Missing, Present
from farm.model.job import Plan
from farm.model.package import make_pin
from farm.model.report import Problem, Report
from farm.model.target import parse_target
from farm.survey.detect import DetectPolicy, presence
from farm.survey.tell import rows
from tests.fakes.index import FakeIndex
from tests.fakes.nouns import CP311, MUSL, project

PIN = make_pin("demo", "1.0")


def look(*filenames: str, pip: str | None, target=CP311, farm: tuple[str, ...] = ()):  # type: ignore[no-untyped-def]
    own = FakeIndex(project("demo", *farm)) if farm else FakeIndex()
    policy = DetectPolicy(client_pip=Version(pip) if pip else None)
    return presence(PIN, target, FakeIndex(project("demo", *filenames)), own, policy=policy)


@pytest.mark.parametrize(
    ("tags", "target", "pip", "needs"),
    [
        ("cp311-cp311-manylinux_2_28_x86_64", CP311, "20.2", "20.3"),
        ("cp311-cp311-manylinux2014_x86_64", CP311, "19.2", "19.3"),
        ("cp313-cp313-musllinux_1_2_x86_64", MUSL, "21.1.3", "21.2"),
        ("cp313-cp313t-manylinux_2_28_x86_64", parse_target("cp313t-manylinux_2_28_x86_64"), "24.0", "24.1"),
        ("cp315-abi3t-manylinux_2_28_x86_64", parse_target("cp315t-manylinux_2_28_x86_64"), "26.0", "26.1"),
    ],
)
def test_a_wheel_that_this_pip_does_not_know_is_hidden_until_the_one_that_does(tags: str, target, pip: str, needs: str) -> None:  # type: ignore[no-untyped-def]
    wheel = f"demo-1.0-{tags}.whl"
    found = look(wheel, "demo-1.0.tar.gz", pip=pip, target=target)
    assert isinstance(found, Hidden)
    assert found.file.filename == wheel
    assert found.reason == f"present, pip {pip} cannot see it: needs >= {needs}"
    for seen in (needs, None):
        assert isinstance(look(wheel, "demo-1.0.tar.gz", pip=seen, target=target), Present)


def test_any_known_tag_of_a_compressed_set_makes_it_visible() -> None:
    assert isinstance(look("demo-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", pip="20.2"), Present)


def test_a_visible_pure_wheel_serves_before_a_hidden_one() -> None:
    found = look("demo-1.0-cp311-cp311-manylinux_2_28_x86_64.whl", "demo-1.0-py3-none-any.whl", pip="20.2")
    assert isinstance(found, Present)
    assert found.file.filename == "demo-1.0-py3-none-any.whl"


def test_what_fits_no_pip_is_missing_and_not_hidden() -> None:
    assert isinstance(look("demo-1.0-cp312-cp312-manylinux_2_28_x86_64.whl", "demo-1.0.tar.gz", pip="20.2"), Missing)


def test_the_farms_own_wheel_can_be_hidden_too() -> None:
    found = look("demo-1.0.tar.gz", pip="20.2", farm=("demo-1.0-cp311-cp311-manylinux_2_28_x86_64.whl",))
    assert isinstance(found, Hidden)
    assert found.where == "farm"


def test_hidden_and_not_needed_are_told_in_the_report() -> None:
    hidden = look("demo-1.0-cp311-cp311-manylinux_2_28_x86_64.whl", pip="20.2")
    cell = Cell(pin=PIN, target=CP311, presence=hidden, via=("r.txt:1",), dependencies=())
    lost = parse_target("cp312-win_amd64")
    matrix = Matrix(targets=(CP311, MUSL, lost), cells=(cell,), unresolved=())
    report = Report(
        targets=tuple(target.name for target in matrix.targets), rows=rows(matrix, Plan()),
        problems=(Problem(subject=lost.name, text="no solution", kind="unresolved"),),
    )  # fmt: skip
    cells = json.loads(render.report_json(report, report.exit_code))["packages"][0]["cells"]
    assert cells[CP311.name]["state"] == "hidden"
    assert cells[CP311.name]["file"] == "demo-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"
    assert cells[MUSL.name]["state"] == "not-needed"
    assert lost.name not in cells, "where nothing was resolved nothing is known"
    assert "present, pip 20.2 cannot see it: needs >= 20.3" in render.reasons(report)
    only = Report(targets=(CP311.name,), rows=rows(matrix, Plan()))
    assert only.exit_code == 1
