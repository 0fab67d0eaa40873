"""The store under SIGKILL and under several publishers: readers see the old state or the new one, never a mixture."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from farm.adapters.clock import SystemClock
from farm.adapters.store import Store
from farm.model.page import JSON
from farm.serve.simple import render_project
from tests.fakes.store import Wheelmaker

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
# Everything that changes the disk, or the process's hold on it, passes one of these audit events.
_STEPS = ("open", "os.rename", "os.remove", "os.mkdir", "os.chmod", "os.truncate", "fcntl.flock", "sqlite3.connect")


def open_store(root: Path) -> Store:
    return Store(root, render_project, SystemClock())


def in_child(work: Callable[[], None]) -> int:
    """Run `work` in a forked child and return its process id."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException as error:  # noqa: BLE001 - a forked child must never return into pytest
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        os._exit(1)


def publish(root: Path, maker: Wheelmaker, names: list[tuple[str, str]]) -> None:
    store = open_store(root)
    store.recover()
    for name, version in names:
        store.publish(*maker.make(name, version))
    store.close()


def check_readers(root: Path) -> set[str]:
    """Return the listed file names; fail when one is absent, has other bytes, or its page is torn."""
    store = open_store(root)
    seen = set()
    for name in store.names():
        project, page = store.project(name), store.page(name, JSON, "identity")
        assert project is not None
        assert page is not None
        assert page.body.endswith(b"}")
        for file in project.files:
            assert file.sha256 is not None
            blob, metadata = store.blob(file.sha256), store.metadata(file.sha256)
            assert blob is not None
            assert metadata is not None
            assert hashlib.sha256(blob.read_bytes()).hexdigest() == file.sha256
            assert hashlib.sha256(metadata.read_bytes()).hexdigest() == file.metadata
            seen.add(file.filename)
    return seen


def check_recovered(root: Path) -> set[str]:
    """Recover, and return the listed names; they must be those of the catalogue, on every representation."""
    before = check_readers(root)
    store = open_store(root)
    store.recover()
    assert store.catalogue.dirty() == ()
    after = check_readers(root)
    assert before <= after
    for name in store.names():
        project, page = store.project(name), store.page(name, JSON, "identity")
        assert project is not None
        rows = store.catalogue.wheels(name)
        assert [f.filename for f in project.files] == [wheel.filename for wheel in rows]
        assert page == render_project(project)[0]
    assert {p.name for p in (root / "pages").iterdir() if p.suffix == ".page"} == {
        f"{name}.page" for name in store.names()
    }
    store.close()
    return after


def kill_at(step: int) -> None:
    """Kill this process at its `step`th touch of the disk from now on."""
    left = step

    def count(event: str, _: object) -> None:
        nonlocal left
        if event in _STEPS:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


@pytest.mark.parametrize("known", [False, True], ids=["new-project", "known-project"])
def test_killed_at_every_step_of_a_publish(tmp_path: Path, known: bool) -> None:
    maker = Wheelmaker(folder=tmp_path / "built")
    maker.make("demo", "2.0")
    publish(tmp_path / "before", maker, [("demo", "1.0")] if known else [("other", "1.0")])
    for step in range(1, 200):
        root = tmp_path / f"store-{step}"
        shutil.copytree(tmp_path / "before", root)

        def work(root: Path = root, step: int = step) -> None:
            made = maker.make("demo", "2.0")
            store = open_store(root)
            kill_at(step)
            store.publish(*made)

        _, status = os.waitpid(in_child(work), 0)
        new = "demo-2.0-py3-none-any.whl"
        listed = check_readers(root)
        recovered = check_recovered(root)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            assert new in listed
            assert step > 20
            return
        assert recovered - {new} == ({"demo-1.0-py3-none-any.whl"} if known else {"other-1.0-py3-none-any.whl"})
        publish(root, maker, [("demo", "2.0")])
        assert new in check_readers(root)
    pytest.fail("the publish never came to its end")


def test_killed_at_random_moments_of_a_loop(tmp_path: Path) -> None:
    root, maker = tmp_path / "store", Wheelmaker(folder=tmp_path / "built")
    publish(root, maker, [("first", "1.0")])
    for turn in range(20):
        work = [(f"demo{n % 3}", f"{turn}.{n}") for n in range(1000)]
        child = in_child(lambda work=work: publish(root, maker, work))  # type: ignore[misc]
        time.sleep(random.uniform(0.02, 0.12))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        check_recovered(root)
    publish(root, maker, [("last", "1.0")])
    assert {"first-1.0-py3-none-any.whl", "last-1.0-py3-none-any.whl"} <= check_readers(root)


_FILLING = """
    import sys
    from pathlib import Path
    from farm.errors import StoreError
    from tests.fakes.store import Wheelmaker
    from tests.functional.test_store_crash import check_readers, check_recovered, open_store, publish

    root, maker = Path(sys.argv[1]) / "store", Wheelmaker(folder=Path(sys.argv[2]))
    published = 0
    publish(root, maker, [("demo", "0.0")])
    (Path(sys.argv[1]) / "reserve").write_bytes(b"x" * 500_000)
    try:
        store = open_store(root)
        for n in range(1, 10_000):
            store.publish(*maker.make("demo", f"1.{n}", body="x" * 9_000))
    except StoreError as error:
        assert "full" in error.reason or "No space left" in error.reason, error.reason
        assert "free some space" in error.solution, error.solution
    listed = check_readers(root)
    assert len(listed) >= n, (len(listed), n)
    assert not list((root / "staging").iterdir()), "waste"
    (Path(sys.argv[1]) / "reserve").unlink()
    store.publish(*maker.make("demo", f"1.{n}", body="x" * 9_000))
    publish(root, maker, [("demo", "9.0")])
    assert check_recovered(root) >= listed | {f"demo-1.{n}-py3-none-any.whl", "demo-9.0-py3-none-any.whl"}
    store.close()
"""


@pytest.mark.parametrize("size", [1400, 1430, 1442])
def test_a_disk_that_fills_up_while_publishing(tmp_path: Path, size: int) -> None:
    private = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*private, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let users make namespaces, so no small disk can be mounted")
    (tmp_path / "disk").mkdir()
    script = f'mount -t tmpfs -o size={size}k none {tmp_path}/disk && exec {sys.executable} -c "$0" {tmp_path}/disk {tmp_path}/b'
    argv = [*private, "sh", "-c", script, textwrap.dedent(_FILLING)]
    ran = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_two_processes_publish_at_once(tmp_path: Path) -> None:
    root, maker = tmp_path / "store", Wheelmaker(folder=tmp_path / "built")
    work = [[("demo", f"{side}.{n}") for n in range(8)] + [(f"own{side}", "1.0"), ("same", "1.0")] for side in (1, 2)]
    children = [in_child(lambda side=side: publish(root, maker, side)) for side in work]  # type: ignore[misc]
    while children:
        check_readers(root)
        done, status = os.waitpid(-1, os.WNOHANG)
        if done:
            assert status == 0
            children.remove(done)
    expected = {f"{name}-{version}-py3-none-any.whl" for side in work for name, version in side}
    assert check_recovered(root) == expected
