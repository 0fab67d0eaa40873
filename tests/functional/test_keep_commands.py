"""`farm fsck`, `farm gc` and `farm export` as commands: exit codes, roots, 410 for what was collected, real clients on a static tree."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name
from uv import find_uv_bin

from farm.adapters.store import Store
from farm.model.keeping import tombstone
from farm.model.page import JSON, file_url
from farm.serve.simple import render_project
from tests.fakes.store import FakeClock, Wheelmaker
from tests.functional.conftest import add_wheel
from tests.functional.test_serve_command import NGINX, get, nginx, started
from tests.functional.upload_server import UploadFarm
from tests.unit.adapters.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from farm.model.attempt import WheelRecord
    from tests.fakes.index_server import IndexServer
    from tests.functional.conftest import Shell

DEMO = canonicalize_name("demo")
CONFIG = 'targets = ["cp311-manylinux_2_36_x86_64"]\n[images]\nfamily = "debian"\n[gc]\nroots = [{roots}]\n'


@dataclass(frozen=True, kw_only=True)
class Site:
    """A store with old wheels of demo (1.0 and 2.0) and other (1.0) in the shell's folder."""

    shell: Shell
    records: dict[str, WheelRecord]

    @property
    def root(self) -> Path:
        return self.shell.folder / ".farm"

    def blob(self, name: str) -> Path:
        digest = self.records[name].sha256
        return self.root / "blobs" / digest[:2] / digest[2:]

    def listed(self) -> set[str]:
        store = Store(self.root, render_project, FakeClock())
        projects = [store.project(name) for name in store.names()]
        store.close()
        return {file.filename for project in projects if project for file in project.files}

    def roots(self, *roots: str) -> None:
        self.shell.write("config.toml", CONFIG.format(roots=", ".join(f'"{root}"' for root in roots)))


@pytest.fixture
def site(shell: Shell, tmp_path: Path) -> Site:
    store = Store(shell.folder / ".farm", render_project, FakeClock())
    records = {}
    for name, version in (("demo", "1.0"), ("demo", "2.0"), ("other", "1.0")):
        record, verified = Wheelmaker(folder=tmp_path / "built").make(
            name, version, body=f"VERSION = {version!r}\n" + PADDING.get(version, "")
        )
        store.publish(record, verified)
        records[f"{name}-{version}"] = record
    store.close()
    made = Site(shell=shell, records=records)
    for name in records:
        os.utime(made.blob(name), (0, 0))
    return made


def test_fsck_tells_by_its_exit_code_and_mends(site: Site) -> None:
    assert site.shell.run("fsck").code == 0
    (site.root / "pages" / "demo.page").write_bytes(b"nonsense")
    done = site.shell.run("fsck", "--json")
    assert (done.code, [damage["kind"] for damage in done.json["damages"]]) == (1, ["page-damaged"])
    assert site.shell.run("fsck").code == 1
    done = site.shell.run("fsck", "--fix")
    assert done.code == 0
    assert "(mended)" in done.out
    assert site.shell.run("fsck").code == 0
    assert len(site.listed()) == 3


def test_fsck_takes_lost_wheels_off_and_says_how_to_have_them_again(site: Site) -> None:
    site.blob("demo-1.0").unlink()
    done = site.shell.run("fsck", "--fix")
    assert done.code == 1
    assert "echo 'demo==1.0' | farm build --target cp311-manylinux_2_36_x86_64 -r -" in done.out
    assert site.shell.run("fsck", "--sample", "50%").code == 0
    assert site.records["demo-1.0"].filename not in site.listed()


@pytest.mark.parametrize("options", [("--sample", "0%"), ("--sample", "101"), ("--since", "soon")])
def test_fsck_refuses_what_makes_no_sense(site: Site, options: tuple[str, str]) -> None:
    assert site.shell.run("fsck", *options).code == 2


@pytest.mark.parametrize("command", ["fsck", "gc", "export out"])
def test_without_a_store_nothing_is_made(shell: Shell, command: str) -> None:
    done = shell.run(*command.split())
    assert done.code == 2
    assert not (shell.folder / ".farm").exists()


def test_a_dry_run_says_what_the_run_then_does(site: Site) -> None:
    site.shell.write("pylock.toml", LOCK.format(version="2.0"))
    site.roots("pylock.toml")
    dry = site.shell.run("gc", "--dry-run", "--json").json
    assert len(site.listed()) == 3
    real = site.shell.run("gc", "--json").json
    assert real["steps"] == dry["steps"]
    assert {step["subject"] for step in real["steps"]} == {
        site.records[name].filename for name in ("demo-1.0", "other-1.0")
    }
    assert site.listed() == {site.records["demo-2.0"].filename}
    assert site.shell.run("fsck").code == 0


