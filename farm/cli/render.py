"""Report, attempts and images as text and JSON. The only module that prints: data to stdout, talk to stderr."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

from farm.cli.json_log import JsonStderr
from farm.errors import FarmError
from farm.model.provenance import reproduction_json
from farm.model.report import SCHEMA, THERE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from farm.model.outcome import Diagnosis
    from farm.model.report import Cost, Report, Row

WORDS = {
    "upstream-wheel": "wheel",
    "pure-fallback": "pure",
    "farm-wheel": "farm",
    "build": "BUILD",
    "built": "built",
    "failed": "FAILED",
    "timed-out": "TIMEOUT",
    "blocked": "blocked",
    "refused": "REFUSED",
    "impossible": "NONE",
    "hidden": "HIDDEN",
    "not-needed": "–",
    "unknown": "unknown",
    "cancelled": "stopped",
}
LEGEND = {
    "wheel": "upstream has a wheel",
    "pure": "only a pure wheel, native ones exist for others",
    "farm": "the farm has a wheel",
    "BUILD": "would be built",
    "built": "built and proven now",
    "FAILED": "could not be built",
    "TIMEOUT": "took too long",
    "blocked": "needs something that failed",
    "REFUSED": "cannot be planned",
    "NONE": "no wheel, and nothing that may be built",
    "HIDDEN": "there, but the client's pip cannot see it",
    "–": "not needed there",
    "unknown": "nothing may be concluded, see why",
    "stopped": "not done",
}
# More packages than this are shown only where something is not simply there.
SHORT = 60


class ReaderGone(Exception):  # noqa: N818 - names what happened
    """Whoever read our stdout or stderr (head, less) has closed it. No BrokenPipeError: click would make that exit code 1."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(f"nobody reads file descriptor {descriptor} any more")
        self.descriptor = descriptor


def out(text: str) -> None:
    _print(text, sys.stdout)


def err(text: str) -> None:
    _print(text, sys.stderr)


def structured() -> bool:
    """Tell whether talk is a log for machines."""
    return isinstance(sys.stderr, JsonStderr)


def bind(**fields: str) -> None:
    """Name what all further talk is about, where it is structured: e.g. the run."""
    if isinstance(sys.stderr, JsonStderr):
        sys.stderr.bind(**fields)


def data(content: bytes) -> None:
    """Write bytes to stdout as they are."""
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        raise ReaderGone(sys.stdout.fileno()) from error


def alert(text: str) -> None:
    """Write to stderr past Python's buffers: a signal handler may interrupt a `print`, which refuses to be entered twice."""
    if isinstance(sys.stderr, JsonStderr):
        sys.stderr.alert(text)
        return
    with suppress(OSError):
        os.write(sys.stderr.fileno(), f"{text}\n".encode())


def _print(text: str, stream: TextIO) -> None:
    # Flushed, so that a closed pipe shows here and not when Python ends.
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError as error:
        raise ReaderGone(stream.fileno()) from error


def failure(reason: str, solution: str) -> str:
    """Return a FarmError as people read it: reason, then the hint on its own line."""
    reason = "\n".join(map(_clipped, reason.split("\n")))
    return f"error: {reason}\nhint: {solution}" if solution else f"error: {reason}"


def _clipped(line: str) -> str:
    """A line of the user's that has no end would push everything else off the screen."""
    return line if len(line) <= 2000 else f"{line[:500]} … ({len(line)} characters) … {line[-100:]}"


def matrix(report: Report, *, everything: bool, width: int) -> str:
    """Return the package × target table. Columns are lettered, with a legend, where names do not fit `width` characters."""
    packages: dict[tuple[str, str], dict[str, Row]] = {}
    for row in report.rows:
        packages.setdefault((row.name, row.version), {})[row.target] = row
    shown = {
        key: cells
        for key, cells in sorted(packages.items())
        if everything or len(packages) <= SHORT or any(row.state not in THERE for row in cells.values())
    }
    labels = [f"{name} {version}" for name, version in shown]
    first = max([len(label) for label in labels] + [len("package")])
    heads = list(report.targets)
    legend = []
    if first + sum(len(head) + 2 for head in heads) > width:
        letters = [_letter(number) for number in range(len(heads))]
        legend = [f"{letter} = {head}" for letter, head in zip(letters, heads, strict=True)]
        heads = letters
    widths = [max(len(head), 7) for head in heads]
    lines = [_line("package", first, heads, widths)]
    for label, cells in zip(labels, shown.values(), strict=True):
        words = [WORDS[cells[target].state] if target in cells else "–" for target in report.targets]
        lines.append(_line(label, first, words, widths))
    hidden = len(packages) - len(shown)
    if hidden:
        lines.append(f"… and {hidden} more with wheels for every target (-v shows them)")
    used = {WORDS[row.state] for row in report.rows}
    keys = ", ".join(f"{word}: {meaning}" for word, meaning in LEGEND.items() if word in used)
    return "\n".join([*legend, *lines, f"({keys})" if keys else ""]).rstrip()


