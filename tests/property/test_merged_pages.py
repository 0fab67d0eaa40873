"""The merge against parsers and another merge that are not ours, with upstream pages as wrong as they come."""

from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.utils import canonicalize_name
from packaging.version import Version
from pypi_simple import ProjectPage
from simple_repository import model as other
from simple_repository.components.core import SimpleRepository
from simple_repository.components.merged import MergedRepository
from simple_repository.errors import PackageNotFoundError

from farm.model.mirrored import UpstreamPage
from farm.model.package import Digest, IndexFile
from farm.model.page import HTML, JSON, file_url
from farm.model.target import parse_target
from farm.serve.inherit import OwnFile
from farm.serve.merge import MergePolicy, merge, place, strict, wheels_only
from farm.serve.simple import render_document

if TYPE_CHECKING:
    from farm.serve.merge import MergedPage

NAME = canonicalize_name("demo")
BASE = "https://index.invalid/simple/demo/"
PAGE = "https://farm.invalid/below/simple/demo/"
TAGS = (
    "py3-none-any",
    "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
    "cp312-cp312-musllinux_1_2_x86_64",
    "cp39-abi3-win_amd64",
)
TARGET = parse_target("cp311-manylinux_2_28_x86_64")

digests = st.integers(0, 9).map(lambda number: Digest(f"{number:064x}"))
versions = st.sampled_from(["1.0", "1.0.0", "2.0rc1", "2!3"])
filenames = st.one_of(
    st.builds(lambda version, tags: f"demo-{version}-{tags}.whl", versions, st.sampled_from(TAGS)),
    st.builds(lambda version, suffix: f"demo-{version}{suffix}", versions, st.sampled_from([".tar.gz", ".zip"])),
)
junk = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.lists(st.none(), max_size=1)
    | st.just({"sha256": None})
)
# Each key is what it should be, or anything.
good: dict[str, st.SearchStrategy[Any]] = {
    "hashes": digests.map(lambda digest: {"sha256": digest}),
    "size": st.integers(0, 1 << 40),
    "upload-time": st.sampled_from(["2024-05-06T07:08:09Z", "2024-05-06T07:08:09.123456Z"]),
    "yanked": st.booleans() | st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=1, max_size=5),
    "requires-python": st.sampled_from([">=3.8", "<3.12,>=3"]),
    "core-metadata": st.booleans() | digests.map(lambda digest: {"sha256": digest}),
    "provenance": st.none() | st.just("https://index.invalid/p"),
    "x-unknown": st.just({"deep": [1]}),
}


@st.composite
def entries(draw: st.DrawFn, *, odd: bool) -> dict[str, Any]:
    filename = draw(filenames)
    made: dict[str, Any] = {
        "filename": filename,
        "url": draw(st.sampled_from(["", "https://u:p@f.invalid/packages/"])) + filename,
    }
    for key, strategy in good.items():
        if odd and draw(st.integers(0, 3)) == 0:
            made[key] = draw(junk)
        elif not odd or draw(st.booleans()):
            made[key] = draw(strategy)
    return made


def pages(*, odd: bool) -> st.SearchStrategy[UpstreamPage]:
    files = st.lists(entries(odd=odd) | junk if odd else entries(odd=odd), max_size=6)
    status = st.sampled_from([{"status": "active"}, {"status": "archived", "reason": "r"}])
    keys: dict[str, st.SearchStrategy[Any]] = {
        "meta": st.sampled_from([{"api-version": "1.1"}, {"api-version": "1.4", "_x": 1}])
    }
    document = st.fixed_dictionaries(
        {"files": files, "name": st.just("demo"), "versions": st.just(["1.0", "1.0.0", "2.0rc1", "2!3"])} | keys,
        optional={"project-status": status | junk if odd else status, "novelty": st.just(1)},
    )
    return document.map(lambda made: UpstreamPage(document=made, base=BASE))


