"""Bytes by their sha256, in a folder: `blobs/<2 hex>/<62 hex>`. What has a name here is whole, durable and never changes."""

from __future__ import annotations

import hashlib
import os
from contextlib import ExitStack, contextmanager, suppress
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
        with ExitStack() as stack:
            temporary, digest = self._copied(stack, source, expected)
            self._place({temporary: self.path(digest)})
        return digest

    def keep_bytes(self, data: bytes) -> Digest:
        """Keep bytes and return their digest."""
        digest = Digest(hashlib.sha256(data).hexdigest())
        with ExitStack() as stack:
            self._place({self._written(stack, data): self.path(digest)})
        return digest

    def keep_published(self, source: Path, digest: Digest, metadata: bytes, *, move: bool = False) -> None:
        """Keep a file of the index with its METADATA beside it; IntegrityError when its bytes are not `digest`.

        `move` is for a file that this process wrote into the staging folder and hashed as it wrote: it is renamed, not copied.
        """
        final = self.path(digest)
        with ExitStack() as stack:
            temporary = _flushed(source) if move else self._copied(stack, source, digest)[0]
            self._place({temporary: final, self._written(stack, metadata): final.with_name(final.name + _SIDECAR)})

    def metadata(self, digest: Digest) -> Path | None:
        """Return the METADATA of the published file `digest` (PEP 658), or None when no such file was published."""
        path = self.path(digest)
        sidecar = path.with_name(path.name + _SIDECAR)
        with storing(sidecar):
            return sidecar if sidecar.is_file() else None

    @contextmanager
    def staged(self) -> Iterator[tuple[BinaryIO, Path]]:
        """Open a new file in the staging folder; it is removed at the end of the block unless it was kept by then."""
        with writing(self._staging) as opened:
            yield opened

    def sweep(self, before: float) -> None:
        """Remove unfinished files older than `before` (seconds since 1970)."""
        sweep(self._staging, before)

    def _copied(self, stack: ExitStack, source: Path, expected: Digest | None) -> tuple[Path, Digest]:
        stream = stack.enter_context(_opened(source))
        file, temporary = stack.enter_context(writing(self._staging))
        hasher = hashlib.sha256()
        while chunk := stream.read(_CHUNK):
            hasher.update(chunk)
            file.write(chunk)
        digest = Digest(hasher.hexdigest())
        if expected is not None and digest != expected:
            raise mismatch(str(source), digest, expected)
        flush(file)
        return temporary, digest

    def _written(self, stack: ExitStack, data: bytes) -> Path:
        file, temporary = stack.enter_context(writing(self._staging))
        file.write(data)
        flush(file)
        return temporary

    @staticmethod
    def _place(ready: dict[Path, Path]) -> None:
        """Give durable files of one folder their names, and make the names durable."""
        folder = next(iter(ready.values())).parent
        make_dirs(folder)
        with storing(folder):
            for temporary, final in ready.items():
                if _same_size(temporary, final):
                    # Who collects what nobody wants any more sees that it is wanted again.
                    with suppress(PermissionError):
                        os.utime(final)
                else:
                    temporary.chmod(0o444)
                    temporary.replace(final)
            # Even when another process put them there: its own fsync may still be to come, and our caller relies on the names.
            fsync_dir(folder)


def mismatch(what: str, found: Digest, expected: Digest) -> IntegrityError:
    """Return the error of bytes that are not those that were promised."""
    return IntegrityError(
        f"{what}: expected sha256 {expected}, found {found}",
        solution="the file changed after it was checked: build it again",
    )


def _same_size(temporary: Path, final: Path) -> bool:
    with suppress(FileNotFoundError):
        return final.stat().st_size == temporary.stat().st_size
    return False


def _flushed(path: Path) -> Path:
    with storing(path), path.open("rb") as file:
        os.fsync(file.fileno())
    return path


@contextmanager
def _opened(source: Path) -> Iterator[BinaryIO]:
    with storing(source):
        stream = source.open("rb")
    with stream:
        yield stream
