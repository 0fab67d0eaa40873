"""`farm explain`: what made a build fail, read off its log."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farm.cli import render
from farm.errors import UsageError
from farm.work.diagnosis import explain as engine
from farm.work.diagnosis.knowledge import knowledge, shipped_rules
from farm.work.diagnosis.rules import check_rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farm.cli.main import Context
    from farm.model.outcome import Remedy
    from farm.wire.explain import WheelAnswer
    from farm.work.diagnosis.explain import Explanation

SCHEMA = 1
_BLOCK = 1 << 20
_LIST = "list"
_NAMES = {
    "debian": "Debian, Ubuntu",
    "rhel": "RHEL, Alma, Fedora",
    "alpine": "Alpine",
    "macos": "macOS",
    "windows": "Windows",
    "any": "anywhere",
}
_EXAMPLES = """\b
Examples:
  pip install PKG 2>&1 | farm explain
  farm explain build.log
  farm explain --json - < build.log
  farm explain 20260101-120000-abcdef      a build of the farm's own
  farm explain --rules mine.toml build.log

\b
Exit codes: 0 the cause was found, 1 it is unknown, 2 usage.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The command line of one `farm explain`."""

    log: str
    as_json: bool
    rules: str | None
    platform: str
    index: bool | None


@click.command(epilog=_EXAMPLES)
@click.argument("log", default="-", metavar="[LOG|-|BUILD]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object (docs/explain.md).")
@click.option(
    "--rules",
    is_flag=False,
    flag_value=_LIST,
    metavar="[FILE]",
    help="Rules of your own, tried first; alone: print the shipped ones.",
)
@click.option(
    "--platform", default="", type=click.Choice(["", "debian", "rhel", "alpine", "linux", "macos", "windows"]), show_choices=True,
    metavar="NAME", help="Where the log is from: debian, rhel, alpine, linux, macos, windows. Default: as the log tells.",
)  # fmt: skip
@click.option(
    "--index/--offline", default=None, help="Ask the index for a wheel, or never. Default: ask, except with --json."
)
@click.pass_obj
def explain(context: Context, /, **options: Any) -> int:
    """Tell why a build failed: the earliest root cause with its line, and the fix for your platform.

    Reads a log of pip, uv, build, cibuildwheel, setuptools, meson, CMake or cargo, from a file or standard input.
    """
    asked = Asked(**options)
    if asked.rules == _LIST:
        render.out(shipped_rules().rstrip())
        return 0
    own = Path(asked.rules) if asked.rules else None
    known = knowledge(own)
    if own:
        check_rules(known.rules)
    if asked.log == "-" and sys.stdin.isatty():
        raise UsageError("expected a log on standard input or a file", solution="pip install PKG 2>&1 | farm explain")
    found = engine.explain(_blocks(context, asked.log), known, asked.platform)
    wheel = None
    if asked.index or (asked.index is None and not asked.as_json):
        from farm.wire.explain import wheel_exists  # noqa: PLC0415 - slow to import, and often not asked

        wheel = wheel_exists(found.facts, context.settings, context.env)
    render.out(as_json(found, wheel) if asked.as_json else as_text(found, wheel))
    return 1 if found.cause == "unknown" else 0


def _blocks(context: Context, log: str) -> Iterator[bytes]:
    if log == "-":
        yield from iter(lambda: sys.stdin.buffer.read(_BLOCK), b"")
        return
    path = Path(log)
    if path.is_file():
        with path.open("rb") as file:
            yield from iter(lambda: file.read(_BLOCK), b"")
        return
    from farm.wire import Farm  # noqa: PLC0415 - only for the farm's own builds

    with Farm(context.settings(), context.env) as farm:
        found = farm.find_attempts(log)
        if len(found) != 1:
            what = "neither a file nor a build" if not found else f"the beginning of {len(found)} builds"
            raise UsageError(
                f"expected a log file, - or a build's id, found {log!r}: {what}", solution="`farm status` lists the ids"
            )
        for line in farm.rooms.log_lines(found[0].id):
            yield f"{line}\n".encode()


def as_json(found: Explanation, wheel: WheelAnswer | None) -> str:
    """Return the answer as one JSON object; docs/explain.md documents it."""
    facts = found.facts
    content = {
        "schema": SCHEMA,
        "cause": found.cause,
        "subject": found.subject,
        "summary": found.summary,
        "root_line": found.root_line,
        "line": found.line,
        "confidence": found.confidence,
        "remedies": [_remedy(remedy) for remedy in found.remedies],
        "wheel_exists": wheel.where if wheel else None,
        "wheel": {"target": wheel.target, "file": wheel.file, "note": wheel.note} if wheel else None,
        "package": facts.package or None,
        "version": facts.version or None,
        "platform": facts.platform or None,
        "python": facts.python or None,
        "arch": facts.arch or None,
        "pip": facts.pip or None,
        "rule": found.rule or None,
        "lines": [{"line": number, "text": text} for number, text in found.lines],
    }
    return json.dumps(content, ensure_ascii=False, indent=2)


def _remedy(remedy: Remedy) -> dict[str, Any]:
    return {
        "platform": remedy.platform,
        "packages": list(remedy.packages),
        "commands": list(remedy.commands),
        "note": remedy.note,
    }


def as_text(found: Explanation, wheel: WheelAnswer | None) -> str:
    """Return the answer for people: what, the line, how sure, the fix for this platform first, how to verify it."""
    lines = [*_what(found)]
    own = found.facts.platform if found.facts.platform != "linux" else "debian"
    shown = [r for r in found.remedies if r.platform in (own, "any") or not own]
    others = [r for r in found.remedies if r not in shown]
    for remedy in shown:
        lines.extend(_fix(remedy))
    lines.extend(f"  {_NAMES[remedy.platform]}: {remedy.commands[0]}" for remedy in others if remedy.commands)
    if wheel:
        lines.extend(_wheel(wheel))
    if found.cause != "unknown":
        name = found.facts.package or "PKG"
        pinned = f"{name}=={found.facts.version}" if found.facts.version and found.facts.package else name
        lines += ["verify:", f"  python -m pip install --no-cache-dir -v {pinned}, then import it"]
    return "\n".join(lines)


def _what(found: Explanation) -> Iterator[str]:
    facts = found.facts
    subject = " ".join(part for part in (facts.package, facts.version) if part)
    where = ", ".join(
        part for part in (facts.platform, f"Python {facts.python}" if facts.python else "", facts.arch) if part
    )
    if subject or where:
        yield f"{subject or 'a build'}{f' ({where})' if where else ''}"
    if found.cause == "unknown":
        yield "cause: unknown" + ("; the most telling lines:" if found.lines else ": no line of it looks like an error")
        for number, text in found.lines:
            yield f"  line {number}: {text[:200]}"
        return
    yield f"cause: {found.cause}: {found.summary}"
    yield f"  line {found.line}: {found.root_line[:300]}"
    yield f"  confidence: {found.confidence}"
    yield "fix:"


def _fix(remedy: Remedy) -> Iterator[str]:
    name = _NAMES[remedy.platform]
    for command in remedy.commands:
        yield f"  {name}: {command}"
    rest = remedy.packages[1:]
    if rest:
        yield f"    it may also need: {', '.join(rest)}"
    if remedy.note:
        yield f"  {'' if remedy.platform == 'any' else f'{name}: '}{remedy.note}"


def _wheel(wheel: WheelAnswer) -> Iterator[str]:
    if wheel.where == "none":
        yield f"wheel: none for {wheel.target}, neither upstream nor on the farm"
    elif wheel.note:
        yield f"wheel: {wheel.file} ({wheel.where}) would do, but {wheel.note}"
    else:
        yield f"wheel: {wheel.where} has {wheel.file} for {wheel.target}: use it instead of compiling"
