"""A wheel's members against its RECORD, and the modules that it installs."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import stat
import zipfile
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHOWN = 5
# A path with these is shown wrongly, or means something else on another system.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_STRONG = ("sha256", "sha384", "sha512")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacking:
    """How much a wheel may unpack to: bytes, members, and `ratio` times its own size once that is more than `free` bytes."""

    total: int = 16 << 30
    members: int = 400_000
    ratio: float = float("inf")
    free: int = 64 << 20


def check_paths(archive: zipfile.ZipFile, limits: Unpacking) -> tuple[str, ...]:
    """Return faults of a wheel as a zip file: paths that leave it, names twice, links, too much, packed in rare ways."""
    infos = archive.infolist()
    unpacked = sum(info.file_size for info in infos)
    if len(infos) > limits.members or unpacked > limits.total:
        return (f"it unpacks to more than {limits.members} files or {limits.total >> 20} MiB",)
    # What the directory says of packed sizes may be a lie as well; what lies on the disk is not.
    packed = archive.fp.seek(0, io.SEEK_END) if archive.fp else 0
    if unpacked > limits.free and unpacked > limits.ratio * packed:
        return (f"it unpacks to {unpacked / packed:.0f} times its size",)
    faults: list[str] = []
    seen: set[str] = set()
    for info in infos:
        faults += _member_faults(info)
        if info.filename in seen:
            faults.append(f"{info.filename!r} is in it twice")
        seen.add(info.filename)
    return tuple(faults[:_SHOWN])


def _member_faults(info: zipfile.ZipInfo) -> Iterator[str]:
    raw = info.orig_filename
    parts = raw.removesuffix("/").split("/")
    if not {"", ".", ".."}.isdisjoint(parts) or "\\" in raw or raw[1:2] == ":":
        yield f"the path {raw!r} leaves it"
    elif _CONTROL.search(raw):
        yield f"the path {raw!r} has control characters"
    if stat.S_ISLNK(info.external_attr >> 16):
        yield f"{info.filename!r} is a symbolic link"
    if info.compress_type not in _METHODS:
        yield f"{info.filename!r} is packed in a way that installers need not know ({info.compress_type})"


def check_record(archive: zipfile.ZipFile, record: str, content: bytes) -> tuple[str, ...]:
    """Return where RECORD and members differ: each file but RECORD and its signatures is listed with a hash that holds."""
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8"))))
    except (UnicodeDecodeError, csv.Error) as error:
        return (f"its RECORD cannot be read: {error}",)
    listed = {row[0]: row[1] if len(row) > 1 else "" for row in rows if row}
    if len(listed) != sum(map(bool, rows)):
        return ("its RECORD names a file twice",)
    exempt = {record, f"{record}.jws", f"{record}.p7s"}
    members = {info.filename for info in archive.infolist() if not info.is_dir()} - exempt
    unlisted = [f"{name!r} is not in its RECORD" for name in sorted(members - listed.keys())]
    absent = [f"{name!r} is in its RECORD and not in the wheel" for name in sorted(listed.keys() - members - exempt)]
    wrong = [
        f"{name!r} does not have the hash that its RECORD says"
        for name in sorted(members & listed.keys())
        if not _hash_holds(archive, name, listed[name])
    ]
    return (*unlisted[:_SHOWN], *absent[:_SHOWN], *wrong[:_SHOWN])


def _hash_holds(archive: zipfile.ZipFile, name: str, expected: str) -> bool:
    algorithm, _, value = expected.partition("=")
    if algorithm not in _STRONG:
        return False
    state = hashlib.new(algorithm)
    with archive.open(name) as file:
        while chunk := file.read(1 << 20):
            state.update(chunk)
    return base64.urlsafe_b64encode(state.digest()).rstrip(b"=").decode() == value.rstrip("=")


def top_level_modules(names: list[str], dist_info: str) -> tuple[str, ...]:
    """Return the importable top-level names among a wheel's paths, sorted.

    A folder counts when a module lies somewhere below it (namespace packages have no `__init__.py` of their own). What
    `.data/purelib` and `.data/platlib` install is taken as if it lay at the top.
    """
    data = f"{dist_info.removesuffix('.dist-info')}.data"
    found: set[str] = set()
    for name in names:
        parts = PurePosixPath(name).parts
        if parts[:1] == (data,):
            if parts[1:2] not in (("purelib",), ("platlib",)):
                continue
            parts = parts[2:]
        module = _module(parts[-1]) if parts else None
        if module is None or parts[0].endswith((".dist-info", ".libs")):
            continue
        top = parts[0] if len(parts) > 1 else module
        if top.isidentifier() and top not in ("__init__", "__main__"):
            found.add(top)
    return tuple(sorted(found))


def _module(filename: str) -> str | None:
    """Return the module that a file is: `x.py`, `x.so`, `x.cpython-311-x86_64-linux-gnu.so`, `x.abi3.so`."""
    stem, _, rest = filename.partition(".")
    plain = rest in ("py", "so") or (rest.endswith(".so") and rest.startswith(("cpython-", "abi3", "pypy")))
    return stem if plain else None
