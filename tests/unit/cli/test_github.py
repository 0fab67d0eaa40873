"""Workflow commands: on the right line, escaped as GitHub reads them, errors only for what fails."""

from __future__ import annotations

from farm.cli.github import workflow_commands
from farm.model.report import Problem, Report, Row, State

A, B = "cp311-manylinux_2_36_x86_64", "cp313-manylinux_2_41_x86_64"
FAIL = frozenset({"build", "impossible", "unresolved"})


def row(name: str, *required_by: str, state: State = "build", target: str = A, reason: str = "sdist only") -> Row:
    return Row(name=name, version="1.0", target=target, state=state, reason=reason, required_by=required_by)


def commands(*rows: Row, problems: tuple[Problem, ...] = (), places: dict[str, int] | None = None) -> list[str]:
    report = Report(targets=(A, B), rows=rows, problems=problems)
    return workflow_commands(report, places or {}, FAIL, "all told").splitlines()


def test_what_is_there_gives_only_the_summary() -> None:
    assert commands(row("app", "r.txt:1", state="upstream-wheel", reason="")) == ["::notice title=farm check::all told"]


def test_one_gap_of_several_targets_is_told_once_on_its_line() -> None:
    found = commands(row("app", "r.txt:7"), row("app", "r.txt:7", target=B), places={"r.txt:7": 5})
    assert found[0] == f"::error file=r.txt,line=7,col=5,title=app 1.0%3A no wheel::app 1.0 for {A}, {B}: sdist only"
    assert len(found) == 2


def test_a_transitive_gap_is_on_the_line_of_the_nearest_requirement() -> None:
    found = commands(
        row("far", "far.txt:9", "middle", state="upstream-wheel"),
        row("app", "r.txt:2", state="upstream-wheel"),
        row("middle", "app", state="upstream-wheel"),
        row("deep", "middle"),
    )
    assert "file=r.txt,line=2,col=1," in found[0]
    assert found[0].endswith("sdist only%0Aneeded by middle < app")


def test_a_build_requirement_is_on_the_line_of_what_needs_it() -> None:
    found = commands(row("app", "r.txt:3"), row("tool", "app==1.0 (build requirement)"))
    assert "file=r.txt,line=3" in found[1]
    assert found[1].endswith("needed by app")


def test_a_circle_of_askers_ends_without_a_place() -> None:
    found = commands(row("a", "b", state="upstream-wheel"), row("b", "a"))
    assert found[0].startswith("::error title=b 1.0%3A no wheel::")


def test_text_and_properties_are_escaped() -> None:
    found = commands(row("app", "a,b:c%.txt:4", reason="100%\r\nsure: yes, really"))
    assert "file=a%2Cb%3Ac%25.txt,line=4" in found[0]
    assert found[0].endswith(": 100%25%0D%0Asure: yes, really")
    assert len(found) == 2


def test_what_does_not_fail_the_run_is_a_warning_and_a_pure_fallback_only_when_it_does() -> None:
    found = commands(row("app", "r.txt:1", state="unknown", reason=""), row("lib", "r.txt:2", state="pure-fallback"))
    assert found[0].startswith("::warning file=r.txt,line=1,col=1,title=app 1.0%3A unknown::")
    assert len(found) == 2


def test_problems_have_their_own_words() -> None:
    unresolved = Problem(subject=A, text="because\nof this", kind="unresolved")
    direct = Problem(subject="r.txt:8", text="a path", kind="direct")
    found = commands(problems=(unresolved, direct))
    assert found[0] == f"::error title=no solution for {A}::because%0Aof this"
    assert found[1] == "::warning file=r.txt,line=8,col=1,title=not an index package::a path"
