"""`farm targets census`: what clients are, and which targets would serve them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from farm.cli import render
from farm.cli.misses import NOT_COUNTED, Age

if TYPE_CHECKING:
    from datetime import timedelta

    from farm.cli.main import Context
    from farm.survey.census import Census


@click.command("census", short_help="What clients are, and which targets to configure.")
@click.option("--since", type=Age(), default="30d", show_default=True, help="How far back; whole days count (UTC).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/demand.md).")
@click.pass_obj
def census(context: Context, since: timedelta, *, as_json: bool) -> int:
    """Show what the clients of `farm serve` are by their user agents, and propose targets for those that no configured one serves.

    Shares are of the requests for pages. No user agent tells a free-threaded Python.
    """
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks
    from farm.wire.demand import census as take  # noqa: PLC0415 - the same

    settings = context.settings()
    with Farm(settings, context.env) as farm:
        found = take(farm, since)
        notes = farm.notes()
    line = _line([target.name for target in settings.targets], found)
    if as_json:
        told = {"schema": 1, "since_s": since.total_seconds(), **asdict(found), "line": line, "notes": list(notes)}
        render.out(json.dumps(told, indent=2))
        return 0
    if not found.total:
        render.err("no client has asked for a page" if settings.count_demand else NOT_COUNTED)
        return 0
    _tell(found, line)
    for note in notes:
        render.err(f"note: {note}")
    return 0


def _tell(found: Census, line: str) -> None:
    rows = [(f"{one.share:.1%}", one.target, ", ".join(one.clients), one.served or "no configured target") for one in found.met]
    if rows:
        render.out(render.table(("share", "client is", "mostly", "served by"), rows))
    if found.untold:
        by = ", ".join(f"{client} ({count})" for client, count in found.by_untold)
        render.out(f"{found.untold} of {found.total} requests do not tell what their client is: {by}")
    if not found.proposals:
        render.out("every kind of client with a share worth naming is served by a configured target" if rows else "")
        return
    proposed = [(f"{one.serves:.1%}", one.target, f"no image: {one.lacking}" if one.lacking else one.why) for one in found.proposals]
    render.out("\n" + render.table(("serves", "proposed target", "why"), proposed))
    if line:
        render.out(f"\nfor config.toml:\n  {line}")


def _line(configured: list[str], found: Census) -> str:
    """Return the line of config.toml with what is configured and what is proposed and can be built; "" when that is nothing new."""
    new = [one.target for one in found.proposals if not one.lacking]
    return "targets = " + json.dumps([*configured, *new]) if new else ""
