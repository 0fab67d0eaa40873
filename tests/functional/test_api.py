"""The API over a real catalogue and a real server: what it tells, what it refuses, what it changes, logs that grow."""

from __future__ import annotations

import json
import shlex
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from packaging.utils import canonicalize_name
from schemathesis.specs.openapi.checks import positive_data_acceptance

from farm.adapters.clock import SystemClock
from farm.adapters.store import Store
from farm.adapters.tokens import Tokens
from farm.model.attempt import Attempt
from farm.model.package import Version
from farm.model.settings import Settings
from farm.model.target import parse_target
from farm.model.token import Token
from farm.serve.app import Options, create_app
from farm.serve.simple import render_project
from farm.serve.tail import Tails
from farm.wire.overview import make_api_routes, make_overview
from farm.wire.tokens import make_access
from tests.fakes.serving import serving
from tests.fakes.store import Wheelmaker

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET = "cp311-manylinux_2_36_x86_64"
NOW = datetime.now(UTC)
RUN = "20260102-120000-aaaaaa"


class Site:
    """A store with a wheel, a failure and a build under way, and tokens; `url` is the server's."""

    def __init__(self, root: Path, built: Path) -> None:
        self.root = root
        self.store = Store(root, render_project, SystemClock())
        record, verified = Wheelmaker(folder=built).make("demo", "1.0")
        self.wheel = replace(record, attempt="20260102-120001-aaaaaa", targets=(TARGET,))
        self.store.publish(self.wheel, verified)
        for number, name, state in (("1", "demo", "published"), ("2", "broken", "failed"), ("3", "slow", "building")):
            self.store.catalogue.begin(self.attempt(number, name, state))
        tokens = Tokens(root, self.store.catalogue.database, self.store.locks)
        self.tokens = {
            scope: tokens.create(Token(name=scope, hash="", scope=scope, projects=(), created=NOW, expires=None))
            for scope in ("read", "upload", "build")
        }
        self.url = ""

    def attempt(self, number: str, name: str, state: str) -> Attempt:
        identity = f"20260102-12000{number}-aaaaaa"
        log = f"logs/20260102/{identity}.log"
        (self.root / log).parent.mkdir(parents=True, exist_ok=True)
        (self.root / log).write_bytes(b"first line\n\x1b[31mred\x1b[0m \xff\r100%\n")
        return Attempt(
            id=identity, run=RUN, name=canonicalize_name(name), version=Version("1.0"), target=TARGET, state=state, started=NOW,
            ended=None if state == "building" else NOW, log=log, cause="missing-header" if state == "failed" else "",
            summary="ffi.h is missing" if state == "failed" else "",
        )  # type: ignore[arg-type]  # fmt: skip

    def log(self, number: int) -> Path:
        return self.root / f"logs/20260102/20260102-12000{number}-aaaaaa.log"


@contextmanager
def running(root: Path, built: Path, **changes: str) -> Iterator[Site]:
    site = Site(root, built)
    configured = Settings(store=root, targets=(parse_target(TARGET),), **changes)  # type: ignore[arg-type]
    access = make_access(configured)
    shown = make_overview(configured, site.store)
    routes = make_api_routes(configured, site.store, access, shown, Tails(shown))
    app = create_app({"": site.store}, site.store, Options(access=access, api=routes))
    with serving(app) as server:
        site.url = f"{server.url}/api/v1"
        yield site
    site.store.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running(tmp_path / "store", tmp_path / "built") as found:
        yield found


def test_wheels_and_attempts_are_shown_where_nothing_was_surveyed(site: Site) -> None:
    found = httpx.get(f"{site.url}/matrix").json()
    states = {row["name"]: row["cells"][found["targets"].index(TARGET)]["state"] for row in found["rows"]}
    # The run of `slow` is held by nobody: that build was stopped.
    assert states == {"broken": "failed", "demo": "farm-wheel", "slow": "cancelled"}
    with site.store.locks.run(RUN):
        found = httpx.get(f"{site.url}/matrix?state=building").json()
        assert [row["name"] for row in found["rows"]] == ["slow"]
        assert [worker["build"]["name"] for worker in httpx.get(f"{site.url}/queue").json()["workers"]] == ["slow"]


