"""`farm client`: the lines that make pip, uv, Poetry, PDM or a Dockerfile use the farm."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NoReturn

import click

from farm.cli import render
from farm.cli.client_lines import TOOLS, Farm, advise
from farm.errors import UsageError

if TYPE_CHECKING:
    from farm.cli.client_lines import Advice, View
    from farm.cli.main import Context
    from farm.model.settings import Settings

_TITLES = {"pip": "pip", "uv": "uv", "poetry": "Poetry", "pdm": "PDM", "docker": "Dockerfile"}


@click.command()
@click.argument("tool", required=False, type=click.Choice(TOOLS))
@click.option(
    "--index-url",
    "url",
    metavar="URL",
    help="The farm as clients reach it. Default: [serve] public-url, else host and port.",
)
@click.option("--wheels-only", is_flag=True, help="As an extra index beside the usual one; with its limits.")
@click.option("--strict", is_flag=True, help="The view in which nothing can be compiled; needs --target.")
@click.option("--target", metavar="T", help="For --strict: a kind of client, e.g. cp312-manylinux_2_28_x86_64.")
@click.option("--token", is_flag=True, help="Reading needs a token: say where it goes.")
@click.option(
    "--cert",
    metavar="FILE",
    default="",
    help="A CA file of the client, where the farm's certificate is not of a public CA.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def client(context: Context, /, *, tool: str | None, as_json: bool, **options: Any) -> int:
    """Print the exact configuration for a client: pip, uv, poetry, pdm, docker, or all of them.

    The merged index is the one to use, and as the only one. The lines are printed, nothing is written.
    """
    farm = _farm(context, options)
    advice = [advise(name, farm) for name in TOOLS if tool in {name, None}]
    if as_json:
        render.out(json.dumps({"schema": 1, "url": farm.url, "clients": [asdict(one) for one in advice]}, indent=2))
        return 0
    render.out("\n\n".join(_text(one) for one in advice))
    return 0


def _farm(context: Context, options: dict[str, Any]) -> Farm:
    strict, wheels, target = options["strict"], options["wheels_only"], options["target"]
    if strict and wheels:
        raise UsageError("--strict and --wheels-only: expected one of them", solution="--strict is an index of its own")
    if strict != bool(target):
        raise UsageError(
            "--strict needs a --target, and --target is for --strict only", solution="`farm targets` lists them"
        )
    if target:
        from farm.model.target import parse_target  # noqa: PLC0415 - only when asked for

        parse_target(target)
    from farm.wire.clients import farm_root  # noqa: PLC0415 - not for `farm --help`

    settings = context.settings()
    root = farm_root(options["url"] or settings.served or _unknown(settings))
    if "@" in root:
        raise UsageError("--index-url: expected a URL without credentials", solution="leave them out and use --token")
    view: View = "strict" if strict else "wheels" if wheels else "merged"
    token = options["token"] or (not options["url"] and settings.read_access == "token")
    return Farm(root=root, view=view, target=target or "", token=token, cert=options["cert"])


def _unknown(settings: Settings) -> NoReturn:
    raise UsageError(
        f"[serve] host is {settings.host}: expected an address that clients can use",
        solution="give --index-url https://HOST/simple/, or set [serve] public-url",
    )


def _text(advice: Advice) -> str:
    parts = [f"# {_TITLES[advice.tool]}"]
    for block in advice.blocks:
        about = f": {block.about}" if block.about else ""
        parts.append(f"# {block.where}{about}\n{block.text.rstrip()}")
    parts += [f"# mind: {limit}" for limit in advice.limits]
    return "\n\n".join(parts)
