"""In-memory stand-ins for the store's ports, and tiny real wheels to publish."""

from __future__ import annotations

import hashlib
import io
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from farm.model.attempt import WheelRecord
from farm.model.build import NameTaken
from farm.model.job import JobKey
from farm.model.outcome import Built, StagedWheel, Verified
from farm.model.package import Digest, Project, Version
from farm.model.page import file_url, listed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from farm.model.attempt import Attempt, Lasting
    from farm.model.direct import Direct
    from farm.model.package import NormalizedName

EPOCH = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def wheel_bytes(name: str, version: str, body: str = "", requires_python: str = "") -> tuple[bytes, bytes]:
    """Return a wheel that pip and uv install, and its METADATA. `body` is the source of its one module."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    limit = f"Requires-Python: {requires_python}\n" if requires_python else ""
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{limit}".encode()
    members = {
        f"{module}.py": body.encode(),
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: farm-tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in (*members, f"{info}/RECORD"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, data in (*members.items(), (f"{info}/RECORD", record.encode())):
            archive.writestr(zipfile.ZipInfo(path), data)
    return buffer.getvalue(), metadata


@dataclass(frozen=True, kw_only=True)
class Wheelmaker:
    """Makes proven wheels on the disk, ready to be published."""

    folder: Path
    yanked: bool | str = False
    requires_python: str = ""
    upload_time: datetime | None = EPOCH

    def make(self, name: str, version: str, body: str = "", build: str = "") -> tuple[WheelRecord, Verified]:
        data, metadata = wheel_bytes(name, version, body, self.requires_python)
        tag = f"-{build}" if build else ""
        filename = f"{name.replace('-', '_')}-{version}{tag}-py3-none-any.whl"
        digest = Digest(hashlib.sha256(data).hexdigest())
        path = self.folder / f"{digest}-{filename}"
        self.folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        key = JobKey(hashlib.sha256(filename.encode()).hexdigest())
        record = WheelRecord(
            filename=filename,
            name=canonicalize_name(name),
            version=Version(version),
            sha256=digest,
            size=len(data),
            metadata_sha256=Digest(hashlib.sha256(metadata).hexdigest()),
            requires_python=self.requires_python or None,
            yanked=self.yanked,
            upload_time=self.upload_time,
            built_at=EPOCH + timedelta(days=30),
            sdist=f"{name}-{version}.tar.gz",
            sdist_sha256=Digest("5" * 64),
            key=key,
            attempt="A1",
            targets=("cp311-manylinux_2_36_x86_64",),
        )
        staged = StagedWheel(filename=filename, path=path, sha256=digest, size=len(data))
        built = Built(attempt="A1", key=key, wheel=staged, image="sha256:1", seconds=1.0)
        return record, Verified(built=built, verdicts=(), metadata=metadata)


@dataclass(kw_only=True)
class FakeClock:
    """A clock that stands until it is moved."""

    time: datetime = EPOCH

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass(kw_only=True)
class FakeStore:
    """ports.Store that keeps its index in memory and its blobs in `folder`."""

    folder: Path
    records: dict[str, WheelRecord] = field(default_factory=dict)
    published: list[str] = field(default_factory=list)
    direct: list[tuple[WheelRecord, Direct]] = field(default_factory=list)
    removed: dict[str, Digest] = field(default_factory=dict)
    """Tombstones: what names were once."""

    def publish_direct(self, record: WheelRecord, verified: Verified, direct: Direct) -> str:
        (self.folder / record.sha256).write_bytes((self.folder / verified.built.wheel.path).read_bytes())
        self.direct.append((record, direct))
        return file_url(record.sha256, record.filename)

    def publish(self, record: WheelRecord, verified: Verified) -> str:
        taken = self.taken(record.filename)
        if taken is not None and taken != record.sha256:
            raise NameTaken(f"{record.filename} has other bytes", solution="give it a build tag")
        (self.folder / record.sha256).write_bytes((self.folder / verified.built.wheel.path).read_bytes())
        self.records[record.filename] = record
        self.published.append(record.filename)
        return file_url(record.sha256, record.filename)

    def digest_of(self, filename: str) -> Digest | None:
        record = self.records.get(filename)
        return None if record is None else record.sha256

    def taken(self, filename: str) -> Digest | None:
        return self.digest_of(filename) or self.removed.get(filename)

    def project(self, name: NormalizedName) -> Project | None:
        files = tuple(listed(record) for record in self.records.values() if record.name == name)
        return Project(name=name, files=files) if files else None

    def blob(self, digest: Digest) -> Path | None:
        path = self.folder / digest
        return path if path.exists() else None

    def digest(self, path: Path) -> Digest:
        return Digest(hashlib.sha256(path.read_bytes()).hexdigest())

    def keep(self, source: Path) -> Digest:
        digest = self.digest(source)
        (self.folder / digest).write_bytes(source.read_bytes())
        return digest


@dataclass(kw_only=True)
class FakeCatalogue:
    """ports.Catalogue in a dictionary."""

    rows: dict[str, Attempt] = field(default_factory=dict)
    store: FakeStore | None = None

    def begin(self, attempt: Attempt) -> None:
        assert attempt.id not in self.rows, attempt.id
        self.rows[attempt.id] = attempt

    def finish(self, attempt: Attempt) -> None:
        assert attempt.id in self.rows, attempt.id
        self.rows[attempt.id] = attempt

    def attempt(self, identity: str) -> Attempt | None:
        return self.rows.get(identity)

    def built(self, key: JobKey) -> Attempt | None:
        usable = (row for row in self.attempts(None, len(self.rows)) if row.key == key and row.digest is not None)
        return next((row for row in usable if row.state in ("built", "proven", "published")), None)

    def rejected(self, key: JobKey) -> Attempt | None:
        rows = self.attempts(None, len(self.rows))
        return next((row for row in rows if row.key == key and row.digest is not None and row.state == "rejected"), None)

    def attempts(self, name: NormalizedName | None, limit: int) -> tuple[Attempt, ...]:
        rows = (row for row in self.rows.values() if name is None or row.name == name)
        return tuple(sorted(rows, key=lambda row: row.id, reverse=True)[:limit])

    def wheel(self, filename: str) -> WheelRecord | None:
        return self.store.records.get(filename) if self.store else None


@dataclass(kw_only=True)
class FakeLocks:
    """ports.Locks that remembers which keys were held, in order."""

    held: list[JobKey] = field(default_factory=list)

    @contextmanager
    def job(self, key: JobKey) -> Iterator[None]:
        self.held.append(key)
        yield


@dataclass(kw_only=True)
class FakeFailures:
    """ports.Failures in a dictionary."""

    kept: dict[tuple[str, str], Lasting] = field(default_factory=dict)

    def find(self, key: JobKey, inputs: str) -> Lasting | None:
        return self.kept.get((key, inputs))

    def keep(self, lasting: Lasting) -> None:
        self.kept[lasting.key, lasting.inputs] = lasting
