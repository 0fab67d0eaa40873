"""A wheel's members against its RECORD, and the modules that it installs."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import stat
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import zipfile

_MAX_BYTES = 16 << 30
_MAX_MEMBERS = 400_000
_SHOWN = 5
_STRONG = ("sha256", "sha384", "sha512")


def check_paths(archive: zipfile.ZipFile) -> tuple[str, ...]:
    """Return faults of a wheel as a zip file: paths that leave it, names twice, links, more than 16 GiB unpacked."""
    infos = archive.infolist()
    if len(infos) > _MAX_MEMBERS or sum(info.file_size for info in infos) > _MAX_BYTES:
        return (f"it unpacks to more than {_MAX_MEMBERS} files or {_MAX_BYTES >> 30} GiB",)
    faults: list[str] = []
    seen: set[str] = set()
    for info in infos:
        path = PurePosixPath(info.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in info.orig_filename or "\0" in info.orig_filename:
            faults.append(f"the path {info.orig_filename!r} leaves it")
        if info.filename in seen:
            faults.append(f"{info.filename!r} is in it twice")
        if stat.S_ISLNK(info.external_attr >> 16):
            faults.append(f"{info.filename!r} is a symbolic link")
        seen.add(info.filename)
    return tuple(faults[:_SHOWN])


def check_record(archive: zipfile.ZipFile, record: str, content: bytes) -> tuple[str, ...]:
    """Return where RECORD and members differ: each file but RECORD and its signatures is listed with a hash that holds."""
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8"))))
    except (UnicodeDecodeError, csv.Error) as error:
        return (f"its RECORD cannot be read: {error}",)
    listed = {row[0]: row[1] if len(row) > 1 else "" for row in rows if row}
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
