"""`farm gc`: what nobody needs any more."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from farm.cli import render

if TYPE_CHECKING:
    from farm.cli.main import Context
    from farm.wire.keep import Collected

_TOLD = {
    "wheel": "off the index",
    "blob": "file removed",
    "staging": "left in staging",
    "log": "old log",
    "cache": "out of the cache",
    "lock": "idle lock",
}


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option(
    "--keep-days",
    type=click.FloatRange(0, 36525),
    metavar="N",
    help="Keep what was made or used since (config.toml: gc.keep).",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/keep.md).")
@click.pass_obj
def gc(context: Context, *, dry_run: bool, keep_days: float | None, as_json: bool) -> int:
    """Take wheels off the index that no root names (config.toml: gc.roots; watch sets) and nobody used, and clear away what is left over.

    Wheels leave their page now and the disk after gc.grace; a tombstone says what makes them again. A root that cannot be read or
    resolved stops everything, and nothing is removed. Exit code 0: done.
    """
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks
    from farm.wire.keep import gc as run  # noqa: PLC0415 - the same

    with Farm(context.settings(), context.env) as farm:
        done = run(farm, dry_run=dry_run, keep=None if keep_days is None else keep_days * 86400.0)
    if as_json:
        roots = None if done.named is None else done.named.roots
        steps = [asdict(step) for step in done.steps]
        freed = _freed(done)
        render.out(
            json.dumps(
                {"schema": 1, "exit_code": 0, "dry_run": dry_run, "roots": roots, "bytes": freed, "steps": steps},
                indent=2,
            )
        )
    else:
        _tell(done)
    return 0


def _freed(done: Collected) -> int:
    """Return the bytes that the disk gets back; a wheel's are still there when it leaves the index."""
    return sum(step.size for step in done.steps if step.removal != "wheel")


def _tell(done: Collected) -> None:
    if done.named is None:
        render.err("note: no gc.roots in config.toml and no watch sets, so every wheel stays on the index")
    would = "would be " if done.dry_run else ""
    for step in done.steps:
        if step.removal != "lock":
            render.out(f"{would}{_TOLD[step.removal]}: {step.subject} ({step.size} bytes): {step.why}")
    counts = Counter(step.removal for step in done.steps)
    parts = ", ".join(f"{count} {_TOLD[removal]}" for removal, count in counts.items()) or "nothing to remove"
    render.out(f"{parts}; {_freed(done)} bytes {'would be ' if done.dry_run else ''}freed")
