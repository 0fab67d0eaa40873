"""From a built wheel to a signed statement, and back: what is verified, and every way in which it is not."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from farm.adapters.attestations import Attestations
from farm.adapters.signing import Keys, holds
from farm.model.attestation import Envelope, Signature, parse_envelopes
from farm.model.job import Recipe
from farm.model.messages import Build, Publish, Verify
from farm.model.outcome import Built, Published, Verified
from farm.model.verification import Subject, Verification
from farm.work.attest import AttestPorts
from farm.work.build import build
from farm.work.check_statement import check_statements, dependency, proof
from farm.work.publish import publish
from farm.work.verify import verify
from tests.fakes import nouns
from tests.fakes.work import Bench, make_bench

if TYPE_CHECKING:
    from pathlib import Path

    from farm.model.job import Job


class Desk:
    """A farm that signs, with one wheel published."""

    def __init__(self, folder: Path, job: Job | None = None) -> None:
        self.bench: Bench = make_bench(folder)
        self.keys = Keys(folder / "store")
        self.keys.create()
        self.attestations = Attestations(folder / "store")
        self.bench.attest = AttestPorts(
            clock=self.bench.clock, signer=self.keys, attestations=self.attestations, log_digest=lambda attempt: attempt, version="1",
        )  # fmt: skip
        self.job = job or nouns.job("demo==1.0")
        built = build(Build(job=self.job, made={}), "A1", self.bench.build_ports())
        assert isinstance(built, Built)
        self.built = built
        verified = verify(Verify(job=self.job, built=built, proofs=self.job.proofs, made={}), self.bench.verify_ports())
        assert isinstance(verified, Verified)
        self.verified = verified
        self.publish()

    def publish(self) -> None:
        assert isinstance(publish(Publish(job=self.job, verified=self.verified), self.bench.publish_ports()), Published)

    @property
    def subject(self) -> Subject:
        return Subject(filename=self.built.wheel.filename, sha256=self.built.wheel.sha256)

    @property
    def envelopes(self) -> tuple[Envelope, ...]:
        kept = self.attestations.find(self.built.wheel.sha256)
        assert kept is not None
        return parse_envelopes(kept)

    def check(self, subject: Subject | None = None, envelopes: tuple[Envelope, ...] | None = None) -> Verification:
        found = self.envelopes if envelopes is None else envelopes
        return check_statements(subject or self.subject, found, self.keys.trusted(), holds)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_published_wheel_has_a_statement_that_holds(desk: Desk) -> None:
    found = desk.check()
    assert found.ok
    assert found.keyid == desk.keys.public().keyid
    assert found.statement is not None
    assert found.statement["_type"] == "https://in-toto.io/Statement/v1"
    assert found.statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert found.statement["subject"] == [{"name": desk.built.wheel.filename, "digest": {"sha256": desk.built.wheel.sha256}}]
    definition = found.statement["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["package"] == "demo"
    assert dependency(found.statement, "sdist")["digest"] == {"sha256": desk.job.sdist.sha256}
    assert dependency(found.statement, "builder image")["digest"]["sha256"] == desk.built.image.removeprefix("sha256:")
    assert [row["target"] for row in proof(found.statement)["targets"]] == [desk.job.target.name]
    assert found.statement["predicate"]["runDetails"]["byproducts"][0] == {"name": "log", "digest": {"sha256": "A1"}}


def test_a_recipe_is_part_of_it(tmp_path: Path) -> None:
    recipe = Recipe(allow_instructions="our own cluster", environment=(("A", "b"),))
    desk = Desk(tmp_path, replace(nouns.job("demo==1.0"), recipe=recipe))
    statement = desk.check().statement
    assert statement is not None
    said = statement["predicate"]["buildDefinition"]["externalParameters"]["recipe"]
    assert said == {"allow_instructions": "our own cluster", "environment": [["A", "b"]]}


def test_a_changed_byte_is_found(desk: Desk) -> None:
    data = bytearray(desk.built.wheel.path.read_bytes())
    data[-1] ^= 1
    changed = replace(desk.subject, sha256=hashlib.sha256(data).hexdigest())
    (fault,) = desk.check(changed).faults
    assert fault.startswith(f"the file has sha256 {changed.sha256}, the statement is about demo-1.0")


def test_a_wheel_under_another_name_is_not_what_was_proven(desk: Desk) -> None:
    (fault,) = desk.check(replace(desk.subject, filename="other-1.0-py3-none-any.whl")).faults
    assert fault.startswith("the file is called other-1.0-py3-none-any.whl")


def test_another_farms_key_counts_for_nothing_until_it_is_trusted(desk: Desk, tmp_path: Path) -> None:
    other = Keys(tmp_path / "other")
    other.create()
    found = check_statements(desk.subject, desk.envelopes, other.trusted(), holds)
    assert "is signed by" in found.faults[0]
    assert other.public().keyid[:16] in found.faults[0]
    other.trust(desk.keys.public())
    assert check_statements(desk.subject, desk.envelopes, other.trusted(), holds).ok


def test_a_statement_that_was_changed_after_it_was_signed(desk: Desk) -> None:
    (envelope,) = desk.envelopes
    forged = replace(envelope, payload=envelope.payload.replace(b"demo-1.0", b"demo-2.0"))
    (fault,) = desk.check(envelopes=(forged,)).faults
    assert "was changed after it was signed" in fault


def test_a_signature_under_a_trusted_keys_id_must_be_that_keys(desk: Desk, tmp_path: Path) -> None:
    thief = Keys(tmp_path / "thief")
    thief.create()
    (envelope,) = desk.envelopes
    claimed = Signature(keyid=desk.keys.public().keyid, value=thief.sign(envelope.signed).value)
    assert not desk.check(envelopes=(replace(envelope, signatures=(claimed,)),)).ok


def test_another_sdist_than_the_one_expected(desk: Desk) -> None:
    assert desk.check(replace(desk.subject, sdist_sha256=str(desk.job.sdist.sha256))).ok
    (fault,) = desk.check(replace(desk.subject, sdist_sha256="f" * 64)).faults
    assert fault.startswith(f"the sdist has sha256 {'f' * 64}, the wheel was built from demo-1.0.tar.gz")


def test_a_statement_of_another_kind_that_the_farm_signed(desk: Desk) -> None:
    payload = json.dumps(
        {"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://example.test/x", "subject": []}
    ).encode()
    unsigned = Envelope(payload=payload, payload_type="application/vnd.in-toto+json", signatures=())
    faults = desk.check(envelopes=(replace(unsigned, signatures=(desk.keys.sign(unsigned.signed),)),)).faults
    assert faults[0].startswith("expected a statement of https://slsa.dev/provenance/v1")
    nonsense = replace(unsigned, payload=b"{}")
    nonsense = replace(nonsense, signatures=(desk.keys.sign(nonsense.signed),))
    assert "is no statement" in desk.check(envelopes=(nonsense,)).faults[0]


def test_no_statement_proves_nothing(desk: Desk) -> None:
    assert desk.check(envelopes=()).faults == ("there is no statement about it that a farm has signed",)


def test_publishing_again_leaves_the_statement_as_it_is_and_a_new_key_signs_anew(desk: Desk) -> None:
    before = desk.envelopes
    desk.bench.clock.advance(3600)
    desk.publish()
    assert desk.envelopes == before
    _, new = desk.keys.rotate()
    assert desk.check().ok
    desk.publish()
    assert desk.envelopes[0].signatures[0].keyid == new.keyid


def test_what_was_built_before_keeps_what_is_remembered_of_its_build(desk: Desk) -> None:
    again = build(Build(job=desk.job, made={}), "A2", desk.bench.build_ports())
    assert isinstance(again, Built)
    assert again.reused
    assert again.facts == desk.built.facts
    assert again.facts is not None
    assert (again.facts.attempt, again.facts.epoch) == ("A1", desk.bench.builder.requests[0].epoch)


def test_a_wheel_whose_build_is_forgotten_is_signed_with_what_is_known(desk: Desk) -> None:
    desk.verified = replace(desk.verified, built=replace(desk.built, facts=None))
    desk.keys.rotate()
    desk.publish()
    found = desk.check()
    assert found.ok
    assert found.statement is not None
    run = found.statement["predicate"]["runDetails"]
    assert run["metadata"] == {"invocationId": "A1"}
    assert found.statement["predicate"]["buildDefinition"]["internalParameters"]["commands"] == []


def test_a_farm_that_signs_nothing_keeps_no_statement(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.bench.attest = None
    desk.attestations.remove(desk.built.wheel.sha256)
    desk.publish()
    assert desk.attestations.find(desk.built.wheel.sha256) is None
