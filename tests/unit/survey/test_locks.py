"""Each lock format: which pins count for a target, what is a direct source, and how a malformed one is told."""

from __future__ import annotations

import pytest
from packaging.utils import canonicalize_name as canonical

from farm.errors import UsageError
from farm.model.gap import Unresolved
from farm.model.lock import Choice
from farm.survey.inputs import World, kind_of, read_inputs
from farm.survey.locks.closure import select
from farm.survey.locks.poetry_pythons import pythons
from farm.survey.reading.faults import RequirementsError
from tests.fakes.locks import (
    LINUX,
    NEW,
    PROJECT,
    PYLOCK,
    SAMPLES,
    SHA,
    WINDOWS,
    chosen,
    fault,
    pins,
    read,
    refusal,
    sample,
    uv,
)

# poetry.lock


def test_poetry_groups_choose_packages_and_markers() -> None:
    everything = sample("poetry.lock")
    assert pins(everything) == ["extra-dep==1.0", "needy==1.0", "testdep==1.0", "there==1.0"]
    assert "winonly==1.0" in pins(everything, WINDOWS)
    main = sample("poetry.lock", chosen(default_groups=False))
    assert pins(main) == ["extra-dep==1.0", "needy==1.0", "there==1.0"]
    assert "testdep==1.0" in pins(sample("poetry.lock", chosen(groups=("dev",), default_groups=False)))


def test_poetry_marks_what_only_an_extra_needs() -> None:
    fast = sample("poetry.lock", chosen(extras=("speed",)))
    assert "fastdep==1.0" in pins(fast, NEW)
    assert "fastdep==1.0" not in pins(fast)
    assert "fastdep==1.0" not in pins(sample("poetry.lock"), NEW)


def test_poetry_tells_who_asks_for_what() -> None:
    (lock,) = sample("poetry.lock").locks
    found = select(lock, LINUX)
    assert not isinstance(found, Unresolved)
    by_name = {pin.pin.name: pin for pin in found.resolution.pins}
    assert by_name[canonical("there")].via == ("needy",)
    assert by_name[canonical("needy")].dependencies == ("extra-dep", "there")
    (line,) = by_name[canonical("needy")].via
    number = int(line.removeprefix("poetry.lock:"))
    assert (SAMPLES / "poetry.lock").read_text("utf-8").splitlines()[number : number + 1] == ['name = "needy"']


def test_poetry_marker_of_each_group() -> None:
    text = (SAMPLES / "poetry.lock").read_text("utf-8").replace('groups = ["main", "dev", "docs"]', 'groups = ["docs"]')
    assert "extra-dep==1.0" in pins(read("poetry.lock", text))
    assert "extra-dep==1.0" not in pins(read("poetry.lock", text), WINDOWS)


def test_poetry_for_other_pythons_is_no_solution() -> None:
    text = (
        (SAMPLES / "poetry.lock")
        .read_text("utf-8")
        .replace('python-versions = ">=3.10,<4"', 'python-versions = ">=3.12"')
    )
    assert "poetry.lock is for Python >=3.12, the target has 3.11.2" in refusal(read("poetry.lock", text))


OLD_POETRY = f"""
[[package]]
name = "top"
version = "1.0"
optional = false
python-versions = "*"
files = [{{file = "top-1.0-py3-none-any.whl", hash = "sha256:{SHA}"}}]

[package.dependencies]
winonly = {{version = "*", markers = "sys_platform == \\"win32\\""}}
round = "*"

[[package]]
name = "winonly"
version = "1.0"
optional = false
python-versions = "*"
files = []

[[package]]
name = "round"
version = "1.0"
optional = false
python-versions = "*"
files = []

[package.dependencies]
trip = "*"

[[package]]
name = "trip"
version = "1.0"
optional = false
python-versions = "*"
files = []

[package.dependencies]
round = "*"

[[package]]
name = "maybe"
version = "1.0"
optional = true
python-versions = "*"
files = []

[extras]
more = ["maybe"]

[metadata]
lock-version = "2.0"
python-versions = "^3.10"
content-hash = "0"
"""


