"""JUnit XML as CI systems read it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from farm.cli.junit import junit
from farm.model.outcome import Diagnosis
from farm.model.report import Problem, Report, Row, State, Tried

TARGET = "cp311-manylinux_2_36_x86_64"


def parse(report: Report) -> ET.Element:
    return ET.fromstring(junit(report))


def row(state: State, reason: str = "why") -> Row:
    return Row(name="demo", version="1.0", target=TARGET, state=state, reason=reason, seconds=1.5)


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        ("upstream-wheel", None), ("farm-wheel", None), ("pure-fallback", None), ("built", None),
        ("build", "skipped"), ("blocked", "skipped"), ("cancelled", "skipped"),
        ("failed", "failure"), ("timed-out", "failure"), ("refused", "failure"), ("impossible", "failure"),
        ("unknown", "error"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_a_failure_and_what_is_unknown_an_error(state: State, verdict: str | None) -> None:
    (suite,) = parse(Report(targets=(TARGET,), rows=(row(state),)))
    (case,) = suite
    assert (case.get("classname"), case.get("name"), case.get("time")) == (TARGET, "demo==1.0", "1.500")
    assert [child.tag for child in case] == ([verdict] if verdict else [])
    counted = {name: int(suite.get(name, "-1")) for name in ("tests", "failures", "errors", "skipped")}
    expected = {"failure": "failures", "error": "errors", "skipped": "skipped"}.get(verdict or "")
    assert counted == {"tests": 1, "failures": 0, "errors": 0, "skipped": 0} | ({expected: 1} if expected else {})


def test_a_target_without_a_solution_is_an_error_of_its_suite() -> None:
    problem = Problem(subject=TARGET, text="no version of x fits", kind="unresolved")
    (suite,) = parse(Report(targets=(TARGET,), problems=(problem,)))
    (case,) = suite
    assert (case.get("name"), case[0].tag, case[0].get("message")) == ("resolution", "error", "no version of x fits")
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")


@pytest.mark.parametrize("text", ["\x1b[31mred\x1b[0m", "a\x00b", 'say "no" & <go>', "\ud800 lone", "line\nline", "ünï – 🜚"])
def test_whatever_a_build_printed_the_xml_can_be_read(text: str) -> None:
    (suite,) = parse(Report(targets=(TARGET,), rows=(row("failed", text),)))
    message = suite[0][0].get("message")
    assert message is not None
    assert message.isprintable() or "\n" in message


def test_the_story_of_a_healed_build_is_told() -> None:
    diagnosis = Diagnosis(cause="missing-system-header", summary="a header is missing: <foo.h>\x1b")
    tried = Tried(build="a1", stage="build", diagnosis=diagnosis, change="system package libfoo-dev", kept=True)
    case = parse(Report(targets=(TARGET,), rows=(replace(row("built"), tried=(tried,)),))).find("testsuite/testcase")
    assert case is not None
    assert case.find("failure") is None
    text = case.findtext("system-out") or ""
    assert "attempt a1: a header is missing: <foo.h>" in text
    assert "healed by system package libfoo-dev" in text


def test_where_a_wheel_can_be_had_instead_is_told() -> None:
    advice = "2.0 is the nearest newer release with a wheel"
    case = parse(Report(targets=(TARGET,), rows=(replace(row("failed"), upgrade="2.0", advice=advice),))).find("testsuite/testcase")
    assert case is not None
    assert f"==2.0: {advice}" in (case.findtext("system-out") or "")
