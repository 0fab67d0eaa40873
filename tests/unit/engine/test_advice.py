"""A failure that nothing healed says what a person has to do: in the report, in JSON and in JUnit."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from farm.cli.junit import junit
from farm.cli.render import reasons, report_json
from farm.engine.advice import advice
from farm.engine.progress import Progress
from farm.engine.tally import tally
from farm.model.outcome import Diagnosis, Failed
from farm.model.report import Report, Row
from tests.fakes import nouns


def failed(cause: str, summary: str = "s", remedy: str = "", line: str = "") -> Failed:
    diagnosis = Diagnosis(cause=cause, summary=summary, remedy=remedy, line=line, number=7 if line else 0)
    return Failed(attempt="a1", stage="build", diagnosis=diagnosis, seconds=1.0)


@pytest.mark.parametrize(
    ("cause", "summary", "told"),
    [
        ("rejected", "imports demo on x: ImportError: libzbar.so.0: cannot open shared object file", "it loads libzbar.so.0"),
        ("rejected", "imports demo on x: Exception: Could not find Opus library. Make sure it is installed.", "machines that use it"),
        ("rejected", "imports demo on x: ImportError: a.so: undefined symbol: SSL_new", "the library that has SSL_new"),
        ("rejected", "imports demo on x: ModuleNotFoundError: No module named 'six'", "it imports six"),
        ("rejected", "imports demo on x: RuntimeError: no display", "skip-imports in [recipes.demo]"),
        ("repair-failed", "not a platform wheel", 'kind = "pure"'),
        ("no-wheel", "expected one wheel", "another release"),
        ("unknown", "the build failed", "[recipes.demo]"),
        ("a-cause-of-tomorrow", "s", "[recipes.demo]"),
    ],
)
def test_every_cause_has_something_to_do(cause: str, summary: str, told: str) -> None:
    assert told in advice(failed(cause, summary), "demo")


def test_the_diagnosis_own_remedy_holds() -> None:
    assert advice(failed("unknown", remedy="do this"), "demo") == "do this"


def test_report_json_and_junit_tell_it_with_the_line_that_proves_it() -> None:
    job = nouns.job("demo==1.0")
    row = Row(name="demo", version="1.0", target=job.target.name, state="build")
    progress = Progress(job=job, state="failed", failure=failed("unknown", line="gcc -E ended with return code 1"))
    report = Report(targets=(job.target.name,), rows=tally((row,), (progress,)))
    hint = advice(failed("unknown"), "demo")
    assert f"hint: {hint}" in reasons(report)
    assert json.loads(report_json(report, 1))["packages"][0]["cells"][job.target.name]["diagnosis"]["remedy"] == hint
    text = next(ET.fromstring(junit(report)).iter("failure")).text or ""
    assert text.splitlines() == ["line 7: gcc -E ended with return code 1", f"hint: {hint}", "log: farm log a1"]
