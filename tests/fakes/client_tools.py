"""Clients of other versions, each in an environment of its own that is kept from run to run.

They come from the index that pip on this machine is configured to use. Where one cannot be had the test is skipped, under CI it fails.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.fakes.client_world import client_python

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Tools:
    """`folder` is where they are kept."""

    folder: Path

    def program(self, name: str, *requirements: str) -> str:
        """Return the path of a program that these requirements bring; one in $FARM_TEST_TOOLS is preferred."""
        given = shutil.which(name, path=os.environ.get("FARM_TEST_TOOLS", ""))
        return given or str(self.environment(name, *requirements) / name)

    def environment(self, name: str, *requirements: str) -> Path:
        """Return the `bin` folder of an environment with these requirements."""
        place = self._place(name, requirements)
        with self._once(place) as missing:
            if missing:
                subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
                self._pip(str(place / "bin" / "python"), "install", *requirements)
        return place / "bin"

    def pip(self, release: str = "") -> str:
        """Return the interpreter of an environment that has this pip, or that of these tests."""
        place = self._place("pip", (release or _own_pip(),))
        with self._once(place) as missing:
            if missing:
                shutil.rmtree(place, ignore_errors=True)
                client_python(place, self.pip_wheel(release) if release else None)
        return str(place / "bin" / "python")

    def pip_wheel(self, release: str) -> Path:
        """Return the wheel of a pip."""
        folder = self.folder / "wheels"
        if not (found := list(folder.glob(f"pip-{release}-py*.whl"))):
            self._pip(
                sys.executable, "download", "--no-deps", "--only-binary", ":all:", "-d", str(folder), f"pip=={release}"
            )
            found = list(folder.glob(f"pip-{release}-py*.whl"))
        return found[0]

    def _place(self, name: str, requirements: tuple[str, ...]) -> Path:
        version = ".".join(map(str, sys.version_info[:3]))
        told = "-".join("".join(c if c.isalnum() or c in ".=<>" else "_" for c in each) for each in requirements)
        return self.folder / f"{name}-py{version}-{told}"

    @contextmanager
    def _once(self, place: Path) -> Iterator[bool]:
        """Tell whether the environment is to be made; others wait meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{place.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            ready = place / "ready"
            yield not ready.exists()
            ready.touch()

    def _pip(self, python: str, *arguments: str) -> None:
        argv = [python, "-m", "pip", arguments[0], "--quiet", "--disable-pip-version-check", *arguments[1:]]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            # Where everything must be there, a test that is not run has failed.
            give_up = pytest.fail if os.environ.get("CI") else pytest.skip
            give_up(f"{' '.join(arguments)} cannot be had: {done.stderr.strip()[-300:]}")


def kept_tools(config: pytest.Config, otherwise: Path) -> Tools:
    """Return the tools in pytest's cache, or in a folder where there is none."""
    cache = getattr(config, "cache", None)
    return Tools(folder=cache.mkdir("client-tools") if cache is not None else otherwise)


def _own_pip() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - here only

    return version("pip")
