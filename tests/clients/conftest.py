"""Options of the suite, the index that is looked at, and the report card. docs/conformance.md says how to point it elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.clients.card import Card
from tests.clients.samples import fill
from tests.clients.site import VIEWS, running
from tests.clients.wire import Index

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tests.clients.site import Site

_CARD = pytest.StashKey[Card]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--index-url", help="the root of the simple API to look at; default: a farm that is started here")
    group.addoption(
        "--project", action="append", default=[], help="a project to look at; default: the first of the root page"
    )
    group.addoption("--report", type=Path, help="write the report card to this file: .json, else Markdown")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "row(standard, says, level): the row of a standard that a check stands for")
    config.addinivalue_line(
        "markers", "clients: the whole client matrix; some minutes, and old clients from the configured index"
    )
    config.stash[_CARD] = Card()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "index" in metafunc.fixturenames:
        given = metafunc.config.getoption("--index-url", None)
        metafunc.parametrize("index", [given] if given else list(VIEWS), indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of an index that is given, only what holds for any index is asked; the rest is about a farm that is filled for it."""
    if config.getoption("--index-url", None):
        others = [item for item in items if item.get_closest_marker("row") is None]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item.get_closest_marker("row") is not None]


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A farm with a project for each thing that a page can say."""
    with running(tmp_path_factory.mktemp("sample")) as site:
        fill(site)
        site.start()
        yield site


@pytest.fixture(scope="session")
def index(request: pytest.FixtureRequest) -> Index:
    if request.param in VIEWS:
        site: Site = request.getfixturevalue("sample")
        return Index(site.view(request.param))
    found = Index(request.param, request.config.getoption("--project"))
    assert found.projects, f"{found.url} lists no project: name some with --project"
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.config.stash[_CARD].note(item, report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    card = config.stash[_CARD]
    if card.lines:
        terminalreporter.section("report card")
        terminalreporter.write_line(card.sums())
    target = config.getoption("--report", None)
    if target is not None:
        card.write(target)
        terminalreporter.write_line(f"written to {target}")
