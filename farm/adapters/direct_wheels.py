"""Wheels of what is on no index: `direct/<project>/<sha256>.json` in the store, one small file for each wheel.

They are on no project's page: a fork has the names and versions of upstream's own files, with other bytes. Whoever wants
one asks for it by its URL, or by the list of links of its project (pip's --find-links).
"""

from __future__ import annotations

import json
import re
from html import escape
from typing import TYPE_CHECKING, Any

from farm.adapters.durable import fsync_dir, replace_file, storing
from farm.errors import StoreError
from farm.model.package import Digest, IndexFile, Version
from farm.model.page import file_url, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from farm.model.attempt import WheelRecord
    from farm.model.direct import Direct
    from farm.model.package import NormalizedName

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class DirectWheels:
    """The list. Readers need no lock: each file is whole, and never changes once it is there."""

    def __init__(self, root: Path) -> None:
        self._root = root / "direct"

    def add(self, record: WheelRecord, direct: Direct) -> None:
        """Put a wheel on the list, durably; its bytes are kept elsewhere. StoreError."""
        file = listed(record)
        row = {
            "filename": file.filename,
            "sha256": file.sha256,
            "version": str(record.version),
            "size": file.size,
            "metadata": file.metadata,
            "requires_python": file.requires_python,
            "source": record.sdist_sha256,
            "url": direct.url,
            "commit": direct.commit,
            "built_at": record.built_at.isoformat(),
        }
        # Named by both: the same bytes may come of two sources, and each of them is then built.
        name = f"{record.sha256}-{str(record.sdist_sha256)[:16]}.json"
        replace_file(self._root / record.name / name, json.dumps(row, indent=1).encode())

    def of(self, name: NormalizedName, source: Digest) -> tuple[IndexFile, ...]:
        """Return the wheels of a project that were built from the archive with this sha256, newest first."""
        return tuple(_file(row) for row in self._rows(name) if row["source"] == source)

    def filenames(self, name: str) -> frozenset[str]:
        """Return the file names of a project's wheels. StoreError."""
        return frozenset(row["filename"] for row in self._rows(name))

    def names(self) -> tuple[str, ...]:
        """Return the projects that have any, sorted."""
        with storing(self._root):
            found = [path.name for path in self._root.iterdir() if path.is_dir()] if self._root.is_dir() else []
        return tuple(sorted(name for name in found if _NAME.fullmatch(name)))

    def all(self) -> Iterator[tuple[Path, IndexFile]]:
        """Yield each wheel with the record that lists it."""
        for name in self.names():
            for path, row in self._records(name):
                yield path, _file(row)

    def remove(self, record: Path) -> None:
        """Take a wheel off the list; the next build of its source makes it again."""
        with storing(record):
            record.unlink(missing_ok=True)
            fsync_dir(record.parent)

    def page(self, name: str) -> bytes | None:
        """Return a project's list of links as HTML, None when there is none.

        Of several wheels of one file name only the newest is a link, since a client could not tell them apart.
        """
        if not _NAME.fullmatch(name):
            return None
        rows: dict[str, dict[str, Any]] = {}
        for row in self._rows(name):
            rows.setdefault(row["filename"], row)
        return _document(f"Wheels of {name} that are on no index", map(_anchor, rows.values())) if rows else None

    def root(self) -> bytes:
        """Return the list of projects as HTML."""
        return _document("Wheels that are on no index", (f'<a href="{name}/">{name}</a>' for name in self.names()))

    def _rows(self, name: str) -> list[dict[str, Any]]:
        rows = [row for _, row in self._records(name)]
        return sorted(rows, key=lambda row: str(row["built_at"]), reverse=True)

    def _records(self, name: str) -> Iterator[tuple[Path, dict[str, Any]]]:
        folder = self._root / name
        with storing(folder):
            for path in folder.glob("*.json"):
                try:
                    yield path, json.loads(path.read_bytes())
                except ValueError as error:
                    reason = f"{path}: expected the farm's own record of a wheel, found something else: {error}"
                    raise StoreError(reason, solution="remove the file: the wheel is then built again") from error


def _file(row: dict[str, Any]) -> IndexFile:
    return IndexFile(
        filename=row["filename"], url=file_url(Digest(row["sha256"]), row["filename"]), version=Version(row["version"]),
        sha256=Digest(row["sha256"]), size=row["size"], requires_python=row["requires_python"], metadata=row["metadata"],
    )  # fmt: skip


def _anchor(row: dict[str, Any]) -> str:
    href = f"../../{file_url(Digest(row['sha256']), row['filename'])}#sha256={row['sha256']}"
    limit = f' data-requires-python="{escape(row["requires_python"])}"' if row["requires_python"] else ""
    where = f"{row['url']} at {row['commit']}" if row["commit"] else row["url"]
    return f'<a href="{escape(href)}"{limit}>{escape(row["filename"])}</a> {escape(where)}'


def _document(title: str, lines: Iterable[str]) -> bytes:
    body = "".join(f"{line}<br>\n" for line in lines)
    head = f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n</head>\n'
    return f"{head}<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n".encode()
