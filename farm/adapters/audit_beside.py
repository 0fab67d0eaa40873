"""A file's METADATA, and what its row says of it, against its own bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farm.adapters.wheel_members import wheel_metadata
from farm.model.keeping import Damage
from farm.model.package import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from farm.adapters.inventory import Inventory
    from farm.adapters.locks import Locks
    from farm.adapters.mend import Mender
    from farm.model.attempt import WheelRecord

SIDECAR = ".metadata"
_FIXES = "farm fsck --fix mends it"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What lies there: `beside` the METADATA beside the file, `own` the one in it, `size` the file's bytes; None where there is none."""

    beside: bytes | None
    own: bytes | None
    size: int

    def agrees(self, record: WheelRecord) -> bool:
        if self.beside is None or self.beside != self.own or record.size != self.size:
            return False
        # An sdist's row has no digest of its metadata.
        return record.metadata_sha256 in (_digest(self.beside), None)


class BesideAudit:
    """`sdist_metadata` reads an sdist's own. `mender` None: only tell."""

    def __init__(
        self, inventory: Inventory, locks: Locks, sdist_metadata: Callable[[Path], bytes | None], mender: Mender | None
    ) -> None:
        self._inventory = inventory
        self._locks = locks
        self._sdist_metadata = sdist_metadata
        self._mender = mender

    def look(self, record: WheelRecord, blob: Path, *, whole: bool) -> Iterator[Damage]:
        """Yield what is wrong; unless `whole`, the file itself is read only where something else looks wrong."""
        if self._sound(record, blob, whole=whole):
            return
        # Somebody may be publishing or collecting it just now.
        with self._locks.removing():
            seen = self._seen(record, blob) if self._inventory.lists(record.sha256) else None
        if seen is None or seen.agrees(record):
            return
        if seen.own is None:
            found = "no METADATA can be read from it" + (", and none is beside it" if seen.beside is None else "")
            again = "it was published by other means than the farm's: publish a wheel with METADATA, under a build tag, in its place"
            yield Damage(kind="metadata-missing", subject=record.filename, found=found, remedy=again)
        elif seen.own == seen.beside:
            said = _digest(seen.own) if record.metadata_sha256 else None
            mended = self._mender is not None and self._mender.correct(record, seen.size, said)
            found = (
                f"its row says {record.size} bytes and METADATA {record.metadata_sha256}, found {seen.size} and {said}"
            )
            yield _damage("row-nonsense", record, found, mended=mended)
        else:
            mended = self._mender is not None and self._mender.put_beside(record, seen.own, seen.size)
            if seen.beside is None:
                yield _damage("metadata-missing", record, "its METADATA is gone", mended=mended)
            else:
                yield _damage("metadata-differs", record, "another METADATA than its own is beside it", mended=mended)

    def _sound(self, record: WheelRecord, blob: Path, *, whole: bool) -> bool:
        try:
            if whole or record.metadata_sha256 is None:
                seen = self._seen(record, blob)
                return seen is not None and seen.agrees(record)
            beside = blob.with_name(blob.name + SIDECAR).read_bytes()
            return blob.stat().st_size == record.size and _digest(beside) == record.metadata_sha256
        except FileNotFoundError:
            return False

    def _seen(self, record: WheelRecord, blob: Path) -> _Seen | None:
        """Return what lies there; None when the file itself does not: that is told elsewhere."""
        try:
            size = blob.stat().st_size
        except FileNotFoundError:
            return None
        try:
            beside = blob.with_name(blob.name + SIDECAR).read_bytes()
        except FileNotFoundError:
            beside = None
        own = wheel_metadata(blob) if record.filename.endswith(".whl") else self._sdist_metadata(blob)
        return _Seen(beside=beside, own=own, size=size)


def _damage(kind: str, record: WheelRecord, found: str, *, mended: bool) -> Damage:
    return Damage(kind=kind, subject=record.filename, found=found, remedy="" if mended else _FIXES, mended=mended)  # type: ignore[arg-type]


def _digest(data: bytes) -> Digest:
    return Digest(hashlib.sha256(data).hexdigest())