# Large files are sent by another way than small ones.
PADDING = {"1.0": "# " + "x" * 100_000}
LOCK = """lock-version = "1.0"
created-by = "test"
[[packages]]
name = "demo"
version = "{version}"
[[packages.wheels]]
name = "demo-{version}-py3-none-any.whl"
url = "https://files.example/demo-{version}-py3-none-any.whl"
hashes = {{sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}
"""


def test_requirements_keep_what_they_lead_to_though_they_do_not_name_it(site: Site, index: IndexServer) -> None:
    add_wheel(index, "app", "1.0", requires=("demo<2",))
    add_wheel(index, "demo", "1.0")
    (site.shell.folder / "apps").mkdir()
    site.shell.write("apps/a.txt", "app\n")
    site.roots("apps/*.txt")
    done = site.shell.run("gc")
    assert done.code == 0, done.err
    assert site.listed() == {site.records["demo-1.0"].filename}


@pytest.mark.parametrize(
    ("roots", "code"),
    [("missing.txt", 2), ("apps/*.txt", 2), ("bad.txt", 2), ("broken.toml", 2), ("asks.txt", 3), ("absent.txt", 2)],
)
def test_a_root_that_cannot_be_read_stops_everything(site: Site, index: IndexServer, roots: str, code: int) -> None:
    site.shell.write("bad.txt", "demo===\n&&&\n")
    site.shell.write("broken.toml", "lock-version = '1.0'\n[[packages\n")
    site.shell.write("asks.txt", "demo\n")
    site.shell.write("absent.txt", "no-such-project==1.0\n")
    site.shell.write("good.txt", "")
    site.roots("good.txt", roots)
    done = site.shell.run("gc", PIP_INDEX_URL="http://127.0.0.1:9/simple/" if code == 3 else index.url)
    assert done.code == code, done.err + done.out
    assert len(site.listed()) == 3


def test_without_roots_no_wheel_is_collected(site: Site) -> None:
    done = site.shell.run("gc", "--keep-days", "0")
    assert done.code == 0
    assert "no gc.roots" in done.err
    assert len(site.listed()) == 3


def test_the_server_says_gone_and_why(site: Site) -> None:
    site.shell.write("pylock.toml", LOCK.format(version="2.0"))
    site.shell.write("config.toml", CONFIG.format(roots='"pylock.toml"') + "grace = 0\n")
    record = site.records["demo-1.0"]
    with started(site.shell) as (url, _):
        path = file_url(record.sha256, record.filename)
        assert [get(f"{url}/{path}")[0] for _ in range(3)] == [200] * 3
        for _ in range(2):
            # What was just read counts as used.
            assert site.shell.run("gc", "--keep-days", "0").code == 0
        assert not site.blob("demo-1.0").exists()
        status, _, body = get(f"{url}/{path}")
        assert status == 410
        assert "farm build" in body.decode()
        assert get(f"{url}/{path}.metadata")[0] == 410
        page = json.loads(get(f"{url}/wheels/simple/demo/", {"Accept": JSON})[2])
        assert [file["filename"] for file in page["files"]] == [site.records["demo-2.0"].filename]
        assert get(f"{url}/wheels/simple/other/")[0] == 404
        names = json.loads(get(f"{url}/wheels/simple/", {"Accept": JSON})[2])["projects"]
        assert names == [{"name": "demo"}]


def install(site: Site, url: str, folder: Path, *, client: str) -> str:
    """Install demo from nothing but `url`, and return what was installed."""
    target = folder / f"{client}-target"
    env = {name: value for name, value in site.shell.env.items() if not name.startswith("PIP_")} | {
        "PIP_CONFIG_FILE": os.devnull
    }
    if client == "pip":
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--no-cache-dir",
            "--index-url",
            url,
            "--target",
            str(target),
            "demo",
        ]
    else:
        command = [
            find_uv_bin(),
            "pip",
            "install",
            "--no-cache",
            "--python",
            sys.executable,
            "--default-index",
            url,
            "--target",
            str(target),
            "demo",
        ]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return (target / "demo.py").read_text()


@contextmanager
def plain_server(folder: Path) -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline().split(" port ")[1].split()[0])
        finally:
            process.terminate()


