"""The real command line as a child process, against a real index on the loopback interface. No engine is needed or found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.store import wheel_bytes
from tests.projects.sdist import write_tar

if TYPE_CHECKING:
    from tests.fakes.index_server import IndexServer

REPOSITORY = Path(__file__).resolve().parents[2]
TARGET = "cp311-manylinux_2_36_x86_64"
METADATA = "Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n"


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


@dataclass(kw_only=True)
class Shell:
    """A folder with a config.toml and requirement files, and the environment in which commands run there."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def requirements(self, *lines: str) -> None:
        self.write("requirements.txt", "".join(f"{line}\n" for line in lines))

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "farm", *arguments]

    def run(self, *arguments: str, stdin: str = "", unset: tuple[str, ...] = (), **env: str) -> Done:
        """Run `farm ARGUMENTS`. Whatever it does, it must end in a minute and never show a traceback."""
        given = {name: value for name, value in (self.env | env).items() if name not in unset}
        done = subprocess.run(
            self.command(*arguments), cwd=self.folder, env=given, input=stdin, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        return Done(code=done.returncode, out=done.stdout, err=done.stderr)


@pytest.fixture
def shell(tmp_path: Path, index: IndexServer) -> Shell:
    folder = tmp_path / "project"
    folder.mkdir()
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONWARNINGS": "default",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": index.url,
        "DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock",
        "COLUMNS": "100",
    }
    made = Shell(folder=folder, env=env)
    made.write("config.toml", f'targets = ["{TARGET}"]\n[images]\nfamily = "debian"\n')
    return made


def add_wheel(index: IndexServer, name: str, version: str, tags: str = "py3-none-any", requires: tuple[str, ...] = ()) -> None:
    """Put a wheel on the index, with its metadata beside it."""
    data, _ = wheel_bytes(name, version)
    text = METADATA.format(name=name, version=version) + "".join(f"Requires-Dist: {line}\n" for line in requires)
    index.add((f"{name}-{version}-{tags}.whl", data), metadata=text)


def add_sdist(index: IndexServer, name: str, version: str, folder: Path, requires: tuple[str, ...] = ()) -> None:
    """Put an sdist with one C file and static metadata on the index."""
    info = METADATA.format(name=name, version=version) + "".join(f"Requires-Dist: {line}\n" for line in requires)
    stem = f"{name}-{version}"
    files = {
        "PKG-INFO": info.encode(),
        "pyproject.toml": b'[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n',
        "setup.py": b"from setuptools import setup\nsetup()\n",
        f"{name}.c": b"int answer(void) { return 42; }\n",
    }
    path = write_tar(folder / f"{stem}.tar.gz", {f"{stem}/{member}": data for member, data in files.items()})
    index.add((path.name, path.read_bytes()))


@pytest.fixture
def stocked(index: IndexServer, tmp_path: Path) -> IndexServer:
    """`there` has a wheel, `gap` only an sdist, `elsewhere` a wheel for Windows only, `needy` wants an older `there`."""
    add_wheel(index, "setuptools", "80.0")
    add_wheel(index, "there", "1.0")
    add_wheel(index, "there", "2.0")
    add_wheel(index, "needy", "1.0", requires=("there<2",))
    add_wheel(index, "elsewhere", "1.0", "cp311-cp311-win_amd64")
    add_sdist(index, "gap", "1.0", tmp_path)
    return index


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that signed itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    made, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", str(key), "-out", str(made)],
        check=True, capture_output=True,
    )  # fmt: skip
    return made, key
