"""`farm health`: for cron and monitoring, whether the farm does its work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from farm.cli.doctor import tell_findings
from farm.cli.token import age_option

if TYPE_CHECKING:
    from datetime import timedelta

    from farm.cli.main import Context


@click.command()
@click.option("--max-age", callback=age_option, metavar="TIME",
              help="How long ago the last nightly run may have ended, e.g. 26h. Without it, none need ever have run.")  # fmt: skip
@click.option("--engine", "ask_engine", is_flag=True, help="Ask the Docker engine too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def health(context: Context, /, *, max_age: timedelta | None, ask_engine: bool, as_json: bool) -> int:
    """Check that the store is there, can be written and has room, and that nightly runs happen and end well.

    Exit code 0 when all is well, 1 with the reasons when something is not. It asks no index and takes a moment; `farm doctor` looks at
    what a build needs. A server has /health (it is alive) and /ready (it can read the store).
    """
    from farm.wire.health import examine_health  # noqa: PLC0415 - after the cheap checks

    return tell_findings(examine_health(context.settings(), context.env, max_age, ask_engine=ask_engine), as_json=as_json)
