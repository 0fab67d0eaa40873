"""Wheels for targets whose images are not made in an everyday run: forky's Pythons, free-threaded ones, and another processor.

Slow: it makes each image from nothing, the foreign one under QEMU. `make slow` runs it, with what it needs set up before.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from farm.adapters import emulation
from farm.config import load
from farm.model.target import parse_target
from farm.wire import Farm
from tests.functional.conftest import REPOSITORY
from tests.integration.smoke import SCRIPTS

if TYPE_CHECKING:
    from pathlib import Path

    from farm.adapters.images import DockerImages

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.network]

FORKY = ("cp314-manylinux_2_43_x86_64", "cp315-manylinux_2_43_x86_64")
# Not each of a suite's source packages is on each mirror; this one's is. cibuildwheel does not know it any more.
WITHOUT_GIL = "cp313t-manylinux_2_43_x86_64"
FAR = "cp311-manylinux_2_36_aarch64"
# C with setuptools and an sdist only; C with wheels upstream, which the policy leaves aside.
REQUIREMENTS = "crcmod==1.7\nmarkupsafe==3.0.3\n"
LOCKED = ("--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges")


def configured(folder: Path, *targets: str) -> Path:
    path = folder / "config.toml"
    listed = ", ".join(f'"{target}"' for target in targets)
    policy = '[policy]\nbuild-from-source = ["markupsafe"]\n'
    path.write_text(f'targets = [{listed}]\n[images]\nfamily = "debian"\n[build]\njobs = 1\n{policy}', encoding="utf-8")
    (folder / "requirements.txt").write_text(REQUIREMENTS, encoding="utf-8")
    return path


def farm(folder: Path, *arguments: str) -> dict[str, Any]:
    """Run the farm as a user would, and return its JSON."""
    argv = [sys.executable, "-m", "farm", *arguments, "--json"]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def wheels(folder: Path) -> dict[str, Path]:
    """Return what the farm publishes, by name."""
    out = folder / "site"
    argv = [sys.executable, "-m", "farm", "export", str(out)]
    subprocess.run(argv, cwd=folder, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, check=True, capture_output=True)
    return {path.name: path for path in out.rglob("*.whl")}


def machines(wheel: Path) -> set[int]:
    """Return e_machine of each shared object in a wheel (ELF header: 62 is x86-64, 183 AArch64)."""
    with zipfile.ZipFile(wheel) as archive:
        heads = [archive.read(name)[:20] for name in archive.namelist() if name.endswith(".so")]
    return {int.from_bytes(head[18:20], "little") for head in heads}


def in_runtime(folder: Path, target: str, script: str) -> str:
    settings = load(folder / "config.toml", home=folder)
    with Farm(settings, dict(os.environ)) as made:
        image = made.images.ensure(made.images.choose(parse_target(target), "runtime"), print)
    python = image.python(parse_target(target).python_tag)
    call = ["docker", "run", "--rm", *LOCKED, image.reference, python, "-c", script]
    return subprocess.run(call, check=True, capture_output=True, text=True).stdout


def smoke(folder: Path, target: str) -> dict[str, str]:
    """Run each tool of a target's builder once, and return what it printed."""
    settings = load(folder / "config.toml", home=folder)
    with Farm(settings, dict(os.environ)) as made:
        images: DockerImages = made.images
        builder = images.ensure(images.choose(parse_target(target)), print)
    told = {}
    for tool, (script, _) in SCRIPTS.items():
        call = ["docker", "run", "--rm", *LOCKED, builder.reference, "sh", "-ec", script]
        done = subprocess.run(call, check=False, capture_output=True, text=True)
        told[tool] = done.stdout if done.returncode == 0 else f"{done.stdout}\n{done.stderr}"
    return told


def test_forkys_pythons_get_wheels_that_are_built_and_proven(tmp_path: Path) -> None:
    configured(tmp_path, *FORKY)
    farm(tmp_path, "build", "-r", "requirements.txt")
    made = wheels(tmp_path)
    for name in ("crcmod-1.7", "markupsafe-3.0.3"):
        for tag in ("cp314-cp314", "cp315-cp315"):
            (found,) = [path for file, path in made.items() if file.startswith(f"{name}-{tag}-manylinux")]
            assert machines(found) == {62}
    # What the next survey goes by is the image's real version, not an assumed one.
    rows = {row["name"]: row for row in farm(tmp_path, "targets", "list")["targets"]}
    for target in FORKY:
        assert rows[target]["image"] == "debian-forky-x86_64-builder"
        assert rows[target]["assumed"] is False
    told = in_runtime(tmp_path, FORKY[1], "import platform; print(platform.python_version())")
    assert told.strip() == rows[FORKY[1]]["python"]
    assert smoke(tmp_path, FORKY[0]) == {tool: expected for tool, (_, expected) in SCRIPTS.items()}


def test_a_free_threaded_python_gets_wheels_of_its_own(tmp_path: Path) -> None:
    configured(tmp_path, WITHOUT_GIL)
    farm(tmp_path, "build", "-r", "requirements.txt")
    made = wheels(tmp_path)
    (found,) = [path for name, path in made.items() if name.startswith("markupsafe-3.0.3-cp313-cp313t-manylinux")]
    assert machines(found) == {62}
    (row,) = farm(tmp_path, "targets", "list")["targets"]
    assert (row["image"], row["assumed"]) == ("debian-forky-cp313t-x86_64-builder", False)
    script = "import sys, sysconfig; print(sys._is_gil_enabled(), sysconfig.get_config_var('Py_GIL_DISABLED'))"
    assert in_runtime(tmp_path, WITHOUT_GIL, script) == "False 1\n"


def test_a_wheel_for_aarch64_is_built_and_proven_under_qemu(tmp_path: Path) -> None:
    if not emulation.is_foreign("aarch64"):
        pytest.skip("this machine is one")
    configured(tmp_path, FAR)
    farm(tmp_path, "build", "-r", "requirements.txt")
    made = wheels(tmp_path)
    for name in ("crcmod-1.7", "markupsafe-3.0.3"):
        (found,) = [path for file, path in made.items() if re.match(rf"{name}-cp311-cp311-manylinux.*_aarch64\.whl", file)]
        assert machines(found) == {183}
    assert in_runtime(tmp_path, FAR, "import platform; print(platform.machine())") == "aarch64\n"
    assert smoke(tmp_path, FAR) == {tool: expected for tool, (_, expected) in SCRIPTS.items()}
