"""A failed build's log -> Diagnosis. Pure; the rules are data (`rules.toml`)."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farm.model.outcome import Diagnosis

if TYPE_CHECKING:
    from collections.abc import Iterable

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# What front ends print when a build has failed for another reason: never the cause itself.
_CONSEQUENCE = re.compile(
    r"subprocess-exited-with-error|Failed building wheel|exit (?:code|status)|returned non-zero|Backend subprocess exited"
    r"|note: This error originates|^ERROR Backend|cibuildwheel: error|^error: command .* failed"
)
# Some rules take time that grows with the square of a line; a stranger's build may print a line of megabytes.
_LONGEST = 2000
_TELLING = re.compile(r"\berror\b|\bError\b|ERROR|fatal:|Traceback|[A-Za-z]+Exception\b")


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of rules.toml, compiled."""

    cause: str
    pattern: re.Pattern[str]
    summary: str
    remedy: str


def load_rules(text: str) -> tuple[Rule, ...]:
    """Return the rules of a rules.toml; re.error or KeyError when a row is malformed."""
    rows = tomllib.loads(text)["rules"]
    return tuple(Rule(row["cause"], re.compile(row["pattern"]), row["summary"], row["remedy"]) for row in rows)


def diagnose(lines: Iterable[str], rules: tuple[Rule, ...]) -> Diagnosis:
    """Return the earliest line that a rule knows; else "unknown" with the last line that looks like an error."""
    last: tuple[int, str] | None = None
    for number, raw in enumerate(lines, start=1):
        line = _COLOUR.sub("", raw[:_LONGEST]).strip()
        for rule in rules:
            match = rule.pattern.search(line)
            if match:
                return _diagnosis(rule, match, line, number)
        if _TELLING.search(line) and not _CONSEQUENCE.search(line):
            last = (number, line)
    if last is None:
        return Diagnosis(cause="unknown", summary="the build failed without an error line; see its log")
    return Diagnosis(cause="unknown", summary=last[1][:200], line=last[1][:500], number=last[0])


def _diagnosis(rule: Rule, match: re.Match[str], line: str, number: int) -> Diagnosis:
    subject = next((text for text in match.groupdict().values() if text), "")
    return Diagnosis(
        cause=rule.cause,
        summary=rule.summary.format(subject=subject).rstrip(": "),
        line=line[:500],
        number=number,
        remedy=rule.remedy.format(subject=subject),
    )
