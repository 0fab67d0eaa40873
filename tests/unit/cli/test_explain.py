"""`farm explain` as a person runs it."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

import pytest

from farm.cli.main import run

if TYPE_CHECKING:
    from pathlib import Path

LOG = """\
Collecting python-ldap==3.4.0
  Downloading python-ldap-3.4.0.tar.gz (376 kB)
  Building wheel for python-ldap (pyproject.toml): started
      x86_64-linux-gnu-gcc -c Modules/common.c -o build/temp.linux-x86_64-cpython-312/Modules/common.o
      Modules/common.h:15:10: fatal error: lber.h: No such file or directory
      error: command '/usr/bin/x86_64-linux-gnu-gcc' failed with exit code 1
  ERROR: Failed building wheel for python-ldap
"""


@pytest.fixture
def log(tmp_path: Path) -> str:
    path = tmp_path / "build.log"
    path.write_text(LOG, encoding="utf-8")
    return str(path)


def test_people_read_what_the_line_the_fix_and_how_to_verify_it(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "--offline", log]) == 0
    out = capsys.readouterr().out
    assert "python-ldap 3.4.0 (debian, Python 3.12, x86_64)" in out
    assert "line 5: Modules/common.h:15:10: fatal error: lber.h" in out
    assert out.index("apt-get install -y libldap2-dev") < out.index("dnf install -y openldap-devel")
    assert "python -m pip install --no-cache-dir -v python-ldap==3.4.0" in out


def test_json_is_one_object(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "--json", log]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["cause"], found["subject"], found["line"], found["confidence"]) == (
        "missing-system-header",
        "lber.h",
        5,
        "high",
    )
    assert found["root_line"] == "Modules/common.h:15:10: fatal error: lber.h: No such file or directory"
    assert (found["package"], found["version"], found["python"], found["wheel_exists"]) == (
        "python-ldap",
        "3.4.0",
        "3.12",
        None,
    )
    assert found["remedies"][0]["platform"] == "debian"
    assert found["remedies"][0]["packages"][0] == "libldap2-dev"


def test_a_forced_platform_comes_first(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "--json", "--platform", "alpine", log]) == 0
    assert json.loads(capsys.readouterr().out)["remedies"][0]["commands"] == ["apk add openldap-dev"]


def test_an_unknown_cause_is_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.log"
    path.write_text("all\nwidget failed: the frobnicator is out\n", encoding="utf-8")
    assert run(["explain", "--offline", str(path)]) == 1
    assert "line 2: widget failed: the frobnicator is out" in capsys.readouterr().out


def test_a_log_is_read_from_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LOG.encode())))
    assert run(["explain", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["subject"] == "lber.h"


def test_rules_alone_prints_them_and_a_wrong_file_is_a_usage_error(
    log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", "--rules"]) == 0
    assert "[[rules]]" in capsys.readouterr().out
    wrong = tmp_path / "mine.toml"
    wrong.write_text("[[rules]]\ncause = 'x'\n", encoding="utf-8")
    assert run(["explain", "--rules", str(wrong), log]) == 2
    assert "mine.toml, row 1" in capsys.readouterr().err
    assert run(["explain", "--rules", str(tmp_path / "absent.toml"), log]) == 2


def test_neither_a_file_nor_a_build_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert run(["explain", "--offline", "absent.log"]) == 2
    assert "neither a file nor a build" in capsys.readouterr().err


def test_an_index_that_does_not_answer_breaks_nothing(
    log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    monkeypatch.chdir(tmp_path)
    assert run(["explain", "--index", "--json", log]) == 0
    assert json.loads(capsys.readouterr().out)["wheel_exists"] is None
