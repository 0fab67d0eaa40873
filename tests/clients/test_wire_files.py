"""Files: true to their page, whole or in part, and with their metadata beside them (PEP 503, 658, 714, RFC 9110 14)."""

from __future__ import annotations

import email.parser
import hashlib
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import pytest
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from tests.clients.card import row
from tests.clients.wire import PIP_ACCEPT, sha256

if TYPE_CHECKING:
    from tests.clients.wire import Answer, Index, Listed


@pytest.fixture
def files(index: Index) -> tuple[Listed, ...]:
    return index.own_files or pytest.skip("no file of a moderate size")


@pytest.fixture
def wheels(index: Index) -> tuple[Listed, ...]:
    return index.own_wheels or pytest.skip("no wheel of a moderate size")


@pytest.fixture
def file(index: Index, files: tuple[Listed, ...]) -> Listed:
    return max(files, key=lambda one: len(index.body(one)))


def ask(index: Index, file: Listed, method: str = "GET", **headers: str) -> Answer:
    return index.follow(file.url, method, away=True, **headers)[-1]


@row("PEP 503, 691", "bytes have the hashes of the page")
def test_hashes_are_true(index: Index, files: tuple[Listed, ...]) -> None:
    for file in files:
        known = {name: digest for name, digest in file.hashes.items() if name in hashlib.algorithms_guaranteed}
        assert {name: hashlib.new(name, index.body(file)).hexdigest() for name in known} == known, file.filename


@row("PEP 700", "bytes are as many as the page says")
def test_sizes_are_true(index: Index, files: tuple[Listed, ...]) -> None:
    for file in files:
        assert file.size in {None, len(index.body(file))}, (
            f"{file.filename} has {len(index.body(file))} bytes, not {file.size}"
        )


@row("pip and uv", "files are sent without a content coding: it would spoil ranges and hashes")
def test_no_content_coding(index: Index, files: tuple[Listed, ...]) -> None:
    for file in files:
        answer = ask(index, file, Accept_Encoding="gzip, deflate, br")
        assert "content-encoding" not in answer.headers, f"{file.filename}: {answer.headers['content-encoding']}"
        assert answer.body == index.body(file)


@row("pip and uv", "HEAD says the length: uv and pip ask before they read parts")
def test_head(index: Index, files: tuple[Listed, ...]) -> None:
    for file in files:
        answer = ask(index, file, "HEAD")
        assert answer.status == 200, f"{file.filename}: expected 200, found {answer}"
        assert answer.headers.get("content-length") == str(len(index.body(file))), answer.headers.get("content-length")


@row("RFC 9110 14.3", "files say that they have ranges", "should")
def test_accept_ranges(index: Index, file: Listed) -> None:
    said = ask(index, file, "HEAD").headers.get("accept-ranges")
    assert said == "bytes", f"expected Accept-Ranges: bytes, found {said}"


RANGES = [
    "0-0",
    "0-99",
    "{half}-{more}",
    "{half}-",
    "-1",
    "-100",
    "{last}-",
    "{last}-{beyond}",
    "0-{beyond}",
    "-{beyond}",
]


