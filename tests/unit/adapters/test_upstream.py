"""Missing and unknown never mix, a failing index is tried again within bounds, and pages are asked for once."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from farm.adapters.page_cache import PageCache
from farm.adapters.pipconfig import IndexSettings
from farm.adapters.upstream import Upstream
from farm.adapters.web import Retry, Web
from farm.errors import UpstreamError
from tests.fakes.index_server import IndexServer
from tests.projects.make import Made

if TYPE_CHECKING:
    from pathlib import Path

QUICK = Retry(tries=3, pause=0.01, total=5.0)
DEMO = canonicalize_name("demo")
Make = Callable[..., Upstream]


@pytest.fixture
def index() -> Iterator[IndexServer]:
    with IndexServer() as server:
        server.add(Made(name="demo", version="1.0").sdist())
        server.add(Made(name="demo", version="1.0").wheel())
        yield server


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(tmp_path: Path, clock: Clock) -> Iterator[Make]:
    webs: list[Web] = []

    def factory(*urls: str, timeout: float = 0.5, **rest: object) -> Upstream:
        web = Web(IndexSettings(url=urls[0], extra_urls=urls[1:], timeout=timeout), QUICK)
        webs.append(web)
        return Upstream(web, PageCache(tmp_path / "pages", ttl=600, now=clock), urls, **rest)  # type: ignore[arg-type]

    yield factory
    for web in webs:
        web.close()


def names(upstream: Upstream, name: NormalizedName = DEMO) -> list[str]:
    project = upstream.project(name)
    return [] if project is None else [file.filename for file in project.files]


@pytest.mark.parametrize("form", ["json", "html"])
def test_a_page_in_either_form(form: str, make: Make) -> None:
    with IndexServer(form=form) as server:  # type: ignore[arg-type]
        server.add(Made(name="demo", version="1.0").sdist(), requires_python=">=3.9", yanked="bad")
        project = make(server.url).project(DEMO)
    assert project is not None
    (file,) = project.files
    assert (file.filename, file.requires_python, file.yanked) == ("demo-1.0.tar.gz", ">=3.9", "bad")
    assert file.sha256 is not None
    assert file.url == f"{server.url.removesuffix('/simple')}/files/demo/demo-1.0.tar.gz"


def test_not_there_is_none(index: IndexServer, make: Make) -> None:
    assert make(index.url).project(canonicalize_name("nothing")) is None


@pytest.mark.parametrize("how", ["500", "503", "429", "reset", "truncated", "slow"])
def test_what_passes_is_overcome(how: str, index: IndexServer, make: Make) -> None:
    index.fail("/simple/demo", how, times=1)  # type: ignore[arg-type]
    assert len(names(make(index.url))) == 2
    assert index.asked("/simple/demo") == 2


@pytest.mark.parametrize(
    ("how", "found", "tries"),
    [
        ("500", "answered 500", 3),
        ("503", "answered 503", 3),
        ("429", "answered 429", 3),
        ("reset", "disconnected", 3),
        ("truncated", "tried 3 times", 3),
        ("slow", "no answer within 0.3 s", 3),
        ("401", "credentials are missing or wrong", 1),
        ("html", "expected the index page of demo, found a page without any link to a file: 'Please log in here'", 1),
    ],
)
def test_what_stays_is_unknown_never_missing(how: str, found: str, tries: int, index: IndexServer, make: Make) -> None:
    index.fail("/simple/demo", how)  # type: ignore[arg-type]
    upstream = make(index.url, timeout=0.3)
    for _ in range(2):
        with pytest.raises(UpstreamError) as caught:
            upstream.project(DEMO)
        assert found in caught.value.reason
        assert "127.0.0.1" in caught.value.reason
        assert caught.value.solution
    # The second question was answered from memory: an index does not come back in the middle of a run.
    assert index.asked("/simple/demo") == tries


def test_json_that_breaks_off_is_unknown(index: IndexServer, make: Make) -> None:
    index.raw_pages["demo"] = (
        "application/vnd.pypi.simple.v1+json",
        b'{"meta": {"api-version": "1.0"}, "files": [{"file',
    )
    with pytest.raises(UpstreamError, match="JSON that breaks off"):
        make(index.url).project(DEMO)


def test_nobody_listens(make: Make) -> None:
    with IndexServer() as gone:
        url = gone.url
    with pytest.raises(UpstreamError, match="tried 3 times"):
        make(url).project(DEMO)


def test_one_index_of_two_down_is_unknown_even_if_the_other_has_it(index: IndexServer, make: Make) -> None:
    with IndexServer() as other:
        other.fail("/simple/", "503")
        with pytest.raises(UpstreamError, match=other.url):
            make(index.url, other.url).project(DEMO)


def test_files_of_two_indexes_are_merged_and_the_first_wins(index: IndexServer, make: Make) -> None:
    with IndexServer() as other:
        other.add(Made(name="demo", version="1.0", requires=("other",)).sdist())
        other.add(Made(name="demo", version="2.0").sdist())
        project = make(index.url, other.url).project(DEMO)
    assert project is not None
    assert [file.filename for file in project.files] == [
        "demo-1.0.tar.gz",
        "demo-1.0-py3-none-any.whl",
        "demo-2.0.tar.gz",
    ]
    assert project.files[0].url.startswith(index.url.removesuffix("/simple"))


def test_within_the_ttl_nothing_is_asked(index: IndexServer, make: Make, clock: Clock) -> None:
    first = make(index.url).project(DEMO)
    clock.now += 599
    assert make(index.url).project(DEMO) == first
    assert make(index.url).project(canonicalize_name("absent")) is None
    assert make(index.url).project(canonicalize_name("absent")) is None
    assert len(index.requests) == 2


def test_after_the_ttl_it_is_revalidated(index: IndexServer, make: Make, clock: Clock) -> None:
    first = make(index.url).project(DEMO)
    clock.now += 601
    assert make(index.url).project(DEMO) == first
    assert "If-None-Match" in index.headers[1]
    # The 304 made it fresh again.
    clock.now += 599
    make(index.url).project(DEMO)
    assert len(index.requests) == 2


def test_refresh_sees_what_is_new(index: IndexServer, make: Make) -> None:
    assert len(names(make(index.url))) == 2
    index.add(Made(name="demo", version="2.0").sdist())
    assert len(names(make(index.url))) == 2
    assert len(names(make(index.url, refresh=True))) == 3


def test_a_page_stays_the_same_during_a_run(index: IndexServer, make: Make, clock: Clock) -> None:
    upstream = make(index.url)
    before = upstream.project(DEMO)
    index.add(Made(name="demo", version="2.0").sdist())
    clock.now += 10_000
    assert upstream.project(DEMO) is before


def test_private_names_are_never_asked(index: IndexServer, make: Make) -> None:
    upstream = make(index.url, private=("acme-*", "demo"))
    assert upstream.project(canonicalize_name("acme_tools")) is None
    assert upstream.project(DEMO) is None
    assert index.requests == []


def test_what_is_no_name_is_not_asked(index: IndexServer, make: Make) -> None:
    assert make(index.url).project(canonicalize_name("../../etc/passwd")) is None
    assert index.requests == []


def test_prefetching_reads_at_the_same_time_and_keeps_failures_for_later(index: IndexServer, make: Make) -> None:
    many = [canonicalize_name(f"p{n}") for n in range(20)]
    for name in many:
        index.add(Made(name=name, version="1.0").sdist())
    index.fail("/simple/p3/", "500")
    upstream = make(index.url)
    upstream.prefetch([*many, DEMO])
    asked = len(index.requests)
    assert all(names(upstream, name) for name in many if name != "p3")
    with pytest.raises(UpstreamError):
        upstream.project(canonicalize_name("p3"))
    assert len(index.requests) == asked


def test_of_an_expected_page_the_rest_is_read_from_the_disk_when_asked_for(index: IndexServer, make: Make, tmp_path: Path) -> None:
    index.add(Made(name="demo", version="2.0").sdist())
    upstream = make(index.url)
    upstream.expect({DEMO: [Version("1.0")]})
    page = upstream.project(DEMO)
    assert page is not None
    assert len(page.of(Version("1.0"))) == 2
    assert len(page.of(Version("2.0"))) == 1
    shutil.rmtree(tmp_path / "pages")
    assert len(page.of(Version("1.0"))) == 2
    with pytest.raises(UpstreamError, match="changed while it was read"):
        _ = page.files
    assert index.asked("/simple/demo") == 1


def test_where_the_disk_keeps_nothing_the_page_stays_in_memory(index: IndexServer, make: Make, tmp_path: Path) -> None:
    (tmp_path / "pages").write_text("not a folder")
    upstream = make(index.url)
    upstream.expect({DEMO: [Version("1.0")]})
    page = upstream.project(DEMO)
    assert page is not None
    assert len(page.files) == 2


def test_one_page_is_fetched_once_by_many_threads(index: IndexServer, make: Make) -> None:
    upstream = make(index.url)
    threads = [threading.Thread(target=upstream.project, args=(DEMO,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert index.asked("/simple/demo") == 1


def test_credentials_are_sent_and_not_told(index: IndexServer, make: Make) -> None:
    url = index.url.replace("://", "://me:p%40ss@")
    make(url).project(DEMO)
    assert index.headers[0]["Authorization"] == "Basic bWU6cEBzcw=="
    index.fail("/simple/other", "500")
    with pytest.raises(UpstreamError) as caught:
        make(url).project(canonicalize_name("other"))
    assert "p%40ss" not in f"{caught.value.reason} {caught.value.solution}"
    assert "p@ss" not in f"{caught.value.reason} {caught.value.solution}"


def test_waiting_is_bounded(index: IndexServer, tmp_path: Path) -> None:
    index.fail("/simple/demo", "503")
    web = Web(IndexSettings(url=index.url), Retry(tries=10, pause=0.2, total=0.5))
    started = time.monotonic()
    with pytest.raises(UpstreamError):
        web.get(f"{index.url}/demo/", {}, subject="a page")
    assert time.monotonic() - started < 2
    web.close()


def test_a_run_that_finds_everything_cached_never_imports_the_http_client(
    index: IndexServer, make: Make, tmp_path: Path
) -> None:
    make(index.url).project(DEMO)
    code = f"""
import sys
from pathlib import Path
from farm.adapters.page_cache import PageCache
from farm.adapters.pipconfig import IndexSettings
from farm.adapters.upstream import Upstream
from farm.adapters.web import Web
url = {index.url!r}
cache = PageCache(Path({str(tmp_path / "pages")!r}), ttl=600, now=lambda: 1000.0)
project = Upstream(Web(IndexSettings(url=url)), cache, (url,)).project("demo")
print(len(project.files), "httpx" in sys.modules, "ssl" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False", "False"]
