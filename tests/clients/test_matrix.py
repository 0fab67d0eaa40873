"""Old and new pips and uvs in every situation and view: the installed file says who won, and it is who must."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clients.programs import NEW, OLD, Desk, find_client
from tests.clients.site import VIEWS, running
from tests.clients.situations import EARLIER, ERROR, QUICK, SITUATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.clients.programs import Family
    from tests.clients.site import Site
    from tests.fakes.client_tools import Tools

_CONFIG = '[index]\nprivate = ["acme-*"]\n'


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("farm"), _CONFIG) as site:
        for situation in SITUATIONS.values():
            situation.build(site)
        site.start()
        yield site


def addresses(farm: Site, view: str) -> tuple[str, ...]:
    """Return a client's options for a view; the wheels' is for beside upstream."""
    if view == "wheels":
        return ("--index-url", farm.upstream.url, "--extra-index-url", farm.view(view))
    return ("--index-url", farm.view(view))


def cutoff(family: Family) -> tuple[str, ...]:
    return ("--exclude-newer" if family == "uv" else "--uploaded-prior-to", EARLIER)


def cases() -> list[object]:
    found = []
    for client in (*NEW, *OLD):
        for name in SITUATIONS:
            for view in VIEWS:
                every = [] if client in NEW and name in QUICK else [pytest.mark.clients]
                every += [] if client in NEW else [pytest.mark.network]
                found.append(pytest.param((client, name, view), marks=every, id=f"{client}-{name}-{view}"))
    return found


@pytest.mark.parametrize("case", cases())
def test_who_wins(farm: Site, tools: Tools, tmp_path: Path, case: tuple[str, str, str]) -> None:
    client, name, view = case
    situation, program = SITUATIONS[name], find_client(client, tools)
    options = situation.options.get(program.family, ())
    if situation.cutoff and program.has_cutoff:
        options += cutoff(program.family)
    found = Desk(folder=tmp_path).install(program, [situation.line], *addresses(farm, view), *options)
    expected = situation.wins(view, program.family)
    assert found.partition(":")[0] == expected if expected == ERROR else found == expected, found
    compiled = (tmp_path / "compiled").exists()
    assert compiled == expected.startswith("compiled"), "an sdist was built on the way"


def test_the_table_is_as_large_as_it_should_be() -> None:
    assert len(SITUATIONS) >= 30
    assert set(QUICK) <= SITUATIONS.keys()
