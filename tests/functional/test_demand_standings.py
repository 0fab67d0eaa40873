"""How what clients compiled stands now, what a night is to build of it, and who builds at once: over a real store."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name
from sqlalchemy import insert

from farm.adapters import tables
from farm.adapters.clock import SystemClock
from farm.adapters.misses import MissBook
from farm.engine.waiting import Pace, Wish
from farm.errors import EngineError
from farm.model.attempt import Attempt
from farm.model.campaign import Campaign
from farm.model.demand_seen import MissKey, Seen
from farm.model.package import Version
from farm.model.settings import Settings
from farm.model.target import parse_target
from farm.serve.tally import Asked, Tally, answered
from farm.wire import Farm
from farm.wire.counting import Counting
from farm.wire.demand import client_sets, missed, wants
from farm.wire.following import DemandBuilder, Following
from farm.wire.keep import read_roots
from tests.fakes.store import Wheelmaker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TARGET = "cp312-manylinux_2_28_x86_64"
CLIENT = "cp312-manylinux_2_36_x86_64"
WEEK = timedelta(days=7)


def key(name: str, target: str = CLIENT, version: str = "1.0") -> MissKey:
    return MissKey(name=canonicalize_name(name), version=version, target=target, client="pip 25.3")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(store=tmp_path / "store", targets=(parse_target(TARGET), parse_target("cp314t-musllinux_1_2_x86_64")))


@pytest.fixture
def farm(settings: Settings, tmp_path: Path) -> Iterator[Farm]:
    with Farm(settings, {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}) as opened:
        yield opened


def test_each_miss_is_told_with_how_it_stands_and_what_to_type(farm: Farm, tmp_path: Path) -> None:
    farm.store.publish(*Wheelmaker(folder=tmp_path / "made").make("there", "1.0"))
    table = tables.attempts
    now = farm.clock.now()
    rows = [
        {"id": f"A{number}", "run": "R", "name": name, "version": "1.0", "target": TARGET, "state": state, "started": now, "ended": None,
         "log": "", "image": "", "key": None, "wheel": "", "digest": None, "cause": "", "summary": "foo.h is missing", "remedy": ""}
        for number, (name, state) in enumerate((("broken", "published"), ("broken", "failed"), ("busy", "failed"), ("busy", "building")))
    ]  # fmt: skip
    cell = {"name": "bought", "version": "1.0", "target": TARGET, "state": "upstream-wheel", "reason": "", "file": "bought.whl"}
    with farm.store.catalogue.database.write() as connection:
        connection.execute(insert(table), rows)
        connection.execute(insert(tables.cells), [cell | {"since": now, "seen": now}])
    names = ("there", "broken", "busy", "bought", "new")
    misses = {key(name): 10 - number for number, name in enumerate(names)} | {key("new", "cp310-win32"): 2, key("new", ""): 1}
    MissBook(farm.store.catalogue.database).record(Seen(misses=misses), now)
    with farm.store.locks.run("R"):
        found = missed(farm, WEEK, 100)
    assert [(state.miss.name, state.standing, state.target) for state in found] == [
        ("there", "wheel", TARGET), ("broken", "failed", TARGET), ("busy", "building", TARGET), ("bought", "upstream", TARGET),
        ("new", "unbuilt", TARGET), ("new", "not-configured", ""), ("new", "untold", ""),
    ]  # fmt: skip
    assert [state.detail for state in found[:2]] == ["there-1.0-py3-none-any.whl", "foo.h is missing"]
    assert found[1].remedy == "farm explain A1"
    assert found[4].remedy == f"echo 'new==1.0' | farm build -r - --target {TARGET}"
    assert found[5].remedy == "farm targets census"
    # Its process was killed, whatever the catalogue says.
    busy = missed(farm, WEEK, 100)[2]
    assert (busy.standing, busy.detail) == ("failed", "the farm was stopped while it built this")
    assert busy.remedy == f"echo 'busy==1.0' | farm build -r - --target {TARGET}"


def test_what_clients_compiled_that_no_target_serves_crowds_out_nothing(farm: Farm) -> None:
    misses = {key(f"mac{number}", "cp312-macosx_14_0_arm64"): 50 for number in range(250)} | {key(f"old{n}", ""): 60 for n in range(250)}
    MissBook(farm.store.catalogue.database).record(Seen(misses=misses | {key("demo"): 2}), farm.clock.now())
    assert [want.name for want in wants(farm)] == ["demo"]


def test_a_night_gets_a_set_for_each_version_that_clients_of_configured_targets_compiled(farm: Farm) -> None:
    book = MissBook(farm.store.catalogue.database)
    now = farm.clock.now()
    book.record(Seen(misses={key("demo"): 2, key("demo", version="2.0"): 9, key("demo", "cp39-win32"): 7, key("other", ""): 8}), now)
    book.record(Seen(misses={key("old"): 99}), now - timedelta(days=30))
    book.record(Seen(misses={key("demo", "cp314-musllinux_1_2_x86_64"): 1}), now)
    assert [(want.requirement, want.targets, want.count) for want in wants(farm)] == [
        ("demo==2.0", (TARGET,), 9), ("demo==1.0", (TARGET, "cp314t-musllinux_1_2_x86_64"), 2),
    ]  # fmt: skip
    sets = client_sets(farm)
    assert [(one.name, one.targets) for one in sets] == [
        ("clients:demo-2.0", (TARGET,)), ("clients:demo-1.0", (TARGET, "cp314t-musllinux_1_2_x86_64")),
    ]  # fmt: skip
    assert [(farm.root / "demand" / f"demo-{version}.txt").read_text() for version in ("2.0", "1.0")] == ["demo==2.0\n", "demo==1.0\n"]
    farm.settings = replace(farm.settings, build_demand="off")
    assert client_sets(farm) == ()


def test_builds_at_once_go_on_after_one_failed_and_are_only_for_configured_targets(settings: Settings) -> None:
    built: list[Wish] = []
    done = threading.Event()

    def build(wish: Wish, stop: threading.Event) -> bool:
        built.append(wish)
        if len(built) == 1:
            raise EngineError("no engine", solution="start one")
        done.set()
        return True

    builder = DemandBuilder(settings, build, SystemClock(), Pace(settle=0.0))
    builder.start()
    builder.told(Seen(misses={key("first"): 5, key("second"): 1, key("third", "cp39-win32"): 9, key("fourth", ""): 9}))
    assert done.wait(20)
    builder.told(Seen(misses={key("first"): 5, key("second"): 1}))
    time.sleep(1.2)
    builder.close()
    assert [(wish.name, wish.target) for wish in built] == [("first", TARGET), ("second", TARGET)]


def test_a_build_that_runs_is_told_to_stop_when_the_server_ends(settings: Settings) -> None:
    begun, stopped = threading.Event(), threading.Event()

    def build(wish: Wish, stop: threading.Event) -> bool:
        begun.set()
        assert stop.wait(20)
        stopped.set()
        return False

    builder = DemandBuilder(settings, build, SystemClock(), Pace(settle=0.0))
    builder.start()
    builder.told(Seen(misses={key("demo"): 1}))
    assert begun.wait(20)
    builder.close()
    assert stopped.is_set()


def test_what_was_built_for_an_open_campaign_is_no_garbage(farm: Farm, tmp_path: Path) -> None:
    now = farm.clock.now()
    every = (("new", "published", TARGET), ("bad", "failed", TARGET), ("other", "published", CLIENT))
    for number, (name, state, target) in enumerate(every):
        pin = canonicalize_name(name)
        farm.store.catalogue.begin(
            Attempt(id=f"A{number}", run="R", name=pin, version=Version("2.0"), target=target, state=state, started=now, ended=now, log="")  # type: ignore[arg-type]
        )
    farm.records.campaigns.add(Campaign(name="next", target=TARGET, versions="both", created=now))
    assert {(str(name), str(version)) for name, version in read_roots(farm, ()).pins} == {("new", "2.0")}
    farm.records.campaigns.close("next", now)
    assert read_roots(farm, ()).pins == frozenset()


def test_counts_that_cannot_be_kept_leave_no_build_behind(farm: Farm, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    begun, stopped, tally = threading.Event(), threading.Event(), Tally()

    def build(wish: Wish, stop: threading.Event) -> bool:
        begun.set()
        assert stop.wait(20)
        stopped.set()
        return False

    def told(seen: Seen) -> None:
        # The build is told to end first: a catalogue that hangs must not use up the time that a service manager gives.
        assert stopped.wait(20)
        raise ValueError(seen)

    builder = DemandBuilder(settings, build, SystemClock(), Pace(settle=0.0))
    builder.start()
    builder.told(Seen(misses={key("demo"): 1}))
    assert begun.wait(20)
    tally.note(answered(Asked(method="GET", path="/packages/aa/bb/demo-1.0.tar.gz", agent=b"pip/25.3", start=True), 307))
    Following(Counting(tally, farm.store, SystemClock(), told), builder).close()
    assert stopped.is_set()
    assert "could not be counted" in caplog.text
