"""`farm log` and `farm status`: past attempts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
from packaging.utils import canonicalize_name

from farm.cli import render
from farm.errors import UsageError

if TYPE_CHECKING:
    from farm.cli.main import Context
    from farm.model.attempt import Attempt


@click.command()
@click.argument("build")
@click.pass_obj
def log(context: Context, build: str) -> int:
    """Print the whole log of a build, by its id (or the beginning of it) as `farm status` shows it."""
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks

    with Farm(context.settings(), context.env) as farm:
        found = farm.find_attempts(build)
        if len(found) != 1:
            what = "no build" if not found else f"{len(found)} builds ({', '.join(a.id for a in found[:5])})"
            raise UsageError(f"{what} with an id that begins with {build!r}", solution="`farm status` lists the ids")
        lines = farm.rooms.log_lines(found[0].id)
        render.out("\n".join(lines))
    return 0


@click.command()
@click.argument("package", required=False)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="At most so many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def status(context: Context, package: str | None, limit: int, *, as_json: bool) -> int:
    """Show past builds, newest first; of one PACKAGE if named."""
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks

    with Farm(context.settings(), context.env) as farm:
        attempts = farm.catalogue.attempts(canonicalize_name(package) if package else None, limit)
    if as_json:
        render.out(json.dumps({"schema": 1, "builds": [_json(attempt) for attempt in attempts]}, indent=2))
        return 0
    if not attempts:
        render.err(f"no builds of {package} yet" if package else "no builds yet")
        return 0
    rows = [
        (a.id, f"{a.name} {a.version}", a.target, a.state, _seconds(a), a.wheel if a.digest else a.summary[:90]) for a in attempts
    ]
    render.out(render.table(("build", "package", "target", "state", "time", "wheel or reason"), rows))
    return 0


def _seconds(attempt: Attempt) -> str:
    return f"{(attempt.ended - attempt.started).total_seconds():.1f} s" if attempt.ended else "–"


def _json(attempt: Attempt) -> dict[str, object]:
    return {
        "id": attempt.id,
        "run": attempt.run,
        "name": attempt.name,
        "version": str(attempt.version),
        "target": attempt.target,
        "state": attempt.state,
        "started": attempt.started.isoformat(),
        "ended": attempt.ended.isoformat() if attempt.ended else None,
        "wheel": attempt.wheel or None,
        "sha256": attempt.digest,
        "cause": attempt.cause or None,
        "summary": attempt.summary or None,
        "remedy": attempt.remedy or None,
        "log": attempt.log,
    }
