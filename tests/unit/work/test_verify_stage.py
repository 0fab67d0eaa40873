"""work.verify: which wheels are refused, and what a proof is given."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from farm.model.instructions import Code
from farm.model.job import Dependency, Proof, Recipe
from farm.model.messages import Build, Verify
from farm.model.outcome import Built, Failed, Verified
from farm.model.package import make_pin
from farm.work.build import build
from farm.work.verify import verify
from tests.fakes import nouns
from tests.fakes.nouns import CP311, CP313
from tests.fakes.work import Bench, StaticSdists, make_bench, makes

if TYPE_CHECKING:
    from pathlib import Path

    from farm.model.build import BuildRequest
    from farm.model.job import Job
    from farm.model.outcome import StagedWheel

WHEEL = "demo-1.0-cp311-cp311-manylinux_2_36_x86_64.whl"
METADATA = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return make_bench(tmp_path)


def made(bench: Bench, job: Job, identity: str = "A1") -> Built:
    outcome = build(Build(job=job, made={}), identity, bench.build_ports())
    assert isinstance(outcome, Built)
    return outcome


def proven(bench: Bench, job: Job, **given: object) -> Verified | Failed:
    command = Verify(job=job, built=made(bench, job), proofs=job.proofs, made={})
    return verify(replace(command, **given), bench.verify_ports())


def reason(outcome: Verified | Failed) -> str:
    assert isinstance(outcome, Failed)
    return outcome.diagnosis.summary


def test_a_good_wheel_is_proven_on_each_target_that_it_serves(bench: Bench) -> None:
    outcome = proven(bench, nouns.job("demo==1.0", also=(CP313,)))
    assert isinstance(outcome, Verified)
    assert [verdict.target for verdict in outcome.verdicts] == [CP311, CP313]
    assert outcome.metadata == METADATA
    assert [request.modules for request in bench.prover.requests] == [("demo",), ("demo",)]
    assert {request.image.spec.role for request in bench.prover.requests} == {"runtime"}
    assert bench.catalogue.rows["A1"].state == "proven"


def test_modules_that_a_recipe_skips_are_not_imported(bench: Bench) -> None:
    bench.inspector.facts = replace(bench.inspector.facts, modules=("demo", "demo_gui"))
    proven(bench, replace(nouns.job("demo==1.0"), recipe=Recipe(skip_imports=(("demo_gui", "needs a display"),))))
    assert bench.prover.requests[0].modules == ("demo",)


def test_the_recipes_smoke_test_is_handed_to_each_proof(bench: Bench) -> None:
    proven(bench, replace(nouns.job("demo==1.0", also=(CP313,)), recipe=Recipe(smoke_test=("demo", "--version"))))
    assert [request.smoke_test for request in bench.prover.requests] == [("demo", "--version")] * 2


def test_an_import_that_fails_on_one_target_rejects_the_wheel(bench: Bench) -> None:
    bench.prover.fails = {CP313: "Traceback\nImportError: libpq.so.5: cannot open shared object file"}
    outcome = proven(bench, nouns.job("demo==1.0", also=(CP313,)))
    assert reason(outcome) == f"imports on {CP313}: ImportError: libpq.so.5: cannot open shared object file"
    assert isinstance(outcome, Failed)
    assert outcome.stage == "proof"
    row = bench.catalogue.rows["A1"]
    assert (row.state, row.summary) == ("rejected", reason(outcome))


def test_nothing_of_a_wheel_whose_file_is_wrong_is_run(bench: Bench) -> None:
    bench.inspector.facts = replace(bench.inspector.facts, faults=("its RECORD lies",))
    outcome = proven(bench, nouns.job("demo==1.0"))
    assert reason(outcome) == "its RECORD lies"
    assert bench.progress.said[-1].endswith("failed: its RECORD lies")
    assert isinstance(outcome, Failed)
    assert set(bench.progress.attempts) == {outcome.attempt}
    assert outcome.stage == "check"
    assert bench.prover.requests == []


def test_sources_to_compile_that_gave_no_binary_are_no_native_wheel(bench: Bench) -> None:
    bench.inspector.facts = replace(bench.inspector.facts, native=False)
    assert "without compiled code" in reason(proven(bench, nouns.job("demo==1.0")))
    assert isinstance(proven_pure(bench), Verified)


def test_why_an_optional_extension_was_left_out_is_read_off_the_builds_log(bench: Bench) -> None:
    def leaves_out(request: BuildRequest) -> StagedWheel:
        request.log.write_text("demo.c:1:12: fatal error: longintrepr.h: No such file or directory\nfalling back to pure Python\n")
        return makes(WHEEL)(request)

    bench.builder.result = leaves_out
    bench.inspector.facts = replace(bench.inspector.facts, native=False)
    outcome = proven(bench, nouns.job("demo==1.0"))
    assert isinstance(outcome, Failed)
    assert (outcome.stage, outcome.diagnosis.cause, outcome.diagnosis.subject) == ("check", "python-api-removed", "longintrepr.h")


def proven_pure(bench: Bench) -> Verified | Failed:
    bench.builder.result = makes("demo-1.1-py3-none-any.whl")
    bench.inspector.facts = replace(bench.inspector.facts, metadata=METADATA.replace(b"1.0", b"1.1"))
    job = nouns.job("demo==1.1", kind="pure")
    return verify(Verify(job=job, built=made(bench, job, "A2"), proofs=job.proofs, made={}), bench.verify_ports())


@pytest.mark.parametrize(
    ("filename", "told"),
    [
        ("other-1.0-py3-none-any.whl", "expected a wheel of demo==1.0"),
        ("demo-1.0.post1-py3-none-any.whl", "expected a wheel of demo==1.0"),
        ("demo.whl", "expected a wheel of demo==1.0"),
    ],
)
def test_a_wheel_of_something_else_is_refused(bench: Bench, filename: str, told: str) -> None:
    bench.builder.result = makes(filename)
    assert told in reason(proven(bench, nouns.job("demo==1.0")))


def test_a_wheel_for_other_machines_is_refused(bench: Bench) -> None:
    # The machine hands over only the proofs whose target takes the wheel's tags: here none.
    bench.builder.result = makes("demo-1.0-cp311-cp311-manylinux_2_39_x86_64.whl")
    outcome = proven(bench, nouns.job("demo==1.0"), proofs=())
    assert f"its tags (cp311-cp311-manylinux_2_39_x86_64) do not fit the target {CP311}" in reason(outcome)


def test_metadata_of_another_project_or_version_is_refused(bench: Bench) -> None:
    bench.inspector.facts = replace(bench.inspector.facts, metadata=b"Metadata-Version: 2.1\nName: evil\nVersion: 2\n")
    told = reason(proven(bench, nouns.job("demo==1.0")))
    assert "Name: evil, expected demo" in told
    assert "Version: 2, expected 1.0" in told


def test_metadata_that_drifts_from_the_sdist_s_static_one_is_refused(bench: Bench) -> None:
    bench.sdists = StaticSdists(metadata="Metadata-Version: 2.2\nName: demo\nVersion: 1.0\nRequires-Dist: attrs\n")
    assert "only in the sdist ['attrs']" in reason(proven(bench, nouns.job("demo==1.0")))


def test_a_guess_of_the_sdist_s_metadata_binds_nobody(bench: Bench) -> None:
    bench.sdists = StaticSdists(metadata="Metadata-Version: 1.0\nName: demo\nRequires-Dist: attrs\n", provisional=True)
    assert isinstance(proven(bench, nouns.job("demo==1.0")), Verified)


def test_a_proof_gets_what_goes_beside_from_the_store_the_run_and_the_index(bench: Bench) -> None:
    kept = bench.folder / "own-1.0-py3-none-any.whl"
    kept.write_bytes(b"own")
    own = replace(nouns.index_file(kept.name), sha256=bench.store.keep(kept))
    there = nouns.index_file("there-2.0-py3-none-any.whl")
    friend = nouns.job("friend==1.0", kind="pure")
    bench.builder.result = makes("friend-1.0-py3-none-any.whl", b"friend")
    built_friend = made(bench, friend, "A0")
    bench.builder.result = makes("demo-1.0-cp311-cp311-manylinux_2_36_x86_64.whl")
    beside = (
        Dependency(pin=make_pin("own", "1.0"), file=own, job=None),
        Dependency(pin=make_pin("there", "2.0"), file=there, job=None),
        Dependency(pin=friend.pin, file=None, job=friend.id),
    )
    job = replace(nouns.job("demo==1.0"), proofs=(Proof(target=CP311, beside=beside),))
    assert isinstance(proven(bench, job, made={friend.id: built_friend}), Verified)
    assert {path.name for path in bench.prover.requests[0].beside} == {own.filename, there.filename, "friend-1.0-py3-none-any.whl"}
    assert own.filename not in bench.downloads.fetched
    assert there.filename in bench.downloads.fetched


def test_an_index_that_is_away_while_proving_fails_the_package_and_says_so(bench: Bench) -> None:
    beside = (Dependency(pin=make_pin("there", "2.0"), file=nouns.index_file("there-2.0-py3-none-any.whl"), job=None),)
    bench.downloads.down = frozenset({"there-2.0-py3-none-any.whl"})
    outcome = proven(bench, replace(nouns.job("demo==1.0"), proofs=(Proof(target=CP311, beside=beside),)))
    assert isinstance(outcome, Failed)
    assert outcome.diagnosis.cause == "network"
    assert bench.catalogue.rows["A1"].state == "built"


def test_a_proof_that_was_killed_proves_nothing_and_the_wheel_waits_for_the_next_run(bench: Bench) -> None:
    job = nouns.job("demo==1.0")
    wheel = made(bench, job)
    bench.prover.fails = {CP311: "Killed"}
    bench.stopped = True
    outcome = verify(Verify(job=job, built=wheel, proofs=job.proofs, made={}), bench.verify_ports())
    assert isinstance(outcome, Failed)
    assert bench.catalogue.rows["A1"].state == "built"
    again = build(Build(job=job, made={}), "A2", bench.build_ports())
    assert isinstance(again, Built)
    assert again.reused


def test_code_for_one_processor_is_refused_unless_a_recipe_says_why(bench: Bench) -> None:
    bench.inspector.facts = replace(bench.inspector.facts, native=True)
    bench.scanner.codes = (Code(path="demo.so", machine="x86_64", functions=((frozenset({"v3"}), 30),)),)
    job = nouns.job("demo==1.0")
    outcome = proven(bench, job)
    assert "does not run on every processor" in reason(outcome)
    assert isinstance(outcome, Failed)
    assert (outcome.stage, outcome.diagnosis.cause) == ("check", "processor")
    assert "allow-instructions" in outcome.diagnosis.remedy
    allowed = replace(job, recipe=Recipe(allow_instructions="our own cluster"))
    command = Verify(job=allowed, built=made(bench, allowed, "A2"), proofs=allowed.proofs, made={})
    assert isinstance(verify(command, bench.verify_ports()), Verified)


def test_a_wheel_without_code_is_not_looked_through(bench: Bench) -> None:
    bench.inspector.facts = replace(bench.inspector.facts, native=False)
    proven(bench, replace(nouns.job("demo==1.0"), kind="pure"))
    assert bench.scanner.asked == []
