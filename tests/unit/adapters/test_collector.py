"""`farm gc`: what is named, new or in use stays; the rest leaves its page at once and the disk later, and can come back."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from farm.adapters.collector import Collector
from farm.adapters.store import Store
from farm.model.attempt import Attempt
from farm.model.build import NameTaken
from farm.model.direct import Direct
from farm.model.keeping import Bounds, Named
from farm.model.package import Version
from farm.serve.simple import render_project
from tests.fakes.store import EPOCH, FakeClock, Wheelmaker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from farm.model.attempt import WheelRecord
    from farm.model.keeping import Step
    from farm.model.package import Digest

DAY = 86400.0
DEMO = canonicalize_name("demo")
NOW = datetime.now(UTC) + timedelta(days=200)
NOTHING = Named(roots=("requirements.txt",))


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A store in which all is old: demo 1.0 and 2.0, other 1.0."""

    root: Path
    store: Store
    maker: Wheelmaker

    def publish(self, name: str, version: str) -> WheelRecord:
        record, verified = self.maker.make(name, version)
        self.store.publish(record, verified)
        return record

    def blob(self, digest: Digest) -> Path:
        return self.root / "blobs" / digest[:2] / digest[2:]

    def collector(self, named: Named | None = NOTHING, now: datetime = NOW, cache: int = 1 << 30) -> Collector:
        bounds = Bounds(keep=30 * DAY, grace=7 * DAY, logs=90 * DAY, cache=cache)
        return Collector(self.root, self.store, (bounds, named), now)

    def gc(self, named: Named | None = NOTHING, now: datetime = NOW) -> list[tuple[str, str]]:
        collector = self.collector(named, now)
        planned = tuple(collector.plan())
        done = list(collector.carry_out(planned))
        assert done == list(planned), "a dry run would have told something else"
        return kinds(done)


def kinds(steps: list[Step]) -> list[tuple[str, str]]:
    return sorted((step.removal, step.subject) for step in steps if step.removal != "lock")


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    store = Store(tmp_path / "store", render_project, FakeClock())
    made = Kept(root=tmp_path / "store", store=store, maker=Wheelmaker(folder=tmp_path / "built"))
    for name, version in (("demo", "1.0"), ("demo", "2.0"), ("other", "1.0")):
        made.publish(name, version)
    yield made
    store.close()


def listed(kept: Kept) -> set[str]:
    projects = [kept.store.project(name) for name in kept.store.names()]
    return {file.filename for project in projects if project for file in project.files}


def test_what_a_root_names_stays_by_version_or_by_digest(kept: Kept) -> None:
    other = kept.store.catalogue.wheels(canonicalize_name("other"))[0]
    named = Named(roots=("a.txt",), pins=frozenset({(DEMO, Version("1.0"))}), digests=frozenset({other.sha256}))
    assert kept.gc(named) == [("wheel", "demo-2.0-py3-none-any.whl")]
    assert listed(kept) == {"demo-1.0-py3-none-any.whl", "other-1.0-py3-none-any.whl"}
    assert kept.gc(named) == []


def test_without_roots_every_wheel_stays(kept: Kept) -> None:
    assert kept.gc(None) == []
    assert len(listed(kept)) == 3


def test_bytes_stay_for_the_grace_period_and_then_a_tombstone_tells(kept: Kept) -> None:
    record = kept.store.catalogue.wheels(DEMO)[0]
    kept.store.attestations.keep(record.sha256, b"{}")
    assert len(kept.gc()) == 3
    assert kept.store.attestations.find(record.sha256) == b"{}"
    assert kept.store.names() == ()
    assert kept.store.project(DEMO) is None
    assert kept.blob(record.sha256).exists()
    assert kept.gc(now=NOW + timedelta(days=6)) == []
    gone = kept.gc(now=NOW + timedelta(days=8))
    assert [removal for removal, _ in gone] == ["blob"] * 3
    assert not kept.blob(record.sha256).exists()
    assert kept.store.metadata(record.sha256) is None
    assert kept.store.attestations.find(record.sha256) is None
    told = kept.store.removed(record.sha256)
    assert told is not None
    assert "no root names it" in told
    assert "echo 'demo==1.0' | farm build" in told


def test_the_same_bytes_come_back_and_other_bytes_never_do(kept: Kept) -> None:
    kept.gc()
    kept.gc(now=NOW + timedelta(days=8))
    with pytest.raises(NameTaken):
        kept.store.publish(*kept.maker.make("demo", "1.0", body="# rebuilt otherwise"))
    record = kept.publish("demo", "1.0")
    assert listed(kept) == {record.filename}
    assert kept.store.names() == ("demo",)
    assert kept.store.removed(record.sha256) is None
    assert kept.blob(record.sha256).exists()


