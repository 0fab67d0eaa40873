"""A failed attempt as healing sees it, and one change to a recipe."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from farm.model.healing import Clues

if TYPE_CHECKING:
    from collections.abc import Callable

    from farm.model.healing import Candidate, MendKind, Need
    from farm.model.image import ImageSpec
    from farm.model.job import Job, Recipe
    from farm.model.outcome import Failed
    from farm.model.package import Pin, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A failed attempt and what may be asked about it.

    `find` asks the image's package database; `dated` gives a project's newest release on the day of the sdist, `nearest` the
    first later release with a wheel for the target; `images` are the
    other builder images that serve the target. `memory` is the limit that the build had and `most_memory` what it may have, in
    bytes. `hints` are system packages that the project's own CI installs, `clues` what its files name: asked only when needed.
    `cython` tells that the sdist holds C which Cython wrote from a .pyx beside it.
    """

    job: Job
    failure: Failed
    find: Callable[[Need], tuple[Candidate, ...]]
    dated: Callable[[str], Version | None]
    nearest: Callable[[Pin], Version | None] = lambda _: None
    images: tuple[ImageSpec, ...] = ()
    memory: int = 0
    most_memory: int = 0
    hints: tuple[str, ...] = ()
    clues: Callable[[], Clues] = Clues
    cython: bool = False
    impossible: frozenset[tuple[MendKind, str]] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change that may be tried; its fields are those of `Mend`, `edit` makes the new recipe out of the old one."""

    kind: MendKind
    what: str
    edit: Callable[[Recipe], Recipe]
    why: str = ""
    image: ImageSpec | None = None
    pause_s: float = 0.0
    apply: bool = True
    path: str = ""


def with_environment(pairs: tuple[tuple[str, str], ...]) -> Change:
    """Return the change that sets variables of the build."""

    def edit(recipe: Recipe) -> Recipe:
        return replace(recipe, environment=tuple(sorted((dict(recipe.environment) | dict(pairs)).items())))

    return Change(kind="environment", what=" ".join(f"{name}={value}" for name, value in pairs), edit=edit)


def with_flags(*flags: str, variable: str = "CFLAGS") -> Change:
    """Return the change that adds flags of the compiler to those that are set."""

    def edit(recipe: Recipe) -> Recipe:
        environment = dict(recipe.environment)
        old = environment.get(variable, "").split()
        environment[variable] = " ".join((*old, *(flag for flag in flags if flag not in old)))
        return replace(recipe, environment=tuple(sorted(environment.items())))

    return Change(kind="environment", what=f"{variable} {' '.join(flags)}", edit=edit)


def together_with(first: Change, second: Change) -> Change:
    """Return two changes of one kind as one."""
    return replace(first, what=f"{first.what} {second.what}", edit=lambda recipe: second.edit(first.edit(recipe)))


def with_constraints(texts: tuple[str, ...], why: str = "") -> Change:
    """Return the change that bounds build requirements."""

    def edit(recipe: Recipe) -> Recipe:
        return replace(recipe, build_constraints=tuple(dict.fromkeys((*recipe.build_constraints, *texts))))

    return Change(kind="build-constraint", what=" ".join(texts), edit=edit, why=why)
