"""A farm that takes uploads, over real HTTP on the loopback interface, and a client that can misbehave."""

from __future__ import annotations

import base64
import http.client
import os
import socket
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import uvicorn

from farm.adapters.clock import SystemClock
from farm.adapters.inspector import WheelInspector
from farm.adapters.sdist_archive import read_sdist
from farm.adapters.store import Store
from farm.adapters.token_file import TokenFile
from farm.adapters.tokens import Tokens
from farm.adapters.wheel_record import Unpacking
from farm.errors import UpstreamError
from farm.model.package import Project, parse_wheel_name
from farm.model.token import Scope, Token
from farm.serve.access import TokenAccess
from farm.serve.app import Options, create_app
from farm.serve.fast import Shared, fast_protocol
from farm.serve.form import FormLimits
from farm.serve.simple import render_project
from farm.serve.upload import UploadLimits, upload_routes
from farm.work.receive import ReceivePorts, receive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import BinaryIO

    from farm.model.package import NormalizedName
    from farm.model.page import Page
    from farm.model.upload import Offer, UpstreamProject

EDGE = "----farm-upload-test"
LIMITS = UploadLimits(
    form=FormLimits(file=8 << 20, fields=200_000, count=300, header=2048), stall=0.5, grace=1.5, rate=1000.0, at_once=20
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a client got."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class UploadFarm:
    """A served store. `upstream` is what the upstream index has; a project in `silent` makes it not answer."""

    root: Path
    upstream: dict[str, UpstreamProject] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    render: Callable[[Project], tuple[Page, ...]] = render_project
    limits: UploadLimits = LIMITS
    open_reading: bool = True

    def __enter__(self) -> UploadFarm:
        self.store = Store(self.root, self.render, SystemClock())
        self.tokens = Tokens(self.root, self.store.catalogue.database, self.store.locks)
        self.access = TokenAccess(TokenFile(self.root), SystemClock().now, open_reading=self.open_reading)
        self.secret = self.token(f"ci{os.getpid()}") if self.access_names() else self.token("ci")
        app = create_app(
            {"": self.store},
            self.store,
            Options(uploads=upload_routes(self, self.access, self.limits), access=self.access),
        )
        config = uvicorn.Config(
            app, http=fast_protocol(Shared()), loop="uvloop", log_level="critical", lifespan="off", timeout_graceful_shutdown=2
        )
        self._server = uvicorn.Server(config)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],))
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def access_names(self) -> list[str]:
        """Return the tokens that there are."""
        return [token.name for token in self.tokens.all()]

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()
        self.store.close()

    def staged(self) -> AbstractContextManager[tuple[BinaryIO, Path]]:
        return self.store.staged()

    def receive(self, offer: Offer) -> str:
        ports = ReceivePorts(
            clock=SystemClock(),
            index=self.store,
            inspector=WheelInspector({}, Unpacking(total=200 << 20, members=2000, ratio=50.0, free=1 << 20)),
            sdist_metadata=lambda path: read_sdist(path).text("PKG-INFO"),
            upstream=self._upstream,
            private=("acme-*",),
        )
        return receive(offer, ports)

    def _upstream(self, name: NormalizedName) -> UpstreamProject | None:
        self.asked.append(name)
        if name in self.silent:
            raise UpstreamError("no answer", solution="wait")
        return self.upstream.get(name)

    def token(self, name: str, scope: Scope = "upload", *projects: str, expires: datetime | None = None) -> str:
        """Make a token and return its secret."""
        now = datetime.now(UTC)
        return self.tokens.create(
            Token(name=name, hash="", scope=scope, projects=projects, created=now, expires=expires)
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def listed(self, name: str) -> list[str]:
        """Return the file names on a project's page, as a client sees it."""
        got = self.ask("GET", f"/simple/{name}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})
        import json  # noqa: PLC0415 - only here

        return [] if got.status == 404 else [entry["filename"] for entry in json.loads(got.text)["files"]]

    def waste(self) -> list[str]:
        """Return what lies in the staging folder."""
        folder = self.root / "staging"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(
                status=response.status,
                text=response.read().decode("utf-8", "replace"),
                headers=dict(response.getheaders()),
            )
        finally:
            connection.close()

    def login(self, secret: str | None = None) -> dict[str, str]:
        pair = f"__token__:{self.secret if secret is None else secret}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}

    def upload(
        self,
        filename: str,
        data: bytes,
        fields: Sequence[tuple[str, str]] = (),
        *,
        path: str = "/legacy/",
        **headers: str,
    ) -> Answer:
        """Upload a file with these fields beside the two that every client sends."""
        sent = [(":action", "file_upload"), ("protocol_version", "1"), *fields]
        kind = {"Content-Type": f"multipart/form-data; boundary={EDGE}"}
        return self.ask("POST", path, form(sent, filename, data), self.login() | kind | headers)

    def wheel(self, path: Path, fields: Sequence[tuple[str, str]] = (), **headers: str) -> Answer:
        """Upload a wheel under its own name."""
        return self.upload(path.name, path.read_bytes(), fields, **headers)


def form(fields: Sequence[tuple[str, str]], filename: str, data: bytes) -> bytes:
    """Return a form as twine sends it: the fields, then the file."""
    parts = [
        f'--{EDGE}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields
    ]
    head = f'--{EDGE}\r\nContent-Disposition: form-data; name="content"; filename="{filename}"\r\n\r\n'.encode()
    return b"".join((*parts, head, data, f"\r\n--{EDGE}--\r\n".encode()))


def file_of(answer: Answer, filename: str) -> dict[str, Any]:
    """Return a file's entry on a JSON page."""
    import json  # noqa: PLC0415 - only here

    entries = [entry for entry in json.loads(answer.text)["files"] if entry["filename"] == filename]
    assert len(entries) == 1
    found = entries[0]
    assert isinstance(found, dict)
    assert parse_wheel_name(filename) is not None or filename.endswith(".tar.gz")
    return found
