"""The loopback index as a client sees it: one file for each version, its metadata from the best source, and nothing else."""

from __future__ import annotations

import io
import json
import os
import zipfile
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import pytest

from farm.adapters.core_metadata import fold_markers, same_fields
from farm.adapters.metadata_answers import Answers, Scope
from farm.adapters.metadata_view import MetadataView
from farm.adapters.wheel_metadata import WheelMetadata
from farm.errors import UpstreamError
from farm.model.demand import IndexOptions
from farm.model.package import IndexFile, NormalizedName, Project, make_pin
from farm.model.target import parse_target
from tests.fakes.index_server import IndexServer
from tests.fakes.resolving import Resolving
from tests.projects.make import Made

if TYPE_CHECKING:
    from pathlib import Path

LINUX = parse_target("cp311-manylinux_2_36_x86_64")


def get(url: str) -> tuple[int, str]:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def files(view: MetadataView, name: str) -> list[dict[str, Any]]:
    status, body = get(f"{view.url}/{name}/")
    assert status == 200
    return json.loads(body)["files"]  # type: ignore[no-any-return]


def metadata(view: MetadataView, name: str, entry: dict[str, Any]) -> str:
    status, body = get(urljoin(f"{view.url}/{name}/", entry["url"]) + ".metadata")
    assert status == 200
    return body


def test_each_usable_version_is_one_wheel_that_has_metadata(world: Resolving, index: IndexServer) -> None:
    made = Made(name="demo-pkg", version="1.0", requires=("a",))
    when = "2024-05-06T07:08:09+00:00"
    index.add(made.sdist(), upload_time=when, requires_python=">=3.8")
    index.add(made.wheel("cp311-cp311-win_amd64"))
    index.add(Made(name="demo-pkg", version="2.0").sdist(), yanked="broken")
    index.add(Made(name="demo-pkg", version="3.0").wheel("cp311-cp311-win_amd64"))
    answers = Answers(world.sources(), Scope(target=LINUX, options=IndexOptions()))
    with MetadataView(answers, LINUX) as view:
        first, second = files(view, "demo-pkg")
        text = metadata(view, "demo-pkg", first)
    assert first["filename"] == "demo_pkg-1.0-py3-none-any.whl"
    assert (first["core-metadata"], first["upload-time"], first["requires-python"]) == (True, when, ">=3.8")
    assert (second["yanked"], first["yanked"]) == ("broken", False)
    assert first["hashes"]["sha256"] != second["hashes"]["sha256"]
    assert "Requires-Dist: a" in text
    assert [str(version) for version in answers.unusable[make_pin("demo-pkg", "1").name]] == ["3.0"]


def test_nobody_reads_it_without_its_secret_path(world: Resolving, index: IndexServer) -> None:
    index.add(Made(name="demo", version="1.0").sdist())
    with MetadataView(Answers(world.sources(), Scope(target=LINUX, options=IndexOptions())), LINUX) as view:
        parts = urlsplit(view.url)
        assert parts.hostname == "127.0.0.1"
        assert get(f"http://{parts.netloc}/simple/demo/")[0] == 404
        assert get(f"http://{parts.netloc}/{'x' * 24}/{LINUX.name}/simple/demo/")[0] == 404
        assert get(f"{view.url}/absent/")[0] == 404
        (entry,) = files(view, "demo")
        assert get(urljoin(f"{view.url}/demo/", entry["url"]))[0] == 404
        assert get(urljoin(f"{view.url}/demo/", entry["url"]).replace("1.0", "9.9") + ".metadata")[0] == 404
    with pytest.raises(OSError, match="refused"):
        get(f"http://{parts.netloc}/")


class Broken:
    """An index with a fault that nobody foresaw."""

    def project(self, name: NormalizedName) -> Project | None:
        raise ZeroDivisionError(name)


def test_failures_are_passed_on_and_kept_for_the_resolver(world: Resolving, index: IndexServer) -> None:
    index.fail("/simple/down", "500")
    answers = Answers(world.sources(), Scope(target=LINUX, options=IndexOptions()))
    with MetadataView(answers, LINUX) as view:
        assert get(f"{view.url}/down/")[0] == 503
    assert [type(failure) for failure in answers.failures] == [UpstreamError]
    world.farm = Broken()
    answers = Answers(world.sources(), Scope(target=LINUX, options=IndexOptions()))
    with MetadataView(answers, LINUX) as view:
        assert get(f"{view.url}/demo/")[0] == 503
    assert [type(failure) for failure in answers.failures] == [ZeroDivisionError]


