"""Is there a wheel, and if not, why: in the words that the matrix shows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from farm.model.demand import IndexOptions
from farm.model.gap import Impossible, Missing, Present, Unknown
from farm.model.package import Project, make_pin
from farm.model.target import parse_target
from farm.survey.detect import DetectPolicy, presence
from tests.fakes.index import FakeIndex
from tests.fakes.nouns import CP311, CP313, MUSL, canonical, digest, index_file, project

if TYPE_CHECKING:
    from farm.model.gap import Presence
    from farm.model.package import IndexFile

NOTHING = FakeIndex()


def look(filenames: list[str], target=CP311, *, farm: list[str] | None = None, policy: DetectPolicy | None = None):  # type: ignore[no-untyped-def]
    upstream = FakeIndex(project("demo", *filenames))
    own = FakeIndex(project("demo", *farm)) if farm else NOTHING
    return presence(make_pin("demo", "1.0"), target, upstream, own, policy=policy or DetectPolicy())


def test_the_best_tag_wins_and_then_the_highest_build_number() -> None:
    found = look([
        "demo-1.0-py3-none-any.whl",
        "demo-1.0-cp311-cp311-manylinux_2_17_x86_64.whl",
        "demo-1.0-2-cp311-cp311-manylinux_2_17_x86_64.whl",
        "demo-1.0.tar.gz",
    ])  # fmt: skip
    assert isinstance(found, Present)
    assert found.file.filename == "demo-1.0-2-cp311-cp311-manylinux_2_17_x86_64.whl"


def test_a_wheel_of_another_version_is_no_wheel() -> None:
    found = look(["demo-1.1-py3-none-any.whl", "demo-1.0.tar.gz"])
    assert isinstance(found, Missing)
    assert found.reason == "sdist only"


@pytest.mark.parametrize(
    ("wheels", "target", "reason"),
    [
        ([], CP311, "sdist only"),
        (["cp312-cp312-manylinux_2_17_x86_64", "cp313-cp313-manylinux_2_17_x86_64"], CP311, "wheels for cp312–cp313, target cp311"),
        (["cp39-cp39-manylinux_2_17_x86_64", "cp312-cp312-manylinux_2_17_x86_64"], CP311, "wheels for cp39, cp312, target cp311"),
        (["cp313-cp313-manylinux_2_17_x86_64"], MUSL, "no musllinux wheel"),
        (["cp311-cp311-manylinux_2_17_aarch64"], CP311, "no x86_64 wheel for manylinux"),
        (["cp311-cp311-win_amd64"], CP311, "no manylinux wheel"),
        (["cp311-cp311-manylinux_2_39_x86_64"], CP311, "wheels need glibc 2.39, the target has 2.36"),
        (["cp313-cp313-manylinux_2_17_x86_64"], parse_target("cp313t-manylinux_2_28_x86_64"), "wheels for cp313, target cp313t"),
    ],
)
def test_the_reason_of_a_gap(wheels: list[str], target, reason: str) -> None:  # type: ignore[no-untyped-def]
    found = look([*(f"demo-1.0-{tags}.whl" for tags in wheels), "demo-1.0.tar.gz"], target)
    assert isinstance(found, Missing)
    assert found.reason == reason


def test_neither_wheel_nor_sdist_cannot_be_built() -> None:
    found = look(["demo-1.0-cp312-cp312-win_amd64.whl"])
    assert isinstance(found, Impossible)
    assert found.reason.endswith("and there is no sdist")
    assert look([]) == Impossible(reason="neither wheel nor sdist")


def test_an_abi3_wheel_of_an_older_python_serves() -> None:
    assert isinstance(look(["demo-1.0-cp39-abi3-manylinux_2_17_x86_64.whl"], CP313), Present)


def test_a_pure_fallback_is_said() -> None:
    found = look(["demo-1.0-py3-none-any.whl", "demo-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"])
    assert isinstance(found, Present)
    assert found.note.startswith("pure fallback")


def test_an_index_that_does_not_answer_is_unknown_and_never_missing() -> None:
    down = FakeIndex(down=frozenset({"demo"}))
    found = presence(make_pin("demo", "1.0"), CP311, down, NOTHING, policy=DetectPolicy())
    assert isinstance(found, Unknown)


def test_the_farms_own_wheel_serves_while_upstream_is_down() -> None:
    down = FakeIndex(down=frozenset({"demo"}))
    own = FakeIndex(project("demo", "demo-1.0-py3-none-any.whl"))
    found = presence(make_pin("demo", "1.0"), CP311, down, own, policy=DetectPolicy())
    assert isinstance(found, Present)
    assert found.where == "farm"


def test_upstreams_wheel_goes_before_the_farms() -> None:
    both = ["demo-1.0-py3-none-any.whl"]
    found = look(both, farm=both)
    assert isinstance(found, Present)
    assert found.where == "upstream"


@pytest.mark.parametrize(
    "policy",
    [
        DetectPolicy(from_source=frozenset({"demo"})), DetectPolicy(from_source=frozenset({":all:"})),  # type: ignore[arg-type]
        DetectPolicy(options=IndexOptions(no_binary=frozenset({":all:"}))),
    ],
)  # fmt: skip
def test_built_from_source_by_policy_until_the_farm_has_it(policy: DetectPolicy) -> None:
    files = ["demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"]
    gap = look(files, policy=policy)
    assert isinstance(gap, Missing)
    assert gap.reason == "built from source by policy"
    there = look(files, farm=["demo-1.0-py3-none-any.whl"], policy=policy)
    assert isinstance(there, Present)
    assert there.where == "farm"


def test_a_wheel_with_a_name_that_upstream_gave_to_other_bytes_is_built_from_source_again() -> None:
    theirs = project("demo", "demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz")
    plain, tagged = (replace(index_file(f"demo-1.0{tag}-py3-none-any.whl"), sha256=digest("ours")) for tag in ("", "-1"))
    policy = DetectPolicy(from_source=frozenset({canonical("demo")}))

    def find(*ours: IndexFile) -> Presence:
        farm = FakeIndex(Project(name=canonical("demo"), files=ours))
        return presence(make_pin("demo", "1.0"), CP311, FakeIndex(theirs), farm, policy=policy)

    assert isinstance(find(plain), Missing)
    found = find(plain, tagged)
    assert isinstance(found, Present)
    assert (found.where, found.file) == ("farm", tagged)


def test_only_binary_forbids_building() -> None:
    found = look(["demo-1.0.tar.gz"], policy=DetectPolicy(options=IndexOptions(only_binary=frozenset({":all:"}))))
    assert isinstance(found, Impossible)
    assert "only-binary" in found.reason


def test_hashes_that_name_only_the_sdist_leave_upstreams_wheel_out() -> None:
    policy = DetectPolicy(hashes={make_pin("demo", "1.0").name: frozenset({digest("demo-1.0.tar.gz")})})
    found = look(["demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"], policy=policy)
    assert isinstance(found, Missing)


def test_requires_python_is_read_per_file() -> None:
    wheel = index_file("demo-1.0-py3-none-any.whl", requires_python=">=3.12")
    sdist = index_file("demo-1.0.tar.gz", requires_python=">=3.12")
    page = project("demo")
    upstream = FakeIndex(type(page)(name=page.name, files=(wheel, sdist)))
    found = presence(make_pin("demo", "1.0"), CP311, upstream, NOTHING, policy=DetectPolicy())
    assert found == Impossible(reason="requires Python >=3.12, the target has 3.11.2")
    assert isinstance(presence(make_pin("demo", "1.0"), CP313, upstream, NOTHING, policy=DetectPolicy()), Present)


def test_odd_file_names_are_skipped() -> None:
    found = look(["demo-1.0-cp311-cp311-manylinux_2_17_x86_64-x86_64_v3.whl", "demo-1.0.win32.exe", "demo-1.0.tar.gz"])
    assert isinstance(found, Missing)
