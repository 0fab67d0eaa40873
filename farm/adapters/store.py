"""The store: what farm publishes, below one folder. One order of steps, so that a crash leaves the old state or the new one.

    blobs/<2>/<62>   wheels and other bytes; beside a wheel its METADATA        catalogue.sqlite   attempts, wheels, tokens
    pages/*.page     what clients read, made when something is published         projects, serial   the list, the change token
    direct/          wheels that are on no page                                  locks/  staging/   of writers
    access/          tokens as readers see them                                  logs/  cache/      written by others
    provenance/      signed statements about wheels, by their digests            keys/              what signs and is trusted

A wheel's bytes are durable before its row, the row before the page. A page is marked dirty with the row and finished by
whoever comes next, should its publisher die.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from farm.adapters.attestations import Attestations
from farm.adapters.blobs import Blobs
from farm.adapters.direct_wheels import DirectWheels
from farm.adapters.durable import replace_file, storing
from farm.adapters.locks import Locks
from farm.adapters.pages import PageFiles
from farm.adapters.publication import Publication
from farm.errors import StoreError
from farm.model.build import IntegrityError, NameTaken
from farm.model.package import Digest, parse_wheel_name
from farm.model.page import file_url, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from farm.adapters.catalogue import Catalogue
    from farm.model.attempt import WheelRecord
    from farm.model.direct import Direct
    from farm.model.keeping import Tombstone
    from farm.model.outcome import Verified
    from farm.model.package import IndexFile, NormalizedName, Project
    from farm.model.page import Coding, Kind, Page
    from farm.ports import Clock

_WASTE_SECONDS = 24 * 3600.0


class Store:
    """ports.Store in a folder, and the source of pages and files for `farm serve`.

    `render` makes a project's pages. Nothing is read or made until it is asked for; the catalogue is opened at the first
    write. Safe for threads, and for several farms on one folder (not for network file systems without flock).
    """

    def __init__(
        self,
        root: Path,
        render: Callable[[Project], tuple[Page, ...]],
        clock: Clock,
        url: str = "",
        provenance: str = "",
    ) -> None:
        """`url` is the catalogue's database URL; by default `catalogue.sqlite` in `root`.

        `provenance` is the URL of the index, without a slash at its end, for the links to statements (PEP 740); "" for none.
        """
        self._root = root
        self._clock = clock
        self._url = url or f"sqlite:///{root.absolute() / 'catalogue.sqlite'}"
        self._opening = Lock()
        self._opened: Catalogue | None = None
        self.locks = Locks(root / "locks")
        self._blobs = Blobs(root / "blobs", root / "staging")
        self._pages = PageFiles(root)
        self._base = provenance
        self.attestations = Attestations(root)
        self._publication = Publication(lambda: self.catalogue, self._pages, self.locks, (self.entry, render))
        self.direct = DirectWheels(root)

    @property
    def serves_statements(self) -> bool:
        return bool(self._base)

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue, opened at the first use. StoreError when it cannot be."""
        from farm.adapters.catalogue import Catalogue  # noqa: PLC0415 - 0.15 s that readers of pages must not pay

        with self._opening:
            if self._opened is None:
                self._opened = Catalogue(self._url, self.locks)
            return self._opened

    def close(self) -> None:
        with self._opening:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    def publish(self, record: WheelRecord, verified: Verified) -> str:
        """Make a wheel visible and return its URL path; at once when the index has these very bytes.

        NameTaken when other bytes have its name; IntegrityError when the file on the disk, its METADATA or its name is
        not what `record` says; StoreError when it cannot be written, and then nothing of it is listed.
        """
        _agree(record, verified)
        refuse_other(record, self.digest_of(record.filename))
        with self.locks.publishing():
            self._blobs.keep_published(Path(verified.built.wheel.path), record.sha256, verified.metadata)
            return self._list(record)

    def publish_many(self, wheels: Sequence[tuple[WheelRecord, Verified]]) -> tuple[str | NameTaken, ...]:
        """Publish some wheels at once, in about half the time; for each its URL path, or why it has none.

        IntegrityError and StoreError as for `publish`, of the first that is wrong; then none is listed.
        """
        for record, verified in wheels:
            _agree(record, verified)
        records = [record for record, _ in wheels]
        with self.locks.publishing():
            for record, verified in wheels:
                self._blobs.keep_published(Path(verified.built.wheel.path), record.sha256, verified.metadata)
            return tuple(map(_answer, records, self._publication.list_files(records)))

    def take_in(self, record: WheelRecord, staged: Path, metadata: bytes) -> str:
        """Make a file visible that came in through `staged()`; it is moved. Raises as `publish` does.

        `record` was read off the file as it was written, so its digest is not computed again.
        """
        refuse_other(record, self.digest_of(record.filename))
        with self.locks.publishing():
            self._blobs.keep_published(staged, record.sha256, metadata, move=True)
            return self._list(record)

    def staged(self) -> AbstractContextManager[tuple[BinaryIO, Path]]:
        """Open a new file beside the blobs, for bytes that are not known yet; it is removed unless it was taken in."""
        return self._blobs.staged()

    def publish_direct(self, record: WheelRecord, verified: Verified, direct: Direct) -> str:
        """Keep a wheel of what is on no index and return its URL path. It goes to its project's list of links, and to no page.

        Failures as in `publish`; no name is ever taken here.
        """
        _agree(record, verified)
        with self.locks.publishing():
            self._blobs.keep_published(Path(verified.built.wheel.path), record.sha256, verified.metadata)
            self.direct.add(record, direct)
        return file_url(record.sha256, record.filename)

    def digest_of(self, filename: str) -> Digest | None:
        """Return the digest of the wheel that the index has under this name: tells whether publishing would be a no-op."""
        record = self.catalogue.wheel(filename)
        return None if record is None else record.sha256

    def taken(self, filename: str) -> Digest | None:
        """Return the digest that a name stands for, whether its file is on the index or was once; None when it is free."""
        from farm.adapters import tombstones  # noqa: PLC0415 - as for the catalogue

        found = self.digest_of(filename)
        if found is None:
            with self.catalogue.database.read() as connection:
                found = tombstones.digests(connection, (filename,)).get(filename)
        return found

    def listed(self, filename: str) -> Digest | None:
        """Return what `digest_of` does, after seeing to it that the page shows the file: its publisher may have died before."""
        record = self.catalogue.wheel(filename)
        return None if record is None else self._publication.list_files((record,))[0]

    def recover(self) -> None:
        """Finish what dead publishers left and clear away their waste. To be called when a store is opened for writing."""
        old = self._clock.now().timestamp() - _WASTE_SECONDS
        self._blobs.sweep(old)
        self._link_statements()
        self._publication.finish_dirty(self.catalogue.dirty())
        self._pages.sweep(old)

    def _link_statements(self) -> None:
        """Have all pages made anew when they are to link to statements elsewhere, or no longer, or for the first time."""
        path = self._root / "links"
        with storing(path):
            before = path.read_text("utf-8") if path.exists() else ""
        if before != self._base:
            self.catalogue.mark_all_dirty()
            replace_file(path, self._base.encode())

    def entry(self, record: WheelRecord) -> IndexFile:
        """Return a file's entry on its page."""
        file = listed(record)
        # What was uploaded nobody here has seen built.
        if not self._base or record.key is None or not self.attestations.path(record.sha256).is_file():
            return file
        return replace(file, provenance=f"{self._base}/{file.url}.provenance")

    def statement(self, digest: Digest) -> bytes | None:
        """Return the signed statement about a published wheel; None without one, and where none are served."""
        return self.attestations.find(digest) if self._base else None

    def rebuild(self) -> None:
        """Make every page anew from the catalogue: after pages were damaged, or when a newer farm renders them otherwise."""
        self.catalogue.mark_all_dirty()
        self._publication.finish_dirty(self.catalogue.dirty())

    def unlist(self, stones: Sequence[Tombstone]) -> None:
        """Take files off their pages, with tombstones in the catalogue. Their bytes stay where they are."""
        self._publication.unlist(stones)

    def refresh(self, names: Sequence[NormalizedName]) -> None:
        """Make some pages anew from the catalogue, and see to it that the list of projects has them if it should."""
        self._publication.refresh(names)

    def removed(self, digest: Digest) -> str | None:
        """Return why a file was taken off the index, and what brings it back; None when it never was there."""
        from farm.adapters.tombstones import Tombstones  # noqa: PLC0415 - as for the catalogue

        with suppress(StoreError):
            stone = Tombstones(self.catalogue.database).of(digest)
            return None if stone is None else str(stone)
        return None

    def project(self, name: NormalizedName) -> Project | None:
        """Return the farm's own wheels of a project, or None; reads one file and imports no database."""
        return self._pages.project(name)

    def serial(self) -> str:
        """Return a token that changes whenever something is published."""
        return self._pages.serial()

    def page(self, name: NormalizedName, kind: Kind, encoding: Coding) -> Page | None:
        """Return one representation of a project's page, or None when the farm has no wheel of it."""
        return self._pages.page(name, kind, encoding)

    def stamp(self, name: NormalizedName) -> Hashable | None:
        """Return what changes whenever a project's page does; costs one stat."""
        return self._pages.stamp(name)

    def names(self) -> tuple[NormalizedName, ...]:
        """Return the projects that have a page, sorted."""
        return self._pages.names()

    def names_token(self) -> str:
        """Return what changes whenever `names` does."""
        return self._pages.names_token()

    def blob(self, digest: Digest) -> Path | None:
        return self._blobs.find(digest)

    def metadata(self, digest: Digest) -> Path | None:
        """Return the METADATA file of a wheel that was published, or None."""
        return self._blobs.metadata(digest)

    def digest(self, path: Path) -> Digest:
        """Return the sha256 of a file's bytes."""
        with storing(path), path.open("rb") as file:
            return Digest(hashlib.file_digest(file, "sha256").hexdigest())

    def keep(self, source: Path) -> Digest:
        """Copy a file in durably, under its digest."""
        return self._blobs.keep(source)

    def _list(self, record: WheelRecord) -> str:
        refuse_other(record, self._publication.list_files((record,))[0])
        return file_url(record.sha256, record.filename)


