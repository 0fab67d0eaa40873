"""`farm check`: what the requirements lack, why, and what building it would cost. Only reads."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import click

from farm.cli import render
from farm.cli.inputs import Inputs, input_options
from farm.errors import FarmError
from farm.model.report import Report

if TYPE_CHECKING:
    from farm.cli.main import Context
    from farm.model.report import Checked

GAPS = ("build", "impossible", "hidden", "refused", "pure-fallback", "unknown", "unresolved", "direct")
"""What `--fail-on` takes, beside "none"."""
DEFAULT = tuple(gap for gap in GAPS if gap != "pure-fallback")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Inputs):
    """The command line of one `farm check`."""

    form: Literal["text", "json", "github"]
    fail_on: frozenset[str]
    verbose: bool


def _gaps(_context: click.Context, _parameter: click.Parameter, value: str) -> frozenset[str]:
    wanted = frozenset(filter(None, (part.strip() for part in value.split(","))))
    wrong = sorted(wanted - {*GAPS, "none"})
    if wrong or not wanted or ("none" in wanted and len(wanted) > 1):
        import difflib  # noqa: PLC0415 - only on a mistake

        near = [name for word in wrong for name in difflib.get_close_matches(word, (*GAPS, "none"), n=1)]
        hint = f"; perhaps you meant {', '.join(near)}" if near else ""
        message = f"expected none, or some of {', '.join(GAPS)}, found {', '.join(map(repr, wrong)) or repr(value)}{hint}"
        raise click.BadParameter(message)
    return wanted - {"none"}


@click.command()
@input_options
@click.option("--json", "form", flag_value="json", help="Print the report as JSON (docs/report.md); as --format json.")
@click.option("--format", "form", type=click.Choice(["text", "json", "github"]), default="text", help="github: annotations.")
@click.option("--fail-on", default=",".join(DEFAULT), metavar="LIST", callback=_gaps,
              help=f"What ends in failure: none, or some of {','.join(GAPS)}. Default: all but pure-fallback.")  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Show every package.")
@click.pass_obj
def check(context: Context, /, **options: Any) -> int:
    """Say which wheels the requirements lack for the targets, why, and what building them would cost.

    FILE is as with -r. Only reads: starts no engine, builds nothing, runs no package's code.

    \b
    farm check requirements.txt
    farm check -r uv.lock --target cp313-musllinux_1_2_x86_64
    farm check requirements.txt --format github --fail-on build,impossible

    Exit code 0: nothing is missing, 1: there are gaps, 2: an input is not as expected, 3: an index did not answer, 7: no
    solution. More: docs/check.md.
    """
    asked = Asked(**options)
    try:
        return _check(context, asked)
    except FarmError as error:
        if asked.form == "json":
            render.out(render.report_json(Report(dry_run=True), error.exit_code, error))
        raise


def _check(context: Context, asked: Asked) -> int:
    started = time.monotonic()
    asked.check("check")
    settings = asked.settings(context)
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks
    from farm.wire.check import Question, check  # noqa: PLC0415 - the same

    with Farm(settings, context.env, refresh=asked.refresh) as farm:
        found = check(farm, Question(inputs=asked.inputs, constraints=asked.constraints, choice=asked.choice))
    report = replace(found.report, seconds=time.monotonic() - started)
    code = exit_code(report, asked.fail_on)
    for remark in found.remarks:
        render.err(f"note: {remark}")
    if not report.rows and not report.problems:
        render.err(f"note: {asked.nothing()}")
    _tell(asked, replace(found, report=report), code, verbose=asked.verbose or context.verbose)
    return code


def exit_code(report: Report, fail_on: frozenset[str]) -> int:
    """Return 7 where a target has no solution, 3 where an index did not answer, 1 for other gaps; each only if in `fail_on`."""
    found = ({*report.count()} | {problem.kind for problem in report.problems}) & fail_on
    if "unresolved" in found:
        return 7
    if "unknown" in found:
        return 3
    return 1 if found else 0


def _tell(asked: Asked, found: Checked, code: int, *, verbose: bool) -> None:
    report = found.report
    if asked.form == "json":
        render.out(render.report_json(report, code))
        return
    closing = "\n".join(filter(None, (render.cost(report.cost), render.summary(report))))
    if asked.form == "github":
        from farm.cli.github import workflow_commands  # noqa: PLC0415 - only when asked for

        render.out(workflow_commands(report, dict(found.places), asked.fail_on, closing))
        return
    from shutil import get_terminal_size  # noqa: PLC0415 - only when shown

    if report.rows:
        width = get_terminal_size((120, 24)).columns
        render.out(render.matrix(report, everything=verbose, width=width))
    details = render.reasons(report)
    if details:
        render.out(details)
    render.out(closing)