@pytest.mark.parametrize("client", ["pip", "uv"])
def test_clients_install_from_any_static_server(site: Site, tmp_path: Path, client: str) -> None:
    done = site.shell.run("export", "out", "--json")
    assert (done.code, done.json["projects"], done.json["files_written"], done.json["bytes_copied"]) == (0, 2, 3, 0)
    with plain_server(site.shell.folder / "out") as port:
        assert install(site, f"http://127.0.0.1:{port}/simple/", tmp_path, client=client) == "VERSION = '2.0'\n"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def ask(port: int, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        reply = connection.getresponse()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
    finally:
        connection.close()


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_nginx_serves_the_tree_with_negotiation_and_clients_install(site: Site, tmp_path: Path) -> None:
    assert site.shell.run("export", "out").code == 0
    out = site.shell.folder / "out"
    for folder in (tmp_path, site.shell.folder, out):
        folder.chmod(0o755)
    port = free_port()
    with nginx((out / "nginx.conf").read_text(), tmp_path / "nginx", port):
        for accept, kind, file in (
            ("*/*", "text/html", "index.html"),
            (
                "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01",
                JSON,
                "index.v1_json",
            ),
            ("application/vnd.pypi.simple.v1+html", "application/vnd.pypi.simple.v1+html", "index.v1_html"),
        ):
            for page in ("/simple/", "/simple/demo/"):
                status, headers, body = ask(port, page, Accept=accept)
                assert (status, headers["content-type"].split(";")[0]) == (200, kind)
                assert body == (out / page[1:] / file).read_bytes()
                assert headers["vary"] == "Accept, Accept-Encoding"
                status, headers, body = ask(port, page, Accept=accept, Accept_Encoding="gzip")
                assert (headers["content-encoding"], headers["content-type"].split(";")[0]) == ("gzip", kind)
                assert body == (out / page[1:] / f"{file}.gz").read_bytes()
                assert ask(port, page, Accept=accept, Accept_Encoding="gzip", If_None_Match=headers["etag"])[0] == 304
        record = site.records["demo-1.0"]
        path = "/" + file_url(record.sha256, record.filename)
        status, headers, body = ask(port, path)
        assert (status, hashlib.sha256(body).hexdigest()) == (200, record.sha256)
        assert "immutable" in headers["cache-control"]
        assert hashlib.sha256(ask(port, f"{path}.metadata")[2]).hexdigest() == record.metadata_sha256
        assert (ask(port, path, Range="bytes=0-9")[0], ask(port, "/simple/demo")[1]["location"]) == (
            206,
            "/simple/demo/",
        )
        assert [ask(port, gone)[0] for gone in ("/.farm-export.json", "/nginx.conf", "/simple/absent/", "/files/")] == [
            404
        ] * 4
        for client in ("pip", "uv"):
            assert install(site, f"http://127.0.0.1:{port}/simple/", tmp_path, client=client) == "VERSION = '2.0'\n"


def test_the_merged_view_has_upstreams_files_too(site: Site, index: IndexServer) -> None:
    add_wheel(index, "demo", "3.0")
    done = site.shell.run("export", "out", "--view", "merged")
    assert done.code == 0, done.err
    page = json.loads((site.shell.folder / "out" / "simple" / "demo" / "index.v1_json").read_bytes())
    urls = {file["filename"]: file["url"] for file in page["files"]}
    assert urls[site.records["demo-1.0"].filename].startswith("../../files/")
    with urllib.request.urlopen(urls["demo-3.0-py3-none-any.whl"], timeout=10) as reply:
        assert reply.status == 200


def test_files_can_be_elsewhere(site: Site) -> None:
    assert site.shell.run("export", "out", "--base-url", "https://bucket.example/index").code == 0
    page = json.loads((site.shell.folder / "out" / "simple" / "demo" / "index.v1_json").read_bytes())
    record = site.records["demo-1.0"]
    assert page["files"][0]["url"] == f"https://bucket.example/index/{file_url(record.sha256, record.filename)}"
    assert site.shell.run("export", "out", "--base-url", "bucket").code == 2
    assert site.shell.run("export", ".").code == 2


def test_an_upload_brings_the_same_file_back_and_no_other(tmp_path: Path) -> None:
    for folder in ("same", "other"):
        (tmp_path / folder).mkdir()
    wheel = make_wheel(tmp_path / "same", "demo", {"m.py": b"A = 1"})
    other = make_wheel(tmp_path / "other", "demo", {"m.py": b"A = 2"})
    with UploadFarm(root=tmp_path / "store") as farm:
        assert farm.wheel(wheel).status == 200
        record = farm.store.catalogue.wheel(wheel.name)
        assert record is not None
        farm.store.unlist([tombstone(record, "collected", record.built_at)])
        assert farm.listed("demo") == []
        refused = farm.wheel(other)
        assert refused.status == 400
        assert "File already exists" in refused.text
        assert record.sha256 in refused.text
        assert farm.wheel(wheel).status == 200
        assert farm.listed("demo") == [wheel.name]
