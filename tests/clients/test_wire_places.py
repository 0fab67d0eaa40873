"""Which URLs there are: the root, projects by any spelling, and what is not there (PEP 503)."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pypi_simple
import pytest
from packaging.utils import canonicalize_name

from tests.clients.card import row
from tests.clients.wire import HTML, JSON, PIP_ACCEPT, TEXT, Page

if TYPE_CHECKING:
    from tests.clients.wire import Index


@row("PEP 691 JSON", "the root lists projects by name, and says the version of the API")
def test_the_root_in_json(index: Index) -> None:
    answer = index.ask(index.url, Accept=JSON)
    if answer.type != JSON:
        pytest.skip("no JSON")
    document = json.loads(answer.plain)
    assert isinstance(document["meta"]["api-version"], str)
    assert document["meta"]["api-version"].startswith("1."), document["meta"]
    assert all(isinstance(entry["name"], str) and entry["name"] for entry in document["projects"])
    assert len({canonicalize_name(entry["name"]) for entry in document["projects"]}) == len(document["projects"])


@row("PEP 503 root", "an anchor for each project, whose link leads to its normalised name")
def test_the_root_in_html(index: Index) -> None:
    answer = index.ask(index.url, Accept=TEXT)
    assert answer.text.lstrip().lower().startswith("<!doctype html"), "expected HTML5"
    for anchor in Page(answer.text).anchors:
        last = urlsplit(anchor.href).path.rstrip("/").rpartition("/")[2]
        assert canonicalize_name(anchor.text) == canonicalize_name(last), f"{anchor.text!r} leads to {anchor.href!r}"
        assert urlsplit(anchor.href).path.endswith("/"), f"expected a slash at the end of {anchor.href!r}"


@row("PEP 691", "both representations of the root list the same projects")
def test_both_roots_agree(index: Index) -> None:
    if index.ask(index.url, Accept=JSON).type != JSON:
        pytest.skip("no JSON")
    shown = {canonicalize_name(anchor.text) for anchor in Page(index.ask(index.url, Accept=TEXT).text).anchors}
    assert shown == set(index.listed_projects)


@row("PEP 503, 691", "pypi-simple, a strict parser, reads the root")
@pytest.mark.parametrize("accept", [JSON, HTML, TEXT])
def test_pypi_simple_reads_the_root(index: Index, accept: str) -> None:
    answer = index.ask(index.url, Accept=accept)
    if answer.status == 406:
        pytest.skip("this representation is not offered")
    if answer.type == JSON:
        found = pypi_simple.IndexPage.from_json_data(json.loads(answer.plain)).projects
    else:
        found = pypi_simple.IndexPage.from_html(answer.text).projects
    assert {canonicalize_name(name) for name in found} == set(index.listed_projects)


@row("PEP 503", "every listed project has a page")
def test_listed_projects_have_pages(index: Index) -> None:
    bad = [
        name
        for name in index.listed_projects[:20]
        if index.follow(index.page_url(name), Accept=PIP_ACCEPT)[-1].status != 200
    ]
    assert not bad, f"no page: {', '.join(bad)}"


def _spellings(name: str) -> list[str]:
    swapped = {
        name.upper(),
        name.capitalize(),
        name.replace("-", "_"),
        name.replace("-", "."),
        name.replace("-", "-_."),
    }
    return sorted(swapped - {name})


@row("PEP 503 normalisation", "another spelling leads to the project's page", "should")
def test_other_spellings(index: Index) -> None:
    for name in index.projects[:4]:
        page = index.ask(index.page_url(name), Accept=PIP_ACCEPT)
        for spelling in _spellings(name):
            answers = index.follow(f"{index.url}{spelling}/", Accept=PIP_ACCEPT)
            assert answers[-1].plain == page.plain, f"{spelling}: expected the page of {name}, found {answers[-1]}"


@row("PEP 503 normalisation", "it is a permanent redirect, so that caches keep one page", "should")
def test_other_spellings_are_redirected(index: Index) -> None:
    name = index.projects[0]
    answer = index.ask(f"{index.url}{name.upper()}/", Accept=PIP_ACCEPT)
    assert answer.status in {301, 308}, f"expected 301, found {answer}"


@row("PEP 503", "a URL without its last slash leads to the one with it", "should")
def test_missing_slash(index: Index) -> None:
    for url in (index.url, index.page_url(index.projects[0])):
        answers = index.follow(url.rstrip("/"), Accept=PIP_ACCEPT)
        assert answers[-1].status == 200, f"expected the page, found {answers[-1]}"
        assert len(answers) > 1, f"expected a redirect, as relative links lead elsewhere from {url.rstrip('/')}"


@row("PEP 503", "redirects stay on the index")
def test_redirects_stay(index: Index) -> None:
    name = index.projects[0]
    for url in (f"{index.url}{name}", f"{index.url}{name.upper()}/"):
        answers = index.follow(f"{url}?format=x", Accept=PIP_ACCEPT)
        assert answers[-1].status not in {301, 302, 303, 307, 308}, (
            f"expected to stay on the index, found {answers[-1]}"
        )


@row("pip and uv", "an unknown project is 404: with anything else uv stops, or a client goes where nobody sent it")
@pytest.mark.parametrize(
    "accept", [JSON, HTML, TEXT, PIP_ACCEPT, None], ids=["json", "v1-html", "text", "pip", "absent"]
)
def test_unknown_project(index: Index, accept: str | None) -> None:
    name = f"no-such-project-{secrets.token_hex(8)}"
    answers = index.follow(index.page_url(name), **({} if accept is None else {"Accept": accept}))
    assert answers[0].status == 404, f"expected 404, found {answers[0]}"


@row("pip and uv", "HEAD of an unknown project is 404 too")
def test_head_of_an_unknown_project(index: Index) -> None:
    answer = index.ask(index.page_url(f"no-such-project-{secrets.token_hex(8)}"), "HEAD", Accept=PIP_ACCEPT)
    assert answer.status == 404, f"expected 404, found {answer}"


@row("RFC 3986", "what can be no project's name is refused, without falling over")
@pytest.mark.parametrize(
    "path",
    ["%00/", "..%2f..%2fetc%2fpasswd/", "a%0d%0aX-Injected:%20yes/", "%ff%fe/", "a" * 3000 + "/", "%2e%2e/", "-/", "a%20b/",
     "%3Cscript%3E/"],
    ids=["nul", "dots", "newline", "no-utf-8", "long", "parent", "dash", "blank", "markup"],
)  # fmt: skip
def test_strange_names(index: Index, path: str) -> None:
    answer = index.follow(f"{index.url}{path}", Accept=TEXT)[-1]
    assert 400 <= answer.status < 500 or (answer.url == index.url and answer.status == 200), (
        f"expected a refusal, found {answer}"
    )
    assert "x-injected" not in answer.headers
    assert answer.type != TEXT or b"<script>" not in answer.body, "a name comes back as HTML"
    assert b"root:" not in answer.body


@row("RFC 9110 9", "reading is by GET and HEAD; other methods change nothing")
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "BREW"])
def test_other_methods(index: Index, method: str) -> None:
    answer = index.ask(index.page_url(index.projects[0]), method, Content_Length="0")
    assert 400 <= answer.status < 600, f"expected a refusal, found {answer}"
    assert answer.status in {400, 401, 403, 404, 405, 501}, f"expected 405, found {answer}"
    assert index.ask(index.page_url(index.projects[0]), Accept=PIP_ACCEPT).status == 200
