"""Answers and files that are kept: bounded, and gone when they are no longer true."""

from __future__ import annotations

import os
import time
from pathlib import Path

from farm.adapters.pulse import Pulse
from farm.serve.kept import Answer, KeptAnswers, OpenFiles, steady


def answer(body: bytes = b"body", *, true: list[bool] | None = None) -> Answer:
    said = true or [True]
    return Answer(status=200, headers=((b"etag", b'"a"'),), body=body, still=lambda: said[0])


def test_an_answer_that_is_no_longer_true_is_dropped_with_its_size() -> None:
    kept, true = KeptAnswers(), [True]
    kept.put(b"head", answer(true=true))
    found = kept.find(b"head")
    assert found is not None
    assert found.start + found.rest == b'HTTP/1.1 200 OK\r\netag: "a"\r\n\r\nbody'
    true[0] = False
    assert kept.find(b"head") is None
    assert (len(kept), kept.size) == (0, 0)


def test_what_is_kept_has_a_bound_and_the_least_used_goes_first() -> None:
    kept = KeptAnswers(limit=100_000)
    for number in range(100):
        kept.put(b"%d" % number, answer(b"x" * 5000))
        assert kept.find(b"0") is not None
        assert kept.size <= 100_000
    assert kept.find(b"99") is not None
    assert kept.find(b"1") is None
    for number in range(100):
        kept.drop(b"%d" % number)
    assert kept.size == 0


def test_one_client_cannot_fill_it_with_long_heads_or_one_answer() -> None:
    kept = KeptAnswers(limit=100_000)
    kept.put(b"x" * 10_000, answer())
    kept.put(b"head", answer(b"x" * 50_000))
    assert len(kept) == 0


def test_putting_again_replaces() -> None:
    kept = KeptAnswers()
    for body in (b"old", b"new"):
        kept.put(b"head", answer(body))
    found = kept.find(b"head")
    assert found is not None
    assert found.rest.endswith(b"new")
    assert kept.size == found.cost


def test_files_are_found_as_they_are_now(tmp_path: Path) -> None:
    files, path = OpenFiles(), tmp_path / "file"
    assert files.find(str(path), 3) is None
    path.write_bytes(b"abc")
    first = files.find(str(path), 3)
    assert first is not None
    assert files.find(str(path), 3) is first
    (tmp_path / "new").write_bytes(b"xyz")
    (tmp_path / "new").rename(path)
    second = files.find(str(path), 3)
    assert second is not None
    assert (os.pread(first.fd, 3, 0), os.pread(second.fd, 3, 0)) == (b"abc", b"xyz")
    assert files.find(str(path), 4) is None
    path.unlink()
    assert files.find(str(path), 3) is None


def test_no_more_files_are_open_than_allowed_but_for_those_in_use(tmp_path: Path) -> None:
    files = OpenFiles(limit=4)
    in_use = None
    for number in range(20):
        path = tmp_path / str(number)
        path.write_bytes(b"abc")
        found = files.find(str(path), 3)
        in_use = in_use or found
    opened = [link for link in Path("/proc/self/fd").iterdir() if _target(link).is_relative_to(tmp_path)]
    assert len(opened) == 5
    assert in_use is not None
    assert os.pread(in_use.fd, 3, 0) == b"abc"


def _target(link: Path) -> Path:
    try:
        return link.readlink()
    except OSError:
        # The descriptor of the listing itself.
        return Path()


def test_a_steady_check_is_repeated_when_something_was_published_and_each_second() -> None:
    asked: list[int] = []
    beat: list[bytes | None] = [b"1"]
    true = [True]

    def still() -> bool:
        asked.append(1)
        return true[0]

    check = steady(still, lambda: beat[0])
    assert [check() for _ in range(5)] == [True] * 5
    assert len(asked) == 1
    beat[0], true[0] = b"2", False
    assert not check()
    true[0] = True
    assert check()
    assert len(asked) == 3
    time.sleep(1.1)
    true[0] = False
    assert not check()
    true[0], beat[0] = True, None
    assert [check() for _ in range(3)] == [True] * 3
    assert len(asked) == 7


def test_the_pulse_is_read_as_it_is_and_found_again_when_it_was_replaced(tmp_path: Path) -> None:
    now = [0.0]
    path = tmp_path / "serial"
    pulse = Pulse(path, lambda: now[0])
    assert pulse() is None
    path.write_bytes(b"1")
    now[0] += 2
    assert pulse() == b"1"
    with path.open("r+b") as file:
        file.write(b"2")
        file.flush()
        assert pulse() == b"2"
    path.write_bytes(b"")
    assert pulse() == b""
    (tmp_path / "new").write_bytes(b"3")
    (tmp_path / "new").rename(path)
    now[0] += 2
    assert pulse() == b"3"
    path.unlink()
    now[0] += 2
    assert pulse() is None
    pulse.close()
