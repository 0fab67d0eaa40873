"""Real uv against a real index: what it says when there is no answer, and what the user's policies change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from farm.errors import UpstreamError
from farm.model.target import parse_target
from tests.fakes.index_server import IndexServer
from tests.fakes.resolving import Resolving, demand, explanation, pins, static
from tests.projects.make import Made

if TYPE_CHECKING:
    from pathlib import Path


LINUX = parse_target("cp311-manylinux_2_36_x86_64")
WINDOWS = parse_target("cp312-win_amd64")


def test_an_unknown_project(world: Resolving, index: IndexServer) -> None:
    static(index, "known", "1")
    found = world.resolver().resolve(demand("known", "nothing-like-it>=2"), LINUX)
    assert (
        explanation(found).splitlines()[0] == "requirements.txt:2: nothing-like-it: no index has a project of this name"
    )


def test_an_unknown_dependency(world: Resolving, index: IndexServer) -> None:
    static(index, "known", "1", requires=("nothing-like-it",))
    found = world.resolver().resolve(demand("known"), LINUX)
    first = explanation(found).splitlines()[0]
    assert first.startswith("nothing-like-it (a dependency of known")
    assert first.endswith("no index has a project of this name")


@pytest.mark.parametrize(
    ("requirement", "near"),
    [
        ("demo==1.5.5", "... 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9"),
        ("demo==0.1", "1.0, 1.1, 1.2, 1.3, ... 1.9"),
        ("demo>7", "... 1.6, 1.7, 1.8, 1.9"),
    ],
)
def test_a_version_that_does_not_exist(requirement: str, near: str, world: Resolving, index: IndexServer) -> None:
    static(index, "demo", *(f"1.{minor}" for minor in range(10)), "2.0a1")
    found = world.resolver().resolve(demand(requirement), LINUX)
    assert (
        explanation(found).splitlines()[0] == f"requirements.txt:1: {requirement}: no such version; available: {near}"
    )


def test_a_conflict_in_the_resolvers_own_words(world: Resolving, index: IndexServer) -> None:
    static(index, "a", "1", requires=("c<2",))
    static(index, "b", "1", requires=("c>=2",))
    static(index, "c", "1", "2")
    text = explanation(world.resolver().resolve(demand("a", "b"), LINUX))
    assert "no solution for requirements.txt:" in text
    assert "b depend on c>=2" in text
    assert "a depend on c<2" in text
    assert text.splitlines()[-2:] == ["requirements.txt:1: a", "requirements.txt:2: b"]


def test_a_long_reasoning_is_shortened(world: Resolving, index: IndexServer) -> None:
    for minor in range(40):
        static(index, "top", f"1.{minor}", requires=(f"leaf==0.{minor}",))
        static(index, "leaf", f"0.{minor}")
    static(index, "leaf", "1.0")
    lines = explanation(world.resolver().resolve(demand("top", "leaf>=1"), LINUX)).splitlines()
    assert len(lines) < 30
    assert any("lines left out" in line for line in lines)
    assert lines[-2:] == ["requirements.txt:1: top", "requirements.txt:2: leaf>=1"]


def test_a_python_that_is_too_old(world: Resolving, index: IndexServer) -> None:
    static(index, "demo", "2", requires_python=">=3.13")
    text = explanation(world.resolver().resolve(demand("demo"), LINUX))
    assert text.splitlines()[0] == f"requirements.txt:1: demo needs Python >=3.13; {LINUX.name} has 3.11.2"
    assert pins(world.resolver().resolve(demand("demo"), parse_target("cp313-manylinux_2_36_x86_64"))) == ["demo==2"]


def test_requires_python_leads_to_an_older_version(world: Resolving, index: IndexServer) -> None:
    static(index, "demo", "1")
    static(index, "demo", "2", requires_python=">=3.13")
    assert pins(world.resolver().resolve(demand("demo"), LINUX)) == ["demo==1"]


def test_yanked_versions_are_for_those_who_pin_them(world: Resolving, index: IndexServer) -> None:
    static(index, "demo", "1")
    static(index, "demo", "2", yanked="broken")
    assert pins(world.resolver().resolve(demand("demo"), LINUX)) == ["demo==1"]
    assert pins(world.resolver().resolve(demand("demo==2"), LINUX)) == ["demo==2"]


def test_pre_releases_are_taken_when_asked_for(world: Resolving, index: IndexServer) -> None:
    static(index, "demo", "1", "2a1")
    assert pins(world.resolver().resolve(demand("demo"), LINUX)) == ["demo==1"]
    assert pins(world.resolver().resolve(demand("demo", pre=True), LINUX)) == ["demo==2a1"]
    everything = frozenset({":all:"})
    assert pins(world.resolver().resolve(demand("demo", all_releases=everything), LINUX)) == ["demo==2a1"]
    assert pins(world.resolver().resolve(demand("demo", all_releases=frozenset({"demo"})), LINUX)) == ["demo==2a1"]
    assert pins(world.resolver().resolve(demand("demo", pre=True, only_final=frozenset({"demo"})), LINUX)) == [
        "demo==1"
    ]
    found = world.resolver().resolve(demand("demo>1", only_final=everything), LINUX)
    assert (
        explanation(found).splitlines()[0]
        == "requirements.txt:1: demo>1 has only pre-releases (2a1); add --pre to take one"
    )


def test_only_binary_and_no_binary(world: Resolving, index: IndexServer) -> None:
    index.add(Made(name="demo", version="1").wheel())
    static(index, "demo", "2")
    index.add(Made(name="wheelonly", version="1").sdist())
    index.add(Made(name="wheelonly", version="2").wheel())
    wanted = demand("demo", "wheelonly")
    assert pins(world.resolver().resolve(wanted, LINUX)) == ["demo==2", "wheelonly==2"]
    binary = demand("demo", "wheelonly", only_binary=frozenset({"demo"}))
    assert pins(world.resolver().resolve(binary, LINUX)) == ["demo==1", "wheelonly==2"]
    source = demand("demo", "wheelonly", no_binary=frozenset({":all:"}))
    assert pins(world.resolver().resolve(source, LINUX)) == ["demo==2", "wheelonly==1"]


def test_wheels_for_other_targets_only_fall_back_to_what_fits(world: Resolving, index: IndexServer) -> None:
    index.add(Made(name="demo", version="1").wheel("cp311-cp311-manylinux_2_17_x86_64"))
    index.add(Made(name="demo", version="2").wheel("cp311-cp311-win_amd64"))
    assert pins(world.resolver().resolve(demand("demo"), LINUX)) == ["demo==1"]
    # Pinned, or with nothing else there, it is the survey that says that no wheel fits.
    assert pins(world.resolver().resolve(demand("demo==2"), LINUX)) == ["demo==2"]
    assert pins(world.resolver().resolve(demand("demo"), parse_target("cp313-macosx_14_0_arm64"))) == ["demo==2"]


def test_free_threaded_targets_do_not_take_gil_wheels(world: Resolving, index: IndexServer) -> None:
    index.add(Made(name="demo", version="1").wheel("cp314-cp314t-manylinux_2_17_x86_64"))
    index.add(Made(name="demo", version="2").wheel("cp314-cp314-manylinux_2_17_x86_64"))
    assert pins(world.resolver().resolve(demand("demo"), parse_target("cp314t-manylinux_2_28_x86_64"))) == ["demo==1"]
    assert pins(world.resolver().resolve(demand("demo"), parse_target("cp314-manylinux_2_28_x86_64"))) == ["demo==2"]


@pytest.mark.parametrize("part", ["/simple/leaf", "leaf-1.tar.gz"])
def test_an_index_that_is_down_is_unknown_not_unresolvable(part: str, world: Resolving, index: IndexServer) -> None:
    static(index, "top", "1", requires=("leaf",))
    static(index, "leaf", "1")
    index.fail(part, "503")
    with pytest.raises(UpstreamError, match="answered 503"):
        world.resolver().resolve(demand("top"), LINUX)


def test_a_corrupt_sdist_is_the_packages_failure_not_the_resolutions(world: Resolving, index: IndexServer) -> None:
    index.add(("broken-1.0.tar.gz", b"this is no archive"))
    static(index, "fine", "1")
    assert pins(world.resolver().resolve(demand("broken", "fine"), LINUX)) == ["broken==1.0", "fine==1"]


def test_the_farms_own_wheels_are_seen(world: Resolving, index: IndexServer, tmp_path: Path) -> None:
    index.add(Made(name="demo", version="1", metadata_version="1.0").sdist())
    static(index, "needed", "1")
    made = Made(name="demo", version="1", requires=("needed",))
    with IndexServer() as own:
        own.add(made.wheel("cp311-cp311-manylinux_2_28_x86_64"), metadata=made.metadata)
        inner = Resolving(folder=tmp_path / "own", index=own)
        world.farm = inner.upstream()[1]
        assert pins(world.resolver().resolve(demand("demo"), LINUX)) == ["demo==1", "needed==1"]
        inner.close()


def test_an_answer_is_kept_and_given_without_asking_anybody(world: Resolving, index: IndexServer) -> None:
    static(index, "top", "1", requires=("leaf",))
    static(index, "leaf", "1")
    now = [1000.0]
    first = world.resolver(now=lambda: now[0]).resolve(demand("top"), LINUX)
    count = len(index.requests)
    now[0] += 599
    assert world.resolver(now=lambda: now[0]).resolve(demand("top"), LINUX) == first
    assert len(index.requests) == count
    static(index, "top", "2")
    assert pins(world.resolver(now=lambda: now[0], refresh=True).resolve(demand("top"), LINUX)) == ["top==2"]
    now[0] += 601
    assert pins(world.resolver(now=lambda: now[0]).resolve(demand("top"), LINUX)) == ["top==2"]


def test_a_change_of_the_farms_index_makes_the_answer_stale(world: Resolving, index: IndexServer) -> None:
    static(index, "top", "1")
    world.resolver(state=lambda: "serial 1").resolve(demand("top"), LINUX)
    static(index, "top", "2")
    assert pins(world.resolver(state=lambda: "serial 1").resolve(demand("top"), LINUX)) == ["top==1"]
    assert pins(world.resolver(state=lambda: "serial 2").resolve(demand("top"), LINUX)) == ["top==2"]


def test_no_requirements_need_no_resolver(world: Resolving, index: IndexServer) -> None:
    assert pins(world.resolver().resolve(demand(), LINUX)) == []
    assert pins(world.resolver().resolve(demand("demo @ git+https://example.invalid/x"), LINUX)) == []
    assert index.requests == []


def test_nothing_is_left_behind(world: Resolving, index: IndexServer, tmp_path: Path) -> None:
    static(index, "top", "1")
    world.resolver().resolve(demand("top"), LINUX)
    world.resolver().resolve(demand("top==9"), LINUX)
    assert sorted(path.name for path in (tmp_path / "resolver").iterdir()) == ["interpreters", "resolutions"]
