"""Recipes put together and taken apart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from farm.model.job import Recipe


def merged(first: Recipe, second: Recipe) -> Recipe:
    """Return both recipes as one. Where they contradict each other `first` holds: the user's own word before what was learned."""
    families = dict.fromkeys((*dict(first.system_packages), *dict(second.system_packages)))
    packages = {
        family: tuple(dict.fromkeys((*first.packages_for(family), *second.packages_for(family)))) for family in families
    }
    return replace(
        first,
        system_packages=tuple(sorted(packages.items())),
        environment=tuple(sorted((dict(second.environment) | dict(first.environment)).items())),
        config_settings=tuple(sorted((dict(second.config_settings) | dict(first.config_settings)).items())),
        build_requires=tuple(dict.fromkeys((*first.build_requires, *second.build_requires))),
        build_constraints=tuple(dict.fromkeys((*first.build_constraints, *second.build_constraints))),
        kind=first.kind or second.kind,
        skip_imports=tuple(dict.fromkeys((*first.skip_imports, *second.skip_imports))),
        network=first.network or second.network,
        memory=first.memory or second.memory,
        graft=tuple(dict.fromkeys((*first.graft, *second.graft))),
    )


def less(recipe: Recipe, known: Recipe) -> Recipe:
    """Return what a recipe says beyond a known one."""
    packages = (
        (family, tuple(name for name in names if name not in known.packages_for(family)))
        for family, names in recipe.system_packages
    )
    return replace(
        recipe,
        system_packages=tuple((family, names) for family, names in packages if names),
        environment=tuple(pair for pair in recipe.environment if pair not in known.environment),
        config_settings=tuple(pair for pair in recipe.config_settings if pair not in known.config_settings),
        build_requires=tuple(text for text in recipe.build_requires if text not in known.build_requires),
        build_constraints=tuple(text for text in recipe.build_constraints if text not in known.build_constraints),
        kind=None if recipe.kind == known.kind else recipe.kind,
        skip_imports=tuple(name for name in recipe.skip_imports if name not in known.skip_imports),
        network=recipe.network and not known.network,
        graft=tuple(name for name in recipe.graft if name not in known.graft),
        memory=0 if recipe.memory == known.memory else recipe.memory,
    )
