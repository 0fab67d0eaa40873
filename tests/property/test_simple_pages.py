"""Any page that can be rendered is read back as the same files, by parsers that are not ours."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name
from packaging.version import Version

from farm.model.package import Digest, IndexFile, Project
from farm.model.page import HTML, JSON, file_url
from farm.serve.simple import render_project, render_root

PAGE = "http://host/some/prefix/simple/demo/"

digests = st.text("0123456789abcdef", min_size=64, max_size=64).map(Digest)
versions = st.sampled_from(["1.0", "2!1.0", "1.0+local.1", "1.0rc1", "10.0"]).map(Version)
# What a sdist's metadata may carry into a page: anything a person can type.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\0", exclude_categories=("Cs",)), min_size=1)


times = st.integers(0, 2**52).map(
    lambda microseconds: datetime(1990, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)


@st.composite
def files(draw: st.DrawFn, sizes: st.SearchStrategy[int | None]) -> IndexFile:
    version, digest = draw(versions), draw(digests)
    filename = f"demo-{version}-{draw(st.sampled_from(['py3-none-any', 'cp311-abi3-manylinux_2_17_x86_64']))}.whl"
    return IndexFile(
        filename=filename,
        url=draw(st.sampled_from([file_url(digest, filename), f"https://mirror.invalid/x/{filename}"])),
        version=version,
        sha256=digest,
        size=draw(sizes),
        requires_python=draw(st.none() | st.sampled_from([">=3.8,<4", "<3.12"]) | texts),
        yanked=draw(st.booleans() | texts | st.just("")),
        upload_time=draw(st.none() | times),
        metadata=draw(st.booleans() | digests),
    )


sized = st.lists(files(st.integers(0, 2**40)), max_size=5, unique_by=lambda f: f.filename).map(tuple)
unsized = st.lists(files(st.none() | st.integers(0, 9)), max_size=5).map(tuple)


class Anchors(HTMLParser):
    """Collects (attributes, text) of each anchor, and the repository version."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[dict[str, str | None], str]] = []
        self.version: str | None = None
        self._open = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._open = True
            self.found.append((dict(attrs), ""))
        if tag == "meta" and dict(attrs).get("name") == "pypi:repository-version":
            self.version = dict(attrs)["content"]

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag != "a"

    def handle_data(self, data: str) -> None:
        if self._open:
            attributes, text = self.found[-1]
            self.found[-1] = (attributes, text + data)


def absolute(url: str) -> str:
    return url if "://" in url else f"http://host/some/prefix/{url}"


@given(sized)
def test_json_gives_back_the_files(listed: tuple[IndexFile, ...]) -> None:
    page = next(
        p for p in render_project(Project(name=canonicalize_name("demo"), files=listed)) if p.content_type == JSON
    )
    document = json.loads(page.body)
    assert document["meta"] == {"api-version": "1.1"}
    assert document["name"] == "demo"
    assert len(document["versions"]) == len(set(document["versions"]))
    assert {Version(v) for v in document["versions"]} == {file.version for file in listed}
    assert len(document["files"]) == len(listed)
    for entry, file in zip(document["files"], listed, strict=True):
        assert None not in entry.values()
        assert "dist-info-metadata" not in entry
        assert urljoin(PAGE, entry["url"]) == absolute(file.url)
        assert (entry["filename"], entry["hashes"]) == (file.filename, {"sha256": file.sha256})
        assert entry["size"] == file.size
        assert entry.get("requires-python") == file.requires_python
        assert entry["yanked"] == (True if file.yanked == "" else file.yanked)
        uploaded = entry.get("upload-time")
        assert uploaded is None or uploaded.endswith("Z")
        assert (None if uploaded is None else datetime.fromisoformat(uploaded)) == file.upload_time
        metadata = entry.get("core-metadata", False)
        assert (metadata if isinstance(metadata, bool) else metadata["sha256"]) == file.metadata


@given(sized)
def test_html_gives_back_the_files(listed: tuple[IndexFile, ...]) -> None:
    page = next(
        p for p in render_project(Project(name=canonicalize_name("demo"), files=listed)) if p.content_type == HTML
    )
    anchors = Anchors(page.body.decode())
    assert anchors.version == "1.1"
    assert len(anchors.found) == len(listed)
    for (attributes, text), file in zip(anchors.found, listed, strict=True):
        url, fragment = urldefrag(urljoin(PAGE, attributes["href"] or ""))
        assert (url, fragment) == (absolute(file.url), f"sha256={file.sha256}")
        assert text == file.filename == unquote(urlsplit(url).path.rpartition("/")[2])
        assert attributes.get("data-requires-python") == file.requires_python
        assert attributes.get("data-yanked") == ({True: "", False: None}.get(file.yanked, file.yanked))  # type: ignore[call-overload]
        metadata = {True: "true", False: None}.get(file.metadata, f"sha256={file.metadata}")  # type: ignore[call-overload]
        assert attributes.get("data-core-metadata") == attributes.get("data-dist-info-metadata") == metadata


@given(unsized)
def test_a_page_without_all_sizes_does_not_claim_version_1_1(listed: tuple[IndexFile, ...]) -> None:
    document = json.loads(render_project(Project(name=canonicalize_name("demo"), files=listed))[0].body)
    complete = all("size" in entry for entry in document["files"])
    assert (document["meta"]["api-version"] == "1.1") == complete == ("versions" in document)


@given(sized)
def test_codings_hold_the_same_page_under_different_etags(listed: tuple[IndexFile, ...]) -> None:
    project = Project(name=canonicalize_name("demo"), files=listed)
    pages = render_project(project)
    assert pages == render_project(project)
    assert len({page.etag for page in pages}) == len(pages) == 4
    bodies = {(page.content_type, page.encoding): page.body for page in pages}
    for kind in (JSON, HTML):
        assert gzip.decompress(bodies[kind, "gzip"]) == bodies[kind, "identity"]


@given(
    st.lists(st.from_regex(r"[a-z0-9]{1,5}(-[a-z0-9]{1,5}){0,2}", fullmatch=True).map(canonicalize_name), unique=True)
)
def test_the_root_gives_back_the_names(names: list[str]) -> None:
    json_page, _, html_page, _ = render_root(names)  # type: ignore[arg-type]
    assert [project["name"] for project in json.loads(json_page.body)["projects"]] == names
    found = Anchors(html_page.body.decode()).found
    assert [text for _, text in found] == names
    assert [attributes["href"] for attributes, _ in found] == [f"{name}/" for name in names]
