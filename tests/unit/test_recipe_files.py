"""Recipes in config.toml and in the recipes folder: what is read, which one wins, and every fault with its file and line."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from farm.config import ConfigError, load
from farm.model.job import Patch, Recipe, job_key
from farm.model.package import make_pin
from farm.model.recipes import told_to_backend
from tests.fakes import nouns
from tests.fakes.nouns import CP311, CP313

if TYPE_CHECKING:
    from pathlib import Path

    from farm.model.settings import Settings

DIFF = "--- a/setup.py\n+++ b/setup.py\n@@ -1 +1 @@\n-old\n+new\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "config.toml").write_text("")
    return tmp_path


def read(folder: Path, config: str = "", **files: str) -> Settings:
    (folder / "config.toml").write_text(config)
    for name, text in files.items():
        (folder / "recipes" / f"{name}.toml").write_text(text)
    return load(folder / "config.toml", home=folder)


def faults(folder: Path, config: str = "", **files: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read(folder, config, **files)
    return [line.strip().removeprefix(f"{folder}/") for line in refused.value.reason.splitlines()[1:]]


def test_a_file_holds_everything_that_a_recipe_can_say(folder: Path) -> None:
    (folder / "recipes" / "fix.patch").write_text(DIFF)
    settings = read(folder, demo='''
        targets = "cp311-*"
        variant = "bookworm"
        environment = { CFLAGS = "-O1" }
        skip-imports = { demo_gui = "needs a display" }
        smoke-test = ["demo", "--version"]
        memory = "8GiB"
        cpus = 1.5
        time-limit = "3h"
        exclusive = true
        network = "downloads its test data"

        [[patches]]
        file = "fix.patch"
        reason = "does not know this compiler"
        upstream = "submitted https://forge.example/demo/7"
    ''')  # fmt: skip
    recipe = settings.recipe(make_pin("demo", "1"), CP311)
    assert (recipe.variant, recipe.smoke_test, recipe.skip_imports) == (
        "bookworm", ("demo", "--version"), (("demo_gui", "needs a display"),),
    )  # fmt: skip
    assert (recipe.memory, recipe.cpus, recipe.time_limit, recipe.exclusive) == (8 << 30, 1.5, 10800.0, True)
    assert (recipe.network, recipe.network_reason) == (True, "downloads its test data")
    (patch,) = recipe.patches
    assert (patch.name, patch.text, patch.strip, patch.upstream) == ("fix.patch", DIFF, 1, "submitted https://forge.example/demo/7")
    assert settings.recipe(make_pin("demo", "1"), CP313) == Recipe()


def test_versions_and_targets_choose_the_first_rule_that_fits(folder: Path) -> None:
    settings = read(folder, Demo_Lib='''
        [[recipe]]
        versions = "<2"
        build-constraints = ["setuptools<58"]

        [[recipe]]
        targets = ["cp313-*"]
        build-requires = ["cython"]

        [[recipe]]
        kind = "pure"
    ''')  # fmt: skip
    asked = (("1.9", CP313), ("2.0rc1", CP313), ("2.0", CP311))
    found = [settings.recipe(make_pin("demo-lib", version), target) for version, target in asked]
    assert found == [Recipe(build_constraints=("setuptools<58",)), Recipe(build_requires=("cython",)), Recipe(kind="pure")]


def test_config_toml_goes_before_the_folder_and_both_count(folder: Path) -> None:
    config = '[recipes.demo]\nmemory = "2GiB"\nenvironment = { A = "own" }\nbuild-requires = ["cython"]\n'
    settings = read(folder, config, demo='memory = "1GiB"\nenvironment = { A = "x", B = "y" }\nbuild-requires = ["numpy"]\nkind = "pure"\n')
    assert settings.recipe(make_pin("demo", "1"), CP311) == Recipe(
        memory=2 << 30, environment=(("A", "own"), ("B", "y")), build_requires=("cython", "numpy"), kind="pure",
    )  # fmt: skip
    places = [rule.place.removeprefix(f"{folder}/") for rule in settings.rules(make_pin("demo", "1"), CP311)]
    assert places == ["config.toml:1", "recipes/demo.toml:1"]


def test_the_folder_may_be_another_one(folder: Path) -> None:
    (folder / "shared").mkdir()
    (folder / "shared" / "demo.toml").write_text('kind = "pure"\n')
    settings = read(folder, '[build]\nrecipes = "shared"\n', demo='kind = "native"\n')
    assert settings.recipe(make_pin("demo", "1"), CP311).kind == "pure"
    (told,) = faults(folder, '[build]\nrecipes = "none"\n')
    assert told == f"config.toml:2: build.recipes: expected a folder, found none at {folder}/none"


def test_all_faults_of_all_files_are_told_together_with_their_lines(folder: Path) -> None:
    (folder / "recipes" / "away.patch").symlink_to("/etc/passwd")
    config = '[build]\njobs = "two"\n\n[[recipes.first]]\n\n[[recipes.first]]\nmemori = "1GiB"\n'
    text = 'versions = "newest"\n\n# a comment\nenvironment = {\n'.replace("{\n", '{ "A B" = "x" }\n')
    text += 'skip-imports = ["gui"]\nbuild-constraints = [\n  "numpy",\n]\nsmoke-test = []\n\n'
    text += '[[patches]]\nfile = "away.patch"\nreason = "r"\nupstream = "pending"\n\n'
    text += '[[patches]]\nfile = "../x"\nreasn = "r"\nupstream = "submitted"\n'
    told = faults(folder, config, second=text, third="kind = \n")
    expected = (
        "config.toml:7: recipes.first[1].memori: unknown key; perhaps you meant memory",
        "config.toml:2: build.jobs: expected a number of 0 to 1024, found 'two'",
        "recipes/second.toml:1: versions: expected a version specifier such as '>=2,<3', found 'newest'",
        "recipes/second.toml:4: environment: expected names of variables, found 'A B'",
        "recipes/second.toml:5: skip-imports: expected a table of modules, each with the reason",
        "recipes/second.toml:6: build-constraints: expected bounds such as 'cython<3', found 'numpy'",
        "recipes/second.toml:9: smoke-test: expected Python code, or the list of a command's arguments, found []",
        "recipes/second.toml:12: patches[0].file: away.patch is a link that leaves the folder",
        "recipes/second.toml:17: patches[1].file: expected a path beside or below the recipe's file, found '../x'",
        "recipes/second.toml:18: patches[1].reasn: unknown key; perhaps you meant reason",
        "recipes/second.toml:19: patches[1].upstream: expected a word of",
        "recipes/second.toml:16: patches[1]: reason is missing: expected a text",
        "recipes/third.toml: not valid TOML",
    )
    assert len(told) == len(expected), told
    for part in expected:
        assert any(line.startswith(part) for line in told), (part, told)


def test_one_project_has_one_file(folder: Path) -> None:
    told = faults(folder, **{"a_b": 'kind = "pure"\n', "a-b": 'kind = "pure"\n', "-x": ""})
    assert told == [
        "recipes/-x.toml: expected a project's name, found '-x'",
        "recipes/a_b.toml: a-b has a file already: a-b.toml; keep one of them",
    ]


def test_keys_beside_several_rules_are_refused(folder: Path) -> None:
    told = faults(folder, demo='kind = "pure"\n[[recipe]]\nversions = "<2"\n')
    assert told == ["recipes/demo.toml:1: kind: expected nothing beside [[recipe]] tables: put it into the one that it is for"]


def test_the_key_of_a_build_holds_the_patches_and_nothing_of_the_proof(folder: Path) -> None:
    (folder / "recipes" / "fix.patch").write_text(DIFF)
    settings = read(folder, demo='[[patches]]\nfile = "fix.patch"\nreason = "r"\nupstream = "pending"\n')
    patched = settings.recipe(make_pin("demo", "1"), CP311)
    (patch,) = patched.patches
    job = nouns.job("demo==1.0")

    def key(recipe: Recipe) -> str:
        return job_key(replace(job, recipe=recipe), "sha256:1", ())

    plain = key(Recipe())
    assert key(patched) != plain
    assert key(replace(patched, patches=(replace(patch, strip=0),))) not in {plain, key(patched)}
    assert key(replace(patched, patches=(replace(patch, reason="another", upstream="denied"),))) == key(patched)
    known = Recipe(
        environment=(("CFLAGS", "-O1"),), config_settings=(("--x", "y"),), build_requires=("idna",), graft=("libX11.so.6",), network=True,
        system_packages=(("debian", ("a",)),), memory=1, build_constraints=("cython<3",), kind="pure",
    )  # fmt: skip
    # As farms before patches had it: what they built stays built. Only a new _KEY_SCHEMA may change it.
    assert key(known) == "883c367e536e4f1940aaaed4ba9027d18da1e695a72edc88af6d1e57d107939f"
    proof = Recipe(smoke_test=("true",), skip_imports=(("x", "y"),), memory=1, cpus=1.0, time_limit=1.0, exclusive=True, network_reason="z")
    assert key(proof) == plain


def test_what_may_change_the_metadata_is_told_apart_and_nothing_else() -> None:
    patch = Patch(name="x", sha256="1", text="", reason="r", upstream="pending")
    assert told_to_backend(Recipe(memory=1, smoke_test=("true",), system_packages=(("debian", ("a",)),))) == ""
    marks = [
        told_to_backend(recipe)
        for recipe in (
            Recipe(environment=(("PBR_VERSION", "1.4"),)), Recipe(environment=(("PBR_VERSION", "1.5"),)), Recipe(patches=(patch,)),
            Recipe(patches=(replace(patch, strip=0),)), Recipe(build_requires=("a",)), Recipe(build_constraints=("a<1",)),
        )
    ]  # fmt: skip
    assert len(set(marks)) == len(marks)
    assert "" not in marks
