"""A farm's wheels for locks: from the store of this machine, or from a farm's wheels-only view over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import msgspec

from farm.adapters.farm_index import FarmIndex, farm_root
from farm.adapters.index_page import without_credentials
from farm.adapters.process import redact
from farm.adapters.side_by_side import side_by_side
from farm.adapters.web import CONNECTIONS
from farm.errors import UpstreamError
from farm.model.package import parse_digest, parse_wheel_name
from farm.model.page import JSON, file_url
from farm.model.shelf import FarmWheel, Shelf

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from farm.adapters.store import Store
    from farm.adapters.web import Reply, Web
    from farm.model.package import Digest, NormalizedName

_ATTEMPTS = 100_000


class _Said(msgspec.Struct, rename="kebab"):
    """What a farm says of its own file beyond the standards."""

    sdist_sha256: str | None = None


class _File(msgspec.Struct, rename="kebab"):
    filename: str
    url: str
    hashes: dict[str, str]
    size: int | None = None
    upload_time: str | None = None
    farm: _Said | None = msgspec.field(default=None, name="_farm")


class _Page(msgspec.Struct):
    files: list[_File]


def store_shelf(store: Store, names: Iterable[NormalizedName], base: str) -> Shelf:
    """Return what the store has of these projects, and the digests of what it published once. StoreError when damaged."""
    wanted = sorted(names)
    wheels: dict[NormalizedName, tuple[FarmWheel, ...]] = {}
    gone: set[Digest] = set()
    for name in wanted:
        wheels[name] = tuple(
            FarmWheel(
                filename=record.filename,
                name=record.name,
                version=record.version,
                sha256=record.sha256,
                url=base + file_url(record.sha256, record.filename) if base else "",
                size=record.size,
                upload_time=record.upload_time or record.built_at,
                sdist_sha256=record.sdist_sha256,
            )
            for record in store.catalogue.wheels(name)
            if record.filename.endswith(".whl")
        )
        # A wheel that was collected has no row any more; the attempt that built it has.
        gone |= {attempt.digest for attempt in store.catalogue.attempts(name, _ATTEMPTS) if attempt.digest is not None}
    return Shelf(base=base, wheels=wheels, gone=frozenset(gone))


def base_url(url: str) -> str:
    """Return a farm's root with a final slash and without credentials, from the URL of any of its views. UsageError for none."""
    return f"{without_credentials(farm_root(url))}/"


class RemoteFarm:
    """A farm at the URL of any of its views. Its methods raise UpstreamError when it does not answer as a farm."""

    def __init__(self, web: Web, url: str, folder: Path) -> None:
        self._web = web
        self._index = FarmIndex(web, url, folder)
        self.base = base_url(url)

    def shelf(self, names: Iterable[NormalizedName], standing: Mapping[Digest, str]) -> Shelf:
        """Return what the farm has of these projects; of `standing`, URLs by digest, it is asked what it has though it lists it not."""
        wanted = sorted(set(self._index.names()).intersection(names))
        pages = side_by_side(self._page, wanted, limit=CONNECTIONS)
        listed = {wheel.sha256 for page in pages for wheel in page}
        rest = sorted(standing.keys() - listed)
        answers = side_by_side(lambda digest: self._gives(standing[digest]), rest, limit=CONNECTIONS)
        kept = frozenset(digest for digest, given in zip(rest, answers, strict=True) if given)
        return Shelf(base=self.base, wheels=dict(zip(wanted, pages, strict=True)), kept=kept)

    def _page(self, name: NormalizedName) -> tuple[FarmWheel, ...]:
        return _page(self._web, f"{self.base}wheels/simple/{name}/", name)

    def _gives(self, url: str) -> bool:
        # The wheel itself may be large; its metadata is there as long as it is.
        return self._web.get(f"{url}.metadata", {}, subject=url).status != 404


def _page(web: Web, url: str, name: NormalizedName) -> tuple[FarmWheel, ...]:
    reply = web.get(url, {"Accept": JSON, "Cache-Control": "max-age=0"}, subject=f"the farm's page of {name}")
    if reply.status == 404:
        return ()
    try:
        page = msgspec.json.decode(reply.body, type=_Page)
        return tuple(wheel for file in page.files if (wheel := _wheel(file, reply)) is not None)
    except (msgspec.DecodeError, ValueError, KeyError) as error:
        raise UpstreamError(
            f"{redact(reply.url)}: expected the page of {name} on a farm, found something else: {error}",
            solution="check --index-url: `farm serve` tells it when it starts",
        ) from error


def _wheel(file: _File, reply: Reply) -> FarmWheel | None:
    name = parse_wheel_name(file.filename)
    if name is None:
        return None
    sdist = file.farm.sdist_sha256 if file.farm else None
    return FarmWheel(
        filename=file.filename,
        name=name.name,
        version=name.version,
        sha256=parse_digest(file.hashes["sha256"]),
        url=without_credentials(urljoin(reply.url, file.url)).partition("#")[0],
        size=file.size,
        upload_time=datetime.fromisoformat(file.upload_time).astimezone(UTC) if file.upload_time else None,
        sdist_sha256=parse_digest(sdist) if sdist else None,
    )
