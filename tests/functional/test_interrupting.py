"""Ctrl-C once, twice, and a kill: how a run ends, and what is remembered of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from farm.config import load
from farm.wire import Farm
from farm.wire.hands import mark_interrupted
from tests.functional.conftest import REPOSITORY, Done, Shell, add_sdist, add_wheel
from tests.projects.make import Made

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.index_server import IndexServer

DIES = """
import os, signal, sys
from pathlib import Path
from farm.config import load
from farm.model.attempt import Attempt
from farm.model.package import Version
from farm.wire import Farm
farm = Farm(load(Path("config.toml"), home=Path(".")), dict(os.environ))
with farm.store.locks.run(farm.run), farm.rooms.room("20260101-000000-aaaaaa") as room:
    room.log.write_text("gcc -c x.c\\n")
    farm.catalogue.begin(Attempt(id="20260101-000000-aaaaaa", run=farm.run, name="demo", version=Version("1.0"),
        target="cp311-manylinux_2_36_x86_64", state="building", started=farm.clock.now(), ended=None,
        log=farm.rooms.log_path("20260101-000000-aaaaaa")))
    print("begun", flush=True)
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def gaps(shell: Shell, index: IndexServer, tmp_path: Path) -> Shell:
    add_wheel(index, "setuptools", "80.0")
    for name in ("first", "second"):
        add_sdist(index, name, "1.0", tmp_path)
    shell.requirements("first", "second")
    return shell


def interrupted(shell: Shell, folder: Path, how: str, *signals: signal.Signals) -> Done:
    folder.mkdir()
    program = [sys.executable, str(REPOSITORY / "tests/functional/slow_build.py"), str(folder), how]
    with subprocess.Popen(
        program, cwd=shell.folder, env=shell.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        # A run that does not stop must fail the test, not hang it.
        watchdog = threading.Timer(40, process.kill)
        watchdog.start()
        assert process.stdout is not None
        assert process.stdout.readline() == "building\n"
        told = ""
        for number in signals:
            process.send_signal(number)
            assert process.stderr is not None
            while "stopping" not in (line := process.stderr.readline()):
                told += line
                assert line, told
            told += line
        out, err = process.communicate()
        watchdog.cancel()
    assert "Traceback" not in err, err
    return Done(code=process.returncode, out=out, err=told + err)


def summaries(shell: Shell) -> list[str]:
    return [found["state"] for found in shell.run("status", "--json").json["builds"]]


def test_ctrl_c_once_lets_what_runs_finish(gaps: Shell, tmp_path: Path) -> None:
    done = interrupted(gaps, tmp_path / "bench", "patient", signal.SIGINT)
    assert done.code == 130
    assert "Ctrl-C again stops now" in done.err
    assert done.json["summary"] == {"cancelled": 1, "failed": 1}
    assert done.json["exit_code"] == 130
    assert [problem["kind"] for problem in done.json["problems"]] == ["interrupted"]
    assert summaries(gaps) == ["failed"]


@pytest.mark.parametrize("how", ["killed", "gone"])
@pytest.mark.parametrize("signals", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM,)])
def test_ctrl_c_twice_or_sigterm_stops_now_and_blames_no_package(
    gaps: Shell, tmp_path: Path, signals: tuple[signal.Signals, ...], how: str
) -> None:
    done = interrupted(gaps, tmp_path / "bench", how, *signals)
    assert done.code == 130
    assert "stopping now" in done.err
    assert done.json["summary"] == {"cancelled": 2}
    assert done.json["error"] is None
    assert summaries(gaps) == ["interrupted"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_while_a_later_round_is_surveyed_it_tells_what_was_built(
    shell: Shell, index: IndexServer, tmp_path: Path, number: signal.Signals
) -> None:
    add_wheel(index, "setuptools", "80.0")
    index.add(Made(name="demo", version="2.0", metadata_version="1.1").sdist())
    index.fail("/simple/leaf", "stuck")
    shell.requirements("demo")
    began = time.monotonic()
    done = interrupted(shell, tmp_path / "bench", "later", number)
    assert (done.code, done.json["exit_code"], done.json["summary"]) == (130, 130, {"built": 1})
    assert [problem["kind"] for problem in done.json["problems"]] == ["interrupted"]
    assert "stopping now" in done.err
    assert time.monotonic() - began < 20


def test_attempts_of_a_run_that_was_killed_become_interrupted_and_their_logs_stay(shell: Shell) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DIES], cwd=shell.folder, env=shell.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        with Farm(load(shell.folder / "config.toml", home=shell.folder), shell.env) as farm:
            mark_interrupted(farm)
            assert summaries(shell) == ["building"], "a run that lives keeps its attempts"
            process.stdin.close()
            assert process.wait(timeout=30) == -signal.SIGKILL
            room = shell.folder / ".farm/staging/room-20260101-000000-aaaaaa"
            assert room.is_dir()
            mark_interrupted(farm)
            assert not room.exists()
    (found,) = json.loads(shell.run("status", "--json").out)["builds"]
    assert (found["state"], found["summary"]) == ("interrupted", "the farm was stopped while it built this")
    assert shell.run("log", "20260101").out == "gcc -c x.c\n"
