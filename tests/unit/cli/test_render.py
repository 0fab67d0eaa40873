"""The report as a person and as a program read it."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from farm.cli import render
from farm.errors import EngineError
from farm.model.outcome import Diagnosis
from farm.model.report import Problem, Report, Row, State

A, B = "cp311-manylinux_2_36_x86_64", "cp313-manylinux_2_41_x86_64"


def row(name: str, state: State = "upstream-wheel", target: str = A, **more: object) -> Row:
    return Row(name=name, version="1.0", target=target, state=state, **more)  # type: ignore[arg-type]


def test_the_matrix_has_a_line_for_each_package_and_a_column_for_each_target() -> None:
    report = Report(targets=(A, B), rows=(row("beta", "build"), row("alpha"), row("alpha", "farm-wheel", B)))
    lines = render.matrix(report, everything=False, width=120).splitlines()
    assert lines[0].split() == ["package", A, B]
    assert lines[1].split() == ["alpha", "1.0", "wheel", "farm"]
    assert lines[2].split() == ["beta", "1.0", "BUILD", "–"]
    assert lines[3] == "(wheel: upstream has a wheel, farm: the farm has a wheel, BUILD: would be built)"


@pytest.mark.parametrize("width", [40, 60, 66])
def test_columns_are_lettered_where_names_do_not_fit(width: int) -> None:
    report = Report(targets=(A, B), rows=(row("alpha"), row("alpha", "build", B)))
    lines = render.matrix(report, everything=False, width=width).splitlines()
    assert lines[:2] == [f"A = {A}", f"B = {B}"]
    assert lines[2].split() == ["package", "A", "B"]
    assert lines[3].split() == ["alpha", "1.0", "wheel", "BUILD"]


def test_many_targets_get_two_letters_and_none_twice() -> None:
    targets = tuple(f"cp311-manylinux_2_{n}_x86_64" for n in range(60))
    lines = render.matrix(Report(targets=targets, rows=(row("a", target=targets[0]),)), everything=True, width=80).splitlines()
    letters = [line.split(" = ")[0] for line in lines[:60]]
    assert (letters[25:28], len(set(letters))) == (["Z", "AA", "AB"], 60)


def test_of_many_packages_only_those_that_lack_something_are_shown_unless_asked() -> None:
    rows = (*(row(f"p{n:03}") for n in range(render.SHORT)), row("gap", "build"))
    report = Report(targets=(A,), rows=rows)
    short = render.matrix(report, everything=False, width=120)
    assert "gap" in short
    assert "p000" not in short
    assert f"… and {render.SHORT} more with wheels for every target (-v shows them)" in short
    assert "p000" in render.matrix(report, everything=True, width=120)


@pytest.mark.parametrize("state", get_args(State))
def test_every_state_has_a_word_with_a_meaning(state: State) -> None:
    word = render.WORDS[state]
    text = render.matrix(Report(targets=(A,), rows=(row("alpha", state),)), everything=True, width=120)
    assert f"({word}: {render.LEGEND[word]})" in text


def test_a_failure_tells_reason_line_remedy_and_log() -> None:
    diagnosis = Diagnosis(
        cause="missing-system-header", summary="a header is missing: libpq-fe.h",
        line="fatal error: libpq-fe.h: No such file", number=31, remedy="name libpq-dev",
    )  # fmt: skip
    failed = row("psycopg2", "failed", reason="build: a header is missing", attempt="A7", diagnosis=diagnosis, required_by=("app",))
    text = render.reasons(Report(targets=(A,), rows=(failed, row("alpha"))))
    assert text.splitlines() == [
        "failed (1):",
        f"  psycopg2 1.0 for {A}: build: a header is missing (for app)",
        "      line 31: fatal error: libpq-fe.h: No such file",
        "      hint: name libpq-dev",
        "      log: farm log A7",
    ]


def test_reasons_are_silent_where_all_is_there() -> None:
    assert render.reasons(Report(targets=(A,), rows=(row("alpha"), row("beta", "pure-fallback")))) == ""


def test_a_long_list_of_dependants_is_cut() -> None:
    text = render.reasons(Report(rows=(row("a", "impossible", reason="none", required_by=("b", "c", "d", "e")),)))
    assert "(for b, c, d, …)" in text


def test_a_reason_of_several_lines_stays_below_its_package() -> None:
    text = render.reasons(Report(rows=(row("a", "refused", reason="no archive:\n- not gz"),)))
    assert text.splitlines() == ["cannot be planned (1):", f"  a 1.0 for {A}: no archive:", "      - not gz"]


def test_problems_and_notes_are_told_in_words() -> None:
    problems = (
        Problem(subject=A, text="because\nof that", kind="unresolved"),
        Problem(subject="requirements.txt:3", text="./here: not yet", kind="direct"),
    )
    text = render.reasons(Report(problems=problems, notes=("a guess",)))
    assert text.splitlines() == [
        f"{A}: no solution", "    because", "    of that", "requirements.txt:3: not built", "    ./here: not yet", "note: a guess",
    ]  # fmt: skip


def test_the_summary_counts_each_state_once() -> None:
    rows = (row("a"), row("b", "built"), row("c", "failed"), row("d", "timed-out"), row("e", "unknown"), row("f", "cancelled"))
    text = render.summary(Report(targets=(A,), rows=rows, seconds=12.34))
    assert text == "2 of 6 wheels are there, 1 built now, 1 failed, 1 timed out, 1 unknown, 1 stopped (12.3 s)"


def test_one_is_told_in_the_singular() -> None:
    problem = Problem(subject=A, text="x", kind="unresolved")
    assert render.summary(Report(rows=(row("a"),), problems=(problem,))) == "1 of 1 wheel is there, 1 target without a solution (0.0 s)"


def test_json_groups_cells_by_package_and_survives_a_round_trip() -> None:
    rows = (
        row("alpha", required_by=("requirements.txt:1",), file="alpha-1.0-py3-none-any.whl"),
        row("alpha", "failed", B, required_by=("beta",), attempt="A7", reason="naïve – “quoted”", seconds=1.23456,
            diagnosis=Diagnosis(cause="unknown", summary="s")),
    )  # fmt: skip
    found = json.loads(render.report_json(Report(targets=(A, B), rows=rows, notes=("n",), dry_run=True), 1))
    assert (found["schema"], found["exit_code"], found["dry_run"], found["error"]) == (1, 1, True, None)
    (package,) = found["packages"]
    assert (package["name"], package["required_by"]) == ("alpha", ["beta", "requirements.txt:1"])
    assert package["cells"][A] == {"state": "upstream-wheel", "reason": "", "file": "alpha-1.0-py3-none-any.whl", "estimate_s": None}
    cell = package["cells"][B]
    assert (cell["build"], cell["seconds"], cell["reason"], cell["diagnosis"]["cause"]) == ("A7", 1.235, "naïve – “quoted”", "unknown")
    assert found["summary"] == {"failed": 1, "upstream-wheel": 1}


def test_json_names_what_ended_the_run() -> None:
    found = json.loads(render.report_json(Report(), 4, EngineError("no engine", solution="start it")))
    assert found["error"] == {"reason": "no engine", "hint": "start it"}
    found = json.loads(render.report_json(Report(), 70, KeyError("x")))
    assert "a fault of farm itself" in found["error"]["reason"]


def test_a_failure_is_reason_and_hint() -> None:
    assert render.failure("no engine", "start it") == "error: no engine\nhint: start it"
    assert render.failure("no engine", "") == "error: no engine"


def test_a_table_is_as_wide_as_its_content() -> None:
    assert render.table(("id", "name"), [("1", "x"), ("22", "longer")]) == "id  name\n1   x\n22  longer"
    assert render.table(("id",), []) == "id"
