"""Fixtures of tests of every kind: a real index on the loopback interface, and what a resolver over it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

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
