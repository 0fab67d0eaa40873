"""More spellings of targets, and machines of which only the tables tell: PyPy, free-threaded, macOS, 32-bit ARM."""

from __future__ import annotations

import platform
import sys
from dataclasses import replace

import pytest
from packaging.tags import Tag, mac_platforms, parse_tag

from farm.errors import UsageError
from farm.model.interpreter import Interpreter, differences, running, running_target, target_of
from farm.model.target import parse_target


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("cp312-manylinux_x86_64", "cp312-manylinux_2_28_x86_64"), ("cp314t-musllinux_aarch64", "cp314t-musllinux_1_2_aarch64"),
        ("cp312-manylinux_armv7l", "cp312-manylinux_2_31_armv7l"), ("cp313-macosx_arm64", "cp313-macosx_13_0_arm64"),
        ("cp312-manylinux1_i686", "cp312-manylinux_2_5_i686"), ("pp311-manylinux2010_x86_64", "pp311-manylinux_2_12_x86_64"),
        ("cp312-manylinux2014_aarch64", "cp312-manylinux_2_17_aarch64"),
    ],
)  # fmt: skip
def test_cibuildwheels_identifiers_and_legacy_aliases(given: str, read: str) -> None:
    assert parse_target(given).name == read


@pytest.mark.parametrize("name", ["native", "host"])
def test_native_is_the_running_interpreter(name: str) -> None:
    target = parse_target(name)
    assert target == running_target()
    assert target.full_version == platform.python_version()
    assert target.python == sys.version_info[:2]
    assert parse_target(target.full_name) == target


def test_only_a_guessed_patch_release_is_assumed() -> None:
    guessed = parse_target("cp311-win_amd64")
    said = parse_target(guessed.full_name)
    assert (guessed.assumed, said.assumed) == (True, False)
    assert guessed == said


