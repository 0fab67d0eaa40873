"""The clients of the matrix, and what became of an installation: the installed file says where it is from."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from uv import find_uv_bin

from tests.fakes.client_world import environment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.fakes.client_tools import Tools

Family = Literal["pip", "uv"]
OLD = ("pip-23.1.2", "pip-24.3.1", "pip-25.3", "uv-0.4.30")
NEW = ("pip", "uv")
"""Those that these tests run with: the newest that pyproject.toml allows."""
_ORIGIN = re.compile(r"ORIGIN = .(\w+)")


@dataclass(frozen=True, kw_only=True)
class Client:
    """`argv` begins every command line."""

    name: str
    family: Family
    argv: tuple[str, ...]
    options: tuple[str, ...]

    @property
    def has_cutoff(self) -> bool:
        """Whether it can be told to ignore what was uploaded later: uv, and pip from 26.0 on."""
        return self.family == "uv" or self.name == "pip"


def find_client(name: str, tools: Tools) -> Client:
    """Return a client by its name, as `pip-24.3.1`; it is installed if need be."""
    family, _, release = name.partition("-")
    if family == "uv":
        options = ("--target", "site", "--python", sys.executable, "--quiet")
        return Client(name=name, family="uv", argv=(_uv(release, tools), "pip", "install"), options=options)
    python = tools.pip(release)
    options = ("--target", "site", "--disable-pip-version-check", "--no-input", "--quiet")
    return Client(name=name, family="pip", argv=(python, "-m", "pip", "install"), options=options)


def _uv(release: str, tools: Tools) -> str:
    return str(tools.environment("uv", f"uv=={release}") / "uv") if release else find_uv_bin()


@dataclass(kw_only=True)
class Desk:
    """A folder in which clients run; nothing of this machine's settings reaches them."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        own = {"PIP_CONFIG_FILE": "/dev/null", "PIP_NO_CACHE_DIR": "1", "UV_NO_CONFIG": "1", "NO_PROXY": "127.0.0.1"}
        self.env = environment(self.folder) | own | {"UV_CACHE_DIR": str(self.folder / "uv-cache")} | self.env

    def run(self, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv, cwd=self.folder, env=self.env | env, capture_output=True, text=True, check=False, timeout=180
        )

    def install(self, client: Client, lines: Sequence[str], *options: str) -> str:
        """Install requirement lines anew and return what came, as `farm 1.0`; `error: ...` when the client failed."""
        shutil.rmtree(self.folder / "site", ignore_errors=True)
        (self.folder / "requirements.txt").write_text("".join(f"{line}\n" for line in lines))
        done = self.run(*client.argv, *client.options, *options, "-r", "requirements.txt")
        if done.returncode:
            return f"error: {done.stderr.strip()}"
        return installed(self.folder / "site", re.split(r"[=<>\[ ]", lines[0])[0])


def installed(site: Path, name: str) -> str:
    """Return where an installed project is from, and its version."""
    module = name.replace("-", "_")
    (info,) = site.glob(f"{module}-*.dist-info")
    match = _ORIGIN.search((site / f"{module}.py").read_text())
    assert match is not None
    return f"{match[1]} {info.name.removesuffix('.dist-info').rpartition('-')[2]}"
