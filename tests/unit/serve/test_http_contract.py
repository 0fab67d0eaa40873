"""The server's contract, status by status and header by header, over the real store."""

from __future__ import annotations

import gzip
import hashlib
import logging
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import httpx
import pytest

from farm.adapters.store import Store
from farm.model.page import HTML, JSON
from farm.serve.app import Options, create_app
from farm.serve.simple import render_project
from tests.fakes.store import FakeClock, Wheelmaker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from farm.model.attempt import WheelRecord

    Get = Callable[..., Awaitable[httpx.Response]]

pytestmark = pytest.mark.anyio
BASE = "http://farm.invalid"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", render_project, FakeClock())


@pytest.fixture
def record(store: Store, tmp_path: Path) -> WheelRecord:
    record, verified = Wheelmaker(folder=tmp_path / "built").make("my-demo", "1.0")
    store.publish(record, verified)
    store.close()
    return record


@pytest.fixture
async def client(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app({"": store, "/wheels": store}, store))
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers={"Accept-Encoding": "identity"}) as made:
        del made.headers["accept"]
        yield made


@pytest.mark.parametrize("prefix", ["", "/wheels"])
async def test_a_project_page_leads_to_the_bytes(client: httpx.AsyncClient, record: WheelRecord, prefix: str) -> None:
    page = await client.get(f"{prefix}/simple/my-demo/", headers={"Accept": JSON})
    assert page.status_code == 200
    assert page.headers["content-type"] == JSON
    (entry,) = page.json()["files"]
    file = await client.get(urljoin(str(page.url), entry["url"]))
    assert file.status_code == 200
    assert hashlib.sha256(file.content).hexdigest() == entry["hashes"]["sha256"] == record.sha256
    assert file.headers["content-length"] == str(entry["size"])
    assert "immutable" in file.headers["cache-control"]
    assert "content-encoding" not in file.headers
    metadata = await client.get(urljoin(str(page.url), entry["url"] + ".metadata"))
    assert hashlib.sha256(metadata.content).hexdigest() == entry["core-metadata"]["sha256"]


async def test_the_root_lists_projects_as_they_come(
    client: httpx.AsyncClient, record: WheelRecord, store: Store, tmp_path: Path
) -> None:
    first = await client.get("/simple/", headers={"Accept": JSON})
    assert first.json()["projects"] == [{"name": "my-demo"}]
    store.publish(*Wheelmaker(folder=tmp_path / "built").make("another", "1.0"))
    store.close()
    second = await client.get("/simple/", headers={"Accept": JSON, "If-None-Match": first.headers["etag"]})
    assert second.json()["projects"] == [{"name": "another"}, {"name": "my-demo"}]


async def test_an_empty_farm_has_an_empty_list(client: httpx.AsyncClient) -> None:
    assert (await client.get("/simple/", headers={"Accept": JSON})).json()["projects"] == []
    assert (await client.get("/health")).json() == {"status": "ok"}
    assert (await client.get("/ready")).json() == {"status": "ok", "serial": "0"}


async def test_every_representation_has_its_type_and_its_own_etag(
    client: httpx.AsyncClient, record: WheelRecord
) -> None:
    etags = set()
    for accept, sent in ((JSON, JSON), (HTML, HTML), ("text/html", "text/html; charset=utf-8")):
        for coding in ("identity", "gzip"):
            page = await client.get("/simple/my-demo/", headers={"Accept": accept, "Accept-Encoding": coding})
            assert page.headers["content-type"] == sent
            assert page.headers.get("content-encoding", "identity") == coding
            assert page.headers["vary"] == "Accept, Accept-Encoding"
            assert page.headers["cache-control"] == "no-cache"
            assert b"my_demo-1.0-py3-none-any.whl" in page.content
            etags.add(page.headers["etag"])
    assert len(etags) == 6
    assert all(tag.startswith('"') for tag in etags)


async def test_gzip_is_sent_as_it_was_stored(client: httpx.AsyncClient, record: WheelRecord) -> None:
    async with client.stream("GET", "/simple/my-demo/", headers={"Accept-Encoding": "gzip"}) as page:
        raw = b"".join([chunk async for chunk in page.aiter_raw()])
    assert page.headers["content-length"] == str(len(raw))
    assert b"my_demo" in gzip.decompress(raw)


@pytest.mark.parametrize("path", ["/simple/my-demo/", "/simple/"])
async def test_a_304_has_no_type(client: httpx.AsyncClient, record: WheelRecord, path: str) -> None:
    first = await client.get(path)
    again = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert "content-type" not in again.headers
    assert (again.headers["etag"], again.headers["vary"]) == (first.headers["etag"], first.headers["vary"])


