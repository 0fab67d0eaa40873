"""Recipes put together and taken apart."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, replace
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeVar

from farm.model.job import Recipe
from farm.model.requirements import one_each

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

UPSTREAM = {
    "pending": False, "submitted": True, "backport": True, "denied": False, "inactive-upstream": False, "inappropriate": True,
}  # fmt: skip
"""What may have become of a patch upstream, and whether a place or reason must follow (OpenEmbedded's `Upstream-Status`)."""

TABLES = ("environment", "config_settings", "skip_imports")
LISTS = ("build_requires", "build_overrides", "build_constraints", "graft", "patches")
"""The fields of a recipe that are tables of texts, and those that are lists whose entries add up. The others hold one value each,
but for `system_packages`, a table of lists.
"""

_T = TypeVar("_T")
_Pairs = tuple[tuple[str, str], ...]


def merged(first: Recipe, second: Recipe) -> Recipe:
    """Return both recipes as one. Where they contradict each other `first` holds: the user's own word before what was learned."""
    values: dict[str, Any] = {field.name: getattr(first, field.name) or getattr(second, field.name) for field in fields(first)}
    values |= {name: _pairs(getattr(first, name), getattr(second, name)) for name in TABLES}
    values |= {name: _joined(getattr(first, name), getattr(second, name)) for name in LISTS}
    values["build_overrides"] = one_each((*first.build_overrides, *second.build_overrides))
    families = dict.fromkeys((*dict(first.system_packages), *dict(second.system_packages)))
    packages = {family: _joined(first.packages_for(family), second.packages_for(family)) for family in families}
    values["system_packages"] = tuple(sorted(packages.items()))
    return replace(first, **values)


def less(recipe: Recipe, known: Recipe) -> Recipe:
    """Return what a recipe says beyond a known one."""
    said_too = (field for field in fields(recipe) if getattr(recipe, field.name) == getattr(known, field.name))
    values: dict[str, Any] = {field.name: field.default for field in said_too}
    values |= {name: _beyond(getattr(recipe, name), getattr(known, name)) for name in (*TABLES, *LISTS)}
    packages = ((family, _beyond(names, known.packages_for(family))) for family, names in recipe.system_packages)
    values["system_packages"] = tuple((family, names) for family, names in packages if names)
    return replace(recipe, **values)


def _pairs(first: _Pairs, second: _Pairs) -> _Pairs:
    return tuple(sorted((dict(second) | dict(first)).items()))


def _joined(first: tuple[_T, ...], second: tuple[_T, ...]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def _beyond(items: tuple[_T, ...], known: tuple[_T, ...]) -> tuple[_T, ...]:
    return tuple(item for item in items if item not in known)


def told_to_backend(recipe: Recipe) -> str:
    """Return a mark of what in a recipe may change the metadata that a build backend answers with; empty where nothing may."""
    patches = tuple((patch.sha256, patch.strip) for patch in recipe.patches)
    parts = (recipe.environment, recipe.config_settings, recipe.build_requires, recipe.build_constraints, patches)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16] if any(parts) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One thing that a recipe says: its key as written (`environment.CFLAGS`), its value, and whose word it is."""

    key: str
    value: str | int | float | bool | tuple[str, ...]
    source: str


def said(layers: Sequence[tuple[str, Recipe]]) -> tuple[Said, ...]:
    """Return what these recipes say together, `merged` in this order, each thing with the first that says so."""
    items = [(source, set(_items(recipe))) for source, recipe in layers]
    whole = reduce(merged, (recipe for _, recipe in layers)) if layers else None
    return tuple(
        Said(key=key, value=value, source=next(source for source, known in items if (key, value) in known))
        for key, value in (_items(whole) if whole else ())
    )


def key(field: str) -> str:
    """Return a field of a recipe as a person writes it."""
    return field.replace("_", "-")


def _items(recipe: Recipe) -> Iterator[tuple[str, str | int | float | bool | tuple[str, ...]]]:
    """Yield a recipe's single values; of lists and tables each entry."""
    for family, names in recipe.system_packages:
        yield from ((f"system-packages.{family}", name) for name in names)
    for table in TABLES:
        yield from ((f"{key(table)}.{name}", value) for name, value in getattr(recipe, table))
    texts = {"patches": tuple(f"{patch.name} (sha256 {patch.sha256[:12]}): {patch.reason}" for patch in recipe.patches)}
    for name in LISTS:
        yield from ((key(name), text) for text in texts.get(name, getattr(recipe, name)))
    single = {name: getattr(recipe, name) for name in single_fields()} | {"network": recipe.network_reason or recipe.network}
    yield from ((key(name), value) for name, value in single.items() if value)


def single_fields() -> Iterator[str]:
    """Yield the fields of a recipe that hold one value each, in their order; `network_reason` is the value of `network`."""
    several = {*TABLES, *LISTS, "system_packages", "network_reason"}
    yield from (field.name for field in fields(Recipe) if field.name not in several)


# What decides whether a build succeeds, or how it is judged, and not what comes out.
_NO_INPUT = frozenset(
    {"memory", "cpus", "time_limit", "exclusive", "kind", "skip_imports", "smoke_test", "network_reason", "allow_instructions"}
)


def recipe_digest(recipe: Recipe) -> str:
    """Return a sha256 over what a recipe says of the wheel that comes out; the same for the same recipe in any version of farm."""
    values = {field.name: getattr(recipe, field.name) for field in fields(recipe) if field.name not in _NO_INPUT}
    values["patches"] = [(patch.sha256, patch.strip) for patch in recipe.patches]
    text = json.dumps({key: value for key, value in values.items() if value}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
