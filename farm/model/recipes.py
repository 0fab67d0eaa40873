"""Recipes put together and taken apart."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, replace
from functools import reduce
from typing import TYPE_CHECKING, TypeVar

from farm.model.requirements import one_each

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from farm.model.job import Recipe

UPSTREAM = {
    "pending": False, "submitted": True, "backport": True, "denied": False, "inactive-upstream": False, "inappropriate": True,
}  # fmt: skip
"""What may have become of a patch upstream, and whether a place or reason must follow (OpenEmbedded's `Upstream-Status`)."""

_T = TypeVar("_T")
_Pairs = tuple[tuple[str, str], ...]


def merged(first: Recipe, second: Recipe) -> Recipe:
    """Return both recipes as one. Where they contradict each other `first` holds: the user's own word before what was learned."""
    families = dict.fromkeys((*dict(first.system_packages), *dict(second.system_packages)))
    packages = {
        family: tuple(dict.fromkeys((*first.packages_for(family), *second.packages_for(family)))) for family in families
    }
    return replace(
        first,
        system_packages=tuple(sorted(packages.items())),
        variant=first.variant or second.variant,
        environment=_pairs(first.environment, second.environment),
        config_settings=_pairs(first.config_settings, second.config_settings),
        build_requires=_joined(first.build_requires, second.build_requires),
        build_constraints=_joined(first.build_constraints, second.build_constraints),
        patches=_joined(first.patches, second.patches),
        kind=first.kind or second.kind,
        skip_imports=_pairs(first.skip_imports, second.skip_imports),
        smoke_test=first.smoke_test or second.smoke_test,
        network=first.network or second.network,
        network_reason=first.network_reason or second.network_reason,
        memory=first.memory or second.memory,
        cpus=first.cpus or second.cpus,
        time_limit=first.time_limit or second.time_limit,
        exclusive=first.exclusive or second.exclusive,
        graft=_joined(first.graft, second.graft),
        build_overrides=one_each((*first.build_overrides, *second.build_overrides)),
        cythonize=first.cythonize or second.cythonize,
        old_names=first.old_names or second.old_names,
        allow_instructions=first.allow_instructions or second.allow_instructions,
    )


def less(recipe: Recipe, known: Recipe) -> Recipe:
    """Return what a recipe says beyond a known one."""
    packages = (
        (family, _beyond(names, known.packages_for(family))) for family, names in recipe.system_packages
    )
    return replace(
        recipe,
        system_packages=tuple((family, names) for family, names in packages if names),
        variant="" if recipe.variant == known.variant else recipe.variant,
        environment=_beyond(recipe.environment, known.environment),
        config_settings=_beyond(recipe.config_settings, known.config_settings),
        build_requires=_beyond(recipe.build_requires, known.build_requires),
        build_constraints=_beyond(recipe.build_constraints, known.build_constraints),
        patches=_beyond(recipe.patches, known.patches),
        kind=None if recipe.kind == known.kind else recipe.kind,
        skip_imports=_beyond(recipe.skip_imports, known.skip_imports),
        smoke_test=() if recipe.smoke_test == known.smoke_test else recipe.smoke_test,
        network=recipe.network and not known.network,
        network_reason="" if recipe.network_reason == known.network_reason else recipe.network_reason,
        build_overrides=_beyond(recipe.build_overrides, known.build_overrides),
        old_names=recipe.old_names and not known.old_names,
        cythonize="" if recipe.cythonize == known.cythonize else recipe.cythonize,
        allow_instructions="" if recipe.allow_instructions == known.allow_instructions else recipe.allow_instructions,
        memory=0 if recipe.memory == known.memory else recipe.memory,
        cpus=0.0 if recipe.cpus == known.cpus else recipe.cpus,
        time_limit=0.0 if recipe.time_limit == known.time_limit else recipe.time_limit,
        exclusive=recipe.exclusive and not known.exclusive,
        graft=_beyond(recipe.graft, known.graft),
    )


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


def _items(recipe: Recipe) -> Iterator[tuple[str, str | int | float | bool | tuple[str, ...]]]:
    """Yield a recipe's single values; of lists and tables each entry."""
    for family, names in recipe.system_packages:
        yield from ((f"system-packages.{family}", name) for name in names)
    tables = {"environment": recipe.environment, "config-settings": recipe.config_settings, "skip-imports": recipe.skip_imports}
    for key, pairs in tables.items():
        yield from ((f"{key}.{name}", value) for name, value in pairs)
    lists = {
        "build-requires": recipe.build_requires, "build-overrides": recipe.build_overrides,
        "build-constraints": recipe.build_constraints, "graft": recipe.graft,
        "patches": tuple(f"{patch.name} (sha256 {patch.sha256[:12]}): {patch.reason}" for patch in recipe.patches),
    }  # fmt: skip
    for key, texts in lists.items():
        yield from ((key, text) for text in texts)
    single: dict[str, str | int | float | bool | tuple[str, ...]] = {
        "variant": recipe.variant, "kind": recipe.kind or "", "smoke-test": recipe.smoke_test, "memory": recipe.memory,
        "cythonize": recipe.cythonize, "old-names": recipe.old_names,
        "cpus": recipe.cpus, "time-limit": recipe.time_limit, "exclusive": recipe.exclusive,
        "network": recipe.network_reason or recipe.network, "allow-instructions": recipe.allow_instructions,
    }  # fmt: skip
    yield from ((key, value) for key, value in single.items() if value)


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
