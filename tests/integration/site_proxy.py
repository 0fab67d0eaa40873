"""A proxy for HTTP, as a site has one between its machines and the world. Runs alone in a container; tells each request.

`python site_proxy.py PORT NAME=URL ...`: what is asked of http://NAME/ is got from URL, so that a request for a host that does
not exist proves by its answer that it came this way.
"""

from __future__ import annotations

import socket
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

KNOWN = dict(argument.split("=", 1) for argument in sys.argv[2:])


class Proxy(BaseHTTPRequestHandler):
    """One request: fetched for the client, or a tunnel."""

    def log_message(self, *words: object) -> None:
        """Tell requests by their first line only."""

    def do_GET(self) -> None:
        print(self.requestline, flush=True)  # noqa: T201
        parts = urlsplit(self.path)
        target = KNOWN[parts.hostname or ""] + parts.path if parts.hostname in KNOWN else self.path
        given = {name: self.headers[name] for name in ("Range", "If-Modified-Since", "Accept") if name in self.headers}
        try:
            with urllib.request.urlopen(urllib.request.Request(target, headers=given), timeout=120) as answer:
                self.send_response(answer.status)
                for name in ("Content-Length", "Content-Type", "Content-Range", "Last-Modified"):
                    if name in answer.headers:
                        self.send_header(name, answer.headers[name])
                self.end_headers()
                while data := answer.read(1 << 16):
                    self.wfile.write(data)
        except urllib.error.HTTPError as error:
            self.send_response(error.code)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def do_CONNECT(self) -> None:
        print(self.requestline, flush=True)  # noqa: T201
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=60) as far:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=pour, args=(far, self.connection), daemon=True)
            back.start()
            pour(self.connection, far)
            back.join(60)
        self.close_connection = True


def pour(source: socket.socket, target: socket.socket) -> None:
    """Pass on bytes until one side ends."""
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Proxy).serve_forever()
