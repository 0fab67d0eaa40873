"""`farm repro`: a failed build again, to look into, and what was edited there as a patch of a recipe."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from packaging.utils import canonicalize_name

from farm.cli import render
from farm.cli.progress import make_progress
from farm.cli.recipe_text import text as toml
from farm.errors import UsageError

if TYPE_CHECKING:
    from farm.cli.main import Context
    from farm.model.attempt import Attempt
    from farm.model.edits import Visited

_HOURS = 12


@click.command()
@click.argument("build")
@click.option("--command", "-c", metavar="TEXT", help="Run this in a shell there instead of opening one; its exit code is printed.")
@click.option("--no-build", is_flag=True, help="Do not build first: the sources are as they were before the build.")
@click.option("--reason", default="", metavar="TEXT", help="What the edits are for; it goes into the recipe.")
@click.option("--hours", default=_HOURS, show_default=True, type=click.IntRange(1, 168), help="After so long the container is removed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def repro(context: Context, /, build: str, **options: object) -> int:
    """Open a shell in the state that a build failed in: same image, inputs, limits, no network.

    BUILD is its id, the beginning of it, or a project: then its last failed build is meant. What you edit in the sources becomes a patch
    in the recipes folder when you leave; where the project has no recipe there yet, one is written. Nothing else is kept.
    """
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks
    from farm.wire.repro import Wish, find, visited  # noqa: PLC0415 - the same

    command = options["command"]
    if command is None and not sys.stdin.isatty():
        raise UsageError("expected a terminal for the shell, found none", solution="give a command: `farm repro BUILD --command 'make'`")
    settings = context.settings()
    hours = options["hours"]
    assert isinstance(hours, int)
    wish = Wish(command=str(command) if command is not None else None, build=not options["no_build"], seconds=hours * 3600.0)
    with Farm(settings, context.env) as farm, make_progress(sys.stderr, verbose=True) as farm.progress:
        attempt, inputs = find(farm, build)
        render.err(f"{attempt.id}: {attempt.name} {attempt.version} for {attempt.target}: {attempt.summary}")
        found, note = visited(farm, inputs, wish)
    if note:
        render.err(f"note: {note}")
    kept = _keep(attempt, found, str(options["reason"]), Path(settings.recipe_folder)) if found.edits.patch else ()
    _tell(attempt, found, kept, as_json=bool(options["as_json"]))
    return 0


def _keep(attempt: Attempt, found: Visited, reason: str, folder: Path) -> tuple[str, ...]:
    """Write the patch, and a recipe where there is none; return both paths, or that of the patch alone."""
    folder = folder if folder.name else Path()
    stem = f"{attempt.name}-{attempt.version}"
    names = (f"{stem}{suffix}.patch" for suffix in ("", *(f"-{number}" for number in range(2, 1000))))
    path = next(folder / name for name in names if not (folder / name).exists())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(found.edits.patch.encode("utf-8", "surrogateescape"))
    there = [one for one in folder.glob("*.toml") if canonicalize_name(one.stem) == attempt.name]
    if there or not folder.name:
        return (str(path),)
    recipe = folder / f"{attempt.name}.toml"
    recipe.write_text(f'versions = "=={attempt.version}"\n\n{_table(attempt, path.name, reason, "patches")}', encoding="utf-8")
    return (str(path), str(recipe))


def _table(attempt: Attempt, name: str, reason: str, key: str) -> str:
    said = reason or f"{attempt.cause}: {attempt.summary}"[:200]
    return f'[[{key}]]\nfile = {toml(name)}\nreason = {toml(said)}\nupstream = "pending"\n'


def _tell(attempt: Attempt, found: Visited, kept: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        render.out(
            json.dumps(
                {
                    "schema": 1, "build": attempt.id, "build_exit_code": found.built, "exit_code": found.code,
                    "edited": list(found.edits.files), "left_out": list(found.edits.left_out), "written": list(kept),
                },
                indent=2,
            )
        )  # fmt: skip
        return
    if found.built == 0:
        render.err("note: this time `build` did not fail: what failed then was the repair of the wheel, its proof, or the moment")
    for name in found.edits.left_out:
        render.err(f"note: {name} is binary, which a patch cannot tell")
    if not found.edits.patch:
        render.err(f"nothing was edited; the last exit code there was {found.code}")
        return
    render.err(f"edited: {', '.join(found.edits.files)}")
    render.out("\n".join(kept))
    if len(kept) == 1:
        render.err("add to the project's recipe:")
        render.err(_table(attempt, Path(kept[0]).name, "", f"recipes.{attempt.name}.patches").rstrip())
    render.err("`farm recipe lint` checks it, `farm build` uses it")
