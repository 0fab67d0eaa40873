"""What a project's page says, key by key, as the strictest client reads it (PEP 503, 592, 629, 658, 691, 700, 714, 740, 792, 833)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pypi_simple
import pytest
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)

from tests.clients.card import row
from tests.clients.wire import HTML, JSON, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clients.wire import Index

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
_HEX = re.compile(r"[0-9a-f]+")
_STATES = {"active", "archived", "deprecated", "quarantined"}


@pytest.fixture
def documents(index: Index) -> dict[str, dict[str, Any]]:
    if not index.speaks_json:
        pytest.skip("no JSON")
    return {name: index.document(name) for name in index.projects}


@pytest.fixture
def entries(documents: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for document in documents.values() for entry in document["files"]]


def none_of(bad: list[str]) -> None:
    assert not bad, f"{len(bad)}: {'; '.join(bad[:3])}"


def wrong(entries: list[dict[str, Any]], key: str, good: Any) -> None:
    none_of([f"{e.get('filename')}: {key} is {e[key]!r}" for e in entries if key in e and not good(e[key])])


@row("PEP 629", "the version of the API is said as 1.N")
def test_the_version(documents: dict[str, dict[str, Any]]) -> None:
    said = {document["meta"]["api-version"] for document in documents.values()}
    none_of([repr(version) for version in said if not (isinstance(version, str) and re.fullmatch(r"1\.\d+", version))])


@row("PEP 691 JSON", "the page says its project's normalised name")
def test_the_name(documents: dict[str, dict[str, Any]]) -> None:
    none_of(
        [
            f"{document.get('name')!r} on the page of {name}"
            for name, document in documents.items()
            if document.get("name") != name
        ]
    )


@row("PEP 691 JSON", "every file has filename, url and hashes: without one, uv refuses the page")
def test_mandatory_keys(entries: list[dict[str, Any]]) -> None:
    bad = [f"{e.get('filename')} lacks {key}" for e in entries for key in ("filename", "url", "hashes") if key not in e]
    none_of(bad)
    none_of([repr(e) for e in entries if not isinstance(e["filename"], str) or not isinstance(e["url"], str)])


@row("PEP 691 JSON", "hashes is an object of lower-case hex digests")
def test_hashes(entries: list[dict[str, Any]]) -> None:
    wrong(
        entries,
        "hashes",
        lambda h: isinstance(h, dict) and all(isinstance(v, str) and _HEX.fullmatch(v) for v in h.values()),
    )


@row("PEP 691 JSON", "each file has a sha256: locks are made of them", "should")
def test_a_sha256(index: Index) -> None:
    none_of(
        [
            file.filename
            for name in index.projects
            for file in index.files(name)
            if len(file.hashes.get("sha256", "")) != 64
        ]
    )


@row("PEP 700", "size is an integer; null makes uv refuse the page")
def test_size(entries: list[dict[str, Any]]) -> None:
    wrong(entries, "size", lambda size: type(size) is int and size >= 0)


@row("PEP 700", "upload-time is UTC as YYYY-MM-DDTHH:MM:SS.ffffffZ; anything else makes uv refuse the page")
def test_upload_time(entries: list[dict[str, Any]]) -> None:
    wrong(entries, "upload-time", lambda time: isinstance(time, str) and _TIME.fullmatch(time) is not None)


@row("PEP 700", "files have an upload-time: cutoff dates drop those without", "should")
def test_there_is_an_upload_time(entries: list[dict[str, Any]]) -> None:
    none_of([f"{e['filename']}: no upload-time" for e in entries if "upload-time" not in e])


@row("PEP 592", "yanked is a boolean or a reason; null makes uv refuse the page, and an empty reason means two things")
def test_yanked(entries: list[dict[str, Any]]) -> None:
    wrong(entries, "yanked", lambda yanked: isinstance(yanked, bool) or (isinstance(yanked, str) and yanked != ""))


@row("PEP 345, 691", "requires-python is a version specifier")
def test_requires_python(entries: list[dict[str, Any]]) -> None:
    def good(value: Any) -> bool:
        if value is None:
            return True
        try:
            return isinstance(value, str) and value != "" and SpecifierSet(value) is not None
        except InvalidSpecifier:
            return False

    wrong(entries, "requires-python", good)


@row("PEP 714", "core-metadata is a boolean or an object of digests")
def test_core_metadata(entries: list[dict[str, Any]]) -> None:
    wrong(
        entries,
        "core-metadata",
        lambda m: isinstance(m, bool) or (isinstance(m, dict) and all(_HEX.fullmatch(v) for v in m.values())),
    )


@row("PEP 714", "JSON has no dist-info-metadata: pip 22.3 to 23.1.2 crash on it")
def test_no_legacy_key(entries: list[dict[str, Any]]) -> None:
    none_of([e["filename"] for e in entries if "dist-info-metadata" in e])


@row("PEP 658, 714", "wheels have their metadata beside them", "should")
def test_wheels_promise_metadata(index: Index) -> None:
    none_of(
        [file.filename for name in index.projects for file in index.files(name) if file.is_wheel and not file.metadata]
    )


@row("PEP 740", "provenance is null or an absolute https URL")
def test_provenance(entries: list[dict[str, Any]]) -> None:
    wrong(entries, "provenance", lambda url: url is None or (isinstance(url, str) and url.startswith("https://")))


@row("PEP 700", "from version 1.1 on, versions has no duplicates and each file's version, and each file a size")
def test_versions(documents: dict[str, dict[str, Any]]) -> None:
    for name, document in documents.items():
        if document["meta"]["api-version"] == "1.0":
            continue
        versions = document.get("versions")
        assert isinstance(versions, list), f"{name}: expected a list of versions, found {versions!r}"
        assert len(set(versions)) == len(versions), f"{name}: a version is there twice"
        filed = {str(version) for _, version in _parsed(document["files"])}
        normal = {str(pypi_normal(version)) for version in versions}
        assert filed <= normal, f"{name}: versions lacks {sorted(filed - normal)}"
        none_of([f"{entry['filename']} has no size" for entry in document["files"] if "size" not in entry])


def pypi_normal(version: str) -> Any:
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415 - here only

    try:
        return Version(version)
    except InvalidVersion:
        return version


def _parsed(entries: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield the project's name and the version of each file that has a proper name."""
    for entry in entries:
        filename = entry["filename"]
        try:
            parsed = parse_wheel_filename(filename) if filename.endswith(".whl") else parse_sdist_filename(filename)
        except (InvalidWheelFilename, InvalidSdistFilename):
            continue
        yield parsed[0], parsed[1]


