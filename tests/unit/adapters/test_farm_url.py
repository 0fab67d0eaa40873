"""A farm's URL, however it is given."""

from __future__ import annotations

import pytest

from farm.adapters.farm_index import farm_root
from farm.errors import UsageError
from farm.wire.clients import is_loopback, same_farm


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("https://farm.example", "https://farm.example"),
        ("https://farm.example/simple/", "https://farm.example"),
        ("https://farm.example/wheels/simple", "https://farm.example"),
        ("https://farm.example/strict/cp312-musllinux_1_2_x86_64/simple/", "https://farm.example"),
        ("https://u:p@farm.example:81/py/simple/?x#y", "https://u:p@farm.example:81/py"),
        ("http://127.0.0.1:8417/py/strict/a/simple/", "http://127.0.0.1:8417/py"),
    ],
)
def test_any_view_tells_the_root(given: str, root: str) -> None:
    assert farm_root(given) == root


@pytest.mark.parametrize("given", ["farm.example", "/simple/", "ftp://farm.example/", "https://", ""])
def test_what_is_no_url_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match="expected the farm's URL"):
        farm_root(given)


def test_credentials_and_views_make_no_other_farm() -> None:
    assert same_farm("https://u:p@farm.example/wheels/simple/", "https://farm.example")
    assert not same_farm("https://farm.example/other/simple/", "https://farm.example")
    assert not same_farm("http://farm.example/simple/", "https://farm.example")
    assert not same_farm("/a/folder", "https://farm.example")


def test_the_hosts_that_pip_trusts_over_plain_http() -> None:
    assert [host for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost", "farm.localhost", "10.0.0.1") if is_loopback(host)] == [
        "127.0.0.1", "127.8.8.8", "::1", "localhost",
    ]  # fmt: skip
