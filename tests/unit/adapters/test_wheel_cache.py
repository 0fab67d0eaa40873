"""Entries of pip's wheel cache on the disk. That pip takes them: tests/functional."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from farm.adapters.wheel_cache import NOTE, Planting, look, plant, planted, uproot
from farm.errors import StoreError, UsageError
from farm.model.package import Digest
from farm.model.seeding import TESTED, check_pip

if TYPE_CHECKING:
    from pathlib import Path

DATA = b"a wheel"
WHEEL = "demo-1.0-py3-none-any.whl"


def planting(cache: Path, filename: str = WHEEL, data: bytes = DATA) -> Planting:
    return Planting(
        folder=cache / "wheels/aa/bb/cc/dd", filename=filename, sha256=Digest(hashlib.sha256(data).hexdigest()),
        url="https://me:secret@index.example/demo-1.0.tar.gz", sdist=Digest("5" * 64),
    )  # fmt: skip


def test_an_entry_says_what_it_stands_for_without_the_credentials(tmp_path: Path) -> None:
    told = planting(tmp_path)
    plant(told, DATA)
    origin = json.loads((told.folder / "origin.json").read_text())
    assert origin["archive_info"]["hashes"] == {"sha256": "5" * 64}
    assert origin["url"] == "https://***@index.example/demo-1.0.tar.gz"
    assert look(told.folder, told, frozenset({WHEEL})) == "there"
    assert list(planted(tmp_path)) == [(told.folder, WHEEL)]


def test_bytes_of_another_hash_are_never_put_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="sha256"):
        plant(planting(tmp_path), b"something else")
    assert list(tmp_path.iterdir()) == []


def test_an_entry_whose_origin_was_changed_is_not_taken_for_ours(tmp_path: Path) -> None:
    told = planting(tmp_path)
    plant(told, DATA)
    (told.folder / "origin.json").write_text('{"url": "x", "archive_info": {"hashes": {"sha256": "6"}}}')
    assert look(told.folder, told, frozenset({WHEEL})) == "absent"


def test_removing_spares_what_pip_put_there(tmp_path: Path) -> None:
    told = planting(tmp_path)
    plant(told, DATA)
    own = told.folder / "demo-1.0-cp311-cp311-linux_x86_64.whl"
    own.write_bytes(b"pip's own")
    assert uproot(told.folder)
    assert {path.name for path in told.folder.iterdir()} == {own.name, "origin.json"}
    plant(told, DATA)
    (told.folder / WHEEL).write_bytes(b"pip has overwritten it")
    assert not uproot(told.folder)
    assert (told.folder / WHEEL).exists()


OUTSIDE = {"wheel": "../../../../../precious.txt", "sha256": hashlib.sha256(b"p").hexdigest()}


@pytest.mark.parametrize("note", ["", "[]", json.dumps(OUTSIDE)])
def test_a_note_that_was_tampered_with_leads_nowhere_else(note: str, tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_bytes(b"p")
    told = planting(tmp_path)
    told.folder.mkdir(parents=True)
    (told.folder / NOTE).write_text(note)
    assert not uproot(told.folder)
    (told.folder.parent).mkdir(parents=True, exist_ok=True)
    told.folder.mkdir(exist_ok=True)
    (told.folder / NOTE).write_text(note)
    plant(told, DATA)
    assert precious.read_bytes() == b"p"


@pytest.mark.parametrize(
    ("version", "known"), [("22.3.1", False), ("23.1", True), ("26.3.7", True), ("26.4", False), ("99.0", False)]
)
def test_only_pips_that_were_tried_are_known(version: str, known: bool) -> None:
    if known:
        assert str(check_pip(version)) == version
        return
    with pytest.raises(UsageError) as caught:
        check_pip(version)
    assert f"expected pip {min(TESTED)} to {max(TESTED)}" in caught.value.reason
