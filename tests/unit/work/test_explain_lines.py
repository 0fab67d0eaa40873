"""Each line in the wording of some tool tells its cause, wherever it stands and whatever a CI puts before it."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import pytest

from farm.work.diagnosis.explain import Explanation, explain
from farm.work.diagnosis.knowledge import knowledge
from farm.work.diagnosis.rules import CAUSES

LINES = tomllib.loads(Path(__file__).with_name("explained_lines.toml").read_text(encoding="utf-8"))["lines"]


@cache
def known() -> object:
    return knowledge()


def parts(row: str) -> tuple[str, str, str]:
    cause, rest = row.split(" | ", 1)
    subject, line = ("", rest[2:]) if rest.startswith("| ") else rest.split(" | ", 1)
    return cause, subject, line


def platform(line: str) -> str:
    windows = ("fatal error C", "LNK", "is not recognized as")
    return "windows" if any(word in line for word in windows) else "macos" if "homebrew" in line or "-lSystem" in line else ""


def explained(log: str, line: str) -> Explanation:
    return explain([log.encode()], known(), platform(line))  # type: ignore[arg-type]


@pytest.mark.parametrize("row", LINES)
def test_a_line_tells_its_cause_and_subject(row: str) -> None:
    cause, subject, line = parts(row)
    found = explained(f"running build_ext\n{line}\nerror: subprocess-exited-with-error\n", line)
    assert (found.cause, found.line, found.root_line) == (cause, 2, line)
    assert subject.lower() in found.subject.lower()
    assert found.summary
    assert found.remedies


@pytest.mark.parametrize(
    "prefix",
    [
        "2026-01-02T03:04:05.1234567Z ",
        "[2026-01-02T03:04:05.123Z] ",
        "#15 68.10 ",
        "8.675 ",
        "      ",
        "  │ ",
        "DEBUG ",
        "03:04:05 ",
        "remote:        ",
    ],
)
def test_what_ci_puts_before_a_line_changes_nothing(prefix: str) -> None:
    for row in LINES[::6]:
        cause, _, line = parts(row)
        found = explained(f"{prefix}running build_ext\n{prefix}{line}\n", line)
        assert (found.cause, found.line) == (cause, 2), line


def test_every_class_has_a_line() -> None:
    assert {parts(row)[0] for row in LINES} == set(CAUSES)
