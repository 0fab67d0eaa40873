"""`farm serve` as a process: upstream merged in, behind nginx and a path prefix, with TLS, with tokens, stopping in peace."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import pytest

from farm.adapters.store import Store
from farm.model.page import JSON
from farm.serve.simple import render_project
from tests.fakes.store import FakeClock, Wheelmaker
from tests.functional.conftest import add_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farm.model.attempt import WheelRecord
    from tests.fakes.index_server import IndexServer
    from tests.functional.conftest import Shell


# Debian's is where only root's PATH leads.
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@pytest.fixture
def record(shell: Shell, tmp_path: Path) -> WheelRecord:
    """A wheel of 100 kB in the store of the shell's folder."""
    store = Store(shell.folder / ".farm", render_project, FakeClock())
    record, verified = Wheelmaker(folder=tmp_path / "built").make("my-demo", "1.0", body="# " + "x" * 100_000)
    store.publish(record, verified)
    store.close()
    return record


@contextmanager
def started(shell: Shell, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    with subprocess.Popen(
        shell.command("serve", "--port", "0", *arguments), cwd=shell.folder, env=shell.env, stderr=subprocess.PIPE, text=True
    ) as process:  # fmt: skip
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("serving "), line + process.stderr.read()
        try:
            yield line.split()[1].removesuffix("/simple/"), process
        finally:
            process.send_signal(signal.SIGTERM)
            rest = process.stderr.read()
            process.wait(timeout=20)
            assert "Traceback" not in rest


def get(
    url: str, headers: dict[str, str] | None = None, context: ssl.SSLContext | None = None
) -> tuple[int, dict[str, str], bytes]:
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers or {}), timeout=30, context=context
        ) as reply:
            return reply.status, {k.lower(): v for k, v in reply.headers.items()}, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


def file_of(index: str, project: str = "my-demo") -> tuple[str, dict[str, str]]:
    """Return the URL of a project's first file, and its hashes."""
    page = f"{index}/{project}/"
    entry = json.loads(get(page, {"Accept": JSON})[2])["files"][0]
    return urljoin(page, entry["url"]), entry["hashes"]


def test_each_view_leads_to_the_same_bytes_and_upstreams_files_are_there(
    shell: Shell, index: IndexServer, record: WheelRecord
) -> None:
    add_wheel(index, "there", "1.0")
    with started(shell) as (url, _):
        found = {file_of(f"{url}{view}/simple")[0] for view in ("", "/wheels", "/strict/cp311-manylinux_2_36_x86_64")}
        assert len(found) == 1, found
        (file,) = found
        assert hashlib.sha256(get(file)[2]).hexdigest() == record.sha256
        assert b"there-1.0" in get(f"{url}/simple/there/")[2]
        assert get(f"{url}/wheels/simple/there/")[0] == 404
        status, _, text = get(f"{url}/strict/cp311-linux/simple/there/")
        assert (status, b"cp311" in text) == (404, True)


def test_below_a_prefix_a_proxy_may_cut_it_off_or_hand_it_on(shell: Shell, record: WheelRecord) -> None:
    shell.write("config.toml", '[serve]\npath-prefix = "/py/farm"\n')
    with started(shell) as (url, _):
        root = url.removesuffix("/py/farm")
        assert root != url
        for base in (url, root):
            assert hashlib.sha256(get(file_of(f"{base}/wheels/simple")[0])[2]).hexdigest() == record.sha256
            assert get(f"{base}/health")[0] == 200
            assert f"{url}/simple/".encode() in get(f"{base}/")[2]


def test_forwarded_headers_are_believed_of_trusted_proxies_only(shell: Shell) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "Host": "farm.example"}
    with started(shell) as (url, _):
        assert b"http://farm.example/simple/" in get(f"{url}/", forwarded)[2]
    shell.write("config.toml", '[serve]\ntrusted-proxies = ["127.0.0.0/8"]\n')
    with started(shell) as (url, _):
        assert b"https://farm.example/simple/" in get(f"{url}/", forwarded)[2]


def test_tls_by_certificate_files(shell: Shell, record: WheelRecord, certificate: tuple[Path, Path]) -> None:
    context = ssl.create_default_context(cafile=str(certificate[0]))
    with started(shell, "--tls-certificate", str(certificate[0]), "--tls-key", str(certificate[1])) as (url, _):
        assert url.startswith("https://")
        page = f"{url}/wheels/simple/my-demo/"
        entry = json.loads(get(page, {"Accept": JSON}, context)[2])["files"][0]
        for _ in range(2):
            assert hashlib.sha256(get(urljoin(page, entry["url"]), context=context)[2]).hexdigest() == record.sha256


def test_a_certificate_without_its_key_is_told_and_nothing_is_served(
    shell: Shell, certificate: tuple[Path, Path]
) -> None:
    done = shell.run("serve", "--port", "0", "--tls-certificate", str(certificate[0]))
    assert done.code == 2
    assert str(certificate[0]) in done.err
    assert "tls-key" in done.err


