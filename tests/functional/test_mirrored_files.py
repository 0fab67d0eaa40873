"""Upstream's files under the farm's own URLs: redirected to, or passed on, checked and kept; from an upstream that breaks off and lies."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from packaging.utils import canonicalize_name

from farm.adapters.pipconfig import IndexSettings
from farm.adapters.store import Store
from farm.errors import FarmError, UpstreamError
from farm.model.build import IntegrityError
from farm.model.page import HTML, JSON
from farm.model.settings import Settings
from farm.serve.simple import render_project
from farm.wire.views import make_views
from tests.fakes.store import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from farm.serve.views import Views
    from tests.fakes.index_server import IndexServer

NAME = canonicalize_name("demo")
WHEEL = "demo-1.0-py3-none-any.whl"
DATA = os.urandom(3_000_000)
METADATA = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"


@pytest.fixture
def opened(tmp_path: Path, index: IndexServer) -> Iterator[Callable[..., Views]]:
    made: list[Views] = []
    index.add((WHEEL, DATA), metadata=METADATA)

    def open_(later: float = 0.0, **settings: Any) -> Views:
        store = Store(tmp_path / "store", render_project, FakeClock())
        pip = IndexSettings(url=index.url, timeout=5.0)
        made.append(make_views(Settings(store=tmp_path / "store", **settings), store, pip, lambda: time.time() + later))
        return made[-1]

    yield open_
    for views in made:
        views.close()


def path_of(views: Views, filename: str = WHEEL) -> str:
    """Return the path that the merged page gives a file, below `/packages/`."""
    page = views.sources[""].page(NAME, JSON, "identity")
    assert page is not None
    url: str = next(file["url"] for file in json.loads(page.body)["files"] if file["filename"] == filename)
    assert url.startswith("../../packages/")
    return unquote(url.removeprefix("../../packages/"))


def read(views: Views, path: str) -> bytes:
    found = views.packages.find(path)
    assert found is not None
    assert found.redirect is None
    return found.path.read_bytes() if found.path is not None else b"".join(found.start().chunks())


def parts(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "store/cache/mirror/files/parts").iterdir())


def test_linked_files_are_not_the_farms_business(opened: Callable[..., Views]) -> None:
    views = opened()
    assert views.packages.mode == "link"
    assert views.packages.find(f"aa/bb/{WHEEL}") is None


def test_an_sdist_that_leads_through_the_farm_has_its_metadata_there_too(opened: Callable[..., Views], index: IndexServer) -> None:
    """The page says that there is some beside its URL (PEP 658 and 714), and a client that gets 404 for it gives up."""
    index.add(("demo-2.0.tar.gz", b"an sdist"), metadata=METADATA)
    views = opened()
    path = path_of(views, "demo-2.0.tar.gz")
    for ending in ("", ".metadata"):
        found = views.packages.find(path + ending)
        assert found is not None
        assert found.redirect == f"{index.url.removesuffix('/simple')}/files/demo/demo-2.0.tar.gz{ending}"
    page = views.sources[""].page(NAME, JSON, "identity")
    assert page is not None
    assert "core-metadata" in next(file for file in json.loads(page.body)["files"] if file["filename"] == "demo-2.0.tar.gz")
    assert views.packages.find(f"aa/bb/{WHEEL}.metadata") is None


def test_redirects_lead_to_what_the_page_lists_and_nowhere_else(
    opened: Callable[..., Views], index: IndexServer
) -> None:
    views = opened(mirror="redirect")
    path = path_of(views)
    base = index.url.removesuffix("/simple")
    found = views.packages.find(path)
    assert found is not None
    assert found.redirect == f"{base}/files/demo/{WHEEL}"
    beside = views.packages.find(f"{path}.metadata")
    assert beside is not None
    assert beside.redirect == f"{base}/files/demo/{WHEEL}.metadata"
    for other in (
        f"aa/bb/{WHEEL}",
        f"{path}.asc",
        "",
        "x",
        f"../{path}",
        path.replace("demo", "nobody"),
        "a" * 5000,
        "\udc80-1.0.zip",
    ):
        assert views.packages.find(other) is None, other


def test_the_first_request_streams_and_later_ones_read_the_disk(
    opened: Callable[..., Views], index: IndexServer, tmp_path: Path
) -> None:
    views = opened(mirror="cache")
    path = path_of(views)
    found = views.packages.find(path)
    assert found is not None
    assert (found.path, found.size) == (None, len(DATA))
    stream = found.start()
    assert stream.size == len(DATA)
    assert b"".join(stream.chunks()) == DATA
    found.wait()
    assert found.path is not None
    assert found.etag == f'"{hashlib.sha256(DATA).hexdigest()}"'
    assert read(views, path) == DATA
    assert read(opened(mirror="cache"), path) == DATA
    assert index.asked(f"/files/demo/{WHEEL}") == 1
    assert parts(tmp_path) == []


def test_metadata_is_passed_on_byte_for_byte(opened: Callable[..., Views]) -> None:
    views = opened(mirror="cache")
    assert read(views, f"{path_of(views)}.metadata") == METADATA.encode()


def test_many_readers_cost_upstream_one_download(opened: Callable[..., Views], index: IndexServer) -> None:
    views = opened(mirror="cache")
    path = path_of(views)
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(read(views, path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [DATA] * 8
    assert index.asked(f"/files/demo/{WHEEL}") == 1


def test_a_wrong_file_never_arrives_whole_and_is_not_kept(
    opened: Callable[..., Views], index: IndexServer, tmp_path: Path
) -> None:
    views = opened(mirror="cache")
    path = path_of(views)
    index.fail("/files/demo/", "wrong-hash", 2)
    found = views.packages.find(path)
    assert found is not None
    got: list[bytes] = []
    with pytest.raises(IntegrityError, match="expected sha256"):
        got.extend(found.start().chunks())
    assert sum(map(len, got)) < len(DATA)
    with pytest.raises(IntegrityError):
        found.wait()
    assert found.path is None
    assert parts(tmp_path) == []
    assert read(views, path) == DATA


def test_a_download_that_breaks_off_is_gone_on_with(opened: Callable[..., Views], index: IndexServer) -> None:
    views = opened(mirror="cache")
    index.fail("/files/demo/", "truncated", 1)
    assert read(views, path_of(views)) == DATA
    assert index.headers[-1]["Range"].startswith("bytes=")


def test_one_that_cannot_be_gone_on_with_is_cut(
    opened: Callable[..., Views], index: IndexServer, tmp_path: Path
) -> None:
    views = opened(mirror="cache")
    path = path_of(views)
    index.ranges = False
    index.fail("/files/demo/", "truncated", 1)
    with pytest.raises(FarmError, match="broke off"):
        read(views, path)
    assert parts(tmp_path) == []
    assert read(views, path) == DATA


@pytest.mark.parametrize("how", ["404", "500", "401"])
def test_a_refusal_comes_before_the_first_byte(opened: Callable[..., Views], index: IndexServer, how: Any) -> None:
    views = opened(mirror="cache")
    found = views.packages.find(path_of(views))
    assert found is not None
    index.fail("/files/demo/", how)
    with pytest.raises(UpstreamError):
        found.start()


def test_what_was_kept_stays_when_upstream_goes(opened: Callable[..., Views], index: IndexServer) -> None:
    views = opened(mirror="cache")
    path = path_of(views)
    assert read(views, path) == DATA
    del index.projects["demo"]
    later = opened(mirror="cache", later=600.0)
    assert later.sources[""].page(NAME, JSON, "identity") is None
    assert read(later, path) == DATA


def test_a_file_that_cannot_be_checked_is_redirected_to(opened: Callable[..., Views], index: IndexServer) -> None:
    index.add(("demo-0.9.zip", b"unhashed"), hashes={})
    index.add(("demo-0.8.zip", b"odd"), hashes={"sha256": "../" * 21 + "x"})
    views = opened(mirror="cache")
    for filename in ("demo-0.9.zip", "demo-0.8.zip"):
        found = views.packages.find(path_of(views, filename))
        assert found is not None
        assert (found.redirect or "").endswith(f"/files/demo/{filename}")


def test_html_pages_have_the_farms_urls_too(opened: Callable[..., Views]) -> None:
    page = opened(mirror="cache").sources[""].page(NAME, HTML, "identity")
    assert page is not None
    assert b'href="../../packages/' in page.body
