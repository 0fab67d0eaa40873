"""The views over a real store and a real upstream on the loopback interface: slow, down, lying, HTML only, yanking, quarantining."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from packaging.utils import canonicalize_name

from farm.adapters.page_cache import PageCache
from farm.adapters.pipconfig import IndexSettings
from farm.adapters.store import Store
from farm.adapters.upstream import Upstream
from farm.adapters.web import Web
from farm.errors import UpstreamError, UsageError
from farm.model.package import Digest
from farm.model.page import HTML, JSON
from farm.model.settings import Settings
from farm.model.target import parse_target
from farm.serve.simple import render_project
from farm.wire.views import make_views, upstream_settings
from tests.fakes.index_server import IndexServer
from tests.fakes.store import FakeClock, Wheelmaker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from farm.serve.views import Views

NAME = canonicalize_name("demo")
SDIST = ("demo-1.0.tar.gz", b"the sdist of demo 1.0")
WHEEL = "demo-1.0-py3-none-any.whl"
MINUTE = 60.0


@dataclass(kw_only=True)
class Site:
    """A farm before an upstream. `now` is what its clock says."""

    folder: Path
    index: IndexServer
    now: float = field(default_factory=time.time)
    opened: list[Views] = field(default_factory=list)

    def store(self) -> Store:
        return Store(self.folder / "store", render_project, FakeClock())

    def open(self, *, extra: tuple[str, ...] = (), url: str = "", ahead: float = 0.0, **settings: Any) -> Views:
        """Open the views as another process does; its clock may be `ahead`, in seconds."""
        chosen = Settings(
            store=self.folder / "store", targets=(parse_target("cp311-manylinux_2_36_x86_64"),), patience=0.3
        )
        pip = IndexSettings(url=url or self.index.url, extra_urls=extra, timeout=5.0)
        views = make_views(replace(chosen, **settings), self.store(), pip, lambda: self.now + ahead)
        self.opened.append(views)
        return views

    def publish(self, version: str = "1.0", *, sdist: bytes = SDIST[1], body: str = "", name: str = "demo") -> str:
        record, verified = Wheelmaker(folder=self.folder / "made").make(name, version, body)
        record = replace(record, sdist_sha256=Digest(hashlib.sha256(sdist).hexdigest()))
        store = self.store()
        store.publish(record, verified)
        store.close()
        return record.sha256

    def older(self, seconds: float = 10 * MINUTE) -> None:
        self.now += seconds


@pytest.fixture
def site(tmp_path: Path, index: IndexServer) -> Iterator[Site]:
    made = Site(folder=tmp_path, index=index)
    index.add(SDIST, upload_time="2020-01-02T03:04:05Z", requires_python=">=3.8")
    yield made
    for views in made.opened:
        views.close()


def document(views: Views, prefix: str = "", name: str = "demo") -> dict[str, Any]:
    source = views.strict(prefix.removeprefix("/strict/")) if prefix.startswith("/strict/") else views.sources[prefix]
    page = source.page(canonicalize_name(name), JSON, "identity")
    assert page is not None
    found: dict[str, Any] = json.loads(page.body)
    return found


def listed(views: Views, prefix: str = "", name: str = "demo") -> list[str]:
    return [file["filename"] for file in document(views, prefix, name)["files"]]


def eventually(what: Any, seconds: float = 5.0) -> None:
    limit = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.02)


def test_the_merged_page_has_both_and_the_farms_wheel_inherits(site: Site) -> None:
    site.publish()
    found = document(site.open())
    assert [file["filename"] for file in found["files"]] == [SDIST[0], WHEEL]
    ours = found["files"][1]
    assert (ours["upload-time"], ours["requires-python"]) == ("2020-01-02T03:04:05Z", ">=3.8")
    assert ours["url"].startswith("../../files/")
    assert found["files"][0]["url"].startswith("../../packages/")
    found = document(site.open(count_demand=False))
    assert found["files"][0]["url"] == f"{site.index.url.removesuffix('/simple')}/files/demo/{SDIST[0]}"


def test_an_sdist_that_clients_compile_is_linked_through_the_farm_and_leads_to_upstream(site: Site) -> None:
    site.index.add(("demo-2.0.tar.gz", b"the sdist of demo 2.0"))
    site.index.add(("demo-2.0-py3-none-any.whl", b"no wheel, but its name says what matters"))
    views = site.open()
    urls = {file["filename"]: file["url"] for file in document(views)["files"]}
    upstream = site.index.url.removesuffix("/simple")
    # Who has a wheel for every Python compiles nothing: locks keep upstream's URLs.
    assert urls["demo-2.0.tar.gz"].startswith(upstream)
    assert urls["demo-2.0-py3-none-any.whl"].startswith(upstream)
    path = urls[SDIST[0]].removeprefix("../../packages/")
    for opened in (views, site.open(count_demand=False)):
        found = opened.packages.find(path)
        assert found is not None
        assert found.redirect == f"{upstream}/files/demo/{SDIST[0]}"
        assert opened.packages.find(path.replace(SDIST[0], "demo-2.0-py3-none-any.whl")) is None


def test_each_representation_says_the_same_with_an_etag_of_its_own(site: Site) -> None:
    source = site.open().sources[""]
    pages = [source.page(NAME, kind, coding) for kind in (JSON, HTML) for coding in ("identity", "gzip")]  # type: ignore[arg-type]
    bodies = [page.body for page in pages if page is not None]
    assert len({page.etag for page in pages if page is not None}) == 4
    assert gzip.decompress(bodies[1]) == bodies[0]
    assert gzip.decompress(bodies[3]) == bodies[2]
    assert SDIST[0].encode() in bodies[2]


def test_a_wheel_that_another_process_publishes_is_seen_at_the_next_request(site: Site) -> None:
    views = site.open()
    source = views.sources[""]
    assert listed(views) == [SDIST[0]]
    before = source.stamp(NAME)
    assert before is not None
    assert source.stamp(NAME) == before
    site.publish()
    assert source.stamp(NAME) != before
    assert listed(views) == [SDIST[0], WHEEL]
    assert listed(views, "/wheels") == [WHEEL]
    assert site.index.asked("/simple/demo/") == 1


def test_a_wheel_is_in_no_view_before_it_is_published_whole(site: Site, tmp_path: Path) -> None:
    """Its row is durable first. Were that shown, kept answers would take it back until the page is there, too."""
    site.publish()
    store = site.store()
    store.catalogue.add_wheels([Wheelmaker(folder=tmp_path / "built").make("demo", "1.1")[0]])
    views = site.open()
    assert listed(views, "/wheels") == [WHEEL]
    assert listed(views) == [SDIST[0], WHEEL]
    store.recover()
    store.close()
    assert listed(views, "/wheels") == [WHEEL, "demo-1.1-py3-none-any.whl"]


def test_a_page_is_asked_for_again_when_it_is_old_and_not_before(site: Site) -> None:
    views = site.open()
    document(views)
    site.older(4 * MINUTE)
    assert views.sources[""].stamp(NAME) is not None
    document(views)
    assert site.index.asked("/simple/demo/") == 1
    site.older(2 * MINUTE)
    assert views.sources[""].stamp(NAME) is None
    site.index.add(("demo-1.1.tar.gz", b"newer"))
    assert listed(views) == [SDIST[0], "demo-1.1.tar.gz"]
    assert site.index.headers[-1]["If-None-Match"]
    site.older()
    document(views)
    assert site.index.asked("/simple/demo/") == 3


def test_another_process_uses_what_the_first_one_read(site: Site) -> None:
    document(site.open())
    other = site.open()
    assert listed(other) == [SDIST[0]]
    assert site.index.asked("/simple/demo/") == 1


def test_a_page_that_another_process_replaced_is_read_anew(site: Site) -> None:
    first = site.open()
    document(first)
    site.index.add(("demo-1.1.tar.gz", b"newer"))
    assert len(listed(site.open(ahead=10 * MINUTE))) == 2
    # For the first process its page is still fresh, but the bytes are gone.
    site.publish()
    assert listed(first) == [SDIST[0], "demo-1.1.tar.gz", WHEEL]


def test_readers_see_whole_pages_of_files_that_are_there_while_wheels_are_published(site: Site) -> None:
    views, store = site.open(), site.store()
    done, faults = threading.Event(), []

    def read() -> None:
        seen = 0
        while not done.is_set():
            for prefix in ("", "/wheels"):
                page = views.sources[prefix].page(NAME, JSON, "gzip")
                found = json.loads(gzip.decompress(page.body))["files"] if page is not None else []
                ours = [file for file in found if "_farm" in file]
                faults.extend(file["filename"] for file in ours if store.blob(file["hashes"]["sha256"]) is None)
                if prefix == "" and len(ours) < seen:
                    faults.append(f"{seen} wheels, then {len(ours)}")
                seen = max(seen, len(ours)) if prefix == "" else seen

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for number in range(1, 21):
            site.publish(f"{number}.0")
            assert len([name for name in listed(views) if name.endswith(".whl")]) == number
    finally:
        done.set()
        for thread in threads:
            thread.join()
        store.close()
    assert faults == []


def test_upstream_that_is_down_is_served_from_the_last_good_page(site: Site) -> None:
    site.publish()
    first = site.open()
    document(first)
    site.index.fail("/simple/", "503")
    site.older()
    for views in (first, site.open()):
        found = document(views)
        assert [file["filename"] for file in found["files"]] == [SDIST[0], WHEEL]
        assert found["_farm"]["upstream"]["stale"] is True
        assert found["_farm"]["upstream"]["read"].endswith("Z")
        assert views.sources[""].stamp(NAME) is None
    site.index.failures.clear()
    site.older(MINUTE)
    eventually(lambda: "_farm" not in document(first))


@pytest.mark.parametrize("how", ["html", "truncated", "reset", "500"])
def test_nonsense_does_not_replace_the_last_good_page(site: Site, how: Any) -> None:
    views = site.open()
    document(views)
    site.older()
    site.index.add(("demo-1.1.tar.gz", b"newer"))
    site.index.fail("/simple/demo/", how)
    assert listed(views) == [SDIST[0]]


def test_slow_upstream_costs_a_request_its_patience_and_no_more(site: Site) -> None:
    views = site.open()
    document(views)
    site.older()
    site.index.add(("demo-1.1.tar.gz", b"newer"))
    site.index.fail("/simple/demo/", "slow", 1)
    started = time.monotonic()
    assert listed(views) == [SDIST[0]]
    assert time.monotonic() - started < 1.2
    # "slow" hangs up in the end, so that it is asked once more.
    eventually(lambda: listed(views) == [SDIST[0], "demo-1.1.tar.gz"])


def test_never_seen_and_down_is_no_answer_rather_than_no_such_project(site: Site) -> None:
    site.publish()
    site.index.fail("/simple/", "503")
    views = site.open()
    with pytest.raises(UpstreamError, match="the page of demo"):
        views.sources[""].page(NAME, JSON, "identity")
    assert views.sources[""].stamp(NAME) is None
    assert listed(views, "/wheels") == [WHEEL]
    site.index.failures.clear()
    site.older(MINUTE)
    assert listed(views) == [SDIST[0], WHEEL]


def test_what_a_survey_has_read_is_better_than_no_answer(site: Site, tmp_path: Path) -> None:
    site.publish()
    site.index.projects["demo"][SDIST[0]].page["x-novelty"] = [1]
    pip = IndexSettings(url=site.index.url)
    cache = PageCache(tmp_path / "store/cache/pages", ttl=600.0, now=time.time)
    web = Web(pip)
    Upstream(web, cache, pip.urls).project(NAME)
    web.close()
    site.index.fail("/simple/", "503")
    views = site.open()
    found = document(views)
    assert [file["filename"] for file in found["files"]] == [SDIST[0], WHEEL]
    assert found["files"][0]["x-novelty"] == [1]
    assert found["_farm"]["upstream"]["stale"] is True
    site.index.failures.clear()
    site.older(MINUTE)
    eventually(lambda: "_farm" not in document(views))


def test_unknown_is_none_and_asked_once_in_a_while(site: Site, tmp_path: Path) -> None:
    views = site.open()
    for _ in range(3):
        assert views.sources[""].page(canonicalize_name("nobody"), JSON, "identity") is None
    assert site.index.asked("/simple/nobody/") == 1
    site.older(2 * MINUTE)
    assert views.sources[""].page(canonicalize_name("nobody"), JSON, "identity") is None
    assert site.index.asked("/simple/nobody/") == 2
    assert [path for path in (tmp_path / "store" / "cache").rglob("*") if path.is_file()] == []


def test_many_who_ask_at_once_cost_upstream_one_request(site: Site) -> None:
    views = site.open()
    site.index.fail("/simple/demo/", "slow", 0)
    found: list[list[str]] = []
    threads = [threading.Thread(target=lambda: found.append(listed(views))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[SDIST[0]]] * 12
    assert site.index.asked("/simple/demo/") == 1


def test_processes_that_ask_at_once_cost_upstream_one_request(site: Site) -> None:
    several = [site.open() for _ in range(3)]
    found: list[list[str]] = []
    threads = [threading.Thread(target=lambda views=views: found.append(listed(views))) for views in several]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[SDIST[0]]] * 3
    assert site.index.asked("/simple/demo/") == 1


def test_private_names_are_never_asked_upstream(site: Site) -> None:
    views = site.open(private=("dem*",))
    assert views.sources[""].page(NAME, JSON, "identity") is None
    site.publish()
    assert listed(views) == [WHEEL]
    assert views.sources[""].stamp(NAME) == views.sources[""].stamp(NAME) is not None
    assert site.index.requests == []


def test_a_yank_upstream_reaches_the_farms_wheel(site: Site) -> None:
    site.publish()
    views = site.open()
    assert document(views)["files"][1]["yanked"] is False
    site.index.projects["demo"][SDIST[0]].page["yanked"] = "CVE"
    site.older()
    for prefix in ("", "/strict/cp311-manylinux_2_36_x86_64"):
        assert document(views, prefix)["files"][-1]["yanked"] == "CVE"
    assert document(views, "/wheels")["files"][0]["yanked"] == "CVE"


def test_a_quarantined_project_offers_nothing_in_any_view(site: Site) -> None:
    site.publish()
    body = {
        "meta": {"api-version": "1.4"},
        "name": "demo",
        "files": [],
        "project-status": {"status": "quarantined"},
        "versions": [],
    }
    site.index.raw_pages["demo"] = (JSON, json.dumps(body).encode())
    views = site.open()
    assert document(views)["project-status"] == {"status": "quarantined"}
    for prefix in ("", "/wheels", "/strict/cp311-manylinux_2_36_x86_64"):
        assert listed(views, prefix) == []


def test_a_replaced_sdist_takes_its_wheel_off_the_page(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.publish()
    views = site.open()
    assert listed(views) == [SDIST[0], WHEEL]
    site.index.add((SDIST[0], b"other bytes"))
    site.older()
    assert listed(views) == [SDIST[0]]
    assert [record.getMessage() for record in caplog.records] == [
        f"demo: {WHEEL} keeps its URL but is not listed: upstream's sdist is no longer the one that it was built from"
    ]
    # An empty page would be the answer to uv, which would not look for the sdist on the next index.
    assert views.sources["/wheels"].page(canonicalize_name("demo"), JSON, "identity") is None


def test_a_project_that_upstream_deletes_leaves_the_farms_own(site: Site) -> None:
    site.publish()
    views = site.open()
    document(views)
    del site.index.projects["demo"]
    site.older()
    assert listed(views) == [WHEEL]
    assert listed(site.open()) == [WHEEL]


def test_an_upstream_that_speaks_html_only(site: Site) -> None:
    site.publish()
    site.index.form = "html"
    site.index.projects["demo"][SDIST[0]].page["yanked"] = True
    found = document(site.open())
    assert [(file["filename"], file["yanked"]) for file in found["files"]] == [(SDIST[0], True), (WHEEL, True)]
    assert found["files"][0]["hashes"] == {"sha256": hashlib.sha256(SDIST[1]).hexdigest()}
    assert found["meta"]["api-version"] == "1.0"


def test_of_several_indexes_the_first_wins_and_one_that_is_down_is_not_taken_for_empty(site: Site) -> None:
    with IndexServer() as second:
        second.add((SDIST[0], b"other bytes"))
        second.add(("demo-2.0.tar.gz", b"two"))
        views = site.open(extra=(second.url,))
        assert listed(views) == [SDIST[0], "demo-2.0.tar.gz"]
        assert document(views)["files"][0]["hashes"] == {"sha256": hashlib.sha256(SDIST[1]).hexdigest()}
        second.add(("other-1.0.tar.gz", b""))
        second.fail("/simple/", "503")
        with pytest.raises(UpstreamError):
            views.sources[""].page(canonicalize_name("other"), JSON, "identity")


def test_credentials_are_sent_upstream_and_on_no_page_or_disk(site: Site, tmp_path: Path) -> None:
    address = site.index.url.replace("http://", "http://me:s3cret@")
    views = site.open(url=address)
    page = views.sources[""].page(NAME, JSON, "identity")
    assert site.index.headers[0]["Authorization"].startswith("Basic ")
    assert page is not None
    assert b"s3cret" not in page.body
    kept = [path for path in (tmp_path / "store" / "cache").rglob("*") if path.is_file()]
    assert kept
    assert not any(b"s3cret" in path.read_bytes() for path in kept)


def test_the_strict_view_has_no_sdist_and_one_address_per_target(site: Site) -> None:
    site.publish()
    views = site.open()
    found = document(views, "/strict/cp311-manylinux_2_36_x86_64")
    assert [file["filename"] for file in found["files"]] == [WHEEL]
    assert found["files"][0]["url"].startswith("../../../../files/")
    assert views.strict("cp311-manylinux_2_36_x86_64") is views.strict("cp311-manylinux_2_36_x86_64")
    with pytest.raises(UsageError) as refused:
        views.strict("cp311-manylinux_2_36_x86")
    assert "cp311-manylinux_2_36_x86_64" in refused.value.solution
    with pytest.raises(UsageError):
        views.strict("native")


def test_the_list_of_projects_has_upstreams_only_when_asked_for(site: Site) -> None:
    site.publish(name="own")
    assert site.open().sources[""].names() == ("own",)
    assert site.index.requests == []
    source = site.open(list_upstream=True).sources[""]
    assert source.names() == ("demo", "own")
    token = source.names_token()
    site.index.add(("fresh-1.0.tar.gz", b""))
    site.older()
    source.names_token()
    eventually(lambda: source.names_token() != token)
    assert source.names() == ("demo", "fresh", "own")


def test_a_farm_is_not_its_own_upstream(site: Site) -> None:
    with pytest.raises(UsageError, match="this farm itself"):
        site.open(url="http://127.0.0.1:8417/simple")


def test_rendered_pages_outlive_the_process_and_damage(site: Site, tmp_path: Path) -> None:
    views = site.open()
    before = document(views)
    rendered = [path for path in (tmp_path / "store/cache/rendered").rglob("*") if path.is_file()]
    assert len(rendered) == 2
    assert document(site.open()) == before
    for path in rendered:
        path.write_bytes(path.read_bytes()[:-20])
    assert document(site.open()) == before
    for path in (tmp_path / "store/cache/mirror/pages").rglob("*.*"):
        path.write_bytes(b"{}")
    site.publish()
    assert listed(site.open()) == [SDIST[0], WHEEL]


def test_a_cache_that_cannot_be_written_costs_no_answer(site: Site, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "cache").write_text("in the way")
    views = site.open()
    assert listed(views) == [SDIST[0]]
    assert listed(views) == [SDIST[0]]
    assert site.index.asked("/simple/demo/") == 1


def test_pip_or_the_configuration_says_where_upstream_is(site: Site, tmp_path: Path) -> None:
    env = {"PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": "http://pip.invalid/simple"}
    settings = Settings(store=tmp_path)
    assert upstream_settings(settings, env).urls == ("http://pip.invalid/simple",)
    chosen = replace(settings, index_url="http://own.invalid/simple", extra_index_urls=("http://b.invalid/simple",))
    assert upstream_settings(chosen, env).urls == ("http://own.invalid/simple", "http://b.invalid/simple")
