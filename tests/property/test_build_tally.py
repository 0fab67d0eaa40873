"""Builds are counted once each, however often and whenever somebody looks, whatever order they are written down in."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from farm.adapters.build_tally import BuildTally
from farm.adapters.store import Store
from farm.model.attempt import Attempt
from farm.model.job import JobKey
from farm.model.package import Version, make_pin
from farm.serve.simple import render_project
from tests.fakes.store import FakeClock

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
FINAL = ("published", "failed", "timed-out", "rejected", "interrupted", "skipped")
# (start in seconds, written down so much later, ends so much later, state at the end, key)
BUILDS = st.lists(
    st.tuples(st.integers(0, 2000), st.integers(0, 60), st.integers(1, 4000), st.sampled_from(FINAL), st.integers(0, 3)), max_size=25
)


def attempt(number: int, started: datetime, key: int) -> Attempt:
    return Attempt(
        id=f"{started:%Y%m%d-%H%M%S}-{number:06x}", run="r", name=make_pin("demo", "1.0").name, version=Version("1.0"), target="t",
        state="building", started=started, ended=None, log="", key=JobKey(str(key)),
    )  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(builds=BUILDS, looks=st.lists(st.integers(0, 7000), max_size=8))
def test_looking_often_counts_what_looking_once_does(builds: list[tuple[int, int, int, str, int]], looks: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock = FakeClock()
        store = Store(Path(folder), render_project, clock)
        events: list[tuple[int, int, Attempt | None]] = [(second, 2, None) for second in looks]
        for number, (start, late, length, state, key) in enumerate(builds):
            begun = attempt(number, BEGIN + timedelta(seconds=start), key)
            cause = "" if state == "published" else "network"
            ended = replace(begun, state=state, ended=begun.started + timedelta(seconds=length), cause=cause)  # type: ignore[arg-type]
            events += [(start + late, 0, begun), (start + late + length, 1, ended)]
        often = BuildTally(Path(folder), store.catalogue.database, clock.now)
        for number, (second, kind, found) in enumerate(sorted(events, key=lambda event: event[:2])):
            clock.time = BEGIN + timedelta(seconds=second)
            if kind == 0 and found is not None:
                store.catalogue.begin(found)
            elif found is not None:
                store.catalogue.finish(found)
            else:
                often.read()
                # As after a restart: from what was kept.
                often = BuildTally(Path(folder), store.catalogue.database, clock.now) if number % 2 else often
        clock.time = BEGIN + timedelta(days=1)
        counted = often.read()
        once = BuildTally(Path(folder) / "elsewhere", store.catalogue.database, clock.now).read()
        store.close()
    assert sum(count for *_, count in counted.ended) == len(builds)
    assert counted.running == once.running == 0
    assert {entry[:2]: entry[2] for entry in counted.ended if entry[0] not in {"published", "reused"}} == {
        entry[:2]: entry[2] for entry in once.ended if entry[0] not in {"published", "reused"}
    }
    if not looks:
        assert counted == once
