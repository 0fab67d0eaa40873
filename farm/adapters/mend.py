"""What `farm fsck --fix` does: nothing that could lose what is still good. Damaged bytes are set apart, never deleted."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from farm.adapters.durable import fsync_dir, make_dirs, replace_file, storing
from farm.adapters.hashing import hash_file
from farm.model.keeping import tombstone

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from farm.adapters.inventory import Inventory
    from farm.adapters.store import Store
    from farm.model.attempt import WheelRecord
    from farm.model.package import Digest
    from farm.ports import Clock


class Mender:
    """Each method looks again before it does something, and may be repeated. StoreError when the disk refuses."""

    def __init__(self, root: Path, store: Store, inventory: Inventory, clock: Clock) -> None:
        self._root = root
        self._store = store
        self._inventory = inventory
        self._clock = clock

    def lose(self, digest: Digest, records: Sequence[WheelRecord], why: str) -> bool:
        """Set damaged bytes apart and take their files off the index. False when they turn out sound, or were taken off."""
        path = self._root / "blobs" / digest[:2] / digest[2:]
        with self._store.locks.removing():
            if hash_file(path).digest == digest or not self._inventory.lists(digest):
                return False
            # Before they leave the index: nobody must be sent wrong bytes, nor find them there when he publishes again.
            self._move(path, digest)
            now = self._clock.now()
            self._store.unlist([tombstone(record, f"damaged in the store: {why}", now) for record in records])
        return True

    def set_apart(self, path: Path, digest: Digest | None = None) -> bool:
        """Move what does not belong there to `quarantine/`; False when somebody has put the file of `digest` on the index since."""
        with self._store.locks.removing():
            if digest is not None and self._inventory.lists(digest):
                return False
            self._move(path, digest or path.name)
        return True

    def put_beside(self, record: WheelRecord, metadata: bytes, size: int) -> bool:
        """Write a file's METADATA anew from its own bytes."""
        import hashlib  # noqa: PLC0415 - only here

        path = self._root / "blobs" / record.sha256[:2] / f"{record.sha256[2:]}.metadata"
        replace_file(path, metadata)
        with storing(path):
            path.chmod(0o444)
        said = hashlib.sha256(metadata).hexdigest()
        if record.size != size or record.metadata_sha256 not in (said, None):
            return self.correct(record, size, said)  # type: ignore[arg-type]
        return True

    def correct(self, record: WheelRecord, size: int, metadata_sha256: Digest | None) -> bool:
        """Put right what a row says of its file's bytes, and its page."""
        self._inventory.correct(record.filename, size=size, metadata_sha256=metadata_sha256)
        self._store.refresh((record.name,))
        return True

    def allow(self, path: Path, mode: int) -> bool:
        """Set a file's permissions; False when it is somebody else's."""
        try:
            path.chmod(mode)
        except FileNotFoundError:
            return True
        except PermissionError:
            return False
        return True

    def clear(self, path: Path) -> None:
        """Remove what nobody uses from the staging folder."""
        with storing(path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _move(self, path: Path, name: str) -> None:
        folder = self._root / "quarantine"
        make_dirs(folder)
        with storing(path):
            target = folder / f"{name}-{self._clock.now():%Y%m%d-%H%M%S-%f}"
            try:
                path.rename(target)
            except FileNotFoundError:
                return
            fsync_dir(folder)
            fsync_dir(path.parent)
