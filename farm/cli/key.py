"""`farm key`: the key that signs what this farm builds, and the keys that it trusts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from farm.cli import render

if TYPE_CHECKING:
    from farm.cli.main import Context
    from farm.model.attestation import PublicKey

_SHOWN = 16


@click.group()
def key() -> None:
    """Make, show and change the key that signs statements about wheels (docs/trust.md).

    The first `farm build` makes one unless there is one.
    """


@key.command()
@click.pass_obj
def new(context: Context) -> int:
    """Make the signing key (Ed25519), readable by its owner only, and print its id."""
    from farm.wire.keys import open_keys  # noqa: PLC0415 - only what a command needs

    keys = open_keys(context.settings())
    made = keys.create()
    render.out(made.keyid)
    render.err(f"{keys.path}: back it up where secrets are kept; `farm key export` gives the public half to those who verify")
    return 0


@key.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(context: Context, *, as_json: bool) -> int:
    """Show which key signs and which are trusted. Never the private key."""
    from farm.wire.keys import open_keys  # noqa: PLC0415 - the same

    keys = open_keys(context.settings())
    signs = keys.public().keyid if keys.exists() else ""
    trusted = keys.trusted()
    if as_json:
        rows = [{"keyid": one.keyid, "signs": one.keyid == signs, "pem": one.pem} for one in trusted]
        render.out(json.dumps({"schema": 1, "signs": signs or None, "file": str(keys.path), "trusted": rows}, indent=2))
        return 0
    if not trusted and not signs:
        render.err("no key; `farm key new` or the first `farm build` makes one")
        return 0
    ids = dict.fromkeys((*([signs] if signs else []), *(one.keyid for one in trusted)))
    known = {one.keyid for one in trusted}
    render.out(render.table(("key", "use"), [(keyid, _use(keyid, signs, known)) for keyid in ids]))
    return 0


def _use(keyid: str, signs: str, trusted: set[str]) -> str:
    return ", ".join(word for word, holds in (("signs", keyid == signs), ("trusted", keyid in trusted)) if holds)


@key.command()
@click.argument("start", metavar="[KEYID]", default="")
@click.pass_obj
def export(context: Context, start: str) -> int:
    """Print a public key as PEM: the one that signs, or a trusted one by the beginning of its id."""
    from farm.errors import UsageError  # noqa: PLC0415 - the same
    from farm.wire.keys import open_keys  # noqa: PLC0415 - the same

    keys = open_keys(context.settings())
    found = [one for one in keys.trusted() if one.keyid.startswith(start)] if start else [keys.public()]
    if len(found) != 1:
        reason = f"expected the beginning of one trusted key's id, {start!r} is that of {len(found)}"
        raise UsageError(reason, solution="see `farm key show`")
    render.out(found[0].pem.rstrip())
    return 0


@key.command()
@click.pass_obj
def rotate(context: Context) -> int:
    """Make a new signing key in the place of the old, whose private half is deleted; what it has signed stays trusted."""
    from farm.wire.keys import open_keys  # noqa: PLC0415 - the same

    old, made = open_keys(context.settings()).rotate()
    render.out(made.keyid)
    render.err(f"{_short(old)} signs no more and stays trusted; `farm key distrust {_short(old)}` if it was stolen")
    return 0


@key.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def trust(context: Context, file: Path) -> int:
    """Trust another farm's public key (PEM), so that `farm verify` believes what it signed."""
    from farm.wire.keys import open_keys, read_key  # noqa: PLC0415 - the same

    found = read_key(file)
    open_keys(context.settings()).trust(found)
    render.err(f"{found.keyid}: trusted")
    return 0


@key.command()
@click.argument("start", metavar="KEYID")
@click.pass_obj
def distrust(context: Context, start: str) -> int:
    """Trust a key no longer, by the beginning of its id: nothing that it signed is believed any more."""
    from farm.wire.keys import open_keys  # noqa: PLC0415 - the same

    render.err(f"{open_keys(context.settings()).distrust(start).keyid}: trusted no longer")
    return 0


def _short(one: PublicKey) -> str:
    return one.keyid[:_SHOWN]
