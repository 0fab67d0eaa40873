"""A log's bytes -> windows of whole lines with their numbers, and a line as it would read without what CI wrapped around it.

Memory does not grow with the log: a window is a block with a little of what comes before and after it.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLOCK = 1 << 20
BEFORE = 1 << 14
AFTER = 1 << 13
# A stranger's build may print a line of megabytes; what matters is at one of its ends.
LONGEST = 1200

_COLOUR_BYTES = re.compile(rb"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[()][A-Z0-9])|\x08")
# What continuous integration, container builds and supervisors put before each line. Tried again until none is left.
_PREFIX = re.compile(
    r"""
    \s+
  | [│┃╎┆║]\s?                                            # pip's and rich's boxes
  | (?:╰─>|╰─▶|├─▶|╰─|├─|└─>|┗━>)\s*                      # pip's and uv's branches
  | \ufeff
  | \[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d|\ UTC)?\]?\ ?(?:[0-9a-f]{2}[OE][+ ]?)?:?\ ? # ISO 8601, GitLab
  | \[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?\s+                   # time of day
  | \[?[A-Z][a-z]{2}\ +\d{1,2}\ \d\d:\d\d:\d\d(?:\ [\w.-]+\ [\w./-]+(?:\[\d+\])?:)?\]?\ ?        # syslog
  | \#\d+\ (?:\d+\.\d+\ )?                                # BuildKit, plain progress
  | \d{1,5}\.\d{1,3}\ (?=\S|\s)                           # BuildKit, the excerpt of a failed step
  | >\ (?=\S)
  | \[[\w./-]+(?:/[\w ./-]+)?\]\s{1,3}\|\ ?               # act
  | [\w.-]{1,40}\ +\|\ (?=\S|\s)                          # docker compose
  | \|\ (?=\S)                                            # exception groups, quotes
  | remote:\s{1,9}
  | \[\d+\|https?://[^\]\s]+\]\s?                         # lines of a CI log quoted as links
  | \[(?:pipenv[\w.]*|[ \d.]{1,7}s)\]:?\s               # pipenv, the Open Build Service
  | \d{4}/\d\d/\d\d\ \d\d:\d\d:\d\d\ (?:-\ \w+:\ )?      # loggers with slashes
  | -\ (?:INFO|DEBUG|ERROR|WARNING)\ -?:?\s | !\ (?=\S|\s)
  | app\[\w+\.\d+\]:\s
  | (?:DEBUG|INFO|TRACE|WARN)\s(?=\S|\s)                  # uv -v, kaniko
  | (?:INFO|DEBU|WARN|ERRO)\[\d+\]\s
  | \[(?:INFO|DEBUG|ERROR|WARN(?:ING)?|pip|stderr|stdout)\]\s
  | \#\#\[(?:error|warning|debug|section|command|group)\] # Azure Pipelines, GitHub
  | ::(?:error|warning|notice)(?:\ [^:]*)?::
  | \[\s?\d+%\]\s | \[\d+/\d+\]\s                         # make, ninja
  | \s*pip[ ]subprocess[ ]to[ ]install[ ][^:]{1,60}:\s
  | E\s{3,}
    """,
    re.VERBOSE,
)
_EVEN = re.compile(r"[!-~]*(?: [!-~]+)*")
_BLANK = re.compile(r"[ \t\xa0\u202f\u3000]+")


@dataclass(frozen=True, slots=True)
class Window:
    """`data[begin:end]` is new; what is around it was or will be new in another window. `number` is the line at `begin`."""

    data: bytes
    begin: int
    end: int
    number: int


def windows(blocks: Iterable[bytes]) -> Iterator[Window]:
    """Yield the log in windows that begin and end with whole lines. Colours are gone; UTF-16 has become UTF-8."""
    before, pending, number = b"", b"", 1
    for block in _even(_as_utf8(blocks)):
        pending += block
        if len(pending) < BLOCK + AFTER:
            continue
        cut = pending.rfind(b"\n", 0, max(0, len(pending) - AFTER)) + 1
        if cut == 0 and len(pending) < 4 * BLOCK:
            continue
        # A line longer than four blocks is cut; its rest counts as its own line, without a number of its own.
        cut = cut or len(pending)
        yield Window(before + pending, len(before), len(before) + cut, number)
        number += pending.count(b"\n", 0, cut)
        before, pending = (before + pending[:cut])[-BEFORE:], pending[cut:]
    if pending:
        yield Window(before + pending, len(before), len(before) + len(pending), number)


def _even(blocks: Iterable[bytes]) -> Iterator[bytes]:
    for block in blocks:
        for start in range(0, len(block), BLOCK):
            part = block[start : start + BLOCK]
            yield _COLOUR_BYTES.sub(b"", part) if b"\x1b" in part or b"\x08" in part else part


def _as_utf8(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """PowerShell's `>` writes UTF-16 with a byte order mark."""
    decoder: codecs.IncrementalDecoder | None = None
    first = True
    for block in blocks:
        if first and block[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            decoder = codecs.getincrementaldecoder("utf-16")("replace")
        first = False
        yield decoder.decode(block).encode("utf-8", "replace") if decoder else block


def decode(raw: bytes) -> str:
    """Return a line of a window as text, without its line end, at most LONGEST characters from its start and from its end."""
    if len(raw) > 2 * LONGEST:
        raw = raw[:LONGEST] + b" ... " + raw[-LONGEST:]
    return raw.decode("utf-8", "replace").rstrip("\r\n")


def plain(line: str) -> str:
    """Return what the tool itself said: no progress bar before a carriage return, no prefix of CI, no indentation."""
    if "\r" in line:
        line = next((part for part in reversed(line.split("\r")) if part.strip()), "")
    start = 0
    for _ in range(8):
        match = _PREFIX.match(line, start)
        if match is None or match.end() == start:
            break
        start = match.end()
    line = line[start:].rstrip()
    return line if _EVEN.fullmatch(line) else _BLANK.sub(" ", line)


def lines_around(
    window: Window, start: int, end: int, count: tuple[int, int]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the plain lines before `start` and after `end` of a window, at most `count` of each, the nearest first before."""
    before: list[str] = []
    position = start - 1
    while position > 0 and len(before) < count[0]:
        begin = window.data.rfind(b"\n", 0, position) + 1
        before.append(plain(decode(window.data[begin:position])))
        position = begin - 1
    after: list[str] = []
    position = end + 1
    while position < len(window.data) and len(after) < count[1]:
        stop = window.data.find(b"\n", position)
        stop = len(window.data) if stop < 0 else stop
        after.append(plain(decode(window.data[position:stop])))
        position = stop + 1
    return tuple(before), tuple(after)
