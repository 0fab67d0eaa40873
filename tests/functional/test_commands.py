"""`farm status`, `log`, `doctor`, `images` and `serve` on a machine without an engine."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import urllib.request
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.fakes.index_server import IndexServer
    from tests.functional.conftest import Shell


def test_status_of_a_new_store_says_that_there_is_nothing_yet(shell: Shell) -> None:
    done = shell.run("status")
    assert (done.code, done.out, "no builds yet" in done.err) == (0, "", True)
    assert shell.run("status", "--json").json == {"schema": 1, "builds": []}


def test_the_log_of_an_unknown_build_says_where_ids_are_found(shell: Shell) -> None:
    done = shell.run("log", "20260101-x")
    assert done.code == 2
    assert "no build with an id that begins with '20260101-x'" in done.err
    assert "farm status" in done.err


def test_doctor_with_a_dead_engine_says_what_to_do(shell: Shell) -> None:
    done = shell.run("doctor")
    assert done.code == 1
    assert "FAULT  engine: expected a Docker engine at unix://" in done.out
    assert "hint: start it with" in done.out
    assert "ok     upstream: http://127.0.0.1" in done.out


def test_doctor_json_holds_the_same_findings(shell: Shell) -> None:
    done = shell.run("doctor", "--json")
    states = {finding["subject"]: finding["state"] for finding in json.loads(done.out)["findings"]}
    assert (done.code, states["engine"], states["upstream"], states["store"]) == (1, "fault", "ok", "ok")


def test_doctor_finds_an_index_that_is_down_and_a_store_that_is_a_file(shell: Shell) -> None:
    shell.write("a-file", "")
    shell.write("config.toml", '[store]\npath = "a-file/store"\n')
    done = shell.run("doctor", PIP_INDEX_URL="http://127.0.0.1:9/simple")
    assert done.code == 1
    assert "FAULT  store:" in done.out
    assert "FAULT  upstream: http://127.0.0.1:9/simple" in done.out


def test_images_without_an_engine_is_exit_code_4(shell: Shell) -> None:
    done = shell.run("images", "list")
    assert (done.code, "expected a Docker engine" in done.err) == (4, True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)])
def test_serve_tells_its_url_answers_at_once_and_stops(shell: Shell, index: IndexServer, number: int, code: int) -> None:
    with subprocess.Popen(
        shell.command("serve", "--port", "0"), cwd=shell.folder, env=shell.env, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        url = line.split()[1].removesuffix("/simple/")
        with urllib.request.urlopen(f"{url}/health", timeout=20) as reply:
            assert (reply.status, json.load(reply)["status"]) == (200, "ok")
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.wait(timeout=20) == code
        assert "Traceback" not in rest
    assert index.requests == []


def test_serve_on_a_taken_port_says_so(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = shell.run("serve", "--port", str(port))
    assert done.code == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in done.err
