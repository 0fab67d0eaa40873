"""The index under load, kills and a full disk: whatever a reader sees listed is there, whole and right."""

from __future__ import annotations

import hashlib
import http.client
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from farm.model.page import JSON
from tests.fakes.store import Wheelmaker
from tests.functional.test_store_crash import ROOT, check_readers, check_recovered, in_child, open_store
from tests.functional.upload_server import EDGE, form
from tests.unit.adapters.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

WRITERS, READERS, SECONDS = 8, 32, 4.0
PROJECTS = [f"demo{n}" for n in range(5)]


def write(root: Path, folder: Path, writer: int) -> None:
    """Publish until the time is over, ten wheels at least: mostly new ones, now and then one that the others publish too."""
    maker, store, number = Wheelmaker(folder=folder), open_store(root), 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end or number < 10:
        number += 1
        name = random.choice(PROJECTS)
        store.publish(*(maker.make(name, f"{writer}.{number}") if number % 5 else maker.make(name, f"9.{number}")))
    store.close()


def read(root: Path) -> int:
    """Look at pages and at what they list until the time is over; return how many listed files were checked."""
    store, checked = open_store(root), 0
    known: dict[str, set[str]] = {}
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        name = random.choice(PROJECTS)
        project = store.project(name)  # type: ignore[arg-type]
        if project is None:
            assert not known.get(name)
            continue
        listed = {file.filename for file in project.files}
        assert known.get(name, set()) <= listed, "a file that was listed is gone"
        known[name] = listed
        for file in random.sample(project.files, min(5, len(project.files))):
            assert file.sha256 is not None
            blob, metadata = store.blob(file.sha256), store.metadata(file.sha256)
            assert blob is not None
            assert metadata is not None
            assert hashlib.sha256(blob.read_bytes()).hexdigest() == file.sha256
            assert hashlib.sha256(metadata.read_bytes()).hexdigest() == file.metadata
            checked += 1
        page = store.page(name, JSON, "identity")  # type: ignore[arg-type]
        assert page is not None
        assert page.etag == f'"{hashlib.sha256(page.body).hexdigest()[:32]}"'
        assert all(filename.encode() in page.body for filename in listed)
    return checked


