"""Digests as requirements files write them: `--hash=algorithm:hex`, and `#algorithm=hex` at the end of a URL."""

from __future__ import annotations

import re

from farm.survey.reading.faults import Complaint, RefusedError

_FRAGMENT_HASH = re.compile(r"[#&](sha512|sha384|sha256|sha224|sha1|md5)=([^&]*)")
_DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}
_WEAK_DIGEST_LENGTHS = {"sha224": 56, "sha1": 40, "md5": 32}
_HEX = re.compile(r"[0-9A-Fa-f]*")


def read_hash(value: str, offset: int, complaints: list[Complaint]) -> str | None:
    """Return the value of a `--hash` option as "algorithm:hex" in lower case, as pip compares it."""
    algorithm, colon, digest = value.partition(":")
    wanted = _DIGEST_LENGTHS.get(algorithm)
    if colon and wanted and len(digest) == wanted and _HEX.fullmatch(digest):
        return f"{algorithm}:{digest.lower()}"
    if not colon or wanted is None:
        complaints.append(
            Complaint(
                offset=offset,
                found=repr(value if not colon else algorithm),
                expected="sha256:, sha384: or sha512: and a digest in hex",
                solution="write --hash=sha256:DIGEST with a digest of one of these algorithms",
            )
        )
    else:
        complaints.append(_bad_digest(algorithm, digest, wanted, offset + len(algorithm) + 1))
    return None


def fragment_hashes(url: str, offset: int) -> tuple[str, ...]:
    """Return the digest in a URL's fragment, which pip takes like a `--hash`; RefusedError when it is malformed."""
    match = _FRAGMENT_HASH.search(url)
    if match is None:
        return ()
    algorithm, digest = match.groups()
    wanted = (_DIGEST_LENGTHS | _WEAK_DIGEST_LENGTHS)[algorithm]
    if len(digest) != wanted or not _HEX.fullmatch(digest):
        raise RefusedError(_bad_digest(algorithm, digest, wanted, offset + match.start(2)))
    return (f"{algorithm}:{digest.lower()}",)


def _bad_digest(algorithm: str, digest: str, wanted: int, offset: int) -> Complaint:
    good = _HEX.match(digest)
    wrong = good.end() if good else 0
    found = repr(digest[wrong]) if wrong < len(digest) else f"{len(digest)} digits"
    return Complaint(
        offset=offset + wrong,
        found=found,
        expected=f"{wanted} hex digits for {algorithm}",
        solution="copy the digest again from where it was published, or let the lock tool write the line anew",
    )
