"""Report -> JUnit XML, as CI systems read it: a test suite for each target, a test case for each package."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from farm.cli.render import advice
from farm.model.report import THERE

if TYPE_CHECKING:
    from farm.model.report import Report, Row


def junit(report: Report) -> str:
    """Return the XML text. Failures are packages that could not be built, errors are answers that could not be had."""
    suites = []
    for target in report.targets:
        rows = [row for row in report.rows if row.target == target]
        problems = [p for p in report.problems if p.subject == target]
        cases = "".join(_case(row) for row in rows)
        cases += "".join(
            f'<testcase classname={quoteattr(target)} name="resolution"><error message={_attribute(p.text)}/></testcase>'
            for p in problems
        )
        failures = sum(_verdict(row) == "failure" for row in rows)
        errors = sum(_verdict(row) == "error" for row in rows) + len(problems)
        skipped = sum(_verdict(row) == "skipped" for row in rows)
        suites.append(
            f'<testsuite name={quoteattr(target)} tests="{len(rows) + len(problems)}" failures="{failures}"'
            f' errors="{errors}" skipped="{skipped}">{cases}</testsuite>'
        )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="farm build">{"".join(suites)}</testsuites>\n'


def _verdict(row: Row) -> str:
    if row.state in THERE:
        return ""
    if row.state == "unknown":
        return "error"
    return "skipped" if row.state in {"build", "blocked", "cancelled"} else "failure"


def _case(row: Row) -> str:
    head = (
        f"<testcase classname={quoteattr(row.target)} name={quoteattr(f'{row.name}=={row.version}')}"
        f' time="{row.seconds:.3f}"'
    )
    verdict = _verdict(row)
    inner = f"<{verdict} message={_attribute(row.reason)}>{escape(_clean(_remedy(row)))}</{verdict}>" if verdict else ""
    story = _story(row)
    inner += f"<system-out>{escape(_clean(story))}</system-out>" if story else ""
    return f"{head}>{inner}</testcase>" if inner else f"{head}/>"


def _remedy(row: Row) -> str:
    """The line of the log that proves it, and what a person has to do."""
    found = row.diagnosis
    if found is None:
        return ""
    lines = [f"line {found.number}: {found.line}"] if found.line and found.number else []
    lines += [f"hint: {found.remedy}"] if found.remedy else []
    lines += [f"log: farm log {row.attempt}"] if row.attempt else []
    return "\n".join(lines)


def _story(row: Row) -> str:
    """What was tried at a package before its last attempt, and what healed it."""
    lines = [f"attempt {one.build}: {one.diagnosis.summary}; then {one.change}" for one in row.tried]
    lines += [f"healed by {', '.join(row.healed)}"] if row.healed else []
    lines += [f"may heal it: {row.proposal}"] if row.proposal else []
    lines += [advice(row)] if row.advice else []
    lines += [f"could not be tried: {obstacle}" for obstacle in row.obstacles]
    return "\n".join(lines)


def _attribute(text: str) -> str:
    return quoteattr(_clean(text))


def _clean(text: str) -> str:
    """XML 1.0 has no way to write most control characters; build logs hold them."""
    return "".join(c if c in "\t\n" or (ord(c) >= 32 and not 0xD800 <= ord(c) <= 0xDFFF) else "�" for c in text)
