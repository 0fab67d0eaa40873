"""WheelContents: what is in wheels and beside them, read by the host. Runs nothing of it, and parses no binary."""

from __future__ import annotations

import hashlib
import re
import zipfile
from typing import TYPE_CHECKING

import msgspec

from farm.adapters.bill import with_bill
from farm.adapters.side_wheels import compare
from farm.adapters.wheel_copy import UNREADABLE
from farm.model.package import parse_wheel_name
from farm.model.provenance import Coupling, Crate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from farm.model.outcome import StagedWheel
    from farm.model.provenance import Reproduction

_VENDORED = re.compile(r"(?P<name>.+?)-(?P<version>\d+\.\d+\.\d+.*)")
_HEADERS = (".h", ".hpp", ".hh", ".hxx", ".pxd")
_CHUNK = 4 << 20


class _Checksum(msgspec.Struct):
    package: str | None = None


class WheelContents:
    """Implements `farm.ports.Contents`."""

    def crates(self, folder: Path) -> tuple[Crate, ...]:
        """Return the crates that `cargo vendor --versioned-dirs` left in `folder/vendor`: all that its Cargo.lock names."""
        found = []
        for path in sorted((folder / "vendor").glob("*")):
            match = _VENDORED.fullmatch(path.name)
            checksum = path / ".cargo-checksum.json"
            if match is None or not checksum.is_file():
                continue
            told = msgspec.json.decode(checksum.read_bytes(), type=_Checksum)
            found.append(Crate(name=match["name"], version=match["version"], sha256=told.package or ""))
        return tuple(found)

    def coupling(self, wheel: Path, dependencies: Sequence[Path]) -> tuple[Coupling, ...]:
        """Return the build dependencies with headers and binaries of their own whose module the wheel's binaries name.

        numpy's C API is reached by importing `numpy` from C, and so is any other that is handed over in a capsule.
        """
        modules = {path: names for path in dependencies if (names := _with_headers(path))}
        if not modules:
            return ()
        named = _named_in_binaries(wheel, {name for names in modules.values() for name in names})
        found = []
        for path, names in sorted(modules.items()):
            name = parse_wheel_name(path.name)
            if name is not None and names & named:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                found.append(Coupling(name=name.name, version=str(name.version), sha256=digest))
        return tuple(found)

    def with_bill(self, wheel: StagedWheel, crates: Sequence[Crate], folder: Path, epoch: int) -> StagedWheel:
        """Return the wheel with its bill of materials, written into `folder`; itself when nothing came along in it."""
        return with_bill(wheel, crates, folder, epoch)

    def compare(self, first: StagedWheel, second: StagedWheel, times: tuple[datetime, datetime]) -> Reproduction:
        """Return how two builds of a wheel differ; `times` are when either was made."""
        return compare(first, second, times)


def _with_headers(path: Path) -> set[str]:
    """Return the top-level modules of a wheel that has headers and binaries; headers alone tie to no ABI at run time."""
    name = parse_wheel_name(path.name)
    if name is None or name.pure:
        return set()
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except UNREADABLE:
        return set()
    if not any(member.endswith(_HEADERS) for member in names):
        return set()
    return {member.partition("/")[0] for member in names if member.endswith(".so") and "/" in member and ".libs/" not in member}


def _named_in_binaries(wheel: Path, modules: set[str]) -> set[str]:
    """Return the modules that stand as a text of their own, or before a dot, in a binary of the wheel."""
    patterns = {module: re.compile(rb"\0" + re.escape(module.encode()) + rb"[\0.]") for module in modules}
    found: set[str] = set()
    try:
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                if re.search(r"\.so(?:\.|$)", info.filename):
                    for window in _windows(archive, info):
                        found |= {module for module, pattern in patterns.items() if pattern.search(window)}
    except UNREADABLE:
        return set()  # its check tells what is wrong with it
    return found


def _windows(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield a member in pieces, each with the end of the one before, so that no text is cut in two."""
    before = b"\0"
    with archive.open(info) as file:
        while chunk := file.read(_CHUNK):
            yield before + chunk
            before = chunk[-256:]