def read_many(root: Path) -> None:
    with ThreadPoolExecutor(READERS // 4) as pool:
        assert sum(pool.map(lambda _: read(root), range(READERS // 4))) > 0


def test_eight_writers_and_thirty_two_readers(tmp_path: Path) -> None:
    root = tmp_path / "store"
    open_store(root).close()
    works = [lambda n=n: write(root, tmp_path / f"built{n}", n) for n in range(WRITERS)]
    children = [in_child(work) for work in (*works, *[lambda: read_many(root)] * 4)]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * len(children)
    listed = check_recovered(root)
    assert len(listed) >= WRITERS * 8
    assert not list((root / "staging").iterdir())


_SERVING = """
    import sys, time
    from pathlib import Path
    from tests.functional.upload_server import UploadFarm

    with UploadFarm(root=Path(sys.argv[1])) as farm:
        print(farm.port, flush=True)
        time.sleep(600)
"""


class Served:
    """A farm that takes uploads, in a process that can be killed."""

    def __init__(self, root: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(_SERVING), str(root)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()


def post(port: int, secret: str, wheel: Path) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": f"multipart/form-data; boundary={EDGE}"}
    try:
        connection.request("POST", "/legacy/", form([], wheel.name, wheel.read_bytes()), headers)
        return connection.getresponse().status
    finally:
        connection.close()


def push(port: int, secret: str, wheels: list[Path], taken: set[str]) -> None:
    """Upload what was not taken yet; note what was."""
    for wheel in wheels:
        with suppress(OSError, http.client.HTTPException):
            if post(port, secret, wheel) == 200:
                taken.add(wheel.name)


def wait_for(taken: set[str], enough: int) -> None:
    """Wait until so many uploads were taken."""
    end = time.monotonic() + 60
    while len(taken) < enough:
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_server_that_is_killed_while_uploads_come_in(tmp_path: Path) -> None:
    root = tmp_path / "store"
    secret = first_secret(root)
    wheels = [make_wheel(tmp_path, f"demo{n % 4}", {"m.py": os.urandom(30_000)}, tag=f"py3{n}-none-any") for n in range(120)]
    taken: set[str] = set()
    for _ in range(4):
        served = Served(root)
        left = [wheel for wheel in wheels if wheel.name not in taken]
        with ThreadPoolExecutor(4) as pool:
            pushing = [pool.submit(push, served.port, secret, left[n::4], taken) for n in range(4)]
            wait_for(taken, len(taken) + random.randint(1, 20))
            time.sleep(random.uniform(0, 0.02))
            served.kill()
        assert [each.result() for each in pushing] == [None] * 4
        # Who was told 200 finds it.
        assert taken <= check_readers(root)
    assert taken <= check_recovered(root)
    assert 0 < len(taken) < len(wheels)
    served = Served(root)
    assert [post(served.port, secret, wheel) for wheel in wheels] == [200] * len(wheels)
    served.kill()
    assert check_recovered(root) == {wheel.name for wheel in wheels}


def first_secret(root: Path) -> str:
    """Make a store with a token for uploads."""
    from datetime import UTC, datetime  # noqa: PLC0415 - only here

    from farm.adapters.tokens import Tokens  # noqa: PLC0415 - only here
    from farm.model.token import Token  # noqa: PLC0415 - only here

    store = open_store(root)
    made = Token(name="tester", hash="", scope="upload", projects=(), created=datetime.now(UTC), expires=None)
    secret = Tokens(root, store.catalogue.database, store.locks).create(made)
    store.close()
    return secret


_FILLING = """
    import os, sys
    from pathlib import Path
    from tests.functional.test_store_crash import check_readers, check_recovered
    from tests.functional.upload_server import UploadFarm
    from tests.unit.adapters.wheels import make_wheel

    disk, built = Path(sys.argv[1]), Path(sys.argv[2])
    with UploadFarm(root=disk / "store") as farm:
        (disk / "reserve").write_bytes(b"x" * 700_000)
        wheels = [make_wheel(built, f"demo{n % 3}", {"m.py": os.urandom(150_000)}, tag=f"py3{n}-none-any") for n in range(40)]
        answers = {wheel.name: farm.wheel(wheel) for wheel in wheels}
        statuses = [answer.status for answer in answers.values()]
        assert set(statuses) == {200, 507}, statuses
        refused = [answer.text for answer in answers.values() if answer.status == 507]
        assert all("disk is full" in text for text in refused), refused
        taken = {name for name, answer in answers.items() if answer.status == 200}
        listed = check_readers(disk / "store")
        assert taken <= listed, taken - listed
        assert not farm.waste(), farm.waste()
        # Reading goes on.
        assert {name for n in range(3) for name in farm.listed(f"demo{n}")} == listed
        (disk / "reserve").unlink()
        again = next(wheel for wheel in wheels if answers[wheel.name].status == 507)
        answer = farm.wheel(again)
        assert answer.status == 200, answer.text
        assert taken | {again.name} <= check_recovered(disk / "store")
"""


@pytest.mark.parametrize("size", [3000, 3050, 3110])
def test_a_disk_that_fills_up_while_uploads_come_in(tmp_path: Path, size: int) -> None:
    private = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*private, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let users make namespaces, so no small disk can be mounted")
    for name in ("disk", "built"):
        (tmp_path / name).mkdir()
    script = f'mount -t tmpfs -o size={size}k none {tmp_path}/disk && exec {sys.executable} -c "$0" {tmp_path}/disk {tmp_path}/built'
    argv = [*private, "sh", "-c", script, textwrap.dedent(_FILLING)]
    ran = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    shutil.rmtree(tmp_path / "built")
