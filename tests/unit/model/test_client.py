"""Which pip knows which tag, and the order in which clients rank them: the table, and real pips where there are any."""

from __future__ import annotations

import pytest
from packaging.tags import parse_tag
from packaging.version import Version

from farm.errors import UsageError
from farm.model.client import Client, client_ranks, first_pip, needed_pip, parse_pip, visible
from farm.model.target import parse_target

TARGET = parse_target("cp312-manylinux_2_28_x86_64")


@pytest.mark.parametrize(
    ("tag", "since"),
    [
        ("py3-none-any", "0"), ("cp39-cp39-linux_x86_64", "0"), ("cp39-cp39-win_amd64", "0"),
        ("cp39-cp39-macosx_10_9_x86_64", "0"), ("cp39-cp39-macosx_11_0_arm64", "20.3"), ("cp39-abi3-macosx_14_0_universal2", "20.3"),
        ("cp39-cp39-manylinux1_x86_64", "8.1"), ("cp39-cp39-manylinux2010_x86_64", "19.0"), ("cp39-cp39-manylinux2014_aarch64", "19.3"),
        ("cp39-cp39-manylinux_2_5_x86_64", "20.3"), ("cp39-cp39-manylinux_2_28_x86_64", "20.3"),
        ("cp39-cp39-musllinux_1_2_x86_64", "21.2"), ("cp313-cp313t-manylinux2014_x86_64", "24.1"), ("cp314-cp314t-win_amd64", "24.1"),
        ("cp315-abi3t-manylinux_2_28_x86_64", "26.1"), ("cp313-cp313-ios_13_0_arm64_iphoneos", "24.3"),
        ("cp313-cp313-android_21_arm64_v8a", "25.1"),
    ],
)  # fmt: skip
def test_the_first_pip_that_knows_a_tag(tag: str, since: str) -> None:
    (one,) = parse_tag(tag)
    assert first_pip(one) == Version(since)
    assert visible({one}, Version(since)) == {one}
    assert since == "0" or not visible({one}, Version("1.0"))


def test_one_known_tag_of_a_compressed_set_is_enough() -> None:
    double = parse_tag("cp312-cp312-manylinux2014_x86_64.manylinux_2_17_x86_64")
    assert visible(double, Version("20.2"))
    assert needed_pip(double, TARGET) == Version("19.3")
    assert needed_pip(parse_tag("cp312-cp312-manylinux_2_17_x86_64"), TARGET) == Version("20.3")
    assert needed_pip(parse_tag("cp312-cp312-manylinux_2_39_x86_64"), TARGET) is None


def test_linux_comes_first_for_pip_26_3_and_last_for_older_ones_and_uv() -> None:
    (linux,), (manylinux,) = parse_tag("cp312-cp312-linux_x86_64"), parse_tag("cp312-cp312-manylinux_2_17_x86_64")
    for client, first in (
        (Client(), True), (Client(version=Version("26.3")), True), (Client(version=Version("26.2")), False), (Client(name="uv"), False),
    ):  # fmt: skip
        ranks = client_ranks(TARGET, client)
        assert (ranks[linux] < ranks[manylinux]) is first, client


def test_an_old_pip_ranks_what_it_knows_without_holes() -> None:
    ranks = client_ranks(TARGET, Client(version=Version("20.2")))
    assert sorted(ranks.values()) == list(range(len(ranks)))
    assert {tag.platform for tag in ranks} == {"linux_x86_64", "manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "any"}


def test_what_is_no_version_is_refused() -> None:
    with pytest.raises(UsageError, match="expected a version of pip"):
        parse_pip("old")
