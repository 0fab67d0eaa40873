"""A small upstream index over real HTTP on the loopback interface, with the ways in which real ones fail.

Serves JSON or HTML pages (PEP 691, PEP 503), files with ranges, `.metadata` (PEP 658) and ETags; counts every request.
"""

from __future__ import annotations

import gzip
import hashlib
import html
import json
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

Failure = Literal["404", "401", "500", "503", "429", "slow", "truncated", "reset", "html", "wrong-hash", "stuck"]


@dataclass(kw_only=True)
class Hosted:
    """A file on the index. `metadata` is what `.metadata` answers; None for none. `page` are further keys of its page entry."""

    data: bytes
    metadata: str | None = None
    page: dict[str, Any] = field(default_factory=dict)


class IndexServer:
    """Use as a context manager. `fail` maps a URL path (or a part of one) to how it fails, and how often (None: always)."""

    retry_after = "0"
    """What a 429 asks to wait: seconds, or an HTTP date."""

    def __init__(
        self,
        *,
        form: Literal["json", "html"] = "json",
        etags: bool = True,
        ranges: bool = True,
        zipped: bool = False,
        core_metadata: bool = True,
    ) -> None:
        self.form = form
        self.etags = etags
        self.ranges = ranges
        self.zipped = zipped
        self.core_metadata = core_metadata
        self.at_once = 0
        self.most_at_once = 0
        self.projects: dict[str, dict[str, Hosted]] = {}
        self.raw_pages: dict[str, tuple[str, bytes]] = {}
        self.failures: dict[str, tuple[Failure, int | None]] = {}
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._lock = threading.Lock()

    def add(self, file: tuple[str, bytes], *, metadata: str | None = None, **page: Any) -> None:
        """Host a file; keyword arguments go to its page entry with `-` for `_` (`requires_python=">=3.9"`)."""
        filename, data = file
        stem = filename.removesuffix(".tar.gz").removesuffix(".zip").removesuffix(".tar.bz2")
        match = re.match(r"(.+?)-\d", stem)
        name = canonicalize_name(match[1] if match else stem)
        entry = {key.replace("_", "-"): value for key, value in page.items()}
        self.projects.setdefault(name, {})[filename] = Hosted(data=data, metadata=metadata, page=entry)

    def fail(self, part: str, how: Failure, times: int | None = None) -> None:
        """Make requests whose path contains `part` fail, from now on or only so many times."""
        self.failures[part] = (how, times)

    def asked(self, part: str) -> int:
        """Return how many requests had `part` in their path."""
        return sum(part in path for path in self.requests)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/simple"

    def __enter__(self) -> IndexServer:
        index = self

        class Handler(_Handler):
            server_index = index

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def failure(self, path: str) -> Failure | None:
        with self._lock:
            self.requests.append(path)
            for part, (how, times) in self.failures.items():
                if part in path and times != 0:
                    self.failures[part] = (how, None if times is None else times - 1)
                    return how
        return None

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count the requests that are answered at the same time."""
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            yield
        finally:
            with self._lock:
                self.at_once -= 1

    def page(self, name: str) -> tuple[str, bytes] | None:
        if name in self.raw_pages:
            return self.raw_pages[name]
        files = self.projects.get(name)
        if files is None:
            return None
        entries = [self._entry(name, filename, hosted) for filename, hosted in files.items()]
        if self.form == "json":
            body = json.dumps({"meta": {"api-version": "1.1"}, "name": name, "files": entries}).encode()
            return "application/vnd.pypi.simple.v1+json", body
        return "text/html", _html_page(entries)

    def root(self) -> tuple[str, bytes]:
        if self.form == "html":
            links = "".join(f'<a href="{name}/">{name}</a>' for name in self.projects)
            return "text/html", f"<!DOCTYPE html><html><body>{links}</body></html>".encode()
        listed = [{"name": name} for name in self.projects]
        body = json.dumps({"meta": {"api-version": "1.1"}, "projects": listed}).encode()
        return "application/vnd.pypi.simple.v1+json", body

    def _entry(self, name: str, filename: str, hosted: Hosted) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "filename": filename,
            "url": f"../../files/{name}/{filename}",
            "hashes": {"sha256": hashlib.sha256(hosted.data).hexdigest()},
            "size": len(hosted.data),
        }
        if hosted.metadata is not None and self.core_metadata:
            entry["core-metadata"] = {"sha256": hashlib.sha256(hosted.metadata.encode()).hexdigest()}
        return entry | hosted.page

    def file(self, name: str, filename: str) -> bytes | None:
        files = self.projects.get(name, {})
        if filename.endswith(".metadata"):
            hosted = files.get(filename.removesuffix(".metadata"))
            return hosted.metadata.encode() if hosted and hosted.metadata is not None else None
        return files[filename].data if filename in files else None


def _html_page(entries: list[dict[str, Any]]) -> bytes:
    links = []
    for entry in entries:
        digest = (entry.get("hashes") or {}).get("sha256")
        attributes = (
            f' data-requires-python="{html.escape(entry["requires-python"])}"' if "requires-python" in entry else ""
        )
        if entry.get("yanked"):
            attributes += f' data-yanked="{"" if entry["yanked"] is True else html.escape(entry["yanked"])}"'
        if "core-metadata" in entry:
            attributes += f' data-core-metadata="sha256={entry["core-metadata"]["sha256"]}"'
        href = entry["url"] + (f"#sha256={digest}" if digest else "")
        links.append(f'<a href="{html.escape(href)}"{attributes}>{html.escape(entry["filename"])}</a><br/>')
    return f"<!DOCTYPE html><html><head><title>Links</title></head><body>{''.join(links)}</body></html>".encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients under test hang up on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_index: IndexServer

    def do_GET(self) -> None:
        with self.server_index.counted():
            self._get()

    def do_HEAD(self) -> None:
        if not self.path.startswith("/files/"):
            self.send_error(501)
            return
        self.do_GET()

    def _get(self) -> None:
        index = self.server_index
        how = index.failure(self.path)
        index.headers.append(dict(self.headers.items()))
        if how is not None and how not in {"truncated", "wrong-hash"}:
            self._fail(how)
            return
        parts = self.path.strip("/").split("/")
        kind, body = "application/octet-stream", None
        if parts == ["simple"]:
            kind, body = index.root()
        elif parts[0] == "simple" and len(parts) == 2:
            kind, body = index.page(parts[1]) or (kind, None)
        elif parts[0] == "files":
            body = index.file(parts[1], parts[2])
        if body is None:
            self._send(404, "text/plain", b"not found")
        elif how == "wrong-hash":
            self._send(200, kind, bytes(reversed(body)))
        else:
            self._serve(kind, body, cut=how == "truncated")

    def _serve(self, kind: str, body: bytes, *, cut: bool) -> None:
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        extra = {"ETag": etag} if self.server_index.etags else {}
        if self.server_index.etags and self.headers.get("If-None-Match") == etag:
            self._send(304, kind, b"", extra)
            return
        if extra and self.path.startswith("/files/"):
            # As the hosts of real indexes: a file never changes.
            extra["Cache-Control"] = "max-age=365000000, immutable, public"
        if self.server_index.ranges:
            extra["Accept-Ranges"] = "bytes"
        status, start, end = 200, 0, len(body)
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if wanted and self.server_index.ranges:
            start = int(wanted[1]) if wanted[1] else max(0, len(body) - int(wanted[2]))
            end = min(len(body), int(wanted[2]) + 1) if wanted[1] and wanted[2] else len(body)
            status = 206
            extra["Content-Range"] = f"bytes {start}-{end - 1}/{len(body)}"
        part = body[start:end]
        if self.server_index.zipped and "gzip" in self.headers.get("Accept-Encoding", ""):
            part = gzip.compress(part)
            extra["Content-Encoding"] = "gzip"
        self._send(status, kind, part, extra, cut=cut)

    def _fail(self, how: Failure) -> None:
        if how in {"slow", "stuck"}:
            time.sleep(1.5 if how == "slow" else 60)
            self.close_connection = True
        elif how == "reset":
            self.close_connection = True
        elif how == "html":
            self._send(200, "text/html", b"<html><body><h1>Please log in</h1><a href='/login'>here</a></body></html>")
        else:
            extra = {"Retry-After": self.server_index.retry_after} if how == "429" else {}
            self._send(int(how), "text/plain", b"failing on purpose", extra)

    def _send(
        self, status: int, kind: str, body: bytes, extra: dict[str, str] | None = None, *, cut: bool = False
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if status != 304 and self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""
