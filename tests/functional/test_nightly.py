"""`farm nightly` as cron runs it: quiet, one at a time, to be killed at any moment, within its budget."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert

from farm.adapters import tables
from farm.adapters.catalogue import Catalogue
from farm.adapters.locks import Locks
from tests.functional.conftest import REPOSITORY, TARGET, Shell, add_sdist, add_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.index_server import IndexServer


def watch(shell: Shell, **sets: str) -> None:
    """Register sets in config.toml, each with the lines of its file; a set of "" has no file."""
    config = (shell.folder / "config.toml").read_text()
    for name, lines in sets.items():
        config += f'[watch.{name}]\nsource = "{name}.txt"\n'
        if lines:
            shell.write(f"{name}.txt", lines)
    shell.write("config.toml", config)


@pytest.fixture
def served(shell: Shell, stocked: IndexServer) -> Shell:
    """Two sets for which everything is there."""
    del stocked
    watch(shell, app="there==1.0\n", tool="needy\n")
    return shell


@pytest.fixture
def gaps(shell: Shell, index: IndexServer, tmp_path: Path) -> Shell:
    """Two sets; `second` is wanted by both, `first` by one."""
    add_wheel(index, "setuptools", "80.0")
    for name in ("first", "second"):
        add_sdist(index, name, "1.0", tmp_path)
    watch(shell, app="first\nsecond\n", tool="second\n")
    return shell


def nights(shell: Shell) -> list[str]:
    """Return the states of the nights, newest first."""
    done = shell.run("report", "--list")
    return [line.split()[2] for line in done.out.splitlines()[1:] if line.startswith("20")]


@contextmanager
def slow(shell: Shell, folder: Path, how: str = "patient", *, budget: float = 0, grace: float = 0) -> Iterator[subprocess.Popen[str]]:
    folder.mkdir()
    program = [sys.executable, str(REPOSITORY / "tests/functional/slow_night.py"), str(folder), how, str(budget), str(grace)]
    with subprocess.Popen(
        program, cwd=shell.folder, env=shell.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        watchdog = threading.Timer(50, process.kill)
        watchdog.start()
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first == "building\n", first + (process.stderr.read() if process.stderr else "")
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
    out, err = process.communicate(timeout=40)
    assert "Traceback" not in err, err
    return process.returncode, json.loads(out.replace("building\n", ""))


def names(items: list[dict[str, Any]]) -> list[str]:
    return [item["name"] for item in items]


def test_nothing_to_do_is_quiet_and_told_when_asked(served: Shell) -> None:
    for _ in range(2):
        done = served.run("nightly")
        assert (done.code, done.out, done.err) == (0, "", "")
    assert nights(served) == ["ended", "ended"]
    told = served.run("report", "--format", "json").json
    assert (told["sets"], told["cells"], told["there"], told["lacking"], told["changed"]) == (2, 2, 2, 0, False)
    shown = served.run("nightly", "--show")
    assert "nothing has changed" in shown.out
    assert served.run("nightly", "--json").json["state"] == "ended"


def test_it_is_told_always_where_that_is_asked_for_and_written_where_it_is_wanted(served: Shell) -> None:
    served.write("config.toml", (served.folder / "config.toml").read_text() + '[nightly]\nreport = "always"\n')
    done = served.run("nightly", "--report", "n.html", "--report", "n.md", "--report", "n.json")
    assert done.code == 0
    assert done.out.startswith("farm nightly: nothing has changed")
    assert (served.folder / "n.html").read_text().startswith("<!doctype html>")
    assert (served.folder / "n.md").read_text().startswith("# farm nightly: nothing has changed")
    assert json.loads((served.folder / "n.json").read_text())["schema"] == 1
    wrong = served.run("nightly", "--report", "n.pdf")
    assert (wrong.code, "ends in .html, .md, .json" in wrong.err) == (2, True)


def test_without_sets_there_is_nothing_to_do(shell: Shell) -> None:
    done = shell.run("nightly")
    assert (done.code, done.out) == (0, "")


def test_a_set_that_cannot_be_read_is_told_and_the_others_go_on(served: Shell) -> None:
    watch(served, lost="")
    done = served.run("nightly")
    assert done.code == 2
    assert "1 unreadable" in done.out
    assert "lost.txt" in done.out
    told = served.run("report", "--format", "json").json
    assert (told["there"], told["new_faults"]) == (2, ["lost"])
    again = served.run("nightly")
    assert (again.code, again.out) == (2, ""), "told once"


def test_a_dry_run_says_what_would_be_done_and_keeps_nothing(gaps: Shell) -> None:
    done = gaps.run("nightly", "--dry-run", "--json")
    assert names(done.json["planned"]) == ["first", "second"]
    assert done.json["dry_run"] is True
    assert nights(gaps) == []
    one = gaps.run("nightly", "--dry-run", "--json", "--budget", "1s").json
    assert (names(one["planned"]), names(one["deferred"])) == (["second"], ["first"]), "two sets want the second"


def test_without_an_engine_it_says_so_and_the_night_is_kept(gaps: Shell) -> None:
    done = gaps.run("nightly")
    assert done.code == 4
    assert "broke off" in done.out
    assert "Docker engine" in done.out
    assert nights(gaps) == ["broken"]


def test_a_second_one_says_which_runs_and_does_nothing(gaps: Shell, tmp_path: Path) -> None:
    with slow(gaps, tmp_path / "bench") as process:
        quiet = gaps.run("nightly")
        assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
        loud = gaps.run("-v", "nightly")
        assert loud.code == 0
        assert f"process {process.pid}, since 20" in loud.err
        assert gaps.run("nightly", "--json").json["running"]["pid"] == process.pid
        assert nights(gaps) == ["running"]
        process.send_signal(signal.SIGINT)
        code, told = ended(process)
    assert (code, told["state"]) == (130, "stopped")
    assert sorted(names(told["failing"]) + names(told["deferred"])) == ["first", "second"]
    assert len(told["failing"]) == 1


def test_one_that_was_killed_is_told_as_such_and_the_next_carries_on(gaps: Shell, tmp_path: Path) -> None:
    with slow(gaps, tmp_path / "bench") as process:
        process.kill()
        process.wait(timeout=20)
    assert nights(gaps) == ["running"]
    resumed = gaps.run("resume")
    assert (resumed.code, "`farm nightly` carries on" in resumed.err) == (0, True)
    with slow(gaps, tmp_path / "another") as process:
        assert nights(gaps) == ["running", "killed"]
        process.send_signal(signal.SIGINT)
        assert ended(process)[0] == 130


def test_when_the_time_is_up_nothing_new_starts_and_what_runs_may_finish(gaps: Shell, tmp_path: Path) -> None:
    with slow(gaps, tmp_path / "bench", budget=3, grace=30) as process:
        code, told = ended(process)
    assert (code, told["state"]) == (1, "ended")
    assert (names(told["failing"]), names(told["deferred"])) == (["second"], ["first"])


def test_after_the_grace_what_still_runs_is_ended_and_left_for_another_night(gaps: Shell, tmp_path: Path) -> None:
    with slow(gaps, tmp_path / "bench", "killed", budget=3, grace=1) as process:
        code, told = ended(process)
    assert (code, told["state"]) == (0, "ended")
    assert names(told["deferred"]) == ["first", "second"]


def test_what_clients_compiled_is_built_though_no_set_wants_it_and_the_more_the_sooner(
    gaps: Shell, index: IndexServer, tmp_path: Path
) -> None:
    add_sdist(index, "third", "1.0", tmp_path)
    gaps.write("config.toml", (gaps.folder / "config.toml").read_text() + '[index]\nttl = "0.1s"\n')
    assert gaps.run("nightly", "--dry-run").code == 0
    now = datetime.now(UTC)
    day = f"{now:%Y-%m-%d}"
    missed = {"day": day, "name": "third", "version": "1.0", "target": TARGET, "client": "pip 25.1", "count": 5, "last": now}
    url = f"sqlite:///{gaps.folder / '.farm/catalogue.sqlite'}"
    with closing(Catalogue(url, Locks(gaps.folder / ".farm/locks"))) as catalogue, catalogue.database.write() as connection:
        connection.execute(insert(tables.misses), [missed])
    told = gaps.run("nightly", "--dry-run", "--json", "--budget", "1s").json
    assert (names(told["planned"]), names(told["deferred"])) == (["third"], ["first", "second"])
    assert (told["sets"], told["unreadable"]) == (2, [])
    del index.projects["third"]
    gone = gaps.run("nightly", "--dry-run", "--json", "--budget", "1s").json
    assert (names(gone["planned"]), gone["unreadable"], gone["code"]) == (["second"], [], 0)
    gaps.write("config.toml", (gaps.folder / "config.toml").read_text() + '[demand]\nbuild = "off"\n')
    assert names(gaps.run("nightly", "--dry-run", "--json").json["planned"]) == ["first", "second"]


def test_an_index_that_is_down_is_told_once_and_makes_nothing_missing(served: Shell, index: IndexServer) -> None:
    served.write("config.toml", (served.folder / "config.toml").read_text() + '[index]\nttl = "0.1s"\n')
    assert served.run("nightly").code == 0
    index.fail("/simple/", "503")
    down = served.run("nightly", "--json")
    assert (down.code, down.json["lacking"], [fault["subject"] for fault in down.json["unreadable"]][-1:]) == (3, 0, ["index"])
    again = served.run("nightly")
    assert (again.code, again.out) == (3, "")
    index.failures.clear()
    assert (served.run("nightly").code, served.run("report", "--format", "json").json["there"]) == (0, 2)


def test_a_report_that_cannot_be_written_keeps_no_other_from_it(served: Shell) -> None:
    (served.folder / "first.md").symlink_to(served.folder / "nowhere" / "first.md")
    done = served.run("nightly", "--report", "first.md", "--report", "second.md")
    assert (done.code, "--report first.md: " in done.err) == (6, True)
    assert "there before" in (served.folder / "second.md").read_text()


def test_the_last_report_of_a_night_that_was_killed_says_so(gaps: Shell, tmp_path: Path) -> None:
    with slow(gaps, tmp_path / "bench") as process:
        process.kill()
        process.wait(timeout=20)
    with slow(gaps, tmp_path / "another"):
        assert "was killed before it could report" in gaps.run("report").out
