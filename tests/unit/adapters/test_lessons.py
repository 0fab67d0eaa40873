"""What was learned is kept whole, used for what it fits, written as configuration that reads back, and forgotten."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from farm.adapters.lessons import Lessons
from farm.cli.recipe import exported
from farm.config import parse
from farm.errors import StoreError
from farm.model.healing import Evidence, Learned
from farm.model.job import Recipe
from farm.model.package import Version, make_pin
from farm.work.learn import version_range
from tests.fakes.nouns import CP311, CP313, NOON

if TYPE_CHECKING:
    from pathlib import Path

RECIPE = Recipe(
    system_packages=(("debian", ("libfoo-dev", "libbar-dev")),), environment=(("CFLAGS", '-DX="a\\b" -Wno-error'),),
    build_requires=("Cython",), build_constraints=("setuptools<58",), memory=2 << 30, graft=("libX11.so.6",),
    skip_imports=(("demo.gui", "no \"display\""),), cpus=0.5,
    smoke_test=("python", "-c", "import demo\nassert demo.x\t\x7f"), time_limit=90.0, exclusive=True, variant="bookworm", network=True,
    network_reason="a grammar", kind="pure", config_settings=(("--x", "y"),),
    build_overrides=("numpy==1.23.2",), cythonize="cython<3.1", old_names=True,
)  # fmt: skip
LESSON = Learned(
    name=make_pin("demo", "1.2").name, version="1.2", versions="==1.*,<=1.2", python="cp311", target=CP311.name, recipe=RECIPE,
    evidence=(Evidence(attempt="a1", cause="missing-system-header", line='x.c: "foo.h"\x1b]0; [evil]\nnext = 1', change="libfoo-dev"),),
    at=NOON,
)  # fmt: skip


@pytest.fixture
def lessons(tmp_path: Path) -> Lessons:
    return Lessons(tmp_path / "recipes")


def test_it_is_used_for_the_versions_and_the_python_that_it_is_for(lessons: Lessons) -> None:
    lessons.learn(LESSON)
    assert lessons.recipe(make_pin("demo", "1.1"), CP311) == RECIPE
    assert lessons.recipe(make_pin("demo", "1.3"), CP311) == Recipe()
    assert lessons.recipe(make_pin("demo", "1.1"), CP313) == Recipe()
    assert lessons.recipe(make_pin("demo-more", "1.1"), CP311) == Recipe()


def test_the_versions_own_recipe_goes_before_a_newer_one(lessons: Lessons) -> None:
    other = replace(LESSON, version="1.9", versions="==1.*", recipe=Recipe(network=False, build_requires=("six",)))
    lessons.learn(LESSON)
    lessons.learn(other)
    assert lessons.recipe(make_pin("demo", "1.2"), CP311) == RECIPE
    assert lessons.recipe(make_pin("demo", "1.9"), CP311) == other.recipe


def test_a_proposal_is_never_used_and_never_replaces_what_healed(lessons: Lessons) -> None:
    proposal = replace(LESSON, proposed=True, recipe=Recipe(network=True))
    lessons.learn(proposal)
    assert lessons.recipe(make_pin("demo", "1.2"), CP311) == Recipe()
    lessons.learn(LESSON)
    lessons.learn(proposal)
    assert lessons.all() == (LESSON,)


def test_the_export_is_configuration_with_the_same_meaning(lessons: Lessons, tmp_path: Path) -> None:
    text = exported((LESSON, replace(LESSON, name=make_pin("other", "1").name)))
    settings = parse(tomllib.loads(text), source="export", folder=tmp_path)
    assert settings.recipe(make_pin("demo", "1.1"), CP311) == RECIPE
    assert settings.recipe(make_pin("demo", "1.3"), CP311) == Recipe()
    assert settings.recipe(make_pin("other", "1.2"), CP311) == RECIPE


def test_forgetting_takes_one_package(lessons: Lessons) -> None:
    lessons.learn(LESSON)
    lessons.learn(replace(LESSON, name=make_pin("demo-more", "1.2").name))
    assert lessons.forget(LESSON.name) == (LESSON,)
    assert [one.name for one in lessons.all()] == ["demo-more"]


def test_a_file_of_an_earlier_farm_is_read(lessons: Lessons, tmp_path: Path) -> None:
    """It named the modules to skip without a reason, and knew fewer keys."""
    lessons.learn(LESSON)
    path = next((tmp_path / "recipes").iterdir())
    content = json.loads(path.read_text())
    content["recipe"] = {"skip_imports": ["demo_gui"], "memory": 1}
    path.write_text(json.dumps(content))
    assert lessons.all()[0].recipe == Recipe(skip_imports=(("demo_gui", "proposed"),), memory=1)


def test_a_damaged_file_says_which(lessons: Lessons, tmp_path: Path) -> None:
    lessons.learn(LESSON)
    next((tmp_path / "recipes").iterdir()).write_text("{")
    with pytest.raises(StoreError, match=r"demo-1\.2"):
        lessons.all()


@pytest.mark.parametrize(
    ("version", "up_to", "expected"),
    [("2.9.3", False, "==2.*"), ("2.9.3", True, "==2.*,<=2.9.3"), ("1!4.0+local", True, "==1!4.*,<=1!4.0")],
)
def test_what_heals_one_version_holds_for_its_major_line(version: str, expected: str, *, up_to: bool) -> None:
    assert version_range(Version(version), up_to=up_to) == expected
