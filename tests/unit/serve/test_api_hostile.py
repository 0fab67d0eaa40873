"""The API and the pages against who means ill: ids, headers, other sites' browsers, and what a shared cache may keep."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from farm.adapters.tokens import Tokens
from farm.model.settings import Settings
from farm.model.target import parse_target
from farm.model.token import Token
from farm.serve.app import Options, create_app
from farm.serve.tail import Tails
from farm.wire.overview import make_api_routes
from farm.wire.tokens import make_access
from tests.fakes.overview_rows import NOW, T1, made

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.applications import Starlette

pytestmark = pytest.mark.anyio
BASE = "http://farm.invalid"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Server:
    """`token` of the scope that is asked for; `build` is an attempt with a log."""

    def __init__(self, app: Starlette, tokens: dict[str, str], build: str) -> None:
        self.app = app
        self.tokens = tokens
        self.build = build

    async def ask(self, method: str, path: str, **headers: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url=BASE) as client:
            return await client.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})


@contextmanager
def server(root: Path, read_access: str) -> Iterator[Server]:
    with made(root) as rows:
        rows.cell("demo", "1.0", T1, "failed")
        build = rows.attempt("demo", "1.0", T1, "failed")
        (root / "logs").mkdir(exist_ok=True)
        (root / f"logs/{build}.log").write_bytes(b"0123456789\n" * 500)
        (root / "secret.log").write_bytes(b"the secret\n")
        settings = Settings(store=root, targets=(parse_target(T1),), read_access=read_access)  # type: ignore[arg-type]
        kept = Tokens(root, rows.store.catalogue.database, rows.store.locks)
        tokens = {
            name: kept.create(Token(name=name, hash="", scope=scope, projects=(), created=NOW, expires=None))
            for name, scope in (("reader", "read"), ("other", "read"), ("builder", "build"))
        }  # type: ignore[arg-type]
        access, overview = make_access(settings), rows.overview
        tails = Tails(overview)
        routes = make_api_routes(settings, rows.store, access, overview, tails)
        options = Options(access=access, api=routes, overview=overview, follow=tails.follow)
        yield Server(create_app({"": rows.store}, rows.store, options), tokens, build)


@pytest.fixture
def public(tmp_path: Path) -> Iterator[Server]:
    with server(tmp_path, "open") as found:
        yield found


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Server]:
    with server(tmp_path, "token") as found:
        yield found


@pytest.mark.parametrize(
    "identity", ["..", "%2e%2e", "..%2f..%2fsecret", "..%2Fsecret.log", "/etc/passwd", "a%00b", "x" * 400, "%0d%0aX-A:%20b"]
)
async def test_an_id_is_looked_up_and_never_a_path(public: Server, identity: str) -> None:
    for path in (f"/api/v1/builds/{identity}/log", f"/api/v1/builds/{identity}", f"/build/{identity}", f"/api/v1/sets/{identity}"):
        answer = await public.ask("GET", path)
        assert answer.status_code in {404, 200}, path
        assert b"secret\n" not in answer.content
        assert "x-a" not in answer.headers
        if answer.status_code == 200:
            # Dots were taken out of the path before it was sent.
            assert "log" not in str(answer.url)


@pytest.mark.parametrize("host", ["[", "[::1", "a b", "farm.invalid:port", "<script>", "x" * 5000])
async def test_a_host_header_that_is_none_breaks_nothing(public: Server, host: str) -> None:
    for path in ("/", "/api/v1/packages/demo", "/api/v1/matrix", "/project/demo"):
        answer = await public.ask("GET", path, host=host)
        assert answer.status_code in {200, 400}, (path, answer.status_code)
        assert b"<script>" not in answer.content or answer.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded"])
async def test_another_sites_browser_changes_nothing_and_reads_nothing(public: Server, kind: str) -> None:
    for credentials in ({}, {"cookie": "token=" + public.tokens["builder"]}, {"authorization": "Basic " + public.tokens["builder"]}):
        answer = await public.ask("POST", "/api/v1/sets", origin="http://evil.example", content_type=kind, **credentials)
        assert answer.status_code == 401
    asked = await public.ask("OPTIONS", "/api/v1/sets", origin="http://evil.example", access_control_request_method="POST")
    assert asked.status_code == 405
    for answer in (asked, await public.ask("GET", "/api/v1/matrix", origin="http://evil.example")):
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "path",
    [
        "/", "/matrix", "/project/demo", "/project/none", "/nights", "/api/v1/matrix", "/api/v1/openapi.json", "/api/v1/builds/{}/log",
        "/build/{}?log=whole",
    ],
)
async def test_no_shared_cache_keeps_what_a_token_is_for(private: Server, path: str) -> None:
    path = path.format(private.build)
    refused = await private.ask("GET", path)
    assert refused.status_code == 401
    assert b"demo" not in refused.content
    answers = [await private.ask("GET", path, authorization=f"Bearer {private.tokens[name]}") for name in ("reader", "other")]
    for answer in answers:
        control = answer.headers["cache-control"]
        assert "private" in control or "no-store" in control
    etag = answers[0].headers.get("etag")
    if etag:
        assert answers[1].headers["etag"] == etag
        again = await private.ask("GET", path, authorization=f"Bearer {private.tokens['other']}", if_none_match=etag)
        assert (again.status_code, again.content) == (304, b"")
        assert (await private.ask("GET", path, if_none_match=etag)).status_code == 401
        assert (await private.ask("GET", path, authorization="Bearer wrong", if_none_match=etag)).status_code == 401


async def test_gzip_and_plain_have_tags_of_their_own(public: Server) -> None:
    for path in ("/matrix", "/api/v1/openapi.json"):
        zipped, plain = [await public.ask("GET", path, accept_encoding=coding) for coding in ("gzip", "identity")]
        assert zipped.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert zipped.headers["etag"] != plain.headers["etag"]
        assert zipped.content == plain.content
        head = await public.ask("HEAD", path, accept_encoding="gzip")
        assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", zipped.headers["etag"])


async def test_a_range_of_a_log_that_has_grown_since_is_the_whole(public: Server) -> None:
    path = f"/api/v1/builds/{public.build}/log"
    whole = await public.ask("GET", path)
    part = await public.ask("GET", path, range="bytes=0-3", if_range=whole.headers["etag"])
    assert (part.status_code, part.content) == (206, b"0123")
    other = await public.ask("GET", path, range="bytes=0-3", if_range='"another"')
    assert (other.status_code, other.content) == (200, whole.content)
    assert whole.headers["content-security-policy"] == "default-src 'none'; sandbox"


async def test_as_many_filters_as_a_url_holds_cost_no_more_than_fifty(public: Server) -> None:
    query = "&".join(f"target=t{number}" for number in range(3_000))
    assert (await public.ask("GET", f"/api/v1/matrix?{query}")).status_code == 400
    page = await public.ask("GET", f"/matrix?state=failed&{query}")
    assert page.status_code == 200
    assert "t49" in page.text
    assert (await public.ask("GET", "/api/v1/matrix?search=" + "%25" * 301)).status_code == 400
    assert (await public.ask("GET", "/api/v1/matrix?search=_")).json()["rows"] == []
