"""Which answers count, as what, and how often."""

from __future__ import annotations

import threading

import pytest

from farm.model.demand_seen import MissKey
from farm.serve.counts import sdist_pin, seen
from farm.serve.tally import Answered, Asked, Tally, Totals, answered
from tests.unit.serve.test_agents import REAL, said

PIP = said("pip", "25.3")
TARGET = "cp311-manylinux_2_36_x86_64"
WHEEL = "/files/aa/bb/demo-1.0-cp311-cp311-manylinux_2_36_x86_64.whl"
SDIST = "/packages/aa/bb/demo-1.0.tar.gz"


def ask(path: str, status: int = 200, *, method: str = "GET", agent: bytes = PIP, start: bool = True) -> Answered:
    return answered(Asked(method=method, path=path, agent=agent, start=start), status)


@pytest.mark.parametrize(
    ("path", "view", "kind"),
    [
        ("/simple/", "merged", "root"), ("/simple/demo/", "merged", "page"), ("/wheels/simple/demo/", "wheels", "page"),
        ("/strict/cp311-win_amd64/simple/demo/", "strict", "page"), (WHEEL, "merged", "wheel"), ("/wheels" + WHEEL, "wheels", "wheel"),
        (WHEEL + ".metadata", "merged", "metadata"), (WHEEL + ".provenance", "merged", "statement"), (SDIST, "merged", "sdist"),
        ("/files/aa/bb/demo-1.0.zip", "merged", "sdist"), ("/packages/a/b/c/demo-1.0-py3-none-any.whl", "merged", "upstream"),
        ("/strict/cp311-win_amd64/packages/a/demo-1.0.tar.gz", "strict", "sdist"), ("/", "", "other"), ("/health", "", "other"),
        ("/metrics", "", "other"), ("/simple/demo", "", "other"),
    ],
)  # fmt: skip
def test_what_is_asked_for(path: str, view: str, kind: str) -> None:
    found = ask(path)
    assert (found.view, found.kind) == (view, kind)


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        (ask(SDIST), 1), (ask(SDIST, 307), 1), (ask(SDIST, 206), 1), (ask(SDIST, 206, start=False), 0), (ask(SDIST, method="HEAD"), 0),
        (ask(SDIST, 304), 0), (ask(SDIST, 404), 0), (ask(SDIST, 502), 0), (ask(SDIST, agent=REAL["uv 0.13.9 that locks"][0]), 0),
        (ask(SDIST, agent=b"curl/8"), 0),
    ],
)  # fmt: skip
def test_a_miss_is_an_sdist_that_somebody_gets_to_compile_it(answer: Answered, count: int) -> None:
    misses = seen({answer: 3}).misses
    key = MissKey(name=misses and "demo", version="1.0", target=TARGET, client="pip 25.3")  # type: ignore[arg-type]
    assert misses == ({key: 3 * count} if count else {})


def test_downloads_are_of_the_farms_own_wheels_and_pages_tell_who_clients_are() -> None:
    page, same = ask("/simple/demo/"), ask("/wheels/simple/other/", 304)
    found = seen({ask(WHEEL): 2, ask(SDIST.replace(".tar.gz", "-py3-none-any.whl"), 307): 4, page: 5, same: 6, ask("/simple/no/", 404): 7})
    assert found.downloads == {WHEEL.rpartition("/")[2]: 2}
    assert found.clients == {(TARGET, "pip 25.3"): 11}
    assert not found.misses


def test_a_head_of_a_page_is_no_visit() -> None:
    assert not seen({ask("/simple/demo/", method="HEAD"): 1, ask("/simple/demo/", 304, method="HEAD"): 1})


@pytest.mark.parametrize(
    "asked", [ask(SDIST, 206, start=False), ask(SDIST, method="HEAD"), ask(SDIST, agent=b"curl/8"), ask(SDIST, 304), ask(SDIST, 404)]
)  # fmt: skip
def test_what_is_no_miss_is_none_in_the_metrics_either(asked: Answered) -> None:
    assert not asked.totals.taken
    assert ask(SDIST, 307).totals.taken


def test_readers_do_not_take_from_each_other() -> None:
    tally = Tally()
    first = ask("/simple/demo/")
    again = tally.note(first)
    again()
    key = Totals("merged", "page", "pip", 200, taken=True)
    assert tally.totals() == {key: 2}
    assert tally.take() == {first: 2}
    again()
    assert (tally.totals(), tally.take(), tally.take()) == ({key: 3}, {first: 1}, {})


def test_what_nobody_takes_is_bounded() -> None:
    tally = Tally(waiting=10)
    for number in range(25):
        tally.note(ask(f"/simple/p{number}/"))
    assert len(tally.take()) == 10


def test_no_answer_is_lost_while_others_read() -> None:
    tally, ended = Tally(), threading.Event()
    given = [tally.note(ask(f"/simple/p{number}/")) for number in range(20)]
    found = [0]

    def read() -> None:
        while not ended.is_set():
            found[0] += sum(tally.take().values())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200_000):
        given[number % 20]()
    ended.set()
    reader.join()
    assert found[0] + sum(tally.take().values()) == 200_020
    assert sum(tally.totals().values()) == 200_020


@pytest.mark.parametrize(
    ("filename", "pin"),
    [
        ("Demo_Thing-1.0.tar.gz", ("demo-thing", "1.0")), ("demo-1.0.zip", ("demo", "1.0")),
        ("demo-thing-2.0rc1.tar.bz2", ("demo-thing", "2.0rc1")),
        ("demo-1.0-beta1.tar.gz", ("demo", "1.0b1")), ("demo.tar.gz", None), ("-1.0.tar.gz", None), ("demo-one.tar.gz", None),
        (f"{'x' * 300}-1.0.tar.gz", None),
    ],
)  # fmt: skip
def test_pins_of_sdists(filename: str, pin: tuple[str, str] | None) -> None:
    assert sdist_pin(filename) == pin
