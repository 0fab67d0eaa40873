"""Upstream's pages on disk as they came: a small file of facts for each index and project, and beside it the bytes.

The facts name the bytes by digest and are replaced last, so that a reader, of whichever process, gets facts and bytes that fit.
A confirmed page (304) costs a new file of facts only. Waste of a crash is a few kilobytes that the next page replaces.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

from farm.adapters.index_page import without_credentials
from farm.adapters.page_cache import keep

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from farm.model.package import NormalizedName

SCHEMA = 1


class Facts(msgspec.Struct, array_like=True, frozen=True):
    """What is known of a page. `digest` is that of its bytes, "" for a 404; times are in seconds since 1970.

    `fresh_until` is when upstream is to be asked again; `body` has the bytes where the disk could not take them.
    """

    schema: int
    index: str
    name: str
    digest: str
    url: str
    content_type: str
    etag: str | None
    read: float
    fresh_until: float
    body: bytes | None = None


_facts = msgspec.msgpack.Decoder(Facts)


class PageDisk:
    """The folder of pages. What cannot be read counts as absent; what cannot be written is kept in memory by who has it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, index: str, name: NormalizedName) -> Facts | None:
        """Return what is known of a page, or None."""
        plain = without_credentials(index)
        try:
            facts = _facts.decode(self._path(plain, name).read_bytes())
        except (OSError, msgspec.DecodeError):
            return None
        return facts if (facts.schema, facts.index, facts.name) == (SCHEMA, plain, name) else None

    def save(self, facts: Facts, body: bytes | None, before: Facts | None) -> Facts:
        """Keep a page and return what to remember of it. `body` None: the bytes are those that `before` names."""
        path = self._path(facts.index, facts.name)
        if body is not None and facts.digest and not keep(self._body(path, facts.digest), body):
            return msgspec.structs.replace(facts, body=body)
        if not facts.digest and (before is None or not before.digest):
            # Whoever asks for names that do not exist must not fill the disk.
            return facts
        keep(path, msgspec.msgpack.encode(facts))
        if before is not None and before.digest not in {"", facts.digest}:
            with suppress(OSError):
                self._body(path, before.digest).unlink(missing_ok=True)
        return facts

    def drop(self, facts: Facts) -> None:
        """Forget a page whose bytes are gone."""
        with suppress(OSError):
            self._path(facts.index, facts.name).unlink(missing_ok=True)

    def discard(self, index: str, name: NormalizedName, digest: str) -> None:
        """Remove the bytes with a digest."""
        with suppress(OSError):
            self._body(self._path(index, name), digest).unlink(missing_ok=True)

    def body(self, index: str, name: NormalizedName, digest: str) -> bytes | None:
        """Return the bytes with a digest; None when they are no longer there, or damaged."""
        try:
            body = self._body(self._path(index, name), digest).read_bytes()
        except OSError:
            return None
        return body if page_digest(body) == digest else None

    @contextmanager
    def alone(self, index: str, name: NormalizedName) -> Iterator[None]:
        """Hold a page among the processes of a store, so that one asks upstream and the others read what it got."""
        path = self._path(without_credentials(index), name).with_suffix(".lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError:
            # Without a disk each process asks for itself.
            yield
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def forget_lock(self, index: str, name: NormalizedName) -> None:
        """Remove the lock file of a name that upstream does not know. Another process may then ask at the same time, no more."""
        with suppress(OSError):
            self._path(without_credentials(index), name).with_suffix(".lock").unlink(missing_ok=True)

    def _path(self, plain: str, name: str) -> Path:
        # Digests, because a name may be longer than a file's may be.
        folder = hashlib.sha256(plain.encode()).hexdigest()[:16]
        key = hashlib.sha256(name.encode()).hexdigest()[:32]
        return self._folder / folder / key[:2] / key[2:]

    @staticmethod
    def _body(path: Path, digest: str) -> Path:
        return path.with_name(f"{path.name}.{digest}")


def page_digest(body: bytes) -> str:
    """Return the digest by which a page's bytes are known here."""
    return hashlib.blake2b(body, digest_size=16).hexdigest()
