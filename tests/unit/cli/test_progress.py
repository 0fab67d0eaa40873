"""Talk while building: plain lines, and what the live table shows."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from farm.cli.progress import LiveProgress, PlainProgress, make_progress


def drawn(progress: LiveProgress) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(progress.table())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_lines_go_to_stderr_with_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    progress = PlainProgress(verbose=False)
    progress.say("demo-1.0", "building")
    progress.output("demo-1.0", "gcc -c x.c")
    told = capsys.readouterr()
    assert told.out == ""
    assert re.fullmatch(r"\[ +0\.\d s\] demo-1\.0: building\n", told.err)


def test_verbose_adds_the_builds_own_output(capsys: pytest.CaptureFixture[str]) -> None:
    PlainProgress(verbose=True).output("demo-1.0", "gcc -c x.c")
    assert capsys.readouterr().err == "demo-1.0 | gcc -c x.c\n"


def test_a_pipe_gets_plain_lines() -> None:
    with make_progress(io.StringIO(), verbose=False) as progress:
        assert isinstance(progress, PlainProgress)


def test_the_table_shows_what_runs_and_its_last_line_as_it_is() -> None:
    progress = LiveProgress(Console(file=io.StringIO()))
    progress.say("demo-1.0", "building")
    progress.output("demo-1.0", "[bold]not markup[/bold]\n")
    progress.output("demo-1.0", "   ")
    progress.output("unknown-2.0", "never shown")
    text = drawn(progress)
    assert "demo-1.0" in text
    assert "building" in text
    assert "[bold]not markup[/bold]" in text
    assert "never shown" not in text


@pytest.mark.parametrize("end", ["published demo-1.0-py3-none-any.whl", "failed: it broke", "metadata: asked"])
def test_what_ended_leaves_the_table_and_stays_above(end: str) -> None:
    file = io.StringIO()
    progress = LiveProgress(Console(file=file, width=120))
    progress.say("demo-1.0", "building")
    progress.say("demo-1.0", end)
    assert "demo-1.0" not in drawn(progress)
    assert f"demo-1.0: {end}" in file.getvalue()
