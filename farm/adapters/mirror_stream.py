"""Upstream's files on their way through: one transfer for all who want a file, passed on while it is written and hashed.

The last byte is passed on when the hash of all is right, not before. So a client never has a wrong file that looks whole.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from farm.adapters.durable import storing
from farm.adapters.process import redact
from farm.adapters.web import Transient
from farm.errors import FarmError, UpstreamError
from farm.model.build import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from farm.adapters.mirror_files import Listed
    from farm.adapters.web import Web
    from farm.adapters.workers import Workers

_CHUNK = 1 << 18
_WASTE_SECONDS = 24 * 3600.0


class Fetches:
    """Files under their digests below `folder`, and the transfers that bring them there."""

    def __init__(self, web: Web, workers: Workers, folder: Path) -> None:
        self._web = web
        self._workers = workers
        self._folder = folder
        self._lock = threading.Lock()
        self._running: dict[str, Transfer] = {}

    def kept(self, listed: Listed) -> Path | None:
        """Return where a file lies, or None."""
        path = self._path(listed)
        return path if path.exists() else None

    def start(self, listed: Listed) -> Stream:
        """Begin a transfer or join it; waits for upstream's first answer. UpstreamError when there is none."""
        transfer = self._transfer(listed)
        size = transfer.wait_for_size()
        return Stream(transfer, listed.size if size is None else size)

    def whole(self, listed: Listed) -> Path:
        """Return where the file lies once it is there whole. UpstreamError or IntegrityError when it cannot be had."""
        path = self.kept(listed)
        if path is None:
            self._transfer(listed).wait()
            path = self._path(listed)
        return path

    def sweep(self) -> None:
        """Remove what transfers left that died with their process."""
        before = time.time() - _WASTE_SECONDS
        with suppress(OSError):
            for part in (self._folder / "parts").iterdir():
                if part.stat().st_mtime < before:
                    part.unlink(missing_ok=True)

    def _path(self, listed: Listed) -> Path:
        return self._folder / listed.algorithm / listed.digest[:2] / listed.digest[2:]

    def _transfer(self, listed: Listed) -> Transfer:
        path = self._path(listed)
        with self._lock:
            running = self._running.get(str(path))
            if running is None:
                part = self._folder / "parts" / uuid.uuid4().hex
                with storing(part):
                    part.parent.mkdir(parents=True, exist_ok=True)
                    running = self._running[str(path)] = Transfer(self._web, listed, part, path)
                self._workers.submit(lambda: self._run(running))
            return running

    def _run(self, transfer: Transfer) -> None:
        try:
            transfer.run()
        finally:
            with self._lock:
                self._running.pop(str(transfer.path), None)


class Transfer:
    """One file from upstream to the disk, followed by any number of readers while it comes."""

    def __init__(self, web: Web, listed: Listed, part: Path, path: Path) -> None:
        self.path = path
        self._web = web
        self._listed = listed
        self._part = part
        self._file = part.open("xb")
        self._changed = threading.Condition()
        self._written = 0
        self._size: int | None = None
        self._answered = False
        self._done = False
        self._error: FarmError | None = None
        self._validator = ""
        self._digest = hashlib.new(listed.algorithm)

    def run(self) -> None:
        """Fetch the file. Failures are for the readers; nothing is raised."""
        error: FarmError | None = None
        try:
            self._web.retrying(self._listed.url, redact(self._listed.url), self._go_on)
            self._settle()
        except FarmError as trouble:
            error = trouble
        except Exception as trouble:
            error = UpstreamError(f"{redact(self._listed.url)}: {trouble}", solution="the server's log says more")
            raise
        finally:
            with suppress(OSError):
                self._file.close()
            with suppress(OSError):
                self._part.unlink(missing_ok=True)
            with self._changed:
                self._error, self._done, self._answered = error, True, True
                self._changed.notify_all()

    def wait_for_size(self) -> int | None:
        with self._changed:
            self._changed.wait_for(lambda: self._answered)
            if self._error is not None and self._written == 0:
                raise self._error
            return self._size

    def wait(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._done)
            if self._error is not None:
                raise self._error

    def follow(self) -> Iterator[bytes]:
        """Yield the bytes as they come; FarmError in the middle when they turn out wrong."""
        at, done = 0, False
        with self._reading() as file:
            while not done:
                with self._changed:
                    while not self._done and self._written - 1 <= at:
                        self._changed.wait()
                    if self._error is not None:
                        raise self._error
                    done = self._done
                    end = self._written if done else self._written - 1
                while at < end and (chunk := file.read(min(_CHUNK, end - at))):
                    at += len(chunk)
                    yield chunk

    def _reading(self) -> BinaryIO:
        """Open the file for a reader of its own, wherever it is by now."""
        for _ in range(2):
            for place in (self._part, self.path):
                with suppress(FileNotFoundError):
                    return place.open("rb")
        with self._changed:
            self._changed.wait_for(lambda: self._done)
            if self._error is not None:
                raise self._error
        with storing(self.path):
            return self.path.open("rb")

    def _go_on(self) -> None:
        headers = {"Accept-Encoding": "identity"}
        if self._written:
            headers |= {"Range": f"bytes={self._written}-", "If-Range": self._validator}
        with self._web.opened(self._listed.url, headers) as response:
            self._begin(response)
            for chunk in response.iter_raw(_CHUNK):
                with storing(self._part):
                    self._file.write(chunk)
                    self._file.flush()
                self._digest.update(chunk)
                with self._changed:
                    self._written += len(chunk)
                    self._changed.notify_all()

    def _begin(self, response: httpx.Response) -> None:
        if response.status_code == 404:
            raise UpstreamError(
                f"{redact(self._listed.url)}: the index lists this file, but the server answered 404",
                solution="try again when upstream's page was read anew; if it stays, tell whoever runs that index",
            )
        if self._written:
            resumed = response.headers.get("Content-Range", "").startswith(f"bytes {self._written}-")
            if response.status_code != 206 or not resumed:
                # Readers have bytes of another answer already.
                message = f"{redact(self._listed.url)}: upstream broke off and would not go on from where it was"
                raise UpstreamError(message, solution="try again")
            return
        if response.status_code != 200:
            message = f"the server answered {response.status_code} to a request for the whole file"
            raise Transient(message)
        etag = response.headers.get("ETag", "")
        self._validator = "" if etag.startswith("W/") else etag
        length = response.headers.get("Content-Length", "")
        with self._changed:
            self._size = int(length) if length.isdigit() and "Content-Encoding" not in response.headers else None
            self._answered = True
            self._changed.notify_all()

    def _settle(self) -> None:
        found = self._digest.hexdigest()
        if found != self._listed.digest:
            raise IntegrityError(
                f"{redact(self._listed.url)}: expected {self._listed.algorithm} {self._listed.digest}, found {found}",
                solution="try again; if it differs again, do not use the file and tell whoever runs the upstream index",
            )
        with storing(self.path):
            os.fsync(self._file.fileno())
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._part.chmod(0o644)
            self._part.replace(self.path)


class Stream:
    """Satisfies `views.UpstreamStream`."""

    def __init__(self, transfer: Transfer, size: int | None) -> None:
        self._transfer = transfer
        self.size = size

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes; blocks. FarmError in the middle when they are not what upstream's page promised."""
        return self._transfer.follow()