@row("PEP 503", "a page has files of its own project, each once")
def test_own_files(index: Index) -> None:
    for name in index.projects:
        names = [file.filename for file in index.files(name)]
        assert len(set(names)) == len(names), f"{name}: a file is there twice"
        none_of(
            [
                f"{other} on the page of {name}"
                for other, _ in _parsed([{"filename": n} for n in names])
                if other != name
            ]
        )


@row("PEP 792", "project-status is an object on the top level; a string makes uv refuse the page")
def test_status(documents: dict[str, dict[str, Any]]) -> None:
    for name, document in documents.items():
        status = document.get("project-status", {"status": "active"})
        assert isinstance(status, dict), f"{name}: {status!r}"
        assert status.get("status", "active") in _STATES, f"{name}: {status!r}"
        assert isinstance(status.get("reason", ""), str), f"{name}: {status!r}"
        assert status.get("status") != "quarantined" or not document["files"], f"{name} is quarantined and offers files"


@row("PEP 752", "namespaces is not said before version 1.5", "should")
def test_no_namespaces(documents: dict[str, dict[str, Any]]) -> None:
    old = {name: document for name, document in documents.items() if int(document["meta"]["api-version"][2:]) < 5}
    none_of([name for name, document in old.items() if "namespaces" in document])


@row("PEP 708 (rejected)", "neither tracks nor alternate-locations", "should")
def test_nothing_of_708(documents: dict[str, dict[str, Any]]) -> None:
    keys = {"tracks", "alternate-locations"}
    none_of([name for name, document in documents.items() if keys & (document.keys() | document["meta"].keys())])


@row("PEP 503, 691", "pypi-simple, a strict parser, reads every page")
@pytest.mark.parametrize("accept", [JSON, HTML, TEXT])
def test_pypi_simple(index: Index, accept: str) -> None:
    for name in index.projects:
        answer = index.ask(index.page_url(name), Accept=accept)
        if answer.status == 406 or (accept == JSON and not index.speaks_json):
            pytest.skip("this representation is not offered")
        if answer.type == JSON:
            page = pypi_simple.ProjectPage.from_json_data(index.document(name), answer.url)
        else:
            page = pypi_simple.ProjectPage.from_html(name, answer.text, answer.url)
        assert sorted(package.filename for package in page.packages) == sorted(f.filename for f in index.files(name))


