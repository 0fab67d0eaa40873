"""`farm campaign`: all that the watched sets want, brought to one further target."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import click

from farm.cli import render
from farm.cli.nightly import DURATION, staged
from farm.errors import FarmError, Interrupted, UsageError
from farm.model.campaign import VERSIONS, Campaign, Versions

if TYPE_CHECKING:
    from farm.cli.main import Context
    from farm.model.campaign import Board, Goal
    from farm.model.report import Row
    from farm.wire.extra import Carried

_MOST = 60
_WORDS = {
    "upstream": "wheel", "farm": "farm", "build": "BUILD", "failed": "FAILED", "waiting": "later", "skipped": "skipped",
    "impossible": "NONE", "unknown": "unknown",
}  # fmt: skip


@click.group()
def campaign() -> None:
    """Bring all that the watched sets want to one further target, such as a new Python, newest releases first (docs/campaigns.md)."""


@campaign.command()
@click.option("--target", required=True, metavar="T", help="For which kind of client, e.g. cp315-manylinux_2_28_x86_64.")
@click.option("--name", metavar="NAME", help="What it is called. Default: the target's Python and platform.")
@click.option("--versions", type=click.Choice(VERSIONS), default="both", show_default=True,
              help="Of each project the newest release that admits the Python, what the sets pin, or both.")  # fmt: skip
@click.pass_obj
def new(context: Context, /, *, target: str, name: str | None, versions: Versions) -> int:
    """Open a campaign. `farm campaign run` builds for it, and so does each `farm nightly` after what the sets need themselves."""
    from farm.model.target import parse_target  # noqa: PLC0415 - after the cheap checks
    from farm.wire import Farm  # noqa: PLC0415 - the same

    named = name or parse_target(target).name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", named):
        raise UsageError(f"--name {named!r}: expected letters, digits, . _ and -, 64 at most", solution="e.g. --name python-3.15")
    with Farm(context.settings(), context.env) as farm:
        made = Campaign(name=named, target=parse_target(target).name, versions=versions, created=farm.clock.now())
        farm.records.campaigns.add(made)
        wishes = farm.records.campaigns.wishes()
    render.err(f"campaign {named}: {len(wishes)} projects for {made.target}; `farm campaign show {named}` says where it stands")
    return 0


@campaign.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_campaigns(context: Context, /, *, as_json: bool) -> int:
    """Show all campaigns, also closed ones."""
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks

    with Farm(context.settings(), context.env) as farm:
        found = farm.records.campaigns.all()
    if as_json:
        render.out(json.dumps({"schema": 1, "campaigns": [campaign_json(each) for each in found]}, indent=2))
    elif found:
        rows = [
            (each.name, each.target, each.versions, f"{each.created:%Y-%m-%d}", f"{each.closed:%Y-%m-%d}" if each.closed else "open")
            for each in found
        ]
        render.out(render.table(("name", "target", "versions", "created", "closed"), rows))
    else:
        render.err("no campaigns; `farm campaign new --target T` opens one")
    return 0


@campaign.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--all", "everything", is_flag=True, help="Show also what is there.")
@click.pass_obj
def show(context: Context, /, name: str, *, as_json: bool, everything: bool) -> int:
    """Show where a campaign stands: what is there, what has to be built, what fails and why, and the hours that are left.

    Hours are by past builds of the same packages; how many have none is said. Builds nothing. Exit code 0 when all is there, 1 when
    something is not, 3 when an index did not answer.
    """
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks
    from farm.wire.campaign import board, find  # noqa: PLC0415 - the same

    with Farm(context.settings(), context.env) as farm:
        found = board(farm, find(farm, name))
    if as_json:
        render.out(json.dumps(board_json(found), indent=2))
    else:
        _tell(found, everything=everything)
    if found.count("unknown"):
        return 3
    return 0 if found.count("upstream", "farm") == len(found.goals) else 1


@campaign.command()
@click.argument("name")
@click.option("--budget", type=DURATION, metavar="TIME", help="Build for so long at most, e.g. 3h. Default: until all is done.")
@click.option("--json", "as_json", is_flag=True, help="Print where it stands then, and what was built, as JSON.")
@click.pass_obj
def run(context: Context, /, name: str, *, budget: float | None, as_json: bool) -> int:
    """Build for a campaign: the newest releases first, older ones of a project once its newest is there.

    What failed lately waits, as in `farm nightly`. Exit code 0 when all is there afterwards, 3 when an index did not answer, else 1.
    """
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks
    from farm.wire.campaign import board, demands, find  # noqa: PLC0415 - the same
    from farm.wire.extra import carry_out  # noqa: PLC0415 - the same
    from farm.wire.night import Asked  # noqa: PLC0415 - the same

    settings = context.settings()
    with Farm(settings, context.env) as farm:
        render.bind(run=farm.run)
        chosen = find(farm, name)
        if chosen.closed is not None:
            raise UsageError(f"{name}: it was closed on {chosen.closed:%Y-%m-%d}", solution="`farm campaign new` opens another one")
        asked = Asked(budget=budget or None, grace=settings.night_grace)
        lost: dict[str, str] = {}

        def wanted() -> Any:
            plan, refused, _ = demands(farm, chosen)
            lost.update({str(pin): why for pin, why in refused.items()})
            return plan

        done = carry_out(farm, wanted, asked, staged(farm, verbose=context.verbose, always=True))
        found = board(farm, chosen)
    if as_json:
        render.out(json.dumps({**board_json(found), "rows": [row_json(row) for row in done.rows], "refused": lost}, indent=2))
    else:
        tell_carried(done, lost)
        _tell(found, everything=False)
    return carried_code(done, good=found.count("upstream", "farm") == len(found.goals), unknown=found.count("unknown") > 0)


@campaign.command()
@click.argument("name")
@click.pass_obj
def close(context: Context, /, name: str) -> int:
    """Close a campaign: nights no longer build for it. Its wheels stay."""
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks
    from farm.wire.campaign import find  # noqa: PLC0415 - the same

    with Farm(context.settings(), context.env) as farm:
        farm.records.campaigns.close(find(farm, name).name, farm.clock.now())
    render.err(f"campaign {name}: closed")
    return 0


def carried_code(done: Carried, *, good: bool, unknown: bool) -> int:
    """Return the exit code of a run; the farm's own failure is raised once the rest was told. `unknown`: an index did not answer."""
    if isinstance(done.broken, FarmError):
        raise done.broken
    if done.broken is not None:
        return FarmError.exit_code
    return Interrupted.exit_code if done.stopped else 3 if unknown else 0 if good else 1


