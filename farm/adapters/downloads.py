"""Files of an index on this disk, each under its sha256, which is computed anew on every use."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from farm.adapters.process import redact
from farm.adapters.web import Transient
from farm.errors import StoreError, UpstreamError
from farm.model.build import IntegrityError
from farm.model.package import Digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from farm.adapters.web import Web
    from farm.model.package import IndexFile

_CHUNK = 1 << 20


class Downloads:
    """Satisfies `ports.Downloads`. `local` returns the path of a URL that needs no network (the farm's own), or None."""

    def __init__(self, web: Web, cache: Path, local: Callable[[str], Path | None] = lambda _: None) -> None:
        self._web = web
        self._folder = cache / "files"
        self._local = local
        self._guard = threading.Lock()
        self._locks: dict[Path, threading.Lock] = {}

    def fetch(self, file: IndexFile) -> Path:
        """Return the file's path, its sha256 checked; a file without one on the index is held to what was first downloaded."""
        near = self._local(file.url)
        if near is not None:
            _check(near, file, file.sha256)
            return near
        path = self._path(file)
        with self._lock(path):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.exists():
                    self._recheck(path, file)
                else:
                    self._download(path, file)
            except OSError as error:
                message = f"cannot keep {file.filename} in {path.parent}: {error.strerror or error}"
                raise StoreError(message, solution="free space there, or make the folder writable") from error
        return path

    def _path(self, file: IndexFile) -> Path:
        # A page is not to be trusted with paths; parse_page refuses such names, other callers may not.
        name = file.filename
        if name != Path(name).name or name.startswith(".") or "\\" in name:
            message = f"expected a plain file name from the index, found {name!r}"
            raise IntegrityError(message, solution="do not use this file; tell whoever runs the index")
        if file.sha256 is not None:
            return self._folder / file.sha256[:2] / file.sha256 / name
        return self._folder / "by-url" / hashlib.sha256(file.url.encode()).hexdigest() / name

    def _lock(self, path: Path) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(path, threading.Lock())

    def _recheck(self, path: Path, file: IndexFile) -> None:
        expected = file.sha256 or _recorded(path)
        try:
            if expected is not None:
                _check(path, file, expected)
                return
        except IntegrityError:
            path.unlink(missing_ok=True)
            raise
        path.unlink()
        self._download(path, file)

    def _download(self, path: Path, file: IndexFile) -> None:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
        part = Path(name)
        try:
            with os.fdopen(handle, "w+b") as out:
                if file.url.startswith("file:"):
                    _copy_local(file.url, out)
                else:
                    transfer = _Transfer(self._web, file.url, out)
                    self._web.retrying(file.url, file.filename, transfer.go_on)
                out.flush()
                os.fsync(out.fileno())
            digest = _check(part, file, file.sha256 or _recorded(path))
            part.chmod(0o644)
            if file.sha256 is None:
                _record(path, digest)
            part.replace(path)
            _sync_folder(path.parent)
        finally:
            part.unlink(missing_ok=True)


class _Transfer:
    """One download over several connections: what has come stays, the rest is asked for (RFC 9110, range requests)."""

    def __init__(self, web: Web, url: str, out: IO[bytes]) -> None:
        self._web = web
        self._url = url
        self._out = out
        self._validator: str | None = None

    def go_on(self) -> None:
        have = self._out.tell()
        # Encoded bytes would not be the file's own.
        headers = {"Accept-Encoding": "identity"}
        if have and self._validator:
            headers |= {"Range": f"bytes={have}-", "If-Range": self._validator}
        with self._web.opened(self._url, headers) as response:
            if response.status_code == 404:
                raise UpstreamError(
                    f"{redact(self._url)}: the index lists this file, but the server answered 404",
                    solution="run again with --refresh; if it stays, tell whoever runs the index",
                )
            resumed = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(
                f"bytes {have}-"
            )
            if not resumed:
                self._out.seek(0)
                self._out.truncate()
                if response.status_code != 200:
                    message = f"the server answered {response.status_code} to a request for the whole file"
                    raise Transient(message)
            etag = response.headers.get("ETag", "")
            # Only a strong validator promises the same bytes.
            self._validator = etag if etag and not etag.startswith("W/") else None
            for chunk in response.iter_raw(_CHUNK):
                self._out.write(chunk)


def _copy_local(url: str, out: IO[bytes]) -> None:
    source = Path(unquote(urlsplit(url).path))
    try:
        with source.open("rb") as given:
            while chunk := given.read(_CHUNK):
                out.write(chunk)
    except OSError as error:
        message = f"{url}: {error.strerror or error}"
        raise UpstreamError(message, solution="check that the file is there and readable") from error


def _check(path: Path, file: IndexFile, expected: Digest | None) -> Digest:
    try:
        with path.open("rb") as opened:
            found = Digest(hashlib.file_digest(opened, "sha256").hexdigest())
    except FileNotFoundError as error:
        message = f"{path}: expected {file.filename}, found no file"
        raise IntegrityError(message, solution="run again; the file is fetched anew") from error
    if expected is not None and found != expected:
        raise IntegrityError(
            f"{file.filename} from {redact(file.url)}: expected sha256 {expected}, found {found}",
            solution="run again to download it anew; if it differs again, do not use it and tell whoever runs the index",
        )
    return found


def _record_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.sha256")


def _recorded(path: Path) -> Digest | None:
    try:
        return Digest(_record_path(path).read_text("ascii").strip())
    except (OSError, UnicodeDecodeError):
        return None


def _record(path: Path, digest: Digest) -> None:
    _record_path(path).write_text(f"{digest}\n", "ascii")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
