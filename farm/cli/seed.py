"""`farm seed`: the farm's wheels into pip's own wheel cache, for locks that nobody may touch."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from farm.cli import render
from farm.model.seeding import GOOD

if TYPE_CHECKING:
    from farm.cli.main import Context
    from farm.wire.seed import Seeded

_TOLD = {
    "seeded": "seeded",
    "there": "there already",
    "own-build": "pip has a wheel that it built itself",
    "wheel": "the index has a wheel",
    "not-here": "not for this interpreter",
    "no-farm-wheel": "COMPILES: the farm has no wheel that fits",
    "other-sdist": "COMPILES: the farm built another sdist",
    "unhashed": "COMPILES: the sdist's sha256 is not known",
    "direct": "not from an index: not looked at",
    "none": "NO FILE: the index has none that pip would take",
    "unknown": "UNKNOWN: the index did not answer",
}


def client_python(context: Context, python: str | None) -> str:
    """Return the interpreter that is meant: --python, else that of the active virtual environment, else the farm's own."""
    from pathlib import Path  # noqa: PLC0415 - not for `farm --help`

    from farm.model.interpreter import running  # noqa: PLC0415 - the same

    active = context.env.get("VIRTUAL_ENV")
    inside = Path(active) / "bin" / "python" if active else None
    return python or (str(inside) if inside and inside.exists() else running().path)


@click.command()
@click.option("-r", "--requirement", "requirements", multiple=True, metavar="FILE",
              help="A requirements file, as pip's. Repeatable. Without any: all that the farm has for this interpreter.")  # fmt: skip
@click.option("--cache-dir", metavar="DIR", help="pip's cache. Default: the one that pip uses.")
@click.option(
    "--python",
    metavar="PATH",
    help="Whose pip. Default: the active virtual environment's, else the one that runs farm.",
)
@click.option(
    "--index-url",
    "farm",
    metavar="URL",
    help="The farm, e.g. https://HOST/simple/. Default: the store of this machine.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--remove", is_flag=True, help="Take out what was seeded; what pip built itself stays.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def seed(context: Context, /, *, remove: bool, as_json: bool, **options: Any) -> int:
    """Put the farm's wheels into pip's wheel cache, so that a lock with only the sdists' hashes installs without compiling.

    Asks the interpreter's own pip which sdists it would compile. Works with the pips that it was tested with (docs/seed.md).
    Exit code 0: pip compiles nothing, 1: it still would, 2: an unknown pip, 3: an index did not answer.
    """
    from farm.wire.seed import Question, unseed  # noqa: PLC0415 - after the cheap checks
    from farm.wire.seed import seed as run  # noqa: PLC0415 - the same

    python = client_python(context, options.pop("python"))
    question = Question(python=python, **options)
    done = unseed(context.env, question) if remove else run(context.settings(), context.env, question)
    states = Counter(row.state for row in done.rows)
    code = 0 if remove or not set(states) - GOOD else 3 if states["unknown"] else 1
    if as_json:
        rows = [asdict(row) for row in done.rows]
        head = {"schema": 1, "exit_code": code, "dry_run": question.dry_run, "removed": remove}
        render.out(
            json.dumps({**head, "pip": done.pip, "python": done.python, "cache": done.cache, "rows": rows}, indent=2)
        )
        return code
    _tell(done, removed=remove, dry_run=question.dry_run)
    return code


def _tell(done: Seeded, *, removed: bool, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    for row in done.rows:
        said = f"{would}removed" if removed and row.state == "seeded" else _TOLD[row.state]
        said = f"would be {said}" if dry_run and row.state == "seeded" and not removed else said
        version = f" {row.version}" if row.version else ""
        render.out(f"{row.name}{version}: {said}" + (f" ({row.wheel})" if row.wheel else ""))
        if row.note:
            render.err(f"note: {row.name}: {row.note}")
    render.err(f"pip {done.pip} of {done.python}, cache {done.cache}: {len(done.rows)} looked at")
