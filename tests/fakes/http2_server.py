"""An index over HTTP/2 alone, with TLS, on the loopback interface: the pages and files of an IndexServer."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.events

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from tests.fakes.index_server import IndexServer


def certificate(folder: Path) -> Path:
    """Return a PEM file with a key and a certificate for 127.0.0.1 that signs itself."""
    path = folder / "server.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", str(path) + ".crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_text(path.read_text() + (folder / "server.pem.crt").read_text())
    return path


class Http2Server:
    """Use as a context manager; refuses whoever does not speak HTTP/2."""

    def __init__(self, index: IndexServer, pem: Path) -> None:
        self._index = index
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pem)
        self._context.set_alpn_protocols(["h2"])
        self.requests = 0

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._listener.getsockname()[1]}/simple"

    def __enter__(self) -> Http2Server:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(plain,), daemon=True).start()

    def _talk(self, plain: socket.socket) -> None:
        try:
            with self._context.wrap_socket(plain, server_side=True) as secure:
                if secure.selected_alpn_protocol() == "h2":
                    self._converse(secure)
        except OSError:
            return

    def _converse(self, secure: ssl.SSLSocket) -> None:
        talk = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        talk.initiate_connection()
        secure.sendall(talk.data_to_send())
        while data := secure.recv(65536):
            for event in talk.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    assert event.stream_id is not None
                    self._answer(talk, event.stream_id, dict(event.headers or ()))
            secure.sendall(talk.data_to_send())

    def _answer(self, talk: h2.connection.H2Connection, stream: int, headers: dict[str, str]) -> None:
        self.requests += 1
        parts = headers[":path"].strip("/").split("/")
        kind, body = "application/octet-stream", None
        if parts[0] == "simple":
            kind, body = self._index.page(parts[1]) or (kind, None)
        else:
            body = self._index.file(parts[1], parts[2])
        status = "404" if body is None else "200"
        talk.send_headers(stream, [(":status", status), ("content-type", kind)])
        # Every body of these tests fits into one frame and the first window.
        talk.send_data(stream, body or b"", end_stream=True)
