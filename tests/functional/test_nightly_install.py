"""`farm nightly --install`: cron's table and systemd's units through programs that really run, and what is said without them."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional.conftest import Shell, add_wheel

CRONTAB = """#!/bin/sh
# As cron's own: -l prints the table, - reads one and refuses what is none.
table="$HOME/table"
case "$1" in
-l) [ -f "$table" ] || { echo "no crontab for $USER" >&2; exit 1; }; cat "$table" ;;
-) cat > "$table.new"; grep -q refuse "$table.new" && { echo "errors in crontab file" >&2; exit 1; }; mv "$table.new" "$table" ;;
*) exit 2 ;;
esac
"""
SYSTEMCTL = """#!/bin/sh
echo "$@" >> "$HOME/asked"
[ -f "$HOME/fails" ] && { echo "Failed to connect to bus" >&2; exit 1; }
exit 0
"""
OWN = "MAILTO=ops\n# hand-made\n15 4 * * 1 /usr/bin/backup --at 100\\%"


@pytest.fixture
def programs(shell: Shell) -> Path:
    """A folder of programs that goes before all others, and the home that they keep things in."""
    folder = Path(shell.env["HOME"]) / "bin"
    folder.mkdir()
    for name, text in (("crontab", CRONTAB), ("systemctl", SYSTEMCTL)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    shell.env["PATH"] = f"{folder}:/usr/bin:/bin"
    shell.env["USER"] = "tester"
    return folder


def table(shell: Shell) -> Path:
    return Path(shell.env["HOME"]) / "table"


def test_the_line_is_put_into_crons_table_beside_what_is_there_and_replaced_by_the_next(shell: Shell, programs: Path) -> None:
    del programs
    table(shell).write_text(OWN)
    done = shell.run("nightly", "--budget", "3h", "--report", "r%.html", "--install", "cron", "--at", "4:05")
    assert done.code == 0, done.err
    lines = table(shell).read_text().splitlines()
    assert lines[:3] == OWN.splitlines()
    assert len(lines) == 4
    assert lines[3].startswith("5 4 * * * env PATH=")
    assert lines[3].endswith(f"# farm nightly of {shell.folder / 'config.toml'}")
    assert lines[3] in done.out
    shell.run("nightly", "--install", "cron")
    again = table(shell).read_text().splitlines()
    assert again[:3] == OWN.splitlines()
    assert len(again) == 4
    assert again[3].startswith("30 2 * * * env ")
    shell.run("nightly", "--install", "cron")
    assert table(shell).read_text().splitlines() == again
    assert shell.run("nightly", "--uninstall", "cron").code == 0
    assert table(shell).read_text() == OWN + "\n"
    nothing = shell.run("nightly", "--uninstall", "cron")
    assert (nothing.code, "nothing to remove" in nothing.err) == (0, True)


def test_what_cron_would_run_runs(shell: Shell, programs: Path, index: object) -> None:
    del programs
    add_wheel(index, "there", "1.0")  # type: ignore[arg-type]
    shell.write("app.txt", "there\n")
    shell.write("config.toml", (shell.folder / "config.toml").read_text() + '[watch.app]\nsource = "app.txt"\n')
    report = shell.folder / "100 %.md"
    assert shell.run("nightly", "--report", str(report), "--install", "cron").code == 0
    line = table(shell).read_text().splitlines()[-1]
    # crontab(5): five fields, then the command up to an unescaped %; cron gives it little more than a home.
    command = line.split(" ", 5)[5].replace("\\%", "%")
    env = {"HOME": shell.env["HOME"], "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["/bin/sh", "-c", command], env=env, cwd="/", capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "there before" in report.read_text()


def test_a_dry_run_writes_nothing_and_a_refused_table_is_told(shell: Shell, programs: Path) -> None:
    del programs
    assert "* * * env " in shell.run("nightly", "--install", "cron", "--dry-run").out
    assert not table(shell).exists()
    done = shell.run("nightly", "--report", "refuse.md", "--install", "cron")
    assert (done.code, "crontab refused the table: errors in crontab file" in done.err) == (2, True)
    assert not table(shell).exists()


@pytest.mark.parametrize("kind", ["cron", "systemd"])
def test_without_the_program_it_says_what_to_write_by_hand(shell: Shell, kind: str) -> None:
    empty = shell.folder / "empty"
    empty.mkdir()
    shell.env["PATH"] = str(empty)
    done = shell.run("nightly", "--install", kind)
    assert done.code == 0
    assert "by hand" in done.err
    assert f"farm nightly of {shell.folder / 'config.toml'}" in done.out
    assert not list(Path(shell.env["HOME"]).rglob("farm-nightly*"))


def test_units_are_written_enabled_replaced_and_removed(shell: Shell, programs: Path) -> None:
    del programs
    done = shell.run("nightly", "--budget", "90m", "--install", "systemd", "--at", "01:10")
    assert done.code == 0, done.err
    folder = Path(shell.env["HOME"]) / ".config/systemd/user"
    service, timer = ((folder / f"farm-nightly.{kind}").read_text() for kind in ("service", "timer"))
    assert f'"{sys.executable}" "-m" "farm" "--config" "{shell.folder}/config.toml" "nightly" "--budget" "90m"' in service
    assert "OnCalendar=*-*-* 01:10:00\nPersistent=true\n" in timer
    asked = (Path(shell.env["HOME"]) / "asked").read_text().splitlines()
    assert asked == ["--user daemon-reload", "--user enable --now farm-nightly.timer"]
    assert "enable-linger" in done.err

    other = Shell(folder=shell.folder / "other", env=shell.env)
    other.folder.mkdir()
    other.write("config.toml", "")
    assert other.run("nightly", "--install", "systemd").code == 0
    assert (folder / "farm-nightly.service").read_text() == service, "another configuration has units of its own"
    assert len(list(folder.iterdir())) == 4

    assert shell.run("nightly", "--uninstall", "systemd").code == 0
    assert [path.name for path in folder.glob("farm-nightly.*")] == []
    assert len(list(folder.iterdir())) == 2
    assert other.run("nightly", "--uninstall", "systemd").code == 0
    assert list(folder.iterdir()) == []
    (Path(shell.env["HOME"]) / "fails").touch()
    failed = shell.run("nightly", "--install", "systemd")
    assert (failed.code, "Failed to connect to bus" in failed.err) == (2, True)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze on this machine")
def test_systemd_finds_nothing_wrong_with_the_units(shell: Shell, programs: Path) -> None:
    del programs
    strange = shell.folder / 'a "b" $HOME 50% c'
    strange.mkdir()
    odd = Shell(folder=strange, env=shell.env | {"https_proxy": "http://proxy.invalid:3128"})
    odd.write("config.toml", "")
    assert odd.run("nightly", "--install", "systemd").code == 0
    folder = Path(shell.env["HOME"]) / ".config/systemd/user"
    units = [str(folder / f"farm-nightly.{kind}") for kind in ("service", "timer")]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "farm-nightly" in line]) == (0, []), done.stderr


def test_what_has_a_password_is_left_out_and_that_is_said(shell: Shell, programs: Path) -> None:
    del programs
    shell.env["PIP_INDEX_URL"] = "https://me:hunter2@index.invalid/simple"
    done = shell.run("nightly", "--install", "cron")
    assert "PIP_INDEX_URL has credentials and was left out" in done.err
    assert "hunter2" not in done.out + done.err + table(shell).read_text()
    words = shlex.split(table(shell).read_text().split(" ", 5)[5], comments=True)
    assert "PIP_CONFIG_FILE=/dev/null" in words


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(("--at", "25:00"), "a time of the day such as 02:30"), (("--budget", "soon"), "a duration such as 90m"),
     (("--uninstall", "systemd"), "found both"), (("--system",), "--system is for systemd")],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(shell: Shell, programs: Path, arguments: tuple[str, ...], told: str) -> None:
    del programs
    done = shell.run("nightly", "--install", "cron", *arguments)
    assert (done.code, told in " ".join(done.err.split())) == (2, True), done.err


def test_other_lines_stay_whatever_is_in_them(shell: Shell, programs: Path) -> None:
    del programs
    others = "# a\x0cb\n# c\u2028d\n\n0 1 * * * echo e\x85f\n"
    table(shell).write_text(others, encoding="utf-8", newline="")
    for _ in range(2):
        assert shell.run("nightly", "--install", "cron").code == 0
    assert table(shell).read_bytes().decode().startswith(others)
    assert table(shell).read_bytes().decode().count("\n") == 5
    assert shell.run("nightly", "--uninstall", "cron").code == 0
    assert table(shell).read_bytes().decode() == others


def test_a_table_that_could_not_be_written_back_as_it_was_is_left_alone(shell: Shell, programs: Path) -> None:
    del programs
    table(shell).write_bytes(b"# caf\xe9\n")
    done = shell.run("nightly", "--install", "cron")
    assert (done.code, "expected UTF-8" in done.err) == (2, True)
    assert table(shell).read_bytes() == b"# caf\xe9\n"


@pytest.mark.parametrize("kind", ["cron", "systemd"])
def test_a_path_that_would_add_a_line_is_refused(shell: Shell, programs: Path, kind: str) -> None:
    del programs
    folder = shell.folder / "a\n* * * * * root"
    folder.mkdir()
    odd = Shell(folder=folder, env=shell.env)
    odd.write("config.toml", "")
    done = odd.run("nightly", "--install", kind)
    assert (done.code, "a path that fits on a line" in done.err) == (2, True)
    assert not table(shell).exists()


@pytest.mark.parametrize(
    ("setting", "stays"),
    [("https_proxy=me:hunter2@proxy.invalid:3128", False), ("https_proxy=proxy.invalid:3128", True),
     ("PIP_INDEX_URL=https://hunter2@index.invalid/simple", False), ("PIP_EXTRA_INDEX_URL=https://[hunter2", False),
     ("DOCKER_HOST=ssh://me@builder.invalid", True), ("DOCKER_HOST=ssh://me:hunter2@builder.invalid", False)],
)  # fmt: skip
def test_only_what_is_secret_is_left_out(shell: Shell, programs: Path, setting: str, *, stays: bool) -> None:
    del programs
    name, _, value = setting.partition("=")
    shell.env[name] = value
    done = shell.run("nightly", "--install", "cron")
    assert done.code == 0, done.err
    assert (setting in table(shell).read_text(), f"{name} has credentials" in done.err) == (stays, not stays)
    assert "hunter2" not in done.out + done.err + table(shell).read_text()


def test_a_secret_in_a_variable_that_nobody_will_set_is_told(shell: Shell, programs: Path) -> None:
    del programs
    shell.write("config.toml", (shell.folder / "config.toml").read_text() + '[nightly]\nwebhook = "env:HOOK"\n')
    shell.env["HOOK"] = "http://127.0.0.1:9/hunter2"
    done = shell.run("nightly", "--install", "cron")
    assert "nightly.webhook is in the variable HOOK, which cron does not set" in done.err
    assert "hunter2" not in done.out + done.err + table(shell).read_text()


def test_a_budget_of_less_than_a_second_is_no_budget_without_bound(shell: Shell, programs: Path) -> None:
    del programs
    assert "--budget 0.4s" in shell.run("nightly", "--budget", "0.4s", "--install", "cron").out
