"""`farm resume`: carry on with the last run that did not come to its end."""

from __future__ import annotations

from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from farm.cli import render
from farm.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from collections import Counter

    from farm.cli.main import Context
    from farm.model.attempt import RunRecord
    from farm.wire import Farm

_STATES = {
    "published": "built", "covered": "built", "failed": "failed", "blocked": "blocked", "cancelled": "not begun", "waiting": "not begun",
    "unneeded": "not needed",
}  # fmt: skip
_ENDS = {
    "stopped": "it was stopped by the user", "broken": "it broke off: the farm's own failure", "running": "its process is gone",
}  # fmt: skip


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, whether the run did or not (docs/report.md).")
@click.pass_obj
def resume(context: Context, *, as_json: bool) -> int:
    """Carry on with the last `farm build` that did not come to its end, with its options, in its folder.

    Says what that run was and how it stood. What was published stays, what was built is proven, the rest is built. Where there is
    nothing to resume, that is said, and the exit code is 0; else it is that of `farm build`.
    """
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks
    from farm.wire.records import end  # noqa: PLC0415 - the same

    with Farm(context.settings(), context.env) as farm:
        run = _unfinished(farm)
    if run is None:
        return 0
    code = _again(context, run, as_json=as_json)
    if code != Interrupted.exit_code:
        with Farm(context.settings(), context.env) as farm:
            end(farm, run.id, "ended")
    return code


def _unfinished(farm: Farm) -> RunRecord | None:
    """Return the last run where it may be carried on, having said what it was. UsageError while it still goes on."""
    from farm.wire.records import EXTRA, NIGHTLY, is_alive, last_run, stood  # noqa: PLC0415 - after the cheap checks

    run = last_run(farm)
    if run is None:
        render.err(f"nothing to resume: no run has built anything in {farm.root}")
        return None
    if is_alive(farm, run):
        raise UsageError(f"run {run.id} is still going on", solution="wait for its end, or stop it with Ctrl-C in its own terminal")
    states = stood(farm, run)
    if run.options == NIGHTLY:
        render.err(f"nothing to resume: the last run, {run.id}, was a night's; `farm nightly` carries on with what is left of it")
        return None
    if run.options == EXTRA:
        render.err(f"nothing to resume: the last run, {run.id}, was a campaign's or a backfill's; the same command carries on")
        return None
    if run.state == "ended":
        failed = f"; {states['failed']} failed: `farm build --retry-failed` tries again" if states["failed"] else ""
        render.err(f"nothing to resume: the last run, {run.id}, came to its end{failed}")
        return None
    render.err(f"resuming run {run.id} of {run.started:%Y-%m-%d %H:%M} UTC, in {run.folder}: {_ENDS[run.state]}; {_words(states)}")
    return run


def _words(states: Counter[str]) -> str:
    counts: dict[str, int] = {}
    for state, number in sorted(states.items()):
        word = _STATES.get(state, "under way")
        counts[word] = counts.get(word, 0) + number
    order = ("built", "failed", "blocked", "under way", "not begun", "not needed")
    total = sum(counts.values())
    told = ", ".join(f"{counts[word]} {word}" for word in order if word in counts)
    return f"of {total} job{'' if total == 1 else 's'} {told or 'none begun'}"


def _again(context: Context, run: RunRecord, *, as_json: bool) -> int:
    from farm.cli.build import Asked, run_build  # noqa: PLC0415 - only when there is something to do

    asked = Asked.from_text(run.options)
    if "-" in asked.inputs:
        raise UsageError(
            f"run {run.id} read its requirements from standard input, which is gone", solution="the same `farm build` carries on"
        )
    if not Path(run.folder).is_dir():
        raise UsageError(f"run {run.id} was started in {run.folder}, which is gone", solution="run `farm build` where its files are now")
    if as_json:
        asked = replace(asked, as_json=True)
    with chdir(run.folder):
        return run_build(replace(context, config=Path(run.config) if run.config else context.config), asked)
