"""An uploaded file -> the index. What the form says is believed nowhere: all is read off the file, and must agree.

Statuses and messages are Warehouse's where clients read them: other bytes under a taken name are 400 "File already exists"
(twine --skip-existing), the same bytes again 200.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Protocol

from packaging.metadata import InvalidMetadata, RawMetadata, parse_email
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_sdist_filename

from farm.model.attempt import WheelRecord
from farm.model.build import BadSdist, NameTaken
from farm.model.package import Digest, Pin, Version, parse_sdist_version, parse_wheel_name
from farm.model.page import file_url
from farm.model.upload import Refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from farm.model.build import WheelFacts
    from farm.model.package import IndexFile, NormalizedName
    from farm.model.upload import Offer, UpstreamProject
    from farm.ports import Clock

_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,250}\.(?:whl|tar\.gz)")
_CLOSED = {"archived": "is archived", "quarantined": "is quarantined"}


class Index(Protocol):
    """What receiving asks of the store."""

    def listed(self, filename: str) -> Digest | None:
        """Return the digest of the file that has this name, once its page shows it; None when the name is free."""
        ...

    def take_in(self, record: WheelRecord, staged: Path, metadata: bytes) -> str:
        """Make a file visible, durably and atomically; the staged file is moved. NameTaken when other bytes have its name."""
        ...


class Inspector(Protocol):
    """ports.Inspector, for a file that does not have its own name yet."""

    def inspect(self, wheel: Path, filename: str) -> WheelFacts: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivePorts:
    """What receiving asks of the world. `upstream` returns None for an unknown project, and raises UpstreamError when it cannot tell.

    `sdist_metadata` returns an sdist's own PKG-INFO, "" without one; BadSdist when it is none. `private` are patterns of
    names that are never asked upstream.
    """

    clock: Clock
    index: Index
    inspector: Inspector
    sdist_metadata: Callable[[Path], str]
    upstream: Callable[[NormalizedName], UpstreamProject | None]
    private: tuple[str, ...] = ()


def receive(offer: Offer, ports: ReceivePorts) -> str:
    """Put an uploaded file on the index and return its URL path. Refused with the reason; StoreError, UpstreamError."""
    pin = _named(offer)
    _check_form(offer, pin)
    if not offer.token.covers(pin.name):
        raise Refused(
            f"the token {offer.token.name} is not for {pin.name}: it may upload {', '.join(offer.token.projects)}",
            status=403,
        )
    existing = ports.index.listed(offer.filename)
    if existing is not None:
        return _exists(offer, existing)
    private = any(fnmatchcase(pin.name, pattern) for pattern in ports.private)
    source = None if private else _check_upstream(offer, pin, ports)
    metadata = _wheel_metadata(offer, ports) if offer.filename.endswith(".whl") else _sdist_metadata(offer, ports)
    raw = _agree(offer, pin, metadata)
    try:
        return ports.index.take_in(_record(offer, pin, metadata, (raw, source, ports.clock)), offer.path, metadata)
    except NameTaken as taken:
        # Somebody was faster; or the name is that of a file that was removed.
        existing = ports.index.listed(offer.filename)
        if existing is None:
            raise Refused(f"File already exists: {taken.reason}. {taken.solution}") from None
        return _exists(offer, existing)


def _named(offer: Offer) -> Pin:
    """Return the project and version in the file's name."""
    if not _FILENAME.fullmatch(offer.filename):
        raise Refused(
            f"expected a file named NAME-VERSION-TAGS.whl or NAME-VERSION.tar.gz, found {offer.filename[:200]!r}"
        )
    if offer.filename.endswith(".whl"):
        wheel = parse_wheel_name(offer.filename)
        if wheel is None:
            raise Refused(
                f"{offer.filename} is no wheel's file name (binary distribution format, file name convention)"
            )
        return Pin(name=wheel.name, version=wheel.version)
    try:
        name, version = parse_sdist_filename(offer.filename)
    except ValueError:
        raise Refused(f"{offer.filename} is no sdist's file name (PEP 625)") from None
    if parse_sdist_version(offer.filename, name) != version:
        raise Refused(f"{offer.filename} is no sdist's file name (PEP 625)")
    return Pin(name=name, version=version)


def _check_form(offer: Offer, pin: Pin) -> None:
    """Hold the form against the file's name and digests. Fields that are left out (curl) claim nothing."""
    kind = "bdist_wheel" if offer.filename.endswith(".whl") else "sdist"
    if offer.field("filetype") not in {"", kind}:
        raise Refused(f"the form says filetype {offer.field('filetype')}; {offer.filename} is a {kind}")
    name, version = offer.field("name"), offer.field("version")
    if name and canonicalize_name(name) != pin.name:
        raise Refused(f"the form says name {name}; {offer.filename} is of {pin.name}")
    if version and _version(version) != pin.version:
        raise Refused(f"the form says version {version}; {offer.filename} is of {pin.version}")
    found = {"sha256_digest": offer.sha256, "md5_digest": offer.md5, "blake2_256_digest": offer.blake2_256}
    for field, digest in found.items():
        said = offer.field(field).lower()
        if said and not hmac.compare_digest(said.encode(), digest.encode()):
            raise Refused(f"the form says {field} {said}; the file that came has {digest}: it was damaged on the way")


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except ValueError:
        # Also where a number has more digits than Python reads.
        return None


