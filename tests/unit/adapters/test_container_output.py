"""What a container prints, as lines in a log."""

from __future__ import annotations

from farm.adapters import container_output


def test_lines_are_whole_however_the_output_is_cut():
    assert list(container_output.lines([b"on", b"e\ntw", b"o\r\n", b"\xff\n", b"last"])) == [
        "one",
        "two",
        "\N{REPLACEMENT CHARACTER}",
        "last",
    ]


def test_a_line_without_an_end_is_cut():
    lines = list(container_output.lines([b"x" * 10_000] * 10))
    assert sum(map(len, lines)) <= 100_000
    assert max(map(len, lines)) <= 16 << 10
    assert len(lines) > 3


def test_a_log_has_an_end(tmp_path):
    line = "y" * (1 << 20)
    with (tmp_path / "log").open("wb") as file:
        passed = sum(1 for _ in container_output.logged(iter([line] * 200), file))
    assert passed < 200
    assert (tmp_path / "log").stat().st_size < 131 << 20
    assert (tmp_path / "log").read_bytes().endswith(b"longer than 128 MiB)\n")


def test_a_line_is_written_down_as_soon_as_it_is_there(tmp_path):
    with (tmp_path / "log").open("ab") as file:
        for _ in container_output.logged(iter(["now"]), file):
            assert (tmp_path / "log").read_text() == "now\n"
