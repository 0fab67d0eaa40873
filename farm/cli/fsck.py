"""`farm fsck`: is what the store has still what it was?"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from farm.cli import render

if TYPE_CHECKING:
    from farm.cli.main import Context
    from farm.model.keeping import Audit

_SECONDS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SHOWN = 200


def _age(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,6})([mhdw])", value)
    if match is None:
        message = f"expected a time such as 90m, 12h, 7d or 2w, found {value!r}"
        raise click.BadParameter(message)
    return int(match[1]) * _SECONDS[match[2]]


def _percent(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float:
    match = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)%?", value or "100%")
    if match is None or not 0 < float(match[1]) <= 100:
        message = f"expected a share such as 10%, found {value!r}"
        raise click.BadParameter(message)
    return float(match[1])


@click.command()
@click.option("--fix", is_flag=True, help="Mend what can be mended without loss; take what is lost off the index.")
@click.option(
    "--sample", callback=_percent, metavar="N%", help="Hash only this share of the files, chosen anew each time."
)
@click.option(
    "--since",
    callback=_age,
    metavar="TIME",
    help="Do not hash again what was sound within 12h, 7d, 2w; also carries on after a stop.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/keep.md).")
@click.pass_obj
def fsck(context: Context, *, fix: bool, sample: float, since: float | None, as_json: bool) -> int:
    """Look whether catalogue, files and pages agree, and hash every file again. Servers and builds may go on meanwhile.

    Exit code 0: all is sound, or was mended. 1: something is (still) wrong; each thing tells what to do.
    """
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks
    from farm.wire.keep import fsck as run  # noqa: PLC0415 - the same

    with Farm(context.settings(), context.env) as farm:
        found = run(farm, fix=fix, sample=sample, since=since, say=lambda text: None if as_json else render.err(text))
    code = 1 if found.left else 0
    if as_json:
        render.out(json.dumps({"schema": 1, "exit_code": code, "fix": fix} | asdict(found), indent=2))
    else:
        _tell(found, everything=context.verbose)
    return code


def _tell(found: Audit, *, everything: bool) -> None:
    shown = found.damages if everything else found.damages[:_SHOWN]
    for damage in shown:
        render.out(f"{damage.kind}: {damage.subject}: {damage.found}{' (mended)' if damage.mended else ''}")
        if damage.remedy:
            render.out(f"    {damage.remedy}")
    if len(shown) < len(found.damages):
        kinds = Counter(damage.kind for damage in found.damages[_SHOWN:])
        rest = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        render.out(f"… and {rest} (farm --verbose fsck shows them)")
    mended = len(found.damages) - len(found.left)
    state = (
        "sound" if not found.damages else f"{len(found.left)} things wrong" + (f", {mended} mended" if mended else "")
    )
    render.out(
        f"{state}: {found.files} files, {found.checked} hashed ({found.hashed / 1e6:.1f} MB), {found.projects} projects; "
        f"{found.unlisted} files not listed ({found.unlisted_bytes / 1e6:.1f} MB); {found.seconds:.1f} s"
    )
