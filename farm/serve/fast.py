"""uvicorn's HTTP/1.1 protocol with a short cut for what was asked before, and with bounds on clients.

When a connection is at rest and exactly one request head arrives, and an answer to these very bytes is kept and still true, it
is written at once. Everything else goes through uvicorn's parser and the application, untouched, and the application
may offer the answer it gave to be kept (`farm.serve.kept`). docs/decisions/0014-a-short-cut-for-what-was-asked-before.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from farm.serve.kept import EXTENSION, KeptAnswers, OpenFiles
from farm.serve.limits import Limits, Watch
from farm.serve.sending import Gone, Sending, duplicate

if TYPE_CHECKING:
    import asyncio
    import socket

    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from uvicorn.server import ServerState

    from farm.serve.kept import Answer, Kept

_END = b"\r\n\r\n"


class Shared:
    """What all connections of one server share."""

    def __init__(self, limits: Limits | None = None, answers: KeptAnswers | None = None) -> None:
        self.limits = limits or Limits()
        self.answers = answers or KeptAnswers()
        self.files = OpenFiles()
        self.watch: Watch | None = None
        self.given = 0
        """How many kept answers were given again."""
        self._last: list[tuple[bytes, bytes]] | None = None
        self._lines = b""

    def changing(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Return the lines of the headers that uvicorn makes anew each second (Date)."""
        if headers is not self._last:
            self._last = headers
            self._lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        return self._lines


def fast_protocol(shared: Shared) -> type[HttpToolsProtocol]:
    """Return the protocol class for `uvicorn.Config(http=...)`."""
    return type("FastProtocol", (_FastProtocol,), {"shared": shared})


