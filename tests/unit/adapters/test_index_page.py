"""Pages as indexes really write them: an odd value costs itself, never the page."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from farm.adapters.index_page import BadPage, parse_page, split_page
from farm.adapters.lazy_page import Entries, LazyPage, group
from farm.adapters.page_cache import PageCache
from farm.errors import UpstreamError
from farm.model.package import IndexFile, Project

if TYPE_CHECKING:
    from pathlib import Path

NAME = canonicalize_name("demo-pkg")
URL = "https://me:secret@index.example/simple/demo-pkg/"
JSON = "application/vnd.pypi.simple.v1+json"
A, B = "a" * 64, "b" * 64


def read(*files: dict[str, Any], **page: Any) -> tuple[IndexFile, ...]:
    body = json.dumps({"meta": {"api-version": "1.4"}, "name": NAME, "files": list(files), **page}).encode()
    return parse_page(body, JSON, URL, NAME).files


def test_every_key_of_a_json_entry() -> None:
    (file,) = read(
        {
            "filename": "demo_pkg-1.0-py3-none-any.whl",
            "url": "../../files/demo_pkg-1.0-py3-none-any.whl#egg=x",
            "hashes": {"sha256": A, "md5": "x"},
            "size": 12,
            "requires-python": ">=3.9",
            "yanked": "broken",
            "upload-time": "2024-05-06T07:08:09.123456Z",
            "core-metadata": {"sha256": B},
            "provenance": None,
        }
    )
    assert file == IndexFile(
        filename="demo_pkg-1.0-py3-none-any.whl",
        url="https://index.example/files/demo_pkg-1.0-py3-none-any.whl",
        version=Version("1.0"),
        sha256=A,  # type: ignore[arg-type]
        size=12,
        requires_python=">=3.9",
        yanked="broken",
        upload_time=datetime(2024, 5, 6, 7, 8, 9, 123456, UTC),
        metadata=B,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("nothing", [None, "", "absent"])
def test_missing_null_and_empty_values_are_the_same(nothing: str | None) -> None:
    entry: dict[str, Any] = {"filename": "demo-pkg-1.0.tar.gz", "url": "https://f.example/demo-pkg-1.0.tar.gz"}
    if nothing != "absent":
        keys = ("hashes", "size", "requires-python", "yanked", "upload-time", "core-metadata")
        entry |= dict.fromkeys(keys, nothing)
    (file,) = read(entry)
    assert file == IndexFile(filename=entry["filename"], url=entry["url"], version=Version("1.0"), sha256=None)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"core-metadata": True}, True),
        ({"core-metadata": False, "dist-info-metadata": True}, False),
        ({"dist-info-metadata": {"sha256": B}}, B),
        ({"data-dist-info-metadata": {"sha256": B}}, B),
        ({"core-metadata": {}}, True),
        ({}, False),
    ],
)
def test_names_of_the_metadata_key(entry: dict[str, Any], expected: bool | str) -> None:
    (file,) = read({"filename": "demo_pkg-1-py3-none-any.whl", "url": "https://f.example/x.whl", **entry})
    assert file.metadata == expected


@pytest.mark.parametrize(
    ("filename", "version"),
    [
        ("demo_pkg-1.0-py3-none-any.whl", "1.0"),
        ("demo.pkg-1.0.0-1build-cp312-cp312-win_amd64.whl", "1.0.0"),
        ("Demo-Pkg-2014.04.tar.gz", "2014.4"),
        ("demo_pkg-1.0.zip", "1.0"),
        ("demo_pkg-1.0.tar.bz2", "1.0"),
        ("demo_pkg-1.0+cpu-cp312-cp312-linux_x86_64.whl", "1.0+cpu"),
        ("demo_pkg-2004d.tar.gz", None),
        ("demo_pkg-1.0-x86_64_v3-py3-none-any.whl", None),
        ("other-1.0-py3-none-any.whl", None),
        ("demo_pkg.whl", None),
        ("demo_pkg-1.0.win32-py2.7.exe", None),
        ("demo_pkg-1.0-py2.7.egg", None),
        ("💥", None),
    ],
)
def test_odd_file_names_never_crash(filename: str, version: str | None) -> None:
    (file,) = read({"filename": filename, "url": "https://f.example/x", "hashes": {}})
    assert file.version == (Version(version) if version else None)
    assert file.is_wheel == filename.endswith(".whl")


@pytest.mark.parametrize("filename", ["../../evil.whl", "a/b.tar.gz", "..", "", "c:\\x.whl"])
def test_names_that_are_paths_are_left_out(filename: str) -> None:
    assert read({"filename": filename, "url": "https://f.example/x"}) == ()


def test_an_entry_of_a_wrong_type_costs_itself_only() -> None:
    good = {"filename": "demo_pkg-1.0.tar.gz", "url": "https://f.example/x"}
    assert [file.filename for file in read(good, {"filename": 3}, {**good, "yanked": []})] == ["demo_pkg-1.0.tar.gz"]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"meta": {"api-version": "1.0"}, "files": [{"filen', "breaks off"),
        (b'{"message": "not found"}', "no project page"),
        (b'{"meta": {"api-version": "2.0"}, "files": []}', "API version 2"),
        (b'{"files": [{"a": 1}]}', "neither a filename nor a url"),
        (b"", "breaks off"),
        (b"\xff\xfe", "malformed"),
    ],
)
def test_what_is_no_json_page(body: bytes, found: str) -> None:
    with pytest.raises(BadPage, match=found):
        parse_page(body, JSON, URL, NAME)


def html(text: str) -> tuple[IndexFile, ...]:
    return parse_page(text.encode(), "text/html; charset=utf-8", URL, NAME).files


def test_an_html_page() -> None:
    wheel, sdist = html(
        f"""<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.0"></head><body>
        <a href="/f/demo_pkg-1.0%2Bcpu-py3-none-any.whl#sha256={A}" data-requires-python="&gt;=3.9"
           data-core-metadata="sha256={B}" data-yanked>demo_pkg-1.0+cpu-py3-none-any.whl</a><br>
        <a href='../../demo-pkg-1.0.tar.gz#md5=abc' data-yanked="bad &amp; old" data-dist-info-metadata="true">x</a>
        </body></html>"""
    )
    assert wheel == IndexFile(
        filename="demo_pkg-1.0+cpu-py3-none-any.whl",
        url="https://index.example/f/demo_pkg-1.0%2Bcpu-py3-none-any.whl",
        version=Version("1.0+cpu"),
        sha256=A,  # type: ignore[arg-type]
        requires_python=">=3.9",
        yanked=True,
        metadata=B,  # type: ignore[arg-type]
    )
    assert (sdist.filename, sdist.url) == ("demo-pkg-1.0.tar.gz", "https://index.example/demo-pkg-1.0.tar.gz")
    assert (sdist.yanked, sdist.sha256, sdist.metadata) == ("bad & old", None, True)


def test_a_base_element_moves_links() -> None:
    (file,) = html('<base href="https://cdn.example/x/"><a href="demo_pkg-1.tar.gz">demo_pkg-1.tar.gz</a>')
    assert file.url == "https://cdn.example/x/demo_pkg-1.tar.gz"


def test_an_empty_page_that_says_that_it_is_one() -> None:
    assert html('<html><head><meta name="pypi:repository-version" content="1.0"></head><body></body></html>') == ()


@pytest.mark.parametrize("text", ["<h1>502 Bad gateway</h1>", '<a href="/login">Log in</a>', "", "plain words"])
def test_an_error_page_is_no_project_page(text: str) -> None:
    with pytest.raises(BadPage, match="without any link to a file"):
        html(text)


def big_page(files: int) -> bytes:
    entries = [
        {
            "filename": f"demo_pkg-2.{n // 100}.0-cp3{n % 9}-cp3{n % 9}-manylinux_2_{n % 100}_x86_64.manylinux2014_x86_64.whl",
            "url": f"https://files.example/packages/{'c' * 60}/demo_pkg-2.{n // 100}.0-{n}.whl",
            "hashes": {"sha256": A},
            "size": n,
            "requires-python": ">=3.8",
            "upload-time": "2024-01-01T00:00:00.123456Z",
            "core-metadata": {"sha256": B},
            "yanked": False,
        }
        for n in range(files)
    ]
    return json.dumps({"meta": {"api-version": "1.1"}, "name": NAME, "files": entries}).encode()


def test_the_largest_pages_there_are_stay_quick(tmp_path: Path) -> None:
    body = big_page(15_000)
    best = min(timed(lambda: parse_page(body, JSON, URL, NAME)) for _ in range(3))
    # Measured 0.17 s; parsing every wheel's tags takes over 1 s. CPU time, so that a busy machine does not matter.
    assert best < 0.5


def timed(work: Any) -> float:
    start = time.thread_time()
    work()
    return time.thread_time() - start


def cache(tmp_path: Path, now: float = 1000.0) -> PageCache:
    return PageCache(tmp_path, ttl=600, now=lambda: now)


def entries(*files: dict[str, object]) -> Entries:
    return group(split_page(json.dumps({"name": NAME, "files": list(files)}).encode(), JSON, URL), NAME)


def test_a_cached_page_is_the_same_page(tmp_path: Path) -> None:
    files: tuple[dict[str, object], ...] = (
        {"filename": "demo_pkg-1-py3-none-any.whl", "url": "x.whl", "hashes": {"sha256": A}, "core-metadata": {"sha256": B}},
        {"filename": "demo_pkg-2.tar.gz", "url": "y.gz", "hashes": {"sha256": B}},
        {"filename": "demo_pkg-1.0.tar.gz", "url": "x.gz", "yanked": True, "upload-time": "2024-01-01T00:00:00Z"},
        {"filename": "odd", "url": "x"},
    )
    cache(tmp_path).save("https://index.example/simple", NAME, entries(*files), '"etag"')
    kept = cache(tmp_path).load("https://index.example/simple", NAME)
    assert kept is not None
    assert kept.project is not None
    assert (kept.project.files, kept.etag, kept.fetched_at) == (read(*files), '"etag"', 1000.0)
    first = tuple(file for file in read(*files) if file.version == Version("1"))
    assert len(first) == 2
    assert kept.project.of(Version("1.0.0")) == first
    by_version = kept.project.by_version()
    assert list(by_version) == [Version("1"), Version("2")]
    assert by_version[Version("1")] == first
    assert cache(tmp_path).load("https://other.example/simple", NAME) is None


ODD = (
    "demo_pkg-1-py3-none-any.whl", "Demo.Pkg-1.0-2-py3-none-any.whl", "demo-pkg-1.0.tar.gz", "demo-pkg-1.0.0.zip",
    "demo-pkg-1.0-1.tar.bz2", "demo_pkg-1.0.win32-py2.7.exe", "demo_pkg-1.0-py2.7.egg", "other-1.0-py3-none-any.whl",
    "demo-pkg-2004d.tar.gz", "demo_pkg-1.0+cpu-cp311-cp311-win_amd64.whl", "demo_pkg-1.0-x-y-cp311-cp311-win_amd64.whl",
    "demo_pkg-v2.0-py3-none-any.whl", ".hidden.whl", "demo-pkg-extra-1.0.tar.gz",
)  # fmt: skip


def test_a_grouped_page_holds_the_same_files_and_versions_as_one_read_whole() -> None:
    files: list[dict[str, object]] = [{"filename": name, "url": f"../{name}", "hashes": {"sha256": A}} for name in ODD]
    files += [{"filename": "demo_pkg-3-py3-none-any.whl", "url": "x", "size": [], "hashes": []}, {"filename": 7, "url": "x"}]
    whole = Project(name=NAME, files=read(*files))
    lazy = LazyPage(NAME, entries(*files), None)
    assert lazy.files == whole.files
    assert dict(lazy.by_version()) == dict(whole.by_version())
    for version in whole.by_version():
        assert LazyPage(NAME, entries(*files), None).of(version) == whole.of(version)
    assert lazy.of(Version("9")) == ()


def test_the_mark_changes_with_the_page_and_is_none_where_bytes_may_change() -> None:
    one: dict[str, object] = {"filename": "demo_pkg-1.tar.gz", "url": "1.gz", "hashes": {"sha256": A}}
    marks = {entries(one).mark, entries({**one, "yanked": True}).mark, entries({**one, "hashes": {"sha256": B}}).mark}
    assert len(marks) == 3
    assert entries({**one, "hashes": {"md5": "x", "sha256": A}}).mark
    assert entries({**one, "hashes": {}, "url": f"1.gz#sha256={A}"}).mark
    assert entries({**one, "hashes": {"md5": "x"}, "core-metadata": {"sha256": A}}).mark == ""
    assert entries().mark


def test_a_page_that_another_farm_replaced_is_not_mixed_with_the_old_one(tmp_path: Path) -> None:
    one: dict[str, object] = {"filename": "demo_pkg-1.tar.gz", "url": "1.gz", "hashes": {"sha256": A}}
    two: dict[str, object] = {"filename": "demo_pkg-2.tar.gz", "url": "2.gz", "hashes": {"sha256": B}}
    page = cache(tmp_path).save("u", NAME, entries(one), None)
    assert page is not None
    page.release()
    assert len(page.of(Version("1"))) == 1
    cache(tmp_path, now=2000.0).save("u", NAME, entries(one), None)
    assert len(page.files) == 1
    page = cache(tmp_path).save("u", NAME, entries(one), None)
    cache(tmp_path).save("u", NAME, entries(one, two), None)
    assert page is not None
    page.release()
    with pytest.raises(UpstreamError, match="changed while it was read"):
        page.of(Version("1"))


def test_no_credentials_on_disk(tmp_path: Path) -> None:
    some = entries({"filename": "demo_pkg-1.tar.gz", "url": "x.gz"})
    cache(tmp_path).save("https://me:secret@index.example/simple", NAME, some, None)
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert b"secret" not in path.read_bytes()
    assert cache(tmp_path).load("https://you@index.example/simple", NAME) is not None


def test_freshness(tmp_path: Path) -> None:
    cache(tmp_path).save("u", NAME, None, None)
    kept = cache(tmp_path).load("u", NAME)
    assert kept is not None
    assert kept.project is None
    assert [cache(tmp_path, now).fresh(kept) for now in (999.0, 1000.0, 1600.0, 1601.0)] == [False, True, True, False]


@pytest.mark.parametrize("damage", [b"", b"\x00garbage", b"\x96\x01\x02"])
def test_a_damaged_cache_is_an_empty_one(tmp_path: Path, damage: bytes) -> None:
    cache(tmp_path).save("u", NAME, None, None)
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    path.write_bytes(damage)
    assert cache(tmp_path).load("u", NAME) is None
    cache(tmp_path).save("u", NAME, None, None)
    assert cache(tmp_path).load("u", NAME) is not None
