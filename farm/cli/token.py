"""`farm token`: who may upload, and read where reading is not open."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from farm.cli import render
from farm.errors import UsageError
from farm.model.token import SCOPES, Scope, Token

if TYPE_CHECKING:
    from farm.cli.main import Context

_HOURS = {"h": 1, "d": 24, "w": 24 * 7}
# A century: beyond it a time no longer fits everywhere.
_MOST_HOURS = 24 * 36525


def age_option(_context: click.Context, _parameter: click.Parameter, value: str | None) -> timedelta | None:
    """Read an option such as 12h, 90d or 52w."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,6})([hdw])", value)
    hours = int(match[1]) * _HOURS[match[2]] if match else 0
    if not 0 < hours <= _MOST_HOURS:
        message = f"expected a time such as 12h, 90d or 52w, found {value!r}"
        raise click.BadParameter(message)
    return timedelta(hours=hours)


def _pattern(text: str) -> str:
    """Normalise a pattern as PEP 503 does a name."""
    if not re.fullmatch(r"[A-Za-z0-9._*?-]+", text):
        raise UsageError(f"expected a project name with * and ?, found {text!r}", solution="e.g. --projects 'acme-*'")
    return re.sub(r"[-_.]+", "-", text).lower()


@click.group()
def token() -> None:
    """Make, list and revoke tokens: for uploads, and for reading where config.toml says read-access = "token"."""


@token.command()
@click.argument("name")
@click.option("--scope", type=click.Choice(SCOPES), required=True, help="upload and build (sets, by the API) include read; admin all.")
@click.option("--expires", callback=age_option, metavar="TIME", help="12h, 90d, 52w from now; without it, never.")
@click.option(
    "--projects", multiple=True, metavar="PATTERN", help="What may be uploaded, e.g. 'acme-*'; more than once for more."
)
@click.pass_obj
def create(context: Context, name: str, scope: Scope, expires: timedelta | None, projects: tuple[str, ...]) -> int:
    """Make a token named NAME and print it: this once, as the farm keeps only its hash."""
    from farm.wire.tokens import open_tokens  # noqa: PLC0415 - after the cheap checks

    now = datetime.now(UTC)
    end = None if expires is None else now + expires
    patterns = tuple(map(_pattern, projects))
    made = Token(name=name, hash="", scope=scope, projects=patterns, created=now, expires=end)
    with open_tokens(context.settings()) as tokens:
        secret = tokens.create(made)
    render.out(secret)
    limit = f" of {', '.join(made.projects)}" if made.projects else ""
    until = f"until {_day(end)}" if end else "until it is revoked"
    render.err(f"{name}: {scope}{limit}, {until}. Shown this once; user name __token__, the token as the password.")
    return 0


@token.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_tokens(context: Context, *, as_json: bool) -> int:
    """Show the tokens: scope, projects, when each expires and was last used (to the hour). Never the tokens themselves."""
    from farm.wire.tokens import open_tokens  # noqa: PLC0415 - after the cheap checks

    with open_tokens(context.settings()) as tokens:
        found = [(each, tokens.file.last_use(each.name)) for each in tokens.all()]
    if as_json:
        render.out(json.dumps({"schema": 1, "tokens": [_json(each, used) for each, used in found]}, indent=2))
        return 0
    if not found:
        render.err("no tokens; `farm token create NAME --scope upload` makes one")
        return 0
    now = datetime.now(UTC)
    rows = [
        (
            each.name,
            each.scope,
            ", ".join(each.projects) or "all",
            _day(each.created),
            _end(each, now),
            _day(used) if used else "never",
        )
        for each, used in found
    ]
    render.out(render.table(("name", "scope", "projects", "created", "expires", "last used"), rows))
    return 0


@token.command()
@click.argument("name")
@click.pass_obj
def revoke(context: Context, name: str) -> int:
    """End the token named NAME: it is refused at the next request."""
    from farm.wire.tokens import open_tokens  # noqa: PLC0415 - after the cheap checks

    with open_tokens(context.settings()) as tokens:
        tokens.revoke(name)
    render.err(f"{name}: revoked")
    return 0


def _day(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def _end(each: Token, now: datetime) -> str:
    if each.expires is None:
        return "never"
    return "expired" if each.expired(now) else _day(each.expires)


def _json(each: Token, used: datetime | None) -> dict[str, object]:
    return {
        "name": each.name,
        "scope": each.scope,
        "projects": list(each.projects),
        "created": each.created.isoformat(),
        "expires": each.expires.isoformat() if each.expires else None,
        "last_used": used.isoformat() if used else None,
    }