class _FastProtocol(HttpToolsProtocol):
    shared: ClassVar[Shared]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = self.shared.limits
        self._now = self.loop.time
        # When something last happened, when the message under way began, and what was still to be sent at the last look.
        self._since = self._begun = self._now()
        self._unsent = 0
        # The message under way: its size so far (head, later pieces of the head, body), and what is still to come of it.
        self._head_size = self._piece_size = self._body_size = 0
        self._in_head = self._in_body = False
        self._messages = 0
        self._offers: list[Answer] = []
        self._asked: tuple[bytes, list[Answer], RequestResponseCycle] | None = None
        # A file under way, what arrived meanwhile, and the socket that it is sent through.
        self._sending: Sending | None = None
        self._held = b""
        self._socket: socket.socket | None = None
        self._waits = self._last_answer = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            self._refuse(b"503 Service Unavailable", b"too many connections")
            return
        if self.shared.watch is None:
            self.shared.watch = Watch(self.loop, self.connections)
        self.shared.watch.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_sending()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._since = self._now()
        if self._sending is not None:
            self._held += data
            self.flow.pause_reading()
            return
        at_rest = self._at_rest()
        if at_rest:
            kept = self.shared.answers.find(data)
            if kept is not None and self._give(kept):
                self.shared.given += 1
                return
        messages = self._messages
        if self._in_head:
            self._piece_size += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if at_rest:
            # Not otherwise: a client that has the whole body may ask on before the application has ended its answer.
            self._asked = None
        if at_rest and self._messages == messages + 1 and data.endswith(_END):
            self._remember(data)
        elif self._in_head and self._piece_size > self._limits.head_bytes:
            self._refuse_head()

    def _at_rest(self) -> bool:
        """Tell whether nothing is half received, being answered or waiting to be sent."""
        return not (
            self._in_head
            or self._in_body
            or self._under_way() is not None
            or self.flow.write_paused
            or self.transport.is_closing()
        )

    def _under_way(self) -> RequestResponseCycle | None:
        # uvicorn declares a cycle to be there always; before the first request it is None.
        cycle: RequestResponseCycle | None = self.cycle
        return None if cycle is None or cycle.response_complete else cycle

    def _remember(self, data: bytes) -> None:
        # These bytes were one whole request and nothing else: its answer, when it is complete, is the answer to them.
        complete = not (self._in_head or self._in_body or self.cycle.more_body)
        if complete and not self.parser.should_upgrade() and not self.config.access_log:
            self._asked = (data, self._offers, self.cycle)

    # What the parser tells.

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._messages += 1
        self._in_head = True
        self._begun = self._now()
        self._head_size = self._piece_size = self._body_size = 0
        self._offers = []
        self.scope["extensions"] = {EXTENSION: {"offers": self._offers}}

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count(len(name) + len(value) + 4)

    def on_headers_complete(self) -> None:
        self._in_head, self._in_body = False, True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_size += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def _count(self, size: int) -> None:
        self._head_size += size
        if self._head_size > self._limits.head_bytes:
            raise _TooLargeError

    def send_400_response(self, msg: str) -> None:
        if self._head_size > self._limits.head_bytes:
            self._refuse_head()
        else:
            super().send_400_response(msg)

    def on_response_complete(self) -> None:
        asked, self._asked = self._asked, None
        super().on_response_complete()
        self._since = self._now()
        if asked is not None and asked[1] and asked[2].keep_alive:
            head, offers, cycle = asked
            answer = offers[-1]
            self.shared.answers.put(head, answer.without_body() if cycle.scope["method"] == "HEAD" else answer)

    # What was kept.

    def _give(self, kept: Kept) -> bool:
        """Write a kept answer, or return False: then the ordinary way is to give it."""
        self._unset_keepalive_if_required()
        head = kept.start + self.shared.changing(self.server_state.default_headers) + kept.rest
        if kept.file is not None:
            if not self._give_file(head, kept.file, kept.size):
                return False
        elif kept.body:
            self.transport.writelines([head, kept.body])
        else:
            self.transport.write(head)
        if kept.given is not None:
            kept.given()
        return True

    def _give_file(self, head: bytes, path: str, size: int) -> bool:
        # Below TLS the kernel cannot send a file; and what is sent past the transport must not overtake what it holds.
        if self.scheme == "https" or self.transport.get_write_buffer_size():
            return False
        file = self.shared.files.find(path, size)
        if file is None:
            return False
        if self._socket is None:
            self._socket = duplicate(self.transport.get_extra_info("socket").fileno())
        self._sending = Sending(self._socket, head, file, size)
        self._send_on()
        return True

    def _send_on(self) -> None:
        assert self._sending is not None
        assert self._socket is not None
        try:
            done = self._sending.advance()
        except Gone:
            self._stop_sending()
            self.transport.abort()
            return
        if not done:
            if not self._waits:
                self._waits = True
                self.loop.add_writer(self._socket.fileno(), self._send_on)
            return
        self._stop_sending()
        self._since = self._now()
        if self._last_answer:
            self.transport.close()
        elif self._held:
            held, self._held = self._held, b""
            self.flow.resume_reading()
            self.data_received(held)

    def _stop_sending(self) -> None:
        self._sending = None
        if self._waits and self._socket is not None:
            self._waits = False
            self.loop.remove_writer(self._socket.fileno())

    # Ends.

    def shutdown(self) -> None:
        if self._sending is not None:
            self._last_answer = True
        else:
            super().shutdown()

    def timeout_keep_alive_handler(self) -> None:
        """Leave it to `look`: uvicorn's timer knows nothing of answers that were kept."""

    def look(self, now: float) -> None:
        """End the connection when its client takes too long; called about once a second."""
        unsent = self.transport.get_write_buffer_size() + (self._sending.left if self._sending else 0)
        if unsent:
            if unsent != self._unsent:
                self._unsent, self._since = unsent, now
            elif now - self._since > self._limits.stall_seconds:
                self.transport.abort()
            return
        self._unsent = 0
        if self.transport.is_closing():
            return
        if self._in_head or (self._in_body and not self.cycle.response_complete):
            if self._late(now):
                self._refuse(b"408 Request Timeout", b"the request took too long to arrive")
        elif self._under_way() is not None:
            self._since = now
        elif now - self._since > (self._limits.idle_seconds if self._messages else self._limits.head_seconds):
            self.transport.close()

    def _late(self, now: float) -> bool:
        if self._in_head:
            return now - self._begun > self._limits.head_seconds
        stalled = now - self._since > self._limits.stall_seconds
        return stalled or now - self._begun > self._limits.stall_seconds + self._body_size / self._limits.body_rate

    def _refuse_head(self) -> None:
        self._refuse(b"431 Request Header Fields Too Large", b"the request's head is too large")

    def _refuse(self, status: bytes, reason: bytes) -> None:
        """Answer with an error where an answer is due to this very request, and close the connection."""
        cycle = self._under_way()
        if cycle is None or (self._in_body and not cycle.response_started and not self.pipeline):
            lines = b"HTTP/1.1 %s\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
            self.transport.write(lines % (status, len(reason), reason))
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()


class _TooLargeError(Exception):
    """Stops the parser."""
