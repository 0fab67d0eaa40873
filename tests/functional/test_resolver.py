"""Real uv against a real index on the loopback interface: what it settles on, what it says, and that it runs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from farm.adapters.uv_compile import uv_platform
from farm.model.gap import Resolution
from farm.model.target import Target, parse_target
from tests.fakes.resolving import Resolving, demand, explanation, pins, static
from tests.projects.make import Made

if TYPE_CHECKING:
    from pathlib import Path

    from farm.model.package import IndexFile, Pin
    from tests.fakes.index_server import IndexServer

LINUX = parse_target("cp311-manylinux_2_36_x86_64")
WINDOWS = parse_target("cp312-win_amd64")


def test_pins_edges_and_where_they_come_from(world: Resolving, index: IndexServer) -> None:
    static(index, "top", "1.0", "2.0", requires=("Middle_Part>=1", "extra-part ; extra == 'x'"))
    static(index, "middle-part", "1.0", requires=("leaf",))
    static(index, "leaf", "1.0", "1.5")
    static(index, "extra-part", "3")
    found = world.resolver().resolve(demand("top", "leaf<1.5", constraints=("top<2",)), LINUX)
    assert pins(found) == ["leaf==1.0", "middle-part==1.0", "top==1.0"]
    assert isinstance(found, Resolution)
    assert [(pin.via, pin.dependencies) for pin in found.pins] == [
        (("requirements.txt:2", "middle-part"), ()),
        (("top",), ("leaf",)),
        (("requirements.txt:1",), ("middle-part",)),
    ]


def test_extras_are_followed(world: Resolving, index: IndexServer) -> None:
    made = Made(name="top", version="1", requires=("part ; extra == 'x'",), extras=("x",))
    index.add(made.sdist())
    static(index, "part", "1")
    assert pins(world.resolver().resolve(demand("top[x]"), LINUX)) == ["part==1", "top==1"]
    assert pins(world.resolver().resolve(demand("top"), LINUX)) == ["top==1"]


def test_markers_are_the_targets(world: Resolving, index: IndexServer) -> None:
    static(index, "top", "1", requires=("on-windows ; sys_platform == 'win32'", "old ; python_full_version < '3.11.3'"))
    static(index, "on-windows", "1")
    static(index, "old", "1")
    static(index, "direct", "1")
    wanted = demand("top", "direct ; platform_system == 'Windows'")
    assert pins(world.resolver().resolve(wanted, LINUX)) == ["old==1", "top==1"]
    assert pins(world.resolver().resolve(wanted, WINDOWS)) == ["direct==1", "on-windows==1", "top==1"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("pp311-manylinux_2_28_x86_64", ["on-pypy==1", "top==1"]),
        ("cp312-manylinux_2_28_ppc64le", ["on-power==1", "top==1"]),
        ("cp314t-musllinux_1_2_aarch64", ["on-arm==1", "top==1"]),
        ("cp313-macosx_14_0_arm64", ["on-mac==1", "top==1"]),
    ],
)
def test_targets_that_uv_cannot_name_get_their_own_markers(
    target: str, expected: list[str], world: Resolving, index: IndexServer
) -> None:
    static(
        index,
        "top",
        "1",
        requires=(
            "on-pypy ; platform_python_implementation == 'PyPy'",
            "on-power ; platform_machine == 'ppc64le'",
            "on-arm ; platform_machine == 'aarch64'",
            "on-mac ; sys_platform == 'darwin' and platform_machine == 'arm64'",
        ),
    )
    for name in ("on-pypy", "on-power", "on-arm", "on-mac"):
        static(index, name, "1")
    wanted = demand("top", "on-pypy ; implementation_name == 'pypy'")
    assert pins(world.resolver().resolve(wanted, parse_target(target))) == expected


@pytest.mark.parametrize(
    ("target", "name", "exact"),
    [
        ("cp311-manylinux_2_36_x86_64", "x86_64-manylinux_2_36", True),
        ("cp313-manylinux_2_41_aarch64", "aarch64-manylinux_2_40", True),
        ("cp313-manylinux_2_30_x86_64", "x86_64-manylinux_2_28", True),
        ("cp310-manylinux2010_x86_64", "x86_64-manylinux_2_17", True),
        ("cp314t-musllinux_1_1_x86_64", "x86_64-unknown-linux-musl", True),
        ("cp312-manylinux_2_28_s390x", "x86_64-manylinux_2_28", False),
        ("cp312-manylinux_2_35_riscv64", "riscv64-unknown-linux", True),
        ("pp311-macosx_13_0_x86_64", "x86_64-apple-darwin", False),
        ("cp312-win32", "i686-pc-windows-msvc", True),
    ],
)
def test_the_nearest_platform_that_uv_knows(target: str, name: str, exact: bool) -> None:
    found = uv_platform(parse_target(target))
    assert (found.name, found.exact) == (name, exact)


def test_a_version_with_only_an_sdist_is_not_passed_over(world: Resolving, index: IndexServer) -> None:
    index.add(Made(name="demo", version="1.0").wheel())
    static(index, "demo", "1.0", "2.0")
    assert pins(world.resolver().resolve(demand("demo"), LINUX)) == ["demo==2.0"]


def test_wheels_of_another_platform_tell_the_dependencies(world: Resolving, index: IndexServer) -> None:
    made = Made(name="psycopg2", version="2.9", requires=("needed",))
    name, data = made.wheel("cp311-cp311-win_amd64")
    index.add((name, data), metadata=made.metadata)
    index.add(Made(name="psycopg2", version="2.9", metadata_version="1.0").sdist())
    static(index, "needed", "1")
    assert pins(world.resolver().resolve(demand("psycopg2"), LINUX)) == ["needed==1", "psycopg2==2.9"]
    assert index.asked("psycopg2-2.9.tar.gz") == 0


def test_metadata_out_of_a_wheel_where_the_index_serves_none(world: Resolving, index: IndexServer) -> None:
    made = Made(name="demo", version="1", requires=("needed",), files={})
    name, data = made.wheel("cp311-cp311-manylinux_2_17_x86_64")
    index.add((name, data))
    static(index, "needed", "1")
    assert pins(world.resolver().resolve(demand("demo"), LINUX)) == ["demo==1", "needed==1"]


def test_no_code_of_a_package_runs(world: Resolving, index: IndexServer, tmp_path: Path) -> None:
    told = tmp_path / "it ran"
    code = f"open({str(told)!r}, 'w').write('x')\nfrom setuptools import setup\nsetup()\n"
    backend = f"open({str(told)!r}, 'w').write('x')\n"
    pyproject = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    index.add(Made(name="legacy", version="1", metadata_version="1.0", files={"setup.py": code}).sdist())
    index.add(
        Made(
            name="modern",
            version="1",
            metadata_version="2.1",
            files={"pyproject.toml": pyproject, "backend.py": backend},
        ).sdist()
    )
    index.add(Made(name="lies", version="1", dynamic=("Requires-Dist",), files={"setup.py": code}).sdist())
    url = f"{index.url.removesuffix('/simple')}/files/legacy/legacy-1.tar.gz"
    assert pins(world.resolver().resolve(demand("modern", "lies", f"legacy @ {url}"), LINUX)) == [
        "legacy==1",
        "lies==1",
        "modern==1",
    ]
    assert not told.exists()


def test_a_guess_is_confirmed_once_and_remembered(world: Resolving, index: IndexServer) -> None:
    guess = Made(name="guess", version="1", metadata_version="1.0", files={"guess.egg-info/requires.txt": "first\n"})
    index.add(guess.sdist())
    static(index, "first", "1")
    static(index, "second", "1")
    asked: list[tuple[str, str, str]] = []

    def prepare(pin: Pin, file: IndexFile, target: Target) -> str:
        asked.append((str(pin), file.filename, target.name))
        return "Metadata-Version: 2.1\nName: guess\nVersion: 1\nRequires-Dist: second\n"

    assert pins(world.resolver(prepare=prepare).resolve(demand("guess"), LINUX)) == ["guess==1", "second==1"]
    assert asked == [("guess==1", "guess-1.tar.gz", LINUX.name)]
    again = world.resolver(prepare=prepare, refresh=True).resolve(
        demand("guess"), parse_target("cp311-manylinux_2_28_x86_64")
    )
    assert pins(again) == ["guess==1", "second==1"]
    assert len(asked) == 1
    # Another Python may compute other dependencies.
    world.resolver(prepare=prepare).resolve(demand("guess"), parse_target("cp312-manylinux_2_28_x86_64"))
    assert len(asked) == 2


def test_a_guess_that_nobody_can_confirm_is_noted(world: Resolving, index: IndexServer) -> None:
    index.add(Made(name="guess", version="1", metadata_version="1.0").sdist())
    notes: list[str] = []
    for prepare in (None, lambda pin, file, target: None):
        found = world.resolver(prepare=prepare, note=notes.append, refresh=True).resolve(demand("guess"), LINUX)
        assert pins(found) == ["guess==1"]
    assert len(notes) == 2
    assert notes[0].startswith("guess==1: ")


def test_candidates_that_are_not_settled_on_are_never_prepared(world: Resolving, index: IndexServer) -> None:
    for version in ("1", "2", "3"):
        needs = "leaf<1\n" if version == "3" else "leaf\n"
        index.add(
            Made(
                name="guess", version=version, metadata_version="1.0", files={"g.egg-info/requires.txt": needs}
            ).sdist()
        )
    static(index, "leaf", "1")
    asked: list[str] = []

    def prepare(pin: Pin, file: IndexFile, target: Target) -> str:
        asked.append(str(pin))
        return f"Metadata-Version: 2.1\nName: guess\nVersion: {pin.version}\nRequires-Dist: leaf\n"

    assert pins(world.resolver(prepare=prepare).resolve(demand("guess", "leaf"), LINUX)) == ["guess==2", "leaf==1"]
    assert asked == ["guess==2"]


def test_dependencies_that_never_settle_are_given_up(world: Resolving, index: IndexServer) -> None:
    for number in range(10):
        index.add(Made(name=f"p{number}", version="1", metadata_version="1.0").sdist())

    def prepare(pin: Pin, file: IndexFile, target: Target) -> str:
        after = f"Requires-Dist: p{int(pin.name[1:]) + 1}\n"
        return f"Metadata-Version: 2.1\nName: {pin.name}\nVersion: 1\n{after}"

    assert "did not settle in 5 rounds" in explanation(world.resolver(prepare=prepare).resolve(demand("p0"), LINUX))
