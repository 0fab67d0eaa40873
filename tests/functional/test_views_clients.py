"""Real clients before `farm serve` before an upstream whose page would stop them: they install all the same."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from uv import find_uv_bin

from farm.adapters.store import Store
from farm.model.package import Digest
from farm.model.page import JSON
from farm.serve.simple import render_project
from tests.fakes.store import FakeClock, Wheelmaker, wheel_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.index_server import IndexServer
    from tests.functional.conftest import Shell

SDIST = b"never to be opened"
# Each of these makes uv, or an old pip, refuse the whole page (index-servers.md, X3).
ODD: list[dict[str, Any]] = [
    {"size": None}, {"size": ""}, {"upload-time": None}, {"upload-time": ""}, {"upload-time": "yesterday"}, {"yanked": None},
    {"hashes": None}, {"hashes": []}, {"requires-python": ["3"]}, {"core-metadata": "true"}, {"dist-info-metadata": {"sha256": "x"}},
    {"filename": None}, {"url": None}, {"filename": "../../etc/demo-0.1.tar.gz"},
]  # fmt: skip


@pytest.fixture
def upstream(index: IndexServer, shell: Shell) -> str:
    """An upstream page with every oddity, and the farm's wheel of demo 1.0. Returns its folder of files."""
    files: list[Any] = [{"filename": "demo-1.0.tar.gz", "url": "../../files/demo/demo-1.0.tar.gz",
                         "hashes": {"sha256": hashlib.sha256(SDIST).hexdigest()}, "upload-time": "2020-01-01T00:00:00Z"}]  # fmt: skip
    for number, odd in enumerate(ODD):
        plain = {"filename": f"demo-0.{number}.tar.gz", "url": f"../../files/demo/demo-0.{number}.tar.gz", "hashes": {}}
        files.append(plain | odd)
    document = {"meta": None, "files": [*files, None, 7], "project-status": "active", "versions": None}
    index.raw_pages["demo"] = (JSON, json.dumps(document).encode())
    data, metadata = wheel_bytes("dep", "2.0")
    index.add(("dep-2.0-py3-none-any.whl", data), metadata=metadata.decode(), upload_time="2020-01-01T00:00:00Z")
    store = Store(shell.folder / ".farm", render_project, FakeClock())
    record, verified = Wheelmaker(folder=shell.folder / "made").make("demo", "1.0", "ORIGIN = 'farm'\n")
    store.publish(replace(record, sdist_sha256=Digest(hashlib.sha256(SDIST).hexdigest())), verified)
    store.close()
    return index.url


@contextmanager
def serving(shell: Shell) -> Iterator[str]:
    child = subprocess.Popen(
        shell.command("serve", "--port", "0"), cwd=shell.folder, env=shell.env, stderr=subprocess.PIPE, text=True
    )
    assert child.stderr is not None
    try:
        first = child.stderr.readline()
        assert first.startswith("serving "), first
        yield first.split()[1].partition("/simple")[0]
    finally:
        child.terminate()
        child.communicate(timeout=20)


