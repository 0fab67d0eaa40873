"""Publishing through the real store: what readers see, and what they never see."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from farm.adapters.store import Store
from farm.errors import FarmError, StoreError, StoreFull
from farm.model.build import IntegrityError, NameTaken
from farm.model.package import Digest
from farm.model.page import HTML, JSON, Page
from farm.serve.simple import render_project
from tests.fakes.store import EPOCH, FakeClock, Wheelmaker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farm.model.attempt import WheelRecord
    from farm.model.outcome import Verified
    from farm.model.package import Project

ROOT = Path(__file__).parents[3]
DEMO = canonicalize_name("demo")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store", render_project, FakeClock())
    yield made
    made.close()


@pytest.fixture
def maker(tmp_path: Path) -> Wheelmaker:
    return Wheelmaker(folder=tmp_path / "built", requires_python=">=3.8")


def test_a_published_wheel_is_on_every_page_with_its_bytes(store: Store, maker: Wheelmaker) -> None:
    record, verified = maker.make("demo", "1.0")
    url = store.publish(record, verified)
    assert url == f"files/{record.sha256[:2]}/{record.sha256[2:]}/{record.filename}"
    project = store.project(DEMO)
    assert project is not None
    (file,) = project.files
    assert (file.filename, file.url, file.sha256, file.size) == (record.filename, url, record.sha256, record.size)
    assert (file.requires_python, file.upload_time, file.metadata) == (">=3.8", EPOCH, record.metadata_sha256)
    blob, metadata = store.blob(record.sha256), store.metadata(record.sha256)
    assert blob is not None
    assert metadata is not None
    assert hashlib.sha256(blob.read_bytes()).hexdigest() == record.sha256
    assert metadata.read_bytes() == verified.metadata
    page = store.page(DEMO, JSON, "identity")
    assert page is not None
    assert json.loads(page.body)["files"][0]["url"] == f"../../{url}"
    assert store.names() == (DEMO,)


def test_pages_show_the_newest_wheel_also_to_a_reader_that_is_open(
    store: Store, maker: Wheelmaker, tmp_path: Path
) -> None:
    reader = Store(tmp_path / "store", render_project, FakeClock())
    store.publish(*maker.make("demo", "1.0"))
    first, serial, token = reader.page(DEMO, HTML, "gzip"), reader.serial(), reader.names_token()
    store.publish(*maker.make("demo", "1.1"))
    second = reader.page(DEMO, HTML, "gzip")
    assert first is not None
    assert second is not None
    assert first.etag != second.etag
    assert reader.serial() != serial
    assert reader.names_token() == token
    store.publish(*maker.make("other", "1.1"))
    assert reader.names_token() != token
    assert reader.names() == ("demo", "other")


def test_the_same_bytes_again_change_nothing(store: Store, maker: Wheelmaker) -> None:
    record, verified = maker.make("demo", "1.0")
    assert store.digest_of(record.filename) is None
    url, serial = store.publish(record, verified), store.serial()
    assert store.digest_of(record.filename) == record.sha256
    assert store.publish(record, verified) == url
    assert store.serial() == serial


def test_other_bytes_do_not_get_a_name_that_is_taken(store: Store, maker: Wheelmaker) -> None:
    first, verified = maker.make("demo", "1.0")
    store.publish(first, verified)
    second, rebuilt = maker.make("demo", "1.0", body="x = 1")
    with pytest.raises(NameTaken, match=f"{first.sha256}.*{second.sha256}"):
        store.publish(second, rebuilt)
    assert store.blob(second.sha256) is None
    store.publish(*maker.make("demo", "1.0", body="x = 1", build="1"))
    project = store.project(DEMO)
    assert project is not None
    assert [f.filename for f in project.files] == ["demo-1.0-1-py3-none-any.whl", "demo-1.0-py3-none-any.whl"]


def test_a_file_that_changed_after_its_proof_is_not_published(store: Store, maker: Wheelmaker) -> None:
    record, verified = maker.make("demo", "1.0")
    Path(verified.built.wheel.path).write_bytes(b"something else")
    with pytest.raises(IntegrityError, match="expected sha256"):
        store.publish(record, verified)
    assert store.project(DEMO) is None
    assert store.names() == ()


@pytest.mark.parametrize(
    "wrong", [{"size": 1}, {"sha256": "0" * 64}, {"name": "other"}, {"filename": "demo-2.0-py3-none-any.whl"}]
)
def test_a_record_of_another_wheel_is_refused(store: Store, maker: Wheelmaker, wrong: dict[str, object]) -> None:
    record, verified = maker.make("demo", "1.0")
    with pytest.raises(IntegrityError, match="expected"):
        store.publish(replace(record, **wrong), verified)  # type: ignore[arg-type]


def test_metadata_other_than_recorded_is_refused(store: Store, maker: Wheelmaker) -> None:
    record, verified = maker.make("demo", "1.0")
    with pytest.raises(IntegrityError, match="METADATA"):
        store.publish(record, replace(verified, metadata=b"Name: evil"))
    assert store.project(DEMO) is None


def test_a_page_that_cannot_be_rendered_now_is_finished_by_the_next_publisher(
    tmp_path: Path, maker: Wheelmaker
) -> None:
    def broken(project: Project) -> tuple[Page, ...]:
        raise StoreError("the disk is full", solution="")

    first = Store(tmp_path / "store", broken, FakeClock())
    with pytest.raises(StoreError):
        first.publish(*maker.make("demo", "1.0"))
    assert first.names() == ()
    assert first.project(DEMO) is None
    second = Store(tmp_path / "store", render_project, FakeClock())
    second.publish(*maker.make("other", "1.0"))
    assert second.names() == ("demo", "other")
    assert second.catalogue.dirty() == ()
    assert second.project(DEMO) is not None
    first.close()
    second.close()


def test_recover_passes_over_a_page_that_a_live_process_is_making(tmp_path: Path, maker: Wheelmaker) -> None:
    store = Store(tmp_path / "store", render_project, FakeClock())
    store.catalogue.add_wheels([maker.make("demo", "1.0")[0]])
    with store.locks.page(DEMO, wait=True):
        store.recover()
        assert store.catalogue.dirty() == (DEMO,)
    store.recover()
    assert store.catalogue.dirty() == ()
    store.close()


def test_lost_pages_are_made_anew_from_the_catalogue(store: Store, maker: Wheelmaker, tmp_path: Path) -> None:
    for name in ("demo", "other"):
        store.publish(*maker.make(name, "1.0"))
    page = store.page(DEMO, JSON, "gzip")
    shutil.rmtree(tmp_path / "store" / "pages")
    (tmp_path / "store" / "projects").unlink()
    store.rebuild()
    assert store.names() == ("demo", "other")
    assert store.page(DEMO, JSON, "gzip") == page
    assert store.catalogue.dirty() == ()


def test_threads_publish_at_once(store: Store, maker: Wheelmaker) -> None:
    made = [maker.make("demo", f"1.{n}") for n in range(12)]
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(lambda each: store.publish(*each), made))) == 12
    project = store.project(DEMO)
    assert project is not None
    assert [str(file.version) for file in project.files] == [f"1.{n}" for n in range(12)]


def test_half_a_name_on_the_list_never_becomes_a_project(store: Store, maker: Wheelmaker, tmp_path: Path) -> None:
    store.publish(*maker.make("demo", "1.0"))
    with (tmp_path / "store" / "projects").open("a") as file:
        file.write("nump")
    assert store.names() == ("demo",)
    store.publish(*maker.make("other", "1.0"))
    assert store.names() == ("demo", "other")


def test_old_waste_is_swept_when_a_store_is_opened_for_writing(tmp_path: Path) -> None:
    staging = tmp_path / "store" / "staging"
    staging.mkdir(parents=True)
    (staging / ".dead.tmp").write_bytes(b"half a wheel")
    clock = FakeClock()
    clock.advance((staging / ".dead.tmp").stat().st_mtime - clock.monotonic() + 3600)
    store = Store(tmp_path / "store", render_project, clock)
    store.recover()
    assert [p.name for p in staging.iterdir()] == [".dead.tmp"]
    clock.advance(25 * 3600)
    store.recover()
    assert list(staging.iterdir()) == []
    store.close()


@pytest.mark.parametrize("damage", [b"", b"{}\n", b'{"schema": 1, "parts": []}\n[{"filename": 1}]', b"\0" * 99])
def test_a_damaged_page_is_told_with_its_path_and_made_anew(
    store: Store, maker: Wheelmaker, tmp_path: Path, damage: bytes
) -> None:
    store.publish(*maker.make("demo", "1.0"))
    page = store.page(DEMO, JSON, "gzip")
    (tmp_path / "store" / "pages" / "demo.page").write_bytes(damage)
    with pytest.raises(StoreError, match=r"pages/demo.page"):
        store.project(DEMO)
    with pytest.raises(StoreError, match=r"pages/demo.page"):
        store.page(DEMO, JSON, "gzip")
    store.rebuild()
    assert store.page(DEMO, JSON, "gzip") == page


def test_several_wheels_are_published_at_once(store: Store, maker: Wheelmaker) -> None:
    store.publish(*maker.make("demo", "1.0"))
    serial = store.serial()
    wheels = [maker.make("demo", "1.0"), maker.make("demo", "1.1"), maker.make("other", "1.0"), maker.make("demo", "1.0", body="x")]
    *urls, refused = store.publish_many(wheels)
    assert [str(url).rpartition("/")[2] for url in urls] == [record.filename for record, _ in wheels[:3]]
    assert isinstance(refused, NameTaken)
    project = store.project(DEMO)
    assert project is not None
    assert [(file.filename, file.sha256) for file in project.files] == [(r.filename, r.sha256) for r, _ in wheels[:2]]
    assert store.names() == ("demo", "other")
    assert int(store.serial()) == int(serial) + 1
    store.publish_many(wheels[:3])
    assert int(store.serial()) == int(serial) + 1


def test_more_wheels_than_fit_into_one_transaction(store: Store, maker: Wheelmaker) -> None:
    wheels = [maker.make(f"demo{n}", "1.0") for n in range(450)]
    assert not any(isinstance(answer, NameTaken) for answer in store.publish_many(wheels))
    assert len(store.names()) == 450
    assert store.catalogue.dirty() == ()


def test_one_of_many_that_is_wrong_holds_back_all(store: Store, maker: Wheelmaker) -> None:
    good, bad = maker.make("demo", "1.0"), maker.make("other", "1.0")
    Path(bad[1].built.wheel.path).write_bytes(b"something else")
    with pytest.raises(IntegrityError):
        store.publish_many([good, bad])
    assert store.names() == ()


def test_a_stamp_changes_with_the_page_and_not_otherwise(store: Store, maker: Wheelmaker) -> None:
    absent = store.stamp(DEMO)
    store.publish(*maker.make("demo", "1.0"))
    first = store.stamp(DEMO)
    store.publish(*maker.make("other", "1.0"))
    assert store.stamp(DEMO) == first != absent
    store.publish(*maker.make("demo", "1.1"))
    assert store.stamp(DEMO) != first
    assert store.stamp("../demo") is None  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["../demo", "demo/../demo", "..", "", "Demo", "x" * 5000])
def test_no_name_leads_out_of_the_pages(store: Store, maker: Wheelmaker, name: str) -> None:
    store.publish(*maker.make("demo", "1.0"))
    assert store.project(name) is None  # type: ignore[arg-type]
    assert store.page(name, JSON, "identity") is None  # type: ignore[arg-type]


def test_keep_and_digest_agree(store: Store, tmp_path: Path) -> None:
    (tmp_path / "sdist").write_bytes(b"bytes")
    digest = store.digest(tmp_path / "sdist")
    assert store.keep(tmp_path / "sdist") == digest == Digest(hashlib.sha256(b"bytes").hexdigest())
    with pytest.raises(FarmError, match="absent"):
        store.keep(tmp_path / "absent")


def test_reading_a_page_imports_no_database(store: Store, maker: Wheelmaker, tmp_path: Path) -> None:
    store.publish(*maker.make("demo", "1.0"))
    script = (
        "import sys; from pathlib import Path; from farm.adapters.store import Store\n"
        "from farm.adapters.clock import SystemClock; from farm.serve.simple import render_project\n"
        "store = Store(Path(sys.argv[1]), render_project, SystemClock())\n"
        "assert store.project('demo') and store.serial() != '0' and store.blob(store.project('demo').files[0].sha256)\n"
        "sys.exit('sqlalchemy' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script, str(tmp_path / "store")], cwd=ROOT, check=False)
    assert ran.returncode == 0


def test_a_file_whose_publisher_died_is_on_its_page_once_it_is_told_to_be_there(store: Store, maker: Wheelmaker) -> None:
    record, _ = maker.make("demo", "1.0")
    store.catalogue.add_wheels([record])
    assert store.project(DEMO) is None
    assert store.listed("demo-2.0-py3-none-any.whl") is None
    assert store.listed(record.filename) == record.sha256
    assert store.project(DEMO) is not None


def test_all_who_publish_together_are_told_when_it_fails_and_all_is_finished_later(tmp_path: Path, maker: Wheelmaker) -> None:
    def broken(project: Project) -> tuple[Page, ...]:
        raise StoreFull("the disk is full", solution="")

    first = Store(tmp_path / "store", broken, FakeClock())
    made = [maker.make("demo", f"1.{n}") for n in range(8)]

    def publish(each: tuple[WheelRecord, Verified]) -> BaseException:
        with pytest.raises(StoreFull) as caught:
            first.publish(*each)
        return caught.value

    with ThreadPoolExecutor(8) as pool:
        errors = list(pool.map(publish, made))
    assert len({id(error) for error in errors}) == 8
    assert first.project(DEMO) is None
    first.close()
    second = Store(tmp_path / "store", render_project, FakeClock())
    second.recover()
    project = second.project(DEMO)
    assert project is not None
    assert len(project.files) == 8
    second.close()
