"""`farm serve`: the index over HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from farm.cli import render

if TYPE_CHECKING:
    from farm.cli.main import Context


@click.command()
@click.option("--host", help="Where to listen (config.toml: serve.host).")
@click.option("--port", type=click.IntRange(0, 65535), help="0 lets the system choose (config.toml: serve.port).")
@click.pass_obj
def serve(context: Context, host: str | None, port: int | None) -> int:
    """Serve the farm's wheels to pip and uv, until Ctrl-C: its usual end, so the exit code is 0.

    Wheels that a `farm build` publishes meanwhile are visible at the next request.
    """
    settings = context.settings()
    settings = replace(settings, host=host or settings.host, port=settings.port if port is None else port)
    from farm.wire.server import serve_index  # noqa: PLC0415 - the server's imports are for this command only

    try:
        serve_index(settings, lambda url: render.err(_welcome(url)), verbose=context.verbose)
    except KeyboardInterrupt:
        # uvicorn has ended what was under way, and passes the signal on.
        render.err("stopped")
    return 0


def _welcome(url: str) -> str:
    pip = f"pip install --extra-index-url {url}/simple/ …"
    return f"serving {url}/simple/ (Ctrl-C stops)\n  {pip}\n  uv pip install --index {url}/simple/ …"
