"""Tokens: what is kept of them, who gets in with one, and when that ends."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from farm.adapters.database import Database
from farm.adapters.locks import Locks
from farm.adapters.token_file import TokenFile
from farm.adapters.tokens import Tokens, new_secret
from farm.errors import StoreError, UsageError
from farm.model.token import PREFIX, Scope, Token
from farm.serve.access import TokenAccess, read_secret
from tests.fakes.store import EPOCH, FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLAIN = Token(name="ci", hash="", scope="upload", projects=(), created=EPOCH, expires=None)


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[Tokens]:
    locks = Locks(tmp_path / "locks")
    database = Database(f"sqlite:///{tmp_path}/catalogue.sqlite", locks)
    yield Tokens(tmp_path, database, locks)
    database.close()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def access(tmp_path: Path, clock: FakeClock | None = None, *, open_reading: bool = False) -> TokenAccess:
    return TokenAccess(TokenFile(tmp_path), (clock or FakeClock()).now, open_reading=open_reading)


def test_a_secret_has_256_random_bits_and_can_be_recognised() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    for secret in secrets:
        assert re.fullmatch(r"farm_[0-9A-Za-z]{49}", secret)
        body, check = secret[len(PREFIX) : -6], 0
        for digit in secret[-6:]:
            check = check * 62 + "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".index(digit)
        assert check == zlib.crc32(body.encode())


def test_only_the_hash_is_kept(tokens: Tokens, tmp_path: Path) -> None:
    secret = tokens.create(PLAIN)
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(secret.encode() in data or secret[5:48].encode() in data for data in kept)
    assert tokens.all() == (replace(PLAIN, hash=hashlib.sha256(secret.encode()).hexdigest()),)


def test_a_token_gets_in_however_a_client_sends_it(tokens: Tokens, tmp_path: Path) -> None:
    secret, who = tokens.create(PLAIN), access(tmp_path)
    sent = (
        basic("__token__", secret),
        basic("anyone", secret),
        basic(secret, ""),
        f"Bearer {secret}",
        f"bearer  {secret} ",
    )
    assert [who.allows("upload", header) for header in sent] == [True] * 5
    wrong = (None, "", "Basic", "Basic !", basic("x", "y"), basic("x", secret[:-1]), f"Token {secret}", "Bearer", "x" * 5000,
             "Basic " + base64.b64encode(b"\xff:\xff").decode())  # fmt: skip
    assert [who.allows("read", header) for header in wrong] == [False] * len(wrong)


@pytest.mark.parametrize(
    ("has", "may"), [("read", ["read"]), ("upload", ["read", "upload"]), ("admin", ["read", "upload", "admin"])]
)
def test_each_scope_includes_the_lesser(tokens: Tokens, tmp_path: Path, has: Scope, may: list[Scope]) -> None:
    header = f"Bearer {tokens.create(replace(PLAIN, scope=has))}"
    scopes: tuple[Scope, ...] = ("read", "upload", "admin")
    assert [scope for scope in scopes if access(tmp_path).allows(scope, header)] == may


def test_open_reading_heeds_no_token(tmp_path: Path) -> None:
    who = access(tmp_path, open_reading=True)
    assert who.open_reading
    assert who.allows("read", None)
    assert who.allows("read", "Basic of another server")
    assert not who.allows("upload", None)


def test_a_revoked_token_is_out_at_once_and_the_stamp_tells(tokens: Tokens, tmp_path: Path) -> None:
    header, who = f"Bearer {tokens.create(PLAIN)}", access(tmp_path)
    assert who.allows("upload", header)
    stamp = who.stamp()
    assert who.stamp() == stamp
    tokens.revoke("ci")
    assert who.stamp() != stamp
    assert not who.allows("upload", header)
    # The name is free again, for another secret.
    assert tokens.create(PLAIN)
    assert not who.allows("upload", header)


def test_an_expired_token_is_out_and_the_stamp_tells(tokens: Tokens, tmp_path: Path) -> None:
    header = f"Bearer {tokens.create(replace(PLAIN, expires=EPOCH + timedelta(minutes=5)))}"
    clock = FakeClock()
    who = access(tmp_path, clock)
    assert who.allows("upload", header)
    stamp = who.stamp()
    clock.advance(299)
    assert who.stamp() == stamp
    clock.advance(1)
    assert who.stamp() != stamp
    assert not who.allows("upload", header)


def test_the_last_use_is_written_once_an_hour(tokens: Tokens, tmp_path: Path) -> None:
    header, clock = f"Bearer {tokens.create(PLAIN)}", FakeClock()
    assert tokens.file.last_use("ci") is None
    who = access(tmp_path, clock)
    used = tmp_path / "access" / "ci.used"
    who.allows("upload", header)
    assert tokens.file.last_use("ci") is not None
    used.unlink()
    clock.advance(600)
    who.allows("upload", header)
    assert not used.exists()
    stamp = who.stamp()
    clock.advance(3600)
    # Whoever keeps answers by the stamp comes by once more.
    assert who.stamp() != stamp
    who.allows("upload", header)
    assert used.exists()
    tokens.revoke("ci")
    assert not used.exists()


def test_patterns_bound_what_may_be_uploaded() -> None:
    assert PLAIN.covers("anything")  # type: ignore[arg-type]
    bound = replace(PLAIN, projects=("acme-*", "demo"))
    assert [bound.covers(name) for name in ("acme-core", "demo", "demo2", "acme")] == [True, True, False, False]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "../ci", "a/b", "x" * 65, ".hidden", "a b", "ci\n"])
def test_a_name_that_could_be_no_file_is_refused(tokens: Tokens, name: str) -> None:
    with pytest.raises(UsageError, match="expected a name"):
        tokens.create(replace(PLAIN, name=name))


def test_names_are_used_once_and_unknown_ones_told(tokens: Tokens) -> None:
    tokens.create(PLAIN)
    with pytest.raises(UsageError, match="there is a token named ci"):
        tokens.create(PLAIN)
    with pytest.raises(UsageError, match="no token named 'nobody'"):
        tokens.revoke("nobody")


def test_a_damaged_file_lets_nobody_in_and_is_mended(tokens: Tokens, tmp_path: Path) -> None:
    header = f"Bearer {tokens.create(PLAIN)}"
    (tmp_path / "access" / "tokens.json").write_text("[{}]")
    with pytest.raises(StoreError, match="farm's tokens"):
        access(tmp_path).allows("upload", header)
    assert [token.name for token in tokens.all()] == ["ci"]
    assert access(tmp_path).allows("upload", header)
    assert json.loads((tmp_path / "access" / "tokens.json").read_text())[0]["name"] == "ci"


def test_a_header_without_a_token_is_none() -> None:
    assert read_secret(None) is None
    assert read_secret(basic("", "")) is None
    assert read_secret("Digest x") is None
