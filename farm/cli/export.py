"""`farm export`: the index as files that any web server can serve."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farm.cli import render
from farm.errors import UsageError

if TYPE_CHECKING:
    from farm.cli.main import Context


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--view", type=click.Choice(["wheels", "merged"]), default="wheels",
              help="wheels: the farm's own files. merged: with upstream's beside them, as they are now.")  # fmt: skip
@click.option(
    "--base-url",
    default="",
    metavar="URL",
    help="Link to files below this URL, e.g. a bucket's. Default: relative links.",
)
@click.option(
    "--link/--copy", "link", default=None, help="Only hard links, or only copies. Default: links where the disk allows."
)
@click.option("--delete", is_flag=True, help="Remove pages and files that are no longer on the index.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def export(context: Context, /, *, link: bool | None, as_json: bool, **options: Any) -> int:
    """Write the whole index to DIR as static files, for nginx (DIR/nginx.conf) or a bucket; again: only what changed.

    The tree is consistent at any moment, also when this is killed. Exit code 0: done.
    """
    base_url = options["base_url"]
    if base_url and not base_url.startswith(("https://", "http://")):
        raise UsageError(
            f"--base-url: expected a URL such as https://HOST/index/, found {base_url!r}", solution="give the whole URL"
        )
    from farm.wire.export import Question  # noqa: PLC0415 - after the cheap checks
    from farm.wire.export import export as run  # noqa: PLC0415 - the same

    question = Question(files="auto" if link is None else "link" if link else "copy", **options)
    done, folder = run(context.settings(), context.env, question), question.folder
    if as_json:
        render.out(json.dumps({"schema": 1, "exit_code": 0, "folder": str(folder.absolute())} | asdict(done), indent=2))
        return 0
    if done.left:
        render.err(
            f"note: {done.left} projects are no longer on the index and still in {folder} (--delete removes them)"
        )
    render.out(
        f"{done.projects} projects in {folder}: {done.pages_written} pages and {done.files_written} files written"
        f" ({done.bytes_copied} bytes copied), {done.pages_removed} projects and {done.files_removed} files removed"
    )
    return 0
