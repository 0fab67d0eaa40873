"""`farm build` as a child process on a real engine, while things go wrong: nothing half-published, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from farm.adapters.pages import PageFiles
from tests.fakes.index_server import IndexServer
from tests.projects.make import Made
from tests.projects.sdist import make_sdist

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.docker, pytest.mark.network]

REPOSITORY = Path(__file__).resolve().parents[2]
TARGET = "cp311-manylinux_2_36_x86_64"
SOCKET = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")


@dataclass(kw_only=True)
class Site:
    """A folder with a config.toml whose index is a loopback server, and `farm` started in it."""

    folder: Path
    index: IndexServer
    engine: Any
    settings: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def host(self, *projects: str) -> None:
        for project in projects:
            path = make_sdist(project, self.folder / "sdists", static=True)
            self.index.add((path.name, path.read_bytes()))

    def want(self, *lines: str) -> None:
        (self.folder / "requirements.txt").write_text("".join(f"{line}\n" for line in lines))
        config = f'targets = ["{TARGET}"]\n[index]\nurl = "{self.index.url}"\n[images]\nfamily = "debian"\n[build]\n'
        config += "".join(f"{key} = {value}\n" for key, value in {"jobs": "2", **self.settings}.items())
        (self.folder / "config.toml").write_text(config)

    def start(self, *options: str) -> subprocess.Popen[str]:
        # `env --default-signal`: a shell that runs the tests in the background has its children ignore SIGINT.
        process = subprocess.Popen(
            ["env", "--default-signal=INT", sys.executable, "-m", "farm", "build", "-r", "requirements.txt", "--json", *options],
            cwd=self.folder, env={**os.environ, "PYTHONPATH": str(REPOSITORY), **self.env}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.started.append(process)
        return process

    def build(self, *options: str) -> tuple[int, dict[str, Any], str]:
        return self.end(self.start(*options))

    def end(self, process: subprocess.Popen[str], seconds: float = 300) -> tuple[int, dict[str, Any], str]:
        out, err = process.communicate(timeout=seconds)
        assert "Traceback" not in err, err
        return process.returncode, json.loads(out) if out.strip() else {}, err

    def states(self, report: dict[str, Any]) -> dict[str, str]:
        return {package["name"]: package["cells"][TARGET]["state"] for package in report["packages"]}

    def attempts(self) -> list[dict[str, Any]]:
        done = subprocess.run(
            [sys.executable, "-m", "farm", "status", "--json", "--limit", "100"], cwd=self.folder, text=True, check=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True,
        )  # fmt: skip
        found = json.loads(done.stdout)["builds"]
        assert isinstance(found, list)
        return found

    def containers(self) -> list[Any]:
        import hashlib  # noqa: PLC0415 - the mark that farm puts on its containers

        mark = hashlib.sha256(str((self.folder / ".farm").absolute()).encode()).hexdigest()[:12]
        found = self.engine.containers.list(all=True, ignore_removed=True, filters={"label": f"farm.store={mark}"})
        assert isinstance(found, list)
        return found

    def wait_for_build(self, process: subprocess.Popen[str], count: int = 1) -> None:
        """Return once so many build containers (not those that only answer questions) are up."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()
            up = [c for c in self.containers() if c.name.startswith("cibuildwheel-") and c.status == "running"]
            if len(up) >= count:
                return
            time.sleep(0.1)
        pytest.fail("no build started within two minutes")

    def listed(self) -> list[Path]:
        return sorted((self.folder / ".farm" / "pages").glob("*.page"))


@pytest.fixture
def site(tmp_path: Path, engine: Any, dependencies: Path) -> Iterator[Site]:
    with IndexServer() as index:
        for wheel in dependencies.glob("*.whl"):
            index.add((wheel.name, wheel.read_bytes()))
        made = Site(folder=tmp_path, index=index, engine=engine)
        yield made
        for process in made.started:
            if process.poll() is None:
                process.kill()
                process.communicate()
        left = made.containers()
        for container in left:
            with suppress(Exception):
                container.remove(force=True)
        assert not left, "containers were left behind"


def test_a_failure_is_diagnosed_and_does_not_stop_the_rest(site: Site) -> None:
    site.host("c", "lacks-header")
    needy = Made(name="needy", version="1.0", requires=("farm-lacks-header",))
    site.index.add(needy.sdist())
    site.want("farm-c==1.0", "farm-lacks-header==1.0", "needy==1.0")
    code, report, _ = site.build("--junit", "junit.xml")
    assert code == 1
    assert site.states(report) == {"farm-c": "built", "farm-lacks-header": "failed", "needy": "blocked"}
    [failed] = [package for package in report["packages"] if package["name"] == "farm-lacks-header"]
    cell = failed["cells"][TARGET]
    assert cell["diagnosis"]["cause"] == "missing-system-header"
    assert "nope.h" in cell["diagnosis"]["line"]
    log = subprocess.run(
        [sys.executable, "-m", "farm", "log", cell["build"]], cwd=site.folder, text=True, capture_output=True, check=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    ).stdout  # fmt: skip
    assert log.splitlines()[cell["diagnosis"]["number"] - 1].strip() == cell["diagnosis"]["line"]
    assert 'failures="1"' in (site.folder / "junit.xml").read_text()


def test_a_build_that_hangs_is_killed_with_its_children(site: Site) -> None:
    site.host("hangs")
    site.settings["time-limit"] = '"15s"'
    site.want("farm-hangs==1.0")
    started = time.monotonic()
    code, report, _ = site.build()
    assert code == 1
    assert site.states(report) == {"farm-hangs": "timed-out"}
    assert time.monotonic() - started < 90
    processes = subprocess.run(["ps", "-e", "-o", "args"], text=True, capture_output=True, check=True).stdout
    assert "farm-hangs-marker" not in processes


