"""What the merged, the wheels-only and the strict page say, situation by situation (index-servers.md 3.2, 3.3, 3.7, 3.8)."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from farm.model.mirrored import UpstreamPage
from farm.model.package import Digest, IndexFile, Version
from farm.model.page import HTML, JSON
from farm.model.target import parse_target
from farm.serve.inherit import GONE, OwnFile
from farm.serve.merge import MergedPage, MergePolicy, merge, place, strict, wheels_only
from farm.serve.simple import render_document

NAME = canonicalize_name("demo")
BASE = "https://user:secret@index.invalid/simple/demo/"
OLD, NEW = "a" * 64, "b" * 64
BUILT = datetime(2026, 5, 1, 12, tzinfo=UTC)
DEFAULT = MergePolicy()


def entry(filename: str, **keys: Any) -> dict[str, Any]:
    sha256 = keys.pop("sha256", OLD)
    made = {
        "filename": filename,
        "url": f"https://files.invalid/packages/x/{filename}",
        "hashes": {"sha256": sha256},
        "size": 7,
    }
    return made | {key.replace("_", "-"): value for key, value in keys.items()}


def page(*files: Any, **keys: Any) -> UpstreamPage:
    document = {"meta": {"api-version": "1.4"}, "name": "demo", "versions": ["1.0"], "files": list(files)}
    return UpstreamPage(document=document | {key.replace("_", "-"): value for key, value in keys.items()}, base=BASE)


def own(filename: str = "demo-1.0-cp311-cp311-manylinux_2_28_x86_64.whl", **keys: Any) -> OwnFile:
    made = {"sdist": "demo-1.0.tar.gz", "sdist_sha256": Digest(OLD), "built_at": BUILT} | keys
    file = IndexFile(
        filename=filename, url=f"files/cc/{'c' * 62}/{filename}",
        version=Version(filename.split("-")[1].removesuffix(".tar.gz")), sha256=Digest("c" * 64),
        size=9, requires_python=">=3.8", upload_time=BUILT, metadata=Digest("d" * 64),
    )  # fmt: skip
    return OwnFile(file=file, **made)


def names(merged: MergedPage) -> list[str]:
    return [file["filename"] for file in merged.document["files"]]


def farm_entry(merged: MergedPage) -> dict[str, Any]:
    found = [file for file in merged.document["files"] if "_farm" in file]
    assert len(found) == 1
    return dict(found[0])


SDIST = "demo-1.0.tar.gz"
WHEEL = "demo-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"


def test_upstreams_files_keep_every_key_and_come_first() -> None:
    odd = entry(
        SDIST, provenance=None, size=3, zstd={"url": "x"}, _private=[1], requires_python=">=3.8", yanked="broken"
    )
    merged = merge(NAME, [page(odd, novelty={"a": 1}, tracks=[])], [own()], DEFAULT)
    assert merged.document["files"][0] == odd
    assert names(merged) == [SDIST, WHEEL]
    assert merged.document["novelty"] == {"a": 1}
    assert merged.document["tracks"] == []
    assert merged.document["meta"] == {"api-version": "1.4"}


def test_a_farm_wheel_inherits_from_its_sdist() -> None:
    source = entry(SDIST, yanked="CVE", requires_python=">=3.99", upload_time="2020-01-02T03:04:05Z")
    wheel = farm_entry(merge(NAME, [page(source)], [own()], DEFAULT))
    assert (wheel["yanked"], wheel["requires-python"], wheel["upload-time"]) == (
        "CVE",
        ">=3.99",
        "2020-01-02T03:04:05Z",
    )
    assert wheel["_farm"] == {"built-at": "2026-05-01T12:00:00Z", "sdist": SDIST, "sdist-sha256": OLD}
    assert wheel["core-metadata"] == {"sha256": "d" * 64}


def test_the_upload_time_may_be_that_of_the_build() -> None:
    source = entry(SDIST, upload_time="2020-01-02T03:04:05Z")
    wheel = farm_entry(merge(NAME, [page(source)], [own()], MergePolicy(upload_time="build")))
    assert wheel["upload-time"] == "2026-05-01T12:00:00Z"


def test_a_wheel_whose_sdist_upstream_withdrew_is_yanked() -> None:
    merged = merge(NAME, [page(entry("demo-0.9.tar.gz"))], [own()], DEFAULT)
    assert farm_entry(merged)["yanked"] == GONE
    assert merged.document["versions"] == ["1.0", "0.9"]


def test_a_renamed_sdist_is_found_by_its_hash() -> None:
    merged = merge(NAME, [page(entry("Demo-1.0.tar.gz", yanked=True))], [own()], DEFAULT)
    assert farm_entry(merged)["yanked"] is True


def test_a_wheel_of_a_replaced_sdist_is_not_listed() -> None:
    merged = merge(NAME, [page(entry(SDIST, sha256=NEW))], [own()], DEFAULT)
    assert names(merged) == [SDIST]
    assert [(left.filename, left.reason) for left in merged.left_out] == [(WHEEL, "sdist-changed")]
    assert merged.document["_farm"] == {"left-out": [{"filename": WHEEL, "reason": "sdist-changed"}]}


def test_upstreams_file_of_the_same_name_stays() -> None:
    merged = merge(NAME, [page(entry(SDIST), entry(WHEEL, sha256=NEW))], [own()], DEFAULT)
    assert names(merged) == [SDIST, WHEEL]
    assert merged.document["files"][1]["hashes"] == {"sha256": NEW}
    assert [left.reason for left in merged.left_out] == ["name-taken"]


def test_the_very_same_file_is_listed_once() -> None:
    merged = merge(NAME, [page(entry(SDIST), entry(WHEEL, sha256="c" * 64))], [own()], DEFAULT)
    assert names(merged) == [SDIST, WHEEL]
    assert merged.left_out == ()
    assert names(wheels_only(NAME, [page(entry(SDIST), entry(WHEEL, sha256="c" * 64))], [own()], DEFAULT)) == [WHEEL]


@pytest.mark.parametrize(
    "theirs", ["demo-1.0-cp311-cp311-manylinux2014_x86_64.whl", "demo-1.0-py3.cp311-cp311-manylinux_2_17_x86_64.whl"]
)
def test_a_wheel_with_an_upstream_wheels_tags_is_not_listed(theirs: str) -> None:
    mine = own("demo-1.0-1-cp311-cp311-manylinux_2_17_x86_64.whl")
    upstream = [page(entry(SDIST), entry(theirs, upload_time="2026-04-30T00:00:00Z"))]
    assert names(merge(NAME, upstream, [mine], DEFAULT)) == [SDIST, theirs]
    assert len(names(merge(NAME, upstream, [mine], MergePolicy(same_tags="list")))) == 3
    for always in (NAME, ":all:"):
        assert names(merge(NAME, upstream, [mine], MergePolicy(always=frozenset({always})))) == [SDIST, theirs, mine.file.filename]
    assert names(merge(NAME, upstream, [mine], MergePolicy(always=frozenset({"another"})))) == [SDIST, theirs]
    assert names(wheels_only(NAME, upstream, [mine], DEFAULT)) == [mine.file.filename]


@pytest.mark.parametrize("time", ["2026-05-01T12:00:01Z", None, "not a time"])
def test_a_wheel_that_was_there_before_upstreams_stays_for_locks_that_name_it_and_ahead_of_upstreams(time: str | None) -> None:
    theirs = "demo-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux_2_28_x86_64.whl"
    merged = merge(NAME, [page(entry(SDIST), entry(theirs, upload_time=time))], [own()], DEFAULT)
    assert names(merged) == [WHEEL, SDIST, theirs]
    assert farm_entry(merged)["_farm"]["retired"] is True
    assert merged.left_out == ()


def test_a_retired_wheel_is_an_ordinary_one_again_when_upstream_takes_its_own_back() -> None:
    theirs = entry("demo-1.0-cp311-cp311-manylinux_2_28_x86_64.whl", upload_time="2027-01-01T00:00:00Z", yanked="broken")
    upstream = [page(entry(SDIST), theirs | {"filename": "demo-1.0-2-cp311-cp311-manylinux_2_28_x86_64.whl"})]
    merged = merge(NAME, upstream, [own()], DEFAULT)
    assert names(merged)[-1] == WHEEL
    assert "retired" not in farm_entry(merged)["_farm"]


def test_a_yanked_upstream_wheel_hides_nothing() -> None:
    upstream = [page(entry(SDIST), entry("demo-1.0-1-cp311-cp311-manylinux_2_28_x86_64.whl", yanked="broken"))]
    assert WHEEL in names(merge(NAME, upstream, [own()], DEFAULT))


def test_other_tags_or_another_version_do_not_count_as_the_same() -> None:
    upstream = [
        page(entry(SDIST), entry("demo-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"), entry("demo-1.1-py3-none-any.whl"))
    ]
    assert WHEEL in names(merge(NAME, upstream, [own()], DEFAULT))


@pytest.mark.parametrize("how", [{"project_status": {"status": "quarantined"}}, {"project_status": "quarantined"},
                                 {"meta": {"api-version": "1.4", "project-status": {"status": "quarantined"}}}])  # fmt: skip
def test_a_quarantined_project_offers_nothing(how: dict[str, Any]) -> None:
    for rule in (merge, wheels_only):
        merged = rule(NAME, [page(entry(SDIST), **how)], [own()], DEFAULT)
        assert names(merged) == []
        assert merged.document["project-status"] == {"status": "quarantined"}
        assert [left.reason for left in merged.left_out] == ["quarantined"]


def test_status_is_an_object_on_the_top_level() -> None:
    said = {"status": "archived", "reason": "over"}
    assert merge(NAME, [page(project_status=said)], [], DEFAULT).document["project-status"] == said
    assert merge(NAME, [page(project_status="archived")], [], DEFAULT).document["project-status"] == {
        "status": "archived"
    }
    assert "project-status" not in merge(NAME, [page(project_status=["?"])], [], DEFAULT).document
    assert wheels_only(NAME, [page(project_status=said)], [own()], DEFAULT).document["project-status"] == said


def test_without_upstream_there_are_the_farms_files_as_recorded() -> None:
    merged = merge(NAME, [], [own()], DEFAULT)
    wheel = farm_entry(merged)
    assert (wheel["yanked"], wheel["requires-python"]) == (False, ">=3.8")
    assert merged.document["versions"] == ["1.0"]


def test_a_wheel_of_an_uploaded_sdist_is_not_taken_for_withdrawn() -> None:
    sdist = own(SDIST, sdist="", sdist_sha256=None)
    merged = merge(NAME, [page(entry("demo-0.9.tar.gz"))], [sdist, own()], DEFAULT)
    assert [file["yanked"] for file in merged.document["files"][1:]] == [False, False]


def test_an_uploaded_wheel_inherits_from_the_sdist_of_its_version() -> None:
    uploaded = own(sdist="", sdist_sha256=None)
    assert farm_entry(merge(NAME, [page(entry(SDIST, yanked="bad"))], [uploaded], DEFAULT))["yanked"] == "bad"


def test_of_several_indexes_the_first_wins_by_name() -> None:
    first, second = (
        page(entry(SDIST, size=1), versions=["1.0"]),
        page(entry(SDIST, size=2), entry("demo-2.0.zip"), versions=["2.0"]),
    )
    merged = merge(
        NAME, [first, UpstreamPage(document=second.document | {"meta": {"api-version": "1.1"}}, base=BASE)], [], DEFAULT
    )
    assert [(file["filename"], file["size"]) for file in merged.document["files"]] == [(SDIST, 1), ("demo-2.0.zip", 7)]
    assert merged.document["versions"] == ["1.0", "2.0"]
    assert merged.document["meta"]["api-version"] == "1.1"


def test_a_newer_api_is_not_claimed_and_a_missing_size_lowers_it() -> None:
    assert merge(NAME, [page(meta={"api-version": "1.9", "_x": 1})], [], DEFAULT).document["meta"] == {
        "api-version": "1.4",
        "_x": 1,
    }
    unsized = {key: value for key, value in entry(SDIST).items() if key != "size"}
    assert merge(NAME, [page(unsized)], [], DEFAULT).document["meta"]["api-version"] == "1.0"


REPAIRS: list[tuple[str, Any, Any]] = [
    ("size", None, ...), ("size", "", ...), ("size", "12", 12), ("size", 12.0, 12), ("size", -1, ...), ("size", 1 << 70, ...),
    ("size", True, ...),
    ("upload-time", None, ...), ("upload-time", "", ...), ("upload-time", "2024-02-30T00:00:00Z", ...), ("upload-time", 7, ...),
    ("upload-time", "2024-02-03T04:05:06", "2024-02-03T04:05:06Z"),
    ("upload-time", "2024-02-03T04:05:06+02:00", "2024-02-03T02:05:06Z"),
    ("upload-time", "2024-02-03T04:05:06.123456Z", "2024-02-03T04:05:06.123456Z"),
    ("yanked", None, ...), ("yanked", "", True), ("yanked", "why", "why"), ("yanked", {}, ...), ("yanked", 1, True),
    ("hashes", None, {}), ("hashes", ["x"], {}), ("hashes", {"sha256": None, "md5": "ab"}, {"md5": "ab"}),
    ("hashes", {"sha256": "abc"}, {}),
    ("requires-python", "", ...), ("requires-python", None, None), ("requires-python", 3, ...), ("requires-python", "?!", "?!"),
    ("core-metadata", None, ...), ("core-metadata", "true", True), ("core-metadata", f"sha256={OLD}", {"sha256": OLD}),
    ("core-metadata", {"sha256": None}, True), ("core-metadata", [], ...), ("core-metadata", False, False),
    ("provenance", "/x", "https://index.invalid/x"), ("provenance", 3, ...), ("gpg-sig", "yes", ...), ("gpg-sig", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("key", "given", "expected"), REPAIRS, ids=repr)
def test_an_odd_value_costs_its_key_at_most(key: str, given: Any, expected: Any) -> None:
    kept = merge(NAME, [page(entry(SDIST) | {key: given}, entry("demo-2.0.zip"))], [], DEFAULT).document["files"]
    assert len(kept) == 2
    assert kept[0].get(key, ...) == expected
    assert type(kept[0].get(key, ...)) is type(expected)


def test_a_version_of_thousands_of_digits_is_carried_and_not_read() -> None:
    merged = merge(NAME, [page(entry(SDIST), versions=["9" * 5000, 7])], [], DEFAULT)
    assert merged.document["versions"] == ["9" * 5000, "1.0"]


def test_hashes_are_never_missing_and_the_crashing_key_is_renamed() -> None:
    bare = {"filename": SDIST, "url": "demo-1.0.tar.gz", "dist-info-metadata": {"sha256": OLD}}
    kept = merge(NAME, [page(bare)], [], DEFAULT).document["files"][0]
    assert kept == {"filename": SDIST, "url": "https://index.invalid/simple/demo/demo-1.0.tar.gz", "hashes": {},
                    "core-metadata": {"sha256": OLD}}  # fmt: skip


BAD: list[Any] = [
    7, None, "demo.whl", [], {}, {"filename": SDIST}, {"url": "x"}, {"filename": None, "url": "x"}, {"filename": "../x.whl", "url": "x"},
    {"filename": "/etc/x.whl", "url": "x"}, {"filename": "a\nb.whl", "url": "x"},
    {"filename": "", "url": "x"}, {"filename": ".x", "url": "x"},
    {"filename": "a\\b.whl", "url": "x"}, {"filename": "x" * 300, "url": "x"}, {"filename": SDIST, "url": "javascript:alert(1)"},
    {"filename": SDIST, "url": "file:///etc/passwd"}, {"filename": SDIST, "url": "https://[bad/x"}, {"filename": SDIST, "url": None},
    {"filename": SDIST, "url": "https://h:99999999/x"},
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: repr(bad)[:40])
def test_a_bad_file_costs_that_file(bad: Any) -> None:
    good = "demo-2.0.tar.gz"
    assert names(merge(NAME, [page(bad, entry(good))], [], DEFAULT)) == [good]


def test_credentials_of_the_index_are_on_no_page() -> None:
    relative = entry(SDIST) | {"url": "../../files/demo-1.0.tar.gz"}
    inside = entry("demo-2.0.zip") | {"url": "https://user:secret@index.invalid/x/demo-2.0.zip"}
    merged = merge(NAME, [page(relative, inside)], [], DEFAULT)
    assert [file["url"] for file in merged.document["files"]] == [
        "https://index.invalid/files/demo-1.0.tar.gz", "https://index.invalid/x/demo-2.0.zip",
    ]  # fmt: skip


def test_links_lead_from_the_page_to_the_root() -> None:
    merged = merge(NAME, [page(entry(SDIST))], [own()], DEFAULT)
    linked = place(merged, "../../")["files"]
    assert [file["url"].partition("/demo-")[0] for file in linked] == [
        "https://files.invalid/packages/x",
        f"../../files/cc/{'c' * 62}",
    ]
    moved = place(merged, "../../../", lambda found: f"packages/y/{found['filename']}")["files"]
    assert moved[0]["url"] == "../../../packages/y/demo-1.0.tar.gz"


def test_strict_leaves_no_sdist_and_says_what_has_no_wheel() -> None:
    upstream = [page(entry(SDIST), entry("demo-2.0.tar.gz"), entry("demo-3.0.zip"), entry("demo-3.0-py3-none-any.whl"))]
    merged = merge(NAME, upstream, [own()], DEFAULT)
    found = strict(merged, parse_target("cp311-manylinux_2_36_x86_64"))
    assert names(found) == ["demo-3.0-py3-none-any.whl", WHEEL]
    assert found.document["_farm"] == {"target": "cp311-manylinux_2_36_x86_64", "without-wheel": ["2.0"]}
    older = strict(merged, parse_target("cp311-manylinux_2_17_x86_64"))
    assert names(older) == ["demo-3.0-py3-none-any.whl", WHEEL]
    assert older.document["_farm"]["without-wheel"] == ["1.0", "2.0"]
    listed = strict(merged, parse_target("cp311-manylinux_2_17_x86_64"), "list")
    assert names(listed) == [SDIST, "demo-2.0.tar.gz", "demo-3.0-py3-none-any.whl", WHEEL]


def test_a_wheel_that_refuses_the_targets_python_is_no_wheel_for_it() -> None:
    upstream = [page(entry(SDIST), entry("demo-1.0-py3-none-any.whl", requires_python=">=3.12"))]
    found = strict(merge(NAME, upstream, [], DEFAULT), parse_target("cp311-manylinux_2_36_x86_64"), "list")
    assert SDIST in names(found)


def test_html_says_what_json_says_as_far_as_it_can() -> None:
    source = entry(SDIST, yanked="<CVE>", requires_python=">=3.8,<4", provenance="https://index.invalid/p", gpg_sig=True,
                   core_metadata={"sha256": NEW})  # fmt: skip
    document = place(
        merge(NAME, [page(source, project_status={"status": "archived", "reason": 'a "b"'})], [own()], DEFAULT),
        "../../",
    )
    html = render_document(document, HTML)[0].body.decode()
    assert '<meta name="pypi:repository-version" content="1.4">' in html
    assert '<meta name="pypi:project-status" content="archived">' in html
    assert '<meta name="pypi:project-status-reason" content="a &quot;b&quot;">' in html
    assert (
        f'<a href="https://files.invalid/packages/x/{SDIST}#sha256={OLD}" data-requires-python="&gt;=3.8,&lt;4"'
        f' data-core-metadata="sha256={NEW}" data-dist-info-metadata="sha256={NEW}" data-yanked="&lt;CVE&gt;"'
        f' data-provenance="https://index.invalid/p" data-gpg-sig="true">{SDIST}</a><br>'
    ) in html
    plain, zipped = render_document(document, JSON)
    assert plain.etag != zipped.etag


def test_a_page_of_15000_files_costs_less_than_a_second() -> None:
    platforms = (
        "manylinux_2_17_x86_64.manylinux2014_x86_64",
        "musllinux_1_2_aarch64",
        "macosx_11_0_arm64",
        "win_amd64",
        "win32",
    )
    files = [
        entry(f"demo-{version}.0-cp3{minor}-cp3{minor}-{platform}.whl", upload_time="2024-01-01T00:00:00.123456Z", yanked=False,
              requires_python=">=3.8", core_metadata={"sha256": NEW}, provenance=None)
        for version in range(300) for minor in range(5, 15) for platform in platforms
    ]  # fmt: skip
    mine = [own(f"demo-{version}.0-cp315-cp315-manylinux_2_28_x86_64.whl", sdist="") for version in range(0, 300, 3)]
    upstream = page(*files)
    started = time.thread_time()
    merged = merge(NAME, [upstream], mine, DEFAULT)
    render_document(place(merged, "../../"), JSON)
    # On this thread alone: other work on the machine does not count.
    assert time.thread_time() - started < 1.0
    assert len(merged.document["files"]) == 15_100


def test_what_upstream_lists_itself_is_not_left_out_though_its_sdist_has_changed() -> None:
    mine = own()
    upstream = [page(entry(SDIST, sha256=NEW), entry(WHEEL, sha256=mine.file.sha256))]
    merged = merge(NAME, upstream, [mine], DEFAULT)
    assert (names(merged), merged.left_out) == ([SDIST, WHEEL], ())
