"""Jobs of which one's wheel may serve the others are chained, the oldest Python first; what only builds ask for is marked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from farm.model.target import Target, parse_target
from farm.survey.serves import chained, oldest_stable, serves_later
from tests.fakes import nouns
from tests.fakes.nouns import CP311, CP313, MUSL

CP312, CP314, CP314T, CP315T, CP316T = (
    parse_target(f"{python}-manylinux_2_36_x86_64") for python in ("cp312", "cp314", "cp314t", "cp315t", "cp316t")
)


def afters(*targets: Target, abi: str, kind: str = "native") -> dict[str, str | None]:
    jobs = [replace(nouns.job("demo==1", target, kind=kind), stable_abi=abi) for target in targets]  # type: ignore[arg-type]
    found = chained({job.id: job for job in jobs})
    names = {job.id: job.target.python_tag + ("-musl" if job.target == MUSL else "") for job in jobs}
    return {names[job.id]: names[job.after] if job.after else None for job in found.values()}


def test_a_stable_abi_chains_the_pythons_that_it_serves_and_each_libc_for_itself() -> None:
    found = afters(CP314, CP313, CP311, CP312, MUSL, abi="cp312")
    assert found == {"cp311": None, "cp312": None, "cp313": "cp312", "cp314": "cp313", "cp313-musl": None}


def test_free_threaded_pythons_are_chained_by_abi3t_alone_and_since_3_15() -> None:
    assert afters(CP313, CP314T, CP315T, CP316T, abi="cp39") == {"cp313": None, "cp314t": None, "cp315t": None, "cp316t": None}
    assert afters(CP313, CP314T, CP315T, CP316T, abi="cp315t") == {"cp313": None, "cp314t": None, "cp315t": None, "cp316t": "cp315t"}


def test_pure_wheels_serve_everybody_and_others_nobody() -> None:
    assert afters(MUSL, CP313, CP311, abi="", kind="pure") == {"cp311": None, "cp313": "cp311", "cp313-musl": "cp313"}
    assert set(afters(CP313, CP311, abi="").values()) == {None}
    assert not serves_later("cp39", parse_target("pp311-manylinux_2_36_x86_64"))


@pytest.mark.parametrize(
    ("filenames", "target", "abi"),
    [
        (("d-1-cp311-cp311-win_amd64.whl",), CP311, ""),
        (("d-1-cp310-abi3-win_amd64.whl", "d-1-cp39-abi3-macosx_11_0_arm64.whl"), CP311, "cp39"),
        (("d-1-cp39-abi3-win_amd64.whl",), CP315T, ""),
        (("d-1-cp315-abi3.abi3t-win_amd64.whl",), CP315T, "cp315t"),
    ],
)
def test_what_a_project_s_wheels_say_of_its_stable_abi(filenames: tuple[str, ...], target: Target, abi: str) -> None:
    assert oldest_stable([nouns.index_file(filename) for filename in filenames], target) == abi


def test_a_wheel_of_abi3t_serves_later_free_threaded_pythons_only() -> None:
    tags = nouns.index_file("d-1-cp315-abi3t-manylinux_2_28_x86_64.whl").wheel
    assert tags is not None
    assert CP316T.rank(tags.tags) is not None
    assert (CP314T.rank(tags.tags), CP314.rank(tags.tags)) == (None, None)
