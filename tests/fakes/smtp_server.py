"""A mail server on the loopback interface that speaks enough SMTP (RFC 5321) for a client: EHLO, STARTTLS, AUTH PLAIN, and the letter."""

from __future__ import annotations

import base64
import socketserver
import ssl
import threading
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Literal, Self, cast

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path
    from types import TracebackType


@dataclass(kw_only=True)
class Received:
    """A letter as it was handed in."""

    sender: str
    to: list[str]
    message: EmailMessage
    encrypted: bool
    login: str


@dataclass(kw_only=True)
class SmtpServer:
    """Use as a context manager. `refuse` answers so many letters with 451, `certificate` and `key` make it speak TLS as `tls` says."""

    tls: Literal["none", "starttls", "tls"] = "none"
    certificate: tuple[Path, Path] | None = None
    refuse: int = 0
    letters: list[Received] = field(default_factory=list)
    attempts: int = 0

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def context(self) -> ssl.SSLContext:
        assert self.certificate is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.certificate)
        return context

    def __enter__(self) -> Self:
        kind = type("Handler", (_Handler,), {"smtp": self})
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), kind)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(socketserver.StreamRequestHandler):
    smtp: SmtpServer

    def setup(self) -> None:
        self.encrypted = False
        if self.smtp.tls == "tls":
            self._encrypt()
        super().setup()
        self.sender, self.to, self.login = "", [], ""

    def handle(self) -> None:
        self._say("220 test ESMTP")
        while line := self.rfile.readline():
            if not self._answer(line.decode().rstrip("\r\n")):
                return

    def finish(self) -> None:
        super().finish()
        self.request.close()

    def _answer(self, line: str) -> bool:
        word = line.split(" ", maxsplit=1)[0].upper()
        if word in {"EHLO", "HELO"}:
            offer = ["250-test", *(["250-STARTTLS"] if self.smtp.tls == "starttls" and not self.encrypted else []), "250 AUTH PLAIN"]
            self._say("\r\n".join(offer))
        elif word == "STARTTLS":
            self._say("220 go on")
            self._encrypt()
            super().setup()
        elif word == "AUTH":
            self.login = base64.b64decode(line.split(" ")[2]).decode()
            self._say("235 welcome")
        elif word == "MAIL":
            self.sender = line.partition("<")[2].partition(">")[0]
            self._say("250 ok")
        elif word == "RCPT":
            self.to.append(line.partition("<")[2].partition(">")[0])
            self._say("250 ok")
        elif word == "DATA":
            self._letter()
        else:
            self._say("221 bye" if word == "QUIT" else "250 ok")
            return word != "QUIT"
        return True

    def _letter(self) -> None:
        self._say("354 go on")
        lines = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        self.smtp.attempts += 1
        if self.smtp.attempts <= self.smtp.refuse:
            self._say("451 try later")
            return
        message = cast("EmailMessage", message_from_bytes(b"".join(lines), policy=policy.default))
        self.smtp.letters.append(
            Received(sender=self.sender, to=self.to, message=message, encrypted=self.encrypted, login=self.login)
        )
        self._say("250 taken")

    def _encrypt(self) -> None:
        self.request = self.smtp.context().wrap_socket(self.request, server_side=True)
        self.encrypted = True

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())
        self.wfile.flush()
