"""Blobs: what has a digest's name has those bytes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from farm.adapters.blobs import Blobs
from farm.model.build import IntegrityError
from farm.model.package import Digest

if TYPE_CHECKING:
    from pathlib import Path

DATA = b"a wheel" * 1000
SHA = Digest(hashlib.sha256(DATA).hexdigest())


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs", tmp_path / "staging")


def test_kept_bytes_are_found_under_their_digest(blobs: Blobs, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(DATA)
    assert blobs.find(SHA) is None
    assert blobs.keep(source) == SHA == blobs.keep_bytes(DATA)
    found = blobs.find(SHA)
    assert found == tmp_path / "blobs" / SHA[:2] / SHA[2:]
    assert found.read_bytes() == DATA
    assert list((tmp_path / "staging").iterdir()) == []


def test_other_bytes_than_promised_are_not_kept(blobs: Blobs, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(DATA + b"tampered")
    with pytest.raises(IntegrityError, match=f"expected sha256 {SHA}"):
        blobs.keep(source, SHA)
    with pytest.raises(IntegrityError, match=f"expected sha256 {SHA}"):
        blobs.keep_published(source, SHA, b"Name: demo\n")
    assert not [p for p in (tmp_path / "staging").iterdir() if p.is_file()]
    assert not (tmp_path / "blobs").exists()


def test_a_blob_that_lost_its_end_is_made_whole(blobs: Blobs) -> None:
    blobs.keep_bytes(DATA)
    path = blobs.path(SHA)
    path.chmod(0o644)
    path.write_bytes(DATA[:10])
    blobs.keep_bytes(DATA)
    assert path.read_bytes() == DATA


@pytest.mark.parametrize("text", ["", "../../etc/passwd", "a" * 63, "g" * 64, f"{SHA}/../x"])
def test_no_name_leads_out_of_the_folder(blobs: Blobs, text: str) -> None:
    with pytest.raises(ValueError, match="64 hex digits"):
        blobs.find(Digest(text))


def test_metadata_lies_beside_its_file_only(blobs: Blobs) -> None:
    metadata = b"Name: demo\n"
    blobs.keep_bytes(DATA)
    assert blobs.metadata(SHA) is None
    with blobs.staged() as (file, path):
        file.write(DATA)
        file.flush()
        blobs.keep_published(path, SHA, metadata, move=True)
    assert not path.exists()
    found = blobs.metadata(SHA)
    assert found is not None
    assert found.read_bytes() == metadata


def test_what_was_staged_and_not_taken_in_is_gone(blobs: Blobs, tmp_path: Path) -> None:
    with blobs.staged() as (file, path):
        file.write(DATA)
        assert path.exists()
    assert list((tmp_path / "staging").iterdir()) == []
