"""What a campaign wants and where it stands, and which gaps stay gaps, over indexes in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name as canonical

from farm.model.backfill import CLOSED_AFTER_DAYS, Use, Want
from farm.model.campaign import Board, Campaign, Goal, Wish
from farm.model.package import Version
from farm.survey.backfill import Ground, lasting_gaps
from farm.survey.campaign import Field, Past, goals, newest_release
from farm.survey.cost import PastBuild
from farm.survey.detect import DetectPolicy
from tests.fakes.index import FakeIndex
from tests.fakes.nouns import CP313, NOON, index_file, project

if TYPE_CHECKING:
    from farm.model.backfill import Backfill
    from farm.model.campaign import Versions
    from farm.model.package import Project

NOTHING = Past(last={}, builds={})


def wish(name: str, *versions: str, sets: int = 1) -> Wish:
    return Wish(name=canonical(name), versions=tuple(map(Version, versions)), sets=sets)


def board(
    wishes: list[Wish], *pages: Project, versions: Versions = "both", past: Past = NOTHING, ours: tuple[Project, ...] = (), down: str = ""
) -> list[tuple[str, str, str]]:
    field = Field(target=CP313, upstream=FakeIndex(*pages, down=frozenset({down})), farm=FakeIndex(*ours), policy=DetectPolicy())
    return [(goal.name, str(goal.version or ""), goal.state) for goal in goals(wishes, versions, field, past)]


def test_the_newest_release_goes_first_and_older_ones_wait_for_it() -> None:
    page = project("a", "a-1.0.tar.gz", "a-2.0.tar.gz", "a-3.0rc1.tar.gz")
    assert board([wish("a", "1.0")], page) == [("a", "2.0", "build"), ("a", "1.0", "waiting")]
    assert board([wish("a", "1.0")], page, versions="newest") == [("a", "2.0", "build")]
    assert board([wish("a", "1.0")], page, versions="pinned") == [("a", "1.0", "build")]


def test_once_the_newest_is_there_older_ones_are_built() -> None:
    page = project("a", "a-1.0.tar.gz", "a-2.0.tar.gz")
    ours = project("a", "a-2.0-cp313-cp313-manylinux_2_41_x86_64.whl")
    assert board([wish("a", "1.0", "2.0")], page, ours=(ours,)) == [("a", "2.0", "farm"), ("a", "1.0", "build")]


def test_where_the_newest_failed_older_ones_are_skipped_and_that_is_said() -> None:
    page = project("a", "a-1.0.tar.gz", "a-2.0.tar.gz")
    past = Past(last={("a", "2.0", CP313.name): ("failed", "python-api-removed")}, builds={})
    assert board([wish("a", "1.0")], page, past=past) == [("a", "2.0", "failed"), ("a", "1.0", "skipped")]
    elsewhere = Past(last={("a", "2.0", "cp311-manylinux_2_36_x86_64"): ("failed", "x")}, builds={})
    assert board([wish("a", "1.0")], page, past=elsewhere)[0][2] == "build"


def test_what_most_sets_want_goes_first_and_no_project_stops_another() -> None:
    pages = (project("good", "good-1.0.tar.gz"), project("wheel", "wheel-1.0-py3-none-any.whl"))
    wishes = [wish("absent", "1.0", sets=9), wish("down", "1.0", sets=5), wish("good", "1.0"), wish("wheel", "1.0", sets=7)]
    assert board(wishes, *pages, down="down") == [
        ("absent", "1.0", "impossible"), ("wheel", "1.0", "upstream"), ("down", "", "unknown"), ("good", "1.0", "build"),
    ]  # fmt: skip


def test_a_release_that_does_not_admit_the_python_is_not_its_newest() -> None:
    old = index_file("a-1.0.tar.gz", requires_python=">=3.8")
    new = index_file("a-2.0.tar.gz", requires_python=">=3.14")
    gone = index_file("a-1.5.tar.gz", yanked="broken")
    page = replace(project("a"), files=(old, new, gone))
    assert newest_release(page, CP313) == Version("1.0")
    only = replace(project("a"), files=(new,))
    assert board([wish("a")], only, versions="newest") == [("a", "", "impossible")]


def test_hours_are_predicted_by_the_nearest_past_build_and_by_nothing_else() -> None:
    name = canonical("a")
    past = Past(
        last={},
        builds={name: [
            PastBuild(name=name, version=Version("2.0"), target="other", seconds=50.0),
            PastBuild(name=name, version=Version("1.9"), target=CP313.name, seconds=70.0),
        ]},
    )  # fmt: skip
    upstream = FakeIndex(project("a", "a-2.0.tar.gz"), project("b", "b-1.0.tar.gz"))
    field = Field(target=CP313, upstream=upstream, farm=FakeIndex(), policy=DetectPolicy())
    found = goals([wish("a", sets=2), wish("b")], "newest", field, past)
    assert [goal.expected_s for goal in found] == [70.0, None]
    campaign = Campaign(name="c", target=CP313.name, versions="newest", created=NOON)
    made = Board(campaign=campaign, goals=found, side_by_side=2)
    assert (made.known, len(made.left), made.predicted_s) == (1, 2, 70.0)
    goal = Goal(name=name, version=None, newest=True, sets=1, state="build", expected_s=70.0)
    assert Board(campaign=campaign, goals=(goal,) * 4, side_by_side=2).predicted_s == 140.0


# Gaps that stay.


def lasting(
    *wants: Want, pages: tuple[Project, ...], uses: dict[tuple[str, str], Use] | None = None, ours: tuple[Project, ...] = (), down: str = ""
) -> Backfill:
    ground = Ground(
        upstream=FakeIndex(*pages, down=frozenset({down})), farm=FakeIndex(*ours), policy=DetectPolicy(), past=NOTHING, uses=uses or {},
        closed_before=NOON + timedelta(days=100 - CLOSED_AFTER_DAYS),
    )  # fmt: skip
    return lasting_gaps(wants, {CP313.name: CP313}, ground)


def want(name: str, version: str, sets: int = 1, target: str = CP313.name) -> Want:
    return Want(name=canonical(name), version=Version(version), sets=sets, targets=(target,))


def test_a_gap_of_an_old_release_stays_and_names_the_way_out() -> None:
    page = project("a", "a-1.0.tar.gz", "a-2.0.tar.gz", "a-3.0-cp313-cp313-manylinux_2_17_x86_64.whl")
    (gap,) = lasting(want("a", "1.0"), pages=(page,)).gaps
    assert (gap.released, gap.buildable, gap.upgrade) == (NOON, True, Version("3.0"))


@pytest.mark.parametrize(("age", "stays"), [(13, False), (15, True)])
def test_the_first_file_decides_how_old_a_release_is(age: int, *, stays: bool) -> None:
    now = NOON + timedelta(days=100)
    first = replace(index_file("a-1.0.tar.gz"), upload_time=now - timedelta(days=age))
    late = replace(index_file("a-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"), upload_time=now - timedelta(days=1))
    found = lasting(want("a", "1.0"), pages=(replace(project("a"), files=(late, first)),))
    assert (bool(found.gaps), found.young) == (stays, 0 if stays else 1)


def test_what_is_there_or_not_known_is_no_lasting_gap() -> None:
    pages = (project("wheel", "wheel-1.0-py3-none-any.whl"), project("ours", "ours-1.0.tar.gz"))
    timeless = replace(project("timeless"), files=(replace(index_file("timeless-1.0.tar.gz"), upload_time=None),))
    found = lasting(
        want("wheel", "1.0"), want("ours", "1.0"), want("down", "1.0"), want("timeless", "1.0"), want("wheel", "1.0", target="cp39-x"),
        pages=(*pages, timeless), ours=(project("ours", "ours-1.0-cp313-cp313-manylinux_2_41_x86_64.whl"),), down="down",
    )  # fmt: skip
    assert found.gaps == ()
    assert (found.served, found.unknown, found.undated) == (1, ("down",), 1)


def test_the_most_used_gaps_come_first() -> None:
    names = ("quiet", "missed", "popular", "fetched")
    uses = {("missed", "1.0"): Use(misses=5), ("fetched", "1.0"): Use(downloads=9)}
    pages = tuple(project(name, f"{name}-1.0.tar.gz") for name in names)
    found = lasting(*(want(name, "1.0", sets=3 if name == "popular" else 1) for name in names), pages=pages, uses=uses)
    assert [gap.name for gap in found.gaps] == ["popular", "missed", "fetched", "quiet"]