def test_an_sdist_that_is_not_what_the_index_promises_is_not_built(site: Site) -> None:
    site.host("c")
    site.index.fail("farm_c-1.0.tar.gz", "wrong-hash")
    site.want("farm-c==1.0")
    code, report, _ = site.build()
    assert code == 1
    assert site.states(report)["farm-c"] in {"refused", "failed"}
    assert "sha256" in json.dumps(report)
    assert site.listed() == []


def test_killed_at_once_and_started_again_it_carries_on(site: Site) -> None:
    site.host("c", "cpp")
    site.want("farm-c==1.0", "farm-cpp==1.0")
    process = site.start()
    site.wait_for_build(process)
    process.kill()
    process.communicate()
    assert site.containers(), "the kill came too late to leave anything behind"
    code, report, _ = site.build()
    assert code == 0
    assert set(site.states(report).values()) <= {"built", "farm-wheel"}
    assert site.containers() == []
    assert "interrupted" in {attempt["state"] for attempt in site.attempts()}
    assert not [path for path in (site.folder / ".farm" / "staging").iterdir() if path.name.startswith("room-")]
    again, report, _ = site.build()
    assert again == 0
    assert set(site.states(report).values()) == {"farm-wheel"}


def test_ctrl_c_once_lets_what_runs_finish_and_starts_nothing_new(site: Site) -> None:
    site.host("c", "cpp", "cython")
    site.settings["jobs"] = "1"
    site.want("farm-c==1.0", "farm-cpp==1.0", "farm-cython==1.0")
    process = site.start()
    site.wait_for_build(process)
    process.send_signal(signal.SIGINT)
    code, report, err = site.end(process)
    assert code == 130
    assert sorted(site.states(report).values()) == ["built", "cancelled", "cancelled"]
    assert "Ctrl-C again" in err
    assert site.containers() == []


def test_ctrl_c_twice_stops_now(site: Site) -> None:
    site.host("hangs-late")
    site.want("farm-hangs-late==1.0")
    process = site.start()
    site.wait_for_build(process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    code, report, _ = site.end(process, seconds=60)
    assert time.monotonic() - started < 30
    assert code == 130
    assert site.states(report) == {"farm-hangs-late": "cancelled"}
    assert site.containers() == []
    assert {attempt["state"] for attempt in site.attempts()} == {"interrupted"}


def test_two_at_once_on_one_store_build_each_job_once(site: Site) -> None:
    site.host("c", "cython")
    site.want("farm-c==1.0", "farm-cython==1.0")
    both = [site.start(), site.start()]
    ends = [site.end(process) for process in both]
    assert [code for code, _, _ in ends] == [0, 0]
    for _, report, _ in ends:
        assert set(site.states(report).values()) <= {"built", "farm-wheel"}
    logs = [(site.folder / ".farm" / attempt["log"]).read_text() for attempt in site.attempts()]
    assert sum("Building wheel..." in log for log in logs) == 2
    pages = PageFiles(site.folder / ".farm")
    assert {name: len(found.files) for name in pages.names() if (found := pages.project(name))} == {"farm-c": 1, "farm-cython": 1}


@contextmanager
def relay(path: Path) -> Iterator[threading.Event]:
    """The engine behind a socket that can be cut: set the event and every connection ends, and no new one is taken."""
    cut = threading.Event()
    open_sockets: list[socket.socket] = []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(SOCKET)
                open_sockets.extend((client, server))
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=pump, args=ends, daemon=True).start()

    def watch() -> None:
        cut.wait()
        for each in (listener, *open_sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for each in (listener, *open_sockets):
            each.close()

    threading.Thread(target=accept, daemon=True).start()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield cut
    finally:
        cut.set()
        watcher.join()


def test_an_engine_that_goes_away_in_the_middle_ends_the_run_with_its_own_code(site: Site) -> None:
    site.host("hangs-late", "c")
    site.settings["jobs"] = "1"
    site.want("farm-hangs-late==1.0", "farm-c==1.0")
    with relay(site.folder / "engine.sock") as cut:
        site.env["DOCKER_HOST"] = f"unix://{site.folder / 'engine.sock'}"
        process = site.start()
        site.wait_for_build(process)
        cut.set()
        code, _, err = site.end(process, seconds=120)
    assert code == 4, err
    assert "engine" in err
    del site.env["DOCKER_HOST"]
    site.want("farm-c==1.0")
    code, report, _ = site.build()
    assert (code, site.states(report)) == (0, {"farm-c": "built"})
    assert site.containers() == [], "what the dead run left is cleared away by the next one"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a small disk")
def test_a_full_disk_says_so_and_publishes_nothing_half(site: Site) -> None:
    site.host("c")
    site.want("farm-c==1.0")
    store = site.folder / ".farm"
    store.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(store)], check=True)
    try:
        code, _, err = site.build("--dry-run")
        assert code == 0, err
        room = os.statvfs(store)
        (store / "ballast").write_bytes(b"x" * max(0, (room.f_bavail - 60) * room.f_frsize))
        code, report, err = site.build()
        assert code in {1, 6}, err
        assert "space" in err + json.dumps(report)
        assert site.listed() == []
        (store / "ballast").unlink()
        code, report, err = site.build()
        assert (code, site.states(report)) == (0, {"farm-c": "built"}), err
    finally:
        subprocess.run(["umount", str(store)], check=True)
