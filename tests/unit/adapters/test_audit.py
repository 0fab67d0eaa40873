"""`farm fsck`: each kind of damage is found, told with what to do, and mended where nothing can be lost."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from farm.adapters.audit import AuditPorts, AuditRequest, audit
from farm.adapters.store import Store
from farm.model.build import NameTaken
from farm.model.direct import Direct
from farm.model.page import JSON
from farm.serve.simple import render_project
from tests.fakes.store import FakeClock, Wheelmaker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from farm.model.attempt import WheelRecord
    from farm.model.keeping import Audit

DEMO = canonicalize_name("demo")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A store with demo 1.0 and 2.0, and other 1.0."""

    root: Path
    store: Store
    maker: Wheelmaker
    records: dict[str, WheelRecord]

    @property
    def demo(self) -> WheelRecord:
        return self.records["demo-1.0"]

    def blob(self, name: str = "demo-1.0") -> Path:
        digest = self.records[name].sha256
        return self.root / "blobs" / digest[:2] / digest[2:]

    def beside(self, name: str = "demo-1.0") -> Path:
        return self.blob(name).with_name(f"{self.blob(name).name}.metadata")

    def fsck(self, *, fix: bool = False, sample: float = 100.0, since: float | None = None) -> Audit:
        ports = AuditPorts(
            clock=FakeClock(time=datetime.now(UTC)),
            render=render_project,
            sdist_metadata=lambda _: None,
            say=lambda _: None,
        )
        return audit(self.root, self.store, AuditRequest(fix=fix, sample=sample, since=since), ports)

    def kinds(self, *, fix: bool = False) -> list[tuple[str, str]]:
        return sorted((damage.kind, damage.subject) for damage in self.fsck(fix=fix).damages)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    store = Store(tmp_path / "store", render_project, FakeClock())
    maker = Wheelmaker(folder=tmp_path / "built")
    records = {}
    for name, version in (("demo", "1.0"), ("demo", "2.0"), ("other", "1.0")):
        record, verified = maker.make(name, version)
        store.publish(record, verified)
        records[f"{name}-{version}"] = record
    yield Kept(root=tmp_path / "store", store=store, maker=maker, records=records)
    store.close()


def overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)


def flip_bit(kept: Kept) -> None:
    data = bytearray(kept.blob().read_bytes())
    data[len(data) // 2] ^= 1
    overwrite(kept.blob(), bytes(data))


def test_a_sound_store_is_sound_and_every_file_was_hashed(kept: Kept) -> None:
    found = kept.fsck()
    assert found.damages == ()
    assert (found.files, found.checked, found.projects, found.unlisted) == (3, 3, 2, 0)
    assert found.hashed == sum(record.size for record in kept.records.values())


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        (flip_bit, "blob-damaged"),
        (lambda kept: overwrite(kept.blob(), kept.blob().read_bytes()[:100]), "blob-damaged"),
        (lambda kept: kept.blob().unlink(), "blob-missing"),
    ],
    ids=["bit-flip", "truncated", "deleted"],
)
def test_lost_bytes_leave_the_index_and_come_back_by_the_same_wheel(
    kept: Kept, harm: Callable[[Kept], None], kind: str
) -> None:
    harm(kept)
    (damage,) = kept.fsck().damages
    assert (damage.kind, damage.subject, damage.mended) == (kind, kept.demo.filename, False)
    line = "echo 'demo==1.0' | farm build --target cp311-manylinux_2_36_x86_64 -r -"
    assert line in damage.remedy
    (told,) = kept.fsck(fix=True).left
    assert line in told.remedy
    assert kept.fsck().damages == ()
    project = kept.store.project(DEMO)
    assert project is not None
    assert [file.filename for file in project.files] == [kept.records["demo-2.0"].filename]
    removed = kept.store.removed(kept.demo.sha256)
    assert removed is not None
    assert line in removed
    assert len(list(kept.root.glob("quarantine/*"))) == (0 if kind == "blob-missing" else 1)
    with pytest.raises(NameTaken, match="is or was on the index"):
        kept.store.publish(*kept.maker.make("demo", "1.0", body="# other bytes"))
    kept.store.publish(*kept.maker.make("demo", "1.0"))
    assert kept.fsck().damages == ()
    assert kept.store.removed(kept.demo.sha256) is None
    assert kept.store.digest_of(kept.demo.filename) == kept.demo.sha256


