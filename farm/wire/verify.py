"""`farm verify` put together: the file, the statement about it, and the keys that count."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from farm.adapters.attestations import Attestations
from farm.adapters.signing import holds
from farm.errors import UsageError
from farm.model.attestation import parse_envelopes
from farm.model.package import Digest
from farm.model.verification import Subject, Verification
from farm.wire.keys import open_keys, read_key
from farm.work.check_statement import check_statements

if TYPE_CHECKING:
    from farm.model.attestation import Envelope, PublicKey
    from farm.wire.assembly import Farm

BESIDE = (".intoto.jsonl", ".provenance")
"""What a statement's file is called beside a wheel's: as SLSA says, and as the farm's URLs end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A wheel's file; the keys that count (those that the store trusts, if none); where the statement is ("" to look for it)."""

    wheel: Path
    keys: tuple[Path, ...] = ()
    provenance: str = ""
    sdist: Path | None = None


def verify(farm: Farm, question: Question) -> Verification:
    """Return what is proven of a wheel; offline but for a statement that is at a URL.

    UsageError when a file cannot be read or there is no key at all; UpstreamError when the URL does not answer.
    """
    subject = Subject(
        filename=question.wheel.name,
        sha256=_digest(question.wheel),
        sdist_sha256=_digest(question.sdist) if question.sdist else "",
    )
    keys = _keys(farm, question)
    try:
        envelopes = _envelopes(farm, question, subject)
    except ValueError as error:
        return Verification(subject=subject, faults=(f"its statement cannot be read: {error}",))
    return check_statements(subject, envelopes, keys, holds)


def _keys(farm: Farm, question: Question) -> tuple[PublicKey, ...]:
    keys = tuple(map(read_key, question.keys)) or open_keys(farm.settings).trusted()
    if not keys:
        raise UsageError(
            f"no key to verify with: none was given and {farm.root} trusts none",
            solution="--key FILE with what `farm key export` prints on the farm that built it, or `farm key trust FILE`",
        )
    return keys


def _envelopes(farm: Farm, question: Question, subject: Subject) -> tuple[Envelope, ...]:
    data: bytes | None
    if urlsplit(question.provenance).scheme in {"http", "https"}:
        data = _fetched(farm, question.provenance)
    elif question.provenance:
        data = _read(Path(question.provenance))
    else:
        places = (question.wheel.with_name(question.wheel.name + end) for end in BESIDE)
        beside = next((place for place in places if place.is_file()), None)
        data = _read(beside) if beside else Attestations(farm.root).find(Digest(subject.sha256))
    return () if data is None else parse_envelopes(data)


def _fetched(farm: Farm, url: str) -> bytes | None:
    from farm.adapters.web import Web  # noqa: PLC0415 - everything else is offline

    web = Web(farm.pip)
    try:
        reply = web.get(url, {}, subject="the statement")
    finally:
        web.close()
    return None if reply.status == 404 else reply.body


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(f"{path}: cannot be read: {error.strerror or error}", solution="name a file that is there")
