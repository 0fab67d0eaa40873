"""Upstream's pages as documents, and the paths of its files below `/packages/`."""

from __future__ import annotations

import json

import pytest

from farm.adapters.index_page import BadPage
from farm.adapters.mirror_files import package_path
from farm.adapters.mirror_page import read_document

URL = "https://me:secret@index.invalid/simple/demo/"
JSON = "application/vnd.pypi.simple.v1+json"
SHA = "ab" * 32


def test_json_keeps_all_it_has() -> None:
    given = {
        "meta": {"api-version": "1.7", "_x": [1]},
        "name": "demo",
        "files": [{"filename": "a", "new": {"b": None}}, 3],
        "more": 1.5,
    }
    page = read_document(json.dumps(given).encode(), JSON, URL)
    assert page.document == given
    assert page.base == "https://index.invalid/simple/demo/"


def test_what_could_not_be_written_again_costs_its_file_or_key() -> None:
    body = b'{"meta": {"api-version": "1.1"}, "odd": NaN, "files": [{"filename": "\\ud800"}, {"size": Infinity}, {"filename": "b"}]}'
    assert read_document(body, JSON, URL).document == {"meta": {"api-version": "1.1"}, "files": [{"filename": "b"}]}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"files": {}}', b'{"files": [', b"\xff",
                                  b'{"meta": {"api-version": "2.0"}, "files": []}',
                                  b'{"files": ' + b"[" * 100_000])  # fmt: skip
def test_what_is_no_page_is_told(body: bytes) -> None:
    with pytest.raises(BadPage):
        read_document(body, JSON, URL)


def test_html_says_all_that_html_can() -> None:
    body = f"""<!DOCTYPE html><html><head><base href="https://files.invalid/x/">
    <meta name="pypi:repository-version" content="1.4"><meta name="pypi:project-status" content="archived">
    <meta name="pypi:project-status-reason" content="old &amp; done"></head><body>
    <a href="demo-1.0.tar.gz#sha256={SHA}" data-requires-python="&gt;=3.8" data-yanked data-provenance="https://p.invalid/"
       data-gpg-sig="false" data-core-metadata="sha256={SHA}">demo-1.0.tar.gz</a>
    <a href="/get?id=1">demo-1.1-py3-none-any.whl</a> <a href="demo-1.2%2Blocal.zip" data-yanked="bad">x</a> <a href="../">up</a>
    </body></html>"""
    page = read_document(body.encode(), "text/html; charset=utf-8", URL)
    assert page.base == "https://files.invalid/x/"
    assert page.document == {
        "meta": {"api-version": "1.4"},
        "project-status": {"status": "archived", "reason": "old & done"},
        "files": [
            {
                "filename": "demo-1.0.tar.gz", "url": "demo-1.0.tar.gz", "hashes": {"sha256": SHA}, "requires-python": ">=3.8",
                "provenance": "https://p.invalid/", "yanked": True, "gpg-sig": False, "core-metadata": f"sha256={SHA}",
            },
            {"filename": "demo-1.1-py3-none-any.whl", "url": "/get?id=1", "hashes": {}},
            {"filename": "demo-1.2+local.zip", "url": "demo-1.2%2Blocal.zip", "hashes": {}, "yanked": "bad"},
        ],
    }  # fmt: skip


@pytest.mark.parametrize("body", ["<h1>Please log in</h1><a href='/login'>here</a>", "", "busy",
                                  '<meta name="pypi:repository-version" content="2.0"><a href="a-1.zip">a-1.zip</a>'])  # fmt: skip
def test_html_that_is_no_page_is_told(body: str) -> None:
    with pytest.raises(BadPage):
        read_document(body.encode(), "text/html", URL)


def test_an_empty_page_of_an_index_is_a_page() -> None:
    body = b'<html><head><meta name="pypi:repository-version" content="1.0"></head><body></body></html>'
    assert read_document(body, "text/html", URL).document["files"] == []


@pytest.mark.parametrize(("url", "expected"), [
    ("https://f.invalid/packages/aa/bb/cc/demo-1.0.zip", "packages/aa/bb/cc/demo-1.0.zip"),
    ("https://f.invalid/mirror/packages/source/d/demo/demo-1.0.zip", "packages/source/d/demo/demo-1.0.zip"),
    ("https://f.invalid/packages/aa/../../etc/demo-1.0.zip", f"packages/ab/ab/{SHA[4:]}/demo-1.0.zip"),
    ("https://f.invalid/packages/aa/%2e%2e/demo-1.0.zip", f"packages/ab/ab/{SHA[4:]}/demo-1.0.zip"),
    ("https://f.invalid/packages/aa/other.zip", f"packages/ab/ab/{SHA[4:]}/demo-1.0.zip"),
    ("https://f.invalid/packages/aa/demo-1.0.zip?token=1", f"packages/ab/ab/{SHA[4:]}/demo-1.0.zip"),
    ("https://f.invalid/x/demo-1.0.zip", f"packages/ab/ab/{SHA[4:]}/demo-1.0.zip"),
])  # fmt: skip
def test_a_file_keeps_its_path_where_that_is_safe(url: str, expected: str) -> None:
    assert package_path({"url": url, "filename": "demo-1.0.zip", "hashes": {"sha256": SHA}}) == expected


def test_a_file_without_a_hash_has_a_path_of_its_own() -> None:
    paths = {
        package_path({"url": f"https://f.invalid/{n}/demo-1.0.zip", "filename": "demo-1.0.zip", "hashes": {}})
        for n in range(3)
    }
    assert len(paths) == 3
    assert all(path.startswith("packages/url/") for path in paths)