def test_poetry_without_groups_goes_by_its_edges_and_says_so() -> None:
    text = OLD_POETRY.replace('"^3.10"', '">=3.10"')
    demand = read("poetry.lock", text)
    assert pins(demand) == ["round==1.0", "top==1.0", "trip==1.0"]
    assert pins(demand, WINDOWS) == ["round==1.0", "top==1.0", "trip==1.0", "winonly==1.0"]
    assert "tells neither groups nor the markers" in str(demand.remarks[0])
    assert "maybe==1.0" in pins(read("poetry.lock", text, chosen(extras=("more",))))


def test_poetry_understands_its_own_caret_for_pythons() -> None:
    assert "top==1.0" in pins(read("poetry.lock", OLD_POETRY))
    assert "is for Python" in refusal(read("poetry.lock", OLD_POETRY.replace("^3.10", "~3.12")))
    split = OLD_POETRY.replace("^3.10", ">=3.8,<3.11 || >=3.12")
    assert "is for environments with" in refusal(read("poetry.lock", split))
    assert "top==1.0" in pins(read("poetry.lock", split), NEW)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("^3.10", ("3.10", "3.15.1"), ("3.9.9", "4.0")),
        ("~3.12", ("3.12", "3.12.9"), ("3.11", "3.13")),
        ("~3.12.2", ("3.12.2", "3.12.9"), ("3.12.1", "3.13")),
        ("~3", ("3.0", "3.15"), ("2.7", "4.0")),
        (">=3.9 <3.13, !=3.10.*", ("3.9", "3.12"), ("3.10.4", "3.13")),
        ("3.11.*", ("3.11.4",), ("3.12",)),
        ("2.7 || ^3.8", ("2.7", "3.9"), ("3.7",)),
    ],
)
def test_poetry_constraints_on_python(text: str, inside: tuple[str, ...], outside: tuple[str, ...]) -> None:
    found = pythons(text)
    assert [v for v in (*inside, *outside) if any(v in specifier for specifier in found)] == [*inside]


def test_poetry_constraint_that_is_none_is_told() -> None:
    assert "expected metadata.python-versions to be a constraint of Poetry's" in fault(
        "poetry.lock", OLD_POETRY.replace("^3.10", "about 3")
    )


def test_poetry_sources_that_are_no_index_are_direct() -> None:
    source = '\n[package.source]\ntype = "git"\nurl = "https://git.example/x.git"\nreference = "main"\nresolved_reference = "abc"\n'
    text = OLD_POETRY.replace('\n[[package]]\nname = "round"', f'{source}\n[[package]]\nname = "round"')
    (direct,) = read("poetry.lock", text).direct
    assert (direct.name, direct.url) == ("winonly", "git+https://git.example/x.git@abc")


# Pipfile.lock


def test_pipfile_counts_default_and_the_categories_asked_for() -> None:
    assert pins(sample("Pipfile.lock")) == ["needy==1.0", "there==1.0"]
    for name in ("dev", "develop", "dev-packages"):
        assert pins(sample("Pipfile.lock", chosen(groups=(name,)))) == [
            "extra-dep==1.0",
            "needy==1.0",
            "testdep==1.0",
            "there==1.0",
        ]
    assert "extra-dep==1.0" in pins(sample("Pipfile.lock", chosen(groups=("docs",))))


def test_pipfile_is_for_the_python_that_it_requires() -> None:
    assert "Pipfile.lock is for Python ==3.11.*" in refusal(sample("Pipfile.lock"), NEW)


def test_pipfile_hashes_lines_and_repositories() -> None:
    (lock,) = sample("Pipfile.lock").locks
    needy = next(package for package in lock.packages if package.name == "needy")
    assert len(needy.hashes) == 1
    assert (SAMPLES / "Pipfile.lock").read_text("utf-8").splitlines()[needy.origin.line - 1].strip() == '"needy": {'
    text = '{"_meta": {"pipfile-spec": 6}, "default": {"x": {"git": "https://git.example/x", "ref": "abc", "editable": true}}}'
    (direct,) = read("Pipfile.lock", text).direct
    assert (direct.url, direct.editable) == ("git+https://git.example/x@abc", True)


