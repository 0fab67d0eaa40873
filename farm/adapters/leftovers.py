"""What dead processes left in the staging folder."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from farm.adapters.durable import TEMPORARY, storing
from farm.adapters.rooms import QUESTION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farm.adapters.catalogue import Catalogue
    from farm.adapters.locks import Locks

_ROOM = "room-"


def leftovers(root: Path, catalogue: Catalogue, locks: Locks, before: float) -> Iterator[tuple[Path, int]]:
    """Yield what lies in `staging` since before `before` (seconds since 1970) and belongs to nobody alive, with its bytes."""
    folder = root / "staging"
    with storing(folder), suppress(FileNotFoundError):
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            with suppress(FileNotFoundError):
                if entry.stat(follow_symlinks=False).st_mtime < before and not _of_someone(
                    entry.name, catalogue, locks
                ):
                    yield Path(entry.path), tree_size(Path(entry.path))


def _of_someone(name: str, catalogue: Catalogue, locks: Locks) -> bool:
    if name.endswith(TEMPORARY):
        return False
    if not name.startswith(_ROOM):
        # Nobody knows what it is, so nobody may take it away.
        return True
    identity = name.removeprefix(_ROOM)
    if QUESTION in identity:
        return locks.alive(identity.partition(QUESTION)[0])
    attempt = catalogue.attempt(identity)
    return attempt is not None and locks.alive(attempt.run)


def tree_size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                total += (Path(folder) / name).lstat().st_size
    return total
