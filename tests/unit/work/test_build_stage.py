"""work.build: what goes into a build, what comes out, and what the catalogue remembers of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from farm.errors import EngineError
from farm.model.build import BuildFailed
from farm.model.job import Dependency, Recipe
from farm.model.messages import Build
from farm.model.outcome import Built, Diagnosis, Failed, TimedOut
from farm.model.package import Digest, make_pin
from farm.work.build import build
from tests.fakes import nouns
from tests.fakes.work import Bench, make_bench, makes

if TYPE_CHECKING:
    from pathlib import Path

    from farm.model.build import BuildRequest
    from farm.model.job import Job


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return make_bench(tmp_path)


def needs(job: Job, *filenames: str) -> Job:
    found = (nouns.index_file(name) for name in filenames)
    files = tuple(Dependency(pin=make_pin(f.filename.split("-")[0], str(f.version)), file=f, job=None) for f in found)
    return replace(job, requires=files)


def run(bench: Bench, job: Job, identity: str = "A1") -> Built | Failed | TimedOut:
    return build(Build(job=job, made={}), identity, bench.build_ports())


def test_a_build_gets_its_inputs_and_its_wheel_outlives_the_room(bench: Bench) -> None:
    job = needs(nouns.job("demo==1.0"), "setuptools-80.0-py3-none-any.whl")
    outcome = run(bench, job)
    assert isinstance(outcome, Built)
    assert bench.builder.wheels == [["setuptools-80.0-py3-none-any.whl"]]
    assert bench.downloads.fetched == ["demo-1.0.tar.gz", "setuptools-80.0-py3-none-any.whl"]
    assert outcome.wheel.path == bench.store.blob(outcome.wheel.sha256)
    assert outcome.wheel.path.read_bytes() == b"wheel"
    assert bench.builder.requests[0].epoch == int(nouns.NOON.timestamp())
    row = bench.catalogue.rows["A1"]
    assert (row.state, row.key, row.wheel, row.run) == ("built", outcome.key, outcome.wheel.filename, "run-1")
    assert bench.locks.held == [outcome.key]
    assert bench.rooms.open == []


def test_without_an_upload_time_archives_still_get_a_time_that_zip_can_tell(bench: Bench) -> None:
    job = nouns.job("demo==1.0")
    run(bench, replace(job, sdist=replace(job.sdist, upload_time=None)))
    assert bench.builder.requests[0].epoch >= 315_532_800


def test_the_same_inputs_are_not_built_twice_and_other_ones_are(bench: Bench) -> None:
    job = needs(nouns.job("demo==1.0"), "setuptools-80.0-py3-none-any.whl")
    first, second = run(bench, job, "A1"), run(bench, job, "A2")
    assert isinstance(first, Built)
    assert isinstance(second, Built)
    assert (second.reused, second.wheel.sha256, len(bench.builder.requests)) == (True, first.wheel.sha256, 1)
    newer = needs(nouns.job("demo==1.0"), "setuptools-81.0-py3-none-any.whl")
    third = run(bench, newer, "A3")
    assert isinstance(third, Built)
    assert (third.reused, third.key != first.key, len(bench.builder.requests)) == (False, True, 2)


def test_a_wheel_that_was_lost_from_the_store_is_built_again(bench: Bench) -> None:
    first = run(bench, nouns.job("demo==1.0"), "A1")
    assert isinstance(first, Built)
    first.wheel.path.unlink()
    second = run(bench, nouns.job("demo==1.0"), "A2")
    assert isinstance(second, Built)
    assert not second.reused


def test_a_recipe_s_system_packages_change_the_image_and_the_key(bench: Bench) -> None:
    plain = run(bench, nouns.job("demo==1.0"), "A1")
    recipe = Recipe(system_packages=(("debian", ("libpq-dev",)), ("manylinux", ("postgresql-devel",))))
    other = run(bench, replace(nouns.job("demo==1.0"), recipe=recipe), "A2")
    assert isinstance(plain, Built)
    assert isinstance(other, Built)
    assert bench.images.added == [("libpq-dev",)]
    assert plain.key != other.key


def wants_cffi(*lines: str):
    """A front end: it fails at once while what the backend wants is not among the wheels."""

    def result(request: BuildRequest):
        if any(wheel.name.startswith("cffi-") for wheel in request.wheels.iterdir()):
            return makes("demo-1.0-cp311-cp311-linux_x86_64.whl")(request) if not lines else fails_with(*lines)(request)
        return fails_with("error: cffi was not found in the provided package locations")(request)

    return result


def test_what_the_backend_wants_beyond_its_word_is_fetched_after_a_failure(bench: Bench) -> None:
    bench.builder.wants = ("setuptools>=40", "cffi>=1; python_version>='3'")
    bench.builder.result = wants_cffi()
    wanted = bench.builder.wants[1]
    bench.toolbox.files = {wanted: nouns.index_file("cffi-1.17-cp311-cp311-manylinux_2_17_x86_64.whl")}
    job = replace(needs(nouns.job("demo==1.0"), "setuptools-80.0-py3-none-any.whl"), asks=True)
    made = run(bench, job)
    assert isinstance(made, Built)
    assert bench.toolbox.asked == [(wanted,)]
    assert bench.builder.wheels[-1] == ["cffi-1.17-cp311-cp311-manylinux_2_17_x86_64.whl", "setuptools-80.0-py3-none-any.whl"]
    assert bench.locks.held[-1] == made.key != bench.locks.held[0]


def test_a_build_that_fails_again_is_explained_by_its_second_failure(bench: Bench) -> None:
    bench.builder.wants = ("cffi>=1",)
    bench.builder.result = wants_cffi("x.c:1:10: fatal error: libpq-fe.h: No such file or directory")
    bench.toolbox.files = {"cffi>=1": nouns.index_file("cffi-1.17-cp311-cp311-manylinux_2_17_x86_64.whl")}
    outcome = run(bench, replace(nouns.job("demo==1.0"), asks=True))
    assert isinstance(outcome, Failed)
    assert ("libpq-fe.h" in outcome.diagnosis.summary, outcome.diagnosis.number) == (True, 2)


def test_a_backend_that_wants_nothing_more_is_not_built_twice(bench: Bench) -> None:
    bench.builder.result = fails_with("x.c:1:10: fatal error: libpq-fe.h: No such file or directory")
    outcome = run(bench, replace(nouns.job("demo==1.0"), asks=True))
    assert isinstance(outcome, Failed)
    assert ("libpq-fe.h" in outcome.diagnosis.summary, len(bench.builder.requests)) == (True, 1)


def test_a_build_that_the_user_stopped_is_not_asked_about_and_not_tried_again(bench: Bench) -> None:
    def killed(request: BuildRequest) -> Failed:
        bench.stopped = True
        return fails_with("Killed")(request)

    bench.builder.wants = ("cffi>=1",)
    bench.builder.result = killed
    assert isinstance(run(bench, replace(nouns.job("demo==1.0"), asks=True)), Failed)
    assert (bench.toolbox.asked, len(bench.builder.requests)) == ([], 1)


def test_a_wheel_of_the_same_run_is_a_build_dependency_by_its_published_bytes(bench: Bench) -> None:
    tool = nouns.job("tool==2.0", kind="pure")
    bench.builder.result = makes("tool-2.0-py3-none-any.whl", b"tool")
    made = run(bench, tool, "A1")
    assert isinstance(made, Built)
    published = nouns.published(nouns.verified(made, nouns.CP311))
    bench.builder.result = makes("demo-1.0-cp311-cp311-linux_x86_64.whl")
    outcome = build(
        Build(job=nouns.job("demo==1.0", needs=(tool,)), made={tool.id: published}), "A2", bench.build_ports()
    )
    assert isinstance(outcome, Built)
    assert bench.builder.wheels[-1] == ["tool-2.0-py3-none-any.whl"]


def test_only_rust_gets_crates(bench: Bench) -> None:
    run(bench, nouns.job("demo==1.0"), "A1")
    assert bench.builder.requests[0].crates is None
    rust = replace(nouns.job("demo==2.0"), rust=True)
    run(bench, rust, "A2")
    assert bench.crates.vendored == [rust.id]
    assert bench.builder.requests[1].crates == bench.crates.folder


def fails_with(*lines: str, cause: str = "build-failed"):
    def result(request: BuildRequest) -> Failed:
        with request.log.open("a") as log:
            log.write("".join(f"{line}\n" for line in lines))
        diagnosis = Diagnosis(cause=cause, summary="the backend ended with 1")
        return Failed(attempt=request.attempt, stage="build", diagnosis=diagnosis, seconds=0.0)

    return result


def test_a_failure_is_read_off_the_log(bench: Bench) -> None:
    bench.builder.result = fails_with("gcc x.c", "x.c:1:10: fatal error: libpq-fe.h: No such file or directory", "error: exit code 1")
    outcome = run(bench, nouns.job("demo==1.0"))
    assert isinstance(outcome, Failed)
    assert (outcome.diagnosis.number, "libpq-fe.h" in outcome.diagnosis.summary) == (2, True)
    row = bench.catalogue.rows["A1"]
    assert (row.state, row.cause, row.digest) == ("failed", outcome.diagnosis.cause, None)
    assert bench.progress.said[-1].endswith(f"failed: {outcome.diagnosis.summary}")
    assert set(bench.progress.attempts) == {outcome.attempt}


def test_what_only_the_builder_knows_stands_against_the_log(bench: Bench) -> None:
    bench.builder.result = fails_with("fatal error: libpq-fe.h: No such file or directory", cause="out-of-memory")
    outcome = run(bench, nouns.job("demo==1.0"))
    assert isinstance(outcome, Failed)
    assert outcome.diagnosis.cause == "out-of-memory"


def test_a_log_that_says_nothing_leaves_the_builder_s_own_words(bench: Bench) -> None:
    bench.builder.result = fails_with("working", "still working")
    outcome = run(bench, nouns.job("demo==1.0"))
    assert isinstance(outcome, Failed)
    assert outcome.diagnosis.summary == "the backend ended with 1"


def test_a_time_out_is_told_as_such(bench: Bench) -> None:
    bench.builder.result = lambda request: TimedOut(attempt=request.attempt, limit=60.0, seconds=60.0)
    assert isinstance(run(bench, nouns.job("demo==1.0")), TimedOut)
    assert bench.catalogue.rows["A1"].state == "timed-out"
    assert bench.progress.said[-1].endswith("failed: took longer than 60 s")


@pytest.mark.parametrize(("field", "cause"), [("down", "network"), ("spoiled", "integrity")])
def test_an_sdist_that_cannot_be_had_fails_its_package_only(bench: Bench, field: str, cause: str) -> None:
    setattr(bench.downloads, field, frozenset({"demo-1.0.tar.gz"}))
    outcome = run(bench, nouns.job("demo==1.0"))
    assert isinstance(outcome, Failed)
    assert (outcome.stage, outcome.diagnosis.cause, bench.catalogue.rows["A1"].cause) == ("fetch", cause, cause)
    assert bench.builder.requests == []


def test_a_backend_that_fails_when_asked_failed_while_building(bench: Bench) -> None:
    class Breaks:
        def requirements(self, request: BuildRequest) -> tuple[str, ...]:
            raise BuildFailed(Diagnosis(cause="backend", summary="setup.py raised KeyError"))

        def metadata(self, request: BuildRequest) -> str:
            raise AssertionError

        def build(self, request: BuildRequest) -> Failed:
            return fails_with("x.c:1:10: fatal error: libpq-fe.h: No such file or directory")(request)

    ports = replace(bench.build_ports(), builder=Breaks())
    outcome = build(Build(job=replace(nouns.job("demo==1.0"), asks=True), made={}), "A1", ports)
    assert isinstance(outcome, Failed)
    assert (outcome.stage, "libpq-fe.h" in outcome.diagnosis.summary) == ("build", True)


def test_a_build_that_was_killed_because_the_user_stopped_is_interrupted_not_failed(bench: Bench) -> None:
    def killed(request: BuildRequest) -> Failed:
        bench.stopped = True
        return fails_with("Killed")(request)

    bench.builder.result = killed
    run(bench, nouns.job("demo==1.0"))
    row = bench.catalogue.rows["A1"]
    assert (row.state, row.cause, row.ended is not None) == ("interrupted", "", True)
    assert bench.progress.said[-1].endswith("failed: stopped by the user")


def test_a_build_that_ended_well_before_it_could_be_killed_counts(bench: Bench) -> None:
    bench.stopped = True
    run(bench, nouns.job("demo==1.0"))
    assert bench.catalogue.rows["A1"].state == "built"


def test_the_engine_s_own_failure_is_raised_and_leaves_no_attempt_in_the_air(bench: Bench) -> None:
    def gone(request: BuildRequest) -> Failed:
        raise EngineError("the engine went away", solution="start it")

    bench.builder.result = gone
    with pytest.raises(EngineError):
        run(bench, nouns.job("demo==1.0"))
    row = bench.catalogue.rows["A1"]
    assert (row.state, row.summary, row.digest) == ("interrupted", "the engine went away", None)


@pytest.mark.parametrize("retry", [False, True])
def test_a_rejected_wheel_is_given_to_its_proof_again_and_built_again_only_when_asked(bench: Bench, retry: bool) -> None:
    first = run(bench, nouns.job("demo==1.0"), "A1")
    assert isinstance(first, Built)
    bench.catalogue.finish(replace(bench.catalogue.rows["A1"], state="rejected"))
    bench.retry = retry
    second = run(bench, nouns.job("demo==1.0"), "A2")
    assert isinstance(second, Built)
    assert (second.reused, second.wheel.sha256) == (not retry, Digest(first.wheel.sha256))
    assert len(bench.builder.requests) == (2 if retry else 1)
