"""`farm build` up to where containers would start: what is there, what is missing, what cannot be known."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.functional.conftest import TARGET, Shell, add_sdist

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.index_server import Failure, IndexServer

BUILD = ("build", "-r", "requirements.txt")


def state(done_json: dict, name: str, target: str = TARGET) -> str:
    found = next(package for package in done_json["packages"] if package["name"] == name)
    return str(found["cells"][target]["state"])


def test_where_everything_is_there_no_engine_is_needed(shell: Shell, stocked: IndexServer) -> None:
    shell.requirements("there", "needy")
    done = shell.run(*BUILD)
    assert done.code == 0
    assert "2 of 2 wheels are there" in done.out
    assert "there 1.0  wheel" in done.err
    assert "error" not in done.err


def test_home_may_be_unset(shell: Shell, stocked: IndexServer) -> None:
    shell.requirements("there")
    assert shell.run(*BUILD, unset=("HOME",)).code == 0


def test_an_empty_file_and_one_for_other_machines_ask_for_nothing(shell: Shell, stocked: IndexServer) -> None:
    for line in ("# nothing", 'gap; sys_platform == "win32"'):
        shell.requirements(line)
        assert shell.run(*BUILD).code == 0


def test_a_dry_run_tells_gaps_without_an_engine(shell: Shell, stocked: IndexServer) -> None:
    shell.requirements("there", "gap")
    done = shell.run(*BUILD, "--dry-run")
    assert done.code == 0
    assert "gap 1.0    BUILD" in done.err
    assert f"gap 1.0 for {TARGET}: sdist only (for requirements.txt:2)" in done.out


def test_a_dry_run_chooses_official_images_without_asking_whether_they_can_be_had(shell: Shell, stocked: IndexServer) -> None:
    shell.write("config.toml", f'targets = ["{TARGET}", "cp313-musllinux_1_2_x86_64"]\n')
    shell.requirements("gap")
    done = shell.run(*BUILD, "--dry-run", "--json")
    assert done.code == 0
    assert done.json["summary"] == {"build": 2}
    assert any("no-engine.sock" in note for note in done.json["notes"])


def test_a_build_without_an_engine_shows_the_matrix_and_then_what_to_do(shell: Shell, stocked: IndexServer) -> None:
    shell.requirements("there", "gap")
    done = shell.run(*BUILD)
    assert done.code == 4
    assert done.err.index("gap 1.0    BUILD") < done.err.index("error: expected a Docker engine at unix://")
    assert "hint: start it with" in done.err


def test_json_is_whole_and_has_the_exit_code_also_where_the_engine_is_dead(shell: Shell, stocked: IndexServer) -> None:
    shell.requirements("there", "gap")
    done = shell.run(*BUILD, "--json")
    report = done.json
    assert (done.code, report["exit_code"], report["schema"]) == (4, 4, 1)
    assert "no-engine.sock" in report["error"]["reason"]
    assert (state(report, "there"), state(report, "gap")) == ("upstream-wheel", "build")


def test_a_gap_for_machines_that_no_image_serves_is_shown_before_the_error(shell: Shell, stocked: IndexServer) -> None:
    shell.requirements("gap")
    done = shell.run(*BUILD, "--dry-run", "--json", "--target", "cp311-win_amd64")
    assert (done.code, done.json["exit_code"]) == (5, 5)
    assert state(done.json, "gap", "cp311-win_amd64") == "build"
    assert "no builder image serves cp311-win_amd64" in done.err


def test_a_version_that_does_not_exist_is_told_with_those_that_do(shell: Shell, stocked: IndexServer) -> None:
    shell.requirements("there==3")
    done = shell.run(*BUILD)
    assert done.code == 7
    assert "requirements.txt:1: there==3: no such version; available: 1.0, 2.0" in done.out


def test_an_unknown_project_is_told_with_its_line(shell: Shell, stocked: IndexServer) -> None:
    shell.requirements("# tools", "no-such-project")
    done = shell.run(*BUILD)
    assert done.code == 7
    assert "requirements.txt:2: no-such-project: no index has a project of this name" in done.out


def test_a_conflict_is_explained_and_the_lines_are_named(shell: Shell, stocked: IndexServer) -> None:
    shell.requirements("needy", "there>=2")
    done = shell.run(*BUILD, "--json")
    assert (done.code, done.json["exit_code"]) == (7, 7)
    (problem,) = done.json["problems"]
    assert (problem["kind"], problem["subject"]) == ("unresolved", TARGET)
    assert "needy depend on there<2" in problem["text"]
    assert "requirements.txt:2: there>=2" in problem["text"]


def test_neither_wheel_nor_sdist_is_neither_missing_nor_a_crash(shell: Shell, stocked: IndexServer) -> None:
    shell.requirements("elsewhere")
    done = shell.run(*BUILD)
    assert done.code == 1
    assert f"elsewhere 1.0 for {TARGET}: no manylinux wheel, and there is no sdist (for requirements.txt:1)" in done.out


@pytest.mark.parametrize("how", ["500", "html", "reset", "slow", "401"])
def test_an_index_that_does_not_answer_makes_things_unknown_and_never_missing(
    shell: Shell, stocked: IndexServer, how: Failure
) -> None:
    shell.requirements("there", "gap")
    stocked.fail("/simple/gap/", how)
    done = shell.run(*BUILD, "--dry-run", "--json", PIP_TIMEOUT="1")
    assert (done.code, done.json["exit_code"]) == (3, 3)
    assert "/simple/gap/" in done.json["error"]["reason"]
    assert "hint:" in done.err
    assert done.json["summary"].keys().isdisjoint({"build", "impossible"})


def test_an_index_that_is_down_is_named(shell: Shell) -> None:
    shell.requirements("there")
    done = shell.run(*BUILD, PIP_INDEX_URL="http://127.0.0.1:9/simple")
    assert done.code == 3
    assert "http://127.0.0.1:9/simple/there/" in done.err
    assert "BUILD" not in done.err


def test_an_index_that_recovers_in_time_goes_unnoticed(shell: Shell, stocked: IndexServer) -> None:
    shell.requirements("there")
    stocked.fail("/simple/there/", "503", times=1)
    assert shell.run(*BUILD).code == 0
    assert stocked.asked("/simple/there/") >= 2


def test_only_binary_forbids_building_and_no_binary_forces_it(shell: Shell, stocked: IndexServer, tmp_path: Path) -> None:
    shell.requirements("--only-binary :all:", "gap")
    done = shell.run(*BUILD, "--dry-run")
    assert (done.code, "--only-binary forbids building it" in done.out) == (1, True)
    add_sdist(stocked, "there", "2.0", tmp_path)
    shell.requirements("--no-binary there", "there")
    done = shell.run(*BUILD, "--dry-run", "--refresh")
    assert (done.code, "there 2.0" in done.out, "built from source by policy" in done.out) == (0, True, True)


def test_hashes_choose_the_files_that_count(shell: Shell, stocked: IndexServer) -> None:
    digest = hashlib.sha256(stocked.projects["there"]["there-1.0-py3-none-any.whl"].data).hexdigest()
    shell.requirements(f"there==1.0 --hash=sha256:{digest}")
    assert shell.run(*BUILD).code == 0
    shell.requirements(f"there==1.0 --hash=sha256:{'0' * 64}")
    done = shell.run(*BUILD)
    assert (done.code, "the requirement's hashes allow" in done.out) == (1, True)


def test_what_comes_from_a_url_is_not_looked_up_on_the_index(shell: Shell, stocked: IndexServer) -> None:
    files = stocked.url.removesuffix("simple") + "files"
    shell.requirements("there", f"gap @ {files}/gap/gap-1.0.tar.gz", "elsewhere @ hg+https://user:secret@example.invalid/e")
    done = shell.run(*BUILD, "--dry-run", "--json")
    report = done.json
    assert (done.code, report["exit_code"], state(report, "gap")) == (1, 1, "build")
    direct = {problem["subject"] for problem in report["problems"] if problem["kind"] == "direct"}
    assert direct == {"requirements.txt:3"}
    assert not any("/simple/gap" in asked or "/simple/elsewhere" in asked for asked in stocked.requests)
    assert "secret" not in done.out + done.err


def test_junit_has_a_suite_for_each_target_and_a_case_for_each_package(shell: Shell, stocked: IndexServer) -> None:
    shell.requirements("there", "gap", "elsewhere")
    done = shell.run(*BUILD, "--dry-run", "--junit", "out.xml", "--target", TARGET, "--target", "cp313-manylinux_2_41_x86_64")
    assert done.code == 1
    suites = list(ET.parse(shell.folder / "out.xml").getroot())
    assert [(s.get("name"), s.get("tests"), s.get("failures"), s.get("skipped")) for s in suites] == [
        (TARGET, "3", "1", "1"),
        ("cp313-manylinux_2_41_x86_64", "3", "1", "1"),
    ]


def test_a_reader_that_goes_away_is_no_error_to_tell(shell: Shell, stocked: IndexServer) -> None:
    shell.requirements("there")
    with subprocess.Popen(
        shell.command(*BUILD, "--json"), cwd=shell.folder, env=shell.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        told = process.stderr.read()
        assert (process.wait(timeout=60), told) == (141, "")


@pytest.mark.parametrize("command", [BUILD, ("status",)])
def test_a_store_that_cannot_be_written_is_exit_code_6(
    shell: Shell, stocked: IndexServer, command: tuple[str, ...]
) -> None:
    shell.write("a-file", "")
    shell.write("config.toml", f'targets = ["{TARGET}"]\n[store]\npath = "a-file/store"\n')
    shell.requirements("there")
    done = shell.run(*command)
    assert done.code == 6
    assert "a-file" in done.err
    assert "hint:" in done.err
