"""All targets at once say what each of them says alone: uv, run for that target, is the oracle."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farm.config import ConfigError, parse
from farm.model.gap import Resolution, Unresolved
from farm.model.target import parse_target
from tests.fakes.index_server import IndexServer
from tests.fakes.resolving import Resolving, demand
from tests.projects.make import Made

if TYPE_CHECKING:

    from farm.model.target import Target


TARGETS = tuple(
    map(
        parse_target,
        (
            "cp310-manylinux_2_28_x86_64",
            "cp312-win_amd64",
            "cp313-macosx_14_0_arm64",
            "cp314t-musllinux_1_2_aarch64",
            "pp311-manylinux_2_28_x86_64",
            "cp314-manylinux_2_36_s390x",
        ),
    )
)
NAMES = ("ape", "bee", "cat", "dog")
VERSIONS = ("1.0", "1.5", "2.0", "3.0a1")
TAGS = (
    "py3-none-any",
    "cp310-abi3-manylinux_2_17_x86_64",
    "cp312-cp312-win_amd64",
    "cp313-cp313-macosx_11_0_arm64",
    "cp314-cp314t-musllinux_1_2_aarch64",
)
MARKERS = (
    "",
    "",
    "",
    "python_version < '3.12'",
    "python_full_version >= '3.13.1'",
    "sys_platform == 'win32'",
    "sys_platform != 'win32'",
    "platform_machine == 'aarch64'",
    "platform_machine == 's390x' or os_name == 'nt'",
    "platform_python_implementation == 'PyPy'",
    "implementation_name == 'cpython' and platform_system == 'Darwin'",
)


def requirement(names: tuple[str, ...]) -> st.SearchStrategy[str]:
    bounds = ("", "", "", ">=1.5", "<2", "==1.5", "!=2.0", "==2.0", ">1", "~=1.0", ">=3.0a1")
    return st.builds(
        lambda name, extra, bound, marker: f"{name}{extra}{bound}{f' ; {marker}' if marker else ''}",
        st.sampled_from(names),
        st.sampled_from(("", "", "[more]")),
        st.sampled_from(bounds),
        st.sampled_from(MARKERS),
    )


def release() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "requires": st.lists(requirement(NAMES), max_size=2),
            "more": st.lists(requirement(NAMES), max_size=1),
            "python": st.sampled_from((None, None, None, ">=3.12", ">=3.11,<3.14", "<3.12")),
            "tags": st.sets(st.sampled_from(TAGS), max_size=2),
            "sdist": st.booleans(),
            "yanked": st.sampled_from((False, False, False, True)),
        }
    )


WORLDS = st.dictionaries(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(VERSIONS)), release(), min_size=4, max_size=14
)
ASKED = st.lists(requirement(NAMES), min_size=1, max_size=3)
OPTIONS = st.sampled_from(({}, {}, {}, {"pre": True}, {"only_binary": frozenset({"ape"})}, {"no_binary": frozenset({":all:"})}))


def host(index: IndexServer, releases: dict[tuple[str, str], dict[str, Any]]) -> None:
    for (name, version), given_ in releases.items():
        extra = [_with_extra(text) for text in given_["more"]]
        made = Made(name=name, version=version, requires=(*given_["requires"], *extra), extras=("more",))
        page = {"yanked": given_["yanked"]} | ({"requires_python": given_["python"]} if given_["python"] else {})
        for tag in sorted(given_["tags"]):
            index.add(made.wheel(tag), metadata=made.metadata, **page)
        if given_["sdist"] or not given_["tags"]:
            index.add(made.sdist(), **page)


def _with_extra(text: str) -> str:
    bare, _, marker = text.partition(";")
    return f"{bare.strip()} ; ({marker.strip()}) and extra == 'more'" if marker else f"{bare} ; extra == 'more'"


def shown(found: Resolution | Unresolved) -> object:
    """What the user gets of it; the reasons of an Unresolved begin with the target's own words."""
    if isinstance(found, Unresolved):
        return "no solution"
    return [(str(pin.pin), pin.via, pin.dependencies) for pin in found.pins]