def test_what_was_computed_is_stronger_than_what_an_sdist_says(world: Resolving, index: IndexServer) -> None:
    index.add(Made(name="demo", version="1.0", metadata_version="1.0").sdist())
    sources = world.sources()
    project = sources.upstream.project(make_pin("demo", "1").name)
    assert project is not None
    pin = make_pin("demo", "1.0")
    before = Answers(sources, Scope(target=LINUX, options=IndexOptions()))
    assert before.metadata(pin.name, pin.version) == "Metadata-Version: 2.2\nName: demo\nVersion: 1.0\n"
    assert list(before.provisional) == [pin]
    state = sources.exact.state()
    sources.exact.put(project.files[0], LINUX, "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nRequires-Dist: x\n")
    assert sources.exact.state() != state
    after = Answers(sources, Scope(target=LINUX, options=IndexOptions()))
    assert "Requires-Dist: x" in (after.metadata(pin.name, pin.version) or "")
    assert after.provisional == {}


@pytest.mark.parametrize(("ranges", "advertised"), [(True, True), (True, False), (False, False)])
def test_metadata_of_a_wheel_however_it_is_served(ranges: bool, advertised: bool, tmp_path: Path) -> None:
    made = Made(name="demo", version="1.0", requires=("a",))
    name, data = made.wheel("cp311-cp311-manylinux_2_17_x86_64")
    with IndexServer(ranges=ranges) as index:
        index.add((name, data), metadata=made.metadata if advertised else None)
        world = Resolving(folder=tmp_path, index=index)
        web, upstream = world.upstream()
        project = upstream.project(make_pin("demo", "1").name)
        assert project is not None
        (file,) = project.files
        reader = WheelMetadata(web, tmp_path)
        assert reader.read(file) == made.metadata
        count = len(index.requests)
        assert WheelMetadata(web, tmp_path).read(file) == made.metadata
        assert len(index.requests) == count
        world.close()


def test_only_the_end_of_a_big_wheel_is_read(tmp_path: Path) -> None:
    metadata_text = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("demo-1.0.dist-info/METADATA", metadata_text)
        archive.writestr("demo/big.so", os.urandom(3_000_000))
    with IndexServer() as index:
        index.add(("demo-1.0-py3-none-any.whl", out.getvalue()))
        world = Resolving(folder=tmp_path, index=index)
        web, upstream = world.upstream()
        project = upstream.project(make_pin("demo", "1").name)
        assert project is not None
        assert WheelMetadata(web, tmp_path).read(project.files[0]) == metadata_text
        world.close()
        asked = [headers["Range"] for headers in index.headers if "Range" in headers]
    assert asked[0] == "bytes=-65536"
    assert len(asked) == 2


def test_a_wheel_that_is_none_has_no_metadata(world: Resolving, index: IndexServer, tmp_path: Path) -> None:
    index.add(("demo-1.0-py3-none-any.whl", b"not a zip"))
    web, upstream = world.upstream()
    project = upstream.project(make_pin("demo", "1").name)
    assert project is not None
    (file,) = project.files
    assert WheelMetadata(web, tmp_path).read(file) is None
    gone = IndexFile(
        filename=file.filename, url=file.url.replace("demo-1.0", "demo-2.0"), version=file.version, sha256=None
    )
    assert WheelMetadata(web, tmp_path).read(gone) is None


def test_metadata_that_is_not_what_the_page_promised_is_refused(
    world: Resolving, index: IndexServer, tmp_path: Path
) -> None:
    made = Made(name="demo", version="1.0")
    index.add(made.wheel(), metadata=made.metadata, core_metadata={"sha256": "0" * 64})
    web, upstream = world.upstream()
    project = upstream.project(make_pin("demo", "1").name)
    assert project is not None
    with pytest.raises(UpstreamError, match="expected sha256 0000"):
        WheelMetadata(web, tmp_path).read(project.files[0])


def test_markers_are_decided_for_the_target_and_extras_stay() -> None:
    pin = make_pin("demo", "1.0")
    made = Made(
        name="demo",
        version="1.0",
        requires=(
            "always>=1",
            "pypy ; platform_python_implementation == 'PyPy'",
            "never ; sys_platform == 'win32'",
            "extra1 ; extra == 'x' and platform_machine == 's390x'",
            "extra2 ; extra == 'x' and platform_machine == 'x86_64'",
            "legacy>=0.5.* ; sys_platform == 'win32'",
        ),
        extras=("x", "y"),
    )
    folded = fold_markers(made.metadata, pin, parse_target("pp311-manylinux_2_28_s390x"))
    lines = [line.partition(": ")[2] for line in folded.splitlines() if line.startswith("Requires-Dist")]
    assert lines == ["always>=1", "pypy", "extra1 ; extra == 'x'", "legacy>=0.5.* ; sys_platform == 'win32'"]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (("a>=1,<2", "B.c"), ("b-c", "a<2,>=1"), True),
        (("a; python_version<'3'",), ('a ; python_version < "3"',), True),
        (("a[x,y]",), ("a[Y,X]",), True),
        (("a",), ("a", "a"), True),
        (("a",), ("a>=1",), False),
        (("a",), (), False),
        (("a ; extra == 'x'",), ("a",), False),
    ],
)
def test_when_metadata_says_the_same(first: tuple[str, ...], second: tuple[str, ...], same: bool) -> None:
    texts = [Made(name="demo", version="1", requires=requires).metadata for requires in (first, second)]
    assert same_fields(*texts) == same
