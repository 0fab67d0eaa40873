"""Which upstream wheel takes over from one of the farm's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from farm.survey.retire import heir
from tests.fakes.nouns import CP311, CP313, index_file, project
from tests.fakes.store import Wheelmaker

if TYPE_CHECKING:
    from pathlib import Path

    from farm.model.attempt import WheelRecord


@pytest.fixture
def wheel(tmp_path: Path) -> WheelRecord:
    record, _ = Wheelmaker(folder=tmp_path).make("demo", "1.0", "")
    return replace(record, targets=(CP311.name,))


@pytest.mark.parametrize(
    ("theirs", "found"),
    [
        ("demo-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", True), ("demo-1.0-py3-none-any.whl", True),
        ("demo-1.0-cp39-abi3-manylinux_2_28_x86_64.whl", True),
        ("demo-1.0-cp312-cp312-manylinux_2_17_x86_64.whl", False), ("demo-1.1-cp311-cp311-manylinux_2_17_x86_64.whl", False),
        ("demo-1.0-cp311-cp311-musllinux_1_2_x86_64.whl", False), ("demo-1.0.tar.gz", False),
    ],
)  # fmt: skip
def test_a_wheel_that_the_same_clients_take(wheel: WheelRecord, theirs: str, found: bool) -> None:
    assert heir(wheel, project("demo", theirs)) == (theirs if found else "")


def test_all_of_them_have_to_be_served(wheel: WheelRecord) -> None:
    both = replace(wheel, targets=(CP311.name, CP313.name))
    one = "demo-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"
    assert heir(both, project("demo", one)) == ""
    assert heir(both, project("demo", one, one.replace("311", "313"))) == one


def test_a_yanked_one_the_farms_own_or_none_do_not_count(wheel: WheelRecord) -> None:
    name = "demo-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"
    page = project("demo")
    assert heir(wheel, replace(page, files=(index_file(name, yanked="broken"),))) == ""
    assert heir(wheel, replace(page, files=(replace(index_file(name), sha256=wheel.sha256),))) == ""
    assert heir(wheel, None) == ""
    assert heir(replace(wheel, targets=("pypy9-os2",)), project("demo", name)) == ""