def test_pages_follow_each_other_and_repeat_nothing(site: Site) -> None:
    for path, member in (("matrix", "rows"), ("builds", "builds"), ("gaps", "gaps")):
        whole = httpx.get(f"{site.url}/{path}").json()[member]
        found, after = [], ""
        while True:
            page = httpx.get(f"{site.url}/{path}", params={"limit": 1, "after": after}).json()
            found += page[member]
            after = page["next"]
            if not after:
                break
        assert found == whole
        assert len(found) >= 2


def test_a_package_has_its_wheels_its_builds_and_lines_to_copy(site: Site) -> None:
    found = httpx.get(f"{site.url}/packages/DEMO").json()
    (version,) = found["package"]["versions"]
    assert [wheel["filename"] for wheel in version["wheels"]] == [site.wheel.filename]
    base = site.url.removesuffix("/api/v1")
    assert httpx.get(f"{base}/{version['wheels'][0]['url']}").status_code == 200
    assert any(line["text"].startswith(f"pip install --index-url {base}/simple/") for line in found["client_lines"])


def test_a_failed_build_tells_why(site: Site) -> None:
    found = httpx.get(f"{site.url}/builds/20260102-120002-aaaaaa").json()
    assert (found["build"]["state"], found["diagnosis"]["summary"]) == ("failed", "ffi.h is missing")
    assert found["log_size"] == site.log(2).stat().st_size


