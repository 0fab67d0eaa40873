"""The lock file of images, and which reference an image is made from. Registries and archives: tests/functional, tests/integration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.adapters.image_pins import moved, read_lock, write_lock
from farm.errors import UsageError
from farm.model.image_lock import ImageLock, ImagePin, Looked, movable, repository

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = f"sha256:{'a' * 64}"
PIN = ImagePin(reference="registry.example:5000/python:3.13-slim", digest=DIGEST)
LOCK = ImageLock(suites={"forky": "20261030T080801Z"}, images={"manylinux_2_28-x86_64-runtime": PIN})


class TestFile:
    def test_what_was_written_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "images.lock"
        write_lock(path, LOCK)
        assert read_lock(path) == LOCK

    def test_no_file_pins_nothing(self, tmp_path: Path) -> None:
        assert read_lock(tmp_path / "images.lock") == read_lock(None) == ImageLock()

    @pytest.mark.parametrize(
        "text",
        [
            "schema = 2\n",
            "schema = 1\n[suites.forky]\nday = 'x'\n",
            "schema = 1\n[suites]\nforky = 3\n",
            "= nothing",
            "schema = 1\n[images.x]\nreference = 1\n",
        ],
    )
    def test_one_that_makes_no_sense_is_named_with_what_to_do(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "images.lock"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError) as caught:
            read_lock(path)
        assert str(path) in caught.value.reason
        assert "farm images update" in caught.value.solution


class TestMoving:
    def test_what_was_found_moves_and_the_rest_stays(self) -> None:
        found = [
            Looked(kind="suite", subject="trixie", before=None, now="20261121T021046Z"),
            Looked(kind="suite", subject="forky", before="20261030T080801Z", now=None, reason="no answer", failed=True),
            Looked(kind="image", subject="musllinux_1_2-x86_64-builder", before=None, now=DIGEST, reference="r.example/m:latest"),
        ]
        after = moved(LOCK, found)
        assert after.suites == {"forky": "20261030T080801Z", "trixie": "20261121T021046Z"}
        assert after.images.keys() == {"manylinux_2_28-x86_64-runtime", "musllinux_1_2-x86_64-builder"}
        assert [look.moved for look in found] == [True, False, True]

    def test_the_newest_is_no_move(self) -> None:
        assert not Looked(kind="suite", subject="forky", before="20261030T080801Z", now="20261030T080801Z").moved


class TestReferences:
    @pytest.mark.parametrize(
        ("reference", "name"),
        [
            ("python", "python"),
            ("python:3.13-slim", "python"),
            ("registry.example:5000/a/python", "registry.example:5000/a/python"),
            ("registry.example:5000/a/python:3.13", "registry.example:5000/a/python"),
            (f"registry.example:5000/a/python:3.13@{DIGEST}", "registry.example:5000/a/python"),
        ],
    )
    def test_the_repository_is_what_is_before_tag_and_digest(self, reference: str, name: str) -> None:
        assert repository(reference) == name

    def test_a_pin_is_the_repository_by_digest(self) -> None:
        assert PIN.pinned == f"registry.example:5000/python@{DIGEST}"

    @given(
        host=st.sampled_from(["r.example", "r.example:5000", "127.0.0.1:5000"]),
        path=st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8})?", fullmatch=True),
    )
    def test_a_digest_in_the_configuration_stands_and_an_official_one_moves_to_latest(self, host: str, path: str) -> None:
        named = f"{host}/{path}@{DIGEST}"
        assert movable(named, official=False) is None
        assert movable(named, official=True) == f"{host}/{path}:latest"
        assert movable(f"{host}/{path}", official=False) == f"{host}/{path}:latest"
        assert movable(f"{host}/{path}:1.2", official=False) == f"{host}/{path}:1.2"
