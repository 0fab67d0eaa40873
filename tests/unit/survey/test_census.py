"""Which configured target serves a client, and which targets are proposed for those that none serves."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from packaging.utils import canonicalize_name

from farm.model.demand_seen import Miss, Visits
from farm.model.target import parse_target
from farm.survey.census import serving, take_census, wanted, with_images

NAMES = ("cp312-manylinux_2_28_x86_64", "cp312-manylinux_2_36_x86_64", "cp314-musllinux_1_2_x86_64", "cp314t-musllinux_1_2_x86_64")
CONFIGURED = tuple(map(parse_target, NAMES))


def visit(target: str, count: int, client: str = "pip 25.3") -> Visits:
    return Visits(target=target, client=client, count=count)


@pytest.mark.parametrize(
    ("client", "served"),
    [
        ("cp312-manylinux_2_41_x86_64", ["cp312-manylinux_2_36_x86_64", "cp312-manylinux_2_28_x86_64"]),
        ("cp312-manylinux_2_31_x86_64", ["cp312-manylinux_2_28_x86_64"]),
        ("cp312-manylinux_2_17_x86_64", []),
        ("cp312-manylinux_2_41_aarch64", []),
        ("cp311-manylinux_2_41_x86_64", []),
        # A free-threaded client looks the same.
        ("cp314-musllinux_1_2_x86_64", ["cp314-musllinux_1_2_x86_64", "cp314t-musllinux_1_2_x86_64"]),
        ("cp314-manylinux_2_41_x86_64", []),
        ("", []),
    ],
)
def test_who_takes_the_wheels_of_which_target(client: str, served: list[str]) -> None:
    assert [target.name for target in serving(client, CONFIGURED)] == served


def test_what_is_wanted_is_for_the_nearest_target_and_its_free_threaded_twin() -> None:
    misses = [
        Miss(name=canonicalize_name("demo"), version="1.0", target=target, count=count, last=datetime.now(UTC))
        for target, count in (
            ("cp312-manylinux_2_41_x86_64", 3), ("cp312-manylinux_2_36_x86_64", 4), ("cp314-musllinux_1_2_x86_64", 1), ("", 9),
            ("cp310-win32", 9),
        )
    ]  # fmt: skip
    assert wanted(misses, CONFIGURED) == {
        ("demo", "1.0"): {"cp312-manylinux_2_36_x86_64": 7, "cp314-musllinux_1_2_x86_64": 1, "cp314t-musllinux_1_2_x86_64": 1}
    }


def test_shares_are_of_those_who_tell_what_they_are() -> None:
    visits = [visit("cp312-manylinux_2_36_x86_64", 30), visit("cp312-manylinux_2_41_x86_64", 10, "uv 0.8"), visit("", 60, "poetry 1.8")]
    census = take_census(visits, CONFIGURED)
    assert (census.total, census.untold, census.by_untold) == (100, 60, (("poetry 1.8", 60),))
    assert [one.share for one in census.met] == [0.75, 0.25]
    assert {one.served for one in census.met} == {"cp312-manylinux_2_36_x86_64"}
    assert census.proposals == ()


def test_the_proposed_level_is_the_highest_that_serves_most_of_a_kind() -> None:
    levels = {"2_41": 50, "2_36": 46, "2_17": 4}
    census = take_census([visit(f"cp313-manylinux_{level}_x86_64", count) for level, count in levels.items()], CONFIGURED)
    (one,) = census.proposals
    assert (one.target, round(one.serves, 2)) == ("cp313-manylinux_2_36_x86_64", 0.96)
    assert "cp313-manylinux_2_17_x86_64 would serve the other 4.0% too" in one.why


def test_each_kind_gets_a_proposal_of_its_own_unless_it_is_next_to_nobody() -> None:
    names = ["cp313-manylinux_2_36_x86_64", "cp313-musllinux_1_2_x86_64", "cp313-macosx_14_0_arm64", "cp39-win32"]
    census = take_census([visit(name, count) for name, count in zip(names, (600, 300, 95, 5), strict=True)], CONFIGURED)
    assert [one.target for one in census.proposals] == names[:3]
    told = with_images(census, {"cp313-macosx_14_0_arm64": "no image builds for macOS"})
    assert [one.lacking for one in told.proposals] == ["", "", "no image builds for macOS"]


def test_nobody_is_a_census_too() -> None:
    assert take_census([], CONFIGURED).met == ()
