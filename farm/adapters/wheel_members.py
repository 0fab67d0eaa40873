"""A published wheel's own METADATA, read off its bytes."""

from __future__ import annotations

import zipfile
import zlib
from typing import TYPE_CHECKING

from farm.adapters.hashing import open_unseen

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST = 64 << 20


def wheel_metadata(path: Path) -> bytes | None:
    """Return the METADATA of a wheel; None when it has not exactly one, or cannot be read as a zip file."""
    try:
        with open(open_unseen(path), "rb") as file, zipfile.ZipFile(file) as archive:  # noqa: PTH123 - a descriptor
            found = [
                info
                for info in archive.infolist()
                if info.filename.endswith(".dist-info/METADATA") and info.filename.count("/") == 1
            ]
            if len(found) != 1 or found[0].file_size > _LONGEST:
                return None
            return archive.read(found[0])
    except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError):
        return None
