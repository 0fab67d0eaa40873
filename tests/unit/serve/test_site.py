"""The pages for people, as a browser without scripts gets them: of a farm with much on it, and text by strangers."""

from __future__ import annotations

import asyncio
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from farm.adapters.store import Store
from farm.errors import StoreError
from farm.serve.api import api_routes
from farm.serve.app import Options, create_app
from farm.serve.simple import render_project
from farm.serve.tail import Tails
from tests.fakes.busy_farm import EVIL, FAILED, LOG_LINES, MARK, RUNNING, BusyFarm, follow_file
from tests.fakes.overview import FakeOverview, night_row
from tests.fakes.store import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio
BASE = "http://farm.invalid"
PAGES = (
    "/", "/matrix", "/matrix?search=cf&state=failed&target=cp312-musllinux_1_2_x86_64&watch=web", "/project/cffi", "/builds",
    "/builds?state=failed&limit=3", "/queue", "/nights", f"/night/{night_row().id}", "/misses?limit=5&offset=5", "/sets", "/set/web",
    f"/build/{FAILED.id}", f"/build/{FAILED.id}?log=whole", f"/build/{RUNNING.id}",
)  # fmt: skip
_VOID = frozenset({"meta", "link", "input", "br", "img"})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Strict(HTMLParser):
    """Reads a page and objects to what browsers would mend: tags that are not closed, ids twice, attributes twice."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.faults: list[str] = []
        self.ids: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.faults.append(f"an attribute twice: {self.get_starttag_text()}")
        self.tags.append((tag, dict(attrs)))
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()} closes nothing")

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Strict:
    parsed = Strict()
    parsed.feed(page)
    parsed.close()
    return parsed


@pytest.fixture
def busy(tmp_path: Path) -> BusyFarm:
    return BusyFarm(tmp_path)


def serve(busy: FakeOverview, tmp_path: Path, prefix: str = "") -> httpx.ASGITransport:
    store = Store(tmp_path / "store", render_project, FakeClock())

    async def follow(identity: str) -> AsyncIterator[bytes]:
        over = asyncio.Event()
        over.set()
        async for piece in follow_file(busy.logs[identity], over):
            yield piece

    options = Options(overview=busy, follow=follow, prefix=prefix, api=api_routes(busy, Tails(busy)))
    app = create_app({"": store, "/wheels": store}, store, options)
    return httpx.ASGITransport(app)


@pytest.fixture
async def client(busy: BusyFarm, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=serve(busy, tmp_path), base_url=BASE) as made:
        yield made


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_well_formed_and_nothing_of_a_stranger_s_is_markup(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    page = read(answer.text)
    assert (page.faults, page.open) == ([], [])
    assert len(page.ids) == len(set(page.ids))
    assert {tag for tag, _ in page.tags} & {"img", "b" if path.startswith("/build") else "img"} == set()
    scripts = [attributes for tag, attributes in page.tags if tag == "script"]
    assert len(scripts) == 1
    assert (scripts[0].get("src") or "").partition("static/")[2].startswith("farm.")
    # No inline script or style: the policy forbids them.
    assert [name for _, attributes in page.tags for name in attributes if name == "style" or name.startswith("on")] == []
    assert not any(hidden in answer.text for hidden in ("\u202e", "\x1b", "\x00"))
    assert [tag for tag, _ in page.tags if tag in {"main", "h1"}].count("h1") == 1


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("prefix", ["", "/farm"])
async def test_links_are_relative_and_lead_to_pages(busy: BusyFarm, tmp_path: Path, path: str, prefix: str) -> None:
    async with httpx.AsyncClient(transport=serve(busy, tmp_path, prefix), base_url=BASE) as client:
        page = read((await client.get(prefix + path)).text)
        links = {value for _, attributes in page.tags for name in ("href", "src", "action") if (value := attributes.get(name))}
        assert [link for link in links if urlsplit(link).scheme or link.startswith("/")] == []
        reached = {urljoin(f"{BASE}{prefix}{path}", link).partition("#")[0] for link in links}
        assert [url for url in reached if not url.startswith(f"{BASE}{prefix}/")] == []
        ours = [url for url in reached if not any(part in url for part in ("/api/v1/", "/simple/", "/files/"))]
        few = sorted(ours, key=lambda url: ("/build/" in url, "/project/" in url, url))[:25]
        # What the fake knows nothing of is 404 by a page that says so; never a route that is not there.
        statuses = {url: (await client.get(url)) for url in few}
        lost = [url for url, answer in statuses.items() if answer.status_code != 200 and "<h1>No such" not in answer.text]
        assert lost == []
        fragments = {link.partition("#")[2] for link in links if link.startswith("#")}
        assert fragments <= set(page.ids)


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_names_its_json(client: httpx.AsyncClient, path: str) -> None:
    page = read((await client.get(path)).text)
    twins = [attributes["href"] for tag, attributes in page.tags if tag == "link" and attributes.get("rel") == "alternate"]
    shown = [attributes.get("href") for tag, attributes in page.tags if tag == "a"]
    assert len(twins) == 1
    assert twins[0] in shown
    twin = await client.get(urljoin(BASE + path, twins[0] or ""))
    assert twin.status_code == 200
    assert isinstance(twin.json(), dict)


async def test_headers_forbid_what_pages_do_not_need(client: httpx.AsyncClient) -> None:
    answer = await client.get("/matrix")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    again = await client.get("/matrix", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "content-type" not in again.headers


async def test_the_style_sheet_is_kept_for_ever_under_a_name_of_its_bytes(client: httpx.AsyncClient) -> None:
    page = read((await client.get("/")).text)
    href = next(attributes["href"] for tag, attributes in page.tags if attributes.get("rel") == "stylesheet")
    answer = await client.get(urljoin(BASE + "/", href or ""))
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    assert (await client.get("/static/farm.0123456789abcdef.css")).status_code == 404
    assert (await client.get("/static/..%2Fsite.py")).status_code == 404


async def test_nothing_on_a_page_can_change_state(client: httpx.AsyncClient) -> None:
    for path in PAGES:
        page = read((await client.get(path)).text)
        assert {attributes.get("method") for tag, attributes in page.tags if tag == "form"} <= {"get"}
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert (await client.request(method, path)).status_code == 405


async def test_a_long_log_shows_its_head_its_end_and_the_line_that_matters(client: httpx.AsyncClient) -> None:
    page = (await client.get(f"/build/{FAILED.id}")).text
    assert f'<li id="L{MARK}" class="mark">' in page
    assert f'href="#L{MARK}"' in page
    assert '<li id="L1">' in page
    assert f'<li id="L{LOG_LINES}">' in page
    assert '<li id="L800">' not in page
    assert "lines are not shown" in page
    assert '<span class="b c2">good</span> <span class="c1">bad</span> bright done' in page
    assert "100% done" in page
    assert " 50%" not in page
    assert "the line goes on" in page
    assert "x" * 2001 not in page
    whole = (await client.get(f"/build/{FAILED.id}?log=whole")).text
    assert all(f'<li id="L{number}"' in whole for number in (1, 800, MARK, LOG_LINES))


async def test_a_log_that_is_gone_is_told(client: httpx.AsyncClient, busy: BusyFarm) -> None:
    busy.logs[FAILED.id].unlink()
    assert "The log is gone" in (await client.get(f"/build/{FAILED.id}")).text


async def test_the_head_of_a_live_page_is_answered_at_once(client: httpx.AsyncClient) -> None:
    answer = await client.head(f"/build/{RUNNING.id}")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")


@pytest.mark.parametrize("path", ["/project/nothing", "/build/none", "/night/none", "/set/none", "/project/%3Cscript%3E"])
async def test_what_is_unknown_is_told_by_a_page(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert read(answer.text).faults == []
    assert "No such" in answer.text


async def test_other_spellings_lead_to_the_project(client: httpx.AsyncClient) -> None:
    moved = await client.get("/project/CFFI")
    assert urljoin(f"{BASE}/project/CFFI", moved.headers["location"]) == f"{BASE}/project/cffi"


@pytest.mark.parametrize(
    "query", ["limit=x&after=%00&state=nonsense", f"search={'x' * 5000}", "limit=٣&state=", f"search={EVIL[:40]}", "limit=0"]
)
async def test_a_query_that_cannot_be_read_shows_something(client: httpx.AsyncClient, query: str) -> None:
    for path in ("/matrix", "/builds", "/misses", "/sets"):
        assert (await client.get(f"{path}?{query}")).status_code == 200


async def test_pages_lead_through_all_rows(client: httpx.AsyncClient) -> None:
    url, seen = "/matrix?limit=60", 0
    for _ in range(10):
        page = read((await client.get(url)).text)
        seen += sum(1 for tag, attributes in page.tags if tag == "th" and attributes.get("scope") == "row") - 12
        following = [attributes["href"] for tag, attributes in page.tags if attributes.get("rel") == "next"]
        if not following:
            break
        url = "/" + (following[0] or "")
    assert seen == 220


async def test_a_catalogue_that_cannot_be_read_is_no_secret_and_no_traceback(tmp_path: Path, busy: BusyFarm) -> None:
    class Broken(FakeOverview):
        def queue(self) -> object:  # type: ignore[override]
            raise StoreError("/secret/place cannot be read", solution="mend it")

    async with httpx.AsyncClient(transport=serve(Broken(), tmp_path), base_url=BASE) as client:
        answer = await client.get("/queue")
    assert answer.status_code == 503
    assert "/secret/place" not in answer.text
