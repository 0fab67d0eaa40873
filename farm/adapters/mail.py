"""Mail by SMTP (RFC 5321), with what the standard library has for it."""

from __future__ import annotations

import smtplib
import socket
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses, make_msgid
from typing import TYPE_CHECKING

from farm.errors import UpstreamError

if TYPE_CHECKING:
    from datetime import datetime

    from farm.model.night import MailTls

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where mail is handed in; `port` 0 is the usual one for `tls`. `authorities` is a file of CA certificates, "" for the system's."""

    host: str
    port: int = 0
    tls: MailTls = "starttls"
    user: str = ""
    password: str = ""
    authorities: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What is sent: the same content as text and as HTML, and files beside it as (name, MIME subtype of text or application, content)."""

    sender: str
    to: tuple[str, ...]
    subject: str
    text: str
    html: str
    date: datetime
    attached: tuple[tuple[str, str], ...] = ()


def compose(letter: Letter) -> EmailMessage:
    """Return the message: multipart/alternative of text and HTML, JSON files attached."""
    message = EmailMessage()
    message["Subject"] = " ".join(letter.subject.split())
    message["From"] = letter.sender
    message["To"] = ", ".join(letter.to)
    message["Date"] = format_datetime(letter.date)
    message["Message-ID"] = make_msgid(domain=socket.gethostname() or "localhost")
    # So that nobody's out-of-office reply answers (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    for name, text in letter.attached:
        message.add_attachment(text.encode(), maintype="application", subtype="json", filename=name)
    return message


def send(server: Server, letter: Letter) -> None:
    """Hand a letter in. UpstreamError when the server does not take it, for any of the addressees."""
    senders = [address for _, address in getaddresses([letter.sender])]
    addressees = [address for _, address in getaddresses(list(letter.to))]
    try:
        message = compose(letter)
        with _connected(server) as client:
            if server.user:
                client.login(server.user, server.password)
            refused = client.send_message(message, from_addr=senders[0], to_addrs=addressees)
    except (smtplib.SMTPException, OSError) as error:
        raise UpstreamError(f"mail by {server.host}: {_told(error)}", solution="look at [nightly.mail] in config.toml") from error
    except ValueError as error:
        # A host that is none, a header or a password that cannot be written: the message could show it.
        raise UpstreamError(f"mail by {server.host}: {type(error).__name__}", solution="look at [nightly.mail] in config.toml") from None
    if refused:
        names = ", ".join(sorted(refused))
        raise UpstreamError(f"mail by {server.host}: refused for {names}", solution="look at `to` under [nightly.mail] in config.toml")


def _connected(server: Server) -> smtplib.SMTP:
    port = server.port or _PORTS[server.tls]
    trust = ssl.create_default_context(cafile=server.authorities or None)
    if server.tls == "tls":
        return smtplib.SMTP_SSL(server.host, port, timeout=_TIMEOUT, context=trust)
    client = smtplib.SMTP(server.host, port, timeout=_TIMEOUT)
    if server.tls == "starttls":
        try:
            client.starttls(context=trust)
        except BaseException:
            client.close()
            raise
    return client


def _told(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else str(error.smtp_error)
        return f"{error.smtp_code} {text}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return f"refused for {', '.join(sorted(error.recipients))}"
    return str(error) or type(error).__name__
