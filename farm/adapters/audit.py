"""`farm fsck`: the whole store looked at, portion by portion, beside servers and publishers that go on.

What is found is looked at once more under its lock before it counts: somebody may have been publishing or collecting just then.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from farm.adapters.audit_beside import BesideAudit
from farm.adapters.audit_blobs import BlobAudit
from farm.adapters.audit_pages import PageAudit
from farm.adapters.inventory import DIGITS, Inventory
from farm.adapters.leftovers import leftovers
from farm.adapters.mend import Mender
from farm.errors import StoreError
from farm.model.keeping import Audit, Damage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from farm.adapters.store import Store
    from farm.model.package import Project
    from farm.model.page import Page
    from farm.ports import Clock

_LEFT_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRequest:
    """What is looked at: `sample` percent of the files are hashed, those not that were sound `since` (seconds since 1970).

    `workers` hash side by side. With `fix`, what can be mended without loss is.
    """

    fix: bool = False
    sample: float = 100.0
    since: float | None = None
    workers: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPorts:
    """What looking asks of the world. `render` makes a project's pages; `sdist_metadata` reads an sdist's own; `say` tells progress."""

    clock: Clock
    render: Callable[[Project], tuple[Page, ...]]
    sdist_metadata: Callable[[Path], bytes | None]
    say: Callable[[str], None]


def audit(root: Path, store: Store, request: AuditRequest, ports: AuditPorts) -> Audit:
    """Return what is wrong with a store, mended where `request` says so. StoreError when it cannot be read or written."""
    began = time.monotonic()
    try:
        # What dead publishers left is everyday work; what is dirty after that is damage.
        if request.fix:
            store.recover()
        faults = Inventory(store.catalogue.database).faults()
    except StoreError as error:
        faults = (error.reason,)
    if faults:
        damage = Damage(
            kind="catalogue-damaged",
            subject="catalogue",
            found="; ".join(faults[:3]),
            remedy="stop all farms, restore catalogue.sqlite from a backup and run farm fsck --fix; the rest waits for that",
        )
        return Audit(damages=(damage,), seconds=time.monotonic() - began)
    return replace(_look(root, store, (request, ports)), seconds=time.monotonic() - began)


def _look(root: Path, store: Store, asked: tuple[AuditRequest, AuditPorts]) -> Audit:
    request, ports = asked
    inventory = Inventory(store.catalogue.database)
    damages = [_nonsense(filename, fault) for filename, fault in inventory.nonsense()]
    mender = Mender(root, store, inventory, ports.clock) if request.fix else None
    beside = BesideAudit(inventory, store.locks, ports.sdist_metadata, mender)
    blobs = BlobAudit(root, inventory, request, (ports, beside, mender))
    for number, digit in enumerate(DIGITS, start=1):
        damages += blobs.look(digit)
        ports.say(f"{number * 100 // 16} % of the files: {blobs.seen} looked at, {blobs.hashed / 1e9:.2f} GB hashed")
    damages += blobs.strays()
    pages = PageAudit(root, store, inventory, ports.render)
    damages += pages.look(fix=request.fix)
    damages += _direct(store, fix=request.fix)
    damages += _left(root, store, ports, mender)
    return Audit(
        damages=tuple(damages),
        files=blobs.seen,
        checked=blobs.checked,
        hashed=blobs.hashed,
        skipped=blobs.skipped,
        projects=pages.projects,
        unlisted=blobs.unlisted,
        unlisted_bytes=blobs.unlisted_bytes,
    )


def _direct(store: Store, *, fix: bool) -> Iterator[Damage]:
    """Yield the wheels on the lists of links whose bytes or METADATA are gone, or were just set apart."""
    for record, file in store.direct.all():
        if file.sha256 is None or (store.blob(file.sha256) and store.metadata(file.sha256)):
            continue
        if fix:
            with store.locks.removing():
                store.direct.remove(record)
        yield Damage(
            kind="direct-missing",
            subject=f"direct/{record.parent.name}/{file.filename}",
            found="its bytes or its METADATA are gone",
            remedy="" if fix else "farm fsck --fix takes it off the list; farm build with its requirement makes it again",
            mended=fix,
        )


def _nonsense(filename: str, fault: str) -> Damage:
    remedy = (
        "back up the catalogue, remove the row of this name from its table wheels by hand, and publish the file again"
    )
    return Damage(kind="row-nonsense", subject=filename, found=fault, remedy=remedy)


def _left(root: Path, store: Store, ports: AuditPorts, mender: Mender | None) -> Iterator[Damage]:
    before = ports.clock.now().timestamp() - _LEFT_SECONDS
    for path, size in leftovers(root, store.catalogue, store.locks, before):
        if mender is not None:
            mender.clear(path)
        yield Damage(
            kind="staging-leftover",
            subject=str(path.relative_to(root)),
            found=f"{size} bytes that a process left when it died",
            remedy="" if mender else "farm fsck --fix or farm gc removes it",
            mended=mender is not None,
        )
