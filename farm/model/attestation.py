"""Signed statements: the DSSE envelope (version 1.0.2), and the shape in which PEP 740 has an index serve one. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

PAYLOAD_TYPE = "application/vnd.in-toto+json"
PUBLISHER = "farm"
_LONGEST = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """`keyid` is the sha256 of the public key (SubjectPublicKeyInfo, DER) as hex; `value` the 64 bytes of Ed25519."""

    keyid: str
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What was signed, byte for byte, and by whom. Nothing in it is to be believed before a signature was checked."""

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]

    @property
    def signed(self) -> bytes:
        """The bytes that a signature covers: DSSE's pre-authentication encoding."""
        kind = self.payload_type.encode()
        return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(self.payload), self.payload)

    def to_json(self) -> bytes:
        """Return the envelope as one line of JSON, as in a file of attestations (`.intoto.jsonl`)."""
        signatures = [{"keyid": one.keyid, "sig": _text(one.value)} for one in self.signatures]
        content = {"payloadType": self.payload_type, "payload": _text(self.payload), "signatures": signatures}
        return json.dumps(content, sort_keys=True, separators=(",", ":")).encode() + b"\n"

    def to_pep740(self) -> bytes:
        """Return PEP 740's provenance object with one attestation for each signature.

        The signatures are the same bytes, as PEP 740 signs DSSE envelopes too. What differs from an attestation of Sigstore:
        `verification_material` has the key's id in the place of a certificate, and no entry of a transparency log.
        """
        attestations = [
            {
                "version": 1,
                "verification_material": {"public_key": {"algorithm": "ed25519", "keyid": one.keyid}, "transparency_entries": []},
                "envelope": {"statement": _text(self.payload), "signature": _text(one.value)},
            }
            for one in self.signatures
        ]
        bundle = {"publisher": {"kind": PUBLISHER, "claims": None}, "attestations": attestations}
        return json.dumps({"version": 1, "attestation_bundles": [bundle]}, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def parse_envelopes(data: bytes) -> tuple[Envelope, ...]:
    """Return the envelopes of a file: DSSE, one a line, or PEP 740's provenance object.

    ValueError for anything else, and for more than 16 MiB. Attestations of other publishers than a farm are left out.
    """
    if len(data) > _LONGEST:
        message = f"expected at most {_LONGEST >> 20} MiB, found {len(data)} bytes"
        raise ValueError(message)
    try:
        documents = [json.loads(line) for line in data.splitlines() if line.strip()]
    except ValueError:
        documents = [json.loads(data)]
    try:
        return tuple(envelope for document in documents for envelope in _envelopes(document))
    except (KeyError, TypeError, AttributeError, binascii.Error) as error:
        message = f"expected a DSSE envelope or PEP 740's provenance object: {error!r}"
        raise ValueError(message) from error


def _envelopes(document: dict[str, Any]) -> list[Envelope]:
    if "attestation_bundles" not in document:
        signatures = tuple(Signature(keyid=str(one["keyid"]), value=_bytes(one["sig"])) for one in document["signatures"])
        return [Envelope(payload=_bytes(document["payload"]), payload_type=str(document["payloadType"]), signatures=signatures)]
    ours = (bundle for bundle in document["attestation_bundles"] if bundle["publisher"]["kind"] == PUBLISHER)
    return [_attestation(one) for bundle in ours for one in bundle["attestations"]]


def _attestation(one: dict[str, Any]) -> Envelope:
    keyid = str(one["verification_material"]["public_key"]["keyid"])
    signature = Signature(keyid=keyid, value=_bytes(one["envelope"]["signature"]))
    return Envelope(payload=_bytes(one["envelope"]["statement"]), payload_type=PAYLOAD_TYPE, signatures=(signature,))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A key that signatures are checked with. `pem` is its SubjectPublicKeyInfo; `keyid` the sha256 of that in DER, as hex."""

    keyid: str
    pem: str
