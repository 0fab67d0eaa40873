"""What a build backend names only when it is asked, while the plan runs: planned then, and built first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from farm.engine.local import LocalEngine
from farm.engine.tally import tally
from farm.model.job import Plan
from farm.model.outcome import Diagnosis, Failed
from farm.model.report import Report, Row
from farm.work.carry import carry
from tests.fakes import nouns
from tests.fakes.proving import FakeInspector
from tests.fakes.work import Bench, FakeToolbox, make_bench, makes

if TYPE_CHECKING:
    from pathlib import Path

    from farm.engine.progress import Progress
    from farm.model.build import BuildRequest, WheelFacts
    from farm.model.job import Job
    from farm.model.outcome import StagedWheel

WHEEL = "demo-1.0-cp311-cp311-manylinux_2_36_x86_64.whl"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return make_bench(tmp_path, WHEEL)


def wants_cffi(request: BuildRequest) -> StagedWheel | Failed:
    """A front end: it fails at once while what the backend wants is not among the wheels; cffi itself builds."""
    if request.job.pin.name == "cffi":
        return makes("cffi-1.0-cp311-cp311-manylinux_2_36_x86_64.whl", b"cffi")(request)
    if any(wheel.name.startswith("cffi-") for wheel in request.wheels.iterdir()):
        return makes(WHEEL)(request)
    request.log.write_text("ERROR Missing dependencies: cffi\n")
    return Failed(attempt=request.attempt, stage="build", diagnosis=Diagnosis(cause="build-failed", summary="it broke"), seconds=0.0)


class ByName(FakeInspector):
    """Each wheel says of itself what its name does."""

    def inspect(self, wheel: Path) -> WheelFacts:
        name, version, *_ = wheel.name.split("-")
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        return replace(super().inspect(wheel), metadata=text.encode(), modules=(name,))


@pytest.fixture
def asking(bench: Bench) -> Bench:
    bench.mode, bench.inspector = "off", ByName(facts=bench.inspector.facts)
    bench.builder.wants, bench.builder.result = ("cffi",), wants_cffi
    bench.toolbox = FakeToolbox(files={}, missing="its build asks for cffi 1.0, of which there is no wheel")
    bench.planner.jobs = (replace(nouns.job("cffi==1.0"), wanted=False, via=("demo==1.0 (build requirement)",)),)
    return bench


def whole(bench: Bench, job: Job) -> dict[str, Progress]:
    hands = bench.hands()
    engine = LocalEngine(lambda command: carry(command, hands), limit=2, pauses=(0.0, 0.0))
    finished = engine.run(Plan(jobs=(job,)), lambda _: None)
    assert finished.broken is None
    return {progress.job.pin.name: progress for progress in finished.jobs}


DEMO = replace(nouns.job("demo==1.0"), asks=True)


def test_what_a_backend_names_and_has_no_wheel_is_built_first_whether_failures_are_healed_or_not(asking: Bench) -> None:
    ended = whole(asking, DEMO)
    assert {name: progress.state for name, progress in ended.items()} == {"demo": "published", "cffi": "published"}
    assert asking.builder.wheels == [[], [], ["cffi-1.0-cp311-cp311-manylinux_2_36_x86_64.whl"]]
    assert [job.named for job in asking.planner.asked] == [("cffi",)]
    assert f"{DEMO.id}: its backend wants cffi; built first: cffi==1.0" in asking.progress.said
    asked = Row(name="demo", version="1.0", target=DEMO.target.name, state="build")
    report = Report(rows=tally((asked,), ended.values()))
    assert [(each.name, each.state, each.required_by) for each in report.rows[1:]] == [
        ("cffi", "built", ("demo==1.0 (build requirement)",))
    ]


def test_what_a_backend_goes_on_to_name_is_planned_once(asking: Bench) -> None:
    asking.planner.jobs = ()
    progress = whole(asking, DEMO)["demo"]
    assert (progress.state, len(asking.planner.asked), len(asking.builder.requests)) == ("failed", 1, 1)
    assert isinstance(progress.failure, Failed)
    assert progress.failure.diagnosis.cause == "missing-python-build-dep"


def test_what_a_backend_names_and_cannot_be_planned_says_why_and_what_to_do(asking: Bench) -> None:
    asking.planner.refuses = "a circle of build dependencies: demo==1.0 needs cffi==1.0 needs demo==1.0"
    progress = whole(asking, DEMO)["demo"]
    assert isinstance(progress.failure, Failed)
    assert (progress.failure.stage, progress.failure.diagnosis.remedy) == ("requirements", "a recipe")
    assert progress.failure.diagnosis.summary == f"its backend also wants cffi: {asking.planner.refuses}"


def test_an_index_that_does_not_answer_while_it_is_planned_is_asked_again(asking: Bench) -> None:
    asking.planner.down = 1
    ended = whole(asking, DEMO)
    assert (ended["demo"].state, len(asking.planner.asked)) == ("published", 2)
