"""uv.lock, pylock.toml and pyproject.toml: which pins count for a target, and what is refused."""

from __future__ import annotations

import pytest

from farm.model.target import parse_target
from farm.survey.reading.faults import RequirementsError
from tests.fakes.locks import PROJECT, PYLOCK, WINDOWS, chosen, fault, pins, read, refusal, uv

# uv.lock


def test_uv_counts_what_the_project_reaches_and_not_the_project() -> None:
    demand = read("uv.lock", uv())
    assert pins(demand) == ["deep==1.0", "git-one==1.0", "member==0.1.0", "tool==1.0", "wheel-one==1.0"]
    assert pins(read("uv.lock", uv(), chosen(default_groups=False))) == [
        "deep==1.0",
        "git-one==1.0",
        "member==0.1.0",
        "wheel-one==1.0",
    ]
    (lock,) = demand.locks
    tool = next(package for package in lock.packages if package.name == "tool")
    assert [file.filename for file in tool.files] == ["tool-1.0+cpu-py3-none-any.whl"]


def test_uv_members_of_the_workspace_are_no_packages_but_what_they_need_is() -> None:
    demand = read("uv.lock", uv('[manifest]\nmembers = ["top", "member"]\n'))
    assert "member==0.1.0" not in pins(demand)
    assert "deep==1.0" in pins(demand)
    assert {direct.name for direct in demand.direct} == {"git-one"}


def test_uv_sources_that_are_no_index_are_direct_if_they_are_reached() -> None:
    demand = read("uv.lock", uv())
    assert {(d.name, d.url, d.editable) for d in demand.direct} == {
        ("git-one", "git+https://git.example/one@abc", False),
        ("member", "packages/member", True),
    }
    assert "sphere" in {direct.name for direct in read("uv.lock", uv(), chosen(groups=("docs",))).direct}


def test_uv_refuses_targets_that_it_was_not_locked_for() -> None:
    assert "is for Python >=3.11" in refusal(read("uv.lock", uv()), parse_target("cp310-win_amd64"))
    only = "supported-markers = [\"sys_platform == 'linux'\"]"
    assert "is for environments with" in refusal(read("uv.lock", uv(only)), WINDOWS)
    assert "tool==1.0" in pins(read("uv.lock", uv(only)))


# pylock.toml


def test_pylock_extras_and_groups() -> None:
    assert pins(read("pylock.toml", PYLOCK)) == ["plain==1.0", "repo==2.0", "tested==1.0"]
    assert pins(read("pylock.toml", PYLOCK, chosen(("fast",), default_groups=False))) == [
        "plain==1.0",
        "quick==1.0",
        "repo==2.0",
    ]
    assert pins(read("pylock.toml", PYLOCK, chosen(("fast",))), WINDOWS) == ["plain==1.0", "repo==2.0", "tested==1.0"]


def test_pylock_passes_over_names_that_are_no_wheels_and_says_so() -> None:
    demand = read("pylock.toml", PYLOCK)
    (lock,) = demand.locks
    assert [file.filename for file in lock.packages[0].files] == ["plain-1.0-py3-none-any.whl"]
    assert "pylock.toml:9: plain-1.0-py3-none-any-x86_64_v3.whl" in str(demand.remarks[0])


def test_pylock_direct_sources() -> None:
    found = {(d.name, d.url, d.editable) for d in read("pylock.toml", PYLOCK).direct}
    assert found == {("folder", "libs/folder", True), ("repo", "git+https://git.example/repo@abc", False)}


def test_pylock_refuses_other_environments_and_two_of_a_name() -> None:
    assert "is for environments with" in refusal(read("pylock.toml", PYLOCK), parse_target("cp312-macosx_14_0_arm64"))
    twice = PYLOCK + PYLOCK[
        PYLOCK.index('[[packages]]\nname = "quick"') : PYLOCK.index('[[packages]]\nname = "tested"')
    ].replace('"1.0"', '"2.0"').replace("-1.0", "-2.0")
    assert "has both quick 1.0 (line 17) and 2.0" in refusal(read("pylock.toml", twice, chosen(("fast",))))


# pyproject.toml


def test_pyproject_dependencies_extras_and_groups() -> None:
    demand = read("pyproject.toml", PROJECT, chosen(("all",), ("test",)))
    assert [(r.name, str(r.marker or ""), r.origin.line) for r in demand.requirements] == [
        ("plain", 'python_version >= "3.12"', 6),
        ("speedy", 'sys_platform == "linux"', 10),
        ("other", "", 11),
        ("pytest", "", 13),
        ("coverage", "", 14),
    ]
    assert [(d.name, d.url) for d in demand.direct] == [("forked", "git+https://git.example/forked@v1")]
    assert [str(limit.specifier) for limit in demand.pythons] == [">=3.12"]
    assert [r.name for r in read("pyproject.toml", PROJECT).requirements] == ["plain"]


def test_pyproject_dynamic_dependencies_would_need_its_code() -> None:
    told = fault("pyproject.toml", '[project]\nname = "x"\ndynamic = ["version", "dependencies"]\n')
    assert "pyproject.toml:3:1: expected project.dependencies as a list, found dependencies in project.dynamic" in told


def test_pyproject_tells_all_its_faults() -> None:
    text = '[project]\nname = "x"\ndependencies = [\n  "good",\n  "bad one",\n  "worse ==",\n]\n'
    told = fault("pyproject.toml", text)
    assert "pyproject.toml:5:1" in told
    assert "pyproject.toml:6:1" in told


def test_pyproject_groups_in_circles_are_told() -> None:
    text = '[dependency-groups]\na = [{include-group = "b"}]\nb = [{include-group = "a"}]\n'
    with pytest.raises(RequirementsError, match=r"pyproject.toml:1:1.*dependency group a"):
        read("pyproject.toml", text, chosen(groups=("a",)))
