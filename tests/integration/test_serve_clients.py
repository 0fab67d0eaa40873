"""The clients' own word: real pip and real uv against the real server on loopback."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import uvicorn

from farm.adapters.clock import SystemClock
from farm.adapters.store import Store
from farm.model.page import JSON
from farm.serve.app import create_app
from farm.serve.simple import render_project
from tests.fakes.store import Wheelmaker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farm.model.attempt import WheelRecord

UV = Path(sys.executable).with_name("uv")


class Farm:
    """A store, a server on it, and clients whose only settings are those given here."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.maker = Wheelmaker(folder=folder / "built")
        home = {"HOME": str(folder / "home"), "PATH": os.environ["PATH"], "TMPDIR": str(folder)}
        self._env = home | {
            "PIP_CONFIG_FILE": os.devnull,
            "UV_NO_CONFIG": "1",
            "UV_CACHE_DIR": str(folder / "uv-cache"),
        }

    def publish(self, name: str, version: str, body: str = "", maker: Wheelmaker | None = None) -> WheelRecord:
        store = Store(self.folder / "store", render_project, SystemClock())
        record, verified = (maker or self.maker).make(name, version, body or f"version = {version!r}\n")
        store.publish(record, verified)
        store.close()
        return record

    def pip(self, command: str, *arguments: str, index: str = "/simple/") -> str:
        """Run pip and return its output; its cache is kept from call to call, as on a developer's machine."""
        options = ["--disable-pip-version-check", "--no-input", "--cache-dir", str(self.folder / "pip-cache")]
        index_options = ["--index-url", self.url + index, "--trusted-host", "127.0.0.1", "--only-binary", ":all:"]
        return self._run([sys.executable, "-m", "pip", command, *options, *index_options, *arguments])

    def uv(self, *arguments: str) -> str:
        place = ["--python", sys.executable, "--no-build", "--no-progress"]
        return self._run([str(UV), "pip", "install", *place, "--default-index", f"{self.url}/simple/", *arguments])

    def _run(self, argv: list[str]) -> str:
        (self.folder / "home").mkdir(exist_ok=True)
        ran = subprocess.run(argv, env=self._env, cwd=self.folder, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def installed(self, target: str, module: str) -> str:
        return (self.folder / target / f"{module}.py").read_text()


@contextmanager
def serving(store: Store) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(create_app({"": store, "/wheels": store}, store), log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with serving(Store(tmp_path / "store", render_project, SystemClock())) as url:
        yield Farm(tmp_path, url)


def test_pip_installs_and_sees_a_new_wheel_at_once(farm: Farm) -> None:
    farm.publish("my-demo", "1.0")
    farm.pip("install", "--target", "one", "My.Demo")
    assert farm.installed("one", "my_demo") == "version = '1.0'\n"
    farm.publish("my-demo", "1.1")
    farm.pip("install", "--target", "two", "my_demo", "--no-deps")
    assert farm.installed("two", "my_demo") == "version = '1.1'\n"


def test_uv_installs_and_sees_a_new_wheel_at_once(farm: Farm) -> None:
    farm.publish("my-demo", "1.0")
    farm.uv("--target", "one", "My.Demo")
    assert farm.installed("one", "my_demo") == "version = '1.0'\n"
    farm.publish("my-demo", "1.1")
    farm.uv("--target", "two", "my_demo")
    assert farm.installed("two", "my_demo") == "version = '1.1'\n"


def test_both_take_the_wheels_only_view_as_an_extra_index(farm: Farm) -> None:
    farm.publish("demo", "1!2.0+local.1")
    wheels = f"{farm.url}/wheels/simple/"
    farm.pip("install", "--target", "pip", "--extra-index-url", wheels, "demo")
    farm.uv("--target", "uv", "--extra-index-url", wheels, "demo==1!2.0+local.1")
    assert farm.installed("pip", "demo") == farm.installed("uv", "demo") == "version = '1!2.0+local.1'\n"


def test_both_pass_over_yanked_and_unsuitable_wheels(farm: Farm) -> None:
    farm.publish("demo", "1.0")
    farm.publish("demo", "2.0", maker=replace(farm.maker, yanked='broken on <ARM> & "others"'))
    farm.publish("demo", "3.0", maker=replace(farm.maker, requires_python=">=3.99"))
    farm.pip("install", "--target", "pip", "demo")
    farm.uv("--target", "uv", "demo")
    assert farm.installed("pip", "demo") == farm.installed("uv", "demo") == "version = '1.0'\n"
    assert 'broken on <ARM> & "others"' in farm.pip("download", "--dest", "dl", "demo==2.0")


def test_a_cutoff_date_reads_the_sdists_time_not_the_builds(farm: Farm) -> None:
    record = farm.publish("demo", "1.0")
    assert record.upload_time is not None
    assert record.upload_time < record.built_at
    farm.uv("--target", "uv", "--exclude-newer", "2026-01-10", "demo")
    assert farm.installed("uv", "demo") == "version = '1.0'\n"


def test_pip_checks_hashes_and_downloads_the_published_bytes(farm: Farm) -> None:
    record = farm.publish("demo", "1.0")
    (farm.folder / "requirements.txt").write_text(f"demo==1.0 --hash=sha256:{record.sha256}\n")
    farm.pip("download", "--dest", "dl", "--require-hashes", "-r", "requirements.txt")
    farm.uv("--target", "uv", "--require-hashes", "-r", "requirements.txt")
    assert hashlib.sha256((farm.folder / "dl" / record.filename).read_bytes()).hexdigest() == record.sha256


def test_a_large_file_arrives_whole_by_parts_and_head(farm: Farm) -> None:
    record = farm.publish("demo", "1.0", body=f"data = '{'x' * 3_500_000}'\n")
    with httpx.Client(base_url=farm.url) as client:
        page = client.get("/simple/demo/", headers={"Accept": JSON})
        assert page.headers["content-encoding"] == "gzip"
        url = str(page.url.join(page.json()["files"][0]["url"]))
        assert client.head(url).headers["content-length"] == str(record.size)
        assert client.head("/simple/demo/").status_code == 200
        first = client.get(url, headers={"Range": "bytes=0-1999999"})
        rest = client.get(url, headers={"Range": "bytes=2000000-", "If-Range": first.headers["etag"]})
        tail = client.get(url, headers={"Range": "bytes=-1000"})
    assert [answer.status_code for answer in (first, rest, tail)] == [206, 206, 206]
    whole = first.content + rest.content
    assert hashlib.sha256(whole).hexdigest() == record.sha256
    assert tail.content == whole[-1000:]
