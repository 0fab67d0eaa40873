"""Verified -> a signed statement of how the wheel came to be, kept before the wheel is published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from farm.model.attestation import PAYLOAD_TYPE, Envelope, parse_envelopes
from farm.model.provenance import Origin, statement

if TYPE_CHECKING:
    from collections.abc import Callable

    from farm.model.messages import Publish
    from farm.ports import Attestations, Clock, Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestPorts:
    """What attesting asks of the world. `version` is the farm's; `log_digest` gives the sha256 of an attempt's log, "" without one."""

    clock: Clock
    signer: Signer
    attestations: Attestations
    log_digest: Callable[[str], str]
    version: str


def attest(command: Publish, ports: AttestPorts) -> None:
    """Sign and keep the statement about a proven wheel. One that this farm's key has signed already is left as it is.

    UsageError when there is no key to sign with; StoreError.
    """
    built = command.verified.built
    keyid = ports.signer.public().keyid
    if _has(ports, command, keyid):
        return
    attempt = built.facts.attempt if built.facts else built.attempt
    origin = Origin(
        builder=f"urn:wheel-farm:key:{keyid}",
        version=ports.version,
        log_sha256=ports.log_digest(attempt),
        finished=ports.clock.now(),
    )
    unsigned = Envelope(payload=statement(command.job, command.verified, origin), payload_type=PAYLOAD_TYPE, signatures=())
    signed = Envelope(
        payload=unsigned.payload, payload_type=PAYLOAD_TYPE, signatures=(ports.signer.sign(unsigned.signed),)
    )
    ports.attestations.keep(built.wheel.sha256, signed.to_json())


def _has(ports: AttestPorts, command: Publish, keyid: str) -> bool:
    kept = ports.attestations.find(command.verified.built.wheel.sha256)
    try:
        return kept is not None and any(
            one.keyid == keyid for envelope in parse_envelopes(kept) for one in envelope.signatures
        )
    except ValueError:
        return False
