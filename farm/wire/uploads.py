"""Uploads put together: what checks a file that comes in, and the store that takes it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from farm.adapters.clock import SystemClock
from farm.adapters.inspector import WheelInspector
from farm.adapters.sdist_archive import read_sdist
from farm.adapters.wheel_record import Unpacking
from farm.errors import UpstreamError
from farm.model.package import IndexFile, file_version, parse_digest
from farm.model.upload import UpstreamProject
from farm.serve.form import FormLimits
from farm.serve.upload import UploadLimits, upload_routes
from farm.work.receive import ReceivePorts, receive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import BinaryIO

    from starlette.routing import Route

    from farm.adapters.mirror import Mirror
    from farm.adapters.store import Store
    from farm.model.mirrored import UpstreamPage
    from farm.model.package import NormalizedName
    from farm.model.settings import Settings
    from farm.model.upload import Offer
    from farm.serve.access import Access

# What a stranger's wheel may unpack to. Warehouse's ratio; real wheels stay below 10.
_UNPACKING = Unpacking(total=8 << 30, members=100_000, ratio=50.0)


def make_upload_routes(
    settings: Settings, store: Store, access: Access, upstream: Callable[[NormalizedName], UpstreamProject | None],
    environment: Mapping[str, str],
) -> list[Route]:  # fmt: skip
    """Return the routes that take uploads into `store`.

    `upstream` tells what the upstream index has of a project (None: nothing; UpstreamError: it cannot be known now);
    it is not asked for private names. `environment` is for the programs that look into wheels (PATH).
    """
    ports = ReceivePorts(
        clock=SystemClock(),
        index=store,
        inspector=WheelInspector(environment, _UNPACKING),
        sdist_metadata=_sdist_metadata,
        upstream=upstream,
        private=settings.private,
    )
    limits = UploadLimits(form=FormLimits(file=settings.upload_limit))
    return upload_routes(_StoreUploads(store, ports), access, limits)


def upstream_projects(mirror: Mirror) -> Callable[[NormalizedName], UpstreamProject | None]:
    """Return what asks a mirror for a project as uploads need it. UpstreamError when upstream cannot be asked."""

    def project(name: NormalizedName) -> UpstreamProject | None:
        pages = mirror.read(mirror.get(name))
        if pages is None:
            raise UpstreamError(f"the page of {name} that was kept is gone", solution="try again: it is read anew")
        return project_of(name, pages)

    return project


def project_of(name: NormalizedName, pages: Sequence[UpstreamPage]) -> UpstreamProject | None:
    """Return the files and the strictest status on a project's pages; None when no index has it.

    What is malformed is left out, but for a file's name: a name that upstream uses in any way is taken.
    """
    if not pages:
        return None
    files = (
        _upstream_file(name, entry)
        for page in pages
        for entry in page.document["files"]
        if isinstance(entry, dict) and isinstance(entry.get("filename"), str)
    )
    found = [
        status["status"]
        for page in pages
        if isinstance(status := page.document.get("project-status"), dict) and "status" in status
    ]
    status = next((status for status in ("quarantined", "archived", "deprecated") if status in found), "active")
    return UpstreamProject(files=tuple(files), status=status)


def _upstream_file(name: NormalizedName, entry: dict[str, Any]) -> IndexFile:
    hashes, yanked, uploaded = entry.get("hashes"), entry.get("yanked"), entry.get("upload-time")
    sha256 = hashes.get("sha256") if isinstance(hashes, dict) else None
    try:
        digest = parse_digest(str(sha256))
    except ValueError:
        digest = None
    try:
        when = datetime.fromisoformat(str(uploaded))
    except ValueError:
        when = None
    return IndexFile(
        filename=entry["filename"],
        url="",
        version=file_version(entry["filename"], name),
        sha256=digest,
        yanked=yanked if isinstance(yanked, bool | str) else False,
        upload_time=when if when is not None and when.tzinfo is not None else None,
    )


class _StoreUploads:
    """serve.upload.Uploads over a store."""

    def __init__(self, store: Store, ports: ReceivePorts) -> None:
        self._store = store
        self._ports = ports

    def staged(self) -> AbstractContextManager[tuple[BinaryIO, Path]]:
        return self._store.staged()

    def receive(self, offer: Offer) -> str:
        return receive(offer, self._ports)


def _sdist_metadata(path: Path) -> str:
    return read_sdist(path).text("PKG-INFO")
