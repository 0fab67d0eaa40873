"""Target names, their tags and markers, checked against packaging's own answers."""

from __future__ import annotations

import platform
import sys

import pytest
from packaging.markers import default_environment
from packaging.tags import sys_tags

from farm.errors import UsageError
from farm.model.target import parse_target


@pytest.mark.parametrize(
    "name",
    [
        "cp312-manylinux_2_28_x86_64", "cp314t-musllinux_1_2_aarch64", "cp313-macosx_14_0_arm64", "cp312-win_amd64",
        "pp311-manylinux_2_17_x86_64",
    ],
)
def test_a_name_reads_back(name: str) -> None:
    assert parse_target(name).name == name


def test_a_legacy_alias_is_read_as_its_level() -> None:
    assert parse_target("cp311-manylinux2014_x86_64").name == "cp311-manylinux_2_17_x86_64"


def test_the_patch_release_can_be_given() -> None:
    assert parse_target("cp311-win_amd64@3.11.9").markers["python_full_version"] == "3.11.9"


@pytest.mark.parametrize(
    "name", ["cp312-manylinux_x86", "python3.12", "cp311t-win_amd64", "cp312-linux_2_1_sparc", "cp311-win_amd64@3.12.1", ""]
)
def test_an_unknown_name_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(UsageError, match="expected PYTHON-PLATFORM") as refused:
        parse_target(name)
    assert "cp3" in refused.value.solution


def test_the_nearest_names_are_offered() -> None:
    with pytest.raises(UsageError) as refused:
        parse_target("cp312-manylinux_2_28_x86-64")
    assert "cp312-manylinux_2_28_x86_64" in refused.value.solution


@pytest.mark.skipif(platform.system() != "Linux" or platform.libc_ver()[0] != "glibc", reason="compares with a glibc Linux host")
def test_tags_and_markers_are_those_of_the_running_interpreter() -> None:
    _, level = platform.libc_ver()
    major, minor = level.split(".")[:2]
    python = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    arch = platform.machine()
    here = parse_target(f"cp{sys.version_info.major}{sys.version_info.minor}-manylinux_{major}_{minor}_{arch}@{python}")
    assert list(here.ranks) == list(dict.fromkeys(sys_tags()))
    mine = default_environment()
    for key, value in here.markers.items():
        if key not in {"platform_release", "platform_version"}:
            assert mine[key] == value, key


def test_free_threaded_takes_no_abi3() -> None:
    tags = {str(tag) for tag in parse_target("cp313t-manylinux_2_28_x86_64").ranks}
    assert "cp313-cp313t-manylinux_2_28_x86_64" in tags
    assert not any("-abi3-" in tag for tag in tags)


def test_musl_and_glibc_do_not_mix() -> None:
    tags = {tag.platform for tag in parse_target("cp313-musllinux_1_2_x86_64").ranks}
    assert {"musllinux_1_2_x86_64", "musllinux_1_1_x86_64", "linux_x86_64", "any"} <= tags
    assert not any(tag.startswith("manylinux") for tag in tags)
