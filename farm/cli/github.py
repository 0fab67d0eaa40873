"""A report as GitHub's workflow commands: each gap becomes an annotation on the line of the requirement that leads to it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farm.model.report import Problem, Report, Row

_PLACE = re.compile(r"(?P<file>.+):(?P<line>\d+)")
_WORDS = {
    "build": "no wheel", "impossible": "cannot be had", "hidden": "hidden from the client's pip", "refused": "cannot be planned",
    "unknown": "unknown", "pure-fallback": "pure wheel only",
}  # fmt: skip
Level = Literal["error", "warning", "notice"]


def workflow_commands(report: Report, places: Mapping[str, int], fail_on: frozenset[str], summary: str) -> str:
    """Return one workflow command a line, the last one a notice with the summary.

    `places` are columns by FILE:LINE. What is in `fail_on` is an error, other gaps are warnings. A package that lacks wheels
    for several targets for one reason is told once. Source: GitHub's "Workflow commands for GitHub Actions".
    """
    lines = [_problem(problem, places, fail_on) for problem in report.problems]
    askers = {(row.name, row.target): row for row in report.rows}
    gaps: dict[tuple[str, tuple[str, ...], str, str, str, str], list[str]] = {}
    for row in report.rows:
        if row.state in _WORDS and (row.state in fail_on or row.state != "pure-fallback"):
            place, chain = _root(row, askers)
            gaps.setdefault((place, chain, row.name, row.version, row.state, row.reason), []).append(row.target)
    for (place, chain, name, version, state, reason), targets in gaps.items():
        text = f"{name} {version} for {', '.join(targets)}: {reason or _WORDS[state]}"
        if chain:
            text += f"\nneeded by {' < '.join(chain)}"
        level: Level = "error" if state in fail_on else "warning"
        lines.append(_command(level, _where(place, places), f"{name} {version}: {_WORDS[state]}", text))
    return "\n".join([*lines, _command("notice", {}, "farm check", summary)])


def _problem(problem: Problem, places: Mapping[str, int], fail_on: frozenset[str]) -> str:
    level: Level = "error" if problem.kind in fail_on else "warning"
    if problem.kind == "unresolved":
        return _command(level, {}, f"no solution for {problem.subject}", problem.text)
    return _command(level, _where(problem.subject, places), "not an index package", problem.text)


def _root(row: Row, askers: Mapping[tuple[str, str], Row]) -> tuple[str, tuple[str, ...]]:
    """Return the FILE:LINE of the nearest requirement that leads to a package ("" for none), and the packages between."""
    seen = {row.name}
    todo: list[tuple[Row, tuple[str, ...]]] = [(row, ())]
    while todo:
        at, chain = todo.pop(0)
        for asker in at.required_by:
            if _PLACE.fullmatch(asker):
                return asker, chain
        for asker in at.required_by:
            # A build requirement's asker is a pin: "NAME==VERSION (build requirement)".
            name = asker.partition("==")[0]
            above = askers.get((name, row.target))
            if above is not None and name not in seen:
                seen.add(name)
                todo.append((above, (*chain, name)))
    return "", ()


def _where(place: str, places: Mapping[str, int]) -> dict[str, str]:
    match = _PLACE.fullmatch(place)
    if match is None:
        return {}
    return {"file": match["file"], "line": match["line"], "col": str(places.get(place, 1))}


def _command(level: Level, where: Mapping[str, str], title: str, text: str) -> str:
    properties = ",".join(f"{key}={_property(value)}" for key, value in {**where, "title": title}.items())
    return f"::{level} {properties}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
