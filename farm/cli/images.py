"""`farm images`: builder and runtime images."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from farm.cli import render
from farm.model.image import ImageSpec, parse_spec

if TYPE_CHECKING:
    from farm.cli.main import Context
    from farm.model.image import StoredImage
    from farm.wire import Farm


@click.group()
def images() -> None:
    """Build, list and show the images that wheels are built and proven in."""


def _farm(context: Context) -> Farm:
    from farm.wire import Farm  # noqa: PLC0415 - `farm images --help` must not pay for it

    return Farm(context.settings(), context.env)


@images.command("build")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.pass_obj
def build(context: Context, names: tuple[str, ...]) -> int:
    """Build images by name (debian-bookworm-x86_64-builder); without a name, all that the configured targets need.

    An image whose inputs did not change is not built again.
    """
    from farm.wire.targets import remember  # noqa: PLC0415 - after the cheap checks

    with _farm(context) as farm:
        specs: list[ImageSpec] = [parse_spec(name) for name in names] or list(farm.needed_images())
        for spec in specs:
            image = farm.images.ensure(spec, lambda line: render.err(f"  {line}"))
            # Its real Python is what the next survey of such targets goes by.
            remember(farm, image)
            render.out(f"{spec.name}  {image.reference}  {', '.join(image.pythons)}  {image.libc[0]} {image.libc[1]}.{image.libc[2]}")
    return 0


@images.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show_all(context: Context, *, as_json: bool) -> int:
    """List the images in the engine."""
    with _farm(context) as farm:
        stored = farm.images.list()
    if as_json:
        render.out(json.dumps({"schema": 1, "images": [_json(image) for image in stored]}, indent=2))
        return 0
    if not stored:
        render.err("no images yet: `farm images build` makes those that the targets need")
        return 0
    rows = [
        (s.image.spec.name, s.image.reference, ", ".join(s.image.pythons), f"{s.size / 1e6:.0f} MB", " ".join(s.packages) or "–")
        for s in stored
    ]
    render.out(render.table(("image", "reference", "pythons", "size", "overlay of"), rows))
    return 0


@images.command("show")
@click.argument("name")
@click.pass_obj
def show(context: Context, name: str) -> int:
    """Show one image as JSON, by its name or reference."""
    with _farm(context) as farm:
        found = [s for s in farm.images.list() if name in {s.image.spec.name, s.image.reference, s.image.digest}]
    if not found:
        parse_spec(name)
        render.err(f"{name} has not been built yet: `farm images build {name}`")
        return 1
    render.out(json.dumps({"schema": 1, "images": [_json(image) for image in found]}, indent=2))
    return 0


def _json(stored: StoredImage) -> dict[str, object]:
    image = stored.image
    return {
        "name": image.spec.name,
        "reference": image.reference,
        "digest": image.digest,
        "pythons": list(image.pythons),
        "libc": f"{image.libc[0]} {image.libc[1]}.{image.libc[2]}",
        "size": stored.size,
        "created": stored.created.isoformat(),
        "packages": list(stored.packages),
    }
