"""`farm explain` on whatever a log may hold."""

from __future__ import annotations

import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from farm.work.diagnosis.explain import explain
from farm.work.diagnosis.knowledge import knowledge

KNOWN = knowledge()
WORDS = (
    "error:",
    "fatal error:",
    "not found",
    "gcc",
    "-c a.c",
    "No such file or directory",
    "'",
    "[",
    'File "a.py", line 3',
    "\x1b[31m",
    "\r",
    "│",
    "checking for",
)
LINES = st.lists(st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join), max_size=30)
BUILD = (
    "Collecting a==1.0", "  Building wheel for a (pyproject.toml): started", "  running build_ext",
    "  x86_64-linux-gnu-gcc -O2 -c src/a.c -o build/temp.linux-x86_64-cpython-312/src/a.o",
    "  src/a.c:3:10: fatal error: lber.h: No such file or directory", "      3 | #include <lber.h>", "  compilation terminated.",
    "  error: command '/usr/bin/x86_64-linux-gnu-gcc' failed with exit code 1", "  ERROR: Failed building wheel for a",
)  # fmt: skip
PREFIXES = st.sampled_from(
    ["", "  ", "2026-01-02T03:04:05.123Z ", "#12 3.456 ", "[03:04:05] ", "\x1b[31m", "  │ ", "DEBUG "]
)


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_no_bytes_make_it_fail(blocks: list[bytes]) -> None:
    assert explain(blocks, KNOWN).confidence in {"high", "medium", "low", "none"}


@given(LINES)
@settings(deadline=None)
def test_no_lines_make_it_fail_and_the_root_is_a_line_of_the_log(lines: list[str]) -> None:
    found = explain(["\n".join(lines).encode()], KNOWN)
    if found.line:
        text = "\n".join(lines).split("\n")[found.line - 1].replace("\x1b[31m", "")
        assert found.root_line == text.strip()


@given(st.integers(1, 200), PREFIXES)
def test_neither_where_blocks_end_nor_prefixes_change_the_answer(size: int, prefix: str) -> None:
    log = "\n".join(prefix + line for line in BUILD).encode()
    found = explain([log[start : start + size] for start in range(0, len(log), size)], KNOWN)
    assert (found.cause, found.subject, found.line) == ("missing-system-header", "lber.h", 5)


@given(st.integers(0, len(BUILD)))
def test_a_log_that_was_cut_off_has_the_same_cause_or_none(kept: int) -> None:
    found = explain(["\n".join(BUILD[:kept]).encode()], KNOWN)
    assert found.cause == ("missing-system-header" if kept >= 5 else "unknown")


@given(st.integers(0, 3))
@settings(max_examples=4, deadline=None)
def test_memory_does_not_grow_with_the_log(megabytes: int) -> None:
    block = (b"copying a.py -> build/lib\n" * 41_000)[: 1 << 20]
    tracemalloc.start()
    explain((block for _ in range(4 + 4 * megabytes)), KNOWN)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20
