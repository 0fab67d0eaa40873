"""Files that are whole or absent, also after a power cut: write beside, fsync, rename, fsync the folder.

Every OSError of the store leaves here as a StoreError that says which path, how much room is left and what to do.
"""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from farm.errors import StoreError, StoreFull

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TEMPORARY = ".tmp"
"""The suffix of files that are being written. What has it and no living writer is waste."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM)


def store_error(path: Path, error: OSError) -> StoreError:
    """Return the StoreError that tells a person what stands in the way at `path`."""
    reason = f"cannot use {path}: {error.strerror or error}"
    if error.errno in _FULL:
        room = _room(path)
        return StoreFull(
            f"{reason} ({room})", solution="free some space, raise the quota, or move the store to a larger disk"
        )
    if error.errno in _FORBIDDEN:
        owner = f"give user id {os.geteuid()} the right to write there, or choose another store"
        return StoreError(reason, solution=owner)
    if error.errno == errno.EROFS:
        return StoreError(reason, solution="mount the file system for writing, or choose another store")
    return StoreError(
        f"{reason} ({_room(path)})", solution="look at the file system that holds the store, then try again"
    )


def _room(path: Path) -> str:
    for place in (path, *path.parents):
        with suppress(OSError):
            return f"{shutil.disk_usage(place).free / 1_000_000:.1f} MB free on its disk"
    return "free space unknown"


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn an OSError inside the block into a StoreError about `path` (or about the file the error itself names)."""
    try:
        yield
    except OSError as error:
        named = next((Path(name) for name in (error.filename2, error.filename) if isinstance(name, str | Path)), path)
        raise store_error(named.parent if named.name.endswith(TEMPORARY) else named, error) from error


def make_dirs(path: Path) -> None:
    """Make a folder and its parents so that they survive a power cut: each new name is fsynced in the folder that holds it."""
    if path.is_dir():
        return
    if path.parent != path:
        make_dirs(path.parent)
    with storing(path):
        path.mkdir(exist_ok=True)
        fsync_dir(path.parent)


def fsync_dir(path: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def writing(folder: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Open a new file in `folder`; it is removed at the end of the block unless it was renamed away by then."""
    make_dirs(folder)
    path = folder / f".{uuid.uuid4().hex}{TEMPORARY}"
    with storing(path):
        try:
            with path.open("xb") as file:
                yield file, path
        finally:
            with suppress(FileNotFoundError):
                path.unlink()


def flush(file: BinaryIO) -> None:
    """Bring a file's bytes to the disk."""
    file.flush()
    os.fsync(file.fileno())


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` at `path`: a reader sees the old bytes or the new ones, whenever it looks and whatever happens."""
    with writing(path.parent) as (file, temporary):
        file.write(data)
        flush(file)
        temporary.replace(path)
        fsync_dir(path.parent)


def write_token(path: Path, text: str) -> None:
    """Put a short text of ever the same length at `path`, in place: for a change token that need not outlive a power cut.

    No wait for the disk and no new file. A reader may in theory see some old and some new characters: another token still.
    """
    make_dirs(path.parent)
    with storing(path):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            os.pwrite(handle, text.encode(), 0)
        finally:
            os.close(handle)


def replace_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Replace several files of one folder, each atomically; when one cannot be written, none is replaced.

    A crash between the renames leaves some old and some new: who needs them to agree must be able to do it again. No two
    processes may replace the same file at once: a half written one is found, and written over, by its name.
    """
    make_dirs(folder)
    ready = {folder / f".{name}{TEMPORARY}": folder / name for name in contents}
    with storing(folder):
        try:
            for temporary, final in ready.items():
                with temporary.open("wb") as file:
                    file.write(contents[final.name])
                    flush(file)
            for temporary, final in ready.items():
                temporary.replace(final)
            fsync_dir(folder)
        finally:
            for temporary in ready:
                with suppress(FileNotFoundError):
                    temporary.unlink()


def sweep(folder: Path, before: float) -> None:
    """Remove what writers that died left in `folder`: temporary files last changed before `before` (seconds since 1970)."""
    with storing(folder), suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            if entry.name.endswith(TEMPORARY):
                # Another sweeper may be quicker.
                with suppress(FileNotFoundError):
                    if entry.stat(follow_symlinks=False).st_mtime < before:
                        Path(entry.path).unlink()
