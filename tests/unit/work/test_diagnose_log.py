"""work.diagnose with the rules that are shipped, on lines as compilers and front ends print them."""

from __future__ import annotations

import time
from importlib.resources import files

import pytest

from farm.work.diagnose import diagnose, load_rules

RULES = load_rules(files("farm.work").joinpath("rules.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("line", "cause", "subject"),
    [
        ("ext.c:2:10: fatal error: Python.h: No such file or directory", "missing-python-headers", "Python.h"),
        ("_psycopg.c:3:10: fatal error: libpq-fe.h: No such file or directory", "missing-system-header", "libpq-fe.h"),
        ("Error: pg_config executable not found.", "missing-config-program", "pg_config"),
        ("Package 'libffi', required by 'virtual:world', not found", "missing-system-library", "libffi"),
        ("Package cairo was not found in the pkg-config search path.", "missing-system-library", "cairo"),
        ("/usr/bin/ld: cannot find -lldap: No such file or directory", "missing-system-library", "ldap"),
        ("/bin/sh: 1: cmake: not found", "missing-build-tool", "cmake"),
        ("ModuleNotFoundError: No module named 'numpy'", "missing-python-build-dep", "numpy"),
        ("ModuleNotFoundError: No module named 'distutils'", "python-stdlib-removed", "distutils"),
    ],
)
def test_a_line_tells_its_cause_and_what_it_is_about(line: str, cause: str, subject: str) -> None:
    found = diagnose(["building", f"\x1b[31m{line}\x1b[0m", "ERROR: Failed building wheel for x"], RULES)
    assert (found.cause, found.number, found.line) == (cause, 2, line)
    assert subject in found.summary
    assert found.remedy


def test_the_earliest_known_line_is_the_cause_and_consequences_never_are() -> None:
    lines = [
        "a.c:1:10: fatal error: zlib.h: No such file or directory",
        "b.c:1:10: fatal error: other.h: No such file or directory",
        "error: command '/usr/bin/gcc' failed with exit code 1",
        "error: subprocess-exited-with-error",
    ]
    assert diagnose(lines, RULES).number == 1


def test_an_unknown_failure_shows_the_last_line_that_looks_like_one() -> None:
    lines = ["warning: x", "widget error: the frobnicator is out", "done", "cibuildwheel: error: Command failed with code 1."]
    found = diagnose(lines, RULES)
    assert (found.cause, found.number, found.summary) == ("unknown", 2, "widget error: the frobnicator is out")


@pytest.mark.parametrize("lines", [[], ["all is well", "note: no errors in sight of 0 files"]])
def test_a_log_without_an_error_says_so(lines: list[str]) -> None:
    assert "without an error line" in diagnose(lines, RULES).summary


def test_no_rule_breaks_on_hostile_lines() -> None:
    for line in ("{subject}", "%s %(x)s", "\x00\x1b[", "fatal error: {0}.h: No such file"):
        assert diagnose([line], RULES).cause


@pytest.mark.parametrize("piece", ["a", "Package ", "No module named '", "error: ", " ", "-l", "fatal error: a"])
def test_a_log_of_very_long_lines_is_read_in_seconds(piece: str) -> None:
    started = time.process_time()
    diagnose([piece * (1_000_000 // len(piece))] * 5, RULES)
    assert time.process_time() - started < 5


def test_every_rule_has_a_remedy_and_only_fills_in_the_subject() -> None:
    for rule in RULES:
        assert rule.summary.format(subject="x")
        assert rule.remedy.format(subject="x"), rule.cause
