"""Clients that are slow, huge or many cost the farm little, and the others nothing."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from farm.serve.limits import Limits
from tests.fakes.serving import request, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from tests.fakes.serving import Running

LIMITS = Limits(
    head_seconds=1.5, idle_seconds=1.5, stall_seconds=1.5, body_rate=100_000, head_bytes=4096, connections=20
)
OK = request("/")


async def _large(request: Request) -> Response:
    return Response(b"x" * 30_000_000)


async def _take(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture
def farm() -> Iterator[Running]:
    routes = [
        Route("/", lambda request: PlainTextResponse("ok")),
        Route("/large", _large),
        Route("/take", _take, methods=["POST"]),
    ]
    with serving(Starlette(routes=routes), LIMITS) as running:
        yield running


def test_a_head_that_dribbles_in_is_ended_and_others_are_served(farm: Running) -> None:
    with farm.connect() as slow, farm.connect() as other:
        began = time.monotonic()
        slow.send(b"GET / HTTP/1.1\r\nHost: farm\r\n")
        while time.monotonic() - began < 8:
            try:
                slow.send(b"X-A: b\r\n")
            except ConnectionError:
                break
            assert other.ask(OK).status == 200
            time.sleep(0.2)
        assert time.monotonic() - began < 6
        assert slow.answer().status == 408


def test_who_connects_and_says_nothing_is_sent_away(farm: Running) -> None:
    with farm.connect() as silent:
        assert silent.is_closed(within=6)


def test_an_idle_connection_is_closed_and_a_busy_one_is_not(farm: Running) -> None:
    with farm.connect() as idle, farm.connect() as busy:
        assert idle.ask(OK).status == 200
        for _ in range(8):
            time.sleep(0.5)
            assert busy.ask(OK).status == 200
        assert idle.is_closed(within=0.1)


def test_a_body_that_stalls_or_dribbles_is_ended(farm: Running) -> None:
    head = request("/take", "Content-Length: 1000000", method="POST")
    with farm.connect() as stalled, farm.connect() as dribbling:
        stalled.send(head + b"x" * 10)
        dribbling.send(head)
        began = time.monotonic()
        while time.monotonic() - began < 10:
            try:
                dribbling.send(b"x")
            except ConnectionError:
                break
            time.sleep(0.1)
        assert time.monotonic() - began < 8
        assert (stalled.answer().status, dribbling.answer().status) == (408, 408)


def test_a_large_body_that_keeps_coming_is_taken(farm: Running) -> None:
    with farm.connect() as client:
        client.send(request("/take", "Content-Length: 1500000", method="POST"))
        for _ in range(30):
            client.send(b"x" * 50_000)
            time.sleep(0.1)
        assert client.answer().body == b"1500000"


def test_who_does_not_read_the_answer_is_sent_away(farm: Running) -> None:
    with farm.connect() as deaf:
        deaf.send(request("/large"))
        deadline = time.monotonic() + 10
        while farm.server.server_state.connections and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not farm.server.server_state.connections


@pytest.mark.parametrize(
    "head",
    [
        request("/", "X-Long: " + "x" * 5000),
        request("/", *(f"X-{number}: {'y' * 90}" for number in range(60))),
        request("/" + "x" * 5000),
    ],
)
@pytest.mark.parametrize("pieces", [1, 40])
def test_a_head_that_is_too_large_is_431(farm: Running, head: bytes, pieces: int) -> None:
    with farm.connect() as client:
        size = len(head) // pieces + 1
        try:
            for start in range(0, len(head), size):
                client.send(head[start : start + size])
                time.sleep(0.005 if pieces > 1 else 0)
        except ConnectionError:
            pass
        assert client.answer().status == 431
        assert client.is_closed()


def test_a_head_that_never_ends_is_431(farm: Running) -> None:
    with farm.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nX-Long: ")
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 1000:
                client.send(b"x" * 1000)
                sent += 1
                time.sleep(0.002)
        assert sent < 1000


def test_a_large_head_behind_a_request_does_not_spoil_its_answer(farm: Running) -> None:
    with farm.connect() as client:
        client.send(OK + request("/", "X-Long: " + "x" * 5000))
        with contextlib.suppress(ConnectionError):
            assert client.answer().status in {200, 431}
        assert client.is_closed()


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"G@T / HTTP/1.1\r\n\r\n",
                                  b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                                  b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"])  # fmt: skip
def test_what_is_no_request_is_400(farm: Running, junk: bytes) -> None:
    with farm.connect() as client, farm.connect() as other:
        client.send(junk)
        assert client.answer().status == 400
        assert client.is_closed()
        assert other.ask(OK).status == 200


def test_more_connections_than_allowed_are_turned_away_and_room_is_made_again(farm: Running) -> None:
    opened = [farm.connect() for _ in range(LIMITS.connections)]
    assert all(client.ask(OK).status == 200 for client in opened)
    with farm.connect() as extra:
        assert extra.answer().status == 503
        assert extra.is_closed()
    assert opened[3].ask(OK).status == 200
    for client in opened:
        client.socket.close()
    time.sleep(0.3)
    with farm.connect() as client:
        assert client.ask(OK).status == 200
