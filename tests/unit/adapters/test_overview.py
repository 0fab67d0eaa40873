"""Builds, the queue, nights, misses, sets and the summary over a real catalogue."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from farm.adapters import tables
from farm.model.overview_runs import BuildQuery, MissQuery
from tests.fakes.overview_rows import NOW, RUN, T1, T2, Rows, made

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OTHER = "20260310-090000-bbbbbb"


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Rows]:
    with made(tmp_path, {"shop": (("https://joe:secret@git.example/r.txt",), (T1,))}) as found:
        yield found


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "fedcba"),
        ({"name": "Two.Words"}, "fb"),
        ({"name": "two-words", "states": ("failed",)}, "b"),
        ({"name": "two-words", "target": T2, "run": RUN}, "f"),
        ({"states": ("published", "failed")}, "edcba"),
        ({"target": T2}, "fec"),
        ({"target": T2, "states": ("published",)}, "e"),
        ({"run": OTHER}, "dc"),
        ({"run": OTHER, "target": T2, "states": ("failed",)}, "c"),
        ({"run": "none"}, ""),
    ],
)
def test_attempts_are_listed_by_each_filter_newest_first(rows: Rows, query: dict[str, object], expected: str) -> None:
    for identity, name, target, state, run in (
        ("a", "one", T1, "published", RUN), ("b", "two-words", T1, "failed", RUN), ("c", "one", T2, "failed", OTHER),
        ("d", "one", T1, "published", OTHER), ("e", "one", T2, "published", RUN), ("f", "two-words", T2, "building", RUN),
    ):  # fmt: skip
        rows.attempt(name, "1.0", target, state, id=identity, run=run)
    whole = rows.overview.builds(BuildQuery(**query))  # type: ignore[arg-type]
    assert ("".join(build.id for build in whole.builds), whole.next) == (expected, "")
    found, after = "", ""
    while True:
        page = rows.overview.builds(BuildQuery(**query, limit=1, after=after))  # type: ignore[arg-type]
        found += "".join(build.id for build in page.builds)
        after = page.next
        if not after:
            break
    assert found == expected


def test_a_build_tells_of_what_went_before_it_and_how_large_its_log_is(rows: Rows) -> None:
    first = rows.attempt("demo", "1.0", T1, "failed", cause="missing-header", summary="ffi.h is missing")
    second = rows.attempt("demo", "1.0", T1, "failed", log="logs/x.log")
    (rows.root / "logs").mkdir(exist_ok=True)
    (rows.root / "logs" / "x.log").write_bytes(b"12345")
    rows.put(tables.usages, attempt=second, memory=1 << 30, cpu_seconds=2.5, seconds=3.0)
    view = rows.overview.build(second)
    assert view is not None
    assert ([row.id for row in view.earlier], view.log_size, view.memory, view.cpu_seconds) == ([first], 5, 1 << 30, 2.5)
    before = rows.overview.build(first)
    assert before is not None
    assert before.diagnosis is not None
    assert (before.diagnosis.summary, before.log_size, before.repro) == ("ffi.h is missing", None, "")
    assert rows.overview.build("none") is None
    assert rows.overview.log("none") is None


def test_a_build_whose_run_died_is_not_under_way(rows: Rows) -> None:
    identity = rows.attempt("demo", "1.0", T1, "building", ended=None)
    rows.put(tables.runs, id=RUN, started=NOW, ended=None, state="running", folder="", config="", options="{}")
    for job, state in (("one", "waiting"), ("two", "waiting"), ("three", "done")):
        rows.put(tables.run_jobs, run=RUN, job=job, state=state)
    overview = rows.overview
    assert not overview.running(identity)
    queue = overview.queue()
    assert (queue.runs, queue.workers, queue.waiting) == ((), (), 0)
    with rows.store.locks.run(RUN):
        assert overview.running(identity)
        queue = overview.queue()
        assert [(run.id, dict(run.jobs), run.waiting) for run in queue.runs] == [(RUN, {"waiting": 2, "done": 1}, ("one", "two"))]
        assert ([worker.build.id for worker in queue.workers], queue.waiting) == ([identity], 2)
        (build,) = overview.builds(BuildQuery()).builds
        assert build.seconds == 300


def test_a_night_has_its_builds_on_as_many_lanes_as_ran_at_once(rows: Rows) -> None:
    start = NOW - timedelta(hours=2)
    report = json.dumps({"run": RUN, "built": 2})
    rows.put(tables.nights, id="n1", started=start, ended=NOW, state="ended", report=report)
    rows.put(tables.nights, id="n2", started=NOW - timedelta(minutes=10), ended=None, state="running", report="")
    for begins, ends, state in ((0, 60, "published"), (10, 20, "failed"), (20, 90, "published")):
        rows.attempt("demo", "1.0", T1, state, started=start + timedelta(seconds=begins), ended=start + timedelta(seconds=ends))
    rows.attempt("other", "1.0", T1, "failed", run=OTHER)
    view = rows.overview.night("n1")
    assert view is not None
    assert [(span.begins, span.ends, span.lane) for span in view.spans] == [(0, 60, 0), (10, 20, 1), (20, 90, 1)]
    assert (view.lanes, view.complete, view.report["built"], dict(view.night.builds)) == (2, True, 2, {"published": 2, "failed": 1})
    assert [(night.id, night.seconds) for night in rows.overview.nights(5)] == [("n2", 600), ("n1", 7200)]
    assert [night.id for night in rows.overview.nights(1)] == ["n2"]
    assert rows.overview.night("none") is None


def test_a_report_that_cannot_be_read_loses_no_night(rows: Rows) -> None:
    rows.put(tables.nights, id="n1", started=NOW, ended=NOW, state="ended", report="[1, {")
    view = rows.overview.night("n1")
    assert view is not None
    assert (dict(view.report), view.spans) == ({}, ())


def test_misses_are_ranked_and_tell_who_compiles(rows: Rows) -> None:
    rows.miss("rare", 1)
    rows.miss("often", 3)
    rows.miss("often", 4, client="uv 0.9", day="2026-03-09")
    rows.miss("often", 100, day="2026-02-01")
    rows.cell("often", "1.0", T1, "failed")
    page = rows.overview.misses(MissQuery(days=7))
    told = [(row.name, row.count, row.clients, row.state) for row in page.misses]
    assert told == [("often", 7, ("pip 25", "uv 0.9"), "failed"), ("rare", 1, ("pip 25",), "")]
    assert (page.total, page.more) == (8, False)
    first = rows.overview.misses(MissQuery(days=7, limit=1))
    assert ([row.name for row in first.misses], first.more, first.total) == (["often"], True, 8)
    second = rows.overview.misses(MissQuery(days=7, limit=1, offset=1))
    assert ([row.name for row in second.misses], second.more) == (["rare"], False)
    assert [row.count for row in rows.overview.misses(MissQuery(days=60, name="Often")).misses] == [107]
    assert rows.overview.misses(MissQuery(name="nothing")).misses == ()


def test_the_summary_counts_what_downloads_saved(rows: Rows) -> None:
    attempt = rows.attempt("demo", "1.0", T1, "published")
    filename = rows.wheel("demo", "1.0", T1, attempt)
    rows.put(tables.downloads, day=f"{NOW:%Y-%m-%d}", filename=filename, count=3)
    rows.put(tables.downloads, day="2026-01-01", filename=filename, count=50)
    rows.put(tables.downloads, day=f"{NOW:%Y-%m-%d}", filename="gone-1.0.whl", count=1)
    rows.miss("other", 2)
    overview = rows.overview
    summary = overview.summary(7)
    assert (summary.wheels, summary.wheel_bytes, summary.downloads, summary.misses, summary.seconds_saved) == (1, 1000, 4, 2, 900.0)
    assert overview.summary(366).downloads == 54
    assert summary.sets == 1


def test_sets_show_no_password_and_count_what_they_miss(rows: Rows) -> None:
    rows.want("shop", "demo", "1.0", T1)
    rows.cell("demo", "1.0", T1, "failed")
    error = "https://joe:secret@git.example/r.txt: 404"
    rows.put(tables.watch_states, name="shop", looked=NOW, digest="", error=error, pins=1, seconds=1.0)
    (found,) = rows.overview.sets("", 10).sets
    assert (found.sources, found.error) == (("https://***@git.example/r.txt",), "https://***@git.example/r.txt: 404")
    assert (found.missing, found.pins, found.origin) == (1, 1, "config")
    view = rows.overview.set("shop")
    assert view is not None
    assert [(total.target, dict(total.states)) for total in view.totals] == [(T1, {"failed": 1})]
    assert rows.overview.set("none") is None
    assert rows.overview.sets("shop", 10).sets == ()


def test_files_follow_each_other_over_pages(rows: Rows) -> None:
    names = sorted(rows.wheel(name, "1.0", target) for name in ("a", "b", "c") for target in (T1, T2))
    found, after = list[str](), ""
    while True:
        page = rows.overview.wheels("", after, 2)
        found += [wheel.filename for wheel in page.wheels]
        after = page.next
        if not after:
            break
    assert found == names
    assert [wheel.filename for wheel in rows.overview.wheels("B", "", 5).wheels] == [name for name in names if name[0] == "b"]
