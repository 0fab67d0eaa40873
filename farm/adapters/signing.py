"""The farm's keys: one Ed25519 key that signs, and the public keys that are trusted, its own former ones included.

    keys/farm.key              the private key, PKCS #8 as PEM, mode 0600; another place by `trust.key` in config.toml
    keys/trusted/KEYID.pub     public keys, SubjectPublicKeyInfo as PEM
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from farm.adapters.durable import fsync_dir, make_dirs, replace_file, storing
from farm.errors import UsageError
from farm.model.attestation import PublicKey, Signature

if TYPE_CHECKING:
    from pathlib import Path

_MODE = 0o600
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Keys:
    """The keys below a store's root. StoreError when a file cannot be read or written, UsageError when it is not as expected."""

    def __init__(self, root: Path, private: Path | None = None) -> None:
        """`private` is the signing key's file where it is not the store's own."""
        self.path = private or root / "keys" / "farm.key"
        self._trusted = root / "keys" / "trusted"

    def exists(self) -> bool:
        with storing(self.path):
            return self.path.exists()

    def create(self) -> PublicKey:
        """Make the signing key, trust it, and return its public half. UsageError when there is one."""
        if self.exists():
            raise UsageError(
                f"{self.path}: there is a key already", solution="`farm key rotate` makes a new one and goes on trusting the old"
            )
        key = Ed25519PrivateKey.generate()
        make_dirs(self.path.parent)
        with storing(self.path):
            # Never over another's key, and never readable by others, not even for a moment.
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
                file.flush()
                os.fsync(file.fileno())
            fsync_dir(self.path.parent)
        public = _public(key.public_key())
        self.trust(public)
        return public

    def rotate(self) -> tuple[PublicKey, PublicKey]:
        """Put a new signing key in the place of the old, and return both public halves. What the old has signed stays trusted."""
        old = self.public()
        self.trust(old)
        aside = self.path.with_name(f"{self.path.name}.{old.keyid[:12]}.old")
        with storing(self.path):
            self.path.rename(aside)
        try:
            made = self.create()
        except BaseException:
            aside.rename(self.path)
            raise
        with storing(aside):
            aside.unlink()
        return old, made

    def public(self) -> PublicKey:
        """Return the signing key's public half. UsageError when there is no key, or others may read it."""
        return _public(self._private().public_key())

    def sign(self, message: bytes) -> Signature:
        key = self._private()
        return Signature(keyid=_public(key.public_key()).keyid, value=key.sign(message))

    def trusted(self) -> tuple[PublicKey, ...]:
        """Return the keys whose signatures count, by their ids."""
        with storing(self._trusted):
            paths = sorted(self._trusted.glob("*.pub")) if self._trusted.is_dir() else []
            return tuple(read_public(path.read_bytes(), str(path)) for path in paths)

    def trust(self, key: PublicKey) -> None:
        make_dirs(self._trusted)
        replace_file(self._trusted / f"{key.keyid}.pub", key.pem.encode())

    def distrust(self, start: str) -> PublicKey:
        """Trust a key no longer, by the beginning of its id, and return it. UsageError when none or several begin so, or it signs."""
        found = [key for key in self.trusted() if key.keyid.startswith(start)]
        if len(found) != 1:
            reason = f"expected the beginning of one trusted key's id, {start!r} is that of {len(found)}"
            raise UsageError(reason, solution="see `farm key show`")
        if self.exists() and found[0].keyid == self.public().keyid:
            raise UsageError(f"{found[0].keyid[:16]} is the key that signs", solution="`farm key rotate` first")
        path = self._trusted / f"{found[0].keyid}.pub"
        with storing(path):
            path.unlink()
        return found[0]

    def _private(self) -> Ed25519PrivateKey:
        with storing(self.path):
            if not self.path.exists():
                raise UsageError(f"{self.path}: expected the farm's signing key, found no file", solution="`farm key new` makes one")
            if self.path.stat().st_mode & _OTHERS:
                raise UsageError(f"{self.path}: others than its owner may read the signing key", solution=f"chmod 600 {self.path}")
            data = self.path.read_bytes()
        with suppress(ValueError, TypeError, UnsupportedAlgorithm):
            key = load_pem_private_key(data, None)
            if isinstance(key, Ed25519PrivateKey):
                return key
        raise UsageError(
            f"{self.path}: expected an Ed25519 key as PEM without a password, found something else",
            solution="`openssl genpkey -algorithm ed25519` or `farm key new` makes one",
        )


def read_public(data: bytes, where: str) -> PublicKey:
    """Return a public key from its PEM. UsageError, naming `where`, when it is none of Ed25519."""
    with suppress(ValueError, TypeError, UnsupportedAlgorithm):
        key = load_pem_public_key(data)
        if isinstance(key, Ed25519PublicKey):
            return _public(key)
    raise UsageError(f"{where}: expected an Ed25519 public key as PEM", solution="`farm key export` on the farm prints it")


def holds(key: PublicKey, message: bytes, signature: bytes) -> bool:
    """Tell whether `signature` over `message` was made with a key's private half."""
    public = load_pem_public_key(key.pem.encode())
    assert isinstance(public, Ed25519PublicKey), "read_public saw to it"
    try:
        public.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _public(key: Ed25519PublicKey) -> PublicKey:
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
    return PublicKey(keyid=hashlib.sha256(der).hexdigest(), pem=pem)
