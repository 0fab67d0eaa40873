"""work.naming: a built wheel gets a build tag just where its name is the name of other bytes, on the index or upstream."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from farm.model.direct import Direct
from farm.model.messages import Build, Publish, Verify
from farm.model.outcome import Built, Published, Verified
from farm.model.package import Digest, Project
from farm.work.build import build
from farm.work.publish import publish
from farm.work.verify import verify
from tests.fakes import nouns
from tests.fakes.index import FakeIndex
from tests.fakes.work import Bench, make_bench, makes

if TYPE_CHECKING:
    from pathlib import Path

    from farm.model.job import Job

NAME = "demo-1.0-cp311-cp311-manylinux_2_36_x86_64.whl"
FIRST, SECOND = (NAME.replace("-cp311", f"-{number}-cp311", 1) for number in (1, 2))
OTHER = Digest("9" * 64)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return make_bench(tmp_path)


def built(bench: Bench, job: Job | None = None, identity: str = "A1") -> Built:
    outcome = build(Build(job=job or nouns.job("demo==1.0"), made={}), identity, bench.build_ports())
    assert isinstance(outcome, Built)
    return outcome


def published(bench: Bench, made: Built, job: Job) -> Published:
    good = verify(Verify(job=job, built=made, proofs=job.proofs, made={}), bench.verify_ports())
    assert isinstance(good, Verified)
    outcome = publish(Publish(job=job, verified=good), bench.publish_ports())
    assert isinstance(outcome, Published)
    return outcome


def upstream_has(bench: Bench, *filenames: str, sha256: Digest | None = OTHER) -> None:
    files = tuple(replace(nouns.index_file(name), sha256=sha256) for name in filenames)
    bench.upstream = FakeIndex(Project(name=nouns.canonical("demo"), files=files))


def test_a_first_build_has_no_build_tag(bench: Bench) -> None:
    upstream_has(bench, "demo-1.0.tar.gz", "demo-1.0-cp312-cp312-manylinux_2_36_x86_64.whl")
    assert built(bench).wheel.filename == NAME
    assert bench.tagger.asked == []


def test_other_bytes_than_what_the_name_once_was_get_the_next_free_tag(bench: Bench) -> None:
    bench.store.removed[NAME] = OTHER
    made = built(bench)
    assert (made.wheel.filename, made.wheel.path.read_bytes()) == (FIRST, b"wheel 1")
    assert made.wheel.path == bench.store.blob(made.wheel.sha256)
    assert any(f"called {FIRST}: {NAME} is or was a file with other bytes" in line for line in bench.progress.said)
    row = bench.catalogue.rows["A1"]
    assert (row.wheel, row.digest) == (FIRST, made.wheel.sha256)
    bench.store.removed[FIRST] = Digest("8" * 64)
    assert built(bench, identity="A2").wheel.filename == SECOND


def test_the_bytes_that_a_name_once_was_come_back_under_it(bench: Bench) -> None:
    bench.store.removed[NAME] = Digest(hashlib.sha256(b"wheel").hexdigest())
    assert built(bench).wheel.filename == NAME
    bench.store.removed = {NAME: OTHER, FIRST: Digest(hashlib.sha256(b"wheel 1").hexdigest())}
    assert built(bench, identity="A2").wheel.filename == FIRST


@pytest.mark.parametrize("sha256", [OTHER, None])
def test_a_name_that_upstream_has_is_upstreams(bench: Bench, sha256: Digest | None) -> None:
    upstream_has(bench, "demo-1.0.tar.gz", NAME, sha256=sha256)
    assert built(bench).wheel.filename == FIRST
    upstream_has(bench, NAME, FIRST, sha256=sha256)
    assert built(bench, identity="A2").wheel.filename == SECOND


def test_upstreams_very_bytes_keep_upstreams_name(bench: Bench) -> None:
    sha256 = built(bench).wheel.sha256
    upstream_has(bench, NAME, sha256=sha256)
    assert built(bench, identity="A2").wheel.filename == NAME


def test_a_wheel_that_the_build_gave_a_tag_gets_a_higher_one(bench: Bench) -> None:
    bench.builder.result = makes(FIRST)
    bench.store.removed[FIRST] = OTHER
    assert built(bench).wheel.filename == SECOND
    assert bench.tagger.asked == [2]


def test_who_was_slower_with_the_same_inputs_gets_no_tag_and_another_recipe_or_sdist_does(bench: Bench) -> None:
    job = nouns.job("demo==1.0")
    first = built(bench, job)
    published(bench, first, job)
    slower = makes(NAME, b"of a slower farm")
    bench.builder.result = slower
    another = replace(job, recipe=replace(job.recipe, environment=(("N", "2"),)))
    made = built(bench, another, "A2")
    assert made.wheel.filename == FIRST
    same = replace(made.wheel, filename=NAME)
    assert bench.naming().settle(same, job, first.key, bench.folder).filename == NAME
    changed = replace(job, sdist=replace(job.sdist, sha256=OTHER))
    assert bench.naming().settle(same, changed, first.key, bench.folder).filename != NAME


def test_a_tagged_wheel_is_published_from_its_sdist_and_used_again(bench: Bench) -> None:
    job = nouns.job("demo==1.0")
    upstream_has(bench, NAME)
    made = built(bench, job)
    assert not published(bench, made, job).already
    record = bench.store.records[FIRST]
    assert (record.sdist, record.sdist_sha256, record.sha256) == (
        job.sdist.filename,
        job.sdist.sha256,
        made.wheel.sha256,
    )
    again = built(bench, job, "A2")
    assert (again.reused, again.wheel.filename, again.wheel.sha256) == (True, FIRST, made.wheel.sha256)
    assert (len(bench.builder.requests), bench.tagger.asked) == (1, [1])


def test_a_wheel_that_is_used_again_gets_a_tag_when_its_name_was_given_away_meanwhile(bench: Bench) -> None:
    first = built(bench)
    bench.store.removed[NAME] = OTHER
    again = built(bench, identity="A2")
    assert (first.wheel.filename, again.wheel.filename, again.reused) == (NAME, FIRST, True)
    assert again.wheel.path == bench.store.blob(again.wheel.sha256)
    assert bench.catalogue.rows["A2"].wheel == FIRST
    assert built(bench, identity="A3").wheel == again.wheel


def test_what_cannot_be_given_a_tag_is_left_to_its_check(bench: Bench) -> None:
    bench.store.removed[NAME] = OTHER
    bench.tagger.refuses = True
    assert built(bench).wheel.filename == NAME
    bench.builder.result = makes("no-wheel-s-name.whl")
    other = replace(nouns.job("demo==1.0"), recipe=replace(nouns.job("demo==1.0").recipe, environment=(("N", "2"),)))
    assert built(bench, other, "A2").wheel.filename == "no-wheel-s-name.whl"


def test_what_is_on_no_index_keeps_its_name(bench: Bench) -> None:
    upstream_has(bench, NAME)
    bench.store.removed[NAME] = OTHER
    fork = replace(nouns.job("demo==1.0"), direct=Direct(url="git+https://h/demo@main", commit="c" * 40))
    assert built(bench, fork).wheel.filename == NAME