def run(shell: Shell, *command: str) -> subprocess.CompletedProcess[str]:
    # The farm's own upstream must not be the client's.
    env = {name: value for name, value in shell.env.items() if name != "PIP_INDEX_URL"}
    return subprocess.run(command, env=env, cwd=shell.folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("mirror", ["link", "redirect", "cache"])
@pytest.mark.parametrize("view", ["", "/strict/cp311-manylinux_2_36_x86_64"])
def test_pip_and_uv_install_from_an_index_whose_upstream_is_odd(
    upstream: str, shell: Shell, tmp_path: Path, view: str, mirror: str
) -> None:
    shell.write("config.toml", f'[serve]\nmirror = "{mirror}"\n')
    with serving(shell) as url:
        index = f"{url}{view}/simple/"
        uv = run(shell, find_uv_bin(), "pip", "install", "--no-cache", "--target", str(tmp_path / "uv"), "--exclude-newer",
                 "2021-01-01", "--default-index", index, "demo", "dep")  # fmt: skip
        pip = run(shell, sys.executable, "-m", "pip", "install", "--no-cache-dir", "--target", str(tmp_path / "pip"),
                  "--index-url", index, "--disable-pip-version-check", "demo", "dep")  # fmt: skip
    assert uv.returncode == 0, uv.stderr
    assert pip.returncode == 0, pip.stderr
    for folder in ("uv", "pip"):
        assert (tmp_path / folder / "demo.py").read_text() == "ORIGIN = 'farm'\n"
        assert (tmp_path / folder / "dep.py").exists()


@pytest.mark.parametrize(("policy", "origin"), [('["demo"]', "farm"), ('[":all:"]', "farm"), ("[]", "upstream")])
def test_under_the_policy_clients_take_the_farms_wheel_with_its_build_tag_before_upstreams(
    index: IndexServer, shell: Shell, tmp_path: Path, policy: str, origin: str
) -> None:
    data, metadata = wheel_bytes("demo", "1.0", "ORIGIN = 'upstream'\n")
    index.add(("demo-1.0.tar.gz", SDIST), upload_time="2020-01-01T00:00:00Z")
    index.add(("demo-1.0-py3-none-any.whl", data), metadata=metadata.decode(), upload_time="2020-01-01T00:00:00Z")
    store = Store(shell.folder / ".farm", render_project, FakeClock())
    record, verified = Wheelmaker(folder=shell.folder / "made").make("demo", "1.0", "ORIGIN = 'farm'\n", build="1")
    store.publish(replace(record, sdist_sha256=Digest(hashlib.sha256(SDIST).hexdigest())), verified)
    store.close()
    shell.write("config.toml", f"[policy]\nbuild-from-source = {policy}\n")
    with serving(shell) as url:
        uv = run(shell, find_uv_bin(), "pip", "install", "--no-cache", "--target", str(tmp_path / "uv"), "--default-index",
                 f"{url}/simple/", "demo==1.0")  # fmt: skip
        pip = run(shell, sys.executable, "-m", "pip", "install", "--no-cache-dir", "--target", str(tmp_path / "pip"),
                  "--index-url", f"{url}/simple/", "--disable-pip-version-check", "demo==1.0")  # fmt: skip
    assert uv.returncode == 0, uv.stderr
    assert pip.returncode == 0, pip.stderr
    installed = {folder: (tmp_path / folder / "demo.py").read_text() for folder in ("uv", "pip")}
    assert installed == dict.fromkeys(("uv", "pip"), f"ORIGIN = '{origin}'\n")


BEFORE = "2025-01-01T00:00:00Z"
AFTER = "2030-01-01T00:00:00Z"


@pytest.fixture
def retired(index: IndexServer, shell: Shell) -> str:
    """A wheel of the farm's, and an upstream one with its tags that came later. Returns the sha256 of the farm's."""
    data, metadata = wheel_bytes("demo", "1.0", "ORIGIN = 'upstream'\n")
    index.add(("demo-1.0.tar.gz", SDIST), upload_time=BEFORE)
    index.add(("demo-1.0-py2.py3-none-any.whl", data), metadata=metadata.decode(), upload_time=AFTER)
    store = Store(shell.folder / ".farm", render_project, FakeClock())
    record, verified = Wheelmaker(folder=shell.folder / "made").make("demo", "1.0", "ORIGIN = 'farm'\n")
    store.publish(replace(record, sdist_sha256=Digest(hashlib.sha256(SDIST).hexdigest())), verified)
    store.close()
    return record.sha256


@pytest.mark.parametrize("view", ["", "/strict/cp311-manylinux_2_36_x86_64"])
def test_who_has_a_retired_wheel_in_a_lock_still_gets_it_and_who_has_no_lock_gets_upstreams(
    retired: str, shell: Shell, tmp_path: Path, view: str
) -> None:
    sdist = hashlib.sha256(SDIST).hexdigest()
    locks = {"farm": f"demo==1.0 --hash=sha256:{retired}\n", "both": f"demo==1.0 --hash=sha256:{sdist} --hash=sha256:{retired}\n"}
    origins: dict[str, str] = {}
    with serving(shell) as url:
        index = f"{url}{view}/simple/"
        pip = (sys.executable, "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--index-url", index)
        uv = (find_uv_bin(), "pip", "install", "--no-cache", "--default-index", index)
        for name, text in locks.items():
            lock = shell.write(f"{name}.txt", text)
            for tool, command in (("pip", pip), ("uv", uv)):
                folder = tmp_path / f"{tool}-{name}"
                done = run(shell, *command, "--target", str(folder), "--require-hashes", "-r", str(lock))
                assert done.returncode == 0, done.stderr
                origins[folder.name] = (folder / "demo.py").read_text()
        done = run(shell, *pip, "--target", str(tmp_path / "free"), "demo")
        assert done.returncode == 0, done.stderr
    assert set(origins.values()) == {"ORIGIN = 'farm'\n"}
    assert (tmp_path / "free" / "demo.py").read_text() == "ORIGIN = 'upstream'\n"


def test_over_http_the_views_answer_as_they_should(upstream: str, shell: Shell, index: IndexServer) -> None:
    def ask(path: str) -> tuple[int, dict[str, Any]]:
        try:
            with urlopen(Request(f"{url}{path}", headers={"Accept": JSON})) as answer:
                return answer.status, json.loads(answer.read())
        except HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    with serving(shell) as url:
        assert ask("/simple/demo/")[0] == 200
        assert ask("/simple/nobody/")[0] == 404
        status, told = ask("/strict/cp311-manylinux_2_36_x86/simple/demo/")
        assert (status, "cp311-manylinux_2_36_x86_64" in told["message"]) == (404, True)
        index.fail("/simple/", "503")
        assert ask("/simple/dep/")[0] == 503
        assert ask("/simple/demo/")[0] == 200
        assert ask("/wheels/simple/demo/")[0] == 200
        assert ask("/wheels/simple/dep/")[0] == 404