def test_reading_by_token_holds_for_kept_answers_too(shell: Shell, record: WheelRecord) -> None:
    shell.write("config.toml", '[serve]\nread-access = "token"\n')
    secret = shell.run("token", "create", "reader", "--scope", "read").out.strip()
    given = {"Authorization": "Basic " + base64.b64encode(f"__token__:{secret}".encode()).decode(), "Accept": JSON}
    with started(shell) as (url, _):
        page = f"{url}/wheels/simple/my-demo/"
        for _ in range(2):
            status, headers, _ = get(page)
            assert (status, headers["www-authenticate"].split()[0]) == (401, "Basic")
            status, headers, body = get(page, given)
            assert status == 200
        file = urljoin(page, json.loads(body)["files"][0]["url"])
        for name in (file, file + ".metadata"):
            assert get(name)[0] == 401
            assert [get(name, given)[0] for _ in range(3)] == [200] * 3
            assert get(name, given)[1]["cache-control"].startswith("private")
        assert (get(f"{url}/health")[0], get(f"{url}/ready")[0]) == (200, 200)
        assert shell.run("token", "revoke", "reader").code == 0
        assert [get(name, given)[0] for name in (page, file, file + ".metadata")] == [401] * 3


def test_ready_says_when_the_store_cannot_be_read(shell: Shell, record: WheelRecord) -> None:
    serial = shell.folder / ".farm" / "serial"
    with started(shell) as (url, _):
        assert json.loads(get(f"{url}/ready")[2])["status"] == "ok"
        serial.unlink()
        serial.mkdir()
        assert (get(f"{url}/ready")[0], get(f"{url}/health")[0]) == (503, 200)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def nginx(block: str, folder: Path, port: int) -> Iterator[None]:
    """Run nginx with a server block inside a bare http block."""
    folder.mkdir()
    temporary = " ".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    assert "listen 80;" in block
    block = block.replace("listen 80;", f"listen 127.0.0.1:{port};")
    (folder / "nginx.conf").write_text(
        f"daemon off; user root; pid {folder}/pid; error_log {folder}/error.log; events {{ }}\n"
        f"http {{ access_log {folder}/access.log; {temporary}\n{block}\n}}\n"
    )
    with subprocess.Popen(
        [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    ) as process:
        try:
            deadline = time.monotonic() + 10
            while not (folder / "pid").exists() and time.monotonic() < deadline and process.poll() is None:
                time.sleep(0.05)
            assert process.poll() is None, (folder / "error.log").read_text()
            yield
        finally:
            process.terminate()
            process.wait(10)


@pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: nginx-light)")
@pytest.mark.parametrize("prefix", ["", "/py/farm"])
def test_the_printed_nginx_block_works(
    shell: Shell, index: IndexServer, record: WheelRecord, tmp_path: Path, prefix: str
) -> None:
    add_wheel(index, "there", "1.0")
    farm_port, port = _free_port(), _free_port()
    shell.write(
        "config.toml", f'[serve]\nport = {farm_port}\npath-prefix = "{prefix}"\ntrusted-proxies = ["127.0.0.1"]\n'
    )
    block = shell.run("serve", "--print-nginx").out
    base = f"http://127.0.0.1:{port}{prefix}"
    # The last --port counts.
    with nginx(block, tmp_path / "nginx", port), started(shell, "--port", str(farm_port)) as (_, process):
        file, hashes = file_of(f"{base}/simple")
        for name in (file, file + ".metadata"):
            assert get(name)[1].get("server", "").startswith("nginx")
        assert hashlib.sha256(get(file)[2]).hexdigest() == hashes["sha256"] == record.sha256
        assert len(get(file, {"Range": "bytes=10-19"})[2]) == 10
        unknown = file.replace(record.sha256[2:], "0" * 62)
        status, _, text = get(unknown)
        assert (status, b"the farm has no file" in text) == (404, True)
        assert f"http://127.0.0.1:{port}{prefix}/simple/".encode() in get(f"{base}/")[2]
        target = tmp_path / "installed"
        for command in (["uv", "pip", "install", "--no-cache", "--python", sys.executable, "--default-index", f"{base}/simple/"],
                        [sys.executable, "-m", "pip", "install", "--no-cache-dir", "--index-url", f"{base}/simple/"]):  # fmt: skip
            subprocess.run(
                [*command, "--target", str(target), "my-demo", "there"], check=True, capture_output=True, timeout=60,
                env={"PATH": f"{Path(sys.executable).parent}:{shell.env['PATH']}", "HOME": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null"},
            )  # fmt: skip
            assert (target / "my_demo.py").stat().st_size > 100_000
            shutil.rmtree(target)
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        # What nginx has of its own is there without the farm.
        assert hashlib.sha256(get(file)[2]).hexdigest() == record.sha256
        assert get(f"{base}/simple/")[0] == 502
