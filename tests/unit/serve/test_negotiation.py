"""Accept, Accept-Encoding and If-None-Match as real clients send them."""

from __future__ import annotations

import pytest

from farm.model.page import HTML, JSON
from farm.serve.negotiate import choose_encoding, choose_type, matches

TEXT = "text/html"
PIP = f"{JSON}, {HTML}; q=0.1, text/html; q=0.01"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (PIP, JSON),
        (f"{HTML}; q=0.2, {JSON};q=0.1", HTML),
        (BROWSER, TEXT),
        (None, TEXT),
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html", TEXT),
        ("TEXT/HTML;charset=utf-8", TEXT),
        ("text/*", TEXT),
        ("application/*", JSON),
        ("application/vnd.pypi.simple.latest+json", JSON),
        ("application/vnd.pypi.simple.latest+html", HTML),
        (f"{JSON}, {HTML}, text/html", JSON),
        (f"{JSON};q=0, */*", TEXT),
        ("text/html;q=0, */*;q=0.5", HTML),
        (f"text/html;q=0, {HTML};q=0, */*", JSON),
        (f"{HTML};q=nonsense", HTML),
        (f"{JSON};q=7, text/html", JSON),
        ("application/json", None),
        ("application/vnd.pypi.simple.v2+json", None),
        ("*/*;q=0", None),
        (f"{JSON};q=0", None),
        (",;q=1,", None),
    ],
)
def test_accept(accept: str | None, expected: str | None) -> None:
    assert choose_type(accept) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (JSON, JSON),
        ("application/vnd.pypi.simple.v1 json", JSON),
        ("application/vnd.pypi.simple.latest html", HTML),
        ("text/html", TEXT),
        ("json", None),
        ("", None),
    ],
)
def test_format_of_the_query_wins(wanted: str, expected: str | None) -> None:
    assert choose_type("text/plain", wanted) == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "identity"),
        ("", "identity"),
        ("gzip, deflate", "gzip"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("deflate", "identity"),
        ("*", "gzip"),
        ("gzip;q=0, *", "identity"),
        ("gzip;q=0.5, identity", "identity"),
        ("x-gzip", "gzip"),
        ("identity;q=0", "identity"),
    ],
)
def test_accept_encoding(accept: str | None, expected: str) -> None:
    assert choose_encoding(accept) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, False),
        ('"a"', True),
        ('W/"a"', True),
        ('"b", "a"', True),
        ("*", True),
        ('"b"', False),
        ("a", False),
        ("", False),
    ],
)
def test_if_none_match(header: str | None, expected: bool) -> None:
    assert matches(header, '"a"') is expected