def test_bytes_that_are_not_listed_are_looked_at_too_as_a_build_may_use_them(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "loose").write_bytes(b"a wheel that is being proven")
    digest = kept.store.keep(tmp_path / "loose")
    found = kept.fsck()
    assert (found.damages, found.unlisted, found.unlisted_bytes) == ((), 1, 28)
    overwrite(kept.root / "blobs" / digest[:2] / digest[2:], b"a wheel that is being broken")
    assert kept.kinds(fix=True) == [("blob-damaged", digest)]
    assert kept.fsck().damages == ()
    assert kept.store.blob(digest) is None


@pytest.mark.parametrize("data", [None, b"Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n"], ids=["missing", "other"])
def test_metadata_is_taken_from_the_wheel_again(kept: Kept, data: bytes | None) -> None:
    before = kept.beside().read_bytes()
    overwrite(kept.beside(), data) if data else kept.beside().unlink()
    kind = "metadata-differs" if data else "metadata-missing"
    assert kept.kinds() == [(kind, kept.demo.filename)]
    assert kept.fsck(fix=True).left == ()
    assert kept.beside().read_bytes() == before
    assert kept.fsck().damages == ()


def test_a_row_that_says_another_size_is_put_right_and_so_is_its_page(kept: Kept) -> None:
    with sqlite3.connect(kept.root / "catalogue.sqlite") as connection:
        connection.execute("UPDATE wheels SET size = 5 WHERE filename = ?", (kept.demo.filename,))
    connection.close()
    assert {kind for kind, _ in kept.kinds()} == {"row-nonsense", "page-stale"}
    kept.fsck(fix=True)
    assert kept.fsck().damages == ()
    project = kept.store.project(DEMO)
    assert project is not None
    assert project.files[0].size == kept.demo.size


@pytest.mark.parametrize(
    ("column", "value"),
    [("version", "'not a version'"), ("name", "'other'"), ("sha256", "'ABC'"), ("built_at", "'tomorrow'")],
)
def test_a_row_with_nonsense_is_told_and_hides_nothing_else(kept: Kept, column: str, value: str) -> None:
    with sqlite3.connect(kept.root / "catalogue.sqlite") as connection:
        connection.execute(f"UPDATE wheels SET {column} = {value} WHERE filename = ?", (kept.demo.filename,))
    connection.close()
    kept.beside("other-1.0").unlink()
    found = kept.kinds()
    assert ("row-nonsense", kept.demo.filename) in found
    assert ("metadata-missing", kept.records["other-1.0"].filename) in found
    left = kept.fsck(fix=True).left
    assert kept.demo.filename in {damage.subject for damage in left}
    assert kept.beside("other-1.0").exists()


def page(kept: Kept, name: str = "demo") -> Path:
    return kept.root / "pages" / f"{name}.page"


def stale(kept: Kept) -> None:
    page(kept).write_bytes(page(kept, "other").read_bytes())


def orphan(kept: Kept) -> None:
    page(kept, "ghost").write_bytes(page(kept, "other").read_bytes())


def dirty(kept: Kept) -> None:
    kept.store.catalogue.mark_dirty([DEMO])


def unnamed(kept: Kept) -> None:
    (kept.root / "projects").write_text("other\n")


def named(kept: Kept) -> None:
    (kept.root / "projects").write_text("demo\nghost\nother\n")


@pytest.mark.parametrize(
    ("harm", "kind", "subject"),
    [
        (stale, "page-stale", "demo"),
        (lambda kept: page(kept).unlink(), "page-missing", "demo"),
        (lambda kept: page(kept).write_bytes(b"x" * 50), "page-damaged", "demo"),
        (lambda kept: page(kept).write_bytes(page(kept).read_bytes()[:300]), "page-damaged", "demo"),
        (orphan, "page-orphan", "ghost"),
        (unnamed, "name-missing", "demo"),
        (named, "name-extra", "ghost"),
    ],
    ids=["stale", "missing", "garbage", "truncated", "orphan", "name-missing", "name-extra"],
)
def test_pages_are_made_anew_from_the_catalogue(
    kept: Kept, harm: Callable[[Kept], None], kind: str, subject: str
) -> None:
    before = kept.store.page(DEMO, JSON, "identity")
    harm(kept)
    assert kept.kinds() == [(kind, subject)]
    assert kept.fsck(fix=True).left == ()
    assert kept.fsck().damages == ()
    assert kept.store.page(DEMO, JSON, "identity") == before
    assert kept.store.names() == ("demo", "other")
    assert kept.store.page(canonicalize_name("ghost"), JSON, "identity") is None


