"""The matrix over a real catalogue: filters, the order of what tells of a cell, totals, gaps."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete

from farm.adapters import tables
from farm.model.overview import MatrixQuery
from tests.fakes.overview_rows import NOW, RUN, T1, T2, Rows, made

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Rows]:
    with made(tmp_path) as found:
        yield found


@pytest.fixture
def farm(rows: Rows) -> Rows:
    for name, version, target, state in (
        ("alpha", "1.0", T1, "upstream-wheel"), ("alpha", "1.0", T2, "build"), ("alpha", "2.0", T1, "failed"),
        ("alpha", "10.0", T1, "upstream-wheel"), ("beta-kit", "1.0", T2, "blocked"), ("gamma", "1.0", T1, "upstream-wheel"),
    ):  # fmt: skip
        rows.cell(name, version, target, state)
    rows.want("web", "alpha", "2.0", T1)
    rows.want("web", "beta-kit", "1.0", T2)
    return rows


def shown(rows: Rows, **query: object) -> list[str]:
    matrix = rows.overview.matrix(MatrixQuery(**query))  # type: ignore[arg-type]
    return [f"{row.name} {row.version}" for row in matrix.rows]


ALL = ["alpha 10.0", "alpha 2.0", "alpha 1.0", "beta-kit 1.0", "gamma 1.0"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ALL),
        ({"search": "Beta_Kit"}, ["beta-kit 1.0"]),
        ({"search": "%"}, []),
        ({"states": ("failed",)}, ["alpha 2.0"]),
        ({"states": ("build", "blocked")}, ["alpha 1.0", "beta-kit 1.0"]),
        ({"states": ("build",), "targets": (T1,)}, []),
        ({"states": ("build", "failed"), "targets": (T1, T2)}, ["alpha 2.0", "alpha 1.0"]),
        ({"states": ("blocked",), "search": "alpha"}, []),
        ({"targets": (T2,)}, ["alpha 1.0", "beta-kit 1.0"]),
        ({"targets": ("cp39-nowhere",)}, []),
        ({"watch": "web"}, ["alpha 2.0", "beta-kit 1.0"]),
        ({"watch": "web", "search": "alp"}, ["alpha 2.0"]),
        ({"watch": "none"}, []),
        ({"after": "nonsense"}, []),
        ({"after": "alpha==2.0"}, ["alpha 1.0", "beta-kit 1.0", "gamma 1.0"]),
    ],
)
def test_each_filter_leaves_what_it_says(farm: Rows, query: dict[str, object], expected: list[str]) -> None:
    assert shown(farm, **query) == expected


def test_what_came_after_the_survey_shows(farm: Rows) -> None:
    farm.attempt("alpha", "1.0", T2, "failed", summary="ffi.h is missing")
    farm.attempt("beta-kit", "1.0", T2, "published")
    farm.wheel("beta-kit", "1.0", T2)
    farm.attempt("gamma", "2.0", T1, "building", ended=None)
    assert shown(farm, states=("failed",)) == ["alpha 2.0", "alpha 1.0"]
    assert shown(farm, states=("farm-wheel",), targets=(T2,)) == ["beta-kit 1.0"]
    assert shown(farm, states=("cancelled",)) == ["gamma 2.0"]
    with farm.store.locks.run(RUN):
        assert shown(farm, states=("building",)) == ["gamma 2.0"]


def test_totals_count_what_the_rows_show(farm: Rows) -> None:
    farm.attempt("alpha", "1.0", T2, "failed")
    farm.attempt("beta-kit", "1.0", T2, "published")
    farm.wheel("beta-kit", "1.0", T2)
    farm.attempt("gamma", "2.0", T1, "timed-out")
    farm.wheel("delta", "1.0", T1)
    matrix = farm.overview.matrix(MatrixQuery())
    counted = Counter((cell.target, cell.state) for row in matrix.rows for cell in row.cells if cell)
    assert {(total.target, state): count for total in matrix.totals for state, count in total.states.items()} == counted
    assert counted[T2, "farm-wheel"] == 1
    summary = farm.overview.summary(30)
    assert (summary.projects, summary.failed) == (4, 3)


def test_gaps_are_each_pin_and_target_without_a_wheel_and_who_wants_it(farm: Rows) -> None:
    found = farm.overview.gaps(MatrixQuery()).gaps
    assert [(gap.name, gap.version, gap.cell.target, gap.cell.state, gap.wanted_by) for gap in found] == [
        ("alpha", "2.0", T1, "failed", ("web",)), ("alpha", "1.0", T2, "build", ()), ("beta-kit", "1.0", T2, "blocked", ("web",)),
    ]  # fmt: skip
    assert farm.overview.gaps(MatrixQuery(states=("upstream-wheel",))).gaps == ()


def test_a_search_in_a_state_that_few_of_many_have_finds_them(rows: Rows) -> None:
    """More names fit than a page reads: they are passed over a thousand at a time, and none is lost on the way."""
    with rows.store.catalogue.database.write() as connection:
        connection.execute(
            tables.cells.insert(),
            [
                {
                    "name": f"pkg-{number:05}", "version": "1.0", "target": T1, "state": "failed" if number % 1_300 == 7 else "blocked",
                    "reason": "", "file": "", "since": NOW, "seen": NOW,
                }
                for number in range(4_000)
            ],
        )  # fmt: skip
    assert shown(rows, search="pkg", states=("failed",)) == ["pkg-00007 1.0", "pkg-01307 1.0", "pkg-02607 1.0", "pkg-03907 1.0"]
    found, after = list[str](), ""
    while True:
        page = rows.overview.matrix(MatrixQuery(search="7", states=("failed", "blocked"), limit=200, after=after))
        found += [row.name for row in page.rows]
        after = page.next
        if not after:
            break
    assert found == [name for name in (f"pkg-{number:05}" for number in range(4_000)) if "7" in name]


def test_a_store_where_nothing_was_ever_done_shows_nothing(rows: Rows) -> None:
    overview = rows.overview
    matrix = overview.matrix(MatrixQuery())
    assert (matrix.rows, matrix.next, matrix.projects, matrix.targets) == ((), "", 0, (T1, T2))
    assert overview.gaps(MatrixQuery()).gaps == ()
    assert overview.package("demo") is None
    summary = overview.summary(30)
    assert (summary.projects, summary.wheels, summary.missing, summary.seconds_saved, summary.last_night) == (0, 0, 0, 0.0, None)
    assert [(target.name, target.libc) for target in overview.targets()] == [(T1, "glibc 2.28"), (T2, "musl 1.2")]


def test_a_catalogue_that_was_never_surveyed_shows_wheels_and_attempts(rows: Rows) -> None:
    rows.wheel("demo", "1.0", T1, rows.attempt("demo", "1.0", T1, "published"))
    rows.attempt("demo", "2.0", T2, "failed", summary="no rustc")
    package = rows.overview.package("Demo")
    assert package is not None
    states = [(version.version, [cell.state if cell else "" for cell in version.cells]) for version in package.versions]
    assert (package.targets, states) == ((T1, T2), [("2.0", ["", "failed"]), ("1.0", ["farm-wheel", ""])])
    with rows.store.catalogue.database.write() as connection:
        connection.execute(delete(tables.attempts))
    assert shown(rows) == ["demo 1.0"]