def test_a_mac_is_not_universal() -> None:
    with pytest.raises(UsageError) as refused:
        parse_target("cp313-macosx_universal2")
    assert "cp313-macosx_14_0_arm64" in refused.value.solution
    assert parse_target("cp313-macosx_14_0_arm64").rank(parse_tag("cp313-cp313-macosx_10_13_universal2")) is not None


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("cp312-manylinux_2_28-x86_64", "cp312-manylinux_2_28_x86_64"), ("cp312-manylinux_2_34_amd64", "cp312-manylinux_2_34"),
        ("py312-win_amd64", "cp312-win_amd64"), ("cp314t-musllinux_1_2_arm64", "cp314t-musllinux_1_2_aarch64"),
        ("cp311-macosx_14_arm64", "cp311-macosx_14_0_arm64"),
    ],
)  # fmt: skip
def test_the_nearest_valid_names_are_told(wrong: str, near: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_target(wrong)
    assert near in refused.value.solution
    for name in refused.value.solution.removeprefix("perhaps you meant ").split(", "):
        assert parse_target(name).name == name


def test_pypy_takes_its_own_abi_and_what_is_pure_but_no_cpython_wheel() -> None:
    target = parse_target("pp311-manylinux_2_28_x86_64")
    taken = ["pp311-pypy311_pp73-manylinux_2_28_x86_64", "pp311-none-manylinux_2_17_x86_64", "pp311-none-any", "py3-none-any"]
    ranks = [target.rank(parse_tag(tag)) for tag in taken]
    assert None not in ranks
    assert ranks == sorted(ranks)  # type: ignore[type-var]
    assert target.rank(parse_tag("cp39-abi3-manylinux_2_17_x86_64")) is None
    assert target.markers["platform_python_implementation"] == "PyPy"
    assert target.markers["implementation_name"] == "pypy"


def test_the_stable_abi_of_free_threaded_pythons() -> None:
    """PEP 803: abi3t is taken by free-threaded builds only; a wheel for both is named abi3.abi3t."""
    free, gil = parse_target("cp315t-manylinux_2_28_x86_64"), parse_target("cp315-manylinux_2_28_x86_64")
    both = parse_tag("cp315-abi3.abi3t-manylinux_2_17_x86_64")
    assert free.rank(parse_tag("cp315-abi3t-manylinux_2_17_x86_64")) is not None
    assert gil.rank(parse_tag("cp315-abi3t-manylinux_2_17_x86_64")) is None
    assert free.rank(parse_tag("cp315-abi3-manylinux_2_17_x86_64")) is None
    assert free.rank(both) is not None
    assert gil.rank(both) is not None


def test_armv8l_takes_armv7l_wheels_after_its_own() -> None:
    target = parse_target("cp312-manylinux_2_31_armv8l")
    own, other = Tag("cp312", "cp312", "manylinux_2_17_armv8l"), Tag("cp312", "cp312", "manylinux_2_31_armv7l")
    assert target.ranks[own] < target.ranks[other]
    assert own not in parse_target("cp312-manylinux_2_31_armv7l").ranks


@pytest.mark.parametrize(("release", "arch"), [((14, 0), "arm64"), ((12, 0), "x86_64")])
def test_macos_has_packagings_platforms_in_its_order(release: tuple[int, int], arch: str) -> None:
    target = parse_target(f"cp313-macosx_{release[0]}_{release[1]}_{arch}")
    own = [tag.platform for tag in target.ranks if (tag.interpreter, tag.abi) == ("cp313", "cp313")]
    assert own == list(mac_platforms(release, arch))
    assert any(name.endswith("universal2") for name in own)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("cp312-win_amd64", ("nt", "win32", "Windows", "AMD64")), ("cp312-win_arm64", ("nt", "win32", "Windows", "ARM64")),
        ("cp312-macosx_14_0_arm64", ("posix", "darwin", "Darwin", "arm64")),
        ("cp312-musllinux_1_2_aarch64", ("posix", "linux", "Linux", "aarch64")),
    ],
)  # fmt: skip
def test_the_markers_of_each_system(name: str, values: tuple[str, ...]) -> None:
    markers = parse_target(name).markers
    assert tuple(markers[key] for key in ("os_name", "sys_platform", "platform_system", "platform_machine")) == values


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"libc": ("glibc", 2, 31), "tags": ()}, "cp312-manylinux_2_31_x86_64@3.12.4"),
        ({"libc": ("musl", 1, 2)}, "cp312-musllinux_1_2_x86_64@3.12.4"),
        ({"libc": ("glibc", 2, 36), "bits": 32}, "cp312-manylinux_2_36_i686@3.12.4"),
        ({"libc": ("glibc", 2, 36), "bits": 32, "platform": "linux-aarch64"}, "cp312-manylinux_2_36_armv8l@3.12.4"),
        ({"version": "3.14.0rc2", "free_threaded": True, "libc": ("glibc", 2, 36)}, "cp314t-manylinux_2_36_x86_64@3.14.0"),
        ({"implementation": "pypy", "version": "3.11.13", "libc": ("glibc", 2, 28)}, "pp311-manylinux_2_28_x86_64@3.11.13"),
        ({"platform": "win-amd64"}, "cp312-win_amd64@3.12.4"),
        ({"platform": "macosx-11.0-universal2", "tags": ("cp312-cp312-macosx_14_0_arm64",)}, "cp312-macosx_14_0_arm64@3.12.4"),
    ],
)  # fmt: skip
def test_the_target_that_an_interpreter_is(change: dict[str, object], name: str) -> None:
    base = Interpreter(
        path="python3", implementation="cpython", version="3.12.4", free_threaded=False, platform="linux-x86_64", bits=64, libc=None
    )
    assert target_of(replace(base, **change)).full_name == name  # type: ignore[arg-type]


def test_an_interpreter_that_no_target_is_like_is_refused() -> None:
    with pytest.raises(UsageError, match="graalpy"):
        target_of(replace(running(), implementation="graalpy"))


def test_differences_are_told_and_a_real_interpreter_has_none() -> None:
    here = running()
    tags = tuple(str(tag) for tag in running_target().ranks)
    assert differences(here, tags) == ()
    assert differences(replace(here, tags=here.tags[1:]), tags) == ("tags: 0 that the farm lacks, 1 that it lacks",)
    assert "sys_platform" in differences(replace(here, markers={"sys_platform": "plan9"}), tags)[0]