def test_a_page_that_a_dead_publisher_left_is_told_and_finished(kept: Kept) -> None:
    dirty(kept)
    assert kept.kinds() == [("page-dirty", "demo")]
    kept.fsck(fix=True)
    assert kept.fsck().damages == ()


def test_foreign_files_are_set_apart_and_not_deleted(kept: Kept) -> None:
    (kept.root / "blobs" / "readme.txt").write_text("mine")
    (kept.blob().parent / "notes").write_text("also mine")
    assert [kind for kind, _ in kept.kinds()] == ["blob-foreign", "blob-foreign"]
    assert kept.fsck(fix=True).left == ()
    assert kept.fsck().damages == ()
    assert sorted(path.read_text() for path in kept.root.glob("quarantine/*")) == ["also mine", "mine"]


def test_a_file_that_somebody_may_write_is_told_and_closed(kept: Kept) -> None:
    kept.blob().chmod(0o666)
    assert [kind for kind, _ in kept.kinds()] == ["permissions"]
    assert kept.fsck(fix=True).left == ()
    assert kept.blob().stat().st_mode & 0o777 == 0o444


def test_what_dead_processes_left_in_staging_is_found_once_it_is_old(kept: Kept) -> None:
    room = kept.root / "staging" / "room-20200101-000000-abcdef"
    room.mkdir(parents=True)
    (room / "half").write_bytes(b"x" * 1000)
    assert kept.fsck().damages == ()
    os.utime(room, (0, 0))
    assert kept.kinds() == [("staging-leftover", f"staging/{room.name}")]
    kept.fsck(fix=True)
    assert not room.exists()


def test_a_damaged_catalogue_is_told_and_nothing_is_touched(kept: Kept) -> None:
    kept.store.close()
    path = kept.root / "catalogue.sqlite"
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(bytes(data))
    (damage,) = kept.fsck(fix=True).damages
    assert damage.kind == "catalogue-damaged"
    assert "backup" in damage.remedy
    assert kept.blob().exists()
    assert page(kept).exists()


def test_what_was_sound_lately_is_not_hashed_again_unless_it_changed(kept: Kept) -> None:
    assert kept.fsck().checked == 3
    found = kept.fsck(since=0.0)
    assert (found.checked, found.skipped) == (0, 3)
    flip_bit(kept)
    found = kept.fsck(since=0.0)
    assert (found.checked, [damage.kind for damage in found.damages]) == (1, ["blob-damaged"])
    assert kept.fsck(since=datetime.now(UTC).timestamp() + 60).checked == 3


def test_a_sample_hashes_some(kept: Kept) -> None:
    for number in range(60):
        kept.store.publish(*kept.maker.make(f"more{number}", "1.0"))
    found = kept.fsck(sample=30)
    assert found.checked + found.skipped == 63
    assert 0 < found.checked < 63


def test_looking_leaves_access_times_as_they_are(kept: Kept) -> None:
    os.utime(kept.blob(), (1, 1))
    kept.fsck()
    assert kept.blob().stat().st_atime == 1


def test_a_wheel_of_no_index_whose_bytes_are_gone_leaves_its_list(kept: Kept) -> None:
    record, verified = kept.maker.make("fork", "1.0")
    kept.store.publish_direct(replace(record, sdist_sha256=record.sha256), verified, Direct(url="git+https://host/fork"))
    assert kept.kinds() == []
    (kept.root / "blobs" / record.sha256[:2] / record.sha256[2:]).unlink()
    lost = [("direct-missing", f"direct/fork/{record.filename}")]
    assert (kept.kinds(), kept.kinds(fix=True), kept.kinds()) == (lost, lost, [])
    assert kept.store.direct.of(record.name, record.sha256) == ()