def _exists(offer: Offer, existing: Digest | None) -> str:
    if existing != offer.sha256:
        raise Refused(
            f"File already exists ({offer.filename}, with sha256 {existing}). Bytes under a name never change: "
            "give a rebuilt wheel a build tag (NAME-VERSION-1-TAGS.whl), a changed release a new version"
        )
    return file_url(existing, offer.filename)


def _check_upstream(offer: Offer, pin: Pin, ports: ReceivePorts) -> IndexFile | None:
    """Return upstream's sdist of the version, if any: what a wheel takes its page data from."""
    if not offer.filename.endswith(".whl"):
        raise Refused(
            f"an sdist of {pin.name} would hide upstream's files: sdists are taken for private names only "
            "(config.toml: index.private)",
            status=403,
        )  # fmt: skip
    project = ports.upstream(pin.name)
    if project is None:
        return None
    if project.status in _CLOSED:
        raise Refused(f"{pin.name} {_CLOSED[project.status]} upstream, and takes no uploads (PEP 792)", status=403)
    theirs = next((file for file in project.files if file.filename == offer.filename), None)
    if theirs is not None and theirs.sha256 != offer.sha256:
        raise Refused(
            f"File already exists ({offer.filename}, upstream, with sha256 {theirs.sha256}); give yours a build tag"
        )
    sdists = (file for file in project.files if file.is_sdist and file.version == pin.version)
    return next(sdists, None)


def _wheel_metadata(offer: Offer, ports: ReceivePorts) -> bytes:
    facts = ports.inspector.inspect(offer.path, offer.filename)
    if facts.faults:
        raise Refused(f"{offer.filename}: {'; '.join(facts.faults)}")
    return facts.metadata


def _sdist_metadata(offer: Offer, ports: ReceivePorts) -> bytes:
    try:
        text = ports.sdist_metadata(offer.path)
    except BadSdist as error:
        raise Refused(error.reason.replace(offer.path.name, offer.filename)) from error
    if not text:
        raise Refused(f"{offer.filename}: expected a PKG-INFO in its folder, found none")
    return text.encode()


def _agree(offer: Offer, pin: Pin, metadata: bytes) -> RawMetadata:
    """Return the file's core metadata, once its own name and version, and what the form repeats of it, are seen to agree."""
    try:
        raw, _ = parse_email(metadata)
    except (InvalidMetadata, ValueError, ExceptionGroup) as error:
        raise Refused(f"{offer.filename}: its metadata cannot be read: {error}") from error
    name, version = raw.get("name", ""), raw.get("version", "")
    if canonicalize_name(name) != pin.name or _version(version) != pin.version:
        raise Refused(
            f"{offer.filename}: its metadata is of {name} {version}, its file name of {pin.name} {pin.version}"
        )
    said = offer.field("requires_python")
    own = raw.get("requires_python", "")
    if isinstance(_specifier(own), str):
        # On the page it would hide the file from uv, or more.
        raise Refused(f"{offer.filename}: the Requires-Python of its metadata is no version specifier: {own}")
    if said and _specifier(said) != _specifier(own):
        raise Refused(f"the form says requires_python {said}; the file's metadata says {own or 'nothing'}")
    requirements = offer.fields.get("requires_dist", ())
    if requirements and set(map(_requirement, requirements)) != set(map(_requirement, raw.get("requires_dist", ()))):
        raise Refused("the form's requires_dist are not those of the file's metadata")
    return raw


def _specifier(text: str) -> object:
    return _compared(SpecifierSet, text)


def _requirement(text: str) -> object:
    return _compared(Requirement, text)


def _compared(kind: Callable[[str], object], text: str) -> object:
    """Return what is equal for two spellings of the same; the text itself where it is malformed."""
    try:
        parsed = kind(text)
        # Versions are parsed only here; one with more digits than Python reads is a ValueError.
        hash(parsed)
    except ValueError:
        return " ".join(text.split())
    return parsed


def _record(
    offer: Offer, pin: Pin, metadata: bytes, origin: tuple[RawMetadata, IndexFile | None, Clock]
) -> WheelRecord:
    raw, source, clock = origin
    now = clock.now()
    wheel = offer.filename.endswith(".whl")
    return WheelRecord(
        filename=offer.filename,
        name=pin.name,
        version=pin.version,
        sha256=offer.sha256,
        size=offer.size,
        metadata_sha256=Digest(hashlib.sha256(metadata).hexdigest()) if wheel else None,
        requires_python=raw.get("requires_python") or None,
        yanked=source.yanked if source else False,
        upload_time=(source.upload_time if source else None) or now,
        built_at=now,
        sdist="",
        sdist_sha256=None,
        key=None,
        attempt="",
        targets=(),
        uploader=offer.token.name,
    )
