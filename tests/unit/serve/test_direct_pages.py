"""Wheels of what is on no index: kept and served by their digest, listed apart, on no project's page."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import httpx
import pytest

from farm.adapters.store import Store
from farm.errors import StoreError
from farm.model.direct import Direct
from farm.model.package import Digest
from farm.serve.app import Options, create_app
from farm.serve.simple import render_project
from tests.fakes.store import FakeClock, Wheelmaker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio
FORK = Direct(url="git+https://***@h/demo@main", commit="c" * 40)
SOURCE, OTHER = Digest("5" * 64), Digest("6" * 64)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", render_project, FakeClock())


@pytest.fixture
async def client(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app({"": store}, store, Options(direct=store.direct)))
    async with httpx.AsyncClient(transport=transport, base_url="http://farm.invalid") as made:
        yield made


async def test_a_fork_is_served_and_listed_but_is_on_no_page(store: Store, client: httpx.AsyncClient, tmp_path: Path) -> None:
    record, verified = Wheelmaker(folder=tmp_path / "built", requires_python=">=3.8").make("my-demo", "1.0")
    url = store.publish_direct(record, verified, FORK)
    assert (store.project(record.name), store.names()) == (None, ())
    assert (await client.get("/simple/my-demo/")).status_code == 404
    root = await client.get("/direct/")
    assert 'href="my-demo/"' in root.text
    page = await client.get("/direct/my-demo/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert f"{record.filename}</a> {FORK.url} at {FORK.commit}" in page.text
    assert 'data-requires-python="&gt;=3.8"' in page.text
    href = page.text.partition('<a href="')[2].partition('"')[0]
    assert href.endswith(f"#sha256={record.sha256}")
    file = await client.get(urljoin(str(page.url), href))
    assert hashlib.sha256(file.content).hexdigest() == record.sha256
    assert file.url.path == f"/{url}"
    assert (await client.get("/direct/other/")).status_code == (await client.get("/direct/..%2f/")).status_code == 404
    assert (await client.get("/direct/my-demo")).headers["location"] == "./my-demo/"


async def test_of_one_file_name_the_newest_is_listed_and_all_are_served(store: Store, client: httpx.AsyncClient, tmp_path: Path) -> None:
    maker = Wheelmaker(folder=tmp_path / "built")
    for number, source in enumerate((SOURCE, OTHER)):
        record, verified = maker.make("demo", "1.0", f"X = {number}")
        record = replace(record, sdist_sha256=source, built_at=record.built_at + timedelta(hours=number))
        url = store.publish_direct(record, verified, FORK)
        assert (await client.get(f"/{url}")).status_code == 200
        assert [file.sha256 for file in store.direct.of(record.name, source)] == [record.sha256]
    page = await client.get("/direct/demo/")
    assert page.text.count("<a href=") == 1
    assert record.sha256 in page.text


async def test_a_fork_and_upstream_s_own_wheel_may_have_one_name(store: Store, client: httpx.AsyncClient, tmp_path: Path) -> None:
    maker = Wheelmaker(folder=tmp_path / "built")
    theirs, verified = maker.make("demo", "1.0", "X = 1")
    store.publish(theirs, verified)
    ours, verified = maker.make("demo", "1.0", "X = 2")
    store.publish_direct(ours, verified, FORK)
    store.close()
    page = await client.get("/simple/demo/")
    assert theirs.sha256 in page.text
    assert ours.sha256 not in page.text


async def test_the_same_wheel_of_two_sources_is_there_for_both(store: Store, tmp_path: Path) -> None:
    record, verified = Wheelmaker(folder=tmp_path / "built").make("demo", "1.0")
    for source in (SOURCE, OTHER, OTHER):
        store.publish_direct(replace(record, sdist_sha256=source), verified, FORK)
    assert len(store.direct.of(record.name, SOURCE)) == len(store.direct.of(record.name, OTHER)) == 1


async def test_a_damaged_record_is_told(store: Store, tmp_path: Path) -> None:
    record, verified = Wheelmaker(folder=tmp_path / "built").make("demo", "1.0")
    store.publish_direct(record, verified, FORK)
    next((tmp_path / "store" / "direct" / "demo").iterdir()).write_text("{")
    with pytest.raises(StoreError, match="own record of a wheel"):
        store.direct.of(record.name, SOURCE)
