"""What keeps CI honest, and the set-up where it may not install anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.console import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_SKIPS = """
import pytest

def test_called():
    pytest.skip("no engine")

@pytest.mark.skip(reason="marked")
def test_marked():
    pass

@pytest.fixture
def image():
    pytest.skip("no image")

def test_fixture(image):
    pass

@pytest.mark.xfail
def test_expected():
    assert False

def test_fine():
    pass
"""
_TOOLS = ("bash", "dirname", "env", "grep", "sha256sum", "cat")


def test_where_everything_is_set_up_a_skip_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "test_skips.py").write_text(_SKIPS)
    (tmp_path / "test_module.py").write_text('import pytest\npytest.skip("a module", allow_module_level=True)\n')
    options = ["-p", "no_skips", "-p", "no:cacheprovider", "--continue-on-collection-errors", "-q"]
    argv = [sys.executable, "-m", "pytest", *options, str(tmp_path)]
    env = {"PYTHONPATH": str(ROOT / ".ci"), "PATH": os.environ["PATH"], "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ran = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "1 failed, 1 passed, 1 xfailed, 3 errors" in ran.stdout


def _setup(folder: Path, programs: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run .ci/setup in an empty checkout on a machine that has only these programs and a few of the shell's own."""
    machine = folder / "bin"
    machine.mkdir()
    for name in _TOOLS:
        found = shutil.which(name)
        assert found
        (machine / name).symlink_to(found)
    for name, body in programs.items():
        (machine / name).write_text(f"#!{shutil.which('bash')}\n{body}\n")
        (machine / name).chmod(0o755)
    checkout = folder / "checkout"
    (checkout / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci/setup", checkout / ".ci/setup")
    return subprocess.run(
        [machine / "bash", checkout / ".ci/setup"], env={"PATH": str(machine)}, capture_output=True, text=True, check=False
    )


def test_setup_without_apt_says_what_to_install(tmp_path: Path) -> None:
    ran = _setup(tmp_path, {"python3": "exit 1"})
    assert ran.returncode == 1
    assert "install Python 3.11 or newer with venv and pip" in ran.stderr


def test_setup_without_root_prints_the_commands_and_runs_none(tmp_path: Path) -> None:
    ran = _setup(tmp_path, {"apt-get": "touch called", "id": "echo 1000", "sudo": "exit 1"})
    assert ran.returncode == 1
    assert "  sudo apt-get update\n  sudo apt-get install --no-install-recommends python3 python3-venv\n" in ran.stderr
    assert not list(tmp_path.rglob("called"))


def test_setup_as_root_installs_and_tells_what_is_still_wrong(tmp_path: Path) -> None:
    """A Debian whose own Python is too old: apt is asked, and then the message names what was found."""
    calls = 'echo "$*" >> "${0%/*}/calls"'
    python = 'if [ "$1" = --version ]; then echo Python 3.9.2; else exit 1; fi'
    ran = _setup(tmp_path, {"apt-get": calls, "id": "echo 0", "python3": python})
    assert ran.returncode == 1
    assert (tmp_path / "bin/calls").read_text().splitlines() == [
        "update -q",
        "install -q -y --no-install-recommends python3 python3-venv",
    ]
    assert "expected Python 3.11 or newer, found Python 3.9.2" in ran.stderr
