"""Logs that grow, over a real server: readers that are slow or go, logs of any size and any bytes, builds that die."""

from __future__ import annotations

import json
import resource
import socket
import time
import tracemalloc
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from farm.serve.api import api_routes
from farm.serve.app import Options, create_app
from farm.serve.tail import Pace, Tails
from tests.fakes.overview_rows import RUN, T1, Rows, made
from tests.fakes.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MB = 1 << 20


class Live:
    """A server with one build; `tails` are those of the server."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.overview = rows.overview
        self.tails = Tails(self.overview, Pace(look=0.05, alive=0.1, silence=0.3))
        self.identity = rows.attempt("demo", "1.0", T1, "building", ended=None)
        self.log = rows.root / f"logs/{self.identity}.log"
        self.log.parent.mkdir(exist_ok=True)
        self.log.write_bytes(b"")
        self.port = 0

    @property
    def path(self) -> str:
        return f"/api/v1/builds/{self.identity}/log?follow=1"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"

    def left(self) -> bool:
        """Wait until no file is looked at any more."""
        end = time.monotonic() + 10
        while len(self.tails) and time.monotonic() < end:
            time.sleep(0.02)
        return not len(self.tails)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    with made(tmp_path) as rows:
        found = Live(rows)
        routes = api_routes(found.overview, found.tails)
        with serving(create_app({}, rows.store, Options(api=routes, overview=found.overview, follow=found.tails.follow))) as server:
            found.port = server.port
            yield found


@contextmanager
def reading(live: Live, path: str = "") -> Iterator[Iterator[bytes]]:
    with httpx.stream("GET", f"http://127.0.0.1:{live.port}{path or live.path}", timeout=30) as answer:
        assert answer.status_code == 200
        yield answer.iter_raw()


def test_a_reader_that_takes_nothing_costs_no_memory_and_holds_up_nobody(live: Live) -> None:
    line = b"x" * 99 + b"\n"
    with live.rows.store.locks.run(RUN), socket.create_connection(("127.0.0.1", live.port)) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(f"GET {live.path} HTTP/1.1\r\nHost: farm.invalid\r\n\r\n".encode())
        with live.log.open("ab", buffering=0) as log, reading(live) as quick:
            log.write(line)
            assert next(quick) == line
            tracemalloc.start()
            got = 0
            for _ in range(32):
                log.write(line * (MB // len(line)))
                got_before = got
                while got - got_before < MB // len(line) * len(line):
                    got += len(next(quick))
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert peak < 12 * MB
        assert len(live.tails) == 1
    assert live.left()


def test_a_log_of_a_hundred_megabytes_is_never_in_memory(live: Live) -> None:
    with live.log.open("wb") as log:
        for _ in range(100):
            log.write((b"y" * 1023 + b"\n") * 1024)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with live.rows.store.locks.run(RUN), reading(live) as pieces:
        got = 0
        while got < 100 * MB:
            got += len(next(pieces))
    with reading(live, live.path.replace("?follow=1", "")) as pieces:
        assert sum(map(len, pieces)) == 100 * MB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024
    assert live.left()


def test_the_page_of_a_build_whose_log_is_one_endless_line_keeps_little_of_it(live: Live) -> None:
    with live.rows.store.locks.run(RUN), reading(live, f"/build/{live.identity}") as pieces:
        head = next(pieces)
        assert b"<html" in head
        with live.log.open("ab", buffering=0) as log:
            for _ in range(20):
                log.write(b"\xffz" * (MB // 2))
            log.write(b"\nlast words\n")
        page = b""
        while b"last words" not in page:
            page += next(pieces)
    assert len(page) < MB


@pytest.mark.parametrize("end", ["truncate", "unlink"])
def test_a_log_that_is_cut_or_vanishes_ends_the_stream(live: Live, end: str) -> None:
    live.log.write_bytes(b"one\ntwo\n")
    with live.rows.store.locks.run(RUN), reading(live) as pieces:
        assert next(pieces) == b"one\ntwo\n"
        if end == "truncate":
            live.log.write_bytes(b"")
        else:
            live.log.unlink()
        assert b"".join(pieces) == b""
    assert live.left()


def test_the_stream_of_a_build_that_died_without_an_end_ends(live: Live) -> None:
    with ExitStack() as run:
        run.enter_context(live.rows.store.locks.run(RUN))
        with reading(live) as pieces:
            live.log.write_bytes(b"half a li")
            assert next(pieces) == b"half a li"
            run.close()
            assert b"".join(pieces) == b""
    assert live.left()


def test_events_carry_any_bytes_and_lines_of_any_length(live: Live) -> None:
    content = b"\xff\xfe\n" + b"w" * MB + b"\nlast \xe2\x82"
    live.log.write_bytes(content)
    url = live.url.replace("?follow=1", "")
    text = httpx.get(url, headers={"Accept": "text/event-stream"}, timeout=30).text
    events = [json.loads(event.partition("data: ")[2]) for event in text.split("\n\n") if event.startswith("id: ")]
    assert "".join(event["text"] for event in events) == content.decode("utf-8", "replace")
    assert events[-1]["end"] == len(content)
    assert max(len(event["text"]) for event in events) < MB // 4


def test_a_reader_that_goes_is_forgotten(live: Live) -> None:
    with live.rows.store.locks.run(RUN):
        live.log.write_bytes((b"x" * 99 + b"\n") * 40_000)
        for path in (live.path, f"/build/{live.identity}"):
            with reading(live, path) as pieces:
                while b"xxx" not in next(pieces):
                    pass
                assert len(live.tails) == 1
            assert live.left()
