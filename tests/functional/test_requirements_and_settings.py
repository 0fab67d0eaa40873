"""What a user reads when a requirements file, config.toml or the command line is not as expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from farm.errors import (
    EngineError,
    FarmError,
    ImageError,
    Interrupted,
    ResolutionError,
    StoreError,
    UpstreamError,
    UsageError,
)
from tests.functional.conftest import TARGET, Shell, add_wheel

if TYPE_CHECKING:
    from tests.fakes.index_server import IndexServer

BUILD = ("build", "-r", "requirements.txt")


def test_every_fault_of_a_requirements_file_is_told_at_once_with_its_place(shell: Shell) -> None:
    shell.requirements("there =! 2", "fine>=1", "foo bar", "-r absent.txt", "--no-such-option", "gap==")
    done = shell.run(*BUILD)
    assert done.code == 2
    assert done.out == ""
    assert "5 faults" in done.err
    assert "requirements.txt:1:7: expected one of == != <= >= < > ~= ===, found '=!'" in done.err
    assert "requirements.txt:3:5: expected the end of the requirement" in done.err
    assert "absent.txt: expected a requirements file" in done.err
    assert "included from requirements.txt:4" in done.err
    assert "requirements.txt:5:1: expected an option of requirements files, found unknown option --no-such-option" in done.err
    assert "requirements.txt:6:6: expected a version after ==" in done.err
    assert "there =! 2\n          ^" in done.err


def test_an_absent_requirements_file_is_named(shell: Shell) -> None:
    done = shell.run("build", "-r", "absent.txt")
    assert done.code == 2
    assert "absent.txt: expected a requirements file" in done.err
    assert "hint:" in done.err


def test_a_folder_is_no_requirements_file(shell: Shell) -> None:
    done = shell.run("build", "-r", ".")
    assert (done.code, "expected a requirements file, found a folder" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("build", "--dry-runn"), "--dry-run"),
        (("biuld",), "perhaps you meant 'build'"),
        (("build", "-r", "requirements.txt", "--target", "cp311-manylinx_2_36_x86_64"), f"perhaps you meant {TARGET}"),
        (("build",), "farm build -r requirements.txt"),
        (("build", "-r", "requirements.txt", "-c", "-"), "-r - reads standard input"),
        (("build", "-r", "requirements.txt", "--jobs", "0"), "1<=x<=1024"),
        (("build", "-r", "requirements.txt", "--heal", "maybe"), "'off', 'propose', 'apply'"),
        (("build", "-r", "requirements.txt", "--junit", "absent/out.xml"), "make the folder absent"),
        (("images", "build", "debian"), "expected FAMILY-ARCH-ROLE"),
        (("log", "nothing-like-it"), "farm status"),
        (("--config", "absent.toml", "build", "-r", "requirements.txt"), "absent.toml: cannot be read"),
        (("serve", "--port", "70000"), "0<=x<=65535"),
    ],
)  # fmt: skip
def test_a_mistake_on_the_command_line_is_exit_code_2_with_what_to_do(
    shell: Shell, arguments: tuple[str, ...], hint: str
) -> None:
    shell.requirements("there")
    done = shell.run(*arguments)
    assert done.code == 2
    assert hint in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"caf\xe9==1\n", "found byte 0xe9 in line 1, which is not UTF-8"),
        (b"# coding: klingon\nthere\n", "unknown encoding: klingon"),
        (b"# coding: hex\nthere\n", "'hex' is not a text encoding"),
        (b"there\x00==1\n", "requirements.txt:1:6"),
    ],
)
def test_a_requirements_file_that_is_no_text_is_told(shell: Shell, data: bytes, told: str) -> None:
    (shell.folder / "requirements.txt").write_bytes(data)
    done = shell.run(*BUILD)
    assert done.code == 2
    assert told in done.err


def test_a_requirements_file_may_say_its_encoding(shell: Shell, index: IndexServer) -> None:
    add_wheel(index, "there", "1.0")
    for data in ("# coding: latin-1\n# caf\xe9\nthere\n".encode("latin-1"), "\ufeffthere\n".encode("utf-16-le"), b"\xef\xbb\xbfthere\r\n"):
        (shell.folder / "requirements.txt").write_bytes(data)
        assert shell.run(*BUILD).code == 0


def test_every_fault_of_config_toml_is_told_at_once_with_the_nearest_key(shell: Shell) -> None:
    shell.requirements("there")
    shell.write("config.toml", 'targets = ["cp311-x"]\n[store]\npth = "x"\n[build]\njobs = "many"\n[recipes.foo]\nversions = "=!"\n')
    done = shell.run(*BUILD)
    assert done.code == 2
    assert "config.toml: 4 faults" in done.err
    assert "targets: unknown target 'cp311-x'" in done.err
    assert "store.pth: unknown key; perhaps you meant store.path" in done.err
    assert "build.jobs: expected a number of 0 to 1024, found 'many'" in done.err
    assert "recipes.foo.versions: expected a version specifier" in done.err


def test_a_config_that_is_no_toml_is_told_with_its_line(shell: Shell) -> None:
    shell.write("config.toml", 'targets = []\n[store\n')
    done = shell.run("status")
    assert done.code == 2
    assert "config.toml: not valid TOML" in done.err
    assert "line 2" in done.err


def test_farm_config_names_the_configuration(shell: Shell, index: IndexServer) -> None:
    add_wheel(index, "there", "1.0")
    shell.requirements("there")
    shell.write("other.toml", 'targets = ["cp313-musllinux_1_2_x86_64"]\n')
    done = shell.run(*BUILD, "--json", FARM_CONFIG="other.toml")
    assert done.json["targets"] == ["cp313-musllinux_1_2_x86_64"]


def test_requirements_come_through_standard_input(shell: Shell, index: IndexServer) -> None:
    add_wheel(index, "there", "1.0")
    done = shell.run("build", "-r", "/dev/stdin", stdin="there\n")
    assert (done.code, "1 of 1 wheel is there" in done.out) == (0, True)


def test_help_lists_every_exit_code_that_a_failure_has(shell: Shell) -> None:
    done = shell.run("--help")
    assert done.code == 0
    listed = {int(line.split()[0]) for line in done.out.partition("Exit codes:")[2].splitlines() if line.split()}
    classes = (FarmError, UsageError, UpstreamError, EngineError, ImageError, StoreError, ResolutionError, Interrupted)
    assert {0, 1, *(c.exit_code for c in classes)} <= listed
