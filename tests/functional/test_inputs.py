"""Locks made by real uv, read by the farm: the pins are those of `uv pip compile` for each target. And what the command line takes."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name
from uv import find_uv_bin

from farm.model.gap import Unresolved
from farm.model.lock import Choice
from farm.model.target import Target, parse_target
from farm.survey.inputs import World, read_inputs
from farm.survey.locks.closure import select
from tests.functional.conftest import TARGET, Shell, add_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fakes.index_server import Failure, IndexServer

PLATFORMS = {
    "cp311-manylinux_2_28_x86_64": "x86_64-manylinux_2_28",
    "cp313-manylinux_2_28_aarch64": "aarch64-manylinux_2_28",
    "cp312-musllinux_1_2_x86_64": "x86_64-unknown-linux-musl",
    "cp313-win_amd64": "x86_64-pc-windows-msvc",
    "cp312-macosx_14_0_arm64": "aarch64-apple-darwin",
}
MARKERS = (
    "", "", "", "; sys_platform == 'win32'", "; sys_platform != 'win32'", "; python_version < '3.12'", "; python_version >= '3.12'",
    "; platform_machine == 'aarch64' or platform_machine == 'arm64'", "; platform_system == 'Darwin' and python_version >= '3.12'",
    "; os_name == 'posix' and implementation_name == 'cpython'",
)  # fmt: skip
NAMES = tuple(f"pkg-{letter}" for letter in "abcdefghij")
POETRY = """[[package]]
name = "{0}"
version = "1.0"
optional = false
python-versions = "*"
groups = ["main"]
files = [{{file = "{1}", hash = "sha256:{2}"}}]
"""
HEAD = '[project]\nname = "top-project"\nversion = "1"\nrequires-python = ">=3.11"\n'


@pytest.fixture
def uv(tmp_path: Path, index: IndexServer) -> Callable[..., None]:
    """Runs uv in the project's folder."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_"))}
    env |= {"UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never", "UV_CACHE_DIR": str(tmp_path / "uv-cache"), "UV_OFFLINE": "0"}

    def run(*arguments: str) -> None:
        command = [find_uv_bin(), *arguments, "--quiet", "--default-index", index.url]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr

    return run


def pins(folder: Path, name: str, target: Target, choice: Choice | None = None) -> set[str]:
    world = World(read_text=lambda path: (folder / path).read_text("utf-8"), env={})
    (lock,) = read_inputs([name], [], choice or Choice(), world).locks
    selected = select(lock, target)
    assert not isinstance(selected, Unresolved), selected.explanation
    return {str(pin.pin) for pin in selected.resolution.pins}


def compiled(folder: Path, uv: Callable[..., None], target: str, *arguments: str) -> set[str]:
    """Return what uv itself resolves for one target; into a file of its own, since uv takes an older one's pins for wishes."""
    output = folder / f"compiled-{target}-{len(arguments)}.txt"
    uv("pip", "compile", *arguments, "--python-version", parse_target(target).full_version, "--python-platform", PLATFORMS[target],
       "--no-header", "--no-annotate", "-o", str(output))  # fmt: skip
    return {line.strip() for line in output.read_text("utf-8").splitlines() if "==" in line}


def _project(dice: random.Random) -> str:
    """Return a pyproject.toml that asks for some of the packages, under markers, in extras and in groups."""

    def some(count: int) -> list[str]:
        return [f"{name}{dice.choice(MARKERS)}" for name in dice.sample(NAMES, count)]

    text = HEAD + f"dependencies = {some(3)!r}\n"
    text += f"[project.optional-dependencies]\nfast = {some(2)!r}\n"
    return text + f"[dependency-groups]\ndev = {some(1)!r}\ndocs = {some(2)!r}\n"