async def test_a_new_wheel_is_on_the_next_page(
    client: httpx.AsyncClient, record: WheelRecord, store: Store, tmp_path: Path
) -> None:
    first = await client.get("/simple/my-demo/")
    other = Store(tmp_path / "store", render_project, FakeClock())
    other.publish(*Wheelmaker(folder=tmp_path / "built").make("my-demo", "2.0"))
    other.close()
    second = await client.get("/simple/my-demo/", headers={"If-None-Match": first.headers["etag"]})
    assert second.status_code == 200
    assert "my_demo-2.0" in second.text


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ("/simple", "/simple/"),
        ("/simple/my-demo", "/simple/my-demo/"),
        ("/simple/My_Demo", "/simple/my-demo/"),
        ("/simple/My.Demo/", "/simple/my-demo/"),
        ("/wheels/simple/MY--DEMO/", "/wheels/simple/my-demo/"),
        ("/simple/My_Demo/?format=x", "/simple/my-demo/?format=x"),
    ],
)
async def test_redirects_are_relative_and_permanent(
    client: httpx.AsyncClient, record: WheelRecord, path: str, to: str
) -> None:
    answer = await client.get(path)
    assert answer.status_code == 301
    assert "://" not in answer.headers["location"]
    assert urljoin(BASE + path, answer.headers["location"]) == BASE + to


@pytest.mark.parametrize(
    "path",
    [
        "/simple/unknown/", "/simple/-/", "/simple/.hidden", "/simple/%2e%2e/", "/simple/a%2fb/", "/simple/..%2f..%2fetc/",
        "/nothing", "/health/", "/simple//x", "/files/", "/files/aa/bb/x.whl",
        f"/files/aa/{'a' * 62}/demo-1.0-py3-none-any.whl", f"/files/aa/{'a' * 62}/demo-1.0-py3-none-any.whl.metadata",
        f"/files/aaa/{'a' * 61}/demo-1.0-py3-none-any.whl", "/files/../../catalogue.sqlite",
        "/files/%2e%2e/%2e%2e/catalogue.sqlite", f"/simple/{'x' * 3000}/",
    ],
)  # fmt: skip
async def test_what_is_unknown_is_404(client: httpx.AsyncClient, record: WheelRecord, path: str) -> None:
    answer = await client.get(path, headers={"Accept": JSON})
    assert answer.status_code == 404
    assert answer.json()["status"] == 404
    assert (await client.get(path)).headers["content-type"].startswith("text/plain")


