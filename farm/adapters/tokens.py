"""Tokens in the catalogue: making and revoking them. The servers' file follows each change (`farm.adapters.token_file`)."""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from farm.adapters import tables
from farm.adapters.token_file import TokenFile, token_row
from farm.errors import StoreError, UsageError
from farm.model.token import PREFIX, Token

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.engine import RowMapping

    from farm.adapters.database import Database
    from farm.adapters.locks import Locks

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# 62**43 is the first power above 2**256; 62**6 the first above 2**32.
_SECRET_DIGITS, _CHECK_DIGITS = 43, 6


def new_secret() -> str:
    """Return a new token: 256 random bits and their CRC-32, so that a scanner can tell a token from what only looks like one."""
    body = _base62(int.from_bytes(secrets.token_bytes(32)), _SECRET_DIGITS)
    return f"{PREFIX}{body}{_base62(zlib.crc32(body.encode()), _CHECK_DIGITS)}"


def _base62(number: int, digits: int) -> str:
    found = ""
    for _ in range(digits):
        number, digit = divmod(number, len(_DIGITS))
        found = _DIGITS[digit] + found
    return found


class Tokens:
    """What `farm token` does: the catalogue's table, and the file that follows it."""

    def __init__(self, root: Path, database: Database, locks: Locks) -> None:
        self._database = database
        self._locks = locks
        self.file = TokenFile(root)

    def create(self, token: Token) -> str:
        """Add a token (its `hash` is not looked at) and return the secret, which nobody can tell again.

        UsageError when the name is taken or could not be a file's.
        """
        if not _NAME.fullmatch(token.name):
            raise UsageError(
                f"expected a name of at most 64 letters, digits, '.', '_' and '-', found {token.name!r}",
                solution="name the token after who will use it, e.g. ci-upload",
            )
        secret = new_secret()
        row = token_row(token) | {
            "hash": hashlib.sha256(secret.encode()).hexdigest(), "created": token.created, "expires": token.expires,
        }  # fmt: skip
        with self._locks.shared_file("tokens"):
            with self._database.write() as connection:
                if connection.execute(select(tables.tokens.c.name).where(tables.tokens.c.name == token.name)).first():
                    raise UsageError(
                        f"there is a token named {token.name}",
                        solution=f"choose another name, or revoke it first: farm token revoke {token.name}",
                    )
                connection.execute(insert(tables.tokens).values(row))
            self._publish()
        return secret

    def revoke(self, name: str) -> None:
        """Remove a token: it is refused at the next request to any server on this store. UsageError when there is none."""
        with self._locks.shared_file("tokens"):
            with self._database.write() as connection:
                found = connection.execute(delete(tables.tokens).where(tables.tokens.c.name == name)).rowcount
            # Also when it was not there: a revocation that was killed here is completed by trying again.
            self._publish()
        if not found:
            raise UsageError(f"there is no token named {name!r}", solution="`farm token list` shows them")

    def all(self) -> tuple[Token, ...]:
        """Return the tokens by name, and see to it that the servers' file agrees."""
        with self._locks.shared_file("tokens"):
            return self._publish()

    def _publish(self) -> tuple[Token, ...]:
        with self._database.read() as connection:
            rows = connection.execute(select(tables.tokens).order_by(tables.tokens.c.name)).mappings().all()
        tokens = tuple(_stored(row) for row in rows)
        if self._differs(tokens):
            self.file.write(tokens)
        return tokens

    def _differs(self, tokens: tuple[Token, ...]) -> bool:
        try:
            return self.file.tokens() != tokens
        except StoreError:
            return True


def _stored(row: RowMapping) -> Token:
    return Token(**(dict(row) | {"projects": tuple(row["projects"])}))
