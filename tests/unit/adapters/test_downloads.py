"""A file is what the index promised, on every use, or it is not handed out."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from farm.adapters.downloads import Downloads
from farm.adapters.pipconfig import IndexSettings
from farm.adapters.web import Retry, Web
from farm.errors import StoreError, UpstreamError
from farm.model.build import IntegrityError
from farm.model.package import Digest, IndexFile, Version
from tests.fakes.index_server import Failure, IndexServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = bytes(range(256)) * 20_000
NAME = "demo-1.0.tar.gz"


@pytest.fixture
def index() -> Iterator[IndexServer]:
    with IndexServer() as server:
        server.add((NAME, DATA))
        yield server


@pytest.fixture
def web(index: IndexServer) -> Iterator[Web]:
    web = Web(IndexSettings(url=index.url, timeout=0.5), Retry(tries=3, pause=0.01, total=5))
    yield web
    web.close()


@pytest.fixture
def file(index: IndexServer) -> IndexFile:
    url = f"{index.url.removesuffix('/simple')}/files/demo/{NAME}"
    return IndexFile(filename=NAME, url=url, version=Version("1.0"), sha256=Digest(hashlib.sha256(DATA).hexdigest()))


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name.startswith(".part"))


def test_fetched_once_and_kept_under_its_digest(web: Web, file: IndexFile, index: IndexServer, tmp_path: Path) -> None:
    downloads = Downloads(web, tmp_path)
    path = downloads.fetch(file)
    assert path.read_bytes() == DATA
    assert file.sha256 is not None
    assert path == tmp_path / "files" / file.sha256[:2] / file.sha256 / NAME
    assert downloads.fetch(file) == path
    assert index.asked("/files/") == 1
    assert leftovers(tmp_path) == []


def test_checked_again_on_every_use(web: Web, file: IndexFile, tmp_path: Path) -> None:
    downloads = Downloads(web, tmp_path)
    path = downloads.fetch(file)
    path.write_bytes(b"changed behind our back")
    with pytest.raises(IntegrityError, match="expected sha256"):
        downloads.fetch(file)
    assert not path.exists()
    assert downloads.fetch(file).read_bytes() == DATA


def test_other_bytes_than_promised_are_refused_and_removed(
    web: Web, file: IndexFile, index: IndexServer, tmp_path: Path
) -> None:
    index.fail("/files/", "wrong-hash")
    with pytest.raises(IntegrityError) as caught:
        Downloads(web, tmp_path).fetch(file)
    assert str(file.sha256) in caught.value.reason
    assert file.url in caught.value.reason
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_broken_connection_goes_on_where_it_stopped(
    web: Web, file: IndexFile, index: IndexServer, tmp_path: Path
) -> None:
    index.fail("/files/", "truncated", times=1)
    assert Downloads(web, tmp_path).fetch(file).read_bytes() == DATA
    first, second = index.headers
    assert "Range" not in first
    start = int(second["Range"].removeprefix("bytes=").removesuffix("-"))
    assert 0 < start <= len(DATA) // 2


def test_without_ranges_it_starts_anew(file: IndexFile, tmp_path: Path) -> None:
    with IndexServer(ranges=False, etags=False) as plain:
        plain.add((NAME, DATA))
        plain.fail("/files/", "truncated", times=1)
        web = Web(IndexSettings(url=plain.url), Retry(tries=3, pause=0.01))
        moved = replace(file, url=f"{plain.url.removesuffix('/simple')}/files/demo/{NAME}")
        assert Downloads(web, tmp_path).fetch(moved).read_bytes() == DATA
        web.close()


@pytest.mark.parametrize(
    "failure", [("500", "answered 500"), ("404", "the index lists this file"), ("reset", "disconnected")]
)
def test_what_cannot_be_had(
    failure: tuple[Failure, str], web: Web, file: IndexFile, index: IndexServer, tmp_path: Path
) -> None:
    index.fail("/files/", failure[0])
    with pytest.raises(UpstreamError, match=failure[1]):
        Downloads(web, tmp_path).fetch(file)
    assert leftovers(tmp_path) == []


def test_without_a_hash_the_first_download_is_trusted_and_then_held_to(
    web: Web, file: IndexFile, index: IndexServer, tmp_path: Path
) -> None:
    bare = replace(file, sha256=None)
    downloads = Downloads(web, tmp_path)
    path = downloads.fetch(bare)
    assert downloads.fetch(bare) == path
    path.write_bytes(b"changed behind our back")
    with pytest.raises(IntegrityError):
        downloads.fetch(bare)
    index.fail("/files/", "wrong-hash")
    with pytest.raises(IntegrityError):
        downloads.fetch(bare)


@pytest.mark.parametrize("name", ["../../evil.tar.gz", ".hidden", "a/b.tar.gz", ".."])
def test_a_name_that_is_a_path_is_refused(
    name: str, web: Web, file: IndexFile, index: IndexServer, tmp_path: Path
) -> None:
    with pytest.raises(IntegrityError, match="plain file name"):
        Downloads(web, tmp_path).fetch(replace(file, filename=name))
    assert index.requests == []


def test_files_of_this_disk(web: Web, file: IndexFile, tmp_path: Path) -> None:
    own = tmp_path / "own file.tar.gz"
    own.write_bytes(DATA)
    assert Downloads(web, tmp_path / "cache").fetch(replace(file, url=own.as_uri())).read_bytes() == DATA
    mine = Downloads(web, tmp_path / "cache2", local=lambda url: own if url.startswith("files/") else None)
    assert mine.fetch(replace(file, url="files/own")) == own
    own.write_bytes(b"changed")
    with pytest.raises(IntegrityError):
        mine.fetch(replace(file, url="files/own"))


def test_a_store_that_cannot_be_written_is_said(web: Web, file: IndexFile, tmp_path: Path) -> None:
    (tmp_path / "files").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match=r"cannot keep demo-1\.0\.tar\.gz"):
        Downloads(web, tmp_path).fetch(file)
