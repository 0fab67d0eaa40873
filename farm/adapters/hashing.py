"""Hashing a store's blobs again: streaming, side by side, without leaving a trace of having read them."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farm.adapters.durable import make_dirs, storing
from farm.model.package import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_CHUNK = 1 << 18
_LONGEST = 200_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashed:
    """A file and the sha256 of its bytes; None when it could not be read, "" when it went away."""

    path: Path
    digest: Digest | None
    size: int = 0
    trouble: str = ""


def hash_file(path: Path) -> Hashed:
    """Return a file's sha256. `farm gc` tells by access times what is used, so this leaves them as they are where it may."""
    try:
        handle = open_unseen(path)
    except FileNotFoundError:
        return Hashed(path=path, digest=Digest(""))
    except OSError as error:
        return Hashed(path=path, digest=None, trouble=error.strerror or str(error))
    hasher, size = hashlib.sha256(), 0
    try:
        with open(handle, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor
            while chunk := file.read(_CHUNK):
                hasher.update(chunk)
                size += len(chunk)
    except OSError as error:
        return Hashed(path=path, digest=None, size=size, trouble=error.strerror or str(error))
    return Hashed(path=path, digest=Digest(hasher.hexdigest()), size=size)


def open_unseen(path: Path) -> int:
    """Return a descriptor to read a file by, without changing its access time where the system allows that. OSError."""
    with suppress(PermissionError):
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOATIME)
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def hash_files(paths: Sequence[Path], workers: int) -> Iterator[Hashed]:
    """Yield the files with their digests, in their order."""
    if len(paths) < 2 or workers < 2:
        yield from map(hash_file, paths)
        return
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(hash_file, paths)


class Checked:
    """Which files were found sound, and when: a run that was interrupted can be carried on, and a daily one be short.

    A line for each: name, inode, time of change, size, when (seconds since 1970). A line that was cut off says nothing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def clear(self) -> None:
        """Forget all: everything is about to be looked at again."""
        with storing(self._path):
            self._path.unlink(missing_ok=True)

    def since(self, when: float) -> frozenset[str]:
        """Return the lines, without their times, of what was sound since then."""
        try:
            lines = self._path.read_text("ascii", errors="replace").splitlines()
        except FileNotFoundError:
            return frozenset()
        parts = (line.rpartition(" ") for line in lines)
        return frozenset(
            what for what, _, time in parts if time.endswith(";") and time[:-1].isdigit() and int(time[:-1]) >= when
        )

    def add(self, found: Sequence[str], now: float) -> None:
        """Note that files are sound."""
        make_dirs(self._path.parent)
        with storing(self._path), self._path.open("ab") as file:
            if file.tell() < _LONGEST:
                file.write("".join(f"{what} {int(now)};\n" for what in found).encode())


def witness(name: str, found: os.stat_result) -> str:
    """Return what changes when a file does."""
    return f"{name} {found.st_ino} {found.st_mtime_ns} {found.st_size}"
