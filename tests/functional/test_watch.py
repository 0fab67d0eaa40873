"""`farm watch` as a child process: files, URLs and git repositories that come, change, break and come back."""

from __future__ import annotations

import functools
import json
import os
import signal
import sqlite3
import subprocess
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from farm.config import load
from farm.wire import Farm
from farm.wire.watch import look, sets
from tests.fakes.repositories import Repository, static
from tests.functional.conftest import TARGET, add_sdist, add_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.index_server import IndexServer
    from tests.functional.conftest import Shell


@pytest.fixture
def ready(stocked: IndexServer, shell: Shell) -> Shell:
    """Pages are asked for again in each look, as a day later."""
    shell.write("config.toml", f'targets = ["{TARGET}"]\n[index]\nttl = 0.001\n')
    shell.requirements("there==1.0", "gap==1.0")
    assert stocked.url
    return shell


@pytest.fixture
def files(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the URL under which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def config(shell: Shell, *tables: str) -> None:
    shell.write("config.toml", f'targets = ["{TARGET}"]\n[index]\nttl = 0.001\n' + "\n".join(tables))


def wanted(shell: Shell, name: str) -> set[str]:
    found = shell.run("watch", "show", name, "--json").json
    return {f"{cell['name']} {cell['version']}: {cell['state']}" for cell in found["cells"]}


def test_a_set_is_added_listed_looked_at_shown_and_removed(ready: Shell) -> None:
    added = ready.run("watch", "add", "requirements.txt", "--name", "shop")
    assert (added.code, added.err) == (0, "")
    assert added.out.startswith("shop: registered: 2 requirements in ")
    listed = ready.run("watch", "list").out
    assert "shop" in listed
    assert "never" in listed
    checked = ready.run("watch", "check")
    assert checked.code == 1
    assert f"gap 1.0 for {TARGET}: BUILD: sdist only" in checked.out
    assert "1 of 2 wheels of 1 set are there; 1 to build" in checked.out
    assert wanted(ready, "shop") == {"gap 1.0: build", "there 1.0: upstream-wheel"}
    assert "1 of 2" in ready.run("watch", "list").out
    assert ready.run("watch", "remove", "shop").code == 0
    assert ready.run("watch", "list", "--json").json["sets"] == []
    lost = ready.run("watch", "remove", "shop")
    assert (lost.code, "expected a watch set's name, found none such" in lost.err) == (2, True)


def test_a_dry_run_registers_nothing_and_a_mistake_is_told_at_once(ready: Shell) -> None:
    assert "would be registered" in ready.run("watch", "add", "requirements.txt", "--dry-run").out
    assert ready.run("watch", "list", "--json").json["sets"] == []
    for source, told in (
        ("nope.txt", "found nothing there"),
        ("http://127.0.0.1:9/r.txt", "127.0.0.1:9"),
        ("ftp://host/r.txt", "found ftp:"),
        ("git+file:///nowhere/at/all", "git could not fetch"),
    ):
        done = ready.run("watch", "add", source)
        assert done.code in {2, 3}, source
        assert told in done.err
    ready.write("wrong.txt", "there==1.0\n???\n")
    assert "wrong.txt:2:1" in ready.run("watch", "add", "wrong.txt").err
    assert "unknown target" in ready.run("watch", "add", "requirements.txt", "--target", "cp3xx").err


def test_names_come_from_what_tells_most_and_clash_with_a_solution(ready: Shell) -> None:
    assert ready.run("watch", "add", "requirements.txt").out.startswith("project: registered")
    again = ready.run("watch", "add", "requirements.txt")
    assert again.code == 2
    assert "choose another one with --name" in again.err
    config(ready, '[watch.project]\nsource = "requirements.txt"\n')
    both = ready.run("watch", "check")
    assert both.code == 2
    assert "watch set project: expected it in one place" in both.err


def test_sets_of_config_toml_count_from_its_folder_and_patterns_are_read_file_by_file(stocked: IndexServer, ready: Shell) -> None:
    assert stocked.url
    for name, version in (("a", "1.0"), ("b", "2.0")):
        (ready.folder / "apps" / name).mkdir(parents=True)
        ready.write(f"apps/{name}/requirements.txt", f"there=={version}\n")
    config(ready, '[watch.apps]\nsource = "apps/*/requirements.txt"\n')
    done = ready.run("watch", "check", "--json")
    assert done.code == 0, done.err
    assert wanted(ready, "apps") == {"there 1.0: upstream-wheel", "there 2.0: upstream-wheel"}
    assert ready.run("watch", "remove", "apps").err.count("it stands in config.toml") == 1


def test_a_set_that_breaks_keeps_what_it_wanted_and_the_others_go_on(ready: Shell) -> None:
    ready.write("other.txt", "elsewhere==1.0\n")
    for name in ("requirements", "other"):
        assert ready.run("watch", "add", f"{name}.txt", "--name", name).code == 0
    ready.run("watch", "check")
    before = wanted(ready, "requirements")
    ready.requirements("there==1.0", "gap 1.0")
    ready.write("other.txt", "there==2.0\n")
    done = ready.run("watch", "check", "--json")
    assert done.code == 2
    states = {each["name"]: each["look"]["error"] for each in done.json["sets"]}
    assert states["other"] == ""
    assert "requirements.txt:2" in states["requirements"]
    assert "to do: " in states["requirements"]
    assert wanted(ready, "requirements") == before
    assert wanted(ready, "other") == {"there 2.0: upstream-wheel"}
    assert [job["sets"] for job in done.json["jobs"]] == [], "what could not be read today is not planned"
    (ready.folder / "requirements.txt").unlink()
    assert "found nothing there" in ready.run("watch", "check").out
    assert wanted(ready, "requirements") == before
    ready.requirements("there==1.0")
    assert ready.run("watch", "check").code == 0
    assert wanted(ready, "requirements") == {"there 1.0: upstream-wheel"}


def test_an_index_that_is_down_makes_nothing_missing(stocked: IndexServer, ready: Shell) -> None:
    ready.requirements("there==1.0", "needy==1.0")
    ready.run("watch", "add", "requirements.txt", "--name", "shop")
    assert ready.run("watch", "check").code in {0, 7}
    ready.requirements("there==1.0")
    assert ready.run("watch", "check").code == 0
    stocked.fail("/simple/", "404", 0)
    stocked.fail("/simple/there/", "500")
    done = ready.run("watch", "check", "--json")
    assert done.code == 3
    assert {cell["state"] for cell in done.json["missing"]} == {"unknown"}
    assert done.json["jobs"] == []
    stocked.failures.clear()
    assert ready.run("watch", "check").code == 0


def test_an_unchanged_look_asks_once_for_each_project_whatever_sets_want_it(stocked: IndexServer, ready: Shell) -> None:
    ready.requirements("there==1.0")
    for name in ("one", "two", "three"):
        ready.run("watch", "add", "requirements.txt", "--name", name)
    first = ready.run("watch", "check")
    stocked.requests.clear()
    second = ready.run("watch", "check")
    assert stocked.requests == ["/simple/there/"]
    assert second.out.rsplit("(", 1)[0] == first.out.rsplit("(", 1)[0]
    add_wheel(stocked, "there", "1.0", f"cp311-cp311-{TARGET.partition('-')[2]}")
    ready.run("watch", "check")
    with sqlite3.connect(ready.folder / ".farm/catalogue.sqlite") as catalogue:
        found = catalogue.execute("SELECT file FROM cells").fetchall()
    assert found == [(f"there-1.0-cp311-cp311-{TARGET.partition('-')[2]}.whl",)], "a better wheel on the page is seen"


def test_a_release_that_no_set_could_take_changes_nothing_and_one_that_it_could_is_seen(stocked: IndexServer, ready: Shell) -> None:
    ready.requirements("there==1.0")
    ready.write("loose.txt", "there\n")
    ready.run("watch", "add", "requirements.txt", "--name", "pinned")
    ready.run("watch", "add", "loose.txt", "--name", "loose")
    ready.run("watch", "check")
    add_wheel(stocked, "there", "3.0")
    for _ in range(2):
        told = ready.run("-v", "watch", "check").err
        assert "pinned: looking" not in told
    assert wanted(ready, "loose") == {"there 3.0: upstream-wheel"}
    assert "loose: looking" not in told
    add_wheel(stocked, "there", "1.0+local.1")
    assert "pinned: looking" in ready.run("-v", "watch", "check").err
    assert wanted(ready, "pinned") == {"there 1.0+local.1: upstream-wheel"}


def test_a_gap_of_several_unchanged_sets_stays_one_job_with_all_its_users(ready: Shell) -> None:
    for name in ("one", "two"):
        ready.run("watch", "add", "requirements.txt", "--name", name)
    for _ in range(3):
        jobs = ready.run("watch", "check", "--json").json["jobs"]
        assert jobs == [{"id": f"gap-1.0-{TARGET}", "sets": ["one", "two"]}]
    assert ready.run("watch", "check", "two", "--json").json["jobs"] == [{"id": f"gap-1.0-{TARGET}", "sets": ["two"]}]


def test_a_file_behind_a_url_is_read_anew_at_each_look(ready: Shell, files: tuple[Path, str]) -> None:
    folder, url = files
    (folder / "requirements.txt").write_text("-r base.txt\n")
    (folder / "base.txt").write_text("there==1.0\n")
    assert ready.run("watch", "add", f"{url}/requirements.txt", "--name", "web").code == 0
    assert ready.run("watch", "check").code == 0
    assert wanted(ready, "web") == {"there 1.0: upstream-wheel"}
    (folder / "base.txt").write_text("there==2.0\n")
    ready.run("watch", "check")
    assert wanted(ready, "web") == {"there 2.0: upstream-wheel"}
    (folder / "base.txt").unlink()
    done = ready.run("watch", "check")
    assert done.code == 2
    assert "base.txt" in done.out
    assert wanted(ready, "web") == {"there 2.0: upstream-wheel"}


def test_a_repository_is_followed_by_branch_folder_and_lock(ready: Shell, tmp_path: Path) -> None:
    team = Repository(folder=tmp_path / "team")
    first = team.commit({"backend/requirements.txt": "there==1.0\n", "backend/requirements-dev.txt": "elsewhere==1.0\n", "x.txt": ""})
    added = ready.run("watch", "add", f"{team.url}@main#backend")
    assert (added.code, added.err.count("Traceback")) == (0, 0), added.err
    assert added.out.startswith("backend: registered: 2 requirements")
    ready.run("watch", "check")
    assert {line.split(":")[0] for line in wanted(ready, "backend")} == {"there 1.0", "elsewhere 1.0"}
    team.commit({"backend/requirements.txt": "there==2.0\n"})
    ready.run("watch", "check")
    assert {line.split(":")[0] for line in wanted(ready, "backend")} == {"there 2.0", "elsewhere 1.0"}
    ready.run("watch", "add", f"{team.url}@{first}#subdirectory=backend/requirements.txt", "--name", "pinned")
    ready.run("watch", "check", "pinned")
    assert wanted(ready, "pinned") == {"there 1.0: upstream-wheel"}
    lost = ready.run("watch", "add", f"{team.url}#frontend")
    assert (lost.code, "frontend: expected a file or a folder, found nothing there" in lost.err) == (2, True)
    (tmp_path / "team").rename(tmp_path / "gone")
    assert "git could not fetch" in ready.run("watch", "check", "backend").out
    assert {line.split(":")[0] for line in wanted(ready, "backend")} == {"there 2.0", "elsewhere 1.0"}


def test_a_project_whose_repository_is_down_is_unknown_and_stays_wanted(ready: Shell, tmp_path: Path) -> None:
    ours = Repository(folder=tmp_path / "ours")
    ours.commit(static("ours", "1.0"))
    ready.requirements(f"ours @ {ours.url}", "there==1.0")
    ready.run("watch", "add", "requirements.txt", "--name", "shop")
    ready.run("watch", "check")
    assert wanted(ready, "shop") == {"ours 1.0: build", "there 1.0: upstream-wheel"}
    (tmp_path / "ours").rename(tmp_path / "gone")
    done = ready.run("watch", "check")
    assert done.code == 3
    assert "git could not fetch" in done.out
    assert wanted(ready, "shop") == {"ours 1.0: unknown", "there 1.0: upstream-wheel"}


def test_a_target_without_a_solution_keeps_what_was_wanted_for_it(ready: Shell) -> None:
    ready.requirements("there")
    ready.run("watch", "add", "requirements.txt", "--name", "shop")
    ready.run("watch", "check")
    ready.requirements("there>5")
    done = ready.run("watch", "check")
    assert done.code == 7
    assert wanted(ready, "shop") == {"there 2.0: upstream-wheel"}


def test_a_repository_reads_nothing_of_this_machine(ready: Shell, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("hunter2 is the password\n")
    evil = Repository(folder=tmp_path / "evil")
    evil.commit({"a/requirements.txt": f"-r {secret}\n", "b/x": ""})
    (evil.folder / "b/requirements.txt").symlink_to(secret)
    evil.commit({})
    for folder in ("a", "b", "b/requirements.txt", "../../secret.txt"):
        done = ready.run("watch", "add", f"{evil.url}#{folder}")
        assert done.code == 2, folder
        assert "hunter2" not in done.out + done.err
        assert "of the repository" in done.err


def test_credentials_are_shown_nowhere(ready: Shell) -> None:
    config(ready, '[watch.team]\nsource = "git+http://me:hunter2@127.0.0.1:9/team.git#backend"\n')
    told = [ready.run("watch", *words) for words in (("list",), ("list", "--json"), ("check",), ("check", "--json"), ("show", "team"))]
    assert all("hunter2" not in done.out + done.err for done in told)
    assert "git+http://***@127.0.0.1:9/team.git#backend" in told[0].out


def test_what_a_set_wants_is_kept_by_gc_also_when_it_cannot_be_read(ready: Shell) -> None:
    ready.requirements("there==1.0")
    ready.run("watch", "add", "requirements.txt", "--name", "shop")
    unread = ready.run("gc", "--dry-run")
    assert unread.code == 2
    assert "watch set shop: nothing is collected, as it was never read" in unread.err
    ready.run("watch", "check")
    (ready.folder / "requirements.txt").unlink()
    ready.run("watch", "check")
    done = ready.run("gc", "--dry-run", "--json")
    assert done.code == 0
    assert done.json["roots"] == ["watch set shop"]


def test_sets_with_an_index_of_their_own_read_from_that(stocked: IndexServer, ready: Shell, tmp_path: Path) -> None:
    from tests.fakes.index_server import IndexServer as Server  # noqa: PLC0415 - its only use at run time

    with Server() as private:
        add_wheel(private, "inner", "1.0")
        add_sdist(private, "there", "1.0", tmp_path)
        ready.requirements(f"--index-url {private.url}", "inner==1.0", "there==1.0")
        ready.write("plain.txt", "there==1.0\n")
        ready.run("watch", "add", "requirements.txt", "--name", "private")
        ready.run("watch", "add", "plain.txt", "--name", "plain")
        done = ready.run("watch", "check", "--json")
    counts = {each["name"]: each["counts"] for each in done.json["sets"]}
    assert counts["plain"] == {"upstream-wheel": 1}
    assert counts["private"]["upstream-wheel"] == 1
    assert counts["private"].keys() - {"upstream-wheel"} <= {"build", "refused", "unknown"}
    assert stocked.asked("/simple/inner") == 0


def test_a_look_that_is_killed_leaves_a_catalogue_that_the_next_one_completes(ready: Shell) -> None:
    ready.requirements("there==1.0", "gap==1.0")
    for number in range(8):
        ready.run("watch", "add", "requirements.txt", "--name", f"set-{number}")
    for delay in (0.3, 0.5, 0.7, 0.9, 1.1):
        process = subprocess.Popen(
            ready.command("watch", "check"), cwd=ready.folder, env=ready.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with sqlite3.connect(ready.folder / ".farm/catalogue.sqlite") as catalogue:
            assert catalogue.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            looked = dict(catalogue.execute("SELECT name, pins FROM watch_states"))
            counted = dict(catalogue.execute("SELECT watch, count(*) FROM wanted GROUP BY watch"))
        assert looked == counted, "a look and what it found are written together"
    done = ready.run("watch", "check", "--json")
    assert done.code == 1
    assert {json.dumps(each["counts"]) for each in done.json["sets"]} == {'{"build": 1, "upstream-wheel": 1}'}


def test_a_set_that_is_registered_and_read_during_a_look_at_all_is_not_forgotten(ready: Shell) -> None:
    ready.requirements("there==1.0")
    ready.write("other.txt", "there==1.0\n")
    ready.run("watch", "add", "requirements.txt", "--name", "shop")
    with Farm(load(ready.folder / "config.toml", home=ready.folder), ready.env) as farm:

        def meanwhile(_subject: str, _text: str) -> None:
            if len(farm.records.watches.registered()) == 1:
                assert ready.run("watch", "add", "other.txt", "--name", "late").code == 0
                assert ready.run("watch", "check", "late").code == 0

        look(farm, sets(farm), meanwhile)
    assert ready.run("watch", "show", "late", "--json").json["look"] is not None
    assert ready.run("gc", "--dry-run").code == 0


def test_a_password_beside_a_variable_that_is_not_set_is_shown_nowhere(ready: Shell) -> None:
    source = "https://me:hunter2@files.invalid/${NOBODY_SETS_THIS}/requirements.txt"
    added = ready.run("watch", "add", source, "--name", "shop")
    assert "NOBODY_SETS_THIS" in added.err
    assert "hunter2" not in added.out + added.err


@pytest.mark.parametrize("command", ["campaign", "backfill"])
def test_an_index_that_is_down_is_an_exit_code_of_its_own(stocked: IndexServer, ready: Shell, command: str) -> None:
    ready.requirements("there==1.0")
    ready.run("watch", "add", "requirements.txt", "--name", "shop")
    assert ready.run("watch", "check").code == 0
    ready.run("campaign", "new", "--target", TARGET, "--name", "next")
    stocked.fail("/simple/there/", "500")
    arguments = ("campaign", "run", "next") if command == "campaign" else ("backfill", "--build", "--refresh")
    done = ready.run(*arguments)
    assert done.code == 3, done.out + done.err
