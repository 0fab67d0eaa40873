"""What was asked before is answered by a short cut: with the same bytes, while it is true, and never out of order."""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING

import pytest

from farm.adapters.pulse import Pulse
from farm.adapters.store import Store
from farm.model.page import JSON
from farm.serve.app import Options, create_app
from farm.serve.simple import render_project
from tests.fakes.serving import Raw, request, serving
from tests.fakes.store import FakeClock, Wheelmaker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from farm.model.attempt import WheelRecord
    from tests.fakes.serving import Running

PAGE = request("/simple/my-demo/", f"Accept: {JSON}", "Accept-Encoding: gzip")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", render_project, FakeClock())


@pytest.fixture
def record(store: Store, tmp_path: Path) -> WheelRecord:
    record, verified = Wheelmaker(folder=tmp_path / "built").make("my-demo", "1.0", body="# " + "x" * 60_000)
    store.publish(record, verified)
    return record


@pytest.fixture
def big(store: Store, tmp_path: Path) -> WheelRecord:
    record, verified = Wheelmaker(folder=tmp_path / "built").make("my-big", "1.0", body="# " + "x" * 12_000_000)
    store.publish(record, verified)
    return record


@pytest.fixture
def farm(store: Store, tmp_path: Path) -> Iterator[Running]:
    pulse = Pulse(tmp_path / "store" / "serial")
    with serving(create_app({"": store, "/wheels": store}, store, Options(pulse=pulse))) as running:
        yield running
    pulse.close()
    store.close()


def url_of(record: WheelRecord) -> str:
    return f"/files/{record.sha256[:2]}/{record.sha256[2:]}/{record.filename}"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/simple/", "/simple/my-demo/", "/wheels/simple/my-demo/", "WHEEL", "WHEEL.metadata"])
def test_the_second_answer_is_the_first_one_again(farm: Running, record: WheelRecord, path: str, method: str) -> None:
    head = request(path.replace("WHEEL", url_of(record)), "Accept-Encoding: gzip", method=method)
    with farm.connect() as first, farm.connect() as second:
        slow = first.ask(head, method=method)
        assert farm.keeps(1)
        quick = [first.ask(head, method=method), second.ask(head, method=method)]
    assert slow.status == 200
    assert [answer.but_date for answer in quick] == [slow.but_date] * 2
    assert all("date" in answer.headers for answer in (slow, *quick))


def test_a_304_is_kept_too_and_has_no_type(farm: Running, record: WheelRecord) -> None:
    with farm.connect() as client:
        etag = client.ask(PAGE).headers["etag"]
        again = PAGE.replace(b"\r\n\r\n", f"\r\nIf-None-Match: {etag}\r\n\r\n".encode())
        answers = [client.ask(again), client.ask(again)]
    assert [(a.status, a.headers["etag"], "content-type" in a.headers) for a in answers] == [(304, etag, False)] * 2


def test_a_page_that_changed_is_new_at_the_next_request(
    farm: Running, record: WheelRecord, store: Store, tmp_path: Path
) -> None:
    with farm.connect() as client:
        for number in range(2, 30):
            for _ in range(2):
                old = client.ask(PAGE)
                listed = [file["filename"] for file in json.loads(gzip.decompress(old.body))["files"]]
                assert len(listed) == number - 1
            store.publish(*Wheelmaker(folder=tmp_path / "built").make("my-demo", f"1.{number}"))
        root = request("/simple/", f"Accept: {JSON}")
        assert len(json.loads(client.ask(root).body)["projects"]) == 1
        store.publish(*Wheelmaker(folder=tmp_path / "built").make("another", "1.0"))
        assert len(json.loads(client.ask(root).body)["projects"]) == 2


def test_a_wheel_that_was_removed_or_mended_is_not_answered_from_memory(
    farm: Running, record: WheelRecord, store: Store, tmp_path: Path
) -> None:
    head = request(url_of(record))
    path = store.blob(record.sha256)
    assert path is not None
    with farm.connect() as client:
        whole = client.ask(head).body
        assert client.ask(head).body == whole
        path.rename(tmp_path / "away")
        (tmp_path / "copy").write_bytes(whole)
        (tmp_path / "copy").rename(path)
        assert client.ask(head).body == whole
        path.unlink()
        (tmp_path / "away").unlink()
        assert client.ask(head).status == 404


def test_requests_in_one_packet_are_answered_in_order(farm: Running, record: WheelRecord) -> None:
    wheel, metadata = request(url_of(record)), request(url_of(record) + ".metadata")
    with farm.connect() as client:
        alone = [client.ask(head).but_date for head in (PAGE, wheel, metadata)]
        for _ in range(3):
            client.send(PAGE + wheel + metadata + wheel + PAGE)
            together = [client.answer().but_date for _ in range(5)]
            assert together == [alone[0], alone[1], alone[2], alone[1], alone[0]]


