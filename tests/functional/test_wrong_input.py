"""Inputs that are not what they should be: each is told with what was expected, what was found, where, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.functional.conftest import add_wheel

if TYPE_CHECKING:
    from tests.fakes.index_server import IndexServer
    from tests.functional.conftest import Shell

MEGABYTES = 5_000_000


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """A file's content (None: there is none), and what must be said of it."""

    content: bytes | None
    says: str
    hint: str
    name: str = "given.txt"


WRONG = {
    "missing": Wrong(
        content=None, says="given.txt: expected a requirements file, found nothing readable: No such file", hint="create the file",
    ),
    "missing lock": Wrong(
        content=None, name="uv.lock", says="uv.lock: expected a lock or pyproject.toml, found nothing", hint="correct the path",
    ),
    "not UTF-8": Wrong(
        content=b"demo\nother # caf\xe9\n", hint="save the file as UTF-8, or name its encoding",
        says="given.txt: expected a requirements file, found byte 0xe9 in line 2, which is not UTF-8",
    ),
    "lock not UTF-8": Wrong(content=b"\xe9 = 1", name="uv.lock", says="found byte 0xe9 in line 1", hint="save the file as UTF-8"),
    "binary": Wrong(content=b"PK\x03\x04\x00\x00\xff\xfe", says="found a binary file", hint="give the text file"),
    "binary, all ASCII": Wrong(content=b"\x00\x01\x02", says="given.txt:1:1: expected the name of a project", hint="write NAME"),
    "a long name": Wrong(content=b"x" * MEGABYTES, says="given.txt:1:1: expected a name and versions in at most", hint="split the line"),
    "a long version": Wrong(content=b"demo==" + b"1" * MEGABYTES, says="found 5000006 characters", hint="split the line"),
    "a long option": Wrong(content=b"--" + b"x" * MEGABYTES, says="given.txt:1:1: expected", hint="hint: "),
    "an empty poetry.lock": Wrong(content=b"", name="poetry.lock", says="poetry.lock:1:1: expected lock-version", hint="poetry lock"),
    "a damaged Pipfile.lock": Wrong(content=b"{", name="Pipfile.lock", says="Pipfile.lock:1:", hint="hint: "),
}  # fmt: skip


@pytest.mark.parametrize("command", ["check", "why"])
@pytest.mark.parametrize("title", WRONG)
def test_a_file_that_cannot_be_used_is_told_in_a_few_lines(title: str, command: str, shell: Shell) -> None:
    wrong = WRONG[title]
    if wrong.content is not None:
        (shell.folder / wrong.name).write_bytes(wrong.content)
    done = shell.run(command, *(["demo"] if command == "why" else []), "-r", wrong.name)
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert wrong.says in done.err
    assert wrong.hint in done.err.splitlines()[-1]
    assert len(done.err) < 2000
    assert "codec" not in done.err


@pytest.mark.parametrize("name", ["folder", "folder/", "."])
def test_a_folder_is_told_with_the_file_that_may_be_meant(name: str, shell: Shell) -> None:
    (shell.folder / "folder").mkdir()
    done = shell.run("check", name)
    assert (done.code, f"{name}: expected a requirements file, found a folder" in done.err) == (2, True)
    assert f"{name.rstrip('/')}/requirements.txt" in done.err


@pytest.mark.parametrize(
    "content",
    [
        b"demo==1.0\r\n# other\r\n-c bounds.txt\r\n", b"demo==1.0\r", b"\xef\xbb\xbfdemo==1.0\n", "\ufeffdemo==1.0\n".encode("utf-16-le"),
        b"demo==1.0", b"\n\n  demo==1.0  \n\n", b"# -*- coding: latin-1 -*-\ndemo==1.0 # caf\xe9\n", b"demo==1.0 #" + b"x" * MEGABYTES,
        b"\xef\xbb\xbf# coding: utf-8\r\ndemo \\\r\n ==1.0\r\n",
    ],
)  # fmt: skip
def test_what_editors_of_all_systems_write_is_read(content: bytes, shell: Shell, index: IndexServer) -> None:
    add_wheel(index, "demo", "1.0")
    (shell.folder / "given.txt").write_bytes(content)
    (shell.folder / "bounds.txt").write_bytes(b"demo<2\r\n")
    done = shell.run("check", "given.txt", "--json")
    assert (done.code, done.err, [package["version"] for package in done.json["packages"]]) == (0, "", ["1.0"])


@pytest.mark.parametrize("content", [b"", b"\n", b"# nothing\r\n", b"\xef\xbb\xbf", b"demo ; sys_platform == 'win32'\n"])
def test_a_file_that_asks_for_nothing_is_noted(content: bytes, shell: Shell) -> None:
    (shell.folder / "given.txt").write_bytes(content)
    for command in (("check",), ("build",)):
        done = shell.run(*command, "given.txt")
        assert done.code == 0
        assert "note: given.txt: no requirement for these targets, so there is nothing to look for" in done.err


@pytest.mark.parametrize(
    ("arguments", "says", "hint"),
    [
        (("check",), "expected at least one -r FILE", "farm check -r requirements.txt"),
        (("check", "r.txt", "--target", "cp312"), "unknown target 'cp312'", "add the platform: cp312-manylinux_2_28_x86_64"),
        (("check", "r.txt", "--target", "cp312-manylinux_2_28-x86_64"), "expected PYTHON-PLATFORM", "meant cp312-manylinux_2_28_x86_64"),
        (("check", "r.txt", "--target", "cp39-win64"), "unknown target 'cp39-win64'", "cp39-win_amd64"),
        (("check", "r.txt", "--target", ""), "unknown target ''", "for example cp312"),
        (("check", "r.txt", "--fail-on", "biuld,unknown"), "found 'biuld'; perhaps you meant build", "impossible"),
        (("check", "r.txt", "--fail-on", ""), "expected none, or some of build", "found ''"),
        (("check", "r.txt", "--fail-on", "none,build"), "found 'none,build'", "expected none, or some of"),
        (("check", "r.txt", "--client-pip", "latest"), "expected a version of pip such as 20.2, found 'latest'", "pip --version"),
        (("check", "r.txt", "-c", "-"), "-c: expected a file, found -", "-r - reads standard input"),
        (("check", "r.txt", "-c", "gone.txt"), "gone.txt: expected a constraints file", "create the file"),
        (("why",), "Missing argument 'PKG[==VERSION]'", "--help"),
        (("why", "demo=="), "expected PKG or PKG==VERSION, found 'demo=='", "farm why numpy==2.1.0"),
        (("why", "demo", "-c", "-"), "-c: expected a file, found -", "-r - reads standard input"),
        (("why", "demo", "--target", "pp311"), "unknown target 'pp311'", "pp311-manylinux_2_28_x86_64"),
        (("targets", "detect", "--python", "r.txt"), "a name on PATH (a file here is ./NAME)", "--python /usr/bin/python3"),
        (("targets", "detect", "--python", "."), "expected a Python 3 interpreter", "--python PATH"),
        (("targets", "from-image", " "), "expected the name of a Docker image", "farm targets from-image"),
    ],
)
def test_a_wrong_command_line_is_told_with_what_to_write(arguments: tuple[str, ...], says: str, hint: str, shell: Shell) -> None:
    shell.write("r.txt", "demo\n")
    done = shell.run(*arguments)
    assert done.code == 2
    assert says in done.err
    assert hint in done.err


def test_a_project_that_nobody_has_is_said(shell: Shell, index: IndexServer) -> None:
    done = shell.run("why", "nobody-has-this")
    assert (done.code, done.out.count("note: no index has a project of this name")) == (1, 2)
