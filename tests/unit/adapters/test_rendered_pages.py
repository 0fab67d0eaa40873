"""Rendered pages are found by what they were made from, in bounds, and never damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from farm.adapters.rendered import Rendered
from farm.model.page import JSON, make_page

if TYPE_CHECKING:
    from pathlib import Path

NAME = canonicalize_name("demo")


def test_a_page_is_found_by_its_key_alone(tmp_path: Path) -> None:
    rendered = Rendered(tmp_path)
    page = make_page(JSON, "identity", b"{}")
    rendered.put("merged", NAME, "k1", [page])
    for looking in (rendered, Rendered(tmp_path)):
        assert looking.find("merged", NAME, "k1", JSON, "identity") == page
        for other in (("merged", "k2", "identity"), ("strict x", "k1", "identity"), ("merged", "k1", "gzip")):
            assert looking.find(other[0], NAME, other[1], JSON, other[2]) is None  # type: ignore[arg-type]
    rendered.put("merged", NAME, "k2", [make_page(JSON, "identity", b"[]")])
    assert rendered.find("merged", NAME, "k1", JSON, "identity") is None


@pytest.mark.parametrize("damage", [b"", b"k1\n", b"\xff\xfe", b'k1 "0"\n{}'])
def test_a_damaged_file_is_no_page(tmp_path: Path, damage: bytes) -> None:
    Rendered(tmp_path).put("merged", NAME, "k1", [make_page(JSON, "identity", b'{"files":[]}')])
    (path,) = (path for path in tmp_path.rglob("*") if path.is_file())
    path.write_bytes(damage)
    assert Rendered(tmp_path).find("merged", NAME, "k1", JSON, "identity") is None


def test_memory_and_disk_are_bounded(tmp_path: Path) -> None:
    rendered = Rendered(tmp_path, memory=20_000, disk=100_000)
    for number in range(600):
        rendered.put("merged", canonicalize_name(f"p{number}"), "k", [make_page(JSON, "identity", b"x" * 1000)])
    assert rendered._size <= 20_000
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    # It is looked after once in 512 pages.
    assert sum(path.stat().st_size for path in kept) <= 100_000 + 90 * 1100
    assert rendered.find("merged", canonicalize_name("p599"), "k", JSON, "identity") is not None
