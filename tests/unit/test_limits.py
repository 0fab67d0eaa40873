"""What a build may have: the farm's bounds, and a recipe's own word."""

from __future__ import annotations

from farm.model.build import Limits
from farm.model.job import Recipe

FARM = Limits(seconds=3600.0, memory=4 << 30, processes=100, cpus=2.0, most_cpus=8.0)


def test_a_recipe_that_names_nothing_leaves_the_farms_bounds() -> None:
    assert FARM.within(Recipe()) == FARM


def test_a_recipe_has_the_last_word_but_no_more_processors_than_there_are() -> None:
    found = FARM.within(Recipe(memory=1 << 30, cpus=0.5, time_limit=60.0))
    assert found == Limits(seconds=60.0, memory=1 << 30, processes=100, cpus=0.5, most_cpus=8.0)
    assert FARM.within(Recipe(cpus=64.0)).cpus == 8.0
