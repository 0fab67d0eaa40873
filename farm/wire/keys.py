"""Keys put together: for `farm key`, and for signing what is published."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from farm import __version__
from farm.adapters.attestations import Attestations
from farm.adapters.durable import storing
from farm.adapters.signing import Keys, read_public
from farm.errors import UsageError
from farm.work.attest import AttestPorts

if TYPE_CHECKING:
    from farm.model.attestation import PublicKey
    from farm.model.settings import Settings
    from farm.wire.assembly import Farm


def open_keys(settings: Settings) -> Keys:
    """Return the store's keys; the signing one is where `trust.key` says."""
    return Keys(settings.store, Path(settings.signing_key) if settings.signing_key else None)


def attest_ports(farm: Farm) -> AttestPorts | None:
    """Return what signs the statements, with a key made where the store has none yet; None for a farm that signs nothing.

    UsageError when the key that config.toml names is not there, or others may read it: better now than after the builds.
    """
    if not farm.settings.sign:
        return None
    keys = open_keys(farm.settings)
    if not keys.exists() and not farm.settings.signing_key:
        with farm.store.locks.shared_file("keys"):
            if not keys.exists():
                made = keys.create()
                told = f"made the key that signs what this farm builds: {made.keyid[:16]}"
                farm.note(f"{told} (`farm key export` gives it to those who verify)")
    keys.public()
    return AttestPorts(
        clock=farm.clock, signer=keys, attestations=Attestations(farm.root), log_digest=lambda attempt: _log_digest(farm, attempt),
        version=__version__,
    )  # fmt: skip


def _log_digest(farm: Farm, attempt: str) -> str:
    path = farm.root / farm.rooms.log_path(attempt)
    with storing(path):
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return ""


def read_key(path: Path) -> PublicKey:
    """Return the public key in a PEM file. UsageError when there is none."""
    try:
        return read_public(path.read_bytes(), str(path))
    except OSError as error:
        reason = f"{path}: cannot be read: {error.strerror or error}"
        raise UsageError(reason, solution="name a file that `farm key export` wrote") from error