def test_what_is_read_or_was_published_again_is_in_use(kept: Kept) -> None:
    first, second = kept.store.catalogue.wheels(DEMO)
    lately = (NOW - timedelta(days=5)).timestamp()
    os.utime(kept.blob(first.sha256), (lately, 0))
    os.utime(kept.blob(second.sha256), (0, lately))
    assert kept.gc() == [("wheel", "other-1.0-py3-none-any.whl")]


def test_publishing_the_same_wheel_again_keeps_it(kept: Kept) -> None:
    record = kept.store.catalogue.wheels(DEMO)[0]
    os.utime(kept.blob(record.sha256), (0, 0))
    kept.publish("demo", "1.0")
    now = datetime.now(UTC) + timedelta(days=20)
    old = EPOCH - timedelta(days=400)
    assert old < now
    assert record.filename not in {subject for _, subject in kept.gc(now=now)}


def test_what_was_built_lately_is_kept_though_it_is_not_listed(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "loose").write_bytes(b"being proven")
    digest = kept.store.keep(tmp_path / "loose")
    attempt = Attempt(
        id="A", run="R", name=DEMO, version=Version("9"), target="t", state="built", started=NOW - timedelta(days=2),
        ended=None, log="", digest=digest,
    )  # fmt: skip
    kept.store.catalogue.begin(attempt)
    everything = Named(
        pins=frozenset(
            (record.name, record.version) for name in kept.store.names() for record in kept.store.catalogue.wheels(name)
        )
    )
    assert kept.gc(everything) == []
    assert kept.gc(everything, now=NOW + timedelta(days=60)) == [("blob", digest)]


def test_uploaded_files_stay_as_the_farm_cannot_make_them_again(kept: Kept) -> None:
    record, verified = kept.maker.make("uploaded", "1.0")
    kept.store.publish(replace(record, key=None, attempt="", uploader="ci"), verified)
    kept.gc()
    assert listed(kept) == {record.filename}


def test_what_comes_into_use_between_plan_and_deed_is_left_alone(kept: Kept) -> None:
    collector = kept.collector()
    planned = tuple(collector.plan())
    record = kept.store.catalogue.wheels(DEMO)[0]
    os.utime(kept.blob(record.sha256), (NOW.timestamp(), NOW.timestamp()))
    done = list(collector.carry_out(planned))
    assert record.filename not in {step.subject for step in done}
    assert listed(kept) == {record.filename}


def test_a_file_that_was_published_between_plan_and_deed_keeps_its_bytes(kept: Kept) -> None:
    kept.gc()
    collector = kept.collector(now=NOW + timedelta(days=8))
    planned = tuple(collector.plan())
    record = kept.publish("demo", "1.0")
    assert record.sha256 in {step.subject for step in planned}
    assert record.sha256 not in {step.subject for step in collector.carry_out(planned)}
    assert kept.blob(record.sha256).exists()


def test_old_logs_go_and_young_ones_stay(kept: Kept) -> None:
    for day in ("20260101", "20260601"):
        (kept.root / "logs" / day).mkdir(parents=True)
        (kept.root / "logs" / day / "a.log").write_text("x" * 10)
    os.utime(kept.root / "logs" / "20260101" / "a.log", (0, (NOW - timedelta(days=91)).timestamp()))
    os.utime(kept.root / "logs" / "20260601" / "a.log", (0, (NOW - timedelta(days=89)).timestamp()))
    assert kept.gc(None) == [("log", "logs/20260101")]
    assert [path.name for path in (kept.root / "logs").iterdir()] == ["20260601"]


def test_the_cache_is_cut_down_by_what_was_used_longest_ago(kept: Kept) -> None:
    folder = kept.root / "cache" / "pages"
    folder.mkdir(parents=True)
    for number in range(10):
        (folder / str(number)).write_bytes(b"x" * 1000)
        os.utime(folder / str(number), (number, number))
    collector = kept.collector(None, cache=4500)
    done = list(collector.carry_out(tuple(collector.plan())))
    assert [step.subject for step in done if step.removal == "cache"] == [f"cache/pages/{n}" for n in range(6)]
    assert sorted(path.name for path in folder.iterdir()) == ["6", "7", "8", "9"]


def test_files_of_idle_locks_go_and_held_ones_stay(kept: Kept) -> None:
    locks = kept.store.locks
    with locks.run("R1"), locks.run("R2"):
        pass
    with locks.run("R1"):
        kept.gc(None)
        assert (kept.root / "locks" / "run-R1").exists()
        assert not (kept.root / "locks" / "run-R2").exists()
        assert locks.alive("R1")


def test_wheels_of_no_index_stay(kept: Kept) -> None:
    record, verified = kept.maker.make("fork", "1.0")
    kept.store.publish_direct(replace(record, sdist_sha256=record.sha256), verified, Direct(url="git+https://host/fork"))
    kept.gc(now=NOW + timedelta(days=400))
    assert kept.blob(record.sha256).is_file()
    ((path, _),) = kept.store.direct.all()
    kept.store.direct.remove(path)
    kept.gc(now=NOW + timedelta(days=400))
    assert not kept.blob(record.sha256).exists()