@st.composite
def own_files(draw: st.DrawFn) -> OwnFile:
    version, tags, digest = (
        draw(versions),
        draw(st.sampled_from([*TAGS, "cp311-cp311-manylinux_2_28_x86_64"])),
        draw(digests),
    )
    filename = f"demo-{version}{draw(st.sampled_from(['', '-1']))}-{tags}.whl"
    file = IndexFile(
        filename=filename, url=file_url(digest, filename), version=Version(version), sha256=digest, size=draw(st.integers(1, 9)),
        requires_python=draw(st.none() | st.just(">=3.8")), metadata=draw(digests),
    )  # fmt: skip
    return OwnFile(
        file=file, sdist=draw(st.sampled_from(["", f"demo-{version}.tar.gz"])), sdist_sha256=draw(st.none() | digests)
    )


owned = st.lists(own_files(), max_size=4, unique_by=lambda mine: mine.file.filename)
policies = st.builds(
    MergePolicy, same_tags=st.sampled_from(["hide", "list"]), upload_time=st.sampled_from(["source", "build"])
)


def rendered(merged: MergedPage) -> dict[str, Any]:
    """Return the page as strict clients read it: JSON without a null where there must be none, HTML that says the same files."""
    document = place(merged, "../../")
    plain, zipped = render_document(document, JSON)
    assert gzip.decompress(zipped.body) == plain.body
    found: dict[str, Any] = json.loads(plain.body)
    html = render_document(document, HTML)[0].body.decode()
    from_json = ProjectPage.from_json_data(found, base_url=PAGE)
    from_html = ProjectPage.from_html("demo", html, base_url=PAGE)
    assert [p.filename for p in from_json.packages] == [p.filename for p in from_html.packages]
    for json_package, html_package in zip(from_json.packages, from_html.packages, strict=True):
        assert json_package.url == html_package.url
        assert json_package.is_yanked == html_package.is_yanked
        assert json_package.has_metadata or not html_package.has_metadata
    for file in found["files"]:
        assert_strict(file)
    assert found["meta"]["api-version"] in {"1.0", "1.1", "1.4"}
    if found["meta"]["api-version"] != "1.0":
        assert all("size" in file for file in found["files"])
        assert len(set(found["versions"])) == len(found["versions"])
    status = found.get("project-status", {})
    assert set(status) <= {"status", "reason"}
    assert all(isinstance(value, str) for value in status.values())
    return found


def assert_strict(file: dict[str, Any]) -> None:
    """As uv's types have it (index-servers.md, X3)."""
    assert isinstance(file["hashes"], dict)
    assert all(isinstance(value, str) for value in file["hashes"].values())
    assert "dist-info-metadata" not in file
    assert type(file.get("size", 0)) is int
    assert isinstance(file.get("upload-time", "Z"), str)
    assert file.get("upload-time", "Z").endswith("Z")
    assert isinstance(file.get("yanked", False), bool | str)
    assert file.get("yanked", False) != ""
    assert isinstance(file.get("requires-python", ""), str | None)
    assert isinstance(file.get("core-metadata", False), bool | dict)
    assert "secret" not in file["url"]
    assert "@" not in urljoin(PAGE, file["url"])


@given(st.lists(pages(odd=True), max_size=3), owned, policies)
def test_any_page_is_one_that_strict_clients_read(
    upstream: list[UpstreamPage], own: list[OwnFile], policy: MergePolicy
) -> None:
    merged = merge(NAME, upstream, own, policy)
    rendered(merged)
    rendered(wheels_only(NAME, upstream, own, policy))
    found = rendered(strict(merged, TARGET))
    assert all(file["filename"].endswith(".whl") for file in found["files"])


