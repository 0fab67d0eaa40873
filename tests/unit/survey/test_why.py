"""Why a client takes one file and not another, in words. That the choice is the clients' own is tested with real ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from farm.model.client import Client
from farm.model.demand import IndexOptions
from farm.model.package import Project
from farm.model.target import parse_target
from farm.survey.why import Answer, Question, key_words, why
from tests.fakes.nouns import CP311, canonical, digest, index_file, project

OWN, PURE, SDIST = "demo-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", "demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"
LINUX = "demo-1.0-cp311-cp311-linux_x86_64.whl"
DEMO = Question(name=canonical("demo"), target=CP311)


def ask(upstream: list[str], farm: list[str] | None = None, question: Question = DEMO) -> tuple[Answer, Answer]:
    merged, extra = why(question, project("demo", *upstream), project("demo", *farm) if farm else None)
    assert (merged.view, extra.view) == ("merged", "extra")
    return merged, extra


def taken(answer: Answer) -> tuple[str, str] | None:
    return (answer.chosen.file.filename, answer.chosen.where) if answer.chosen else None


def reasons(answer: Answer) -> dict[str, str]:
    return {out.file.filename: out.reason for out in answer.out}


def test_runners_up_are_told_with_the_part_of_the_key_that_decides() -> None:
    merged, _ = ask([SDIST, PURE, OWN, "demo-1.0-3-cp311-cp311-manylinux_2_17_x86_64.whl", "demo-0.9-py3-none-any.whl"])
    assert taken(merged) == ("demo-1.0-3-cp311-cp311-manylinux_2_17_x86_64.whl", "upstream")
    assert [(c.file.filename, c.behind.split(" against ")[0].rstrip("0123456789 ")) for c in merged.runners] == [
        (OWN, "build none"), (PURE, "tag rank"), (SDIST, "tag none (an sdist)"), ("demo-0.9-py3-none-any.whl", "version 0."),
    ]  # fmt: skip


def test_the_key_names_every_part() -> None:
    merged, _ = ask([OWN])
    assert merged.chosen is not None
    assert [name for name, _ in key_words(merged.chosen.key, DEMO)] == ["hash", "not yanked", "prefer-binary", "version", "tag", "build"]
    assert dict(key_words(merged.chosen.key, DEMO))["hash"] == "not asked for"


def test_each_file_that_is_out_has_its_reason() -> None:
    upstream = Project(
        name=DEMO.name,
        files=(
            index_file(SDIST),
            index_file("demo-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"),
            index_file("demo-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", requires_python=">=3.12"),
            index_file(PURE, yanked="broken on Tuesdays"),
            index_file("demo-1.0-cp311-cp311-manylinux_2_17_x86_64-x86_64_v3.whl"),
            index_file("demo-1.0.win32.exe"),
            index_file("demo-0.9-cp312-cp312-win32.whl"),
        ),
    )
    merged, _ = why(DEMO, upstream, None)
    assert taken(merged) == (SDIST, "upstream")
    assert merged.note == "pip then compiles it"
    assert reasons(merged) == {
        "demo-1.0-cp312-cp312-manylinux_2_17_x86_64.whl": "no tag fits: wheels for cp312, target cp311",
        "demo-1.0-cp311-cp311-manylinux_2_17_x86_64.whl": "Requires-Python >=3.12, the target has 3.11.2",
        PURE: "yanked: broken on Tuesdays",
        "demo-1.0-cp311-cp311-manylinux_2_17_x86_64-x86_64_v3.whl": "malformed name",
        "demo-1.0.win32.exe": "neither a wheel nor an sdist",
    }


def test_newer_versions_that_cannot_be_taken_are_told_too() -> None:
    merged, _ = ask([PURE, "demo-2.0-cp312-cp312-win32.whl", "demo-3.0b1-py3-none-any.whl"])
    assert taken(merged) == (PURE, "upstream")
    assert reasons(merged) == {
        "demo-2.0-cp312-cp312-win32.whl": "no tag fits: no manylinux wheel; wheels for cp312, target cp311",
        "demo-3.0b1-py3-none-any.whl": "a pre-release, which was not asked for",
    }


def test_an_old_pip_does_not_see_what_it_does_not_know() -> None:
    old = replace(DEMO, client=Client(version=Version("20.2")))
    merged, _ = ask([SDIST, OWN], question=old)
    assert taken(merged) == (SDIST, "upstream")
    assert reasons(merged) == {OWN: "hidden: pip 20.2 does not know its tags, needs >= 20.3"}
    double = "demo-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
    assert taken(ask([SDIST, double], question=old)[0]) == (double, "upstream")


@pytest.mark.parametrize(("client", "wins"), [(Client(), LINUX), (Client(version=Version("26.2")), OWN), (Client(name="uv"), OWN)])
def test_linux_and_manylinux(client: Client, wins: str) -> None:
    merged, _ = ask([OWN, LINUX], question=replace(DEMO, client=client))
    assert taken(merged) == (wins, "upstream")


def test_of_equals_pip_takes_the_last_index_and_uv_asks_only_the_first() -> None:
    assert [taken(a) for a in ask([OWN], [OWN])] == [(OWN, "upstream"), (OWN, "farm")]
    merged, extra = ask([SDIST, "demo-2.0-py3-none-any.whl"], [OWN], replace(DEMO, client=Client(name="uv")))
    assert taken(merged) == ("demo-2.0-py3-none-any.whl", "upstream")
    assert taken(extra) == (OWN, "farm")
    assert "first-index" in extra.note


def test_hashes_that_name_only_the_sdist_make_pip_compile_and_say_so() -> None:
    merged, extra = ask([SDIST], [OWN], replace(DEMO, hashes=frozenset({digest(SDIST)})))
    assert taken(merged) == taken(extra) == (SDIST, "upstream")
    assert reasons(extra) == {OWN: "its hash is not among those of the requirement"}
    none, _ = ask([OWN], question=replace(DEMO, hashes=frozenset({digest("other")})))
    assert none.note == "pip then stops: the file's hash is not among those of the requirement"


def test_options_forbid_forms() -> None:
    only = replace(DEMO, options=IndexOptions(only_binary=frozenset({":all:"})))
    assert reasons(ask([SDIST], question=only)[0]) == {SDIST: "--only-binary forbids sdists"}
    source = replace(DEMO, options=IndexOptions(no_binary=frozenset({"demo"})))
    merged, _ = ask([SDIST, OWN], question=source)
    assert taken(merged) == (SDIST, "upstream")
    assert reasons(merged) == {OWN: "--no-binary forbids wheels"}


def test_neither_index_has_the_project() -> None:
    merged, extra = why(DEMO, None, None)
    assert merged.chosen is extra.chosen is None
    assert merged.out == ()


def test_another_targets_wheel_is_out_with_both_levels() -> None:
    question = replace(DEMO, target=parse_target("cp311-manylinux_2_28_x86_64"), specifier=SpecifierSet("==1.0"))
    merged, _ = ask(["demo-1.0-cp311-cp311-manylinux_2_39_x86_64.whl"], question=question)
    assert reasons(merged) == {
        "demo-1.0-cp311-cp311-manylinux_2_39_x86_64.whl": "no tag fits: wheels need glibc 2.39, the target has 2.28"
    }
