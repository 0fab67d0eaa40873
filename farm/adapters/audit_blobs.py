"""Blobs against the catalogue: each there, with the bytes of its name, and with its own METADATA beside it."""

from __future__ import annotations

import os
import random
import re
from typing import TYPE_CHECKING

from farm.adapters.audit_beside import SIDECAR
from farm.adapters.durable import TEMPORARY, storing
from farm.adapters.hashing import Checked, hash_files, witness
from farm.adapters.inventory import DIGITS
from farm.model.keeping import Damage, remake
from farm.model.package import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from farm.adapters.audit import AuditPorts, AuditRequest
    from farm.adapters.audit_beside import BesideAudit
    from farm.adapters.hashing import Hashed
    from farm.adapters.inventory import Inventory
    from farm.adapters.mend import Mender
    from farm.model.attempt import WheelRecord

_REST = re.compile(r"[0-9a-f]{62}")
_MODE = 0o444


class BlobAudit:
    """Goes through `blobs/` by the first two digits. `mender` None: only tell."""

    def __init__(
        self,
        root: Path,
        inventory: Inventory,
        request: AuditRequest,
        hands: tuple[AuditPorts, BesideAudit, Mender | None],
    ) -> None:
        self.seen = self.checked = self.hashed = self.skipped = self.unlisted = self.unlisted_bytes = 0
        self._root = root
        self._inventory = inventory
        self._request = request
        self._ports, self._beside, self._mender = hands
        self._journal = Checked(root / "cache" / "fsck" / "checked")
        if request.since is None and request.sample >= 100:
            self._journal.clear()
        self._sound = frozenset[str]() if request.since is None else self._journal.since(request.since)
        self._dice = random.SystemRandom()

    def look(self, digit: str) -> Iterator[Damage]:
        """Yield what is wrong with the files whose digests begin with `digit`."""
        # The rows first: what they list is on the disk already.
        rows: dict[str, list[WheelRecord]] = {}
        for record in self._inventory.between(digit):
            rows.setdefault(record.sha256, []).append(record)
        for second in DIGITS:
            prefix = digit + second
            yield from self._folder(prefix, {key: rows[key] for key in rows if key.startswith(prefix)})

    def _folder(self, prefix: str, rows: dict[str, list[WheelRecord]]) -> Iterator[Damage]:
        folder = self._root / "blobs" / prefix
        there: dict[str, os.stat_result] = {}
        for name, found in _entries(folder):
            if _REST.fullmatch(name):
                there[prefix + name] = found
            elif not _REST.fullmatch(name.removesuffix(SIDECAR)) and not name.endswith(TEMPORARY):
                yield self._foreign(folder / name)
        self.seen += len(there)
        yield from self._modes(folder, there)
        yield from self._bytes(folder, there, rows)
        for digest, records in rows.items():
            if digest not in there:
                yield from self._lost(Digest(digest), records, "blob-missing", "its bytes are gone")

    def strays(self) -> Iterator[Damage]:
        """Yield what lies in `blobs/` itself and is no folder of it."""
        folder = self._root / "blobs"
        for name, _ in _entries(folder):
            if len(name) != 2 or not set(name) <= set(DIGITS):
                yield self._foreign(folder / name)

    def _bytes(
        self, folder: Path, there: dict[str, os.stat_result], rows: dict[str, list[WheelRecord]]
    ) -> Iterator[Damage]:
        chosen = {digest: found for digest, found in there.items() if self._wanted(digest, found)}
        self.skipped += len(there) - len(chosen)
        sound: list[str] = []
        listed = set(rows)
        for hashed in hash_files([folder / digest[2:] for digest in chosen], self._request.workers):
            digest = Digest(folder.name + hashed.path.name)
            self.checked += 1
            self.hashed += hashed.size
            if hashed.digest == digest:
                sound.append(witness(digest, chosen[digest]))
            elif hashed.digest != "":
                yield from self._damaged(digest, hashed, rows.get(digest, []))
                rows.pop(digest, None)
        if sound:
            self._journal.add(sound, self._ports.clock.now().timestamp())
        for name, found in there.items():
            if name not in listed:
                self.unlisted += 1
                self.unlisted_bytes += found.st_size
        for name in sorted(listed & rows.keys() & there.keys()):
            for record in rows[name]:
                yield from self._beside.look(record, folder / name[2:], whole=name in chosen)

    def _wanted(self, digest: str, found: os.stat_result) -> bool:
        if self._request.sample < 100 and self._dice.random() * 100 >= self._request.sample:
            return False
        return witness(digest, found) not in self._sound

    def _modes(self, folder: Path, there: dict[str, os.stat_result]) -> Iterator[Damage]:
        for digest, found in there.items():
            if found.st_mode & 0o777 != _MODE:
                path = folder / digest[2:]
                mended = self._mender is not None and self._mender.allow(path, _MODE)
                yield Damage(
                    kind="permissions",
                    subject=f"blobs/{folder.name}/{digest[2:]}",
                    found=f"expected a file that all may read and nobody writes, found mode {found.st_mode & 0o777:o}",
                    remedy="" if mended else f"chmod 444 {path}",
                    mended=mended,
                )

    def _damaged(self, digest: Digest, hashed: Hashed, records: Sequence[WheelRecord]) -> Iterator[Damage]:
        if hashed.digest is None:
            yield Damage(
                kind="permissions",
                subject=f"blobs/{digest[:2]}/{digest[2:]}",
                found=f"cannot be read: {hashed.trouble}",
                remedy="give the farm's user the right to read it, or look at the disk; then run farm fsck again",
            )
            return
        found = f"its bytes have sha256 {hashed.digest} ({hashed.size} bytes)"
        if records:
            yield from self._lost(digest, records, "blob-damaged", found)
            return
        mended = self._mender is not None and self._mender.set_apart(hashed.path, digest)
        yield Damage(
            kind="blob-damaged",
            subject=digest,
            found=f"{found}; not on the index",
            remedy="" if mended else "farm fsck --fix sets it apart; a build makes it again when it is wanted",
            mended=mended,
        )

    def _lost(self, digest: Digest, records: Sequence[WheelRecord], kind: str, found: str) -> Iterator[Damage]:
        """Yield a listed file whose bytes are not there, once for each of its names."""
        if self._mender is not None:
            lost = self._mender.lose(digest, records, found)
        else:
            lost = self._inventory.lists(digest) and (kind == "blob-damaged" or not self._path(digest).is_file())
        for record in records if lost else ():
            again = remake(record)
            yield Damage(
                kind="blob-missing" if kind == "blob-missing" else "blob-damaged",
                subject=record.filename,
                found=found if self._mender is None else f"{found}; it is off the index now",
                remedy=f"to have it again: {again}"
                if self._mender
                else f"farm fsck --fix takes it off the index; {again} brings it back",
            )

    def _foreign(self, path: Path) -> Damage:
        mended = self._mender is not None and self._mender.set_apart(path)
        return Damage(
            kind="blob-foreign",
            subject=str(path.relative_to(self._root)),
            found="nothing that the farm put there",
            remedy="" if mended else "farm fsck --fix moves it to quarantine/",
            mended=mended,
        )

    def _path(self, digest: Digest) -> Path:
        return self._root / "blobs" / digest[:2] / digest[2:]


def _entries(folder: Path) -> list[tuple[str, os.stat_result]]:
    found = []
    with storing(folder):
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except FileNotFoundError:
            return []
        for entry in entries:
            try:
                found.append((entry.name, entry.stat(follow_symlinks=False)))
            except FileNotFoundError:
                continue
    return found
