"""`farm check` for many machines against real uv, which is told of the same machine: is a wheel there, and which is taken?"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from uv import find_uv_bin

from farm.model.client import Client
from farm.model.target import parse_target
from farm.survey.why import Question, why
from tests.fakes.nouns import canonical, project
from tests.functional.conftest import Shell, add_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.index_server import IndexServer

# What uv can be told exactly: neither PyPy nor free-threaded Pythons, and of macOS and musl only its own default levels.
PLATFORMS = {
    "cp312-manylinux_2_28_x86_64": "x86_64-manylinux_2_28", "cp39-manylinux_2_17_x86_64": "x86_64-manylinux2014",
    "cp313-manylinux_2_40_x86_64": "x86_64-manylinux_2_40", "cp312-manylinux_2_31_aarch64": "aarch64-manylinux_2_31",
    "cp312-musllinux_1_2_x86_64": "x86_64-unknown-linux-musl", "cp313-musllinux_1_2_aarch64": "aarch64-unknown-linux-musl",
    "cp312-macosx_13_0_arm64": "aarch64-apple-darwin", "cp312-macosx_13_0_x86_64": "x86_64-apple-darwin",
    "cp312-macosx_14_0_arm64": "aarch64-apple-darwin", "cp311-macosx_11_0_x86_64": "x86_64-apple-darwin",
    "cp312-win_amd64": "x86_64-pc-windows-msvc", "cp311-win_arm64": "aarch64-pc-windows-msvc", "cp313-win32": "i686-pc-windows-msvc",
}  # fmt: skip
# A package for each: the tags of its wheels.
WORLDS: tuple[tuple[str, ...], ...] = (
    ("cp312-cp312-manylinux_2_28_x86_64",),
    ("cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64",),
    ("cp312-cp312-manylinux2014_x86_64", "cp39-cp39-manylinux2014_x86_64"),
    ("cp312-cp312-manylinux2010_x86_64", "cp313-cp313-manylinux1_x86_64"),
    ("cp312-cp312-manylinux_2_31_aarch64", "cp312-cp312-manylinux_2_32_aarch64"),
    ("cp313-cp313-manylinux_2_39_x86_64",),
    ("cp312-cp312-linux_x86_64",),
    ("cp312-cp312-musllinux_1_1_x86_64", "cp312-cp312-musllinux_1_2_x86_64"),
    ("cp313-cp313-musllinux_1_2_aarch64",),
    ("cp39-abi3-manylinux_2_17_x86_64", "cp39-abi3-macosx_11_0_universal2", "cp39-abi3-win_amd64"),
    ("cp313-abi3-manylinux_2_17_x86_64",),
    ("cp38-abi3-manylinux_2_17_x86_64", "cp312-abi3-manylinux_2_17_x86_64", "cp312-cp312-manylinux_2_17_x86_64"),
    ("cp312-abi3t-manylinux_2_17_x86_64",),
    ("cp314-cp314t-manylinux_2_28_x86_64", "cp313-cp313t-manylinux_2_28_x86_64"),
    ("pp311-pypy311_pp73-manylinux_2_28_x86_64", "pp311-none-any"),
    ("cp312-cp312-macosx_11_0_arm64", "cp312-cp312-macosx_13_0_arm64", "cp312-cp312-macosx_14_0_arm64"),
    ("cp312-cp312-macosx_14_0_arm64",),
    ("cp312-cp312-macosx_10_13_universal2", "cp312-cp312-macosx_12_0_x86_64"),
    ("cp311-cp311-macosx_10_9_x86_64", "cp311-cp311-macosx_12_0_x86_64"),
    ("cp312-cp312-macosx_10_9_intel", "cp312-cp312-macosx_10_9_fat64"),
    ("cp312-cp312-win_amd64", "cp311-cp311-win_arm64", "cp313-cp313-win32"),
    ("cp312-cp312-win32.win_amd64",),
    ("py3-none-win_amd64", "py3-none-any"),
    ("py3-none-manylinux_2_17_x86_64", "py3-none-any"),
    ("cp312-none-any", "py312-none-any", "py3-none-any"),
    ("py312-none-any",),
    ("py2-none-any",),
    ("py2.py3-none-any",),
    ("cp312-none-manylinux_2_28_x86_64", "cp312-abi3-manylinux_2_28_x86_64"),
    ("cp313-none-any",),
)  # fmt: skip
NAMES = {f"world{number}": tags for number, tags in enumerate(WORLDS)}


@pytest.fixture
def stocked(index: IndexServer) -> IndexServer:
    """Each package has 1.0 with the wheels in question, and 0.1, which every client can take."""
    for name, tags in NAMES.items():
        for one in tags:
            add_wheel(index, name, "1.0", one)
        add_wheel(index, name, "0.1")
    return index


def taken_by_uv(index: IndexServer, target: str, folder: Path) -> dict[str, str | None]:
    """Return the tags of the wheel that uv downloads of each package; None where it takes the other version."""
    parsed = parse_target(target)
    index.requests.clear()
    argv = [
        find_uv_bin(), "pip", "install", "--no-config", "--no-cache", "--no-deps", "--only-binary", ":all:", "--python", sys.executable,
        "--python-platform", PLATFORMS[target], "--python-version", f"{parsed.python[0]}.{parsed.python[1]}",
        "--target", str(folder / f"target-{target}"), "--default-index", index.url, *NAMES,
    ]  # fmt: skip
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "NO_PROXY": "127.0.0.1", "UV_PYTHON_DOWNLOADS": "never"}
    if "macosx" in target:
        env["MACOSX_DEPLOYMENT_TARGET"] = ".".join(target.split("_")[1:3])
    done = subprocess.run(argv, env=env, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    files = [path.rpartition("/")[2].removesuffix(".whl") for path in index.requests if path.endswith(".whl")]
    found = {name: tags if version == "1.0" else None for name, version, tags in (file.split("-", 2) for file in files)}
    assert found.keys() == NAMES.keys()
    return found


def test_a_wheel_is_there_where_uv_takes_one_and_farm_why_names_it(stocked: IndexServer, shell: Shell) -> None:
    shell.requirements(*(f"{name}==1.0" for name in NAMES))
    options = [option for target in PLATFORMS for option in ("--target", target)]
    packages = shell.run("check", "-r", "requirements.txt", "--json", "--fail-on", "none", *options).json["packages"]
    for target in PLATFORMS:
        uv = taken_by_uv(stocked, target, shell.folder)
        states = {package["name"]: package["cells"][target]["state"] for package in packages}
        fits = {name: "impossible" if tags is None else "there" for name, tags in uv.items()}
        assert {name: "there" if state in {"upstream-wheel", "pure-fallback"} else state for name, state in states.items()} == fits, target
        for name, tags in NAMES.items():
            asked = Question(name=canonical(name), target=parse_target(target), client=Client(name="uv"))
            merged, _ = why(asked, project(name, *(f"{name}-1.0-{one}.whl" for one in tags), f"{name}-0.1-py3-none-any.whl"), None)
            assert merged.chosen is not None
            expected = f"{name}-1.0-{uv[name]}.whl" if uv[name] else f"{name}-0.1-py3-none-any.whl"
            assert merged.chosen.file.filename == expected, target
