"""A real `farm serve` counts what real pip and uv fetch from it, and `farm misses` and `farm targets census` tell."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import pytest
from uv import find_uv_bin

from farm.adapters.clock import SystemClock
from farm.adapters.misses import MissBook
from farm.adapters.store import Store
from farm.model.direct import Direct
from farm.model.interpreter import running_target
from farm.model.page import JSON, file_url
from farm.serve.simple import render_project
from tests.fakes.serving import Raw, request
from tests.fakes.store import FakeClock, Wheelmaker
from tests.functional.conftest import add_sdist, add_wheel
from tests.projects.sdist import write_tar
from tests.unit.serve.test_agents import said

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from farm.model.attempt import WheelRecord
    from tests.fakes.index_server import IndexServer
    from tests.functional.conftest import Shell

HERE = running_target().name
PIP = said("pip", "25.3").decode()


@contextmanager
def started(shell: Shell, *, port: str = "0") -> Iterator[tuple[str, subprocess.Popen[str]]]:
    with subprocess.Popen(
        shell.command("serve", "--port", port), cwd=shell.folder, env=shell.env, stderr=subprocess.PIPE, text=True
    ) as process:  # fmt: skip
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("serving "), line + process.stderr.read()
        # The lines that tell how to use it.
        process.stderr.readline()
        process.stderr.readline()
        try:
            yield line.split()[1].removesuffix("/simple/"), process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=30)


def client(shell: Shell, *command: str) -> None:
    env = {name: value for name, value in shell.env.items() if name != "PIP_INDEX_URL"} | {"UV_NO_CONFIG": "1"}
    done = subprocess.run(command, env=env, cwd=shell.folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


BACKEND = """
import zipfile

INFO = "Metadata-Version: 2.1\\nName: demo\\nVersion: 1.0\\n"
WHEEL = "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"


def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as file:
        for member, text in (("demo.py", ""), (".dist-info/METADATA", INFO), (".dist-info/WHEEL", WHEEL), (".dist-info/RECORD", "")):
            file.writestr(member.replace(".dist", "demo-1.0.dist"), text)
    return name
