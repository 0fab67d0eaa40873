"""The METADATA of a wheel on an index, read without the wheel: PEP 658's file, else a ranged read of the archive's end."""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
import zipfile
import zlib
from typing import TYPE_CHECKING, cast

from farm.adapters.page_cache import keep
from farm.adapters.process import redact
from farm.adapters.web import Transient
from farm.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import IO

    from farm.adapters.web import Web
    from farm.model.package import IndexFile

_TAIL = 1 << 16
_LARGEST = 16 << 20
_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_NO_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError)


class WheelMetadata:
    """Reads and keeps METADATA texts. `local` returns the path of a URL that needs no network (the farm's own), or None."""

    def __init__(self, web: Web, cache: Path, local: Callable[[str], Path | None] = lambda _: None) -> None:
        self._web = web
        self._folder = cache / "metadata"
        self._local = local

    def read(self, file: IndexFile) -> str | None:
        """Return the text, or None when the wheel is gone or is no wheel. UpstreamError when the index did not answer."""
        near = self._local(file.url)
        if near is not None:
            with near.open("rb") as opened:
                return _from_zip(opened)
        key = file.sha256 or hashlib.sha256(file.url.encode()).hexdigest()
        kept = self._folder / key[:2] / key
        try:
            return kept.read_bytes().decode("utf-8", "replace")
        except OSError:
            pass
        text = self._beside(file)
        if text is None:
            text = self._web.retrying(file.url, f"the metadata of {file.filename}", lambda: self._inside(file.url))
        if text is not None:
            keep(kept, text.encode())
        return text

    def _beside(self, file: IndexFile) -> str | None:
        """Return what `url + ".metadata"` answers; asked for also where the page is silent: indexes forget to say so."""
        try:
            reply = self._web.get(f"{file.url}.metadata", {}, subject=f"the metadata of {file.filename}")
        except UpstreamError:
            if file.metadata:
                raise
            # Some stores refuse what they do not have; whether the index is up shows in the next request.
            return None
        if reply.status != 200:
            return None
        found = hashlib.sha256(reply.body).hexdigest()
        if isinstance(file.metadata, str) and found != file.metadata:
            raise UpstreamError(
                f"{redact(file.url)}.metadata: expected sha256 {file.metadata}, found {found}",
                solution="run again; if it stays, tell whoever runs the index",
            )
        if not re.search(rb"^Metadata-Version:", reply.body[:10000], re.MULTILINE | re.IGNORECASE):
            return None
        return reply.body.decode("utf-8", "replace")

    def _inside(self, url: str) -> str | None:
        with self._web.opened(url, {"Accept-Encoding": "identity", "Range": f"bytes=-{_TAIL}"}) as response:
            if response.status_code == 404:
                return None
            if response.headers.get("Content-Type", "").startswith("text/html"):
                # A login page or a proxy's: what the index has to say is not known.
                raise UpstreamError(
                    f"{redact(url)}: expected a wheel, found an HTML page",
                    solution="check that no proxy or login page answers in the index's place",
                )
            span = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if response.status_code != 206 or span is None:
                with tempfile.TemporaryFile() as whole:
                    for chunk in response.iter_raw(1 << 20):
                        whole.write(chunk)
                    return _from_zip(whole)
            tail = b"".join(response.iter_raw())
        return _from_zip(cast("IO[bytes]", _Remote(self._web, url, int(span[3]), tail)))


class _Remote:
    """A file on the index as zipfile reads one: its tail is here, other parts are asked for when read."""

    def __init__(self, web: Web, url: str, size: int, tail: bytes) -> None:
        self._web = web
        self._url = url
        self._size = size
        self._blocks = [(size - len(tail), tail)]
        self._at = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def read(self, count: int = -1) -> bytes:
        end = self._size if count < 0 else min(self._size, self._at + count)
        parts = []
        while self._at < end:
            start, block = self._block(self._at, end - self._at)
            data = block[self._at - start :][: end - self._at]
            self._at += len(data)
            parts.append(data)
        return b"".join(parts)

    def _block(self, at: int, wanted: int) -> tuple[int, bytes]:
        for start, block in self._blocks:
            if start <= at < start + len(block):
                return start, block
        end = min(self._size, at + max(wanted, _TAIL)) - 1
        with self._web.opened(self._url, {"Accept-Encoding": "identity", "Range": f"bytes={at}-{end}"}) as response:
            if response.status_code != 206:
                message = f"the server answered {response.status_code} to a ranged request after it had served one"
                raise Transient(message)
            self._blocks.append((at, b"".join(response.iter_raw())))
        return self._blocks[-1]


def metadata_of(wheel: Path) -> str | None:
    """Return the METADATA of a wheel on this disk, or None when it is no wheel."""
    with wheel.open("rb") as opened:
        return _from_zip(opened)


def _from_zip(opened: IO[bytes]) -> str | None:
    try:
        with zipfile.ZipFile(opened) as archive:
            for info in archive.infolist():
                if _METADATA.fullmatch(info.filename) and info.file_size <= _LARGEST:
                    return archive.read(info).decode("utf-8", "replace")
    except _NO_ZIP:
        return None
    return None
