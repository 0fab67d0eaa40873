"""`farm misses`: what clients compiled, and how it stands now."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from farm.cli import render

if TYPE_CHECKING:
    from farm.cli.main import Context
    from farm.wire.demand import MissState


_LONGEST = 20 * 365 * 86400
NOT_COUNTED = "nothing is counted: demand.count is false in config.toml"


class Age(click.ParamType[Any]):
    """A span such as 12h, 7d or 4w, as config.toml has them."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        from farm.config.values import Wrong, age  # noqa: PLC0415 - `farm --help` must not pay for it

        try:
            return timedelta(seconds=min(age(value), _LONGEST))
        except Wrong:
            self.fail(f"expected a span such as 12h, 7d or 4w, found {value!r}", param, ctx)


@click.command(short_help="What clients compiled for want of a wheel.")
@click.option("--since", type=Age(), default="7d", show_default=True, help="How far back; whole days count (UTC).")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most so many, the most frequent first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/demand.md).")
@click.pass_obj
def misses(context: Context, since: timedelta, limit: int, *, as_json: bool) -> int:
    """Show the sdists that clients fetched through `farm serve` to compile them, and whether a wheel is there by now.

    Which client is told by its user agent; no addresses are kept. Counted while `demand.count` is true in config.toml.
    """
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks
    from farm.wire.demand import missed  # noqa: PLC0415 - the same

    settings = context.settings()
    with Farm(settings, context.env) as farm:
        found = missed(farm, since, limit)
    if as_json:
        render.out(json.dumps({"schema": 1, "since_s": since.total_seconds(), "misses": [miss_json(state) for state in found]}, indent=2))
        return 0
    if not found:
        render.err("no client has compiled anything" if settings.count_demand else NOT_COUNTED)
        return 0
    rows = [_row(state) for state in found]
    render.out(render.table(("times", "package", "client is", "by", "last", "now"), rows))
    remedies = tuple(dict.fromkeys(state.remedy for state in found if state.remedy))
    if remedies:
        render.out("\nwhat to type:\n" + "\n".join(f"  {remedy}" for remedy in remedies))
    return 0


def miss_json(state: MissState) -> dict[str, object]:
    """Return a miss and its standing as JSON has them."""
    miss = state.miss
    return {
        "name": miss.name, "version": miss.version, "target": miss.target or None, "count": miss.count, "last": miss.last.isoformat(),
        "clients": [{"client": client, "count": count} for client, count in miss.clients], "standing": state.standing,
        "detail": state.detail, "served_by": state.target or None, "remedy": state.remedy or None,
    }  # fmt: skip


def _row(state: MissState) -> tuple[str, ...]:
    miss = state.miss
    by = ", ".join(client for client, _ in miss.clients[:2]) + (f" and {len(miss.clients) - 2} more" if len(miss.clients) > 2 else "")
    now = {"wheel": "wheel: ", "failed": "failed: ", "upstream": "upstream: "}.get(state.standing, "") + state.detail
    return str(miss.count), f"{miss.name} {miss.version}", miss.target or "not told", by, f"{miss.last:%Y-%m-%d %H:%M}", now[:100]
