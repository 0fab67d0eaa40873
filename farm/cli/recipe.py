"""`farm recipe`: what healed builds, to read, to take over into config.toml, to forget."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
from packaging.utils import canonicalize_name

from farm.cli import render
from farm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from farm.cli.main import Context
    from farm.model.healing import Learned
    from farm.model.job import Recipe


@click.group()
def recipe() -> None:
    """Show, export or forget the recipes that healed builds (docs/healing.md)."""


@recipe.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_(context: Context, *, as_json: bool) -> int:
    """List what was learned, and what is only proposed, with the evidence."""
    found = _all(context, None)
    if as_json:
        render.out(json.dumps({"schema": 1, "recipes": [_json(one) for one in found]}, indent=2))
        return 0
    if not found:
        render.err("nothing has been learned yet")
        return 0
    rows = [
        (
            one.name,
            one.versions,
            one.python or "any",
            "proposed" if one.proposed else "learned",
            ", ".join(e.change for e in one.evidence),
        )
        for one in found
    ]
    render.out(render.table(("package", "versions", "python", "state", "what"), rows))
    return 0


@recipe.command()
@click.argument("name", required=False)
@click.pass_obj
def export(context: Context, name: str | None) -> int:
    """Print recipes as TOML for config.toml, each with the failure that it mends; of one package if NAMEd."""
    found = _all(context, name)
    if name and not found:
        raise UsageError(f"no recipe of {name} was learned", solution="`farm recipe list` shows what there is")
    render.out(exported(found))
    return 0


@recipe.command()
@click.argument("name")
@click.pass_obj
def forget(context: Context, name: str) -> int:
    """Forget what was learned for a package; the next build starts from config.toml alone."""
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks

    with Farm(context.settings(), context.env) as farm:
        gone = farm.lessons.forget(canonicalize_name(name))
    if not gone:
        raise UsageError(f"no recipe of {name} was learned", solution="`farm recipe list` shows what there is")
    render.out(f"{len(gone)} recipe{'s' if len(gone) > 1 else ''} of {name} forgotten")
    return 0


def _all(context: Context, name: str | None) -> tuple[Learned, ...]:
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks

    with Farm(context.settings(), context.env) as farm:
        return farm.lessons.all(canonicalize_name(name) if name else None)


def exported(found: Iterable[Learned]) -> str:
    """Return recipes as `[[recipes.NAME]]` tables that config.toml takes as they are."""
    return "\n\n".join("\n".join(_table(one)) for one in found)


def _table(one: Learned) -> Iterator[str]:
    state = "proposed, tried by nobody" if one.proposed else "learned"
    yield f"# {state} on {one.at:%Y-%m-%d} from {one.name} {one.version} for {one.target}"
    for evidence in one.evidence:
        yield f"# {evidence.attempt}: {evidence.cause}: {_one_line(evidence.line)}"
        yield f"#   -> {_one_line(evidence.change)}"
    yield f"[[recipes.{one.name}]]"
    yield f"versions = {_text(one.versions)}"
    yield from _keys(one.recipe)


def _keys(content: Recipe) -> Iterator[str]:
    if content.system_packages:
        families = ", ".join(f"{family} = {_texts(names)}" for family, names in content.system_packages)
        yield f"system-packages = {{ {families} }}"
    tables = {"environment": content.environment, "config-settings": content.config_settings, "skip-imports": content.skip_imports}
    for key, pairs in tables.items():
        if pairs:
            yield f"{key} = {{ {', '.join(f'{_text(name)} = {_text(value)}' for name, value in pairs)} }}"
    lists = {"build-requires": content.build_requires, "build-constraints": content.build_constraints}
    for key, texts in (*lists.items(), ("graft", content.graft)):
        if texts:
            yield f"{key} = {_texts(texts)}"
    if content.memory:
        yield f'memory = "{content.memory >> 20}MiB"'
    if content.network:
        yield "network = true"


def _texts(names: tuple[str, ...]) -> str:
    return f"[{', '.join(map(_text, names))}]"


def _text(value: str) -> str:
    # JSON's strings are TOML's basic strings (TOML 1.0, "String").
    return json.dumps(value)


def _one_line(text: str) -> str:
    """A stranger's log line, so that it cannot leave its comment (TOML allows no control characters there)."""
    return "".join(character if character.isprintable() else " " for character in text)[:200]


def _json(one: Learned) -> dict[str, object]:
    return {
        "name": one.name, "version": one.version, "versions": one.versions, "python": one.python, "target": one.target,
        "proposed": one.proposed, "at": one.at.isoformat(), "toml": "\n".join(_keys(one.recipe)),
        "evidence": [{"build": e.attempt, "cause": e.cause, "line": e.line, "change": e.change} for e in one.evidence],
    }  # fmt: skip