def _letter(number: int) -> str:
    return chr(ord("A") + number) if number < 26 else f"{chr(ord('A') + number // 26 - 1)}{chr(ord('A') + number % 26)}"


def _line(label: str, first: int, words: Sequence[str], widths: Sequence[int]) -> str:
    cells = (word.ljust(width) for word, width in zip(words, widths, strict=True))
    return f"{label.ljust(first)}  {'  '.join(cells)}".rstrip()


def reasons(report: Report) -> str:
    """Return, grouped by state, why each cell is not simply there."""
    groups = (
        ("to build", "build"), ("built", "built"), ("failed", "failed"), ("timed out", "timed-out"), ("blocked", "blocked"),
        ("cannot be planned", "refused"), ("cannot be had", "impossible"), ("hidden from the client", "hidden"),
        ("unknown", "unknown"), ("stopped", "cancelled"),
    )  # fmt: skip
    lines = []
    for title, state in groups:
        rows = [row for row in report.rows if row.state == state]
        if rows:
            lines.append(f"{title} ({len(rows)}):")
            lines.extend(_reason(row) for row in rows)
    for problem in report.problems:
        text = problem.text.replace("\n", "\n    ")
        lines.append(f"{problem.subject}: {'no solution' if problem.kind == 'unresolved' else 'not built'}\n    {text}")
    lines.extend(f"note: {note}" for note in report.notes)
    return "\n".join(lines)


def _reason(row: Row) -> str:
    text = f"  {row.name} {row.version} for {row.target}"
    if row.state == "built" and row.seconds:
        text += f" in {row.seconds:.1f} s"
    if row.state == "build" and row.estimate_s is not None:
        text += f" (about {duration(row.estimate_s)})" if row.estimate_s else " (served by another target's wheel, as far as can be told)"
    told = "; ".join(filter(None, (row.reason, f"healed by {', '.join(row.healed)}" if row.healed else "", *_made(row))))
    if told:
        text += ": " + told.replace("\n", "\n      ")
    if row.required_by and row.state != "built":
        text += f" (for {', '.join(row.required_by[:3])}{', …' if len(row.required_by) > 3 else ''})"
    if row.diagnosis and row.diagnosis.line and row.diagnosis.line not in row.reason:
        text += f"\n      line {row.diagnosis.number}: {row.diagnosis.line}"
    if row.diagnosis and row.diagnosis.remedy:
        text += f"\n      hint: {row.diagnosis.remedy}"
    text += f"\n      {advice(row)}" if row.advice else ""
    text += _story(row)
    if row.attempt and row.state in {"failed", "timed-out"}:
        text += f"\n      log: farm log {row.attempt}"
    return text


def advice(row: Row) -> str:
    """Return what to do instead of building this release."""
    return f"upgrade to {row.name}=={row.upgrade}: {row.advice}" if row.upgrade else f"other releases: {row.advice}"


def _made(row: Row) -> Iterator[str]:
    if row.coupling:
        yield f"tied to the ABI of {' and '.join(row.coupling)}"
    if row.reproduction:
        yield str(row.reproduction)


def _story(row: Row) -> str:
    """What was tried before the last attempt, and what was not but may help."""
    text = f"\n      may heal it: {row.proposal}" if row.proposal else ""
    text += "".join(f"\n      could not be tried: {obstacle}" for obstacle in row.obstacles)
    for number, tried in enumerate(row.tried, start=1):
        taken_back = "" if tried.kept else " (did not help, taken back)"
        text += f"\n      attempt {number} ({tried.build}): {tried.diagnosis.summary}; then {tried.change}{taken_back}"
    return text


