"""What is kept about wheels beside their bytes: signed statements below `provenance/`, facts of builds beside their logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from farm.adapters.durable import make_dirs, replace_file, storing
from farm.model.package import Digest, parse_digest
from farm.model.provenance import BuildFacts

if TYPE_CHECKING:
    from pathlib import Path


class Attestations:
    """Satisfies `ports.Attestations` in a store: `provenance/<2>/<62>.jsonl`, by the digest of the wheel."""

    def __init__(self, root: Path) -> None:
        self._root = root / "provenance"

    def path(self, digest: Digest) -> Path:
        """Return where the statement about a wheel is or would be. ValueError when `digest` is no sha256."""
        checked = parse_digest(digest)
        return self._root / checked[:2] / f"{checked[2:]}.jsonl"

    def find(self, digest: Digest) -> bytes | None:
        """Return the envelope, or None. StoreError when it cannot be read."""
        path = self.path(digest)
        with storing(path):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def keep(self, digest: Digest, envelope: bytes) -> None:
        """Keep an envelope durably, in the place of an older one."""
        path = self.path(digest)
        make_dirs(path.parent)
        replace_file(path, envelope)

    def remove(self, digest: Digest) -> None:
        path = self.path(digest)
        with storing(path):
            path.unlink(missing_ok=True)


class BuildNotes:
    """Satisfies `ports.BuildNotes`: `logs/<day>/<attempt>.json`, so that they go when the logs do."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def keep(self, facts: BuildFacts) -> None:
        path = self._path(facts.attempt)
        make_dirs(path.parent)
        replace_file(path, msgspec.json.format(msgspec.json.encode(facts), indent=1))

    def find(self, attempt: str) -> BuildFacts | None:
        """Return what is remembered of an attempt's build; None when that is nothing, or of another farm's form."""
        path = self._path(attempt)
        with storing(path):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                return None
        try:
            return msgspec.json.decode(data, type=BuildFacts)
        except msgspec.DecodeError:
            return None

    def _path(self, attempt: str) -> Path:
        return self._root / "logs" / attempt[:8] / f"{attempt}.json"
