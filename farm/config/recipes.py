"""Recipes: `[recipes.NAME]` of config.toml, and a file for each project in the recipes folder."""

from __future__ import annotations

import hashlib
import tomllib
from typing import TYPE_CHECKING, Any

from packaging.specifiers import SpecifierSet
from packaging.utils import InvalidName, canonicalize_name

from farm.config.document import Document
from farm.config.fields import PATCH_FIELDS, RECIPE_FIELDS
from farm.model.job import Patch, Recipe
from farm.model.settings import RecipeRule

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from packaging.utils import NormalizedName

    from farm.config.document import Place

    Rules = dict[NormalizedName, tuple[RecipeRule, ...]]

_SEVERAL = "recipe"
_MOST_BYTES = 16 << 20
_NEEDED = ("file", "reason", "upstream")


def recipe_tables(content: Any, document: Document) -> Rules:
    """Return the rules of `[recipes.NAME]` tables, or lists of tables where versions or targets differ in what they need."""
    if not isinstance(content, dict):
        document.fault(("recipes",), f"expected a table for each package, found {content!r}")
        return {}
    found: Rules = {}
    for name, tables in content.items():
        place = ("recipes", name)
        project = _project(name, place, document)
        if project in found:
            document.fault(place, f"{project} has recipes already, under another spelling; put them into one list")
        found[project] = _rules(tables, place, document)
    return found


def folder_recipes(folder: Path) -> tuple[Rules, tuple[str, ...]]:
    """Return the rules of a recipes folder's `NAME.toml` files, and what is wrong with them; nothing where there is no folder."""
    found: Rules = {}
    files: dict[NormalizedName, str] = {}
    faults: list[str] = []
    for path in sorted(folder.glob("*.toml")) if folder.is_dir() else ():
        rules, wrong = read_recipe_file(path)
        faults.extend(wrong)
        project = canonicalize_name(path.stem)
        if project in files:
            faults.append(f"{_shown(path)}: {project} has a file already: {files[project]}; keep one of them")
        files[project] = path.name
        found[project] = rules
    return found, tuple(faults)


def read_recipe_file(path: Path) -> tuple[tuple[RecipeRule, ...], tuple[str, ...]]:
    """Return the rules of one recipe's file, and its faults. Its keys stand at the top, or in `[[recipe]]` tables for several rules."""
    name = _shown(path)
    try:
        text = path.read_bytes().decode()
        content = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        return (), (f"{name}: cannot be read: {error}",)
    except tomllib.TOMLDecodeError as error:
        return (), (f"{name}: not valid TOML: {error}",)
    document = Document(name, path.parent, text)
    _project(path.stem, (), document)
    if _SEVERAL not in content:
        return _rules(content, (), document), tuple(document.faults)
    for key in content.keys() - {_SEVERAL}:
        document.fault((key,), "expected nothing beside [[recipe]] tables: put it into the one that it is for")
    return _rules(content[_SEVERAL], (_SEVERAL,), document), tuple(document.faults)


def together(first: Mapping[NormalizedName, tuple[RecipeRule, ...]], second: Mapping[NormalizedName, tuple[RecipeRule, ...]]) -> Rules:
    """Return the rules of both, the first one's before the second's."""
    return {name: (*first.get(name, ()), *second.get(name, ())) for name in {**first, **second}}


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _project(name: str, place: Place, document: Document) -> NormalizedName:
    try:
        return canonicalize_name(name, validate=True)
    except InvalidName:
        document.fault(place, f"expected a project's name, found {name!r}")
        return canonicalize_name(name)


def _rules(tables: Any, place: Place, document: Document) -> tuple[RecipeRule, ...]:
    several = isinstance(tables, list)
    found = (
        _rule(table, (*place, number) if several else place, document)
        for number, table in enumerate(tables if several else [tables])
    )
    return tuple(rule for rule in found if rule is not None)


def _rule(table: Any, place: Place, document: Document) -> RecipeRule | None:
    if not isinstance(table, dict):
        document.fault(place, f"expected a table, found {table!r}")
        return None
    values = document.values(table, RECIPE_FIELDS, place)
    versions = values.pop("versions", SpecifierSet())
    targets = values.pop("targets", ())
    network, reason = values.pop("network", (False, ""))
    if "patches" in values:
        values["patches"] = _patches(values["patches"], (*place, "patches"), document)
    recipe = Recipe(network=network, network_reason=reason, **values)
    return RecipeRule(versions=versions, targets=targets, recipe=recipe, file=document.name, line=document.begin(place))


def _patches(tables: list[Any], place: Place, document: Document) -> tuple[Patch, ...]:
    found = (_patch(table, (*place, number), document) for number, table in enumerate(tables))
    return tuple(patch for patch in found if patch is not None)


def _patch(table: Any, place: Place, document: Document) -> Patch | None:
    if not isinstance(table, dict):
        document.fault(place, f"expected a table with {', '.join(_NEEDED)}, found {table!r}")
        return None
    values = document.values(table, PATCH_FIELDS, place)
    missing = [key for key in _NEEDED if key not in table]
    if missing:
        fields = {field.path: field for field in PATCH_FIELDS}
        for key in missing:
            document.fault(place, f"{key} is missing: expected {fields[key].expected}")
    if not set(_NEEDED) <= values.keys():
        return None
    content = _content(values["file"], place, document)
    if content is None:
        return None
    return Patch(
        name=values["file"], sha256=hashlib.sha256(content).hexdigest(), text=content.decode("utf-8", "surrogateescape"),
        reason=values["reason"], upstream=values["upstream"], strip=values.get("strip", 1),
    )  # fmt: skip


def _content(name: str, place: Place, document: Document) -> bytes | None:
    path = document.folder / name
    try:
        # A link that leads elsewhere would make what is built depend on files that the recipe does not show.
        if not path.resolve().is_relative_to(document.folder.resolve()):
            document.fault((*place, "file"), f"{name} is a link that leaves the folder {document.folder}")
            return None
        if path.stat().st_size > _MOST_BYTES:
            document.fault((*place, "file"), f"{name} is larger than {_MOST_BYTES >> 20} MiB")
            return None
        return path.read_bytes()
    except OSError as error:
        document.fault((*place, "file"), f"{name} cannot be read: {error.strerror}")
        return None
