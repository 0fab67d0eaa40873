"""The running server before clients that mean it harm, on both ways an answer goes: made for the first time, and given again."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.clients.site import ROOT, running
from tests.clients.wire import JSON, Index
from tests.fakes.client_world import File, sdist, wheel
from tests.fakes.serving import Got, Raw, request
from tests.fakes.store import wheel_bytes
from tests.functional.upload_server import EDGE, form
from tests.unit.adapters.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.clients.site import Site
    from tests.clients.wire import Listed

_PAGE = "/simple/demo/"
_SIZE = 3_000_000
# A process of its own, as a `farm build` is: two hundred threads would leave it no turn.
_PUBLISHER = """
import sys
from pathlib import Path
from tests.clients.site import Site
from tests.fakes.client_world import wheel

site = Site(folder=Path(sys.argv[1]), upstream=None)
for number in range(int(sys.argv[2])):
    site.publish(wheel("acme-grows", f"1.{number}"))
    print(number, flush=True)
"""
_CONFIG = '[index]\nprivate = ["acme-*"]\n'


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("hostile"), _CONFIG) as site:
        yield from _served(site)


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Site]:
    """A farm that a test may kill."""
    with running(tmp_path / "farm", _CONFIG) as site:
        yield from _served(site)


def _served(site: Site) -> Iterator[Site]:
    source = sdist("demo", "1.0")
    site.host(source)
    site.publish(wheel("demo", "1.0"), source)
    data, _ = wheel_bytes("acme-large", "1.0", "# " + random.Random(1).randbytes(_SIZE // 2).hex())
    site.publish(File(name="acme_large-1.0-py3-none-any.whl", data=data))
    site.start()
    yield site


def connect(site: Site) -> Raw:
    return Raw(socket.create_connection(("127.0.0.1", site.port), timeout=20))


def large(site: Site) -> Listed:
    return Index(site.view("merged"), ["acme-large"]).files("acme-large")[0]


def path_of(file: Listed) -> str:
    return "/" + file.url.split("/", 3)[3]


def memory(site: Site) -> int:
    """Return the resident memory of the server in bytes."""
    assert site.process is not None
    with open(f"/proc/{site.process.pid}/status") as status:  # noqa: PTH123 - no file of the disk
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def final(client: Raw, head: bytes) -> Got:
    """Ask, and return the answer behind any that says to go on."""
    got = client.ask(head)
    while got.status == 100:
        got = client.answer()
    return got


def thrice(site: Site, head: bytes) -> list[Got]:
    """Ask on two connections: for the first time, then again by the short cut, if there is one."""
    with connect(site) as first, connect(site) as second:
        return [one.ask(head) for one in (first, first, second)]


def alive(site: Site) -> None:
    with connect(site) as client:
        assert client.ask(request(_PAGE, f"Accept: {JSON}")).status == 200


_MANY = ",".join(f"{n}-{n + 1}" for n in range(0, 3000, 3))
RANGES = [
    "bytes=" + ",".join(["0-"] * 900), f"bytes={_MANY}", "bytes=" + "9" * 300 + "-", "bytes=0-" + "9" * 300, "bytes=-" + "9" * 300,
    "bytes=-0", "bytes=--5", "bytes=5-1", "bytes=0-0,-1", "bytes=\t0-1", "bytes=0x10-0x20", "bytes=٣-٤", "bytes 0-1", "=0-1",
    "bytes=0-1;q=1",
]  # fmt: skip


@pytest.mark.parametrize("text", RANGES, ids=range(len(RANGES)))
@pytest.mark.parametrize("lines", [1, 40])
def test_absurd_ranges(shared: Site, text: str, lines: int) -> None:
    head = request(path_of(large(shared)), *[f"Range: {text[: 8000 // lines]}"] * lines)
    answers = thrice(shared, head)
    assert len({(answer.status, answer.body) for answer in answers}) == 1
    assert answers[0].status in {200, 206, 400, 416, 431}
    assert len(answers[0].body) <= _SIZE + 100_000
    alive(shared)


HEADERS = [
    ["If-None-Match: " + ", ".join(f'"{n}"' for n in range(900))], ['If-None-Match: "' + "x" * 9000], ["If-None-Match: W/"] * 60,
    ["Accept: " + ",".join(f"a/{n};q=0.{n}" for n in range(600))], [f"Accept: {JSON};q=nan"], [f"Accept: {JSON};q=1e999, */*;q=-1"],
    [f"Accept: {JSON};q=inf"], ["Accept: ;;;,,,;q=,=;"], ["Accept: \xff\xfe\x80"], ["Accept-Encoding: " + "gzip;q=0.5, " * 500],
    ["Accept-Encoding: gzip;q=nan"], ["Range: bytes=0-1", "If-Range: " + '"' * 5000], ["Host: another.invalid"], ["Host:"],
    ["Authorization: Basic " + "A" * 6000],
    ["Authorization: Basic =====", "Authorization: Bearer"], ["X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: gopher",
    "X-Forwarded-Prefix: //evil.invalid"],
    ["Expect: 100-continue"], ["Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAAA"],
    ["Connection: close, keep-alive"], ["Content-Length: 0"],
    ["Cookie: " + "a=b; " * 1500], ["Accept: */*\tjunk"], ["X-A: b"] * 90,
]  # fmt: skip


@pytest.mark.parametrize("lines", HEADERS, ids=range(len(HEADERS)))
@pytest.mark.parametrize("path", [_PAGE, "/simple/", "file"])
def test_absurd_headers(shared: Site, lines: list[str], path: str) -> None:
    target = path_of(large(shared)) if path == "file" else path
    head = "\r\n".join([f"GET {target} HTTP/1.1", "Host: farm.invalid", *lines, "", ""]).encode("latin-1")
    answers = []
    for _ in range(3):
        with connect(shared) as client:
            answers.append(final(client, head))
    assert len({(answer.status, answer.body) for answer in answers}) == 1
    assert answers[0].status in {200, 206, 304, 400, 406, 416, 431}
    assert b"evil.invalid" not in answers[0].body
    alive(shared)


TARGETS = [
    "//evil.invalid/simple/demo/", "http://evil.invalid/simple/demo/", "/simple//demo//", "/simple/demo/../demo/",
    "/simple/demo/;x=1", "/simple/demo/?" + "a=b&" * 1500,
    "/simple/demo/?format=%ff%fe%00", "/%2fsimple%2fdemo%2f", "/simple/demo/#fragment", "*",
    "/files/" + "a" * 2 + "/" + "b" * 62 + "/x-1-py3-none-any.whl",
    "/files/../../../../etc/passwd", "/files/..%2f..%2f..%2fetc%2fpasswd/x/y", "/packages/../../../etc/passwd",
    "/packages/%2e%2e/%2e%2e/config.toml",
    "/packages/http://127.0.0.1:9/x", "/strict/" + "x" * 5000 + "/simple/demo/", "/strict/%00/simple/",
    "/strict/../simple/demo/", "/simple/" + "%2e" * 900 + "/",
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS, ids=range(len(TARGETS)))
def test_absurd_targets(shared: Site, target: str) -> None:
    answers = []
    for _ in range(3):
        with connect(shared) as client:
            answers.append(client.ask(request(target)))
    assert len({(answer.status, answer.body) for answer in answers}) == 1
    assert answers[0].status < 500
    assert b"root:" not in answers[0].body
    assert "evil.invalid" not in answers[0].headers.get("location", "")
    alive(shared)


def test_heads_that_never_come_twice_do_not_fill_the_memory(shared: Site) -> None:
    alive(shared)
    before = memory(shared)
    with connect(shared) as client:
        for number in range(4000):
            path = path_of(large(shared)) if number % 500 == 0 else _PAGE
            got = client.ask(
                request(path, f"Accept: {JSON}", f"X-Padding: {number}{'x' * 3000}", f'If-None-Match: "{number}"')
            )
            assert got.status == 200
    assert memory(shared) - before < 80_000_000


def test_slow_clients_on_every_kind_of_answer_hold_up_nobody(shared: Site) -> None:
    """A hundred that send their heads byte by byte, and fifty that ask for a large file and do not read it."""
    file = path_of(large(shared))
    slow = [socket.create_connection(("127.0.0.1", shared.port)) for _ in range(150)]
    try:
        for number, one in enumerate(slow):
            one.sendall(request(file) if number % 3 == 0 else b"GET /simple/demo/ HTTP/1.1\r\nHost: f")
        times = []
        with connect(shared) as client:
            for number in range(60):
                for one in slow:
                    with suppress(OSError):
                        one.send(b"a") if slow.index(one) % 3 else None
                began = time.monotonic()
                assert client.ask(request(_PAGE, f"Accept: {JSON}", f"X-New: {number % 2 and number}")).status == 200
                times.append(time.monotonic() - began)
        assert sorted(times)[len(times) // 2] < 0.1, times
    finally:
        for one in slow:
            one.close()
    alive(shared)


def upload(site: Site, secret: str, path: Path, *, cut: float = 1.0, reset: bool = False) -> int | None:
    """Send an upload or the first part of one; the status, None when it was cut."""
    body = form([(":action", "file_upload")], path.name, path.read_bytes())
    lines = [
        f"Authorization: Bearer {secret}",
        f"Content-Type: multipart/form-data; boundary={EDGE}",
        f"Content-Length: {len(body)}",
    ]
    with connect(site) as client:
        client.send(request("/legacy/", *lines, method="POST") + body[: int(len(body) * cut)])
        if cut == 1.0:
            return client.answer().status
        time.sleep(0.05)
        if reset:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        return None


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_an_upload_that_is_cut_leaves_nothing_and_may_be_repeated(farm: Site, tmp_path: Path, reset: bool) -> None:
    secret = farm.farm("token", "create", "ci", "--scope", "upload").strip()
    path = make_wheel(tmp_path, "acme_cut", {"acme_cut.py": os.urandom(200_000).hex().encode()})
    index = Index(farm.view("merged"))
    for cut in (0.001, 0.3, 0.7, 0.99, 0.9999):
        upload(farm, secret, path, cut=cut, reset=reset)
    deadline = time.monotonic() + 10
    while (left := [p.name for p in (farm.store / "staging").glob("*")]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []
    assert index.ask("acme-cut/").status == 404
    assert upload(farm, secret, path) == 200
    assert index.ask("acme-cut/").status == 200
    alive(farm)


def test_two_hundred_clients_while_wheels_are_published(farm: Site) -> None:
    """No listed file is missing or wrong, no answer is an error, what was published is in the next answer, and stays in."""
    stop, faults, done = threading.Event(), [], [0]
    wanted = 40
    publisher = subprocess.Popen(
        [sys.executable, "-c", _PUBLISHER, str(farm.folder), str(wanted)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert publisher.stdout is not None
    publisher.stdout.readline()

    def read(number: int) -> int:
        seen, last = 0, False
        random_one = random.Random(number)
        connection = http.client.HTTPConnection("127.0.0.1", farm.port, timeout=60)
        while not last:
            last, least = stop.is_set(), done[0]
            connection.request("GET", "/wheels/simple/acme-grows/", headers={"Accept": JSON})
            answer = connection.getresponse()
            files = json.loads(answer.read())["files"]
            if len(files) < least:
                faults.append(f"{len(files)} files when {least} were published")
            if len(files) < seen:
                faults.append(f"{len(files)} files after {seen}")
            seen = len(files)
            entry = random_one.choice(files)
            connection.request("GET", "/" + entry["url"].lstrip("./"))
            body = connection.getresponse().read()
            if hashlib.sha256(body).hexdigest() != entry["hashes"]["sha256"]:
                faults.append(f"{entry['filename']}: {body[:80]!r}")
        connection.close()
        return seen

    with ThreadPoolExecutor(200) as pool:
        readers = [pool.submit(read, number) for number in range(200)]
        for line in publisher.stdout:
            done[0] = int(line) + 1
        stop.set()
        seen = [reader.result() for reader in readers]
    assert faults == []
    assert publisher.wait() == 0
    publisher.stdout.close()
    assert seen == [wanted] * 200


def test_killed_in_mid_answer_a_client_knows_and_goes_on_where_it_was(farm: Site) -> None:
    file = large(farm)
    path, port = path_of(file), farm.port
    with connect(farm) as client:
        etag = client.ask(request(path, method="HEAD"), method="HEAD").headers["etag"]
        client.send(request(path))
        head = client.socket.recv(100_000)
        farm.stop(signal.SIGKILL)
        rest = [head]
        with suppress(ConnectionError):
            while more := client.socket.recv(1 << 20):
                rest.append(more)
    got = b"".join(rest).partition(b"\r\n\r\n")[2]
    assert b"Content-Length" in head or b"content-length" in head
    assert len(got) < (file.size or 0), "the kill came too late to prove anything"
    farm.start(port)
    with connect(farm) as client:
        part = client.ask(request(path, f"Range: bytes={len(got)}-", f"If-Range: {etag}"))
    assert part.status == 206
    assert hashlib.sha256(got + part.body).hexdigest() == file.hashes["sha256"]


def test_killed_while_it_is_asked_and_uploaded_to_it_comes_back_whole(farm: Site, tmp_path: Path) -> None:
    secret, port = farm.farm("token", "create", "ci", "--scope", "upload").strip(), farm.port
    stop, taken = threading.Event(), set()

    def push(number: int) -> None:
        for turn in range(50):
            path = make_wheel(tmp_path, f"acme_k{number}x{turn}", {"k.py": os.urandom(20_000).hex().encode()})
            with suppress(OSError):
                if upload(farm, secret, path) == 200:
                    taken.add(path.name)
            if stop.is_set():
                return

    threads = [threading.Thread(target=push, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        time.sleep(0.5)
        farm.stop(signal.SIGKILL)
        farm.start(port)
    stop.set()
    for thread in threads:
        thread.join()
    index = Index(farm.view("wheels"))
    listed = {file.filename: file for name in index.listed_projects for file in index.files(name)}
    assert taken <= listed.keys()
    assert len(taken) > 3
    for file in listed.values():
        assert hashlib.sha256(index.body(file)).hexdigest() == file.hashes["sha256"]
