"""A file and the statements about it -> what they prove. Pure but for the check of signatures, which is handed in."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from farm.model.attestation import PAYLOAD_TYPE
from farm.model.provenance import PREDICATE_TYPE, STATEMENT_TYPE
from farm.model.verification import Subject, Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from farm.model.attestation import Envelope, PublicKey


def check_statements(
    subject: Subject, envelopes: Sequence[Envelope], keys: Sequence[PublicKey], holds: Callable[[PublicKey, bytes, bytes], bool]
) -> Verification:
    """Return the first statement that is sound, else why none is.

    Nothing of a statement is looked at before its signature was found to be that of a trusted key (DSSE, "Protocol").
    """
    if not envelopes:
        return Verification(subject=subject, faults=("there is no statement about it that a farm has signed",))
    found = [_check(subject, envelope, keys, holds) for envelope in envelopes]
    return next((one for one in found if one.ok), found[0])


def _check(
    subject: Subject, envelope: Envelope, keys: Sequence[PublicKey], holds: Callable[[PublicKey, bytes, bytes], bool]
) -> Verification:
    known = {key.keyid: key for key in keys}
    signers = [one for one in envelope.signatures if one.keyid in known]
    if not signers:
        ids = ", ".join(one.keyid[:16] for one in envelope.signatures) or "nobody"
        trusted = ", ".join(keyid[:16] for keyid in known) or "none"
        return Verification(subject=subject, faults=(f"its statement is signed by {ids}; the trusted keys are: {trusted}",))
    signer = next((one for one in signers if holds(known[one.keyid], envelope.signed, one.value)), None)
    if signer is None:
        fault = f"the signature of key {signers[0].keyid[:16]} does not hold: the statement was changed after it was signed"
        return Verification(subject=subject, faults=(fault,))
    try:
        statement = json.loads(envelope.payload)
        faults = tuple(_faults(subject, envelope, statement))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Verification(subject=subject, keyid=signer.keyid, faults=(f"what was signed is no statement: {error!r}",))
    return Verification(subject=subject, keyid=signer.keyid, statement=statement, faults=faults)


def _faults(subject: Subject, envelope: Envelope, statement: Mapping[str, Any]) -> Iterator[str]:
    kinds = (envelope.payload_type, statement["_type"], statement["predicateType"])
    expected = (PAYLOAD_TYPE, STATEMENT_TYPE, PREDICATE_TYPE)
    for kind, wanted in zip(kinds, expected, strict=True):
        if kind != wanted:
            yield f"expected a statement of {wanted}, found {kind}"
    named = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
    if subject.sha256 not in named.values():
        others = ", ".join(f"{name} with sha256 {digest}" for name, digest in named.items())
        yield f"the file has sha256 {subject.sha256}, the statement is about {others}"
    elif named.get(subject.filename) != subject.sha256:
        yield f"the file is called {subject.filename}, the statement is about {', '.join(named)}"
    if subject.sdist_sha256:
        yield from _of_sdist(subject, statement)


def _of_sdist(subject: Subject, statement: Mapping[str, Any]) -> Iterator[str]:
    sdist = dependency(statement, "sdist")
    digest = sdist.get("digest", {}).get("sha256", "")
    if digest != subject.sdist_sha256:
        source = f"{sdist.get('name')} with sha256 {digest or '(unknown)'}"
        yield f"the sdist has sha256 {subject.sdist_sha256}, the wheel was built from {source}"


def dependency(statement: Mapping[str, Any], role: str) -> dict[str, Any]:
    """Return the first dependency of a role of BUILD_TYPE: "sdist", "builder image", "build dependency", "crate"; empty without one."""
    found = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    return next((one for one in found if one.get("annotations", {}).get("role") == role), {})


def proof(statement: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the clean rooms said, from a statement's byproducts; empty without any."""
    for one in statement["predicate"]["runDetails"].get("byproducts", ()):
        if one.get("name") == "proof":
            content: dict[str, Any] = json.loads(base64.b64decode(one["content"]))
            return content
    return {}
