"""A plan whose builds fail is healed, proposed to, or left alone; the whole loop with files and without an engine."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from farm.cli.render import reasons, report_json
from farm.engine.local import LocalEngine
from farm.engine.machine import Machine
from farm.engine.tally import tally
from farm.model.job import Plan, Recipe
from farm.model.messages import Build, BuildDone, Mend, MendDone, Stop, VerifyDone
from farm.model.outcome import Diagnosis, Failed
from farm.model.report import Report, Row
from farm.work.carry import carry
from farm.work.mend import mend
from tests.fakes import nouns
from tests.fakes.index import FakeIndex
from tests.fakes.work import (
    Bench,
    FakeImages,
    FakePlanner,
    FakeProviders,
    FakeToolbox,
    StaticSdists,
    make_bench,
    makes,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from farm.engine.progress import Progress
    from farm.errors import FarmError
    from farm.model.build import BuildRequest
    from farm.model.healing import HealMode
    from farm.model.job import Job
    from farm.model.outcome import StagedWheel

WHEEL = "demo-1.0-cp311-cp311-manylinux_2_36_x86_64.whl"
HEADER = "demo.c:1:10: fatal error: foo.h: No such file or directory"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return make_bench(tmp_path, WHEEL)


def broken_until(good: Callable[[Recipe], str]) -> Callable[[BuildRequest], StagedWheel | Failed]:
    """Return a build that logs what `good` says is wrong with its recipe, and goes well when that is nothing."""

    def result(request: BuildRequest) -> StagedWheel | Failed:
        line = good(request.job.recipe)
        if not line:
            return makes(WHEEL)(request)
        request.log.write_text(f"building\n{line}\nerror: command 'gcc' failed\n")
        diagnosis = Diagnosis(cause="build-failed", summary="it broke")
        return Failed(attempt=request.attempt, stage="build", diagnosis=diagnosis, seconds=0.0)

    return result


def run(bench: Bench, job: Job) -> Progress:
    hands = bench.hands()
    engine = LocalEngine(lambda command: carry(command, hands), limit=1, heal=bench.mode != "off", pauses=(0.01, 0.02))
    finished = engine.run(Plan(jobs=(job,)), lambda _: None)
    assert finished.broken is None, finished.broken
    return finished.jobs[0]


def needs_package(name: str, line: str = HEADER) -> Callable[[Recipe], str]:
    return lambda recipe: "" if name in recipe.packages_for("debian") else line


def test_a_missing_header_is_healed_published_told_and_learned(bench: Bench) -> None:
    bench.builder.result = broken_until(needs_package("libfoo-dev"))
    bench.providers = FakeProviders(packages={("header", "foo.h"): ("libfoo-dev",)})
    job = nouns.job("demo==1.0")
    progress = run(bench, job)

    assert progress.state == "published"
    assert [bench.catalogue.rows[a].state for a in ("a1", "a2")] == ["failed", "published"]
    (lesson,) = bench.lessons.kept
    assert lesson.recipe == Recipe(system_packages=(("debian", ("libfoo-dev",)),))
    assert (lesson.versions, lesson.python) == ("==1.*", "")
    assert [(e.attempt, e.line) for e in lesson.evidence] == [("a1", HEADER)]
    told = Report(rows=tally((row(job),), (progress,)))
    assert "healed by system package libfoo-dev" in reasons(told)
    assert "attempt 1 (a1): a header is missing: foo.h" in reasons(told)
    assert '"healed_by": [' in report_json(told, 0)


def row(job: Job) -> Row:
    return Row(name=job.pin.name, version=str(job.pin.version), target=job.target.name, state="build")


def test_a_package_that_did_not_help_is_taken_back(bench: Bench) -> None:
    bench.builder.result = broken_until(needs_package("libfoo-dev"))
    bench.providers = FakeProviders(packages={("header", "foo.h"): ("libfoolish-dev", "libfoo-dev")})
    progress = run(bench, nouns.job("demo==1.0"))
    assert progress.state == "published"
    assert progress.job.recipe.packages_for("debian") == ("libfoo-dev",)
    assert [one.kept for one in tally((row(progress.job),), (progress,))[0].tried] == [False, True]
    assert bench.lessons.kept[0].recipe.packages_for("debian") == ("libfoo-dev",)


def test_what_lacks_several_things_gets_them_one_after_the_other(bench: Bench) -> None:
    def good(recipe: Recipe) -> str:
        lines = {f"lib{name}-dev": f"x.c:1: fatal error: {name}.h: No such file or directory" for name in "ab"}
        return next((line for name, line in lines.items() if name not in recipe.packages_for("debian")), "")

    bench.builder.result = broken_until(good)
    bench.providers = FakeProviders(packages={("header", "a.h"): ("liba-dev",), ("header", "b.h"): ("libb-dev",)})
    assert run(bench, nouns.job("demo==1.0")).job.recipe.packages_for("debian") == ("liba-dev", "libb-dev")


def test_healing_ends_after_five_attempts(bench: Bench) -> None:
    numbers = iter(range(100))
    bench.builder.result = broken_until(lambda _: f"x.c:1: fatal error: h{next(numbers)}.h: No such file or directory")
    bench.providers = FakeProviders(packages={("header", f"h{n}.h"): (f"lib{n}-dev",) for n in range(100)})
    progress = run(bench, nouns.job("demo==1.0"))
    assert progress.state == "failed"
    assert len(bench.builder.requests) == 5
    assert bench.lessons.kept == []


def test_propose_tries_nothing_and_says_what_might_help(bench: Bench) -> None:
    bench.mode = "propose"
    bench.builder.result = broken_until(needs_package("libfoo-dev"))
    bench.providers = FakeProviders(packages={("header", "foo.h"): ("libfoo-dev",)})
    job = nouns.job("demo==1.0")
    progress = run(bench, job)
    assert (progress.state, len(bench.builder.requests)) == ("failed", 1)
    assert "may heal it: system package libfoo-dev" in reasons(Report(rows=tally((row(job),), (progress,))))
    assert [(one.proposed, one.recipe.packages_for("debian")) for one in bench.lessons.kept] == [(True, ("libfoo-dev",))]


def test_off_builds_once(bench: Bench) -> None:
    bench.mode = "off"
    bench.builder.result = broken_until(needs_package("libfoo-dev"))
    assert run(bench, nouns.job("demo==1.0")).state == "failed"
    assert (len(bench.builder.requests), bench.providers.asked) == (1, [])


def test_the_network_is_only_ever_proposed(bench: Bench) -> None:
    bench.builder.result = broken_until(lambda _: "curl: (6) Could not resolve host: example.org")
    progress = run(bench, nouns.job("demo==1.0"))
    assert (progress.state, len(bench.builder.requests)) == ("failed", 1)
    assert progress.proposal is not None
    assert progress.proposal.recipe.network


@pytest.mark.parametrize("mode", ["off", "propose", "apply"])
def test_an_index_that_was_down_is_asked_again_later_whether_failures_are_healed_or_not(bench: Bench, mode: HealMode) -> None:
    job = nouns.job("demo==1.0")
    bench.mode = mode
    bench.downloads.down = frozenset({job.sdist.filename})
    progress = run(bench, job)
    assert progress.state == "failed"
    assert [trial.mend.kind for trial in progress.job.trials] == ["again", "again"]
    assert [bench.catalogue.rows[a].cause for a in ("a1", "a2", "a3")] == ["network"] * 3


def test_a_missing_build_requirement_is_fetched_and_written_into_the_sources(bench: Bench) -> None:
    line = "ModuleNotFoundError: No module named 'Cython'"
    bench.builder.result = broken_until(lambda recipe: "" if "Cython" in recipe.build_requires else line)
    bench.toolbox = FakeToolbox(files={"Cython": nouns.index_file("cython-3.0-py3-none-any.whl")})
    progress = run(bench, nouns.job("demo==1.0"))
    assert progress.state == "published"
    assert bench.builder.wheels[-1] == ["cython-3.0-py3-none-any.whl"]
    assert bench.lessons.kept[0].python == "cp311"


def test_a_change_whose_wheel_is_missing_has_that_built_first(bench: Bench) -> None:
    line = "ModuleNotFoundError: No module named 'pybind11'"
    bench.builder.result = broken_until(lambda recipe: "" if "pybind11" in recipe.build_requires else line)
    bench.toolbox = FakeToolbox(files={}, missing="its build asks for pybind11 3.0, of which there is no wheel")
    demo, tool = nouns.job("demo==1.0"), nouns.job("pybind11==3.0", kind="pure")
    done = mend(Mend(job=demo, failure=lacks(line)), replace(bench.mend_ports(), planner=FakePlanner(jobs=(tool,))))
    assert done.better is not None
    assert (done.better.recipe.build_requires, done.better.needs, done.more.jobs) == (("pybind11",), (tool.id,), (tool,))


def lacks(line: str) -> Failed:
    module = Diagnosis(cause="missing-python-build-dep", summary=line, line=line, subject="pybind11", confidence="high")
    return Failed(attempt="a0", stage="build", diagnosis=module, seconds=0.0)


def test_a_change_whose_wheel_is_missing_and_cannot_be_planned_is_told(bench: Bench) -> None:
    bench.builder.result = broken_until(lambda _: "ModuleNotFoundError: No module named 'pybind11'")
    bench.toolbox = FakeToolbox(files={}, missing="its build asks for pybind11 3.0, of which there is no wheel")
    bench.planner.refuses = "a circle of build dependencies: demo==1.0 needs pybind11==3.0 needs demo==1.0"
    progress = run(bench, nouns.job("demo==1.0"))
    report = Report(rows=tally((row(progress.job),), (progress,)))
    cell = json.loads(report_json(report, 1))["packages"][0]["cells"][progress.job.target.name]
    assert cell["obstacles"] == [f"build requirement pybind11: {bench.planner.refuses}"]
    assert "could not be tried: build requirement pybind11: a circle" in reasons(report)


def test_what_no_package_of_the_image_has_is_told_with_its_name(bench: Bench) -> None:
    bench.builder.result = broken_until(lambda _: 'meson.build:3:0: ERROR: Dependency "girepository-2.0" not found, tried pkgconfig')
    progress = run(bench, nouns.job("demo==1.0"))
    (told,) = tally((row(progress.job),), (progress,))
    assert told.diagnosis is not None
    assert told.diagnosis.remedy.startswith("no package of debian bookworm has girepository-2.0: build for a target of a newer")


def test_a_module_that_nobody_is_known_to_own_is_not_guessed(bench: Bench) -> None:
    bench.builder.result = broken_until(lambda _: "ModuleNotFoundError: No module named 'acme_build_tools'")
    assert run(bench, nouns.job("demo==1.0")).state == "failed"
    assert bench.toolbox.asked == []


def test_system_packages_that_cannot_be_installed_end_the_attempt_and_not_the_run(bench: Bench) -> None:
    bench.images = Refusing()
    bench.builder.result = broken_until(needs_package("libfoo-dev"))
    bench.providers = FakeProviders(packages={("header", "foo.h"): ("libbroken-dev", "libfoo-dev")})
    assert run(bench, nouns.job("demo==1.0")).state == "published"


class Refusing(FakeImages):
    """Images on which one package cannot be installed."""

    def overlay(self, base, packages, say):  # type: ignore[no-untyped-def]
        if "libbroken-dev" in packages:
            raise _cannot()
        return super().overlay(base, packages, say)


def _cannot() -> FarmError:
    from farm.errors import ImageError  # noqa: PLC0415 - beside its only use

    return ImageError("an image could not be built; its last lines were:\nE: held broken packages", solution="look")


def test_a_database_that_does_not_answer_leaves_the_diagnosis(bench: Bench) -> None:
    bench.providers = FakeProviders(down=True)
    bench.builder.result = broken_until(needs_package("libfoo-dev"))
    progress = run(bench, nouns.job("demo==1.0"))
    assert isinstance(progress.failure, Failed)
    assert progress.failure.diagnosis.subject == "foo.h"
    assert progress.remedy == "", "what was not asked is not known to be nowhere"
    assert any("package database" in line for line in bench.progress.said)


def test_memory_grows_only_after_fewer_jobs_did_not_help(bench: Bench) -> None:
    line = "x86_64-linux-gnu-gcc: fatal error: Killed signal terminated program cc1"
    bench.builder.result = broken_until(lambda recipe: "" if recipe.memory else line)
    assert run(bench, nouns.job("demo==1.0")).state == "published"
    assert [request.limits.memory >> 30 for request in bench.builder.requests] == [1, 1, 2]
    assert dict(bench.builder.requests[1].job.recipe.environment)["MAKEFLAGS"] == "-j1"


def test_a_recipe_of_the_user_is_not_told_as_learned(bench: Bench) -> None:
    own = Recipe(environment=(("A", "1"),))
    bench.builder.result = broken_until(needs_package("libfoo-dev"))
    bench.providers = FakeProviders(packages={("header", "foo.h"): ("libfoo-dev",)})
    ports = replace(bench.mend_ports(), configured=lambda _pin, _target: own)
    hands = replace(bench.hands(), mend=ports)
    engine = LocalEngine(lambda command: carry(command, hands), limit=1, heal=True)
    engine.run(Plan(jobs=(replace(nouns.job("demo==1.0"), recipe=own),)), lambda _: None)
    assert bench.lessons.kept[0].recipe.environment == ()


@pytest.mark.parametrize("stage", ["build", "proof"])
def test_who_needs_a_job_waits_until_it_is_healed(stage: str) -> None:
    first = nouns.job("first==1")
    second = nouns.job("second==1", needs=(first,))
    machine = Machine(Plan(jobs=(first, second)), limit=4, heal=True)
    (build,) = machine.start()
    assert isinstance(build, Build)
    if stage == "proof":
        (verify,) = machine.on(BuildDone(job=first.id, outcome=nouns.built(first)))
        (mend,) = machine.on(VerifyDone(job=verify.job.id, outcome=nouns.failed(first.id, "proof")))
    else:
        (mend,) = machine.on(BuildDone(job=first.id, outcome=nouns.failed(first.id)))
    assert isinstance(mend, Mend)
    better = replace(first, recipe=Recipe(build_requires=("six",)))
    (again,) = machine.on(MendDone(job=first.id, better=better))
    assert isinstance(again, Build)
    assert again.job == better
    assert [progress.state for progress in machine.jobs] == ["building", "waiting"]


def test_what_cannot_be_healed_blocks_as_ever_and_a_stop_mends_nothing() -> None:
    first = nouns.job("first==1")
    second = nouns.job("second==1", needs=(first,))
    machine = Machine(Plan(jobs=(first, second)), limit=4, heal=True)
    machine.start()
    machine.on(BuildDone(job=first.id, outcome=nouns.failed(first.id)))
    (asked,) = machine.on(MendDone(job=first.id))
    assert isinstance(asked, Mend)
    assert (asked.job, asked.failure.diagnosis.cause, asked.failure.diagnosis.subject) == (second, "build-requirement", "first==1")
    assert machine.on(MendDone(job=second.id)) == ()
    assert [progress.state for progress in machine.jobs] == ["failed", "blocked"]
    assert machine.jobs[1].why == first.id
    stopped = Machine(Plan(jobs=(first,)), limit=4, heal=True)
    stopped.start()
    stopped.on(Stop())
    assert stopped.on(BuildDone(job=first.id, outcome=nouns.failed(first.id))) == ()
    assert stopped.jobs[0].state == "failed"


def test_a_pin_that_cannot_be_built_gives_way_to_the_next_release_with_a_wheel(bench: Bench) -> None:
    pinned = nouns.job("numpy==1.17.3")
    job = nouns.job("demo==1.0", needs=(pinned,))
    bench.upstream = FakeIndex(nouns.project("numpy", "numpy-1.19.0.tar.gz", "numpy-1.23.2-cp311-cp311-manylinux_2_17_x86_64.whl"))
    wheel = nouns.index_file("numpy-1.23.2-cp311-cp311-manylinux_2_17_x86_64.whl")
    bench.sdists = StaticSdists(build_requires=("numpy==1.17.3; python_version>='3.8'",))
    bench.toolbox = FakeToolbox(files={"numpy==1.23.2": wheel})
    failed = nouns.failed(pinned.id)
    machine = Machine(Plan(jobs=(pinned, job)), limit=4, heal=True)
    machine.start()
    machine.on(BuildDone(job=pinned.id, outcome=failed))
    (asked,) = machine.on(MendDone(job=pinned.id))
    assert isinstance(asked, Mend)
    done = mend(asked, bench.mend_ports())
    assert done.better is not None
    assert done.better.recipe.build_overrides == ("numpy==1.23.2",)
    assert done.better.needs == ()
    (build,) = machine.on(done)
    assert isinstance(build, Build)


def test_a_wheel_that_lacks_its_optional_binary_is_healed_by_what_the_log_says_before(bench: Bench) -> None:
    compiled = broken_until(needs_package("libfoo-dev"))

    def result(request: BuildRequest) -> StagedWheel | Failed:
        made = compiled(request)
        return replace(made, diagnosis=Diagnosis(cause="repair-failed", summary="no ELF")) if isinstance(made, Failed) else made

    bench.builder.result = result
    bench.providers = FakeProviders(packages={("header", "foo.h"): ("libfoo-dev",)})
    assert run(bench, nouns.job("demo==1.0")).state == "published"
