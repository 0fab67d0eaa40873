"""Structured logs: whatever is said, each line is one JSON object."""

from __future__ import annotations

import io
import json
import logging
import re
import warnings
from contextlib import redirect_stderr
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.cli import render
from farm.cli.json_log import JsonHandler, JsonProgress, JsonStderr, speak_json, speak_plainly
from farm.model.log_line import job_fields


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    text = stream.getvalue()
    assert text.isascii()
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.split("\n")[:-1]]


@settings(deadline=None)
@given(st.lists(st.text(), max_size=5))
def test_no_text_breaks_a_line(texts: list[str]) -> None:
    out = io.StringIO()
    stream = JsonStderr(out)
    for text in texts:
        print(text, file=stream, flush=True)
    found = lines(out)
    assert [line["message"] for line in found] == [text.strip("\n") for text in texts if text.strip()] or any(
        text.startswith(("error: ", "note: ", "warning: ")) for text in texts
    )
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) for line in found)


def test_a_failure_is_an_error_with_its_hint_apart() -> None:
    out = io.StringIO()
    print(render.failure("no such file\nin a.txt", "look again"), file=JsonStderr(out), flush=True)
    (line,) = lines(out)
    assert (line["level"], line["event"], line["message"], line["hint"]) == ("error", "error", "no such file\nin a.txt", "look again")


def test_what_is_bound_is_in_every_line_and_no_field_hides_another() -> None:
    out = io.StringIO()
    stream = JsonStderr(out)
    stream.bind(run="r1")
    stream.emit("info", "note", "hello", level_of="x", message_id=3, time="never", absent=None)
    (line,) = lines(out)
    assert line["run"] == "r1"
    assert line["message_id"] == 3
    assert line["time"] != "never"
    assert "absent" not in line


def test_progress_names_package_target_and_stage() -> None:
    out = io.StringIO()
    progress = JsonProgress(JsonStderr(out), verbose=False)
    progress.say("zope-interface-6.0-cp313t-manylinux_2_41_x86_64", "building")
    progress.say("zope-interface-6.0-cp313t-manylinux_2_41_x86_64", "failed: \x1b[31mno\u2028compiler\x1b[0m", "20260510-120000-abcdef")
    progress.say("debian-bookworm-x86_64-builder", "a step of an image")
    progress.output("zope-interface-6.0-cp313t-manylinux_2_41_x86_64", "not shown unless verbose")
    first, second, third = lines(out)
    assert (first["package"], first["version"], first["target"]) == ("zope-interface", "6.0", "cp313t-manylinux_2_41_x86_64")
    assert (first["stage"], first["level"]) == ("building", "info")
    assert (second["stage"], second["level"]) == ("failed", "warning")
    assert "stage" not in third
    assert (second["attempt"], "attempt" in first) == ("20260510-120000-abcdef", False)
    assert third["subject"] == "debian-bookworm-x86_64-builder"


def test_a_version_with_epoch_and_local_part_is_told_apart() -> None:
    assert job_fields("a-b-1!2.0+x.1-pp311-musllinux_1_2_aarch64") == {
        "package": "a-b", "version": "1!2.0+x.1", "target": "pp311-musllinux_1_2_aarch64",
    }  # fmt: skip


def record(name: str, level: int, message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 1, message, args, None)


def test_requests_have_their_parts_as_fields() -> None:
    out = io.StringIO()
    handler = JsonHandler(JsonStderr(out))
    access = '%s - "%s %s HTTP/%s" %d'
    handler.emit(record("uvicorn.access", logging.INFO, access, "127.0.0.1:1", "GET", '/simple/a"\n{/', "1.1", 404))
    handler.emit(record("farm.serve", logging.WARNING, "%s failed", "it"))
    first, second = lines(out)
    assert (first["event"], first["path"], first["status"], first["client"]) == ("access", '/simple/a"\n{/', 404, "127.0.0.1:1")
    assert (second["logger"], second["level"], second["message"]) == ("farm.serve", "warning", "it failed")


def test_a_warning_of_pythons_is_a_line_of_its_own_and_not_the_beginning_of_the_next() -> None:
    out = io.StringIO()
    with redirect_stderr(out), warnings.catch_warnings():
        warnings.simplefilter("always")
        speak_json()
        try:
            warnings.warn("this goes away", DeprecationWarning, stacklevel=1)
            render.err("error: no such file")
        finally:
            speak_plainly()
    first, second = lines(out)
    assert (first["level"], "this goes away" in first["message"]) == ("warning", True)
    assert (second["level"], second["message"]) == ("error", "no such file")


def test_no_half_of_a_character_comes_out_as_some_readers_refuse_the_line_then() -> None:
    out = io.StringIO()
    JsonStderr(out).emit("info", "note", "a file \udcff", subject="\ud83d", whole="\U0001f600")
    assert out.getvalue().count("\\ud") == 2  # the two halves of one whole
    (line,) = lines(out)
    assert (line["message"], line["subject"], line["whole"]) == ("a file \ufffd", "\ufffd", "\U0001f600")


@pytest.mark.parametrize("opening", ["Exception in thread figures:\nTraceback (most recent", "Exception ignored in: x\nTraceback"])
def test_what_nobody_caught_in_a_thread_is_an_error(opening: str) -> None:
    out = io.StringIO()
    print(opening, file=JsonStderr(out), flush=True)
    (line,) = lines(out)
    assert (line["level"], line["event"], line["message"]) == ("error", "traceback", opening)
