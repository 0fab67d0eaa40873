"""What goes wrong after builds have ended: the report tells of them all the same."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, insert, text

from farm.adapters import tables
from farm.config import load
from farm.engine.local import Finished, LocalEngine
from farm.errors import UpstreamError
from farm.model.campaign import Campaign
from farm.model.messages import Build, BuildDone
from farm.model.watch import WatchSet
from farm.wire import Farm
from farm.wire.assembly import Silent
from farm.wire.extra import carry_out
from farm.wire.night import Asked, Busy, Stage, run_night
from farm.wire.records import write_down
from farm.wire.watch import look, sets
from farm.work.build import build
from tests.fakes import nouns
from tests.fakes.work import make_bench
from tests.functional.conftest import TARGET, add_sdist, add_wheel
from tests.functional.test_nightly import watch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from farm.model.job import Plan
    from farm.model.messages import Command, Event
    from farm.model.night import Night
    from farm.ports import Progress
    from tests.fakes.index_server import IndexServer
    from tests.functional.conftest import Shell


class Unlucky(Farm):
    """Each build fails at once, and turns out to have other dependencies than was thought; then something happens."""

    event = ""
    bench_folder: Path
    early = False

    def stop(self) -> None:
        self.early = True
        super().stop()

    def execute(self, plan: Plan, progress: Progress) -> Finished:
        if self.event == "disk":
            raise OSError(28, "No space left on device", "somewhere")
        bench = make_bench(self.bench_folder)
        bench.builder.result = lambda request: nouns.failed(request.job.id)
        ports = replace(bench.build_ports(), run=self.run, catalogue=self.catalogue, progress=progress)

        def carry(command: Command) -> Event:
            assert isinstance(command, Build)
            return BuildDone(job=command.job.id, outcome=build(command, self.new_id(), ports))

        finished = LocalEngine(carry, limit=1).run(plan, lambda changed: write_down(self, changed))
        self.surprising.update(job.pin for job in plan.jobs)
        if self.event == "set":
            self.records.watches.add(WatchSet(name="app", sources=("elsewhere.txt",)), self.clock.now())
        if self.event == "report":
            with self.store.catalogue.database.write() as connection:
                connection.execute(text("DROP TABLE nights"))
        if self.event == "journal":
            with self.store.catalogue.database.write() as connection:
                connection.execute(text("DROP TABLE cells"))
                connection.execute(text("DROP TABLE IF EXISTS runs"))
        return finished


@dataclass
class Watcher:
    """Somebody who presses Ctrl-C when the farm looks for the second time."""

    impatient: bool = False
    pause: float = 0.0
    looks: int = 0

    @contextmanager
    def looking(self) -> Iterator[Progress]:
        self.looks += 1
        if self.impatient and self.looks == 2:
            raise KeyboardInterrupt
        time.sleep(self.pause)
        yield Silent()

    @contextmanager
    def building(self) -> Iterator[Progress]:
        yield Silent()


def night(shell: Shell, index: IndexServer, tmp_path: Path, event: str) -> Night:
    add_wheel(index, "setuptools", "80.0")
    add_sdist(index, "first", "1.0", tmp_path)
    watch(shell, app="first\n")
    bench = tmp_path / "bench"
    bench.mkdir()
    watcher = Watcher(impatient=event == "key")
    with Unlucky(load(shell.folder / "config.toml", home=shell.folder), shell.env) as farm:
        farm.event, farm.bench_folder = event, bench
        found = run_night(farm, Asked(), Stage(looking=watcher.looking, building=watcher.building))
    assert not isinstance(found, Busy)
    return found


@pytest.mark.parametrize(
    "ends", [("set", "broken", 2), ("key", "stopped", 130), ("report", "broken", 6), ("journal", "broken", 6)]
)
def test_what_was_done_is_told_whatever_happens_then(
    shell: Shell, index: IndexServer, tmp_path: Path, ends: tuple[str, str, int]
) -> None:
    event, state, code = ends
    found = night(shell, index, tmp_path, event)
    assert [item.name for item in found.failing] == ["first"]
    assert (found.state, found.code, found.adds_up) == (state, code, True)
    assert bool(found.broken) == (state == "broken")


def test_a_budget_is_for_building_however_long_the_look_takes(shell: Shell, index: IndexServer, tmp_path: Path) -> None:
    add_wheel(index, "setuptools", "80.0")
    add_sdist(index, "first", "1.0", tmp_path)
    watch(shell, app="first\n")
    (tmp_path / "bench").mkdir()
    watcher = Watcher(pause=3.0)
    with Unlucky(load(shell.folder / "config.toml", home=shell.folder), shell.env) as farm:
        farm.bench_folder = tmp_path / "bench"
        found = run_night(farm, Asked(budget=2.5), Stage(looking=watcher.looking, building=watcher.building))
        assert not isinstance(found, Busy)
        assert ([item.name for item in found.failing], farm.early) == (["first"], False)


def test_without_any_set_a_night_still_knows_what_the_last_one_told(shell: Shell, index: IndexServer, tmp_path: Path) -> None:
    add_wheel(index, "setuptools", "80.0")
    add_sdist(index, "first", "1.0", tmp_path)
    told = []
    for number in range(2):
        bench = tmp_path / f"bench{number}"
        bench.mkdir()
        with Unlucky(load(shell.folder / "config.toml", home=shell.folder), shell.env) as farm:
            farm.bench_folder = bench
            now = farm.clock.now()
            missed = {"day": f"{now:%Y-%m-%d}", "name": "first", "version": "1.0", "target": TARGET, "client": "pip 25.1", "count": 5}
            with farm.store.catalogue.database.write() as connection:
                connection.execute(delete(tables.misses))
                connection.execute(insert(tables.misses), [missed | {"last": now}])
            watcher = Watcher()
            found = run_night(farm, Asked(), Stage(looking=watcher.looking, building=watcher.building))
            assert not isinstance(found, Busy)
            told.append((found.sets, [item.name for item in found.failing], found.changed))
    assert told == [(0, ["first"], True), (0, ["first"], False)]


def test_a_campaign_that_cannot_be_read_stops_no_night(shell: Shell, index: IndexServer, tmp_path: Path) -> None:
    add_wheel(index, "setuptools", "80.0")
    add_sdist(index, "first", "1.0", tmp_path)
    watch(shell, app="first\n")
    (tmp_path / "bench").mkdir()
    watcher = Watcher()
    with Unlucky(load(shell.folder / "config.toml", home=shell.folder), shell.env) as farm:
        farm.bench_folder = tmp_path / "bench"
        made = Campaign(name="odd", target="of-another-farm", versions="both", created=farm.clock.now(), closed=None)
        farm.records.campaigns.add(made)
        found = run_night(farm, Asked(), Stage(looking=watcher.looking, building=watcher.building))
        assert not isinstance(found, Busy)
    assert ([item.name for item in found.failing], found.state) == (["first"], "ended")
    assert any("campaign odd: nothing is done for it" in note for note in found.notes)


def test_a_full_disk_is_told_in_the_report(shell: Shell, index: IndexServer, tmp_path: Path) -> None:
    found = night(shell, index, tmp_path, "disk")
    assert (found.state, found.code, [item.name for item in found.deferred]) == ("broken", 6, ["first"])
    assert "No space left on device: somewhere" in found.broken


def test_what_a_night_would_build_for_a_campaign_says_so(shell: Shell, index: IndexServer, tmp_path: Path) -> None:
    add_wheel(index, "setuptools", "80.0")
    add_sdist(index, "first", "1.0", tmp_path)
    watch(shell, app="first\n")
    watcher = Watcher()
    other = TARGET.replace("manylinux_2_36", "manylinux_2_39")
    assert other != TARGET
    with Unlucky(load(shell.folder / "config.toml", home=shell.folder), shell.env) as farm:
        farm.records.campaigns.add(Campaign(name="next", target=other, versions="both", created=farm.clock.now(), closed=None))
        found = run_night(farm, Asked(dry_run=True), Stage(looking=watcher.looking, building=watcher.building))
        assert not isinstance(found, Busy)
    assert {(item.name, item.target, item.sets) for item in found.planned} == {
        ("first", TARGET, ("app",)), ("first", other, ("campaign next",)),
    }  # fmt: skip


@pytest.mark.parametrize(("event", "stopped"), [("set", False), ("key", True)])
def test_what_a_campaign_built_is_told_whatever_happens_then(
    shell: Shell, index: IndexServer, tmp_path: Path, event: str, *, stopped: bool
) -> None:
    add_wheel(index, "setuptools", "80.0")
    add_sdist(index, "first", "1.0", tmp_path)
    watch(shell, app="first\n")
    (tmp_path / "bench").mkdir()
    watcher = Watcher(impatient=event == "key")
    plans = []
    with Unlucky(load(shell.folder / "config.toml", home=shell.folder), shell.env) as farm:
        farm.bench_folder = tmp_path / "bench"
        plans.append(look(farm, sets(farm)).plan)

        def wanted() -> Plan:
            if not plans:
                raise UpstreamError("the index is gone", solution="wait")
            return plans.pop()

        done = carry_out(farm, wanted, Asked(), Stage(looking=watcher.looking, building=watcher.building))
    assert [(row.name, row.state) for row in done.rows] == [("first", "failed")]
    assert (done.stopped, done.broken is not None) == (stopped, not stopped)
