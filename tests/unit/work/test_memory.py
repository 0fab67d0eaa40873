"""What failed is not tried again with the same inputs, and what would change the outcome is another input."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from farm.engine.local import LocalEngine
from farm.engine.tally import tally
from farm.model.job import JobId, JobKey, Plan, Recipe
from farm.model.outcome import Diagnosis, Failed, TimedOut
from farm.model.report import Row
from farm.work.carry import carry
from farm.work.memory import Memory
from tests.fakes import nouns
from tests.fakes.store import FakeFailures
from tests.fakes.work import LIMITS, Bench, FakeImages, FakeProviders, make_bench, makes

if TYPE_CHECKING:
    from pathlib import Path

    from farm.engine.progress import Progress
    from farm.model.build import BuildRequest
    from farm.model.job import Job

KEY = JobKey("k")
JOB = nouns.job("demo==1.0")
WHEEL = "demo-1.0-cp311-cp311-manylinux_2_36_x86_64.whl"


def failure(cause: str, stage: str = "build") -> Failed:
    return Failed(attempt="a1", stage=stage, diagnosis=Diagnosis(cause=cause, summary="it broke", subject="s"), seconds=3.0)


def memory(failures: FakeFailures | None = None, *, bytes_: int = LIMITS.memory, healing: str = "", retry: bool = False) -> Memory:
    return Memory(failures=failures or FakeFailures(), limits=replace(LIMITS, memory=bytes_), healing=healing, retry=retry)


@pytest.mark.parametrize(
    ("cause", "stage", "kept"),
    [
        ("missing-system-header", "build", True), ("unknown", "build", True), ("missing-python-build-dep", "requirements", True),
        ("network", "build", True), ("network", "fetch", False), ("killed", "build", False), ("disk-full", "build", False),
        ("integrity", "fetch", False), ("broken-sdist", "fetch", False),
    ],
)  # fmt: skip
def test_only_what_would_fail_again_is_kept(cause: str, stage: str, kept: bool) -> None:
    book = memory()
    book.keep(KEY, JOB, failure(cause, stage))
    found = book.recall(KEY, JOB)
    assert found == (replace(failure(cause, stage), remembered=True) if kept else None)
    assert book.recall(JobKey("other"), JOB) is None


def test_a_build_with_the_network_on_may_find_it_another_day() -> None:
    book = memory()
    open_job = replace(JOB, recipe=Recipe(network=True))
    book.keep(KEY, open_job, failure("network"))
    assert book.recall(KEY, open_job) is None


@pytest.mark.parametrize("outcome", [failure("out-of-memory"), TimedOut(attempt="a1", limit=LIMITS.seconds, seconds=60.0)])
def test_what_met_a_limit_is_tried_again_under_another_one(outcome: Failed | TimedOut) -> None:
    failures = FakeFailures()
    memory(failures).keep(KEY, JOB, outcome)
    assert memory(failures).recall(KEY, JOB) == replace(outcome, remembered=True)
    assert memory(failures, bytes_=2 * LIMITS.memory).recall(KEY, JOB) is None
    assert memory(failures).recall(KEY, replace(JOB, recipe=Recipe(memory=8 << 30))) is None
    assert memory(failures, retry=True).recall(KEY, JOB) is None
    assert replace(memory(failures), again=frozenset({JOB.id})).recall(KEY, JOB) is None
    assert replace(memory(failures), again=frozenset({JobId("another")})).recall(KEY, JOB) is not None


def test_what_wrote_too_much_is_tried_again_with_more_room_on_the_disk() -> None:
    failures = FakeFailures()
    memory(failures).keep(KEY, JOB, failure("too-much-disk"))
    assert memory(failures).recall(KEY, JOB) == replace(failure("too-much-disk"), remembered=True)
    assert Memory(failures=failures, limits=replace(LIMITS, disk=LIMITS.disk + (1 << 30))).recall(KEY, JOB) is None


def test_what_is_only_recalled_is_not_kept_as_if_it_were_new() -> None:
    book = memory()
    book.keep(KEY, JOB, replace(failure("unknown"), remembered=True))
    assert book.recall(KEY, JOB) is None


def test_a_job_that_was_given_up_is_tried_again_when_healing_changes() -> None:
    failures = FakeFailures()
    book = memory(failures, healing="apply 1.0")
    book.give_up(KEY, failure("unknown"))
    assert book.recall(KEY, JOB) == replace(failure("unknown"), remembered=True, hopeless=True)
    assert memory(failures, healing="apply 2.0").recall(KEY, JOB) is None
    assert memory(failures).recall(KEY, JOB) is None


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return make_bench(tmp_path, WHEEL)


def run(bench: Bench, job: Job) -> Progress:
    hands = replace(bench.hands(), new_attempt=lambda _: f"a{len(bench.catalogue.rows) + 1}")
    engine = LocalEngine(lambda command: carry(command, hands), limit=1, heal=bench.mode != "off", pauses=())
    finished = engine.run(Plan(jobs=(job,)), lambda _: None)
    assert finished.broken is None, finished.broken
    return finished.jobs[0]


def breaks(request: BuildRequest) -> Failed:
    request.log.write_text("demo.c:1:10: fatal error: foo.h: No such file or directory\n")
    return Failed(attempt=request.attempt, stage="build", diagnosis=Diagnosis(cause="build-failed", summary="failed"), seconds=1.0)


@pytest.mark.parametrize("mode", ["off", "apply"])
def test_the_second_run_builds_nothing_and_says_the_same_as_the_first(bench: Bench, mode: str) -> None:
    bench.mode, bench.builder.result = mode, breaks  # type: ignore[assignment]
    bench.providers = FakeProviders(packages={("header", "foo.h"): ("liba-dev", "libb-dev")})
    first = run(bench, JOB)
    assert (first.state, len(bench.builder.requests)) == ("failed", 3 if mode == "apply" else 1)
    asked = len(bench.providers.asked)
    again = run(bench, JOB)
    assert (again.state, len(bench.builder.requests), len(bench.providers.asked)) == ("failed", 3 if mode == "apply" else 1, asked)
    assert isinstance(first.failure, Failed)
    assert isinstance(again.failure, Failed)
    assert again.failure.diagnosis == first.failure.diagnosis
    assert bench.catalogue.rows[f"a{len(bench.catalogue.rows)}"].state == "skipped"
    row = Row(name="demo", version="1.0", target=JOB.target.name, state="build")
    (told,) = tally([row], [again])
    assert told.reason.startswith(f"failed before, not tried again ({first.failure.attempt}, missing-system-header): build: ")
    assert told.state == "failed"


def test_healing_that_was_interrupted_goes_on_where_it_was(bench: Bench) -> None:
    bench.builder.result = breaks
    bench.mode = "off"
    run(bench, JOB)
    bench.mode = "apply"
    bench.providers = FakeProviders(packages={("header", "foo.h"): ("liba-dev",)})
    progress = run(bench, JOB)
    assert [trial.mend.what for trial in progress.job.trials] == ["liba-dev"]
    assert len(bench.builder.requests) == 2, "the first attempt is known, the changed one is new"


def test_a_package_database_that_did_not_answer_may_answer_another_day(bench: Bench) -> None:
    bench.builder.result = breaks
    bench.providers = FakeProviders(down=True)
    run(bench, JOB)
    bench.providers = FakeProviders(packages={("header", "foo.h"): ("liba-dev",)})
    assert [trial.mend.what for trial in run(bench, JOB).job.trials] == ["liba-dev"]


def test_asked_for_or_with_another_recipe_or_image_it_is_tried_again(bench: Bench) -> None:
    bench.mode, bench.builder.result = "off", breaks
    run(bench, JOB)
    assert run(bench, replace(JOB, recipe=Recipe(environment=(("A", "b"),)))).state == "failed"
    assert len(bench.builder.requests) == 2
    run(bench, replace(JOB, image=replace(nouns.IMAGE, variant="trixie")))
    assert len(bench.builder.requests) == 3
    bench.retry = True
    bench.builder.result = makes(WHEEL)
    assert run(bench, JOB).state == "published"
    bench.retry = False
    assert run(bench, JOB).state == "published", "the newer success goes before the older failure"
    assert len(bench.builder.requests) == 4
    assert isinstance(bench.images, FakeImages)
