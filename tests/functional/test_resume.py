"""`farm resume` and the journal, with the real command, engine and signals; only the hands are scripted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from farm.adapters.catalogue import Catalogue
from farm.adapters.journal import Journal
from farm.adapters.locks import Locks
from tests.functional.conftest import REPOSITORY, Shell, add_sdist, add_wheel
from tests.functional.test_interrupting import interrupted

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from tests.fakes.index_server import IndexServer


@pytest.fixture
def gaps(shell: Shell, index: IndexServer, tmp_path: Path) -> Shell:
    add_wheel(index, "setuptools", "80.0")
    for name in ("first", "second"):
        add_sdist(index, name, "1.0", tmp_path)
    shell.requirements("first", "second")
    return shell


def journal(shell: Shell) -> tuple[str, Counter[str]]:
    catalogue = Catalogue(f"sqlite:///{shell.folder / '.farm/catalogue.sqlite'}", Locks(shell.folder / ".farm/locks"))
    book = Journal(catalogue.database)
    last = book.last()
    assert last is not None
    states = book.states(last.id)
    catalogue.close()
    return last.state, states


def test_a_store_without_runs_has_nothing_to_resume(shell: Shell) -> None:
    done = shell.run("resume")
    assert (done.code, done.out) == (0, "")
    assert "nothing to resume: no run has built anything" in done.err
    assert not (shell.folder / ".farm/catalogue.sqlite").exists()


def test_a_stopped_run_is_said_and_carried_on_from_another_folder(gaps: Shell, tmp_path: Path) -> None:
    assert interrupted(gaps, tmp_path / "bench", "patient", signal.SIGINT).code == 130
    state, jobs = journal(gaps)
    assert (state, jobs) == ("stopped", {"failed": 1, "cancelled": 1})
    config = (gaps.folder / "config.toml").read_text()
    away = tmp_path / "away"
    away.mkdir()
    (away / "config.toml").write_text(config.replace('path = ".farm"', f'path = "{gaps.folder}/.farm"') if "path" in config else config)
    done = Shell(folder=away, env={**gaps.env, "FARM_CONFIG": str(gaps.folder / "config.toml")}).run("resume")
    # No engine answers here: the run goes as far as that, with the requirements and options of the one that was stopped.
    assert done.code == 4, done.err
    assert "resuming run " in done.err
    assert "it was stopped by the user; of 2 jobs 1 failed, 1 not begun" in done.err
    assert json.loads(done.out)["summary"] == {"build": 2}, "--json was one of its options"
    assert journal(gaps)[0] == "broken"


def test_a_killed_run_is_resumed_and_one_that_lives_is_not(gaps: Shell, tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    program = [sys.executable, str(REPOSITORY / "tests/functional/slow_build.py"), str(tmp_path / "bench"), "patient"]
    with subprocess.Popen(program, cwd=gaps.folder, env=gaps.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        watchdog = threading.Timer(40, process.kill)
        watchdog.start()
        assert process.stdout is not None
        assert process.stdout.readline() == "building\n"
        alive = gaps.run("resume")
        assert (alive.code, "is still going on" in alive.err) == (2, True)
        process.kill()
        process.wait()
        watchdog.cancel()
    done = gaps.run("resume")
    assert done.code == 4, done.err
    assert "its process is gone; of 2 jobs 1 under way, 1 not begun" in done.err


def test_requirements_from_standard_input_cannot_be_had_again(gaps: Shell) -> None:
    assert gaps.run("build", "-r", "-", stdin="first\n").code == 4
    done = gaps.run("resume")
    assert (done.code, "standard input, which is gone" in done.err) == (2, True)