# All of them


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("uv.lock", "version = 9\n", "expected version to be 1, found 9"),
        ("uv.lock", "version = 1\n\nx = [\n", "uv.lock:3:"),
        ("uv.lock", "version = 1\npackage = 3\n", "expected package to be an array, found a whole number ('3')"),
        ("uv.lock", uv().replace('marker = "sys_platform', 'marker = "sys_plat'), "to be an environment marker"),
        ("uv.lock", uv().replace('version = "1.0"', 'version = "one"', 1), "package[2].version to be a version (PEP 440), found 'one'"),
        ("pylock.toml", PYLOCK.replace('"1.0"', '"7.0"', 1), "pylock.toml:1:1: expected lock-version 1.0 (PEP 751), found '7.0'"),
        ("pylock.toml", PYLOCK.replace("hashes = {", "hash = {", 1), "pylock.toml:9:1: expected a lock as PEP 751 has it"),
        ("poetry.lock", OLD_POETRY.replace('"2.0"', '"1.1"'), "expected lock-version 2.0 or 2.1, found '1.1'"),
        ("Pipfile.lock", '{"_meta": {"pipfile-spec": 5}}', "expected _meta.pipfile-spec to be 6, found 5"),
        ("Pipfile.lock", '{"_meta": \n {,}}', "Pipfile.lock:2:3: expected JSON"),
        ("Pipfile.lock", "[]", "expected a JSON object, found an array"),
        ("pyproject.toml", "[tool.x]\n", "expected [project] or [dependency-groups], found neither"),
    ],
)  # fmt: skip
def test_what_is_malformed_is_told_with_what_was_expected(name: str, text: str, told: str) -> None:
    assert told in fault(name, text)


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("uv.lock", "", "uv"), ("tool.py.lock", "", "uv"), ("pylock.toml", "", "pylock"), ("pylock.dev.toml", "", "pylock"),
        ("a/b/poetry.lock", "", "poetry"), ("Pipfile.lock", "", "pipfile"), ("pyproject.toml", "", "pyproject"),
        ("requirements.txt", "[project]\n", "requirements"), ("base.in", "", "requirements"),
        ("https://files.example/uv.lock?raw=1", "", "uv"),
        ("-", uv(), "uv"), ("-", PYLOCK, "pylock"), ("-", OLD_POETRY, "poetry"), ("-", PROJECT, "pyproject"),
        ("-", '\n{"_meta": {}}', "pipfile"), ("-", "there==1.0\n-r more.txt\n", "requirements"), ("-", "", "requirements"),
        ("frozen", "version==1\n", "requirements"), ("frozen", "x[extra]\n", "requirements"),
    ],
)  # fmt: skip
def test_the_name_tells_what_a_file_is_and_else_its_content(name: str, text: str, kind: str) -> None:
    assert kind_of(name, lambda: text) == kind


def test_files_of_other_tools_are_refused_with_what_to_do() -> None:
    with pytest.raises(UsageError) as caught:
        read("pdm.lock", "")
    assert "pdm export" in caught.value.solution


def test_a_file_is_read_once_and_faults_of_all_are_told() -> None:
    asked: list[str] = []

    def text(name: str) -> str:
        asked.append(name)
        return {"-": "bad requirement here\n", "uv.lock": "version = 9\n"}[name]

    with pytest.raises(RequirementsError) as caught:
        read_inputs(["-", "uv.lock"], [], Choice(), World(read_text=text, env={}))
    assert sorted(asked) == ["-", "uv.lock"]
    assert {fault.file for fault in caught.value.faults} == {"-", "uv.lock"}


def test_an_unknown_extra_or_group_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        read("pylock.toml", PYLOCK, chosen(groups=("tests",)))
    assert caught.value.solution == "known: dev, docs"


def test_a_lock_changes_the_fingerprint_and_its_comments_do_not() -> None:
    one, same, other = (
        read("uv.lock", text).fingerprint() for text in (uv(), "# note\n" + uv(), uv().replace("deep-1.0", "deep-1.1"))
    )
    assert one == same != other
