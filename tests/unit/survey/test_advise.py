"""What the index says of other releases of a package that cannot be had."""

from __future__ import annotations

from dataclasses import replace

import pytest

from farm.model.report import Row
from farm.survey.advise import advised
from tests.fakes import nouns
from tests.fakes.index import FakeIndex

TARGET = nouns.CP313
OWN = "demo-1.0-cp38-cp38-manylinux2014_x86_64.whl"


def row(version: str = "1.0", **more: str) -> Row:
    return replace(Row(name="demo", version=version, target=TARGET.name, state="failed"), **more)  # type: ignore[arg-type]


def told(*filenames: str, of: Row | None = None) -> Row:
    index = FakeIndex(nouns.project("demo", *filenames))
    return advised((of or row(),), {TARGET.name: TARGET}, index)[0]


def test_the_nearest_newer_release_with_a_wheel_for_the_target() -> None:
    found = told(
        "demo-1.0.tar.gz", OWN, "demo-1.1.tar.gz", "demo-1.2-cp313-cp313-manylinux2014_aarch64.whl",
        "demo-1.3-cp313-cp313-manylinux2014_x86_64.whl", "demo-1.10-cp313-cp313-manylinux2014_x86_64.whl",
    )  # fmt: skip
    assert found.upgrade == "1.3"
    assert found.advice == f"1.3 is the nearest newer release with a wheel for {TARGET}; the wheels of this one end at CPython 3.8"


@pytest.mark.parametrize("filename", ["demo-2.0-py3-none-any.whl", "demo-2.0-cp38-abi3-manylinux_2_28_x86_64.whl"])
def test_a_wheel_for_many_pythons_counts(filename: str) -> None:
    assert told("demo-1.0.tar.gz", filename).upgrade == "2.0"


def test_what_pip_would_not_choose_is_no_way_out() -> None:
    wheel = "cp313-cp313-manylinux2014_x86_64.whl"
    yanked = nouns.index_file(f"demo-1.1-{wheel}", yanked=True)
    narrow = nouns.index_file(f"demo-1.2-{wheel}", requires_python="<3.13")
    page = nouns.project("demo", "demo-1.0.tar.gz", f"demo-1.3b1-{wheel}", "demo-0.9-py3-none-any.whl")
    index = FakeIndex(replace(page, files=(*page.files, yanked, narrow)))
    found = advised((row(),), {TARGET.name: TARGET}, index)[0]
    assert (found.upgrade, found.advice) == (
        "", f"no newer release has a wheel for {TARGET} either; the newest is 1.2 of 2026-01-02, which may build"
    )  # fmt: skip


def test_nothing_newer_is_said_too() -> None:
    found = told("demo-1.0.tar.gz", "demo-0.9-py3-none-any.whl")
    assert (found.upgrade, found.advice) == (
        "", f"1.0 of 2026-01-02 is the newest release, so that no other is known to support {TARGET}"
    )  # fmt: skip


def test_who_has_a_wheel_needs_no_advice_and_a_silent_index_gives_none() -> None:
    built = row(state="built")
    elsewhere = row(url="git+https://example.org/demo")
    rows = (built, elsewhere, row())
    assert advised(rows, {TARGET.name: TARGET}, FakeIndex(down=frozenset({"demo"}))) == rows