async def test_blobs_that_are_no_published_wheel_are_not_served(
    client: httpx.AsyncClient, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(b"sources")
    digest = store.keep(tmp_path / "secret")
    answer = await client.get(f"/files/{digest[:2]}/{digest[2:]}/demo-1.0-py3-none-any.whl")
    assert answer.status_code == 404


async def test_a_file_that_was_removed_is_gone_and_says_why(store: Store, record: WheelRecord) -> None:
    reasons = {record.sha256: "no lock names it", "a" * 64: "no lock names it"}
    app = create_app({"": store}, store, Options(removed=reasons.get))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
        gone = await client.get(f"/files/aa/{'a' * 62}/demo-1.0-py3-none-any.whl")
        assert (gone.status_code, "no lock names it" in gone.text) == (410, True)
        assert (await client.get(f"/files/bb/{'b' * 62}/demo-1.0-py3-none-any.whl")).status_code == 404
        there = f"/files/{record.sha256[:2]}/{record.sha256[2:]}/{record.filename}"
        assert (await client.get(there)).status_code == 200


async def test_pages_say_how_long_they_hold_as_configured(store: Store, record: WheelRecord) -> None:
    app = create_app({"": store}, store, Options(cache_control="max-age=60"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
        assert (await client.get("/simple/my-demo/")).headers["cache-control"] == "max-age=60"


async def test_nothing_acceptable_is_406_and_writing_is_405(client: httpx.AsyncClient, record: WheelRecord) -> None:
    assert (await client.get("/simple/my-demo/", headers={"Accept": "application/json"})).status_code == 406
    assert (await client.get("/simple/", params={"format": "xml"})).status_code == 406
    assert (await client.get("/simple/my-demo/", params={"format": JSON})).headers["content-type"] == JSON
    for method in ("POST", "PUT", "DELETE"):
        answer = await client.request(method, "/simple/my-demo/")
        assert answer.status_code == 405
        assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize(
    ("header", "status", "part"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=10-", 206, slice(10, None)),
        ("bytes=-22", 206, slice(-22, None)),
        ("bytes=-999999", 206, slice(None)),
        ("bytes=5-999999", 206, slice(5, None)),
        ("bytes=999999-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=0-0", 206, slice(0, 1)),
        ("BYTES= 3-5 ", 206, slice(3, 6)),
    ],
)
async def test_ranges(
    client: httpx.AsyncClient, record: WheelRecord, header: str, status: int, part: slice | None
) -> None:
    url = f"/files/{record.sha256[:2]}/{record.sha256[2:]}/{record.filename}"
    whole = await client.get(url)
    assert whole.headers["accept-ranges"] == "bytes"
    answer = await client.get(url, headers={"Range": header})
    assert answer.status_code == status
    assert answer.headers["content-range"].endswith(f"/{record.size}")
    if part is not None:
        assert answer.content == whole.content[part]
        assert answer.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize(
    "header",
    [
        "bytes=0-0,2-3", "bytes=" + ",".join(["0-"] * 1000), "bytes=5-3", "bytes=-", "bytes=", "bytes", "bytes=a-b", "bytes=1-x",
        "lines=0-5", "bytes=0x1-0x5", "bytes=--5", "bytes=5", "bytes=" + "9" * 30 + "-", "bytes=٣-٤", "",
    ],
)  # fmt: skip
async def test_a_range_that_is_malformed_or_many_is_ignored(
    client: httpx.AsyncClient, record: WheelRecord, header: str
) -> None:
    url = f"/files/{record.sha256[:2]}/{record.sha256[2:]}/{record.filename}"
    answer = await client.get(url, headers={"Range": header.encode()})
    assert (answer.status_code, len(answer.content)) == (200, record.size)
    assert "content-range" not in answer.headers


async def test_if_range_guards_a_resumed_download(client: httpx.AsyncClient, record: WheelRecord) -> None:
    url = f"/files/{record.sha256[:2]}/{record.sha256[2:]}/{record.filename}"
    etag = (await client.get(url)).headers["etag"]
    assert (await client.get(url, headers={"Range": "bytes=9-", "If-Range": etag})).status_code == 206
    for other in ('"other"', f"W/{etag}", "Sun, 22 Nov 2026 12:00:00 GMT", "nonsense"):
        changed = await client.get(url, headers={"Range": "bytes=9-", "If-Range": other})
        assert changed.status_code == 200
        assert len(changed.content) == record.size
    head = await client.head(url, headers={"Range": "bytes=9-"})
    assert (head.status_code, head.headers["content-length"]) == (200, str(record.size))
    assert (await client.get(url, headers={"If-None-Match": etag})).status_code == 304


async def test_head_has_the_headers_of_get(client: httpx.AsyncClient, record: WheelRecord) -> None:
    for path in (
        "/simple/my-demo/",
        f"/files/{record.sha256[:2]}/{record.sha256[2:]}/{record.filename}",
        "/",
        "/health",
    ):
        head, get = await client.head(path), await client.get(path)
        assert head.status_code == 200
        assert dict(head.headers) == dict(get.headers)


async def test_the_front_page_tells_how_to_use_it(client: httpx.AsyncClient) -> None:
    page = (await client.get("/", headers={"Host": 'wheels.invalid:8080"><script>'})).text
    assert "<script>" not in page
    page = (await client.get("/", headers={"Host": "wheels.invalid:8080"})).text
    assert "--index-url http://wheels.invalid:8080/simple/" in page
    assert "--extra-index-url http://wheels.invalid:8080/wheels/simple/" in page
    assert "--trusted-host wheels.invalid:8080" in page
    assert "--trusted-host" not in (await client.get("/", headers={"Host": "localhost:8080"})).text


async def test_links_hold_below_a_prefix(store: Store, record: WheelRecord) -> None:
    transport = httpx.ASGITransport(create_app({"": store}, store), root_path="/farm")
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        assert f"{BASE}/farm/simple/" in (await client.get("/farm/")).text
        assert (await client.get("/farm/simple/my-demo/")).status_code == 200
        moved = await client.get("/farm/simple/My_Demo")
        assert urljoin(f"{BASE}/farm/simple/My_Demo", moved.headers["location"]) == f"{BASE}/farm/simple/my-demo/"


async def test_trouble_is_logged_and_never_shown(
    client: httpx.AsyncClient, record: WheelRecord, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    serial, page = tmp_path / "store" / "serial", tmp_path / "store" / "pages" / "my-demo.page"
    for path in (serial, page):
        path.unlink()
        path.mkdir()
    with caplog.at_level(logging.ERROR, "farm.serve"):
        answer = await client.get("/simple/my-demo/")
    assert answer.status_code == 500
    assert str(tmp_path) not in answer.text
    assert "GET /simple/my-demo/ failed" in caplog.text
    ready = await client.get("/ready")
    assert (ready.status_code, ready.json()["status"]) == (503, "error")
    assert str(tmp_path) not in ready.text
    assert (await client.get("/health")).status_code == 200