@row("RFC 9110 14", "one range is that part")
@pytest.mark.parametrize("shape", RANGES)
def test_a_range(index: Index, file: Listed, shape: str) -> None:
    body = index.body(file)
    size = len(body)
    text = shape.format(half=size // 2, more=size // 2 + 50, last=size - 1, beyond=size + 1000)
    answer = ask(index, file, Range=f"bytes={text}")
    if answer.status == 200 and answer.body == body:
        pytest.skip("ranges are not offered")
    first, _, last = text.partition("-")
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    assert answer.status == 206, f"expected 206, found {answer}"
    assert answer.body == body[start:end]
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"


@row("pip and uv", "ranges are there: uv reads the end of a wheel, pip resumes", "should")
def test_ranges_are_offered(index: Index, file: Listed) -> None:
    answer = ask(index, file, Range="bytes=-64")
    assert (answer.status, len(answer.body)) == (206, 64), f"expected 206 with 64 bytes, found {answer}"


@row("RFC 9110 15.5.17", "a range behind the end is 416, and says the length")
def test_a_range_behind_the_end(index: Index, file: Listed) -> None:
    size = len(index.body(file))
    answer = ask(index, file, Range=f"bytes={size}-")
    if answer.status == 200:
        pytest.skip("ranges are not offered")
    assert answer.status == 416, f"expected 416, found {answer}"
    assert answer.headers.get("content-range") == f"bytes */{size}", answer.headers.get("content-range")


@row("RFC 9110 13.1.5", "If-Range: the part of the file that is meant, the whole of another")
def test_if_range(index: Index, file: Listed) -> None:
    whole = ask(index, file)
    if not whole.etag or ask(index, file, Range="bytes=0-9").status != 206:
        pytest.skip("no ETag, or no ranges")
    same = ask(index, file, Range="bytes=0-9", If_Range=whole.etag)
    other = ask(index, file, Range="bytes=0-9", If_Range='"another"')
    assert (same.status, other.status) == (206, 200), f"found {same} and {other}"
    assert other.body == whole.body


@row("RFC 9110 14.2", "what is no range is ignored")
@pytest.mark.parametrize(
    "text", ["bytes=abc", "bytes=", "bytes=-", "bytes=9-3", "lines=0-9", "0-9", "bytes=0-9,", "bytes=--1"]
)
def test_malformed_ranges(index: Index, file: Listed, text: str) -> None:
    answer = ask(index, file, Range=text)
    assert answer.status in {200, 206, 400, 416}, f"expected the file or a refusal, found {answer}"
    assert answer.status != 200 or answer.body == index.body(file)


@row("RFC 9110 17.15", "many ranges do not cost more than the file")
def test_many_ranges(index: Index, file: Listed) -> None:
    answer = ask(index, file, Range="bytes=" + ",".join(["0-"] * 500))
    assert answer.status in {200, 206, 400, 416, 431}, f"found {answer}"
    assert len(answer.body) <= len(index.body(file)) + 10_000


@row("RFC 9110 13.1.2", "304 for who has the file, without a type but the file's")
def test_not_modified(index: Index, file: Listed) -> None:
    whole = ask(index, file)
    if not whole.etag:
        pytest.skip("files have no ETag")
    answer = ask(index, file, If_None_Match=whole.etag)
    assert (answer.status, answer.body) == (304, b""), f"expected 304, found {answer}"
    assert answer.headers.get("content-type", whole.headers.get("content-type")) == whole.headers.get("content-type")


@row("pip and uv", "files have a strong ETag: without one pip cannot resume", "should")
def test_a_strong_etag(index: Index, files: tuple[Listed, ...]) -> None:
    for file in files:
        etag = ask(index, file, "HEAD").etag
        assert etag.startswith('"'), f"{file.filename}: expected a strong ETag, found {etag or 'none'}"


@row("pip and uv", "files may be kept for ever", "should")
def test_files_are_cached(index: Index, files: tuple[Listed, ...]) -> None:
    for file in files:
        said = ask(index, file, "HEAD").headers.get("cache-control", "")
        assert "max-age" in said or "immutable" in said, f"{file.filename}: expected max-age, found {said or 'none'}"


@row("PEP 658", ".metadata is there where it is promised, and is the wheel's METADATA to the byte")
def test_metadata(index: Index, wheels: tuple[Listed, ...]) -> None:
    promised = [wheel for wheel in wheels if wheel.metadata]
    if not promised:
        pytest.skip("no metadata is promised")
    for wheel in promised:
        answer = index.follow(f"{wheel.url}.metadata", away=True)[-1]
        assert answer.status == 200, f"expected the METADATA of {wheel.filename}, found {answer}"
        assert "content-encoding" not in answer.headers
        assert answer.body == index.metadata_inside(wheel), (
            f"{wheel.filename}: its METADATA differs from the one beside it"
        )


@row("PEP 714", "the hash of .metadata is true: uv refuses the wheel otherwise")
def test_the_hash_of_metadata(index: Index, wheels: tuple[Listed, ...]) -> None:
    told = [wheel for wheel in wheels if isinstance(wheel.metadata, str)]
    if not told:
        pytest.skip("no hash of metadata is told")
    for wheel in told:
        assert sha256(index.follow(f"{wheel.url}.metadata", away=True)[-1].body) == wheel.metadata, wheel.filename


@row("PEP 658", "HEAD of .metadata says its length", "should")
def test_head_of_metadata(index: Index, wheels: tuple[Listed, ...]) -> None:
    wheel = next((wheel for wheel in wheels if wheel.metadata), None) or pytest.skip("no metadata is promised")
    answer = index.follow(f"{wheel.url}.metadata", "HEAD", away=True)[-1]
    assert answer.status == 200
    assert answer.headers.get("content-length") == str(len(index.metadata_inside(wheel)))


@row("PEP 427", "a wheel is of the project and the version that its name says")
def test_wheels_are_what_they_are_called(index: Index, wheels: tuple[Listed, ...]) -> None:
    for wheel in wheels:
        said = email.parser.BytesParser().parsebytes(index.metadata_inside(wheel))
        name, version, _, _ = parse_wheel_filename(wheel.filename)
        assert (canonicalize_name(said["Name"]), Version(said["Version"])) == (name, version), wheel.filename


@row("RFC 9110 15.5.5", "files that are not there are 404, and so is their metadata")
@pytest.mark.parametrize(
    "name", ["no-such-file-{}", "no-such-file-{}.metadata", "no-such-file-{}.whl", "{file}.no-such-suffix"]
)
def test_unknown_files(index: Index, file: Listed, name: str) -> None:
    answer = index.ask(urljoin(file.url, name.format(secrets.token_hex(8), file=file.filename)), Accept=PIP_ACCEPT)
    assert 400 <= answer.status < 500, f"expected 404, found {answer}"


@row("RFC 3986", "no path leads out of the index")
@pytest.mark.parametrize(
    "path", ["..%2f..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "....//etc/passwd", "%00"]
)
def test_no_way_out(index: Index, file: Listed, path: str) -> None:
    answer = index.ask(urljoin(file.url, path), Accept=PIP_ACCEPT)
    assert answer.status < 500, f"expected a refusal, found {answer}"
    assert b"root:" not in answer.body
