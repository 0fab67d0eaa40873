"""adapters.signing: one key signs, several are trusted; what others may read is no secret."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.adapters.signing import Keys, holds, read_public
from farm.errors import UsageError
from farm.model.attestation import PAYLOAD_TYPE, Envelope, Signature, parse_envelopes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    made = Keys(tmp_path)
    made.create()
    return made


def test_a_key_is_its_owners_alone_and_is_made_once(keys: Keys) -> None:
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert [key.keyid for key in keys.trusted()] == [keys.public().keyid]
    with pytest.raises(UsageError, match="there is a key already"):
        keys.create()


def test_a_signature_holds_for_the_message_and_the_key_that_made_it(keys: Keys, tmp_path: Path) -> None:
    other = Keys(tmp_path / "other")
    other.create()
    made = keys.sign(b"message")
    assert made.keyid == keys.public().keyid
    assert holds(keys.public(), b"message", made.value)
    assert not holds(keys.public(), b"massage", made.value)
    assert not holds(other.public(), b"message", made.value)


def test_after_a_rotation_the_old_key_is_gone_and_still_trusted(keys: Keys) -> None:
    signature = keys.sign(b"message")
    old, new = keys.rotate()
    assert keys.public().keyid == new.keyid != old.keyid
    assert {key.keyid for key in keys.trusted()} == {old.keyid, new.keyid}
    assert holds(old, b"message", signature.value)
    assert [path.name for path in keys.path.parent.iterdir() if path.is_file()] == ["farm.key"]


def test_a_key_is_distrusted_by_the_beginning_of_its_id_unless_it_signs(keys: Keys) -> None:
    old, new = keys.rotate()
    with pytest.raises(UsageError, match="is the key that signs"):
        keys.distrust(new.keyid[:12])
    with pytest.raises(UsageError, match="is that of 2"):
        keys.distrust("")
    assert keys.distrust(old.keyid[:12]) == old
    assert [key.keyid for key in keys.trusted()] == [new.keyid]


def test_a_key_that_others_may_read_signs_nothing(keys: Keys) -> None:
    keys.path.chmod(0o640)
    with pytest.raises(UsageError, match="others than its owner") as caught:
        keys.sign(b"message")
    assert "chmod 600" in caught.value.solution


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", b"\xff\xfe"])
def test_what_is_no_key_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "own.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(UsageError, match=r"own\.key: expected an Ed25519 key"):
        Keys(tmp_path / "store", path).sign(b"message")
    with pytest.raises(UsageError, match=r"pub: expected an Ed25519 public key"):
        read_public(content, "pub")


def test_without_a_key_nothing_is_signed(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    assert not keys.exists()
    assert keys.trusted() == ()
    with pytest.raises(UsageError, match="expected the farm's signing key"):
        keys.sign(b"message")


# Example 2 of the DSSE protocol's "Pre-Authentication Encoding".
def test_what_is_signed_is_the_standards_encoding() -> None:
    envelope = Envelope(payload=b"hello world", payload_type="http://example.com/HelloWorld", signatures=())
    assert envelope.signed == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


@settings(max_examples=60)
@given(st.binary(max_size=400), st.binary(max_size=80), st.text(max_size=20))
def test_an_envelope_comes_back_from_both_of_its_shapes(payload: bytes, value: bytes, keyid: str) -> None:
    envelope = Envelope(payload=payload, payload_type=PAYLOAD_TYPE, signatures=(Signature(keyid=keyid, value=value),))
    assert parse_envelopes(envelope.to_json()) == (envelope,)
    assert parse_envelopes(envelope.to_pep740()) == (envelope,)
    assert parse_envelopes(envelope.to_json() * 2) == (envelope, envelope)


@settings(max_examples=100)
@given(st.binary(max_size=60) | st.sampled_from([b"{}", b"[]", b"null", b'{"attestation_bundles": 3}', b'{"payload": "!"}']))
def test_anything_else_is_refused(data: bytes) -> None:
    if data.strip():
        with pytest.raises(ValueError, match=r".*"):
            parse_envelopes(data)
