"""`farm images`: builder and runtime images."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from farm.cli import render
from farm.errors import UpstreamError
from farm.model.image import parse_spec
from farm.model.image_lock import Pruning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farm.cli.main import Context
    from farm.model.image import Image, ImageSpec, StoredImage
    from farm.model.image_lock import Looked, Surplus
    from farm.wire import Farm

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_NAMES = click.argument("names", nargs=-1, metavar="[NAME]...")


@click.group()
def images() -> None:
    """Build, list, update and clear away the images that wheels are built and proven in (docs/images.md)."""


def _farm(context: Context) -> Farm:
    from farm.wire import Farm  # noqa: PLC0415 - `farm images --help` must not pay for it

    return Farm(context.settings(), context.env)


def _specs(farm: Farm, names: Sequence[str]) -> list[ImageSpec]:
    return [parse_spec(name) for name in names] or list(farm.needed_images())


@images.command("build", short_help="Build images, where their inputs changed.")
@_NAMES
@click.option("--dry-run", is_flag=True, help="Only say which would be built.")
@_JSON
@click.pass_obj
def build(context: Context, names: tuple[str, ...], *, dry_run: bool, as_json: bool) -> int:
    """Build images by name (debian-bookworm-x86_64-builder); without a name, all that the configured targets need.

    An image whose inputs did not change is not built again. With --dry-run exit code 1 says that one would be.
    """
    from farm.wire.targets import remember  # noqa: PLC0415 - after the cheap checks

    rows: list[dict[str, object]] = []
    with _farm(context) as farm:
        for spec in _specs(farm, names):
            found = farm.images.find(spec)
            image = found
            if not dry_run:
                image = farm.images.ensure(spec, lambda line: render.err(f"  {line}"))
                # Its real Python is what the next survey of such targets goes by.
                remember(farm, image)
            rows.append({"name": spec.name, "built": found is None, **({} if image is None else _facts(image))})
            if not as_json:
                render.out(_line(spec, image))
        for note in farm.notes():
            render.err(f"note: {note}")
    if as_json:
        render.out(json.dumps({"schema": 1, "dry_run": dry_run, "images": rows}, indent=2))
    return 1 if dry_run and any(row["built"] for row in rows) else 0


def _line(spec: ImageSpec, image: Image | None) -> str:
    if image is None:
        return f"{spec.name}  would be built"
    return f"{spec.name}  {image.reference}  {', '.join(image.pythons)}  {image.libc[0]} {image.libc[1]}.{image.libc[2]}"


@images.command("list", short_help="The images in the engine.")
@_JSON
@click.pass_obj
def show_all(context: Context, *, as_json: bool) -> int:
    """List the images in the engine: those of today's inputs, overlays of them, and superseded ones (`farm images prune`)."""
    with _farm(context) as farm:
        stored = farm.images.list()
    if as_json:
        render.out(json.dumps({"schema": 1, "images": [_json(image) for image in stored]}, indent=2))
        return 0
    if not stored:
        render.err("no images yet: `farm images build` makes those that the targets need")
        return 0
    rows = [
        (
            s.image.spec.name, s.image.reference, ", ".join(s.image.pythons), f"{s.size / 1e6:.0f} MB", f"{s.created:%Y-%m-%d %H:%M}",
            s.state, " ".join(s.packages) or "–",
        )
        for s in stored
    ]  # fmt: skip
    render.out(render.table(("image", "reference", "pythons", "size", "made", "state", "packages added"), rows))
    old = sum(s.state == "superseded" for s in stored)
    if old:
        render.err(f"note: {old} of {len(stored)} are superseded; `farm images prune --dry-run` says what can go")
    return 0


@images.command("show", short_help="One image as JSON.")
@click.argument("name")
@click.pass_obj
def show(context: Context, name: str) -> int:
    """Show one image as JSON, by its name, reference or digest."""
    with _farm(context) as farm:
        found = [s for s in farm.images.list() if name in {s.image.spec.name, s.image.reference, s.image.digest}]
    if not found:
        parse_spec(name)
        render.err(f"{name} has not been built yet: `farm images build {name}`")
        return 1
    render.out(json.dumps({"schema": 1, "images": [_json(image) for image in found]}, indent=2))
    return 0


