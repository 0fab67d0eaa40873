"""An sdist's build requirements as a recipe changes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from farm.model.job import Recipe


def overridden(requirements: Iterable[str], recipe: Recipe) -> tuple[str, ...]:
    """Return build requirements with those replaced that a recipe overrides; an override of what is not required adds nothing."""
    instead = {_name(text): text for text in recipe.build_overrides}
    return tuple(dict.fromkeys(instead.get(_name(text), text) for text in requirements))


def required(requirements: Iterable[str], recipe: Recipe) -> tuple[str, ...]:
    """Return what must be at hand for a build whose sdist has these build requirements."""
    return (*overridden(requirements, recipe), *recipe.build_requires, *((recipe.cythonize,) if recipe.cythonize else ()))


def one_each(texts: Iterable[str]) -> tuple[str, ...]:
    """Of several overrides of one name the first holds."""
    found: dict[str, str] = {}
    for text in texts:
        found.setdefault(_name(text), text)
    return tuple(found.values())


def _name(text: str) -> str:
    try:
        return canonicalize_name(Requirement(text).name)
    except InvalidRequirement:
        return text
