"""Entries of pip's wheel cache: a wheel, `origin.json` with the sdist's URL and hash, and our own note of what we put there.

Source: pip's cache.py (SimpleWheelCache, CacheEntry) since 23.1. pip passes over names there that are no wheels, so the note
does no harm. The wheel is renamed into place last: a pip that runs meanwhile sees a whole entry or none.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from farm.adapters.durable import replace_file, storing
from farm.adapters.process import redact
from farm.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from farm.model.package import Digest

NOTE = "farm-seed.json"
_ORIGIN = "origin.json"
_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Planting:
    """A wheel for one entry. `url` and `sdist` (sha256) are those of the sdist that the entry stands for."""

    folder: Path
    filename: str
    sha256: Digest
    url: str
    sdist: Digest


def look(folder: Path, planting: Planting, fitting: frozenset[str]) -> Literal["there", "own-build", "absent"]:
    """Return what an entry holds: this very wheel, a wheel that pip built itself and would take (one of `fitting`), or neither."""
    note = _note(folder)
    if note.get("wheel") == planting.filename and _digest(folder / planting.filename) == planting.sha256 == note.get(
        "sha256"
    ):
        return "there" if _origin_is(folder, planting) else "absent"
    own = fitting - {str(note.get("wheel"))}
    return "own-build" if any((folder / name).is_file() for name in own) else "absent"


def wheels(folder: Path) -> tuple[str, ...]:
    """Return the names of the wheels in an entry."""
    with suppress(OSError):
        return tuple(sorted(path.name for path in folder.glob("*.whl")))
    return ()


def plant(planting: Planting, data: bytes) -> None:
    """Put a wheel into its entry; one that we put there before goes. StoreError when the disk is full or not writable."""
    if hashlib.sha256(data).hexdigest() != planting.sha256:
        raise StoreError(
            f"{planting.filename}: its bytes are not those of its sha256", solution="`farm fsck` on the farm tells more"
        )
    before = _note(planting.folder).get("wheel")
    origin = {
        "url": redact(planting.url),
        "archive_info": {"hash": f"sha256={planting.sdist}", "hashes": {"sha256": planting.sdist}},
    }
    note = {"schema": _SCHEMA, "wheel": planting.filename, "sha256": planting.sha256, "sdist": origin["url"]}
    replace_file(planting.folder / _ORIGIN, json.dumps(origin).encode())
    replace_file(planting.folder / NOTE, json.dumps(note).encode())
    replace_file(planting.folder / planting.filename, data)
    if isinstance(before, str) and before != planting.filename and before == _plain(before):
        with storing(planting.folder):
            (planting.folder / before).unlink(missing_ok=True)


def planted(cache: Path) -> Iterator[tuple[Path, str]]:
    """Yield the entries of a pip cache that hold a wheel of ours, with its name."""
    for path in sorted((cache / "wheels").glob(f"*/*/*/*/{NOTE}")):
        yield path.parent, str(_note(path.parent).get("wheel", ""))


def uproot(folder: Path) -> bool:
    """Take our wheel out of an entry; what pip put there itself stays. False when the wheel was another's by now."""
    note = _note(folder)
    name = str(note.get("wheel", ""))
    wheel = folder / name
    ours = bool(name) and name == _plain(name) and _digest(wheel) == note.get("sha256")
    with storing(folder):
        if ours:
            wheel.unlink(missing_ok=True)
        if not wheels(folder):
            (folder / _ORIGIN).unlink(missing_ok=True)
        (folder / NOTE).unlink(missing_ok=True)
        # Up to `wheels` itself; a folder that holds anything else stays.
        for place in (folder, *list(folder.parents)[:3]):
            with suppress(OSError):
                place.rmdir()
    return ours


def _plain(name: str) -> str:
    return name.replace("\\", "/").rsplit("/", 1)[-1]


def _note(folder: Path) -> dict[str, Any]:
    return _json(folder / NOTE)


def _json(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads(path.read_bytes())
        if isinstance(found, dict):
            return found
    return {}


def _origin_is(folder: Path, planting: Planting) -> bool:
    info = _json(folder / _ORIGIN).get("archive_info")
    return isinstance(info, dict) and info.get("hashes", {}).get("sha256") == planting.sdist


def _digest(path: Path) -> str | None:
    with suppress(OSError):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return None