@images.command("update", short_help="Move the pins to the newest bases.")
@_NAMES
@click.option("--dry-run", is_flag=True, help="Only say what would move.")
@_JSON
@click.pass_obj
def update(context: Context, names: tuple[str, ...], *, dry_run: bool, as_json: bool) -> int:
    """Pin what images are made from to the newest there is: registry images by digest, Debian suites by day.

    Without a name, for all images that the configured targets need. The pins are in the lock file (config.toml: images.lock),
    and an image whose pin moved is built anew when it is next needed. Exit code 3: an archive or registry did not answer,
    and its pin stays.
    """
    with _farm(context) as farm:
        found = farm.images.update(_specs(farm, names), dry_run=dry_run)
        lock = farm.settings.image_lock
    failed = any(look.failed for look in found)
    code = UpstreamError.exit_code if failed else 0
    if as_json:
        rows = [
            {
                "kind": look.kind, "subject": look.subject, "before": look.before, "now": look.now, "moved": look.moved,
                "reference": look.reference or None, "reason": look.reason or None,
            }
            for look in found
        ]  # fmt: skip
        render.out(json.dumps({"schema": 1, "exit_code": code, "dry_run": dry_run, "lock": lock, "pins": rows}, indent=2))
        return code
    for look in found:
        render.out(_told(look, dry_run=dry_run))
    if any(look.moved for look in found):
        render.err(f"{'would be written' if dry_run else 'written'}: {lock}; `farm images build` makes the images anew")
    return code


def _told(look: Looked, *, dry_run: bool) -> str:
    if look.now is None:
        return f"{look.subject}: stays at {look.before or 'what there is'}: {look.reason}"
    if not look.moved:
        return f"{look.subject}: already the newest, {look.now}"
    return f"{look.subject}: {look.before or 'not pinned'} → {look.now}{' (dry run)' if dry_run else ''}"


@images.command("prune", short_help="Remove superseded images.")
@_NAMES
@click.option("--keep-days", type=click.FloatRange(0, 36525), default=7.0, show_default=True, metavar="N",
              help="Keep what was made since.")  # fmt: skip
@click.option("--overlays", is_flag=True, help="Also the overlays of today's builders; a recipe that asks for one has it made again.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@_JSON
@click.pass_obj
def prune(context: Context, /, names: tuple[str, ...], *, as_json: bool, **options: Any) -> int:
    """Remove images of the farm whose inputs have changed since, and what is left below them; with names, only images of these.

    Nothing that a container uses, and nothing that is not the farm's. Another checkout or configuration that uses this
    engine has other inputs: its images look superseded from here, and are spared by --keep-days alone.
    """
    with _farm(context) as farm:
        dry_run = bool(options["dry_run"])
        before = farm.clock.now() - timedelta(days=options["keep_days"])
        only = frozenset(map(parse_spec, names))
        found, freed = farm.images.prune(Pruning(before=before, overlays=options["overlays"], only=only, dry_run=dry_run))
    if as_json:
        rows = [_surplus(one) for one in found]
        render.out(json.dumps({"schema": 1, "dry_run": dry_run, "bytes": freed, "images": rows}, indent=2))
        return 0
    for one in found:
        done = "kept" if one.kept else "would be removed" if dry_run else "removed"
        render.out(f"{done}: {one.reference} ({one.size / 1e6:.0f} MB): {one.kept or one.why}")
    gone = sum(not one.kept for one in found)
    render.out(f"{gone} images {'would be ' if dry_run else ''}removed" + ("" if dry_run else f"; {freed / 1e6:.0f} MB freed"))
    return 0


def _surplus(one: Surplus) -> dict[str, object]:
    return {
        "reference": one.reference, "digest": one.digest, "size": one.size, "created": one.created.isoformat(), "why": one.why,
        "kept": one.kept or None,
    }  # fmt: skip


def _facts(image: Image) -> dict[str, object]:
    return {
        "reference": image.reference,
        "digest": image.digest,
        "pythons": list(image.pythons),
        "libc": f"{image.libc[0]} {image.libc[1]}.{image.libc[2]}",
    }


def _json(stored: StoredImage) -> dict[str, object]:
    return {
        "name": stored.image.spec.name,
        **_facts(stored.image),
        "size": stored.size,
        "created": stored.created.isoformat(),
        "state": stored.state,
        "packages": list(stored.packages),
    }