def test_an_answer_that_the_client_has_is_not_sent_again(site: Site) -> None:
    first = httpx.get(f"{site.url}/builds")
    again = httpx.get(f"{site.url}/builds", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = httpx.head(f"{site.url}/builds")
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", first.headers["etag"])


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/matrix?limit=0", {}, 400),
        ("GET", "/matrix?limit=10&limit=20", {}, 400),
        ("GET", "/matrix?state=fine", {}, 400),
        ("GET", "/matrix?colour=red", {}, 400),
        ("GET", "/builds/none", {}, 404),
        ("GET", "/nowhere", {}, 404),
        ("DELETE", "/matrix", {}, 405),
        ("GET", "/matrix", {"Accept": "image/png"}, 406),
        ("GET", "/builds/20260102-120002-aaaaaa/log", {"Range": "bytes=9999-"}, 416),
        ("POST", "/sets", {}, 401),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(site: Site, method: str, path: str, headers: dict[str, str], status: int) -> None:
    found = httpx.request(method, site.url + path, headers=headers)
    assert (found.status_code, found.headers["content-type"]) == (status, "application/problem+json")
    told = found.json()
    assert told["status"] == status
    assert told["detail"]


def test_only_a_bearer_token_of_the_scope_registers_and_removes_sets(site: Site) -> None:
    new = {"name": "shop", "sources": ["https://git.example/shop/requirements.txt"], "targets": [TARGET]}

    def post(content: object, **headers: str) -> httpx.Response:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return httpx.post(f"{site.url}/sets", content=body, headers={"Content-Type": "application/json"} | headers)

    assert httpx.post(f"{site.url}/sets", json=new, auth=("__token__", site.tokens["build"])).status_code == 401
    assert post(new, Authorization=f"Bearer {site.tokens['upload']}").status_code == 403
    bearer = {"Authorization": f"Bearer {site.tokens['build']}"}
    assert post(new | {"sources": ["/etc/passwd"]}, **bearer).status_code == 400
    assert post(new | {"targets": ["cp311-nowhere"]}, **bearer).status_code == 400
    assert post(b"x" * 70_000, **bearer).status_code == 413
    assert post(new, **bearer | {"Content-Type": "text/plain"}).status_code == 415
    assert httpx.get(f"{site.url}/sets").json()["sets"] == []
    assert post(new, **bearer).status_code == 201
    assert post(new, **bearer).status_code == 409
    (found,) = httpx.get(f"{site.url}/sets").json()["sets"]
    assert (found["name"], found["sources"], found["targets"]) == ("shop", new["sources"], new["targets"])
    assert httpx.delete(f"{site.url}/sets/shop").status_code == 401
    assert httpx.delete(f"{site.url}/sets/shop", headers=bearer).status_code == 204
    assert httpx.delete(f"{site.url}/sets/shop", headers=bearer).status_code == 404


def test_reading_takes_a_token_where_the_index_does(tmp_path: Path) -> None:
    with running(tmp_path / "store", tmp_path / "built", read_access="token") as site:
        refused = httpx.get(f"{site.url}/matrix")
        assert (refused.status_code, refused.headers["content-type"]) == (401, "application/problem+json")
        allowed = httpx.get(f"{site.url}/matrix", headers={"Authorization": f"Bearer {site.tokens['read']}"})
        assert (allowed.status_code, allowed.headers["cache-control"]) == (200, "private, no-cache")


def test_a_log_is_given_as_it_was_written_or_in_part(site: Site) -> None:
    url, content = f"{site.url}/builds/20260102-120002-aaaaaa/log", site.log(2).read_bytes()
    assert httpx.get(url).content == content
    assert httpx.get(url, params={"offset": 6}).content == content[6:]
    part = httpx.get(url, headers={"Range": "bytes=6-9"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, content[6:10], f"bytes 6-9/{len(content)}")
    site.log(2).unlink()
    assert httpx.get(url).status_code == 404


def test_many_readers_follow_one_log_to_the_end_of_its_build(site: Site) -> None:
    url, path = f"{site.url}/builds/20260102-120003-aaaaaa/log?follow=1", site.log(3)
    lines = [f"line {number} {'x' * 500}\n".encode() for number in range(400)]
    got: list[bytes] = []

    def read() -> None:
        got.append(httpx.get(url, timeout=60).content)

    readers = [threading.Thread(target=read) for _ in range(10)]
    with site.store.locks.run(RUN):
        for reader in readers:
            reader.start()
        with path.open("ab", buffering=0) as log:
            for line in lines:
                log.write(line)
                time.sleep(0.002)
    for reader in readers:
        reader.join(60)
    assert [len(content) for content in got] == [path.stat().st_size] * 10
    assert set(got) == {path.read_bytes()}


def test_a_browser_goes_on_where_it_was(site: Site) -> None:
    url, path = f"{site.url}/builds/20260102-120003-aaaaaa/log", site.log(3)
    content = path.read_bytes()
    events = httpx.get(url, headers={"Accept": "text/event-stream", "Last-Event-ID": "11"}).text.split("\n\n")
    first, last = events[0].split("\n"), events[-2].split("\n")
    assert first[0] == f"id: {len(content)}"
    assert json.loads(first[1].removeprefix("data: "))["text"] == content[11:].decode("utf-8", "replace")
    assert last[0] == "event: end"


def test_a_log_that_is_taken_away_ends_the_stream(site: Site) -> None:
    path = site.log(3)
    with site.store.locks.run(RUN), httpx.stream("GET", f"{site.url}/builds/20260102-120003-aaaaaa/log?follow=1", timeout=30) as stream:
        pieces = stream.iter_raw()
        assert next(pieces).startswith(b"first line\n")
        path.unlink()
        assert b"".join(pieces) == b""


def test_each_command_of_the_page_works(site: Site) -> None:
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    commands = [line for line in page.splitlines() if line.startswith("curl ")]
    assert len(commands) == 12
    for command in commands:
        url = site.url.removesuffix("/api/v1")
        line = command.replace("http://127.0.0.1:8417", url).replace("BUILD", "20260102-120002-aaaaaa")
        line = line.replace("TOKEN", site.tokens["build"])
        done = subprocess.run(shlex.split(line), capture_output=True, check=False, timeout=30)
        assert done.returncode == 0, (command, done.stderr)
        assert done.stdout or "DELETE" in command


def test_the_document_and_the_answers_agree_whatever_is_asked(site: Site) -> None:
    """Schemathesis: what the document allows, and what it does not, to each operation; every answer is one that it tells of."""
    schema = schemathesis.openapi.from_url(f"{site.url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= 17
    bearer = {"Authorization": f"Bearer {site.tokens['build']}"}
    for operation in operations:
        _fuzz(operation, schemathesis.GenerationMode.POSITIVE, bearer)
        # Of a path alone nothing can be wrong but the name.
        if list(operation.query) or list(operation.body):
            _fuzz(operation, schemathesis.GenerationMode.NEGATIVE, bearer)


def _fuzz(operation: schemathesis.APIOperation, mode: schemathesis.GenerationMode, headers: dict[str, str]) -> None:  # type: ignore[type-arg]
    @settings(
        max_examples=8, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate), database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        # What is a target's name takes more than a pattern.
        unsaid = [positive_data_acceptance] if operation.method.upper() == "POST" else []
        case.call_and_validate(headers=headers, timeout=30, excluded_checks=unsaid)

    ask()
