"""What the resolver remembers: when it may be used again, and when it must not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from farm.errors import UpstreamError
from farm.model.gap import Resolution
from farm.model.target import parse_target
from tests.fakes.index_server import IndexServer
from tests.fakes.resolving import Resolving, demand
from tests.projects.make import Made

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINUX = parse_target("cp311-manylinux_2_36_x86_64")
TTL = 600.0


@pytest.fixture
def index() -> Iterator[IndexServer]:
    with IndexServer() as server:
        server.add(Made(name="top", version="1.0", requires=("below",)).sdist())
        server.add(Made(name="below", version="1.0").sdist())
        yield server


def pins(world: Resolving, at: float) -> list[str]:
    found = world.resolver(ttl=TTL, now=lambda: at).resolve(demand("top"), LINUX)
    assert isinstance(found, Resolution), found.explanation
    return [str(pin.pin) for pin in found.pins]


def forget_uv(world: Resolving) -> Path:
    """Remove what each run of uv leaves behind, and return where it would be again."""
    left = world.folder / "resolver" / "interpreters"
    for path in sorted(left.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    left.rmdir()
    return left


def test_a_young_answer_asks_nobody(world: Resolving, index: IndexServer) -> None:
    first = pins(world, 0.0)
    index.requests.clear()
    assert pins(world, TTL) == first == ["below==1.0", "top==1.0"]
    assert index.requests == []


def test_an_old_answer_holds_while_the_pages_are_the_same_and_is_young_again(world: Resolving, index: IndexServer) -> None:
    first = pins(world, 0.0)
    left = forget_uv(world)
    index.requests.clear()
    assert pins(world, 10 * TTL) == first
    assert not left.exists()
    assert sorted(index.requests) == ["/simple/below/", "/simple/top/"]
    index.requests.clear()
    assert pins(world, 11 * TTL) == first
    assert index.requests == []


def test_a_new_version_of_a_dependency_ends_an_old_answer(world: Resolving, index: IndexServer) -> None:
    pins(world, 0.0)
    index.add(Made(name="below", version="2.0").sdist())
    assert pins(world, 2 * TTL) == ["below==2.0", "top==1.0"]


def test_a_yanked_version_ends_an_old_answer(world: Resolving, index: IndexServer) -> None:
    index.add(Made(name="below", version="2.0").sdist())
    assert pins(world, 0.0) == ["below==2.0", "top==1.0"]
    index.add(Made(name="below", version="2.0").sdist(), yanked=True)
    assert pins(world, 2 * TTL) == ["below==1.0", "top==1.0"]


def test_an_index_that_does_not_answer_leaves_an_old_answer_unknown(world: Resolving, index: IndexServer) -> None:
    pins(world, 0.0)
    index.fail("/simple/below/", "503")
    with pytest.raises(UpstreamError):
        pins(world, 2 * TTL)


def test_files_without_a_hash_may_change_so_an_old_answer_is_not_trusted(world: Resolving, index: IndexServer) -> None:
    index.add(Made(name="top", version="1.0", requires=("below",)).sdist(), hashes={})
    pins(world, 0.0)
    left = forget_uv(world)
    pins(world, 2 * TTL)
    assert left.exists()