@given(pages(odd=False), owned, policies)
def test_no_farm_wheel_hides_or_changes_an_upstream_file(
    upstream: UpstreamPage, own: list[OwnFile], policy: MergePolicy
) -> None:
    alone = merge(NAME, [upstream], [], policy).document["files"]
    assert [file["filename"] for file in alone] == list(
        dict.fromkeys(file["filename"] for file in upstream.document["files"])
    )
    together = merge(NAME, [upstream], own, policy).document
    theirs = {file["filename"] for file in alone}
    assert [file for file in together["files"] if file["filename"] in theirs] == alone
    assert {
        key: value for key, value in upstream.document.items() if key not in {"files", "meta", "versions"}
    }.items() <= together.items()
    given_by_name: dict[str, dict[str, Any]] = {}
    for file in upstream.document["files"]:
        given_by_name.setdefault(file["filename"], file)
    for file in alone:
        before = given_by_name[file["filename"]]
        assert {key: value for key, value in file.items() if key != "url"} == {
            k: v for k, v in before.items() if k != "url"
        }


@given(pages(odd=False), owned, policies)
def test_every_farm_file_is_listed_or_accounted_for(
    upstream: UpstreamPage, own: list[OwnFile], policy: MergePolicy
) -> None:
    merged = merge(NAME, [upstream], own, policy)
    listed = {file["filename"]: file for file in merged.document["files"]}
    out = {left.filename for left in merged.left_out}
    for mine in own:
        if mine.file.filename in out:
            assert listed.get(mine.file.filename, {"hashes": {}})["hashes"] != {"sha256": mine.file.sha256}
        else:
            assert listed[mine.file.filename]["hashes"] == {"sha256": mine.file.sha256}


class Fixed(SimpleRepository):
    """A repository of the other implementation with one page."""

    def __init__(self, page: UpstreamPage) -> None:
        self._page = page

    async def get_project_page(self, project_name: str, *, request_context: Any = None) -> other.ProjectDetail:
        document = self._page.document
        files = tuple(
            other.File(filename=file["filename"], url=file["url"], hashes=file["hashes"], size=file["size"])
            for file in document["files"]
        )
        if not files:
            raise PackageNotFoundError(project_name)
        meta = other.Meta(document["meta"]["api-version"])
        return other.ProjectDetail(meta=meta, name="demo", files=files, versions=frozenset(document["versions"]))

    async def get_project_list(self, *, request_context: Any = None) -> other.ProjectList:
        raise NotImplementedError

    async def get_resource(
        self, project_name: str, resource_name: str, *, request_context: Any = None
    ) -> other.Resource:
        raise NotImplementedError


def as_page(own: list[OwnFile]) -> UpstreamPage:
    files = [
        {
            "filename": mine.file.filename,
            "url": mine.file.url,
            "hashes": {"sha256": mine.file.sha256},
            "size": mine.file.size,
        }
        for mine in own
    ]
    document = {"meta": {"api-version": "1.4"}, "files": files, "versions": [str(mine.file.version) for mine in own]}
    return UpstreamPage(document=document, base=BASE)


@settings(deadline=None)
@given(st.lists(pages(odd=False), max_size=3), owned)
def test_files_are_merged_as_in_another_implementation(upstream: list[UpstreamPage], own: list[OwnFile]) -> None:
    own = [replace(mine, sdist="", sdist_sha256=None) for mine in own]
    present = [page for page in (*upstream, as_page(own)) if page.document["files"]]
    if len(present) < 2:
        return
    theirs = asyncio.run(MergedRepository([Fixed(page) for page in present]).get_project_page("demo"))
    ours = merge(
        NAME, [page for page in upstream if page.document["files"]], own, MergePolicy(same_tags="list")
    ).document
    assert {(file["filename"], file["hashes"]["sha256"]) for file in ours["files"]} == {
        (file.filename, file.hashes["sha256"]) for file in theirs.files
    }
    assert ours["meta"]["api-version"] == theirs.meta.api_version
    assert {Version(text) for text in ours["versions"]} == {Version(text) for text in theirs.versions or ()}
