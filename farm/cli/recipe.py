"""`farm recipe`: what packages need beyond the default: written by people, or learned by healing."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from farm.cli import render
from farm.cli.recipe_text import exported, keys, one_line, skeleton, text
from farm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from packaging.utils import NormalizedName

    from farm.cli.main import Context
    from farm.model.healing import Learned
    from farm.model.recipes import Said
    from farm.model.settings import RecipeRule, Settings

    Rules = Mapping[NormalizedName, Sequence[RecipeRule]]

__all__ = ["exported", "recipe"]


@click.group()
def recipe() -> None:
    """Write, check, show, export or forget recipes (docs/recipes.md, docs/healing.md)."""


@recipe.command("list")
@click.option("--learned", is_flag=True, help="Only what healing has learned or proposes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_(context: Context, *, learned: bool, as_json: bool) -> int:
    """List the recipes of config.toml and of the recipes folder, what was learned, and what is only proposed, with the evidence."""
    written = {} if learned else context.settings().recipes
    found = _learned(context, None)
    if as_json:
        configured = [_rule_json(name, rule) for name, rules in sorted(written.items()) for rule in rules]
        render.out(json.dumps({"schema": 1, "configured": configured, "recipes": [_json(one) for one in found]}, indent=2))
        return 0
    rows = [
        (name, str(rule.versions) or "all", ", ".join(rule.targets) or "any", rule.place, "; ".join(keys(rule.recipe)))
        for name, rules in sorted(written.items())
        for rule in rules
    ]
    rows += [
        (
            one.name,
            one.versions,
            one.python or "any",
            "proposed" if one.proposed else "learned",
            ", ".join(e.change for e in one.evidence),
        )
        for one in found
    ]
    if not rows:
        render.err("nothing has been learned yet" if learned else "there are no recipes, and nothing has been learned yet")
        return 0
    render.out(render.table(("package", "versions", "for", "state", "what"), rows))
    return 0


@recipe.command()
@click.argument("wanted", metavar="NAME[==VERSION]")
@click.option("--target", metavar="T", help="The target. Default: the first configured one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(context: Context, wanted: str, target: str | None, *, as_json: bool) -> int:
    """Show the recipe that a build would use, each value with where it comes from.

    config.toml's word goes before that of the recipes folder, and both before what was learned. Without a VERSION it is the newest
    that the index has.
    """
    from farm.model.package import Pin  # noqa: PLC0415 - after the cheap checks
    from farm.model.target import parse_target  # noqa: PLC0415 - the same
    from farm.wire import Farm  # noqa: PLC0415 - the same
    from farm.wire.recipes import newest, shown  # noqa: PLC0415 - the same

    name, version = _pin(wanted)
    settings = context.settings()
    chosen = parse_target(target) if target else settings.targets[0]
    with Farm(settings, context.env) as farm:
        pin = Pin(name=name, version=version or newest(farm, name))
        values = shown(farm, pin, chosen)
    if as_json:
        found = [{"key": one.key, "value": one.value, "from": one.source} for one in values]
        render.out(json.dumps({"schema": 1, "name": name, "version": str(pin.version), "target": chosen.name, "values": found}, indent=2))
        return 0
    if not values:
        render.err(f"{pin} for {chosen} is built without a recipe")
        return 0
    render.out(f"# {pin.name} {pin.version} for {chosen}")
    render.out(render.table(("key", "value", "from"), [(one.key, _shown(one), one.source) for one in values]))
    return 0


@recipe.command()
@click.argument("names", nargs=-1, metavar="[PATH|NAME]...")
@click.option("--offline", is_flag=True, help="Do not try the patches on the sdists of the index.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def lint(context: Context, names: tuple[str, ...], *, offline: bool, as_json: bool) -> int:
    """Check recipes, by file or by project; all of config.toml and of the recipes folder without a name. Every fault at once.

    Patches are tried on the oldest and the newest sdist that their rule is for. Nothing of a package is run.

    Exit code 1 when there is a fault, 0 when there are notes at most.
    """
    from farm.config import examined  # noqa: PLC0415 - after the cheap checks
    from farm.survey.lint import Remark  # noqa: PLC0415 - the same
    from farm.wire import Farm  # noqa: PLC0415 - the same
    from farm.wire.recipes import lint as linted  # noqa: PLC0415 - the same
    from farm.wire.recipes import unnamed  # noqa: PLC0415 - the same

    settings, faults = examined(context.path(), home=context.home)
    recipes, faults = _chosen(names, settings, faults)
    found = [Remark(level="fault", project="", place="", text=fault) for fault in faults]
    with Farm(settings, context.env) as farm:
        found += linted(farm, recipes, offline=offline)
    if not names and settings.recipe_folder:
        found += unnamed(Path(settings.recipe_folder), recipes)
    wrong = sum(1 for one in found if one.level == "fault")
    if as_json:
        listed = [{"level": one.level, "project": one.project, "place": one.place, "text": one.text} for one in found]
        render.out(json.dumps({"schema": 1, "faults": wrong, "remarks": listed}, indent=2))
        return 1 if wrong else 0
    for one in found:
        render.out(": ".join(part for part in (one.place, one.level if one.level == "note" else "", one.text) if part))
    rules = sum(map(len, recipes.values()))
    render.err(f"{_count(rules, 'recipe')} of {_count(len(recipes), 'project')}: {_count(wrong, 'fault')}")
    return 1 if wrong else 0


@recipe.command()
@click.argument("wanted", metavar="NAME[==VERSION]")
@click.option("--print", "only_print", is_flag=True, help="Print the file instead of writing it.")
@click.pass_obj
def new(context: Context, wanted: str, *, only_print: bool) -> int:
    """Write a recipe's file to begin with: every key with what it does, and what the sdist and the last failed build tell."""
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks
    from farm.wire.recipes import known  # noqa: PLC0415 - the same

    name, version = _pin(wanted)
    settings = context.settings()
    path = Path(settings.recipe_folder) / f"{name}.toml"
    if not only_print and not settings.recipe_folder:
        reason = "there is no config.toml beside which recipes could stand"
        raise UsageError(reason, solution="write one, empty if you like; or use --print")
    there = [one for one in path.parent.glob("*.toml") if canonicalize_name(one.stem) == name] if path.parent.is_dir() else []
    if not only_print and there:
        raise UsageError(f"{there[0]} is there already", solution=f"edit it, or see `farm recipe new {name} --print`")
    with Farm(settings, context.env) as farm:
        content = skeleton(known(farm, name, version))
    if only_print:
        render.out(content.rstrip("\n"))
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(content)
    render.out(str(path))
    return 0


