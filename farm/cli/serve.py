"""`farm serve`: the index over HTTP."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from farm.cli import render

if TYPE_CHECKING:
    from farm.cli.main import Context

_PEM = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--host", help="Where to listen (config.toml: serve.host).")
@click.option("--port", type=click.IntRange(0, 65535), help="0 lets the system choose (config.toml: serve.port).")
@click.option(
    "--tls-certificate", type=_PEM, help="A PEM file; farm then speaks HTTPS (config.toml: serve.tls-certificate)."
)
@click.option("--tls-key", type=_PEM, help="Its private key, if it is in another file (config.toml: serve.tls-key).")
@click.option("--print-nginx", is_flag=True, help="Print a server block for an nginx in front, and end.")
@click.pass_obj
def serve(context: Context, /, *, print_nginx: bool, **given: str | int | Path | None) -> int:
    """Serve the index to pip, uv and their kin, until Ctrl-C: its usual end, so the exit code is 0.

    What a `farm build` publishes meanwhile is visible at the next request. With `farm --verbose serve` each request is logged.
    """
    settings = context.settings()
    settings = replace(settings, **{k: str(v) if isinstance(v, Path) else v for k, v in given.items() if v is not None})  # type: ignore[arg-type]
    from farm.wire.server import nginx_block, serve_index  # noqa: PLC0415 - the server's imports are for this command only

    if print_nginx:
        render.out(nginx_block(settings))
        return 0
    try:
        serve_index(settings, context.env, lambda url: render.err(_welcome(url)), verbose=context.verbose)
    except KeyboardInterrupt:
        # uvicorn has ended what was under way, and passes the signal on.
        render.err("stopped")
    return 0


def _welcome(url: str) -> str:
    return (
        f"serving {url}/simple/ (Ctrl-C stops)\n"
        f"  pip install --index-url {url}/simple/ …\n  uv pip install --default-index {url}/simple/ …"
    )
