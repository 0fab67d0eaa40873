"""The report on its way: to a real mail server and a real web server on loopback, in the clear and encrypted, and when they refuse."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from farm.config import load
from farm.model.night import Item, Night
from farm.wire import Farm
from farm.wire.delivery import deliver
from tests.fakes.smtp_server import SmtpServer
from tests.fakes.tls import self_signed
from tests.functional.test_nightly import served, watch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.functional.conftest import Shell

__all__ = ["served"]
PLAIN = 'tls = "none"'
NIGHT = Night(
    id="20260301-023000-abcdef", started="2026-03-01T02:30:00+00:00", ended="2026-03-01T03:00:00+00:00", state="ended", sets=2, cells=3,
    there=1, lacking=2, seconds=1800.0,
    built=(Item(name="demo", version="1.0", target="cp311-manylinux_2_36_x86_64", healed=("libfoo-dev installed",)),),
    regressions=(Item(name="other", version="2.0", target="cp311-manylinux_2_36_x86_64", cause="compile", line="x.c:1: <oops> & more"),),
)  # fmt: skip


@dataclass
class Hook:
    """What was posted, and how it is answered."""

    answers: list[int] = field(default_factory=list)
    posted: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def webhook(*answers: int) -> Iterator[Hook]:
    hook = Hook(answers=list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.paths.append(self.path)
            hook.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(hook.answers.pop(0) if hook.answers else 200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        hook.url = f"http://127.0.0.1:{server.server_port}/hooks/T0/secret"
        yield hook
        server.shutdown()
        thread.join()


def delivered(folder: Path, config: str, **env: str) -> Night:
    (folder / "config.toml").write_text(f'targets = ["cp311-manylinux_2_36_x86_64"]\n{config}')
    given = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "PIP_INDEX_URL": "http://127.0.0.1:9/simple", **env}
    with Farm(load(folder / "config.toml", home=folder), given) as farm:
        return deliver(farm, NIGHT, pause=0.0)


def mail(server: SmtpServer, *more: str) -> str:
    lines = ('host = "localhost"', f"port = {server.port}", 'to = ["Ops <ops@example.org>", "dev@example.org"]', *more)
    return "\n".join(["[nightly.mail]", *lines, ""])


def test_a_letter_has_the_report_as_text_html_and_json(tmp_path: Path) -> None:
    with SmtpServer() as server:
        night = delivered(tmp_path, mail(server, 'tls = "none"', 'from = "Farm <farm@example.org>"'))
    assert night.undelivered == ()
    (letter,) = server.letters
    assert (letter.sender, letter.to, letter.encrypted) == ("farm@example.org", ["ops@example.org", "dev@example.org"], False)
    message = letter.message
    assert message["Subject"] == "farm nightly: 1 regression, 1 built"
    assert message["Auto-Submitted"] == "auto-generated"
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert "libfoo-dev installed" in text.get_content()
    assert "x.c:1: &lt;oops&gt; &amp; more" in html.get_content()
    (attached,) = message.iter_attachments()
    assert attached.get_filename() == f"night-{NIGHT.id}.json"
    assert json.loads(attached.get_content())["id"] == NIGHT.id


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_password_goes_only_where_the_certificate_is_right(tmp_path: Path, tls: Any) -> None:
    certificate = self_signed(tmp_path)
    (tmp_path / "secret").write_text("tell nobody\n")
    login = ('user = "farm"', 'password = "file:secret"', f'tls = "{tls}"')
    with SmtpServer(tls=tls, certificate=certificate) as server:
        night = delivered(tmp_path, mail(server, *login), SSL_CERT_FILE=str(tmp_path / "ca.pem"), PIP_CERT=str(tmp_path / "ca.pem"))
        assert night.undelivered == ()
        (letter,) = server.letters
        assert (letter.encrypted, letter.login) == (True, "\0farm\0tell nobody")
        strange = delivered(tmp_path, mail(server, *login))
    assert "certificate verify failed" in strange.undelivered[0].text
    assert len(server.letters) == 1


def test_a_password_is_not_sent_in_the_clear(tmp_path: Path) -> None:
    with SmtpServer() as server:
        night = delivered(tmp_path, mail(server, 'tls = "none"', 'user = "farm"', 'password = "env:SECRET"'), SECRET="x")
    assert "expected an encrypted connection" in night.undelivered[0].text
    assert (server.letters, server.attempts) == ([], 0)


def test_a_secret_that_is_not_there_is_named_and_one_in_the_configuration_refused_unread(tmp_path: Path) -> None:
    with SmtpServer() as server:
        night = delivered(tmp_path, mail(server, 'user = "farm"', 'password = "env:SECRET"'))
        assert "no variable SECRET in the environment" in night.undelivered[0].text
        with pytest.raises(Exception, match="not shown") as refused:
            delivered(tmp_path, mail(server, 'password = "hunter2"'))
    assert "hunter2" not in str(refused.value)


def test_who_refuses_once_is_asked_again_and_who_refuses_twice_is_told(tmp_path: Path) -> None:
    with SmtpServer(refuse=1) as server, webhook(503) as hook:
        night = delivered(tmp_path, f'[nightly]\nwebhook = "{hook.url}"\n{mail(server, PLAIN)}')
        assert night.undelivered == ()
        assert (len(server.letters), len(hook.posted)) == (1, 2)
    with SmtpServer(refuse=9) as server, webhook(404, 404, 404) as hook:
        config = f'[nightly]\nwebhook = "env:HOOK"\n{mail(server, PLAIN)}'
        night = delivered(tmp_path, config, HOOK=hook.url)
    assert [fault.text.partition(";")[0] for fault in night.undelivered] == [
        "mail by localhost: 451 try later", "webhook at 127.0.0.1: answered 404 ok",
    ]  # fmt: skip
    assert "secret" not in str(night.undelivered)
    assert (server.attempts, len(hook.posted)) == (2, 2)


def test_a_webhook_gets_what_slack_takes(tmp_path: Path) -> None:
    with webhook() as hook:
        delivered(tmp_path, f'[nightly]\nwebhook = "{hook.url}"\n[serve]\npublic-url = "https://farm.example.org"\n')
    (posted,) = hook.posted
    assert list(posted) == ["text"]
    lines = posted["text"].splitlines()
    assert lines[0] == "*farm nightly: 1 regression, 1 built*"
    assert lines[-1] == "<https://farm.example.org|The farm's index>"
    assert hook.paths == ["/hooks/T0/secret"]


def test_a_night_sends_its_report_once_and_keeps_it_when_nobody_takes_it(served: Shell) -> None:
    watch(served, lost="")
    with webhook() as hook:
        served.write("config.toml", (served.folder / "config.toml").read_text() + '[nightly]\nwebhook = "env:HOOK"\n')
        first = served.run("nightly", HOOK=hook.url)
        assert (first.code, first.err, len(hook.posted)) == (2, "", 1)
        assert "1 unreadable" in hook.posted[0]["text"]
        served.run("nightly", HOOK=hook.url)
        assert len(hook.posted) == 1, "nothing new"
    served.write("lost.txt", "there==9\n")
    lost = served.run("nightly", unset=("HOOK",))
    assert "no variable HOOK" in lost.err
    assert "no variable HOOK" in served.run("report").out


@pytest.mark.parametrize(
    ("config", "env"),
    [
        ('[nightly]\nwebhook = "http://[::1/secret"\n', {}),
        ('[nightly]\nwebhook = "http://localhost/secret"\n', {"http_proxy": "ftp://user:secret@127.0.0.1:9"}),
        ('[nightly]\nwebhook = "https://localhost/secret"\n', {"SSL_CERT_FILE": "/nowhere/secret.pem"}),
        ('[nightly.mail]\nto = ["ops@example.org"]\nhost = "mail..example"\ntls = "none"\n', {}),
        ('[nightly.mail]\nto = ["ops@example.org"]\nhost = "localhost"\nport = 9\ntls = "none"\n', {}),
    ],
)
def test_whatever_is_wrong_with_the_way_is_told_and_raises_nothing(tmp_path: Path, config: str, env: dict[str, str]) -> None:
    (fault,) = delivered(tmp_path, config, **env).undelivered
    assert fault.text
    assert "/secret" not in f"{fault.subject} {fault.text}".replace("/nowhere/secret.pem", "")
    assert ":secret@" not in fault.text


def test_a_password_that_cannot_be_sent_is_told_without_it(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    login = ('user = "farm"', 'password = "env:SECRET"', 'tls = "tls"')
    trust = str(tmp_path / "ca.pem")
    with SmtpServer(tls="tls", certificate=certificate) as server:
        (fault,) = delivered(tmp_path, mail(server, *login), SECRET="pässword", SSL_CERT_FILE=trust, PIP_CERT=trust).undelivered
    assert "UnicodeEncodeError" in fault.text
    assert "ssword" not in fault.text.replace("password", "")


def test_a_proxy_without_a_scheme_is_asked(tmp_path: Path) -> None:
    with webhook() as proxy:
        night = delivered(
            tmp_path, '[nightly]\nwebhook = "http://hooks.example/T0"\n', http_proxy=proxy.url.removeprefix("http://").partition("/")[0]
        )
    assert (night.undelivered, proxy.paths) == ((), ["http://hooks.example/T0"])


def test_a_report_of_ten_thousand_is_a_letter_that_a_server_takes(tmp_path: Path) -> None:
    reason = "build: a header is missing, " * 10
    many = tuple(Item(name=f"p{number}", version="1.0", target="cp311-manylinux_2_36_x86_64", reason=reason) for number in range(10_000))
    with SmtpServer() as server:
        (tmp_path / "config.toml").write_text(f'targets = ["cp311-manylinux_2_36_x86_64"]\n{mail(server, PLAIN)}')
        given = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
        with Farm(load(tmp_path / "config.toml", home=tmp_path), given) as farm:
            assert deliver(farm, replace(NIGHT, failing=many), pause=0.0).undelivered == ()
    (letter,) = server.letters
    assert len(letter.message.as_bytes()) < 1_000_000
    assert "10000 failing" in letter.message["Subject"]
