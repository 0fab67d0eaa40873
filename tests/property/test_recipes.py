"""Recipes put together: nothing said is lost, the first holds, and taking away what is known gives back the rest."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from farm.cli.recipe_text import keys
from farm.config.document import Document, lines
from farm.config.recipes import recipe_tables
from farm.model.job import Patch, Recipe
from farm.model.recipes import less, merged

WORDS = st.sampled_from(("a", "b", "c", "d"))
SETS = st.lists(WORDS, unique=True, max_size=3).map(tuple)
BOUNDS = st.lists(st.sampled_from(("a<1", "b<2", "c!=3")), unique=True).map(tuple)
PAIRS = st.dictionaries(WORDS, WORDS, max_size=3).map(lambda pairs: tuple(sorted(pairs.items())))
PATCHES = SETS.map(lambda names: tuple(Patch(name=name, sha256=name, text="", reason="r", upstream="pending") for name in names))
RECIPES = st.builds(
    Recipe,
    system_packages=st.dictionaries(st.sampled_from(("debian", "manylinux")), SETS.filter(bool), max_size=2).map(
        lambda found: tuple(sorted(found.items()))
    ),
    variant=st.sampled_from(("", "bookworm", "trixie")), environment=PAIRS, config_settings=PAIRS, build_requires=SETS,
    build_constraints=BOUNDS, patches=PATCHES, kind=st.sampled_from((None, "native", "pure")), skip_imports=PAIRS, smoke_test=SETS,
    network=st.booleans(), network_reason=st.sampled_from(("", "x")), memory=st.integers(0, 3),
    cpus=st.sampled_from((0.0, 1.0, 2.0)), time_limit=st.sampled_from((0.0, 60.0)), exclusive=st.booleans(), graft=SETS,
    cythonize=st.sampled_from(("", "cython<3")), old_names=st.booleans(), build_overrides=SETS,
    allow_instructions=st.sampled_from(("", "x")),
)  # fmt: skip


@given(RECIPES, RECIPES)
def test_the_first_holds_and_nothing_of_either_is_lost(first: Recipe, second: Recipe) -> None:
    both = merged(first, second)
    for field in Recipe.__dataclass_fields__:
        own, other, found = getattr(first, field), getattr(second, field), getattr(both, field)
        if isinstance(own, tuple) and field not in {"smoke_test", "system_packages"}:
            pairs = field in {"environment", "config_settings", "skip_imports"}
            assert set(own) <= set(found) <= set(own) | set(other)
            assert not pairs or {name for name, _ in found} == {name for name, _ in (*own, *other)}
            assert pairs or set(found) == set(own) | set(other)
        elif field != "system_packages":
            assert found == (own or other)
    for family in ("debian", "manylinux"):
        assert set(both.packages_for(family)) == set(first.packages_for(family)) | set(second.packages_for(family))


@given(RECIPES, RECIPES, RECIPES)
def test_it_does_not_matter_which_two_are_put_together_first(one: Recipe, two: Recipe, three: Recipe) -> None:
    assert merged(merged(one, two), three) == merged(one, merged(two, three))


@given(RECIPES)
def test_an_empty_recipe_changes_nothing(recipe: Recipe) -> None:
    assert merged(recipe, Recipe()) == merged(Recipe(), recipe) == merged(recipe, recipe) == recipe
    assert less(recipe, Recipe()) == recipe
    assert less(recipe, recipe) == Recipe()


@given(RECIPES, RECIPES)
def test_what_is_taken_away_can_be_put_back(known: Recipe, more: Recipe) -> None:
    whole = merged(known, more)
    assert merged(known, less(whole, known)) == whole


@given(RECIPES)
def test_a_recipe_that_is_written_down_is_read_as_it_was(recipe: Recipe) -> None:
    whole = replace(recipe, patches=(), network_reason=recipe.network_reason if recipe.network else "", memory=recipe.memory << 20)
    written = "\n".join(keys(whole))
    document = Document("x.toml", Path(), written)
    (rule,) = recipe_tables({"demo": tomllib.loads(written)}, document)[canonicalize_name("demo")]
    assert not document.faults
    assert rule.recipe == whole


HEADERS = st.sampled_from(("", "[t]", "[[a]]", "[a.s]", "[[a.p]]", "# [x]"))
VALUES = st.sampled_from(
    ("k = 1", 'k = """\n[[a]]\nk = 2\n"""', "k = [\n  1, # ]\n  2,\n]", 'k = { x = "[", y = [{ z = 1 }] }', "'q.r' = 2", "d.e = 1")
)


@given(st.lists(st.tuples(HEADERS, st.lists(VALUES, unique_by=lambda text: text[0], max_size=3)), max_size=6))
def test_every_value_of_a_document_has_the_line_that_it_begins_on(parts: list[tuple[str, list[str]]]) -> None:
    text = "".join(f"{header}\n" + "".join(f"\n{value}\n" for value in values) for header, values in parts)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    found = lines(text)
    listed = text.splitlines()
    for place, line in found.items():
        value: Any = content
        for part in place:
            value = value[part]
        key = next(part for part in reversed(place) if isinstance(part, str))
        assert listed[line - 1].startswith(("[", "k", "'q", "d")), (key, value)
        if key == "k":
            assert listed[line - 1].startswith("k = ")