@row("PEP 503", "pages are HTML5, with a link for each file and its name as the text")
def test_anchors(index: Index) -> None:
    for name in index.projects:
        raw = index.raw_html(name)
        assert raw.lstrip().lower().startswith("<!doctype html>"), (
            f"{name}: expected <!DOCTYPE html>, found {raw[:30]!r}"
        )
        for anchor in index.html(name).anchors:
            last = unquote(urlsplit(anchor.href).path.rpartition("/")[2])
            assert anchor.text == last, f"{name}: {anchor.text!r} leads to {anchor.href!r}"


@row("PEP 503", "links have the file's hash", "should")
def test_fragments(index: Index) -> None:
    anchors = [anchor for name in index.projects for anchor in index.html(name).anchors]
    none_of(
        [a.text for a in anchors if not re.fullmatch(r"(sha(256|384|512|224|1)|md5)=[0-9a-f]+", urldefrag(a.href)[1])]
    )


@row("PEP 833", "HTML stays at version 1.4 or below", "should")
def test_html_is_frozen(index: Index) -> None:
    said = {name: index.html(name).metas.get("pypi:repository-version") for name in index.projects}
    none_of([f"{name}: {version}" for name, version in said.items() if not re.fullmatch(r"1\.[0-4]", version or "")])


@row("PEP 503", "attributes are escaped: < and > stand as &lt; and &gt;")
def test_escapes(index: Index) -> None:
    for name in index.projects:
        found = re.findall(r'="[^"]*[<>][^"]*"', index.raw_html(name))
        none_of([f"{name}: {text}" for text in found])


@row("PEP 714", "data-core-metadata and data-dist-info-metadata, where both are there, say the same")
def test_both_names_of_metadata(index: Index) -> None:
    for name in index.projects:
        for anchor in index.html(name).anchors:
            said = [anchor.attributes.get(f"data-{key}-metadata") for key in ("core", "dist-info")]
            assert None in said or said[0] == said[1], f"{anchor.text}: {said}"


@row("PEP 691", "HTML and JSON say the same")
def test_both_say_the_same(index: Index, documents: dict[str, dict[str, Any]]) -> None:
    for name, document in documents.items():
        html, base = index.html(name), index.page_url(name)
        shown = {anchor.text: _said(anchor.attributes, base) for anchor in html.anchors}
        listed = {entry["filename"]: _entry(entry, base) for entry in document["files"]}
        assert shown.keys() == listed.keys(), f"{name}: {sorted(shown.keys() ^ listed.keys())}"
        none_of(
            [f"{file}: {shown[file]} in HTML, {said} in JSON" for file, said in listed.items() if shown[file] != said]
        )
        status = document.get("project-status", {}).get("status")
        assert html.metas.get("pypi:project-status", status) == status


def _said(attributes: dict[str, str] | Any, base: str) -> tuple[Any, ...]:
    url, fragment = urldefrag(urljoin(base, attributes["href"]))
    yanked = attributes.get("data-yanked", False)
    return (
        url,
        fragment.partition("=")[2],
        attributes.get("data-requires-python") or None,
        True if yanked == "" else yanked,
    )


def _entry(entry: dict[str, Any], base: str) -> tuple[Any, ...]:
    hashes = entry["hashes"]
    digest = hashes.get("sha256") or next(iter(hashes.values()), "")
    return urljoin(base, entry["url"]), digest, entry.get("requires-python") or None, entry.get("yanked", False)


@row("pip", "URLs of files have neither a query nor another fragment: pip appends .metadata")
def test_no_queries(index: Index) -> None:
    bad = [file for name in index.projects for file in index.files(name) if urlsplit(file.url).query]
    none_of([file.url for file in bad])


@row("PEP 503", "the last part of a file's URL is its name")
def test_the_last_part_of_the_url(index: Index) -> None:
    files = [file for name in index.projects for file in index.files(name)]
    none_of([file.url for file in files if unquote(urlsplit(file.url).path.rpartition("/")[2]) != file.filename])
