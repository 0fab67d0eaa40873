"""`farm fsck --fix`, `farm gc` and `farm export` under SIGKILL, and beside publishers and readers: nothing listed is ever absent."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from farm.adapters.audit import AuditPorts, AuditRequest, audit
from farm.adapters.clock import SystemClock
from farm.adapters.collector import Collector
from farm.adapters.static_tree import ExportRequest, StaticTree
from farm.model.keeping import Bounds, Named
from farm.model.package import Version
from farm.serve.simple import render_project, render_root
from tests.fakes.store import Wheelmaker
from tests.functional.test_store_crash import check_readers, check_recovered, in_child, kill_at, open_store, publish

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from farm.adapters.store import Store
    from farm.model.keeping import Audit

LATER = datetime.now(UTC) + timedelta(days=400)
KEPT = Named(pins=frozenset({(canonicalize_name("demo"), Version("2.0"))}))


def collect(root: Path, now: datetime = LATER) -> None:
    store = open_store(root)
    store.recover()
    collector = Collector(root, store, (Bounds(keep=0, grace=0, logs=0, cache=0), KEPT), now)
    list(collector.carry_out(tuple(collector.plan())))
    store.close()


def collect_all(root: Path) -> None:
    """Take wheels off, and a day later their bytes away."""
    collect(root)
    collect(root, LATER + timedelta(days=1))


def look(root: Path, *, fix: bool) -> Audit:
    store = open_store(root)
    ports = AuditPorts(clock=SystemClock(), render=render_project, sdist_metadata=lambda _: None, say=lambda _: None)
    found = audit(root, store, AuditRequest(fix=fix), ports)
    store.close()
    return found


def first_store(root: Path, folder: Path) -> Path:
    publish(root, Wheelmaker(folder=folder), [("demo", "1.0"), ("demo", "2.0"), ("gone", "1.0"), ("also-gone", "1.0")])
    return root


def killed_everywhere(before: Path, work: Callable[[Path], None], check: Callable[[Path], None]) -> int:
    """Do `work` on copies of a store, each killed one step later than the one before; return after how many it got through."""
    for step in range(1, 600):
        root = before.with_name(f"{before.name}-{step}")
        shutil.copytree(before, root)

        def child(root: Path = root, step: int = step) -> None:
            kill_at(step)
            work(root)

        _, status = os.waitpid(in_child(child), 0)
        check(root)
        shutil.rmtree(root)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            return step
    pytest.fail("it never came to its end")


def test_gc_killed_at_every_step(tmp_path: Path) -> None:
    before = first_store(tmp_path / "store", tmp_path / "built")

    def check(root: Path) -> None:
        check_readers(root)
        collect_all(root)
        assert check_recovered(root) == {"demo-2.0-py3-none-any.whl"}
        assert sum(1 for path in (root / "blobs").glob("*/*") if path.suffix == "") == 1
        assert look(root, fix=False).damages == ()

    assert killed_everywhere(before, collect_all, check) > 40


def test_fsck_killed_at_every_step(tmp_path: Path) -> None:
    before = first_store(tmp_path / "store", tmp_path / "built")
    store = open_store(before)
    blobs = {
        record.filename: store.blob(record.sha256) for name in store.names() for record in store.catalogue.wheels(name)
    }
    store.close()
    damaged, beside = blobs["demo-1.0-py3-none-any.whl"], blobs["demo-2.0-py3-none-any.whl"]
    assert damaged
    assert beside
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    beside.with_name(f"{beside.name}.metadata").unlink()
    (before / "pages" / "gone.page").write_bytes(b"nonsense")
    (before / "projects").write_text("demo\n")

    def check(root: Path) -> None:
        look(root, fix=True)
        assert look(root, fix=False).damages == ()
        assert check_recovered(root) == blobs.keys() - {"demo-1.0-py3-none-any.whl"}
        assert [path.read_bytes() for path in root.glob("quarantine/*")] == [damaged.read_bytes()]

    assert killed_everywhere(before, lambda root: void(look(root, fix=True)), check) > 40


def void(_: object) -> None:
    """Take a result and return none."""


def write_tree(root: Path) -> None:
    store = open_store(root)
    StaticTree(store, store, render_root).write(ExportRequest(folder=root / "out", delete=True))
    store.close()


def check_tree(out: Path) -> set[str]:
    """Return what a tree lists; fail when a page is torn, or a listed file absent or wrong."""
    seen = set()
    for page in sorted((out / "simple").glob("*/index.v1_json")) if (out / "simple").exists() else ():
        for file in json.loads(page.read_bytes())["files"]:
            data = (page.parent / file["url"]).resolve().read_bytes()
            assert hashlib.sha256(data).hexdigest() == file["hashes"]["sha256"]
            metadata = (page.parent / f"{file['url']}.metadata").resolve().read_bytes()
            assert hashlib.sha256(metadata).hexdigest() == file["core-metadata"]["sha256"]
            seen.add(file["filename"])
    root = out / "simple" / "index.v1_json"
    if root.exists():
        assert all((out / "simple" / entry["name"]).is_dir() for entry in json.loads(root.read_bytes())["projects"])
    return seen


@pytest.mark.parametrize("again", [False, True], ids=["first", "after-changes"])
def test_export_killed_at_every_step(tmp_path: Path, again: bool) -> None:
    before = first_store(tmp_path / "store", tmp_path / "built")
    expected = check_readers(before)
    if again:
        write_tree(before)
        publish(before, Wheelmaker(folder=tmp_path / "built"), [("demo", "3.0"), ("new", "1.0")])
        collect(before)
        expected = {"demo-2.0-py3-none-any.whl"}

    def check(root: Path) -> None:
        check_tree(root / "out")
        write_tree(root)
        assert check_tree(root / "out") == expected
        assert not list((root / "out").rglob("*.tmp"))

    assert killed_everywhere(before, write_tree, check) > 10


def busy(root: Path, folder: Path, end: float) -> None:
    """Publish the same wheels again and again, so that what was collected comes back."""
    store, maker = open_store(root), Wheelmaker(folder=folder)
    wheels = [maker.make(f"demo{n % 3}", f"1.{n}") for n in range(12)]
    while time.time() < end:
        for record, verified in wheels:
            url = store.publish(record, verified)
            assert record.sha256[2:] in url
    store.close()


def collecting(root: Path, end: float) -> None:
    """Collect everything, at once and with no grace: only the locks stand between this and the publishers."""
    while time.time() < end:
        # An hour ahead: how young a file is must not protect it either.
        collect(root, datetime.now(UTC) + timedelta(hours=1))


def exporting(root: Path, end: float) -> None:
    while time.time() < end:
        write_tree(root)


def looking(root: Path, end: float, *, fix: bool) -> None:
    """Whatever the others do just then is no damage."""
    while time.time() < end:
        assert look(root, fix=fix).damages == ()


def reading(root: Path, end: float) -> None:
    store = open_store(root)
    checked = 0
    while time.time() < end:
        for name in store.names():
            project = store.project(name)
            for file in project.files if project else ():
                assert file.sha256 is not None
                checked += _sound(store, name, file.sha256)
    store.close()
    assert checked > 100


def _sound(store: Store, name: str, digest: str) -> bool:
    """Tell whether a file was there with its bytes; when it was not, its page must have changed meanwhile."""
    stamp = store.stamp(name)  # type: ignore[arg-type]
    blob = store.blob(digest)  # type: ignore[arg-type]
    try:
        data = blob.read_bytes() if blob else None
    except FileNotFoundError:
        data = None
    if data is not None:
        assert hashlib.sha256(data).hexdigest() == digest
        return True
    now = store.project(name)  # type: ignore[arg-type]
    still = now is not None and digest in {file.sha256 for file in now.files}
    assert not still or store.stamp(name) != stamp or store.blob(digest) is not None, (
        f"{name} lists {digest}, which is absent"
    )  # type: ignore[arg-type]
    return False


def test_collecting_beside_publishers_readers_and_an_export(tmp_path: Path) -> None:
    root, end = tmp_path / "store", time.time() + 8
    open_store(root).close()
    works: list[Callable[[], None]] = [lambda n=n: busy(root, tmp_path / f"built{n}", end) for n in range(2)]  # type: ignore[misc]
    works += [lambda: reading(root, end)] * 2
    works += [lambda: collecting(root, end), lambda: exporting(root, end)]
    works += [lambda fix=fix: looking(root, end, fix=fix) for fix in (False, True)]  # type: ignore[misc]
    children = [in_child(work) for work in works]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * len(children)
    check_recovered(root)
    assert look(root, fix=False).damages == ()
    publish(root, Wheelmaker(folder=tmp_path / "last"), [(f"demo{n % 3}", f"1.{n}") for n in range(12)])
    assert len(check_recovered(root)) == 12
    write_tree(root)
    assert len(check_tree(root / "out")) == 12
