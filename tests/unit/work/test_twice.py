"""--twice: a second build is compared, told, and where that is wanted, decides."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from farm.model.messages import Build
from farm.model.outcome import Built, Diagnosis, Failed, StagedWheel
from farm.model.package import Digest
from farm.work.build import build
from tests.fakes import nouns
from tests.fakes.work import Bench, make_bench

if TYPE_CHECKING:
    from pathlib import Path

    from farm.model.build import BuildRequest
    from farm.model.outcome import Outcome

FILENAME = "demo-1.0-cp311-cp311-manylinux_2_36_x86_64.whl"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return make_bench(tmp_path)


def differs(request: BuildRequest) -> StagedWheel:
    """A build that packs the name of its folder."""
    path = request.out / FILENAME
    path.write_bytes(request.folder.encode())
    return StagedWheel(
        filename=FILENAME, path=path, sha256=Digest(hashlib.sha256(path.read_bytes()).hexdigest()), size=path.stat().st_size
    )


def fails_again(request: BuildRequest) -> StagedWheel | Failed:
    if request.again:
        return Failed(attempt="A1", stage="build", diagnosis=Diagnosis(cause="x", summary="no such folder"), seconds=1)
    return differs(request)


def run(bench: Bench, identity: str = "A1") -> Outcome:
    return build(Build(job=nouns.job("demo==1.0"), made={}), identity, bench.build_ports())


def test_once_is_the_default(bench: Bench) -> None:
    outcome = run(bench)
    assert len(bench.builder.requests) == 1
    assert isinstance(outcome, Built)
    assert outcome.facts is not None
    assert outcome.facts.reproduction is None


def test_the_second_build_is_elsewhere_with_other_jobs_and_the_same_inputs(bench: Bench) -> None:
    bench.twice = "report"
    outcome = run(bench)
    first, second = bench.builder.requests
    assert (first.folder, second.folder) == ("package", "package-again")
    assert first.jobs != second.jobs
    assert (first.sdist, first.epoch, first.wheels, first.image) == (second.sdist, second.epoch, second.wheels, second.image)
    assert isinstance(outcome, Built)
    assert outcome.facts is not None
    assert outcome.facts.reproduction is not None
    assert outcome.facts.reproduction.same
    assert str(outcome.facts.reproduction) == "reproducible"


def test_a_difference_is_told_and_no_failure(bench: Bench) -> None:
    bench.twice, bench.builder.result = "report", differs
    outcome = run(bench)
    assert isinstance(outcome, Built)
    assert outcome.facts is not None
    assert outcome.facts.reproduction is not None
    assert not outcome.facts.reproduction.same
    assert outcome.wheel.path.read_bytes() == b"package"


def test_where_every_wheel_must_be_reproducible_a_difference_fails_and_is_not_reused(bench: Bench) -> None:
    bench.twice, bench.builder.result = "strict", differs
    for identity in ("A1", "A2"):
        outcome = run(bench, identity)
        assert isinstance(outcome, Failed)
        assert outcome.diagnosis.cause == "not-reproducible"
        assert bench.catalogue.rows[identity].state == "failed"
    bench.twice = "report"
    assert isinstance(run(bench, "A3"), Built)


def test_a_second_build_that_fails_is_a_difference(bench: Bench) -> None:
    bench.twice, bench.builder.result = "report", fails_again
    outcome = run(bench)
    assert isinstance(outcome, Built)
    assert outcome.facts is not None
    assert "the second build failed: no such folder" in str(outcome.facts.reproduction)


def test_what_was_built_once_is_built_again_to_tell_and_then_remembered(bench: Bench) -> None:
    run(bench)
    bench.twice = "report"
    assert isinstance(run(bench, "A2"), Built)
    assert len(bench.builder.requests) == 3
    again = run(bench, "A3")
    assert isinstance(again, Built)
    assert again.reused
    assert again.facts is not None
    assert again.facts.reproduction is not None
    assert len(bench.builder.requests) == 3