"""
PYPROJECT = b'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def add_buildable(index: IndexServer, folder: Path) -> None:
    """Put an sdist on the index that builds without anything else."""
    files = {"PKG-INFO": b"Metadata-Version: 2.2\nName: demo\nVersion: 1.0\n", "pyproject.toml": PYPROJECT, "backend.py": BACKEND.encode()}
    path = write_tar(folder / "demo-1.0.tar.gz", {f"demo-1.0/{member}": data for member, data in files.items()})
    index.add((path.name, path.read_bytes()))


def pip_download(shell: Shell, url: str, *what: str) -> None:
    client(shell, sys.executable, "-m", "pip", "download", "--no-cache-dir", "--no-deps", "--dest", "got", "--disable-pip-version-check",
           "--index-url", f"{url}/simple/", *what)  # fmt: skip


def get(url: str, agent: str = PIP, **headers: str) -> tuple[int, bytes]:
    asked = urllib.request.Request(url, headers={"User-Agent": agent, **headers})
    with urllib.request.urlopen(asked, timeout=30) as reply:
        return reply.status, reply.read()


def sdist_url(url: str, project: str = "demo") -> str:
    page = f"{url}/simple/{project}/"
    files = json.loads(get(page, Accept=JSON)[1])["files"]
    return urljoin(page, next(file["url"] for file in files if file["filename"].endswith(".tar.gz")))


def misses(shell: Shell) -> list[dict[str, Any]]:
    done = shell.run("misses", "--json")
    assert done.code == 0, done.err
    found = done.json["misses"]
    assert isinstance(found, list)
    return found


@pytest.fixture
def record(shell: Shell, tmp_path: Path) -> WheelRecord:
    store = Store(shell.folder / ".farm", render_project, FakeClock())
    record, verified = Wheelmaker(folder=tmp_path / "built").make("mine", "1.0", body="# " + "x" * 60_000)
    store.publish(record, verified)
    store.close()
    return record


@pytest.mark.parametrize("mirror", ["link", "redirect", "cache"])
def test_what_pip_and_uv_fetch_to_compile_it_is_told(shell: Shell, index: IndexServer, tmp_path: Path, mirror: str) -> None:
    add_buildable(index, tmp_path)
    add_wheel(index, "there", "1.0")
    shell.write("config.toml", f'targets = ["{HERE}"]\n[serve]\nmirror = "{mirror}"\n')
    with started(shell) as (url, process):
        pip_download(shell, url, "demo", "there")
        client(shell, find_uv_bin(), "pip", "install", "--no-cache", "--python", sys.executable, "--target", "uv",
               "--default-index", f"{url}/simple/", "demo", "there")  # fmt: skip
        client(shell, find_uv_bin(), "pip", "compile", "--no-cache", "--python", sys.executable, "--default-index",
               f"{url}/simple/", "requirements.in")  # fmt: skip
        process.send_signal(signal.SIGTERM)
        # As without counting: ended by the signal, so that service managers take it for what it is.
        assert process.wait(timeout=30) == -signal.SIGTERM
    (miss,) = misses(shell)
    assert (miss["name"], miss["version"], miss["target"], miss["count"]) == ("demo", "1.0", HERE, 2)
    assert sorted(one["client"].split()[0] for one in miss["clients"]) == ["pip", "uv"]
    assert (miss["standing"], miss["served_by"]) == ("unbuilt", HERE)
    table = shell.run("misses")
    assert f"echo 'demo==1.0' | farm build -r - --target {HERE}" in table.out


@pytest.fixture(autouse=True)
def requirements_in(shell: Shell) -> None:
    shell.write("requirements.in", "demo\n")


def test_one_download_counts_once_and_answers_of_the_short_cut_count_too(
    shell: Shell, index: IndexServer, tmp_path: Path, record: WheelRecord
) -> None:
    add_sdist(index, "demo", "1.0", tmp_path)
    wheel = f"/files/{record.sha256[:2]}/{record.sha256[2:]}/{record.filename}"
    agent = f"User-Agent: {PIP}"
    with started(shell) as (url, _):
        port = int(url.rpartition(":")[2])
        with Raw(socket.create_connection(("127.0.0.1", port))) as raw:
            for _ in range(5):
                assert raw.ask(request(wheel, agent)).status == 200
                assert raw.ask(request("/simple/mine/", agent)).status == 200
            etag = raw.ask(request("/simple/mine/", agent)).headers["etag"]
            for _ in range(3):
                assert raw.ask(request("/simple/mine/", agent, f"If-None-Match: {etag}")).status == 304
                assert raw.ask(request(wheel, agent, f'If-None-Match: "{record.sha256}"')).status == 304
                assert raw.ask(request(wheel, agent, method="HEAD"), method="HEAD").status == 200
                assert raw.ask(request(wheel, agent, "Range: bytes=100-")).status == 206
                assert raw.ask(request(wheel, "User-Agent: curl/8.0")).status == 200
            assert raw.ask(request(wheel, agent, "Range: bytes=0-99")).status == 206
            path = sdist_url(url).removeprefix(url)
            for lines in ((agent,), (agent, "Range: bytes=50-"), ("User-Agent: curl/8.0",)):
                assert raw.ask(request(path, *lines)).status == 307
            assert raw.ask(request(path, agent, method="HEAD"), method="HEAD").status == 307
            assert raw.ask(request("/simple/nobody/", agent)).status == 404
    (miss,) = misses(shell)
    assert (miss["count"], miss["target"]) == (1, "cp311-manylinux_2_36_x86_64")
    census = shell.run("targets", "census", "--json").json
    # 9 of /simple/mine/, one of /simple/demo/.
    assert [(one["target"], one["count"]) for one in census["met"]] == [("cp311-manylinux_2_36_x86_64", 10)]
    store = Store(shell.folder / ".farm", render_project, SystemClock())
    downloads = MissBook(store.catalogue.database).downloads(SystemClock().now())
    store.close()
    assert [(one.filename, one.count) for one in downloads] == [(record.filename, 6)]


def test_a_name_that_somebody_made_up_for_a_file_of_the_farms_counts_for_nothing(
    shell: Shell, index: IndexServer, tmp_path: Path, record: WheelRecord
) -> None:
    add_buildable(index, tmp_path)
    shell.write("config.toml", f'targets = ["{HERE}"]\n[images]\nfamily = "debian"\n[demand]\nbuild = "now"\n')
    store = Store(shell.folder / ".farm", render_project, FakeClock())
    elsewhere, verified = Wheelmaker(folder=tmp_path / "elsewhere").make("fork", "1.0")
    store.publish_direct(elsewhere, verified, Direct(url="./fork"))
    store.close()
    folder = f"files/{record.sha256[:2]}/{record.sha256[2:]}"
    agent = said("pip", "25.3", python=sys.version.split()[0]).decode()
    with started(shell) as (url, process):
        # The hash is right, and so the bytes are there; the names are somebody's invention.
        for name in ("demo-1.0.tar.gz", "demo-2.0-py3-none-any.whl"):
            assert get(f"{url}/{folder}/{name}", agent)[0] == 200
        assert get(f"{url}/{folder}/{record.filename}", agent)[0] == 200
        assert get(f"{url}/{file_url(elsewhere.sha256, elsewhere.filename)}", agent)[0] == 200
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
    assert misses(shell) == []
    assert not (shell.folder / ".farm" / "demand").exists()
    store = Store(shell.folder / ".farm", render_project, SystemClock())
    downloads = MissBook(store.catalogue.database).downloads(SystemClock().now())
    store.close()
    # What is on no index has a name of its own, too.
    assert {one.filename: one.count for one in downloads} == {record.filename: 1, elsewhere.filename: 1}


@pytest.mark.parametrize("view", ["", f"/strict/{HERE}"])
def test_sdists_lead_to_upstream_below_a_path_and_behind_tokens(shell: Shell, index: IndexServer, tmp_path: Path, view: str) -> None:
    add_sdist(index, "demo", "1.0", tmp_path)
    serve = 'path-prefix = "/farm"\nread-access = "token"\nstrict-gaps = "list"'
    shell.write("config.toml", f'targets = ["{HERE}"]\n[serve]\n{serve}\n')
    token = shell.run("token", "create", "reader", "--scope", "read").out.strip()
    with started(shell) as (url, _):
        port = int(urlsplit(url).port or 0)
        page = f"{url}{view}/simple/demo/"
        files = json.loads(get(page, Accept=JSON, Authorization=f"Bearer {token}")[1])["files"]
        path = urlsplit(urljoin(page, files[0]["url"])).path
        assert path.startswith("/farm/packages/")
        agent, allowed = f"User-Agent: {PIP}", f"Authorization: Bearer {token}"
        with Raw(socket.create_connection(("127.0.0.1", port))) as raw:
            assert raw.ask(request(path, agent)).status == 401
            for lines, method in (((agent, allowed), "GET"), ((agent, allowed), "HEAD"), ((agent, allowed, "Range: bytes=5-"), "GET")):
                answer = raw.ask(request(path, *lines, method=method), method=method)
                assert (answer.status, answer.headers["cache-control"]) == (307, "no-cache")
                assert answer.headers["location"] == f"{index.url.removesuffix('/simple')}/files/demo/demo-1.0.tar.gz"
    assert [miss["count"] for miss in misses(shell)] == [1]


def test_servers_on_one_store_add_up_and_counts_are_there_while_they_run(shell: Shell, index: IndexServer, tmp_path: Path) -> None:
    add_sdist(index, "demo", "1.0", tmp_path)
    with started(shell) as (one, _), started(shell) as (other, _):
        for url in (one, other, other):
            get(sdist_url(url))
        until = time.monotonic() + 30
        while not (found := misses(shell)) or found[0]["count"] < 3:
            assert time.monotonic() < until, found
            time.sleep(0.2)
    assert [miss["count"] for miss in misses(shell)] == [3]


def test_a_store_that_cannot_be_written_loses_counts_and_no_request(
    shell: Shell, index: IndexServer, tmp_path: Path, record: WheelRecord
) -> None:
    add_sdist(index, "demo", "1.0", tmp_path)
    for path in (shell.folder / ".farm").glob("catalogue.sqlite*"):
        path.unlink()
    (shell.folder / ".farm" / "catalogue.sqlite").mkdir()
    with subprocess.Popen(
        shell.command("serve", "--port", "0"), cwd=shell.folder, env=shell.env, stderr=subprocess.PIPE, text=True
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert "the store cannot be written" in process.stderr.readline()
        url = process.stderr.readline().split()[1].removesuffix("/simple/")
        try:
            for _ in range(3):
                assert get(sdist_url(url))[1] == index.file("demo", "demo-1.0.tar.gz")
        finally:
            process.send_signal(signal.SIGTERM)
            rest = process.stderr.read()
    assert "not counted while the catalogue cannot be written" in rest
    assert "Traceback" not in rest


def test_who_wants_no_counts_gets_none_and_is_told_so(shell: Shell, index: IndexServer, tmp_path: Path) -> None:
    add_buildable(index, tmp_path)
    shell.write("config.toml", f'targets = ["{HERE}"]\n[demand]\ncount = false\n')
    with started(shell) as (url, _):
        pip_download(shell, url, "demo")
        assert sdist_url(url).startswith(index.url.removesuffix("/simple"))
    done = shell.run("misses")
    assert (done.code, done.out) == (0, "")
    assert "demand.count is false" in done.err
    assert "demand.count is false" in shell.run("targets", "census").err


def test_no_address_is_kept(shell: Shell, index: IndexServer, tmp_path: Path) -> None:
    add_sdist(index, "demo", "1.0", tmp_path)
    with started(shell) as (url, _):
        secret = said("pip", "25.3", user_data="secret of somebody").decode()
        get(sdist_url(url), secret)
    assert misses(shell)[0]["count"] == 1
    for path in (shell.folder / ".farm").glob("catalogue.sqlite*"):
        content = path.read_bytes()
        assert b"secret of" not in content
        assert b"127.0.0.1" not in content


def test_the_census_proposes_targets_and_tells_what_no_image_can_build(shell: Shell, index: IndexServer, tmp_path: Path) -> None:
    add_wheel(index, "there", "1.0")
    mac = said("pip", "25.3", cpu="arm64", system={"name": "Darwin"}, distro={"name": "macOS", "version": "14.5"}).decode()
    trixie = said("uv", "0.9.0", python="3.13.5", distro={"name": "Debian", "libc": {"lib": "glibc", "version": "2.41"}}).decode()
    with started(shell) as (url, _):
        for agent in (PIP, mac, trixie, trixie, "poetry/1.8.3 CPython/3.12.3 Linux/6.1"):
            get(f"{url}/simple/there/", agent)
    done = shell.run("targets", "census")
    assert done.code == 0, done.err
    assert '  targets = ["cp311-manylinux_2_36_x86_64", "cp313-manylinux_2_41_x86_64"]\n' in done.out
    found = shell.run("targets", "census", "--json").json
    assert {one["target"]: bool(one["lacking"]) for one in found["proposals"]} == {
        "cp313-manylinux_2_41_x86_64": False, "cp311-macosx_14_0_arm64": True,
    }  # fmt: skip
    assert [(one["target"], one["served"]) for one in found["met"] if one["served"]] == [("cp311-manylinux_2_36_x86_64",) * 2]
    assert (found["total"], found["untold"], found["by_untold"]) == (5, 1, [["poetry 1.8.3", 1]])


@pytest.mark.parametrize("span", ["7 days", "-1d", "", "30m", "1e9d"])
def test_a_span_that_is_none_is_told(shell: Shell, span: str) -> None:
    done = shell.run("misses", "--since", span)
    assert done.code == 2
    assert "expected a span such as 12h, 7d or 4w" in done.err


def test_what_clients_compile_is_built_at_once_by_one_child_for_all_that_wait(shell: Shell, index: IndexServer, tmp_path: Path) -> None:
    add_buildable(index, tmp_path)
    shell.write("config.toml", f'targets = ["{HERE}"]\n[images]\nfamily = "debian"\n[demand]\nbuild = "now"\n')
    with started(shell) as (url, process):
        for _ in range(4):
            get(sdist_url(url), said("pip", "25.3", python=sys.version.split()[0]).decode())
        get(sdist_url(url), said("pip", "25.3", python="3.9.1").decode())
        assert process.stderr is not None
        said_first, said_then = process.stderr.readline(), process.stderr.readline()
        # Nobody has an engine here: the failure is told with where its log is, and not tried again for a while.
        told = process.stderr.readline()
    assert f"building demo 1.0 for {HERE}: clients compiled it 4 times" in said_first
    assert "exit code 4" in said_then
    log = shell.folder / ".farm" / "demand" / f"demo-1.0-{HERE}.log"
    assert str(log) in said_then
    assert "engine" in log.read_text().lower()
    assert "is not there" in told
    assert [path.name for path in log.parent.glob("*.txt")] == [f"demo-1.0-{HERE}.txt"]


def test_a_build_at_once_ends_with_a_server_that_was_killed(shell: Shell, index: IndexServer, tmp_path: Path) -> None:
    add_buildable(index, tmp_path)
    shell.write("config.toml", f'targets = ["{HERE}"]\n[images]\nfamily = "debian"\n[demand]\nbuild = "now"\n')
    # An engine that takes connections and never answers, so that the build has something to wait for.
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(tmp_path / "engine"))
        engine.listen()
        engine.settimeout(60)
        shell.env["DOCKER_HOST"] = f"unix://{tmp_path}/engine"
        with started(shell) as (url, process):
            get(sdist_url(url), said("pip", "25.3", python=sys.version.split()[0]).decode())
            waiting, asked = engine.accept()[0], b""
            while not asked:
                # A first connection only tries whether somebody listens.
                waiting.close()
                waiting = engine.accept()[0]
                asked = waiting.recv(65536)
            with waiting:
                waiting.settimeout(10)
                process.kill()
                process.wait(timeout=30)
                # Its end closes the connection.
                assert not waiting.recv(65536)
