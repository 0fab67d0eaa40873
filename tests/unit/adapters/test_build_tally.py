"""What metrics say of builds, read off a real catalogue."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from farm.adapters.build_tally import BuildTally
from farm.adapters.figures import FigureReader, disk_parts
from farm.adapters.store import Store
from farm.model.attempt import Attempt
from farm.model.job import JobKey
from farm.model.package import Version, make_pin
from farm.serve.simple import render_project
from tests.fakes.store import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from farm.model.attempt import State


class Builds:
    """A store in which builds happen."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = FakeClock()
        self.store = Store(root, render_project, self.clock)
        self._number = 0

    def tally(self) -> BuildTally:
        return BuildTally(self.root, self.store.catalogue.database, self.clock.now)

    def begin(self, key: str | None = None) -> Attempt:
        self._number += 1
        now = self.clock.now()
        made = Attempt(
            id=f"{now:%Y%m%d-%H%M%S}-{self._number:06x}", run="r", name=make_pin("demo", "1.0").name, version=Version("1.0"), target="t",
            state="building", started=now, ended=None, log="", key=None if key is None else JobKey(key),
        )  # fmt: skip
        self.store.catalogue.begin(made)
        return made

    def end(self, attempt: Attempt, state: State, cause: str = "", seconds: float = 30.0) -> None:
        self.clock.advance(seconds)
        self.store.catalogue.finish(replace(attempt, state=state, ended=self.clock.now(), cause=cause))


@pytest.fixture
def builds(tmp_path: Path) -> Iterator[Builds]:
    made = Builds(tmp_path / "store")
    yield made
    made.store.close()


def ended(tally: BuildTally) -> dict[tuple[str, str], int]:
    return {(outcome, cause): count for outcome, cause, count in tally.read().ended}


def test_a_build_counts_when_it_ends_and_runs_until_then(builds: Builds) -> None:
    tally = builds.tally()
    first = builds.begin("k")
    assert tally.read().running == 1
    assert ended(tally) == {}
    builds.end(first, "failed", "missing-system-header")
    assert ended(tally) == {("failed", "missing-system-header"): 1}
    assert tally.read().running == 0


def test_a_wheel_that_was_there_already_is_reused_and_took_no_time(builds: Builds) -> None:
    tally = builds.tally()
    builds.end(builds.begin("same"), "published", seconds=100.0)
    builds.end(builds.begin("same"), "published", seconds=1.0)
    found = tally.read()
    assert found.ended == (("published", "", 1), ("reused", "", 1))
    ((outcome, durations),) = found.durations
    assert (outcome, sum(durations.counts), durations.total) == ("published", 1, 100.0)
    assert dict(durations.cumulated())["60.0"] == 0
    assert dict(durations.cumulated())["120.0"] == dict(durations.cumulated())["+Inf"] == 1


def test_a_build_that_takes_days_is_counted_when_it_ends(builds: Builds) -> None:
    tally = builds.tally()
    long = builds.begin("long")
    tally.read()
    builds.clock.advance(timedelta(days=2).total_seconds())
    builds.end(builds.begin("short"), "published")
    assert ended(tally) == {("published", ""): 1}
    builds.end(long, "timed-out", "timed-out")
    assert ended(tally) == {("published", ""): 1, ("timed_out", "timed-out"): 1}


def test_counts_go_on_after_a_restart_without_reading_everything_again(builds: Builds) -> None:
    builds.end(builds.begin(), "published")
    builds.clock.advance(600)
    builds.tally().read()
    # What was counted is not asked for again: it may be gone by now.
    with builds.store.catalogue.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM attempts")
    builds.end(builds.begin(), "published")
    assert ended(builds.tally()) == {("published", ""): 2}


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"form": 1, "buckets": []}', "\x00"])
def test_a_damaged_file_of_counts_is_made_anew(builds: Builds, content: str) -> None:
    builds.end(builds.begin(), "published")
    builds.tally().read()
    (builds.root / "metrics" / "builds.json").write_text(content)
    assert ended(builds.tally()) == {("published", ""): 1}


def test_causes_are_bounded_whatever_the_catalogue_holds(builds: Builds) -> None:
    for number in range(120):
        builds.end(builds.begin(), "failed", f"cause-{number}")
    builds.end(builds.begin(), "failed", 'a"b\n')
    found = ended(builds.tally())
    assert sum(found.values()) == 121
    assert len(found) <= 81
    assert found["failed", "other"] == 41


def test_the_disk_is_told_by_part(tmp_path: Path) -> None:
    for name, size in (("blobs/aa/bb", 5000), ("logs/1.log", 100), ("catalogue.sqlite", 9000), ("catalogue.sqlite-wal", 1), ("serial", 1)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * size)
    found = disk_parts(tmp_path)
    assert found["blobs"] >= 5000
    assert found["catalogue"] > found["logs"] > 0
    assert found["cache"] == 0


def test_what_a_killed_farm_was_at_is_no_build_under_way(builds: Builds) -> None:
    figures = FigureReader(builds.root, builds.store.catalogue.database, builds.store.locks, builds.clock.now)
    builds.begin()
    assert figures.recent().builds.running == 0
    with builds.store.locks.run("r"):
        assert figures.recent().builds.running == 1


def test_a_nights_report_gives_its_figures(builds: Builds) -> None:
    figures = FigureReader(builds.root, builds.store.catalogue.database, builds.store.locks, builds.clock.now)
    assert figures.recent().night is None
    with builds.store.catalogue.database.write() as connection:
        for identity, end, report in (
            ("20260101-000000-a", "2026-01-01T01:00:00.000000+00:00", '{"built": [1, 2], "failing": [1], "regressions": [], "code": 1}'),
            ("20260102-000000-a", None, ""),
        ):
            connection.exec_driver_sql(
                "INSERT INTO nights VALUES (?, ?, ?, ?, ?)",
                (identity, "2026-01-01T00:00:00.000000+00:00", end, "ended" if end else "running", report),
            )
    recent = figures.recent()
    assert recent.night is not None
    assert recent.night.ended is None
    assert recent.last_night is not None
    assert (recent.last_night.exit_code, recent.last_night.built, recent.last_night.failed) == (1, 2, 1)