def tell_carried(done: Carried, lost: dict[str, str]) -> None:
    """Say what was built, what failed, and what could not be planned."""
    for row in done.rows:
        words = f"{row.name} {row.version} for {row.target}: {render.WORDS[row.state]}"
        reason = row.diagnosis.summary if row.diagnosis else row.reason if row.state not in {"built", "farm-wheel"} else ""
        render.out(f"{words}: {reason}" if reason else words)
    for pin, why in sorted(lost.items()):
        render.out(f"{pin}: cannot be planned: {why}")
    for count, text in ((len(done.waiting), "failed lately and wait"), (len(done.later), "were left for want of time")):
        if count:
            render.out(f"{count} {text}")


def row_json(row: Row) -> dict[str, Any]:
    """Return what became of one wheel, as JSON has it."""
    cause = row.diagnosis.cause if row.diagnosis else None
    return {
        "name": row.name, "version": row.version, "target": row.target, "state": row.state, "reason": row.reason, "file": row.file or None,
        "attempt": row.attempt or None, "seconds": row.seconds, "cause": cause,
    }  # fmt: skip


def campaign_json(each: Campaign) -> dict[str, Any]:
    """Return a campaign as JSON has it."""
    return {
        "name": each.name, "target": each.target, "versions": each.versions, "created": each.created.isoformat(),
        "closed": each.closed.isoformat() if each.closed else None,
    }  # fmt: skip


def board_json(found: Board) -> dict[str, Any]:
    """Return a board as JSON has it: docs/campaigns.md."""
    return {
        "schema": 1,
        "campaign": campaign_json(found.campaign),
        "counts": {state: found.count(state) for state in _WORDS},  # type: ignore[arg-type]
        "failing": dict(found.failing),
        "left": {"wheels": len(found.left), "known": found.known, "predicted_s": round(found.predicted_s, 1)},
        "goals": [
            {
                "name": goal.name, "version": str(goal.version) if goal.version else None, "newest": goal.newest, "sets": goal.sets,
                "state": goal.state, "reason": goal.reason, "cause": goal.cause or None, "expected_s": goal.expected_s,
            }
            for goal in found.goals
        ],
    }  # fmt: skip


def _tell(found: Board, *, everything: bool) -> None:
    shown = [goal for goal in found.goals if everything or goal.state not in {"upstream", "farm"}]
    if shown:
        render.out(render.table(("package", "state", "sets", "expected", "why"), [_line(goal) for goal in shown[:_MOST]]))
    if len(shown) > _MOST:
        render.out(f"and {len(shown) - _MOST} more (--json has all)")
    if not found.goals:
        from farm.wire.campaign import unwished  # noqa: PLC0415 - seldom needed

        render.err(f"note: {unwished(())}")
    there = found.count("upstream", "farm")
    render.out(f"{found.campaign.name}: {there} of {len(found.goals)} wheels for {found.campaign.target} are there"
               f" ({found.count('upstream')} upstream, {found.count('farm')} on the farm)")  # fmt: skip
    if found.failing:
        render.out("failing: " + ", ".join(f"{count} {cause}" for cause, count in found.failing))
    if found.left:
        past = f"{render.duration(found.predicted_s)} expected for {found.known} of them"
        render.out(f"to build: {len(found.left)}; {past if found.known else 'none of them was built before'}")


def _line(goal: Goal) -> tuple[str, ...]:
    label = f"{goal.name} {goal.version}" if goal.version else goal.name
    expected = "" if goal.expected_s is None else f"{goal.expected_s:.0f} s"
    why = f"{goal.cause}; {goal.reason}" if goal.cause else goal.reason
    return label, _WORDS[goal.state], str(goal.sets), expected, why.splitlines()[0] if why else ""
