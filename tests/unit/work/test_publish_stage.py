"""work.publish: what the index gets, and what happens when the name is taken."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from farm.model.direct import Direct
from farm.model.messages import Build, Publish, Verify
from farm.model.outcome import Built, Failed, Published, Verified
from farm.model.package import Digest
from farm.work.build import build
from farm.work.publish import publish
from farm.work.verify import verify
from tests.fakes import nouns
from tests.fakes.proving import FakeInspector
from tests.fakes.work import Bench, make_bench, makes

if TYPE_CHECKING:
    from pathlib import Path

    from farm.model.build import WheelFacts
    from farm.model.job import Job
    from farm.work.publish import PublishPorts

NAME = "demo-1.0-cp311-cp311-manylinux_2_36_x86_64.whl"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return make_bench(tmp_path)


def published(
    bench: Bench, job: Job, identity: str, body: bytes = b"wheel", ports: PublishPorts | None = None
) -> Published | Failed:
    bench.builder.result = makes(NAME, body)
    # Another environment each time, so that nothing is used again.
    other = replace(job, recipe=replace(job.recipe, environment=(("N", identity),)))
    made = build(Build(job=other, made={}), identity, bench.build_ports())
    assert isinstance(made, Built)
    good = verify(Verify(job=job, built=made, proofs=job.proofs, made={}), bench.verify_ports())
    assert isinstance(good, Verified)
    return publish(Publish(job=job, verified=good), ports or bench.publish_ports())


def test_the_index_gets_the_sdist_s_page_data(bench: Bench) -> None:
    job = nouns.job("demo==1.0")
    job = replace(job, sdist=replace(job.sdist, requires_python=">=3.9", yanked="broken"))
    outcome = published(bench, job, "A1")
    assert isinstance(outcome, Published)
    record = bench.store.records[NAME]
    assert (record.requires_python, record.yanked, record.upload_time) == (">=3.9", "broken", nouns.NOON)
    assert (record.sdist, record.sdist_sha256, record.targets) == ("demo-1.0.tar.gz", job.sdist.sha256, (nouns.CP311.name,))
    assert (outcome.already, bench.catalogue.rows["A1"].state) == (False, "published")
    assert record.sha256 in outcome.url.replace("/", "")


def test_the_same_bytes_again_change_nothing(bench: Bench) -> None:
    job = nouns.job("demo==1.0")
    first, second = published(bench, job, "A1"), published(bench, job, "A2")
    assert isinstance(first, Published)
    assert isinstance(second, Published)
    assert first.url == second.url


def test_other_bytes_of_the_same_sdist_keep_the_first_wheel_and_count_as_published(bench: Bench) -> None:
    job = nouns.job("demo==1.0")
    first = published(bench, job, "A1", b"one")
    (rival,) = bench.store.records.values()
    bench.store.records.clear()

    class Faster(FakeInspector):
        def inspect(self, wheel: Path) -> WheelFacts:
            bench.store.records[NAME] = rival
            return self.facts

    bench.inspector = Faster(facts=bench.inspector.facts)
    second = published(bench, job, "A2", b"two")
    assert isinstance(first, Published)
    assert isinstance(second, Published)
    assert (second.already, second.url) == (True, first.url)
    assert "same sdist already" in bench.catalogue.rows["A2"].summary


@pytest.mark.parametrize("theirs", [Digest("9" * 64), None])
def test_other_bytes_of_another_sdist_that_came_after_the_build_are_a_failure_that_names_the_file(
    bench: Bench, theirs: Digest | None
) -> None:
    job = nouns.job("demo==1.0")
    published(bench, job, "A1", b"one")
    (rival,) = bench.store.records.values()
    bench.store.records.clear()

    class Faster(FakeInspector):
        def inspect(self, wheel: Path) -> WheelFacts:
            bench.store.records[NAME] = replace(rival, sdist_sha256=theirs)
            return self.facts

    bench.inspector = Faster(facts=bench.inspector.facts)
    outcome = published(bench, job, "A2", b"two")
    assert isinstance(outcome, Failed)
    assert (outcome.stage, outcome.diagnosis.cause) == ("publish", "name-taken")
    assert NAME in outcome.diagnosis.summary
    row = bench.catalogue.rows["A2"]
    assert (row.state, row.cause) == ("failed", "name-taken")
    again = published(bench, job, "A3", b"two")
    assert isinstance(again, Published)
    assert again.url.endswith("/demo-1.0-1-cp311-cp311-manylinux_2_36_x86_64.whl")


FORK = Direct(url="git+https://h/demo@main", commit="c" * 40)


def of_a_fork() -> Job:
    return replace(nouns.job("demo==1.0"), direct=FORK)


def test_a_fork_goes_to_the_list_and_not_to_the_index(bench: Bench) -> None:
    outcome = published(bench, of_a_fork(), "A1")
    assert isinstance(outcome, Published)
    assert bench.store.records == {}
    ((record, direct),) = bench.store.direct
    assert (record.filename, direct, bench.catalogue.rows["A1"].state) == (NAME, FORK, "published")
    assert f"use: demo @ URL-OF-FARM-SERVE/{outcome.url}" in outcome.note


def test_where_the_index_is_served_is_in_the_line_to_use(bench: Bench) -> None:
    ports = replace(bench.publish_ports(), served="http://farm.invalid:8417")
    outcome = published(bench, of_a_fork(), "A1", ports=ports)
    assert isinstance(outcome, Published)
    assert f"demo @ http://farm.invalid:8417/{outcome.url} (or --find-links http://farm.invalid:8417/direct/demo/)" in outcome.note


def test_a_private_project_is_on_the_index_too_as_long_as_its_name_is_free(bench: Bench) -> None:
    ports = replace(bench.publish_ports(), private=lambda name: name == "demo")
    first = published(bench, of_a_fork(), "A1", ports=ports)
    assert isinstance(first, Published)
    assert list(bench.store.records) == [NAME]
    assert first.note == "on the index, as demo is private"
    second = published(bench, of_a_fork(), "A2", b"of another commit", ports=ports)
    assert isinstance(second, Published)
    assert "raise the version" in second.note
    assert bench.store.direct[0][0].sha256 == bench.store.records[NAME].sha256
    assert len(bench.store.direct) == 2
