"""Bytes by their sha256, in a folder: `blobs/<2 hex>/<62 hex>`. What has a name here is whole, durable and never changes."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from farm.adapters.durable import flush, fsync_dir, make_dirs, storing, sweep, writing
from farm.model.build import IntegrityError
from farm.model.package import Digest, parse_digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK = 1 << 20
_SIDECAR = ".metadata"


class Blobs:
    """A folder of blobs. `staging` is where they are written first; it must be on the same file system."""

    def __init__(self, root: Path, staging: Path) -> None:
        self._root = root
        self._staging = staging

    def path(self, digest: Digest) -> Path:
        """Return where the bytes are or would be. ValueError when `digest` is no sha256, so no path can leave the folder."""
        checked = parse_digest(digest)
        return self._root / checked[:2] / checked[2:]

    def find(self, digest: Digest) -> Path | None:
        path = self.path(digest)
        with storing(path):
            return path if path.is_file() else None

    def keep(self, source: Path, expected: Digest | None = None) -> Digest:
        """Copy a file in and return its digest. IntegrityError when it is not `expected`; then nothing is kept.

        The digest is that of the bytes as they were copied, so a source that changes meanwhile cannot deceive.
        """
        with self._open_source(source) as (stream, size), writing(self._staging) as (file, temporary):
            hasher = hashlib.sha256()
            while chunk := stream.read(_CHUNK):
                hasher.update(chunk)
                file.write(chunk)
            digest = Digest(hasher.hexdigest())
            if expected is not None and digest != expected:
                raise _mismatch(str(source), digest, expected)
            flush(file)
            self._place(temporary, self.path(digest), size)
        return digest

    def keep_bytes(self, data: bytes) -> Digest:
        """Keep bytes and return their digest."""
        digest = Digest(hashlib.sha256(data).hexdigest())
        self._write(self.path(digest), data)
        return digest

    def metadata(self, digest: Digest) -> Path | None:
        """Return the METADATA file of the wheel `digest` (PEP 658), or None when no such wheel was published."""
        path = self.path(digest)
        sidecar = path.with_name(path.name + _SIDECAR)
        with storing(sidecar):
            return sidecar if sidecar.is_file() else None

    def keep_metadata(self, digest: Digest, data: bytes, expected: Digest) -> None:
        """Put a wheel's METADATA beside it. IntegrityError when `data` is not `expected`."""
        found = Digest(hashlib.sha256(data).hexdigest())
        if found != expected:
            raise _mismatch(f"METADATA of {digest}", found, expected)
        path = self.path(digest)
        self._write(path.with_name(path.name + _SIDECAR), data)

    def sweep(self, before: float) -> None:
        """Remove unfinished files older than `before` (seconds since 1970)."""
        sweep(self._staging, before)

    def _write(self, path: Path, data: bytes) -> None:
        with writing(self._staging) as (file, temporary):
            file.write(data)
            flush(file)
            self._place(temporary, path, len(data))

    @staticmethod
    def _place(temporary: Path, final: Path, size: int) -> None:
        make_dirs(final.parent)
        if not (final.is_file() and final.stat().st_size == size):
            temporary.chmod(0o444)
            temporary.replace(final)
        # Even when another process put it there: its own fsync may still be to come, and our caller relies on the name.
        fsync_dir(final.parent)

    @staticmethod
    @contextmanager
    def _open_source(source: Path) -> Iterator[tuple[BinaryIO, int]]:
        with storing(source):
            stream = source.open("rb")
        with stream:
            yield stream, os.fstat(stream.fileno()).st_size


def _mismatch(what: str, found: Digest, expected: Digest) -> IntegrityError:
    return IntegrityError(
        f"{what}: expected sha256 {expected}, found {found}",
        solution="the file changed after it was checked: build it again",
    )
