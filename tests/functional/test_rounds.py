"""What a built wheel says of itself is heeded: another round, closed with the versions of the one before, never a quiet downgrade."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import pytest

from farm.cli.build import Asked, Told, _Run, build
from farm.config import load
from farm.engine.local import Finished
from farm.engine.progress import Progress as Done
from farm.errors import UpstreamError
from farm.model.gap import Matrix, Missing, Present
from farm.model.job import JobKey
from farm.model.messages import BuildDone, Publish
from farm.model.outcome import Built, Published, StagedWheel, Verified
from farm.model.package import Digest, make_pin
from farm.model.target import parse_target
from farm.survey.detect import DetectPolicy
from farm.survey.rounds import survey_again
from farm.survey.survey import survey
from farm.wire import Farm
from farm.work.publish import PublishPorts, publish
from tests.fakes import nouns
from tests.fakes.index import FakeIndex
from tests.fakes.index_server import IndexServer
from tests.fakes.resolving import Resolving, demand
from tests.functional.conftest import TARGET, add_wheel
from tests.projects.make import Made
from tests.unit.survey.test_locks_survey import lock, package

if TYPE_CHECKING:

    from farm.adapters.resolver import UvResolver
    from farm.model.job import Job, Plan
    from farm.ports import Index, Progress
    from tests.functional.conftest import Shell

TARGETS = tuple(map(parse_target, ("cp311-manylinux_2_36_x86_64", "cp313-manylinux_2_41_x86_64")))
NEWER = make_pin("demo", "2.0")


@dataclass(frozen=True, kw_only=True)
class Ports:
    upstream: Index
    farm: Index
    resolver: UvResolver


@pytest.fixture
def world(world: Resolving, index: IndexServer) -> Resolving:
    older = Made(name="demo", version="1.0")
    index.add(older.wheel(), metadata=older.metadata)
    # It states nothing, so its dependencies are a guess: none.
    index.add(Made(name="demo", version="2.0", metadata_version="1.1").sdist())
    index.add(Made(name="leaf", version="1.0").sdist())
    return world


def ports(world: Resolving) -> Ports:
    return Ports(upstream=world.upstream()[1], farm=FakeIndex(), resolver=world.resolver())


def shown(matrix: Matrix) -> set[tuple[str, str, bool]]:
    return {(str(cell.pin), cell.target.python_tag, isinstance(cell.presence, Present)) for cell in matrix.cells}


def built(world: Resolving, before: Matrix, requires: str) -> None:
    """Tell the resolver what the wheel says that was built for each target."""
    resolver = world.resolver()
    text = f"Metadata-Version: 2.1\nName: demo\nVersion: 2.0\nRequires-Dist: {requires}\n"
    for cell in before.cells:
        if cell.pin == NEWER and isinstance(cell.presence, Missing):
            assert resolver.learn(NEWER, cell.presence.sdist, cell.target, text)
            assert not resolver.learn(NEWER, cell.presence.sdist, cell.target, text), "known by now"


def first(world: Resolving) -> Matrix:
    before = survey(demand("demo"), TARGETS, DetectPolicy(), ports(world))
    assert shown(before) == {("demo==2.0", "cp311", False), ("demo==2.0", "cp313", False)}
    return before


def test_a_dependency_that_only_the_wheel_names_is_found_missing(world: Resolving) -> None:
    before = first(world)
    built(world, before, "leaf")
    after, notes = survey_again(demand("demo"), before, {NEWER}, DetectPolicy(), ports(world))
    assert shown(after) == {(pin, tag, False) for pin in ("demo==2.0", "leaf==1.0") for tag in ("cp311", "cp313")}
    assert notes == ()


def test_a_dependency_that_cannot_be_had_is_no_reason_for_an_older_version(world: Resolving) -> None:
    before = first(world)
    built(world, before, "leaf>=9")
    # Left alone, the resolver goes back to the version that needs nothing.
    alone = survey(demand("demo"), TARGETS, DetectPolicy(), ports(world))
    assert shown(alone) == {("demo==1.0", "cp311", True), ("demo==1.0", "cp313", True)}
    after, _ = survey_again(demand("demo"), before, {NEWER}, DetectPolicy(), ports(world))
    assert after.cells == ()
    assert [unresolved.target for unresolved in after.unresolved] == list(TARGETS)
    assert "leaf" in after.unresolved[0].explanation


def test_a_version_that_a_wheel_moves_is_told(world: Resolving, index: IndexServer) -> None:
    index.add(Made(name="leaf", version="2.0").sdist())
    before = survey(demand("demo", "leaf"), TARGETS, DetectPolicy(), ports(world))
    assert ("leaf==2.0", "cp311", False) in shown(before)
    built(world, before, "leaf<2")
    after, notes = survey_again(demand("demo", "leaf"), before, {NEWER}, DetectPolicy(), ports(world))
    assert {pin for pin, _, _ in shown(after)} == {"demo==2.0", "leaf==1.0"}
    assert notes[0] == f"{TARGETS[0]}: leaf 2.0 became 1.0: a wheel that was built asks for it"


def test_what_only_a_lock_has_binds_no_later_round(world: Resolving, index: IndexServer) -> None:
    """Two inputs may have different versions of a package, and a wheel may then ask for the one that no lock has."""
    index.add(Made(name="leaf", version="2.0").sdist())
    index.add(Made(name="calm", version="1.0").sdist())
    asked = replace(demand("demo", "calm"), locks=(lock(package("leaf", "leaf-1.0.tar.gz"), package("demo", "demo-1.0-py3-none-any.whl")),))
    before = survey(asked, TARGETS, DetectPolicy(), ports(world))
    resolved = {str(cell.pin) for cell in before.cells if not cell.locked}
    assert (resolved, {str(cell.pin) for cell in before.cells} - resolved) == ({"calm==1.0", "demo==2.0"}, {"demo==1.0", "leaf==1.0"})
    built(world, before, "leaf>=2")
    index.add(Made(name="calm", version="2.0").sdist())
    after, notes = survey_again(asked, before, {NEWER}, DetectPolicy(), ports(world))
    assert after.unresolved == ()
    assert {str(cell.pin) for cell in after.cells} == {"calm==1.0", "demo==2.0", "demo==1.0", "leaf==1.0", "leaf==2.0"}
    assert notes == ()


def test_an_sdist_that_states_its_dependencies_is_believed(world: Resolving, index: IndexServer) -> None:
    index.add(Made(name="stated", version="1.0").sdist())
    page = world.upstream()[1].project(make_pin("stated", "1.0").name)
    assert page is not None
    text = "Metadata-Version: 2.1\nName: stated\nVersion: 1.0\nRequires-Dist: leaf\n"
    assert not world.resolver().learn(make_pin("stated", "1.0"), page.files[0], TARGETS[0], text)


def test_the_farms_wheel_wins_over_what_was_recorded(world: Resolving) -> None:
    before = first(world)
    built(world, before, "leaf>=9")
    wheel = Made(name="demo", version="2.0", requires=("leaf",))
    with IndexServer() as own:
        own.add(wheel.wheel("cp311-cp311-manylinux_2_28_x86_64"), metadata=wheel.metadata)
        inner = Resolving(folder=world.folder / "own", index=own)
        world.farm = inner.upstream()[1]
        found = world.resolver().resolve_all(demand("demo==2.0"), TARGETS[:1])
        inner.close()
    assert [str(pin.pin) for pin in found[0].pins] == ["demo==2.0", "leaf==1.0"]  # type: ignore[union-attr]


class ScriptedFarm(Farm):
    """The real farm but for the hands: every job's wheel comes out as `requires` says, is heeded, and is published.

    A wheel whose dependencies nobody foresaw fails its proof where `proves` is set, as it does in a clean room.
    """

    requires: ClassVar[dict[str, tuple[str, ...]]] = {}
    proves = False

    def execute(self, plan: Plan, progress: Progress) -> Finished:
        self.surprising.clear()
        self.rounds = [*getattr(self, "rounds", []), sorted(str(job.pin) for job in plan.jobs)]
        return Finished(jobs=tuple(self._carried(job, progress) for job in plan.jobs), broken=None, stopped=False)

    def _carried(self, job: Job, progress: Progress) -> Done:
        made = Made(name=job.pin.name, version=str(job.pin.version), requires=self.requires.get(job.pin.name, ()))
        filename, data = made.wheel(f"{job.target.python_tag}-{job.target.python_tag}-{job.target.platform}")
        path = self.root / "out" / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        wheel = StagedWheel(filename=filename, path=path, sha256=Digest(hashlib.sha256(data).hexdigest()), size=len(data))
        result = Built(attempt=f"a-{job.id}", key=JobKey(f"key-{job.id}"), wheel=wheel, image="sha256:0", seconds=1.0)
        self._learn(BuildDone(job=job.id, outcome=result), job)
        if self.proves and job.pin in self.surprising:
            return Done(job=job, state="failed", failure=nouns.failed(job.id, "proof"))
        proven = Verified(built=result, verdicts=(), metadata=made.metadata.encode())
        ports = PublishPorts(clock=self.clock, store=self.store, catalogue=self.catalogue, progress=progress)
        told = publish(Publish(job=job, verified=proven), ports)
        assert isinstance(told, Published)
        return Done(job=job, state="published", published=told)


ONE, ENDLESS = {"demo": ("leaf",)}, {"demo": ("leaf",), "leaf": ("more",), "more": ("most",)}
DEMO, LEAF, MORE, MOST = "demo==2.0", "leaf==1.0", "more==1.0", "most==1.0"


@dataclass(frozen=True, kw_only=True)
class Case:
    """What wheels ask for, whether a proof fails for want of it; the jobs of each round, the exit code, the final states."""

    requires: dict[str, tuple[str, ...]]
    proves: bool
    rounds: list[list[str]]
    code: int
    states: dict[str, str]


CASES = [
    Case(requires=requires, proves=proves, rounds=rounds, code=code, states=states)
    for requires, proves, rounds, code, states in (
        ({}, False, [[DEMO]], 0, {DEMO: "built"}),
        (ONE, False, [[DEMO], [LEAF]], 0, {DEMO: "built", LEAF: "built"}),
        # What failed for want of a dependency is built again beside it.
        (ONE, True, [[DEMO], [DEMO, LEAF]], 0, {DEMO: "built", LEAF: "built"}),
        ({"demo": ("leaf>=9",)}, False, [[DEMO]], 7, {DEMO: "built"}),
        ({"demo": ("leaf>=9",)}, True, [[DEMO]], 7, {DEMO: "failed"}),
        # No end in sight: what three rounds have made is told, and what is missing still.
        (ENDLESS, False, [[DEMO], [LEAF], [MORE]], 1, {DEMO: "built", LEAF: "built", MORE: "built", MOST: "build"}),
        (ENDLESS, True, [[DEMO], [DEMO, LEAF], [LEAF, MORE]], 1, {DEMO: "built", LEAF: "built", MORE: "build", MOST: "build"}),
    )
]


@pytest.mark.usefixtures("world")
def test_an_index_that_is_silent_in_a_later_round_does_not_hide_what_was_built(
    shell: Shell, index: IndexServer, capsys: pytest.CaptureFixture[str]
) -> None:
    add_wheel(index, "setuptools", "80.0")
    index.fail("/simple/leaf", "401")
    shell.requirements("demo")
    context = build.make_context("build", ["-r", str(shell.folder / "requirements.txt"), "--json"])
    with ScriptedFarm(load(shell.folder / "config.toml", home=shell.folder), shell.env) as farm:
        farm.reads_only, farm.requires = True, ONE  # type: ignore[misc]
        with pytest.raises(Told) as told:
            _Run(farm, Asked(**context.params), verbose=False).run()
    report = json.loads(capsys.readouterr().out)
    assert isinstance(told.value.error, UpstreamError)
    assert (report["exit_code"], report["summary"]) == (3, {"built": 1})


@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("world")
def test_a_build_goes_on_until_what_it_built_is_whole(
    case: Case, shell: Shell, index: IndexServer, capsys: pytest.CaptureFixture[str]
) -> None:
    add_wheel(index, "setuptools", "80.0")
    index.projects["leaf"] = {}
    for name in ("leaf", "more", "most"):
        index.add(Made(name=name, version="1.0", metadata_version="1.1").sdist())
    shell.requirements("demo")
    context = build.make_context("build", ["-r", str(shell.folder / "requirements.txt"), "--json"])
    with ScriptedFarm(load(shell.folder / "config.toml", home=shell.folder), shell.env) as farm:
        farm.reads_only = True
        farm.requires, farm.proves = case.requires, case.proves  # type: ignore[misc]
        ended = _Run(farm, Asked(**context.params), verbose=False).run()
        done = farm.rounds
    report = json.loads(capsys.readouterr().out)
    found = {f"{package['name']}=={package['version']}": package["cells"][TARGET]["state"] for package in report["packages"]}
    assert done == case.rounds
    assert found == case.states
    assert ended == case.code
    assert [problem["kind"] for problem in report["problems"]] == (["unresolved"] if case.code == 7 else [])
