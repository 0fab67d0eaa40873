"""What representation an index gives to whom, and how a client learns that it has it already (PEP 691, RFC 9110)."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.clients.card import row
from tests.clients.wire import HTML, JSON, PIP_ACCEPT, TEXT

if TYPE_CHECKING:
    from tests.clients.wire import Answer, Index

KNOWN = {JSON, HTML, TEXT}
UV_ACCEPT = f"{JSON}, {HTML};q=0.2, {TEXT};q=0.01"
LATEST = "application/vnd.pypi.simple.latest"
V2 = "application/vnd.pypi.simple.v2+json"
# What is asked for, and the types that answer it where the index has both JSON and HTML.
SHAPES = [
    ("absent", None, KNOWN),
    ("anything", "*/*", KNOWN),
    ("only JSON", JSON, {JSON}),
    ("only v1 HTML", HTML, {HTML}),
    ("only text/html", TEXT, {TEXT}),
    ("latest JSON", f"{LATEST}+json", {JSON}),
    ("latest HTML", f"{LATEST}+html", {HTML}),
    ("as pip asks", PIP_ACCEPT, {JSON}),
    ("as uv asks", UV_ACCEPT, {JSON}),
    ("as a browser asks", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", {TEXT}),
    ("HTML liked better", f"{JSON};q=0.2, {HTML};q=0.9", {HTML}),
    ("JSON refused", f"{JSON};q=0, {TEXT}", {TEXT}),
    ("a future version or HTML", f"{V2}, {TEXT};q=0.1", {TEXT}),
    ("in capitals", JSON.upper(), {JSON}),
]


@pytest.fixture(params=["project", "root"])
def place(request: pytest.FixtureRequest, index: Index) -> str:
    return index.url if request.param == "root" else index.page_url(index.projects[0])


def get(index: Index, url: str, accept: str | None, **headers: str) -> Answer:
    return index.ask(url, **({} if accept is None else {"Accept": accept}), **headers)


@row("PEP 691 types", "the Content-Type is one that was asked for")
@pytest.mark.parametrize(("accept", "types"), [shape[1:] for shape in SHAPES], ids=[shape[0] for shape in SHAPES])
def test_the_type_is_one_that_was_asked_for(index: Index, place: str, accept: str | None, types: set[str]) -> None:
    answer = get(index, place, accept)
    if answer.status == 406 and accept is not None and "*/*" not in accept and TEXT not in accept:
        pytest.skip("this representation is not offered")
    assert answer.status == 200, f"expected a page, found {answer}"
    if not index.speaks_json and answer.type == TEXT and accept is not None and "*/*" not in accept:
        if TEXT not in accept:
            pytest.skip("there is text/html only, and no 406")
        types = {TEXT}
    assert answer.type in types, f"expected {' or '.join(sorted(types))}, found {answer}"


@row("PEP 691 types", "JSON is offered", "should")
def test_json_is_offered(index: Index) -> None:
    answer = get(index, index.page_url(index.projects[0]), PIP_ACCEPT)
    assert answer.type == JSON, f"expected {JSON} for pip, found {answer}"


@row("PEP 691 types", "where nothing acceptable is offered, the type is true all the same")
@pytest.mark.parametrize("accept", [V2, "application/json", "image/png", "nonsense", ""])
def test_no_type_is_made_up(index: Index, place: str, accept: str) -> None:
    answer = get(index, place, accept)
    assert answer.status in {200, 406}, f"expected 406 or a page, found {answer}"
    assert answer.status == 406 or answer.type in KNOWN, f"expected a type of PEP 691, found {answer}"


@row("PEP 691 types", "where nothing acceptable is offered, 406", "should")
def test_nothing_acceptable(index: Index, place: str) -> None:
    answer = get(index, place, V2)
    assert answer.status == 406, f"expected 406, found {answer}"


@row("PEP 691 types", "?format= wins over Accept", "should")
@pytest.mark.parametrize("wanted", [JSON, HTML])
def test_the_format_of_the_query(index: Index, place: str, wanted: str) -> None:
    answers = [get(index, f"{place}?format={quote(wanted, safe='/')}", accept) for accept in (TEXT, JSON)]
    if answers[0].type == TEXT and answers[1].type in {JSON, TEXT}:
        pytest.skip("?format= is not offered")
    assert {answer.type for answer in answers} == {wanted}, f"expected {wanted}, found {answers[0]} and {answers[1]}"


@row("PEP 691 Vary", "pages say that they vary by Accept", "should")
def test_vary(index: Index, place: str) -> None:
    types = {get(index, place, accept).type for accept in (JSON, TEXT)}
    vary = {part.strip().lower() for part in get(index, place, PIP_ACCEPT).headers.get("vary", "").split(",")}
    if len(types) == 1:
        pytest.skip("there is one representation only")
    assert vary & {"accept", "*"}, f"expected Vary: Accept, found {sorted(vary)}"


@row("RFC 9110 8.4", "a coded body is said to be, and is the same page")
@pytest.mark.parametrize("accept", [JSON, TEXT])
def test_gzip(index: Index, place: str, accept: str) -> None:
    zipped = get(index, place, accept, Accept_Encoding="gzip, deflate")
    if "content-encoding" not in zipped.headers:
        pytest.skip("pages are not compressed")
    assert gzip.decompress(zipped.body) == get(index, place, accept).body
    vary = zipped.headers.get("vary", "").lower()
    assert "accept-encoding" in vary or "*" in vary, f"expected Vary: Accept-Encoding, found {vary!r}"


@row("RFC 9110 12.5.3", "who asked for no coding, or refuses it, gets none")
@pytest.mark.parametrize("coding", [None, "identity", "gzip;q=0", "br", "zstd", "*;q=0, identity"])
def test_identity(index: Index, place: str, coding: str | None) -> None:
    answer = get(index, place, PIP_ACCEPT, **({} if coding is None else {"Accept_Encoding": coding}))
    said = answer.headers.get("content-encoding", "identity")
    assert said in {"identity", coding}, f"expected no content coding for {coding!r}, found {said!r}"


@row("pip and uv", "pages are compressed for pip and uv", "should")
def test_pages_are_compressed(index: Index, place: str) -> None:
    answer = get(index, place, PIP_ACCEPT, Accept_Encoding="gzip, deflate")
    assert answer.headers.get("content-encoding") in {"gzip", "deflate"}, f"expected gzip, found {answer}"


@row("pip and uv", "pages have a strong ETag", "should")
def test_a_strong_etag(index: Index, place: str) -> None:
    etag = get(index, place, PIP_ACCEPT).etag
    assert etag.startswith('"'), f"expected a strong ETag, found {etag or 'none'}"
    assert etag.endswith('"')


@row("RFC 9110 8.8.3.3", "an ETag stands for one representation: type and coding")
def test_etags_differ(index: Index, place: str) -> None:
    seen: dict[str, tuple[str, str]] = {}
    for accept in (JSON, HTML, TEXT):
        for coding in ("identity", "gzip"):
            answer = get(index, place, accept, Accept_Encoding=coding)
            if not answer.etag:
                pytest.skip("pages have no ETag")
            said = (answer.type, answer.headers.get("content-encoding", "identity"))
            assert seen.setdefault(answer.etag, said) == said, (
                f"{answer.etag} stands for {seen[answer.etag]} and for {said}"
            )


@pytest.fixture
def etag(index: Index, place: str) -> str:
    return get(index, place, PIP_ACCEPT).etag or pytest.skip("pages have no ETag")


@row("RFC 9110 13.1.2", "304 for who has the page")
@pytest.mark.parametrize("shape", ["{}", "W/{}", '"another", {}', "*"])
def test_not_modified(index: Index, place: str, etag: str, shape: str) -> None:
    answer = get(index, place, PIP_ACCEPT, If_None_Match=shape.format(etag))
    assert (answer.status, answer.body) == (304, b""), f"expected 304 without a body, found {answer}"


@row("pip and uv", "a 304 has no Content-Type but the page's: pip takes it for the page's")
def test_the_type_of_a_304(index: Index, place: str, etag: str) -> None:
    answer = get(index, place, PIP_ACCEPT, If_None_Match=etag)
    page = get(index, place, PIP_ACCEPT)
    assert answer.headers.get("content-type", page.headers["content-type"]) == page.headers["content-type"]
    assert answer.etag in {"", etag}
    assert "content-encoding" not in answer.headers or answer.headers["content-encoding"] == page.headers.get(
        "content-encoding"
    )


@row("RFC 9110 13.1.2", "the page for who has another")
@pytest.mark.parametrize("other", ['"another"', "", "nonsense", 'W/"another"'])
def test_modified(index: Index, place: str, etag: str, other: str) -> None:
    answer = get(index, place, PIP_ACCEPT, If_None_Match=other)
    assert (answer.status, answer.etag) == (200, etag), f"expected the page, found {answer}"


@row("RFC 9110 13.1.2", "an ETag of another type or coding is not this one's")
def test_the_etag_of_another_representation(index: Index, place: str, etag: str) -> None:
    other = get(index, place, TEXT, Accept_Encoding="gzip").etag
    if other == etag:
        pytest.skip("there is one representation only")
    assert get(index, place, PIP_ACCEPT, If_None_Match=other).status == 200


@row("RFC 9110 9.3.2", "HEAD says what GET says, without a body")
@pytest.mark.parametrize("accept", [JSON, TEXT])
def test_head(index: Index, place: str, accept: str) -> None:
    page, head = index.ask(place, Accept=accept), index.ask(place, "HEAD", Accept=accept)
    names = ("content-type", "content-length", "etag", "vary", "cache-control")
    assert head.status == 200, f"expected 200, found {head}"
    assert [head.headers.get(name) for name in names] == [page.headers.get(name) for name in names]


@row("pip and uv", "a new file is seen soon: pages are revalidated within ten minutes", "should")
def test_freshness(index: Index, place: str) -> None:
    said = get(index, place, PIP_ACCEPT).headers.get("cache-control", "")
    parts = dict(part.strip().lower().partition("=")[::2] for part in said.split(",") if part.strip())
    assert parts, "expected Cache-Control, found none: each cache guesses for itself"
    assert {"no-cache", "no-store"} & parts.keys() or int(parts.get("max-age", 10**9)) <= 600, f"found {said!r}"
