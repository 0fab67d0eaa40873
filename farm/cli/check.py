"""`farm check`: what the requirements lack, why, and what building it would cost. Only reads."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import click

from farm.cli import render
from farm.errors import FarmError, UsageError
from farm.model.report import Report

if TYPE_CHECKING:
    from farm.cli.main import Context
    from farm.config import Settings
    from farm.model.lock import Choice
    from farm.model.report import Checked

GAPS = ("build", "impossible", "hidden", "refused", "pure-fallback", "unknown", "unresolved", "direct")
"""What `--fail-on` takes, beside "none"."""
DEFAULT = tuple(gap for gap in GAPS if gap != "pure-fallback")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The command line of one `farm check`."""

    requirements: tuple[str, ...]
    files: tuple[str, ...]
    extras: tuple[str, ...]
    groups: tuple[str, ...]
    default_groups: bool
    constraints: tuple[str, ...]
    targets: tuple[str, ...]
    client_pip: str | None
    form: Literal["text", "json", "github"]
    fail_on: frozenset[str]
    refresh: bool
    verbose: bool


def _gaps(_context: click.Context, _parameter: click.Parameter, value: str) -> frozenset[str]:
    wanted = frozenset(filter(None, (part.strip() for part in value.split(","))))
    wrong = sorted(wanted - {*GAPS, "none"})
    if wrong or not wanted or ("none" in wanted and len(wanted) > 1):
        message = f"expected none, or some of {', '.join(GAPS)}, found {value!r}"
        raise click.BadParameter(message)
    return wanted - {"none"}


@click.command()
@click.option("-r", "--requirement", "requirements", multiple=True, metavar="FILE",
              help="Requirements as pip's, a lock, pyproject.toml, or - (docs/inputs.md). Repeatable.")  # fmt: skip
@click.option("-c", "--constraint", "constraints", multiple=True, metavar="FILE", help="A constraints file, as pip's. Repeatable.")
@click.option("--extra", "extras", multiple=True, metavar="NAME", help="An extra of a lock or pyproject.toml. Repeatable.")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="A dependency group of a lock or pyproject.toml. Repeatable.")
@click.option("--default-groups/--no-default-groups", default=True, help="Whether a lock's groups count that its tool installs unasked.")
@click.option("--target", "targets", multiple=True, metavar="T", help="A kind of client, e.g. cp312-manylinux_2_28_x86_64. Repeatable.")
@click.option("--client-pip", metavar="VERSION", help="The oldest pip that installs, e.g. 20.2 (config.toml: client-pip).")
@click.option("--json", "form", flag_value="json", help="Print the report as JSON (docs/report.md); as --format json.")
@click.option("--format", "form", type=click.Choice(["text", "json", "github"]), default="text", help="github: annotations.")
@click.option("--fail-on", default=",".join(DEFAULT), metavar="LIST", callback=_gaps,
              help=f"What ends in failure: none, or some of {','.join(GAPS)}. Default: all but pure-fallback.")  # fmt: skip
@click.option("--refresh", is_flag=True, help="Ask the upstream index again, whatever is remembered.")
@click.option("-v", "--verbose", is_flag=True, help="Show every package.")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.pass_obj
def check(context: Context, /, **options: Any) -> int:
    """Say which wheels the requirements lack for the targets, why, and what building them would cost.

    Only reads: starts no engine, builds nothing, runs no package's code. Exit code 0: nothing is missing, 1: there are gaps,
    3: an index did not answer, 7: no solution.
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
    inputs = tuple(dict.fromkeys(asked.requirements + asked.files))
    if not inputs:
        raise UsageError("no requirements: expected at least one -r FILE", solution="farm check -r requirements.txt")
    if "-" in asked.constraints:
        raise UsageError("-c: expected a file, found -", solution="give the constraints as a file; -r - reads standard input")
    settings = _settings(context, asked)
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks
    from farm.wire.check import Question, check  # noqa: PLC0415 - the same

    with Farm(settings, context.env, refresh=asked.refresh) as farm:
        found = check(farm, Question(inputs=inputs, constraints=asked.constraints, choice=_choice(asked)))
    report = replace(found.report, seconds=time.monotonic() - started)
    code = exit_code(report, asked.fail_on)
    for remark in found.remarks:
        render.err(f"note: {remark}")
    _tell(asked, replace(found, report=report), code, verbose=asked.verbose or context.verbose)
    return code


def _settings(context: Context, asked: Asked) -> Settings:
    settings = context.settings()
    if asked.client_pip:
        from farm.model.client import parse_pip  # noqa: PLC0415 - only when asked for

        settings = replace(settings, client_pip=parse_pip(asked.client_pip))
    if asked.targets:
        from farm.model.target import parse_target  # noqa: PLC0415 - the same

        settings = replace(settings, targets=tuple(dict.fromkeys(parse_target(name) for name in asked.targets)))
    return settings


def _choice(asked: Asked) -> Choice | None:
    if not (asked.extras or asked.groups) and asked.default_groups:
        return None
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - only when asked for

    from farm.model.lock import Choice  # noqa: PLC0415 - the same

    extras, groups = (frozenset(canonicalize_name(name) for name in names) for names in (asked.extras, asked.groups))
    return Choice(extras=extras, groups=groups, default_groups=asked.default_groups)


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