@recipe.command()
@click.argument("name", required=False)
@click.pass_obj
def export(context: Context, name: str | None) -> int:
    """Print learned recipes as TOML for config.toml, each with the failure that it mends; of one package if NAMEd."""
    found = _learned(context, name)
    if name and not found:
        raise UsageError(f"no recipe of {name} was learned", solution="`farm recipe list` shows what there is")
    render.out(exported(found))
    return 0


@recipe.command()
@click.argument("name")
@click.pass_obj
def forget(context: Context, name: str) -> int:
    """Forget what was learned for a package; the next build starts from what people wrote."""
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks

    settings = context.settings()
    with Farm(settings, context.env) as farm:
        gone = farm.lessons.forget(canonicalize_name(name))
    if not gone:
        written = [rule.place for rule in settings.recipes.get(canonicalize_name(name), ())]
        solution = f"what stands in {', '.join(written)} is yours to delete" if written else "`farm recipe list` shows what there is"
        raise UsageError(f"no recipe of {name} was learned", solution=solution)
    render.out(f"{len(gone)} recipe{'s' if len(gone) > 1 else ''} of {name} forgotten")
    return 0


def _learned(context: Context, name: str | None) -> tuple[Learned, ...]:
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks

    with Farm(context.settings(), context.env) as farm:
        return farm.lessons.all(canonicalize_name(name) if name else None)


def _pin(wanted: str) -> tuple[NormalizedName, Version | None]:
    solution = "farm recipe show numpy==2.1.0"
    try:
        found = Requirement(wanted)
    except InvalidRequirement:
        raise UsageError(f"expected NAME or NAME==VERSION, found {wanted!r}", solution=solution) from None
    bounds = list(found.specifier)
    if found.url or found.extras or len(bounds) > 1 or any(one.operator != "==" or "*" in one.version for one in bounds):
        raise UsageError(f"expected NAME or NAME==VERSION, found {wanted!r}", solution=solution)
    return canonicalize_name(found.name), Version(bounds[0].version) if bounds else None


def _chosen(names: Sequence[str], settings: Settings, faults: tuple[str, ...]) -> tuple[Rules, tuple[str, ...]]:
    """Return the rules to check, and which of the faults concern them; a file's own where a path is given."""
    from farm.config import read_recipe_file  # noqa: PLC0415 - after the cheap checks

    if not names:
        return settings.recipes, faults
    chosen: dict[NormalizedName, tuple[RecipeRule, ...]] = {}
    concern: dict[str, None] = {}
    for given in names:
        path, name = Path(given), canonicalize_name(given)
        if path.suffix == ".toml":
            rules, wrong = read_recipe_file(path)
            chosen[canonicalize_name(path.stem)] = rules
            concern |= dict.fromkeys(wrong)
            continue
        own = [fault for fault in faults if _about(fault, name)]
        if name not in settings.recipes and not own:
            near = difflib.get_close_matches(name, settings.recipes, n=1)
            told = f"perhaps you meant {near[0]}" if near else "`farm recipe list` shows what there is"
            raise UsageError(f"there is no recipe of {given}", solution=told)
        chosen[name] = tuple(settings.recipes.get(name, ()))
        concern |= dict.fromkeys(own)
    return chosen, tuple(concern)


def _about(fault: str, name: str) -> bool:
    """Tell whether a fault stands in a project's own file, or in its tables of config.toml."""
    file, _, rest = fault.partition(":")
    table = next((part for part in fault.split(": ")[:2] if part.startswith("recipes.")), "")
    own = table.removeprefix("recipes.").replace("[", ".").split(".")[0] if table else ""
    return bool(rest) and name in {canonicalize_name(Path(file).stem), canonicalize_name(own)}


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _shown(one: Said) -> str:
    if one.key == "memory":
        return f"{int(one.value) >> 20} MiB" if isinstance(one.value, int) else str(one.value)
    if one.key == "time-limit" and isinstance(one.value, float):
        return render.duration(one.value)
    if isinstance(one.value, bool):
        return str(one.value).lower()
    return one_line(" ".join(map(text, one.value)) if isinstance(one.value, tuple) else str(one.value))


def _rule_json(name: str, rule: RecipeRule) -> dict[str, Any]:
    return {
        "name": name, "versions": str(rule.versions), "targets": list(rule.targets), "from": rule.place,
        "toml": "\n".join(keys(rule.recipe)), "patches": [patch.name for patch in rule.recipe.patches],
    }  # fmt: skip


def _json(one: Learned) -> dict[str, object]:
    return {
        "name": one.name, "version": one.version, "versions": one.versions, "python": one.python, "target": one.target,
        "proposed": one.proposed, "at": one.at.isoformat(), "toml": "\n".join(keys(one.recipe)),
        "evidence": [{"build": e.attempt, "cause": e.cause, "line": e.line, "change": e.change} for e in one.evidence],
    }  # fmt: skip
