"""`farm doctor`: is everything there that a build needs?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from farm.cli import render

if TYPE_CHECKING:
    from farm.cli.main import Context

_MARKS = {"ok": "ok   ", "warning": "warn ", "fault": "FAULT"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def doctor(context: Context, *, as_json: bool) -> int:
    """Check engine, images, disk, upstream index and clock, and say for each fault what to do.

    Exit code 0 when a build could start, 1 when something is in its way.
    """
    from farm.wire.doctor import examine  # noqa: PLC0415 - after the cheap checks

    findings = examine(context.settings(), context.env)
    if as_json:
        rows = [{"subject": f.subject, "state": f.state, "found": f.found, "fix": f.fix or None} for f in findings]
        render.out(json.dumps({"schema": 1, "findings": rows}, indent=2))
    else:
        for finding in findings:
            render.out(f"{_MARKS[finding.state]}  {finding.subject}: {finding.found}")
            if finding.fix:
                render.out(f"       hint: {finding.fix}")
    return 1 if any(finding.state == "fault" for finding in findings) else 0
