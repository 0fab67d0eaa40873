"""`farm targets`: what is configured, what this machine is, what an image is, what clients are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from farm.cli import render
from farm.cli.census import census
from farm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from farm.cli.main import Context
    from farm.wire import Farm
    from farm.wire.targets import Detected

_PYTHON = click.option("--python", metavar="PATH", help="Another interpreter than the default.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON: markers, and tags in the order of that interpreter's pip.")


@click.group()
def targets() -> None:
    """List the configured targets, or find out which target a machine or an image is (docs/targets.md)."""


def _farm(context: Context) -> Farm:
    from farm.wire import Farm  # noqa: PLC0415 - `farm targets --help` must not pay for it

    return Farm(context.settings(), context.env)


targets.add_command(census)


@targets.command("list", short_help="The configured targets, with the image for each.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show_all(context: Context, *, as_json: bool) -> int:
    """List the configured targets: Python, libc, and the image that would serve each."""
    from farm.wire.targets import configured  # noqa: PLC0415 - after the cheap checks

    with _farm(context) as farm:
        listed = configured(farm)
        notes = farm.notes()
    if as_json:
        rows = [
            {
                "name": one.target.name, "python": one.target.full_version, "assumed": one.target.assumed,
                "libc": _libc(one.target.libc), "image": one.image if one.served else None, "reason": None if one.served else one.image,
            }
            for one in listed
        ]  # fmt: skip
        render.out(json.dumps({"schema": 1, "targets": rows, "notes": list(notes)}, indent=2))
        return 0
    cells = [
        (
            one.target.name, f"{one.target.full_version}{' (assumed)' if one.target.assumed else ''}",
            _libc(one.target.libc) or "–", one.image if one.served else f"none: {one.image}",
        )
        for one in listed
    ]  # fmt: skip
    render.out(render.table(("target", "python", "libc", "image"), cells))
    for note in notes:
        render.err(f"note: {note}")
    return 0


def _libc(libc: tuple[str, int, int] | None) -> str | None:
    return f"{'glibc' if libc[0] == 'manylinux' else 'musl'} {libc[1]}.{libc[2]}" if libc else None


@targets.command("detect", short_help="The target of this machine, or of another Python.")
@_PYTHON
@_JSON
@click.pass_obj
def detect(context: Context, python: str | None, *, as_json: bool) -> int:
    """Print the target of this machine: of the interpreter that runs farm, or of another with --python."""
    from farm.wire.targets import detect as find  # noqa: PLC0415 - after the cheap checks

    with _farm(context) as farm:
        _tell([find(farm, python)], as_json=as_json)
    return 0


@targets.command("from-image", short_help="The targets of a Docker image's Pythons.")
@click.argument("image")
@_PYTHON
@_JSON
@click.pass_obj
def from_image(context: Context, image: str, python: str | None, *, as_json: bool) -> int:
    """Print the target of each Python in a Docker image, asked in a container without network and mounts.

    An image that the engine does not have is pulled.
    """
    if not image.strip():
        raise UsageError("expected the name of a Docker image, found nothing", solution="farm targets from-image python:3.13-slim")
    from farm.wire.targets import from_image as find  # noqa: PLC0415 - after the cheap checks

    with _farm(context) as farm:
        _tell(find(farm, image, python), as_json=as_json)
    return 0


def _tell(found: Iterable[Detected], *, as_json: bool) -> None:
    if as_json:
        render.out(json.dumps({"schema": 1, "targets": [one.json for one in found]}, indent=2))
        return
    for one in found:
        render.out(one.target.full_name)
        for remark in one.remarks:
            render.err(f"note: {one.interpreter.path}: {remark}")