@pytest.mark.parametrize("seed", range(3))
def test_both_locks_give_the_pins_that_uv_resolves_for_each_target(
    seed: int, tmp_path: Path, index: IndexServer, uv: Callable[..., None]
) -> None:
    dice = random.Random(seed)
    for position, name in enumerate(NAMES):
        later = NAMES[position + 1 :]
        needs = tuple(f"{other}{dice.choice(MARKERS)}" for other in dice.sample(later, min(2, len(later))))
        for version in ("1.0", "2.0"):
            add_wheel(index, name.replace("-", "_"), version, requires=needs)
    (tmp_path / "pyproject.toml").write_text(_project(dice), "utf-8")
    uv("lock")
    uv("pip", "compile", "pyproject.toml", "--universal", "--format", "pylock.toml", "-o", "pylock.toml")
    everything = Choice(extras=frozenset({canonicalize_name("fast")}), groups=frozenset({canonicalize_name("docs")}))
    plain = Choice(default_groups=False)
    for name in PLATFORMS:
        target = parse_target(name)
        expected = compiled(tmp_path, uv, name, "pyproject.toml")
        assert pins(tmp_path, "uv.lock", target, plain) == expected
        assert pins(tmp_path, "pylock.toml", target) == expected
        wide = compiled(tmp_path, uv, name, "pyproject.toml", "--extra", "fast", "--group", "dev", "--group", "docs")
        assert pins(tmp_path, "uv.lock", target, everything) == wide


def test_forks_extras_of_dependencies_and_conflicting_extras(tmp_path: Path, index: IndexServer, uv: Callable[..., None]) -> None:
    for version in ("1.0", "2.0"):
        add_wheel(index, "forked", version)
        add_wheel(index, "rival", version)
    data = "Provides-Extra: fast\nRequires-Dist: speed; extra == 'fast'\n"
    add_wheel(index, "speed", "1.0")
    add_wheel(index, "plain", "1.0")
    index.projects["plain"]["plain-1.0-py3-none-any.whl"].metadata += data  # type: ignore[operator]
    (tmp_path / "pyproject.toml").write_text(
        HEAD + """dependencies = [
  "forked<2; python_version < '3.13'", "forked>=2; python_version >= '3.13'", "plain[fast]; sys_platform == 'linux'",
]
[project.optional-dependencies]
one = ["rival<2"]
two = ["rival>=2"]
[tool.uv]
conflicts = [[{ extra = "one" }, { extra = "two" }]]
""", "utf-8")  # fmt: skip
    uv("lock")
    old, new, windows = (parse_target(f"cp3{minor}-{platform}") for minor, platform in
                         ((12, "manylinux_2_28_x86_64"), (13, "manylinux_2_28_x86_64"), (12, "win_amd64")))  # fmt: skip
    assert pins(tmp_path, "uv.lock", old) == {"forked==1.0", "plain==1.0", "speed==1.0"}
    assert pins(tmp_path, "uv.lock", new) == {"forked==2.0", "plain==1.0", "speed==1.0"}
    assert pins(tmp_path, "uv.lock", windows) == {"forked==1.0"}
    one, two = (Choice(extras=frozenset({canonicalize_name(name)})) for name in ("one", "two"))
    assert "rival==1.0" in pins(tmp_path, "uv.lock", old, one)
    assert "rival==2.0" in pins(tmp_path, "uv.lock", old, two)


def states(report: dict) -> dict[str, str]:
    return {f"{package['name']} {package['version']}": package["cells"][TARGET]["state"] for package in report["packages"]}


