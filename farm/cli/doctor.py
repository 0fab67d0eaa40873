"""`farm doctor`: is everything there that a build needs? With --client: do this machine's pip and uv take the farm's wheels?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from farm.cli import render
from farm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farm.cli.main import Context
    from farm.model.finding import Finding

_MARKS = {"ok": "ok   ", "warning": "warn ", "fault": "FAULT"}


@click.command()
@click.option("--client", is_flag=True, help="Look at this machine's pip and uv, instead of at what builds need.")
@click.option("--python", metavar="PATH", help="With --client: whose pip. Default: as for `farm seed`.")
@click.option("--index-url", "farm", metavar="URL",
              help="With --client: the farm, e.g. https://HOST/simple/; it is asked too.")  # fmt: skip
@click.option("-r", "--requirement", "requirements", multiple=True, metavar="FILE",
              help="With --client and --index-url: look at these requirements, not at all that the farm has. Repeatable.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def doctor(context: Context, /, *, client: bool, as_json: bool, **options: Any) -> int:
    """Check engine, images, disk, upstream index and clock, and say for each fault what to do.

    With --client: find the traps by which pip and uv compile although the farm has the wheel (docs/clients.md).
    Exit code 0 when a build could start (clients take the farm's wheels), 1 when something is in its way.
    """
    return tell_findings(_client(context, options) if client else _engine(context, options), as_json=as_json)


def tell_findings(findings: Sequence[Finding], *, as_json: bool) -> int:
    """Print what was found, and return the exit code: 1 where anything is at fault."""
    if as_json:
        rows = [
            {"subject": f.subject, "state": f.state, "found": f.found, "why": f.why or None, "fix": f.fix or None}
            for f in findings
        ]
        render.out(json.dumps({"schema": 1, "findings": rows}, indent=2))
    else:
        for finding in findings:
            render.out(f"{_MARKS[finding.state]}  {finding.subject}: {finding.found}")
            if finding.why:
                render.out(f"       why: {finding.why}")
            if finding.fix:
                render.out(f"       hint: {finding.fix}")
    return 1 if any(finding.state == "fault" for finding in findings) else 0


def _engine(context: Context, options: dict[str, Any]) -> tuple[Finding, ...]:
    if any(options.values()):
        raise UsageError("--python, --index-url and -r: expected --client with them", solution="farm doctor --client …")
    from farm.wire.doctor import examine  # noqa: PLC0415 - after the cheap checks

    return examine(context.settings(), context.env)


def _client(context: Context, options: dict[str, Any]) -> tuple[Finding, ...]:
    if options["requirements"] and not options["farm"]:
        raise UsageError("-r: expected --index-url with it", solution="name the farm: --index-url https://HOST/simple/")
    from farm.cli.seed import client_python  # noqa: PLC0415 - after the cheap checks
    from farm.wire.client_doctor import Question, examine_client  # noqa: PLC0415 - the same

    python = client_python(context, options["python"])
    question = Question(python=python, farm=options["farm"], requirements=options["requirements"])
    return examine_client(context.settings(), context.env, question)
