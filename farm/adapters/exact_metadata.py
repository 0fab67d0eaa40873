"""Metadata that a backend computed in a container: what an sdist's own files could only guess.

Kept by the sdist's sha256, the interpreter and the platform family, since a setup.py may look at all three.
"""

from __future__ import annotations

import hashlib
import os
import threading
from typing import TYPE_CHECKING

from farm.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from farm.model.package import IndexFile
    from farm.model.target import Target


class ExactMetadata:
    """METADATA texts on disk. `folder` is state, not cache: losing it costs containers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, sdist: IndexFile, target: Target, mark: str = "") -> str | None:
        """Return what was recorded, None where nothing was; `mark` tells apart what else the answer hangs on, such as a recipe."""
        try:
            return self._path(sdist, target, mark).read_text("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            message = f"{self._path(sdist, target, mark)}: cannot be read: {error}"
            raise StoreError(message, solution="delete the file; it is made again") from error

    def put(self, sdist: IndexFile, target: Target, metadata: str, mark: str = "") -> None:
        path = self._path(sdist, target, mark)
        fresh = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(metadata, "utf-8")
            fresh.replace(path)
        except OSError as error:
            message = f"cannot keep metadata in {path.parent}: {error.strerror or error}"
            raise StoreError(message, solution="free space there, or make the folder writable") from error

    def state(self) -> str:
        """Return a token that changes when something is recorded."""
        try:
            # A wheel's own METADATA may replace what was recorded before it was built.
            files = sorted((str(path.relative_to(self._folder)), path.stat()) for path in self._folder.glob("*/*.METADATA"))
        except OSError:
            return ""
        marks = (f"{name} {found.st_mtime_ns} {found.st_size}" for name, found in files)
        return hashlib.sha256("\n".join(marks).encode()).hexdigest()

    def _path(self, sdist: IndexFile, target: Target, mark: str) -> Path:
        key = sdist.sha256 or hashlib.sha256(sdist.url.encode()).hexdigest()
        return self._folder / f"{key}{mark and '-'}{mark}" / f"{target.python_tag}-{family(target)}.METADATA"


def family(target: Target) -> str:
    """Return the platform without its libc or system level: `manylinux_x86_64`, `macosx_arm64`, `win_amd64`."""
    if target.libc is not None:
        return f"{target.libc[0]}_{target.arch}"
    return f"macosx_{target.arch}" if target.platform.startswith("macosx") else target.platform
