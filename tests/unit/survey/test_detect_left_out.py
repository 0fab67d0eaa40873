"""Files that are there and do not count: too young, yanked, or named by no hash. As pip does, file by file, and said so."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from farm.model.demand import Demand, IndexOptions, Origin, Requirement
from farm.model.gap import Impossible, Missing, Presence, Present
from farm.model.package import IndexFile, Project, make_pin
from farm.survey.detect import DetectPolicy, choose_sdist, presence
from tests.fakes.index import FakeIndex
from tests.fakes.nouns import CP311, CP313, NOON, canonical, digest, index_file

PIN = make_pin("demo", "1.0")
OWN, PURE, SDIST, ZIP = (
    "demo-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", "demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz", "demo-1.0.zip",
)  # fmt: skip
LATER = NOON + timedelta(days=3)
DAY_AFTER = DetectPolicy(newest=NOON + timedelta(days=1))


def look(*files: IndexFile, policy: DetectPolicy, target: Any = CP311, farm: tuple[IndexFile, ...] = ()) -> Presence:
    pages = [FakeIndex(Project(name=PIN.name, files=found)) if found else FakeIndex() for found in (files, farm)]
    return presence(PIN, target, pages[0], pages[1], policy=policy)


def young(filename: str, **changes: Any) -> IndexFile:
    return replace(index_file(filename), upload_time=LATER, **changes)


def asks(text: str, marker: str = "") -> Demand:
    entry = Requirement(
        name=canonical("demo"), specifier=SpecifierSet(text), marker=Marker(marker) if marker else None,
        origin=Origin(file="r.txt", line=1), text=f"demo{text}",
    )  # fmt: skip
    return Demand(requirements=(entry,))


def taken(found: Presence) -> str:
    assert isinstance(found, Present), found
    return found.file.filename


def test_a_wheel_within_the_cool_down_is_not_there_and_the_reason_says_so() -> None:
    found = look(young(OWN), index_file(SDIST), policy=DAY_AFTER)
    assert isinstance(found, Missing)
    assert found.reason == (
        f"{OWN} fits, but was uploaded at 2026-01-05 12:00 UTC, and the cool-down takes nothing after 2026-01-03 12:00;"
        " name the version with == to take it"
    )
    assert taken(look(young(OWN), index_file(SDIST), policy=DetectPolicy())) == OWN


def test_an_older_wheel_serves_where_the_better_one_is_too_young() -> None:
    assert taken(look(young(OWN), index_file(PURE), index_file(SDIST), policy=DAY_AFTER)) == PURE


def test_a_file_that_tells_no_age_may_be_too_young() -> None:
    found = look(replace(index_file(OWN), upload_time=None), index_file(SDIST), policy=DAY_AFTER)
    assert isinstance(found, Missing)
    assert "the index tells no upload time" in found.reason


def test_an_sdist_within_the_cool_down_is_not_built() -> None:
    found = look(young(SDIST), index_file("demo-1.0-cp312-cp312-win_amd64.whl"), policy=DAY_AFTER)
    assert isinstance(found, Impossible)
    assert found.reason.endswith("and there is no sdist that is old enough for the cool-down")


def test_the_farms_own_wheel_is_never_too_young() -> None:
    assert taken(look(index_file(SDIST), policy=DAY_AFTER, farm=(young(OWN),))) == OWN


@pytest.mark.parametrize(
    ("text", "marker", "there"),
    [
        ("==1.0", "", True), ("===1.0", "", True), (">=1.0", "", False), ("==1.*", "", False), ("==1.1", "", False),
        ("==1.0", "python_version < '3.12'", True), ("==1.0", "python_version >= '3.12'", False),
    ],
)  # fmt: skip
def test_what_a_requirement_for_this_target_names_is_exempt(text: str, marker: str, there: bool) -> None:
    found = look(young(OWN), index_file(SDIST), policy=DAY_AFTER.pinned_by(asks(text, marker)))
    assert isinstance(found, Present) == there


@pytest.mark.parametrize(
    ("yanked", "wins"),
    [
        ({OWN}, PURE), ({OWN, PURE}, SDIST), ({OWN, PURE, SDIST}, OWN), ({SDIST}, OWN),
    ],
)  # fmt: skip
def test_a_yanked_file_counts_only_where_there_is_no_other(yanked: set[str], wins: str) -> None:
    files = [replace(index_file(name), yanked="broken" if name in yanked else False) for name in (OWN, PURE, SDIST)]
    found = look(*files, policy=DetectPolicy())
    if wins == SDIST:
        assert isinstance(found, Missing)
        assert found.reason == f"{OWN} fits, but is yanked (broken); clients take what is not"
    else:
        assert taken(found) == wins


def test_a_yanked_wheel_counts_where_the_other_files_are_for_nobody_here() -> None:
    foreign, wheel = index_file("demo-1.0-cp312-cp312-win_amd64.whl"), replace(index_file(OWN), yanked=True)
    later = index_file(SDIST, requires_python=">=3.12")
    assert taken(look(foreign, wheel, later, policy=DetectPolicy())) == OWN
    only = DetectPolicy(options=IndexOptions(only_binary=frozenset({":all:"})))
    assert taken(look(wheel, index_file(SDIST), policy=only)) == OWN


def test_a_pip_that_knows_no_yanking_takes_it() -> None:
    wheel = replace(index_file("demo-1.0-cp311-cp311-manylinux1_x86_64.whl"), yanked=True)
    assert taken(look(wheel, index_file(SDIST), policy=DetectPolicy(client_pip=Version("19.1")))) == wheel.filename


def hashed(*filenames: str) -> DetectPolicy:
    return DetectPolicy(hashes={PIN.name: frozenset(map(digest, filenames))})


def test_a_wheel_that_the_hashes_do_not_name_is_told_with_its_hash() -> None:
    found = look(index_file(OWN), index_file(SDIST), policy=hashed(SDIST))
    assert isinstance(found, Missing)
    assert found.reason == (
        f"{OWN} is upstream and fits, but its hash is not among the requirement's: add --hash=sha256:{digest(OWN)},"
        " or compile the requirements again"
    )


def test_where_the_index_tells_no_hashes_pip_finds_them_out_itself() -> None:
    unknown = replace(index_file(OWN), sha256=None)
    assert taken(look(unknown, policy=hashed(OWN))) == OWN
    assert isinstance(look(unknown, index_file(SDIST), policy=hashed(SDIST)), Missing), "a hash that is known to be right goes first"


def test_a_lock_exempts_from_age_and_yanking_and_is_named_where_a_newer_wheel_fits() -> None:
    locked = replace(hashed(OWN, SDIST), newest=DAY_AFTER.newest, locked={PIN.name: "sub/uv.lock:7"})
    assert taken(look(young(OWN, yanked=True), index_file(SDIST), policy=locked)) == OWN
    found = look(index_file(OWN), index_file(SDIST), policy=replace(hashed(SDIST), locked={PIN.name: "sub/uv.lock:7"}))
    assert isinstance(found, Missing)
    assert found.reason == (
        f"{OWN} is upstream now and fits, but sub/uv.lock:7 does not name it: `uv lock --refresh-package demo` adds it"
    )
    nothing = look(index_file(OWN), policy=replace(hashed(SDIST), locked={PIN.name: "poetry.lock:7"}))
    assert isinstance(nothing, Impossible)
    assert nothing.reason.endswith(
        "does not name it: make the lock again, and there is no sdist among the files that poetry.lock:7 names"
    )


def test_of_several_sdists_the_one_that_pip_can_use() -> None:
    zipped, late = index_file(ZIP), index_file(SDIST, requires_python=">=3.12")
    assert choose_sdist((late, zipped), CP311) == zipped
    assert choose_sdist((late, zipped), CP313) == late
    assert choose_sdist((replace(late, yanked=True), zipped), CP313) == zipped
    assert choose_sdist((), CP311) is None
