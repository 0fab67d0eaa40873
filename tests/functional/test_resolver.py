"""Real uv against a real index on the loopback interface: what it settles on, what it says, and that it runs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from farm.adapters.uv_compile import uv_platform
from farm.errors import UpstreamError
from farm.model.gap import Resolution, Unresolved
from farm.model.target import Target, parse_target
from tests.fakes.index_server import IndexServer
from tests.fakes.resolving import Resolving, demand
from tests.projects.make import Made

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from farm.model.package import IndexFile, Pin

LINUX = parse_target("cp311-manylinux_2_36_x86_64")
WINDOWS = parse_target("cp312-win_amd64")


@pytest.fixture
def index() -> Iterator[IndexServer]:
    with IndexServer() as server:
        yield server


@pytest.fixture
def world(index: IndexServer, tmp_path: Path) -> Iterator[Resolving]:
    made = Resolving(folder=tmp_path, index=index)
    yield made
    made.close()


def pins(found: Resolution | Unresolved) -> list[str]:
    assert isinstance(found, Resolution), found.explanation
    return [str(pin.pin) for pin in found.pins]


def explanation(found: Resolution | Unresolved) -> str:
    assert isinstance(found, Unresolved), pins(found)
    assert "127.0.0.1" not in found.explanation
    assert "py3-none-any" not in found.explanation
    assert "no-build" not in found.explanation
    assert "uv " not in found.explanation
    return found.explanation


def static(index: IndexServer, name: str, *versions: str, requires: tuple[str, ...] = (), **page: Any) -> None:
    for version in versions:
        index.add(Made(name=name, version=version, requires=requires).sdist(), **page)


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
