"""The tokens as servers see them: `access/tokens.json` in the store, which follows the catalogue. Imports no database."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from farm.adapters.durable import make_dirs, replace_file, storing
from farm.errors import StoreError
from farm.model.token import Token

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path


class TokenFile:
    """The tokens as servers see them. Reads files only."""

    def __init__(self, root: Path) -> None:
        """`root` is the store's."""
        self._folder = root / "access"
        self._path = self._folder / "tokens.json"

    def signature(self) -> Hashable:
        """Return what changes whenever `tokens` does; costs one stat."""
        with storing(self._path), suppress(FileNotFoundError):
            found = self._path.stat()
            return found.st_ino, found.st_mtime_ns, found.st_size
        return None

    def tokens(self) -> tuple[Token, ...]:
        """Return all tokens, also those that have expired. StoreError when the file is damaged: nobody is let in then."""
        with storing(self._path):
            try:
                data = self._path.read_bytes()
            except FileNotFoundError:
                return ()
        try:
            return tuple(_token(row) for row in json.loads(data))
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(
                f"{self._path}: expected the farm's tokens, found something else: {error}",
                solution="run `farm token list`, which writes the file anew from the catalogue",
            ) from error

    def mark_used(self, name: str) -> None:
        """Remember that a token was used now. A disk that cannot take it is no reason to turn anyone away."""
        with suppress(OSError):
            self._used(name).touch()

    def last_use(self, name: str) -> datetime | None:
        """Return when a token was last seen, to the hour at best; None for never."""
        with storing(self._folder), suppress(FileNotFoundError):
            return datetime.fromtimestamp(self._used(name).stat().st_mtime, UTC)
        return None

    def write(self, tokens: tuple[Token, ...]) -> None:
        """Put the file, durably. The caller holds its lock."""
        make_dirs(self._folder)
        replace_file(self._path, json.dumps([token_row(token) for token in tokens], indent=1).encode())
        known = {self._used(token.name).name for token in tokens}
        for entry in os.scandir(self._folder):
            if entry.name.endswith(".used") and entry.name not in known:
                os.unlink(entry.path)  # noqa: PTH108 - a DirEntry

    def _used(self, name: str) -> Path:
        return self._folder / f"{name}.used"


def token_row(token: Token) -> dict[str, Any]:
    """Return a token as JSON has it."""
    return {
        "name": token.name,
        "hash": token.hash,
        "scope": token.scope,
        "projects": list(token.projects),
        "created": token.created.isoformat(),
        "expires": None if token.expires is None else token.expires.isoformat(),
    }


def _token(row: dict[str, Any]) -> Token:
    expires = row["expires"]
    times = {
        "created": datetime.fromisoformat(row["created"]),
        "expires": datetime.fromisoformat(expires) if expires else None,
    }
    return Token(**row | times | {"projects": tuple(row["projects"])})