def test_each_kind_of_input_gives_the_same_answer(shell: Shell, stocked: IndexServer, uv: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(HEAD + 'dependencies = ["needy", "gap"]\n', "utf-8")
    uv("lock")
    uv("export", "--frozen", "--format", "pylock.toml", "-o", "pylock.toml")
    for name in ("pyproject.toml", "uv.lock", "pylock.toml"):
        shell.write(name, (tmp_path / name).read_text("utf-8"))
    shell.requirements("needy", "gap")
    digests = {name: hashlib.sha256(hosted.data).hexdigest() for files in stocked.projects.values() for name, hosted in files.items()}
    locked = {"needy": "needy-1.0-py3-none-any.whl", "there": "there-1.0-py3-none-any.whl", "gap": "gap-1.0.tar.gz"}
    default = {name: {"hashes": [f"sha256:{digests[file]}"], "version": "==1.0"} for name, file in locked.items()}
    meta = {"pipfile-spec": 6, "requires": {}, "sources": []}
    shell.write("Pipfile.lock", json.dumps({"_meta": meta, "default": default, "develop": {}}, indent=4))
    tables = "".join(POETRY.format(name, file, digests[file]) for name, file in locked.items())
    shell.write("poetry.lock", f'{tables}[metadata]\nlock-version = "2.1"\npython-versions = ">=3.11"\ncontent-hash = "0"\n')
    expected = {"gap 1.0": "build", "needy 1.0": "upstream-wheel", "there 1.0": "upstream-wheel"}
    for name in ("requirements.txt", "pyproject.toml", "uv.lock", "pylock.toml", "Pipfile.lock", "poetry.lock"):
        done = shell.run("build", "--dry-run", "--json", "-r", name)
        found = {key: state for key, state in states(done.json).items() if not key.startswith("setuptools")}
        assert (name, done.code, found) == (name, 0, expected)


def test_a_lock_is_not_resolved_again(shell: Shell, stocked: IndexServer, uv: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(HEAD + 'dependencies = ["there<2"]\n', "utf-8")
    uv("lock")
    shell.write("uv.lock", (tmp_path / "uv.lock").read_text("utf-8"))
    stocked.requests.clear()
    done = shell.run("build", "--json", "uv.lock")
    assert (done.code, states(done.json)) == (0, {"there 1.0": "upstream-wheel"})
    assert stocked.requests == []


def test_a_wheel_that_came_after_the_lock_is_named_and_locking_again_adds_it(
    shell: Shell, stocked: IndexServer, uv: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text(HEAD + 'dependencies = ["gap<2"]\n', "utf-8")
    uv("lock")
    shell.write("uv.lock", (tmp_path / "uv.lock").read_text("utf-8"))
    wheel = "gap-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"
    add_wheel(stocked, "gap", "1.0", "cp311-cp311-manylinux_2_28_x86_64")
    add_wheel(stocked, "gap", "1.1", "cp311-cp311-manylinux_2_28_x86_64")
    done = shell.run("check", "uv.lock", "--json")
    cell = next(package for package in done.json["packages"] if package["name"] == "gap")["cells"][TARGET]
    assert (done.code, cell["state"]) == (1, "build")
    assert f"{wheel} is upstream now and fits, but uv.lock:" in cell["reason"]
    assert cell["reason"].endswith("does not name it: `uv lock --refresh-package gap` adds it")
    told = shell.run("why", "gap", "-r", "uv.lock", "--target", TARGET)
    assert (told.code, "takes gap-1.0.tar.gz from lock" in told.out) == (1, True)
    assert re.search(rf"out: {re.escape(wheel)} \(upstream\): uv\.lock:\d+ does not name it", told.out)
    uv("lock", "--refresh-package", "gap")
    shell.write("uv.lock", (tmp_path / "uv.lock").read_text("utf-8"))
    again = shell.run("check", "uv.lock", "--json").json["packages"][0]
    assert (again["version"], again["cells"][TARGET]["state"]) == ("1.0", "upstream-wheel")
    view = shell.run("why", "gap", "-r", "uv.lock", "--target", TARGET, "--json").json["views"]
    assert [(one["view"], one["chosen"]["file"], one["chosen"]["from"]) for one in view] == [("lock", wheel, "lock")]


def test_why_with_a_lock_and_requirements_tells_both(
    shell: Shell, stocked: IndexServer, uv: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        HEAD + 'dependencies = []\n[project.optional-dependencies]\nmore = ["there<2"]\n', "utf-8"
    )
    uv("lock")
    shell.write("uv.lock", (tmp_path / "uv.lock").read_text("utf-8"))
    shell.requirements("there")
    inputs = ("-r", "uv.lock", "-r", "requirements.txt", "--extra", "more")
    views = shell.run("why", "there", *inputs, "--json").json["views"]
    assert {one["view"]: one["chosen"]["file"] for one in views} == {
        "merged": "there-2.0-py3-none-any.whl", "extra": "there-2.0-py3-none-any.whl", "lock": "there-1.0-py3-none-any.whl",
    }  # fmt: skip
    without = shell.run("why", "there", "-r", "uv.lock")
    assert without.code == 1
    assert "it has it only for other targets, extras or groups" in without.out


@pytest.mark.parametrize("how", ["500", "reset"])
def test_a_lock_tells_what_is_there_and_a_silent_index_makes_the_rest_unknown(
    shell: Shell, stocked: IndexServer, uv: Callable[..., None], tmp_path: Path, how: Failure
) -> None:
    (tmp_path / "pyproject.toml").write_text(HEAD + 'dependencies = ["there<2", "gap"]\n', "utf-8")
    uv("lock")
    shell.write("uv.lock", (tmp_path / "uv.lock").read_text("utf-8"))
    stocked.fail("/simple/", how)
    done = shell.run("build", "--dry-run", "--json", "-r", "uv.lock")
    assert (done.code, states(done.json)) == (3, {"there 1.0": "upstream-wheel", "gap 1.0": "unknown"})


def test_standard_input_is_read_as_what_it_holds(shell: Shell, stocked: IndexServer, uv: Callable[..., None], tmp_path: Path) -> None:
    for arguments in (("-r", "-"), ("-",)):
        done = shell.run("build", "--dry-run", "--json", *arguments, stdin="there<2\n")
        assert (done.code, states(done.json)) == (0, {"there 1.0": "upstream-wheel"})
    (tmp_path / "pyproject.toml").write_text(HEAD + 'dependencies = ["needy"]\n', "utf-8")
    uv("lock")
    done = shell.run("build", "--dry-run", "--json", "-", stdin=(tmp_path / "uv.lock").read_text("utf-8"))
    assert (done.code, states(done.json)) == (0, {"needy 1.0": "upstream-wheel", "there 1.0": "upstream-wheel"})


def test_several_inputs_are_asked_for_together(shell: Shell, stocked: IndexServer, uv: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(HEAD + 'dependencies = ["there>=2"]\n', "utf-8")
    uv("lock")
    shell.write("uv.lock", (tmp_path / "uv.lock").read_text("utf-8"))
    shell.requirements("needy")
    shell.write("pyproject.toml", '[dependency-groups]\ntest = ["gap", {include-group = "more"}]\nmore = ["there"]\n')
    done = shell.run("build", "--dry-run", "--json", "-r", "uv.lock", "-r", "requirements.txt", "-r", "pyproject.toml", "--group", "test")
    assert done.code == 0
    found = {f"{p['name']} {p['version']}": p["required_by"] for p in done.json["packages"]}
    line = next(n for n, text in enumerate((tmp_path / "uv.lock").read_text("utf-8").splitlines(), 1) if text == "[[package]]")
    assert {name: via for name, via in found.items() if not name.startswith("setuptools")} == {
        "needy 1.0": ["requirements.txt:1"],
        "gap 1.0": ["pyproject.toml:2"],
        "there 1.0": ["needy", "pyproject.toml:3"],
        "there 2.0": [f"uv.lock:{line}"],
    }


def test_an_extra_that_nobody_has_is_told_with_the_nearest(shell: Shell, stocked: IndexServer) -> None:
    shell.write("pyproject.toml", HEAD + 'dependencies = []\n[project.optional-dependencies]\nspeed = ["there"]\n')
    done = shell.run("build", "--dry-run", "-r", "pyproject.toml", "--extra", "sped")
    assert done.code == 2
    assert "--extra sped" in done.err
    assert "perhaps you meant --extra speed" in done.err
    assert shell.run("build", "-r", "pyproject.toml", "--extra", "speed").code == 0


def test_a_malformed_lock_is_told_with_its_place(shell: Shell) -> None:
    shell.write("uv.lock", 'version = 1\n\n[[package]]\nname = "x"\nversion = 3\nsource = { registry = "r" }\n')
    done = shell.run("build", "-r", "uv.lock")
    assert done.code == 2
    assert "uv.lock:3:1: expected package[0].version to be a string, found a whole number" in done.err
    shell.write("pylock.toml", 'lock-version = "1.0"\ncreated-by = \n')
    done = shell.run("build", "-r", "pylock.toml")
    assert (done.code, "pylock.toml:2:" in done.err) == (2, True)


def test_another_tools_file_is_refused_with_advice(shell: Shell) -> None:
    shell.write("Pipfile", "[packages]\n")
    done = shell.run("build", "-r", "Pipfile")
    assert (done.code, "Pipfile.lock" in done.err) == (2, True)
