"""Recipes put together and taken apart, and what they make of an sdist's build requirements."""

from __future__ import annotations

from farm.model.job import Recipe
from farm.model.recipes import less, merged
from farm.model.requirements import overridden, required

PINS = ("setuptools", "numpy==1.17.3; python_version>='3.8'", "NumPy==1.16.0; python_version<'3.8'")


def test_an_override_replaces_every_requirement_of_its_name_and_adds_none() -> None:
    recipe = Recipe(build_overrides=("numpy==1.23.2", "scipy==1.9.0"))
    assert overridden(PINS, recipe) == ("setuptools", "numpy==1.23.2")
    assert overridden(("not a requirement !",), recipe) == ("not a requirement !",)


def test_what_must_be_at_hand_has_the_cython_that_only_translates() -> None:
    recipe = Recipe(build_requires=("wheel",), cythonize="cython<3")
    assert required(("setuptools",), recipe) == ("setuptools", "wheel", "cython<3")
    assert required(("setuptools",), Recipe()) == ("setuptools",)


def test_the_users_own_word_goes_before_what_was_learned() -> None:
    own = Recipe(build_overrides=("numpy==1.24.0",), cythonize="cython<3")
    learned = Recipe(build_overrides=("NumPy==1.23.2", "scipy==1.9.0"), cythonize="cython<3.1")
    both = merged(own, learned)
    assert (both.build_overrides, both.cythonize) == (("numpy==1.24.0", "scipy==1.9.0"), "cython<3")
    assert less(both, own) == Recipe(build_overrides=("scipy==1.9.0",))
