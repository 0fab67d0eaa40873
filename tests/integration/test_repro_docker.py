"""`farm repro`: the state that a build failed in, a command there, and its edits as a recipe that heals the build."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.functional.conftest import REPOSITORY
from tests.integration.container_fixtures import TARGET
from tests.integration.test_direct_docker import Slow, slow
from tests.projects.sdist import PROJECTS

if TYPE_CHECKING:
    from typing import Any

__all__ = ["slow"]
pytestmark = [pytest.mark.docker, pytest.mark.network]

NAME = "farm-lacks-header"
SOUND = """#include <Python.h>

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "farm_lacks_header", 0, -1, 0};

PyMODINIT_FUNC PyInit_farm_lacks_header(void) { return PyModule_Create(&module); }
"""


def cell(slow: Slow) -> dict[str, Any]:
    _, out, _ = slow.farm("build", "-r", "requirements.txt", "--json")
    found: dict[str, Any] = next(p["cells"][TARGET.name] for p in json.loads(out)["packages"] if p["name"] == NAME)
    return found


@pytest.fixture
def failed(slow: Slow) -> Slow:
    shutil.copytree(PROJECTS / "lacks-header", slow.folder / "lacks-header")
    slow.write("requirements.txt", "./lacks-header\n")
    assert cell(slow)["state"] == "failed"
    return slow


def test_an_edit_becomes_the_patch_that_heals_the_build(failed: Slow) -> None:
    (source,) = (path.name for path in (failed.folder / "lacks-header").glob("*.c"))
    edit = f"printf '%s' '{SOUND}' > {source} && ls build"
    code, out, err = failed.farm("repro", NAME, "--command", edit, "--reason", "the header is used by nothing", "--json")
    told = json.loads(out)
    assert (code, told["exit_code"], told["edited"]) == (0, 0, [source]), err
    assert told["build_exit_code"] != 0
    assert "nope.h: No such file" in err
    assert [path.rsplit("/", 1)[-1] for path in told["written"]] == [f"{NAME}-1.0.patch", f"{NAME}.toml"]
    assert failed.farm("recipe", "lint")[0] == 0
    assert (healed := cell(failed))["state"] == "built", healed


def test_the_network_is_off_and_nothing_is_left(failed: Slow) -> None:
    code, out, err = failed.farm("repro", NAME, "--no-build", "--command", "id -u; ls /sys/class/net; exit 7", "--json")
    told = json.loads(out)
    assert (code, told["exit_code"], told["build_exit_code"], told["written"]) == (0, 7, None, [])
    assert [line.split()[-1] for line in err.splitlines() if line.split()[-1:] in (["1000"], ["lo"])] == ["1000", "lo"]
    assert not (failed.folder / "recipes").exists()
    assert list((failed.folder / "store" / "staging").glob("*")) == []


def test_a_shell_on_a_terminal(failed: Slow) -> None:
    ours, theirs = pty.openpty()
    argv = [sys.executable, "-m", "farm", "repro", NAME, "--no-build"]
    env = os.environ | {"PYTHONPATH": str(REPOSITORY), "TERM": "dumb"}
    with subprocess.Popen(argv, cwd=failed.folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        seen = typed = ""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and child.poll() is None:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                seen += os.read(ours, 65536).decode(errors="replace")
            except OSError:
                break
            if "leave: exit" in seen and not typed:
                typed = "echo six times seven is $((6*7)); touch new.h; echo '#define A 1' > new.h; exit\n"
                os.write(ours, typed.encode())
        assert child.wait(30) == 0, seen
    os.close(ours)
    assert "six times seven is 42" in seen
    assert "new.h" in (failed.folder / "recipes" / f"{NAME}-1.0.patch").read_text()


def test_what_cannot_be_built_again_is_told(slow: Slow) -> None:
    code, _, err = slow.farm("repro", "no-such-build", "--command", "true")
    assert code == 2
    assert "farm status" in err
