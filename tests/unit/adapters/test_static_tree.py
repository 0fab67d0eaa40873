"""`farm export`: the same pages and files as the farm serves, only what changed is written, files before pages."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from packaging.utils import canonicalize_name

from farm.adapters.static_tree import ExportRequest, StaticTree
from farm.adapters.store import Store
from farm.errors import StoreError
from farm.model.keeping import tombstone
from farm.model.page import HTML, JSON
from farm.serve.simple import render_project, render_root
from tests.fakes.store import EPOCH, FakeClock, Wheelmaker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from farm.adapters.static_tree import Exported
    from farm.model.attempt import WheelRecord

DEMO = canonicalize_name("demo")


@dataclass(frozen=True, kw_only=True)
class Kept:
    store: Store
    maker: Wheelmaker
    out: Path

    def publish(self, name: str, version: str) -> WheelRecord:
        record, verified = self.maker.make(name, version)
        self.store.publish(record, verified)
        return record

    def export(self, **options: Any) -> Exported:
        return StaticTree(self.store, self.store, render_root).write(ExportRequest(folder=self.out, **options))

    def file(self, record: WheelRecord) -> Path:
        return self.out / "files" / record.sha256[:2] / record.sha256[2:] / record.filename


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    store = Store(tmp_path / "store", render_project, FakeClock())
    yield Kept(store=store, maker=Wheelmaker(folder=tmp_path / "built"), out=tmp_path / "out")
    store.close()


def test_the_tree_has_every_representation_and_every_file(kept: Kept) -> None:
    record = kept.publish("demo", "1.0")
    kept.publish("other", "1.0")
    done = kept.export()
    assert (done.projects, done.files_written, done.bytes_copied) == (2, 2, 0)
    folder = kept.out / "simple" / "demo"
    for name, kind in (("index.html", HTML), ("index.v1_html", HTML), ("index.v1_json", JSON)):
        page = kept.store.page(DEMO, kind, "identity")
        assert page is not None
        assert (folder / name).read_bytes() == page.body
        assert gzip.decompress((folder / f"{name}.gz").read_bytes()) == page.body
    assert kept.file(record).read_bytes() == kept.store.blob(record.sha256).read_bytes()  # type: ignore[union-attr]
    assert kept.file(record).samefile(kept.store.blob(record.sha256))  # type: ignore[arg-type]
    beside = kept.file(record).with_name(f"{record.filename}.metadata")
    assert beside.read_bytes() == kept.store.metadata(record.sha256).read_bytes()  # type: ignore[union-attr]
    root = json.loads((kept.out / "simple" / "index.v1_json").read_bytes())
    assert [entry["name"] for entry in root["projects"]] == ["demo", "other"]
    rows = json.loads((kept.out / "packages.json").read_bytes())["files"]
    assert rows[0] == {
        "name": "demo",
        "version": "1.0",
        "filename": record.filename,
        "sha256": record.sha256,
        "size": record.size,
    }


def times(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.rglob("*") if path.is_file()}


def test_only_what_changed_is_written_again(kept: Kept) -> None:
    kept.publish("demo", "1.0")
    kept.publish("other", "1.0")
    kept.export()
    before = times(kept.out)
    done = kept.export()
    assert (done.pages_written, done.files_written) == (0, 0)
    assert times(kept.out) == before
    kept.publish("demo", "2.0")
    done = kept.export()
    assert (done.pages_written, done.files_written) == (6, 1)
    changed = {path for path, stamp in times(kept.out).items() if before.get(path) not in (stamp, None)}
    assert {path.removeprefix(f"{kept.out}/").partition("/index")[0] for path in changed} == {
        "simple/demo", "packages.json", ".farm-export.json"
    }  # fmt: skip


def test_a_lost_state_costs_time_and_changes_nothing(kept: Kept) -> None:
    kept.publish("demo", "1.0")
    kept.export()
    before = times(kept.out / "simple") | times(kept.out / "files")
    for damage in (b"", b"{", b"[]", b'{"schema": 1, "mark": "", "projects": 7}'):
        (kept.out / ".farm-export.json").write_bytes(damage)
        assert kept.export().pages_written == 0
        assert times(kept.out / "simple") | times(kept.out / "files") == before


def test_what_is_gone_is_removed_only_when_asked_and_pages_go_first(kept: Kept) -> None:
    record = kept.publish("demo", "1.0")
    kept.publish("other", "1.0")
    kept.export()
    kept.store.unlist([tombstone(record, "collected", EPOCH)])
    done = kept.export()
    assert (done.projects, done.left, done.pages_removed) == (1, 1, 0)
    assert kept.file(record).exists()
    assert b"demo" not in (kept.out / "simple" / "index.html").read_bytes()
    done = kept.export(delete=True)
    assert (done.pages_removed, done.files_removed) == (1, 1)
    assert not kept.file(record).exists()
    assert not (kept.out / "simple" / "demo").exists()
    assert (kept.out / "simple" / "other" / "index.html").exists()


def test_copies_share_nothing_with_the_store(kept: Kept) -> None:
    record = kept.publish("demo", "1.0")
    done = kept.export(files="copy")
    assert done.bytes_copied > record.size
    assert not kept.file(record).samefile(kept.store.blob(record.sha256))  # type: ignore[arg-type]
    assert kept.file(record).stat().st_mode & 0o777 == 0o444


def test_a_file_that_a_power_cut_left_short_is_written_again(kept: Kept) -> None:
    record = kept.publish("demo", "1.0")
    kept.export(files="copy")
    kept.file(record).chmod(0o644)
    os.truncate(kept.file(record), 10)
    (kept.out / ".farm-export.json").unlink()
    assert kept.export(files="copy").files_written == 1
    assert kept.file(record).stat().st_size == record.size


def test_a_page_whose_file_is_missing_is_not_written(kept: Kept) -> None:
    record = kept.publish("demo", "1.0")
    kept.store.blob(record.sha256).unlink()  # type: ignore[union-attr]
    with pytest.raises(StoreError, match="not in the store"):
        kept.export()
    assert not (kept.out / "simple" / "demo").exists()
