"""work.prepare: how a backend is asked for metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from farm.errors import UpstreamError
from farm.model.job import Recipe
from farm.model.package import make_pin
from farm.work.prepare import prepare
from tests.fakes import nouns
from tests.fakes.work import Bench, StaticSdists, make_bench

if TYPE_CHECKING:
    from pathlib import Path

SDIST = nouns.index_file("demo-1.0.tar.gz")
SOURCE = (make_pin("demo", "1.0"), SDIST, nouns.CP311)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = make_bench(tmp_path)
    bench.builder.answer = "Metadata-Version: 2.1\nName: demo\n"
    bench.toolbox.files = {
        "setuptools": nouns.index_file("setuptools-80.0-py3-none-any.whl"),
        "numpy": nouns.index_file("numpy-2.0-cp311-cp311-manylinux_2_17_x86_64.whl"),
        "wheel": nouns.index_file("wheel-0.45-py3-none-any.whl"),
    }
    return bench


def test_the_backend_is_asked_with_what_sdist_and_recipe_require(bench: Bench) -> None:
    facts = StaticSdists(build_requires=("setuptools",)).facts(SOURCE[0], SDIST)
    recipe = Recipe(build_requires=("numpy",), system_packages=(("debian", ("libpq-dev",)),))
    assert prepare(SOURCE, facts, recipe, bench.build_ports()) == bench.builder.answer
    assert bench.builder.wheels == [["numpy-2.0-cp311-cp311-manylinux_2_17_x86_64.whl", "setuptools-80.0-py3-none-any.whl"]]
    assert bench.images.added == [("libpq-dev",)]
    assert bench.rooms.open == []
    assert bench.catalogue.rows == {}


def test_what_the_backend_wants_beyond_that_is_added(bench: Bench) -> None:
    bench.builder.wants = ("wheel",)
    facts = StaticSdists(build_requires=("setuptools",), asks=True).facts(SOURCE[0], SDIST)
    prepare(SOURCE, facts, Recipe(), bench.build_ports())
    assert bench.builder.wheels == [["setuptools-80.0-py3-none-any.whl", "wheel-0.45-py3-none-any.whl"]]


def test_an_index_that_does_not_answer_is_not_taken_for_no_metadata(bench: Bench) -> None:
    bench.downloads.down = frozenset({"demo-1.0.tar.gz"})
    facts = StaticSdists().facts(SOURCE[0], SDIST)
    with pytest.raises(UpstreamError):
        prepare(SOURCE, facts, Recipe(), bench.build_ports())