def refuse_other(record: WheelRecord, existing: Digest | None) -> None:
    """Raise NameTaken when the index has other bytes under the record's name."""
    if existing is not None and existing != record.sha256:
        raise NameTaken(
            f"{record.filename} is or was on the index with sha256 {existing}; it was offered again with {record.sha256}",
            solution="give the rebuilt wheel a build tag, as NAME-VERSION-1-TAGS.whl",
        )


def _answer(record: WheelRecord, existing: Digest) -> str | NameTaken:
    try:
        refuse_other(record, existing)
    except NameTaken as taken:
        return taken
    return file_url(record.sha256, record.filename)


def _agree(record: WheelRecord, verified: Verified) -> None:
    wheel, name = verified.built.wheel, parse_wheel_name(record.filename)
    said = (record.filename, record.sha256, record.size)
    if said != (wheel.filename, wheel.sha256, wheel.size):
        raise IntegrityError(
            f"expected the record of {wheel.filename} ({wheel.sha256}, {wheel.size} bytes), found that of {said}",
            solution="build the wheel again",
        )
    if name is None or (name.name, name.version) != (record.name, record.version):
        raise IntegrityError(
            f"expected a wheel of {record.name} {record.version}, found a file named {record.filename}",
            solution="correct the name and version in the sdist's metadata",
        )
    found = Digest(hashlib.sha256(verified.metadata).hexdigest())
    if found != record.metadata_sha256:
        raise IntegrityError(
            f"METADATA of {record.filename}: expected sha256 {record.metadata_sha256}, found {found}",
            solution="the file changed after it was checked: build it again",
        )