@settings(
    max_examples=int(os.environ.get("FARM_EXAMPLES", "12")), deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
@given(releases=WORLDS, wanted=ASKED, bounds=st.lists(requirement(NAMES), max_size=1), options=OPTIONS)
def test_all_at_once_is_each_alone(
    releases: dict[tuple[str, str], dict[str, Any]], wanted: list[str], bounds: list[str], options: dict[str, Any]
) -> None:
    with IndexServer() as index, tempfile.TemporaryDirectory() as folder:
        host(index, releases)
        plain = tuple(text.replace("[more]", "") for text in bounds)
        asked = demand(*wanted, constraints=plain, **options)
        world = Resolving(folder=Path(folder), index=index)
        together = world.resolver(cache=Path(folder) / "together").resolve_all(asked, TARGETS)
        alone = world.resolver(cache=Path(folder) / "alone")
        for target, found in zip(TARGETS, together, strict=True):
            assert found.target == target
            assert shown(found) == shown(alone.resolve(asked, target)), target
        world.close()


LINUX, WINDOWS = TARGETS[0], TARGETS[1]


def pins(found: Resolution | Unresolved) -> list[str]:
    assert isinstance(found, Resolution), found.explanation
    return [str(pin.pin) for pin in found.pins]


def solved(world: Resolving) -> bool:
    """Tell whether a solver ran: each run of uv leaves behind what it found out of the interpreter."""
    return (world.folder / "resolver" / "interpreters").exists()


def static(index: IndexServer, name: str, *versions: str, requires: tuple[str, ...] = (), **page: Any) -> None:
    for version in versions:
        made = Made(name=name, version=version, requires=requires)
        index.add(made.wheel(), metadata=made.metadata, **page)


def test_requirements_that_do_not_contradict_each_other_need_no_solver(world: Resolving, index: IndexServer) -> None:
    static(index, "top", "1", "2", requires=("leaf>=1,<3 ; sys_platform == 'win32'", "part[x]", "leaf!=2"))
    made = Made(name="part", version="1", requires=("deep ; extra == 'x'", "none ; extra == 'y'"), extras=("x", "y"))
    index.add(made.wheel(), metadata=made.metadata)
    static(index, "leaf", "1", "2.5", "3a1")
    static(index, "deep", "1")
    found = world.resolver().resolve_all(demand("top", "leaf ; sys_platform == 'win32'"), TARGETS)
    for each in found:
        assert pins(each) == ["deep==1", "leaf==2.5", "part==1", "top==2"]
    assert isinstance(found[1], Resolution)
    assert [(pin.via, pin.dependencies) for pin in found[1].pins] == [
        (("part",), ()),
        (("requirements.txt:2", "top"), ()),
        (("top",), ("deep",)),
        (("requirements.txt:1",), ("leaf", "part")),
    ]
    assert not solved(world)
    # Each page and each METADATA is asked for once, for all targets.
    assert len(index.requests) == len(set(index.requests)) == 8


def test_what_one_target_is_bound_to_does_not_bind_the_others(world: Resolving, index: IndexServer) -> None:
    """One solution for all markers would be cat 1 everywhere (uv --universal)."""
    static(index, "ape", "1", requires=("cat<2 ; sys_platform == 'win32'",))
    static(index, "cat", "1", "2")
    found = world.resolver().resolve_all(demand("ape", "cat"), (LINUX, WINDOWS))
    assert [pins(each) for each in found] == [["ape==1", "cat==2"], ["ape==1", "cat==1"]]


def test_pins_that_a_python_refuses_are_that_targets_own_failure(world: Resolving, index: IndexServer) -> None:
    static(index, "new", "1", requires_python=">=3.12")
    static(index, "fine", "1")
    linux, windows = world.resolver().resolve_all(demand("new==1", "fine==1"), (LINUX, WINDOWS))
    assert pins(windows) == ["fine==1", "new==1"]
    assert isinstance(linux, Unresolved)
    assert linux.explanation.splitlines()[0].startswith("requirements.txt:1: new==1 needs Python >=3.12;")


def test_an_upper_bound_on_python_counts_as_for_pip(world: Resolving, index: IndexServer) -> None:
    static(index, "capped", "1", requires_python=">=3.8")
    static(index, "capped", "2", requires_python=">=3.8,<3.11")
    alone = [world.resolver().resolve(demand("capped"), target) for target in (LINUX, WINDOWS)]
    for found in (alone, world.resolver(refresh=True).resolve_all(demand("capped"), (LINUX, WINDOWS))):
        assert [pins(each) for each in found] == [["capped==2"], ["capped==1"]]


def test_wheels_that_say_different_things_by_their_digests_are_read_apart(world: Resolving, index: IndexServer) -> None:
    for tag, needs in (("cp310-cp310-manylinux_2_17_x86_64", "on-linux"), ("cp312-cp312-win_amd64", "on-windows")):
        made = Made(name="torch-like", version="1", requires=(needs,))
        index.add(made.wheel(tag), metadata=made.metadata)
        static(index, needs, "1")
    found = world.resolver().resolve_all(demand("torch-like"), (LINUX, WINDOWS))
    assert [pins(each) for each in found] == [["on-linux==1", "torch-like==1"], ["on-windows==1", "torch-like==1"]]


def test_answers_are_kept_by_target(world: Resolving, index: IndexServer) -> None:
    static(index, "top", "1")
    world.resolver().resolve_all(demand("top"), (LINUX, WINDOWS))
    asked = len(index.requests)
    assert pins(world.resolver().resolve_all(demand("top"), (WINDOWS, LINUX))[1]) == ["top==1"]
    assert pins(world.resolver().resolve(demand("top"), LINUX)) == ["top==1"]
    assert len(index.requests) == asked
    assert not solved(world)


def test_no_target_and_nothing_asked_for(world: Resolving, index: IndexServer) -> None:
    assert world.resolver().resolve_all(demand("top"), ()) == ()
    found = world.resolver().resolve_all(demand("top ; sys_platform == 'aix'"), (LINUX, WINDOWS))
    assert [pins(each) for each in found] == [[], []]
    assert index.requests == []


NOW = 1_800_000_000.0
DAY = 86400.0


def days_ago(days: float) -> str:
    return datetime.fromtimestamp(NOW - days * DAY, UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("targets", [(LINUX,), (LINUX, WINDOWS)], ids=["one", "two"])
def test_the_cool_down(targets: tuple[Target, ...], world: Resolving, index: IndexServer) -> None:
    static(index, "aged", "1", upload_time=days_ago(8))
    static(index, "aged", "2", upload_time=days_ago(6))
    static(index, "fresh", "1", upload_time=days_ago(1))
    static(index, "ageless", "1")
    notes: list[str] = []

    def resolve(*texts: str, cool_down: float = 7 * DAY, **more: Any) -> Resolution | Unresolved:
        resolver = world.resolver(cool_down=cool_down, now=lambda: NOW, note=notes.append)
        found = resolver.resolve_all(demand(*texts, **more), targets)
        assert len({str(shown(each)) for each in found}) == 1
        return found[0]

    assert pins(resolve("aged")) == ["aged==1"]
    assert pins(resolve("aged", cool_down=0)) == ["aged==2"]
    assert pins(resolve("aged", cool_down=5 * DAY)) == ["aged==2"]
    assert pins(resolve("aged==2")) == ["aged==2"]
    assert pins(resolve("aged", constraints=("aged==2",))) == ["aged==2"]
    assert notes == []
    young = resolve("fresh")
    assert isinstance(young, Unresolved)
    assert young.explanation.splitlines()[0] == (
        "requirements.txt:1: fresh: no such version; the index lists no file of it;"
        " the cool-down leaves out 1 more: name a version with == to take it"
    )
    assert isinstance(resolve("ageless"), Unresolved)
    assert notes[0].startswith("ageless: the index tells no upload time for 1 version,")
    assert pins(resolve("ageless==1")) == ["ageless==1"]
    # What a pin for another machine lets in is not let in here.
    assert pins(resolve("aged", "aged==2 ; sys_platform == 'darwin'")) == ["aged==1"]


def test_the_cool_down_leaves_out_single_files(world: Resolving, index: IndexServer) -> None:
    made = Made(name="late", version="1", requires=("evil",))
    index.add(Made(name="late", version="1").sdist(), upload_time=days_ago(400))
    index.add(made.wheel(), metadata=made.metadata, upload_time=days_ago(1))
    resolver = world.resolver(cool_down=7 * DAY, now=lambda: NOW)
    assert [pins(each) for each in resolver.resolve_all(demand("late"), (LINUX, WINDOWS))] == [["late==1"]] * 2


@pytest.mark.parametrize("targets", [(LINUX,), (LINUX, WINDOWS)], ids=["one", "two"])
def test_yanked_versions_are_for_the_targets_that_pin_them(
    targets: tuple[Target, ...], world: Resolving, index: IndexServer
) -> None:
    static(index, "demo", "1")
    static(index, "demo", "2", yanked="broken")
    found = world.resolver().resolve_all(demand("demo", "demo==2 ; sys_platform == 'win32'"), targets)
    assert [pins(each) for each in found] == [["demo==1"], ["demo==2"]][: len(targets)]


@pytest.mark.parametrize("targets", [(LINUX,), (LINUX, WINDOWS)], ids=["one", "two"])
def test_prefer_binary_gives_way_where_it_must(targets: tuple[Target, ...], world: Resolving, index: IndexServer) -> None:
    static(index, "demo", "1", "2")
    index.add(Made(name="demo", version="3").sdist())
    static(index, "needs-new", "1", requires=("demo>=3",))
    index.add(Made(name="source", version="1").sdist())

    def resolve(*texts: str, **options: Any) -> list[str]:
        found = world.resolver().resolve_all(demand(*texts, **options), targets)
        assert len({str(shown(each)) for each in found}) == 1
        return pins(found[0])

    assert resolve("demo") == ["demo==3"]
    assert resolve("demo", "source", prefer_binary=True) == ["demo==2", "source==1"]
    assert resolve("demo>=3", prefer_binary=True) == ["demo==3"]
    assert resolve("needs-new", prefer_binary=True) == ["demo==3", "needs-new==1"]


@pytest.mark.parametrize("targets", [(LINUX,), (LINUX, WINDOWS)], ids=["one", "two"])
def test_private_names_are_never_asked_upstream(targets: tuple[Target, ...], world: Resolving, index: IndexServer) -> None:
    static(index, "public", "1", requires=("acme-secret",))
    static(index, "acme-secret", "1")
    world.private = ("acme-*",)
    found = world.resolver().resolve_all(demand("public", "acme-other"), targets)
    assert all(isinstance(each, Unresolved) for each in found)
    assert index.asked("acme") == 0
    with IndexServer() as own:
        static(own, "acme-secret", "7")
        inner = Resolving(folder=world.folder / "own", index=own)
        world.farm = inner.upstream()[1]
        found = world.resolver().resolve_all(demand("public"), targets)
        assert [pins(each) for each in found] == [["acme-secret==7", "public==1"]] * len(targets)
        inner.close()
    assert index.asked("acme") == 0


@pytest.mark.parametrize(("value", "seconds"), [("7d", 7 * DAY), ("36h", 1.5 * DAY), ("2w", 14 * DAY), (0, 0.0)])
def test_the_cool_down_in_the_configuration(value: object, seconds: float, tmp_path: Path) -> None:
    assert parse({"policy": {"cool-down": value}}, source="config.toml", folder=tmp_path).cool_down == seconds


@pytest.mark.parametrize("value", ["7", "7 days", -1, True, 7])
def test_a_cool_down_without_a_unit_is_refused(value: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"policy\.cool-down: expected an age such as"):
        parse({"policy": {"cool-down": value}}, source="config.toml", folder=tmp_path)
