"""Fixtures of tests of every kind: a real index on the loopback interface, and what a resolver over it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.client_tools import Tools, kept_tools
from tests.fakes.index_server import IndexServer
from tests.fakes.resolving import Resolving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def index() -> Iterator[IndexServer]:
    with IndexServer() as server:
        yield server


@pytest.fixture
def world(index: IndexServer, tmp_path: Path) -> Iterator[Resolving]:
    made = Resolving(folder=tmp_path, index=index)
    yield made
    made.close()


@pytest.fixture(scope="session")
def tools(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tools:
    """Clients of other versions."""
    return kept_tools(request.config, tmp_path_factory.getbasetemp() / "client-tools")