def summary(report: Report) -> str:
    """Return one line: how much is there, what was done, how long it took."""
    counts = report.count()
    there, total = sum(counts[state] for state in THERE), len(report.rows)
    parts = [f"{there} of {total} wheel{' is' if total == 1 else 's are'} there"]
    names = (("built", "built now"), ("build", "to build"), ("failed", "failed"), ("timed-out", "timed out"),
             ("blocked", "blocked"), ("refused", "cannot be planned"), ("impossible", "cannot be had"),
             ("hidden", "hidden from the client"), ("unknown", "unknown"), ("cancelled", "stopped"))  # fmt: skip
    parts += [f"{counts[state]} {words}" for state, words in names if counts[state]]  # type: ignore[index]
    unresolved = sum(problem.kind == "unresolved" for problem in report.problems)
    if unresolved:
        parts.append(f"{unresolved} target{'s' if unresolved > 1 else ''} without a solution")
    return f"{', '.join(parts)} ({report.seconds:.1f} s)"


def duration(seconds: float) -> str:
    """Return a duration in the unit in which a person would say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def cost(expected: Cost | None) -> str:
    """Return what building would take, in one line; empty where nothing is to be built."""
    if expected is None or not expected.jobs:
        return ""
    wheels = f"{expected.jobs} wheel{'s' if expected.jobs > 1 else ''} to build"
    if not expected.known:
        return f"{wheels}: no history of such builds, so no estimate"
    text = f"{wheels}: about {duration(expected.elapsed_s)} with {expected.side_by_side} side by side"
    text += f" ({duration(expected.total_s)} in all, longest chain {duration(expected.critical_s)}: {', '.join(expected.longest)})"
    rest = expected.jobs - expected.known
    return f"{text}; {rest} more without history" if rest else text


def report_json(report: Report, exit_code: int, error: BaseException | None = None) -> str:
    """Return the report as JSON; docs/report.md documents it, `schema` grows when a key changes its meaning.

    `error` is what ended the run early, if anything did.
    """
    packages: dict[tuple[str, str], dict[str, Any]] = {}
    for row in (*report.rows, *report.not_needed()):
        entry = packages.setdefault(
            (row.name, row.version), {"name": row.name, "version": row.version, "required_by": [], "cells": {}}
        )
        entry["required_by"] = sorted({*entry["required_by"], *row.required_by})
        entry["cells"][row.target] = _cell(row)
    content = {
        "schema": SCHEMA,
        "dry_run": report.dry_run,
        "exit_code": exit_code,
        "seconds": round(report.seconds, 3),
        "targets": list(report.targets),
        "packages": list(packages.values()),
        "problems": [{"subject": p.subject, "kind": p.kind, "text": p.text} for p in report.problems],
        "notes": list(report.notes),
        "error": _error(error),
        "cost": None if report.cost is None else asdict(report.cost),
        "summary": dict(sorted(report.count().items())),
    }
    import msgspec  # noqa: PLC0415 - writes tens of thousands of cells in a tenth of json's time

    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode()


def _error(error: BaseException | None) -> dict[str, str] | None:
    if error is None:
        return None
    if isinstance(error, FarmError):
        return {"reason": error.reason, "hint": error.solution}
    return {"reason": f"a fault of farm itself: {error!r}", "hint": "report it with the traceback on stderr"}


def _cell(row: Row) -> dict[str, Any]:
    cell: dict[str, Any] = {"state": row.state, "reason": row.reason, "file": row.file or None, "estimate_s": row.estimate_s}
    if row.attempt:
        cell |= {"build": row.attempt, "seconds": round(row.seconds, 3)}
    if row.url:
        cell |= {"url": row.url, "commit": row.commit or None}
    if row.diagnosis:
        cell["diagnosis"] = _diagnosis(row.diagnosis)
    if row.tried:
        cell["healed_by"] = list(row.healed)
        cell["attempts"] = [
            {"build": one.build, "stage": one.stage, "diagnosis": _diagnosis(one.diagnosis), "change": one.change, "kept": one.kept}
            for one in row.tried
        ]
    if row.proposal:
        cell["proposal"] = row.proposal
    if row.advice:
        cell |= {"advice": row.advice, "upgrade": row.upgrade or None}
    cell |= {key: list(texts) for key, texts in (("coupling", row.coupling), ("instructions", row.instructions)) if texts}
    if row.reproduction:
        cell["reproduction"] = reproduction_json(row.reproduction)
    if row.obstacles:
        cell["obstacles"] = list(row.obstacles)
    return cell


def _diagnosis(found: Diagnosis) -> dict[str, Any]:
    return {
        "cause": found.cause,
        "summary": found.summary,
        "line": found.line,
        "number": found.number,
        "remedy": found.remedy,
        "subject": found.subject,
        "confidence": found.confidence,
    }


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a plain table with columns as wide as their content."""
    content = [tuple(heads), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in content) for column in range(len(heads))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in content)