def test_what_comes_while_a_file_is_sent_waits_its_turn(farm: Running, record: WheelRecord, big: WheelRecord) -> None:
    with farm.connect() as client:
        page, wheel = client.ask(PAGE), client.ask(request(url_of(big)))
        # A kept answer that does not fit into the system's buffers, and then, one at a time, kept ones and a new one.
        client.send(request(url_of(big)))
        for head in (PAGE, request("/health"), request(url_of(big)), PAGE):
            time.sleep(0.05)
            client.send(head)
        answers = [client.answer() for _ in range(5)]
    assert [hashlib.sha256(answers[number].body).hexdigest() for number in (0, 3)] == [big.sha256] * 2
    assert wheel.body == answers[0].body
    assert [answers[number].body for number in (1, 4)] == [page.body] * 2
    assert answers[2].status == 200


def test_a_head_in_pieces_is_answered_as_one(farm: Running, record: WheelRecord) -> None:
    with farm.connect() as client:
        whole = client.ask(PAGE)
        for cut in (1, 3, 20, len(PAGE) - 3, len(PAGE) - 1):
            client.send(PAGE[:cut])
            time.sleep(0.02)
            client.send(PAGE[cut:])
            assert client.answer().but_date == whole.but_date
        for byte in PAGE:
            client.send(bytes([byte]))
        assert client.answer().but_date == whole.but_date


def test_a_body_on_a_get_is_not_taken_for_a_request(farm: Running, record: WheelRecord) -> None:
    body = PAGE
    with farm.connect() as client:
        page = client.ask(PAGE)
        with_body = PAGE.replace(b"\r\n\r\n", b"\r\nContent-Length: %d\r\n\r\n" % len(body))
        for _ in range(2):
            client.send(with_body)
            time.sleep(0.05)
            client.send(body)
            assert client.answer().but_date == page.but_date
            assert client.ask(with_body + body).but_date == page.but_date
        # Were a body answered, its answer would come first here.
        assert client.ask(request("/health")).body == b'{"status":"ok"}'


@pytest.mark.parametrize(("lines", "version"), [(["Connection: close"], "1.1"), ([], "1.0")])
def test_who_wants_the_connection_closed_gets_that(
    farm: Running, record: WheelRecord, lines: list[str], version: str
) -> None:
    head = request("/simple/my-demo/", *lines, version=version)
    for _ in range(3):
        with farm.connect() as client:
            answer = client.ask(head)
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert client.is_closed()


def test_a_client_that_leaves_in_the_middle_of_a_file_harms_nobody(
    farm: Running, record: WheelRecord, big: WheelRecord
) -> None:
    head = request(url_of(big))
    with farm.connect() as client:
        client.ask(head)
    for _ in range(5):
        with farm.connect() as client:
            client.send(head)
            assert client.socket.recv(1000)
    with farm.connect() as client:
        assert hashlib.sha256(client.ask(head).body).hexdigest() == big.sha256
        assert client.ask(PAGE).status == 200


def test_many_at_once_get_whole_files(farm: Running, record: WheelRecord, big: WheelRecord) -> None:
    found: list[str] = []

    def fetch(one: WheelRecord) -> None:
        with farm.connect() as client:
            found.extend(
                hashlib.sha256(client.ask(request(url_of(one))).body).hexdigest() == one.sha256 and "ok"
                for _ in range(5)
            )  # type: ignore[misc]

    threads = [threading.Thread(target=fetch, args=(one,)) for one in (record, big) * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["ok"] * 80


def test_stopping_finishes_the_file_that_is_being_sent(store: Store, big: WheelRecord) -> None:
    head = request(url_of(big))
    with serving(create_app({"": store}, store)) as farm, farm.connect() as client, farm.connect() as idle:
        client.ask(head)
        client.send(head)
        time.sleep(0.2)
        farm.stop()
        assert idle.is_closed(within=2)
        assert hashlib.sha256(client.answer().body).hexdigest() == big.sha256
        assert client.is_closed(within=2)
    store.close()


def test_below_tls_answers_are_the_same(
    store: Store, record: WheelRecord, big: WheelRecord, certificate: tuple[Path, Path]
) -> None:
    context = ssl.create_default_context(cafile=str(certificate[0]))
    with serving(create_app({"": store}, store), tls=certificate) as farm:
        plain = socket.create_connection(("127.0.0.1", farm.port), timeout=20)
        with Raw(context.wrap_socket(plain, server_hostname="localhost")) as client:
            for head in (PAGE, request(url_of(record)), request(url_of(big))):
                answers = [client.ask(head) for _ in range(3)]
                assert answers[0].status == 200
                assert {a.body for a in answers} == {answers[0].body}
            assert hashlib.sha256(answers[0].body).hexdigest() == big.sha256
    store.close()
