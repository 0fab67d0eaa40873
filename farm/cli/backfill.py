"""`farm backfill`: wanted versions that will never have a wheel upstream."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from farm.cli import render
from farm.cli.campaign import carried_code, row_json, tell_carried
from farm.cli.inputs import refresh_option
from farm.cli.nightly import DURATION, staged
from farm.model.backfill import CLOSED_AFTER_DAYS

if TYPE_CHECKING:
    from farm.cli.main import Context
    from farm.model.backfill import Backfill, LastingGap
    from farm.wire import Farm
    from farm.wire.backfill import Terms
    from farm.wire.extra import Carried

_MOST = 60


@click.command()
@click.option("--target", "targets", multiple=True, metavar="T",
              help="Ask for this kind of client, e.g. of a newer Python. Repeatable. Default: for each version those it is wanted for.")
@click.option("--days", type=click.IntRange(0, 36500), default=CLOSED_AFTER_DAYS, show_default=True,
              help="How old a release's first file is when upstream takes no further ones.")
@click.option("--build", "do_build", is_flag=True, help="Build what can be built of it.")
@click.option("--budget", type=DURATION, metavar="TIME", help="With --build: for so long at most, e.g. 3h.")
@refresh_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/campaigns.md).")
@click.pass_obj
def backfill(context: Context, /, *, targets: tuple[str, ...], days: int, refresh: bool, **options: Any) -> int:
    """Show which versions that watched sets want lack a wheel for ever: their releases are too old for upstream to add one.

    PyPI takes no new files for a release whose first one is older than 14 days. The most used come first, with the nearest newer
    release that has a wheel, and what building would take. Exit code 0 when there are none, 1 when there are, 3 when an index did not
    answer.
    """
    from farm.model.target import parse_target  # noqa: PLC0415 - after the cheap checks
    from farm.wire import Farm  # noqa: PLC0415 - the same
    from farm.wire.backfill import Terms, backfill  # noqa: PLC0415 - the same

    terms = Terms(targets=tuple(parse_target(name).name for name in dict.fromkeys(targets)), days=days)
    settings = context.settings()
    with Farm(settings, context.env, refresh=refresh) as farm:
        done, lost = _build(farm, terms, options, verbose=context.verbose) if options["do_build"] else (None, {})
        found = backfill(farm, terms)
    if options["as_json"]:
        built = {} if done is None else {"rows": [row_json(row) for row in done.rows], "refused": lost}
        render.out(json.dumps({**backfill_json(found, days), **built}, indent=2))
    else:
        if done is not None:
            tell_carried(done, lost)
        _tell(found, days)
    good = not found.gaps and not found.unknown
    return (3 if found.unknown else 0 if good else 1) if done is None else carried_code(done, good=good, unknown=bool(found.unknown))


def _build(farm: Farm, terms: Terms, options: dict[str, Any], *, verbose: bool) -> tuple[Carried, dict[str, str]]:
    from farm.wire.backfill import demands  # noqa: PLC0415 - after the cheap checks
    from farm.wire.extra import carry_out  # noqa: PLC0415 - the same
    from farm.wire.night import Asked  # noqa: PLC0415 - the same

    render.bind(run=farm.run)
    lost: dict[str, str] = {}

    def wanted() -> Any:
        plan, refused = demands(farm, terms)
        lost.update({str(pin): why for pin, why in refused.items()})
        return replace(plan, notes=())

    asked = Asked(budget=options["budget"] or None, grace=farm.settings.night_grace)
    return carry_out(farm, wanted, asked, staged(farm, verbose=verbose, always=True)), lost


def backfill_json(found: Backfill, days: int) -> dict[str, Any]:
    """Return the answer as JSON has it: docs/campaigns.md."""
    return {
        "schema": 1, "closed_after_days": days, "gaps": [_gap_json(gap) for gap in found.gaps],
        "young": found.young, "undated": found.undated, "served": found.served, "unknown": list(found.unknown),
    }  # fmt: skip


def _gap_json(gap: LastingGap) -> dict[str, Any]:
    return {
        "name": gap.name, "version": str(gap.version), "target": gap.target, "released": gap.released.isoformat(), "sets": gap.sets,
        "misses": gap.use.misses, "downloads": gap.use.downloads, "buildable": gap.buildable, "reason": gap.reason,
        "upgrade": str(gap.upgrade) if gap.upgrade else None, "expected_s": gap.expected_s, "cause": gap.cause or None,
    }  # fmt: skip


def _tell(found: Backfill, days: int) -> None:
    if found.gaps:
        heads = ("package", "target", "released", "sets", "misses", "expected", "newer with a wheel", "why")
        render.out(render.table(heads, [_line(gap) for gap in found.gaps[:_MOST]]))
    if len(found.gaps) > _MOST:
        render.out(f"and {len(found.gaps) - _MOST} more (--json has all)")
    for name in found.unknown:
        render.err(f"note: {name}: the index did not answer")
    if found.undated:
        render.err(f"note: of {found.undated} more the index does not tell when they were released")
    buildable = sum(gap.buildable for gap in found.gaps)
    known = [gap.expected_s for gap in found.gaps if gap.expected_s is not None]
    cost = f"; {render.duration(sum(known))} of building expected for {len(known)} of them" if known else ""
    render.out(f"{len(found.gaps)} gaps stay gaps upstream, as their releases are older than {days} days; {buildable} can be built{cost}")
    if found.young or found.served:
        render.out(f"{found.young} younger ones may still be closed there; {found.served} are served by the farm")


def _line(gap: LastingGap) -> tuple[str, ...]:
    expected = "" if gap.expected_s is None else f"{gap.expected_s:.0f} s"
    why = f"failed: {gap.cause}" if gap.cause else gap.reason if gap.buildable else f"NONE: {gap.reason}"
    upgrade = str(gap.upgrade) if gap.upgrade else "-"
    label = f"{gap.name} {gap.version}"
    return label, gap.target, f"{gap.released:%Y-%m-%d}", str(gap.sets), str(gap.use.misses), expected, upgrade, why
