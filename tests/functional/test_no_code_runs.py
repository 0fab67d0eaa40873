"""No package code runs on this machine: sdists that tell on whoever runs them, one for each way to state dependencies or not.

Each has a setup.py and an in-tree build backend that write a file and open a connection. The rows are those of uv's
behaviour with and without `--no-build`; each says what farm makes of it instead.
"""

from __future__ import annotations

import io
import socket
import subprocess
import tarfile
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from farm.model.gap import Resolution
from farm.model.target import parse_target
from tests.fakes.resolving import Resolving, demand
from tests.projects.make import Made

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.index_server import IndexServer
    from tests.functional.conftest import Shell

LINUX = parse_target("cp311-manylinux_2_36_x86_64")
TARGETS = (LINUX, parse_target("cp313-manylinux_2_36_x86_64"), parse_target("pp311-manylinux_2_28_x86_64"))
IN_TREE = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
POETRY = '[tool.poetry]\nname = "p"\nversion = "1"\n[tool.poetry.dependencies]\nleaf = "*"\n'
PROJECT = '[project]\nname = "p"\n{version}dependencies = ["leaf"]\n'


@dataclass
class Trap:
    """Where package code leaves its traces."""

    folder: Path
    listener: socket.socket
    calls: list[str] = field(default_factory=list)

    def code(self, name: str) -> str:
        """Return Python that leaves both traces the moment it is imported or run."""
        port = self.listener.getsockname()[1]
        told = str(self.folder / f"{name} ran")
        return (
            f"open({told!r}, 'w').close()\n"
            f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 1).sendall({name.encode()!r})\n"
        )

    def files(self, name: str, pyproject: str = "") -> dict[str, str]:
        code = self.code(name)
        files = {"setup.py": f"{code}from setuptools import setup\nsetup(name={name!r}, version='1')\n"}
        return files | {"backend.py": code, "pyproject.toml": IN_TREE + pyproject}

    def traces(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("* ran")) + self.calls


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Trap]:
    folder = tmp_path / "traces"
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Trap(folder=folder, listener=listener)

        def listen() -> None:
            while True:
                try:
                    caller, _ = listener.accept()
                except OSError:
                    return
                with caller:
                    made.calls.append(f"called by {caller.recv(100).decode()}")

        threading.Thread(target=listen, daemon=True).start()
        yield made


def test_the_trap_works(trap: Trap, tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text(trap.files("culprit")["setup.py"])
    subprocess.run(["python3", "setup.py", "--version"], cwd=tmp_path, capture_output=True, check=False)
    assert "culprit ran" in trap.traces()


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way to state dependencies. `answer` are the names that come with it, `guess` whether that is said to be a guess."""

    metadata_version: str = "2.2"
    requires: tuple[str, ...] = ()
    dynamic: tuple[str, ...] = ()
    pyproject: str = ""
    files: dict[str, str] = field(default_factory=dict)
    suffix: str = ".tar.gz"
    wheel: str = ""
    answer: tuple[str, ...] = ("leaf",)
    guess: bool = False


EGG = {"p.egg-info/requires.txt": "leaf\n"}
ROWS = {
    "old-pkg-info": Row(metadata_version="1.1", answer=(), guess=True),
    "old-pkg-info-with-egg-info": Row(metadata_version="2.1", files=EGG, guess=True),
    "static": Row(requires=("leaf",)),
    "static-without-dependencies": Row(answer=()),
    "dynamic-requires": Row(requires=("leaf",), dynamic=("Requires-Dist",), guess=True),
    "dynamic-in-lower-case": Row(requires=("leaf",), dynamic=("requires-dist",), guess=True),
    "dynamic-extras": Row(requires=("leaf",), dynamic=("Provides-Extra",), guess=True),
    "dynamic-in-other-fields": Row(requires=("leaf",), dynamic=("Description", "summary")),
    "project-table": Row(metadata_version="2.1", pyproject=PROJECT.format(version='version = "1"\n')),
    "project-table-with-dynamic-version": Row(metadata_version="2.1", pyproject=PROJECT.format(version='dynamic = ["version"]\n')),
    "project-table-with-dynamic-dependencies": Row(
        metadata_version="2.1", files=EGG, pyproject='[project]\nname = "p"\nversion = "1"\ndynamic = ["dependencies"]\n', guess=True
    ),
    "poetry-table": Row(metadata_version="2.1", requires=("leaf",), pyproject=POETRY, guess=True),
    "wheel-elsewhere": Row(metadata_version="1.0", requires=("leaf",), wheel="cp311-cp311-win_amd64"),
    "zip": Row(requires=("leaf",), suffix=".zip"),
    "zip-not-static": Row(metadata_version="1.1", suffix=".zip", files=EGG, guess=True),
    "tar-bz2": Row(requires=("leaf",), suffix=".tar.bz2"),
    "tar-bz2-not-static": Row(metadata_version="1.1", suffix=".tar.bz2", files=EGG, guess=True),
}


def sdist(made: Made, suffix: str) -> tuple[str, bytes]:
    if suffix != ".tar.bz2":
        return made.sdist(suffix)
    name, data = made.sdist()
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as source, tarfile.open(fileobj=out, mode="w:bz2") as packed:
        for member in source.getmembers():
            packed.addfile(member, source.extractfile(member))
    return name.removesuffix(".tar.gz") + suffix, out.getvalue()


def made(name: str, row: Row, trap: Trap) -> Made:
    return Made(
        name=name, version="1", metadata_version=row.metadata_version, requires=row.requires, dynamic=row.dynamic,
        files=trap.files(name, row.pyproject) | row.files,
    )  # fmt: skip


# A URL names one file, so a wheel for elsewhere is no case of it.
CASES = [*((name, "index") for name in ROWS), *((name, "url") for name, row in ROWS.items() if not row.wheel)]


@pytest.mark.parametrize(("name", "how"), CASES)
def test_nothing_runs_and_the_answer_is_this(name: str, how: str, trap: Trap, index: IndexServer, tmp_path: Path) -> None:
    row = ROWS[name]
    project = made(name, row, trap)
    filename, data = sdist(project, row.suffix)
    index.add((filename, data))
    index.add(Made(name="leaf", version="1").sdist())
    if row.wheel:
        index.add(project.wheel(row.wheel), metadata=project.metadata)
    url = f"{index.url.removesuffix('/simple')}/files/{name}/{filename}"
    wanted = demand(name if how == "index" else f"{name} @ {url}")
    notes: list[str] = []
    world = Resolving(folder=tmp_path, index=index)
    alone = world.resolver(note=notes.append).resolve(wanted, LINUX)
    together = world.resolver(note=notes.append, refresh=True).resolve_all(wanted, TARGETS)
    world.close()
    assert trap.traces() == []
    for found in (alone, *together):
        assert isinstance(found, Resolution), found.explanation
        assert sorted(str(pin.pin) for pin in found.pins) == sorted([f"{name}==1", *(f"{each}==1" for each in row.answer)])
    assert any(note.startswith(f"{name}==1: its dependencies are read off") for note in notes) == row.guess


def test_what_is_on_no_index_is_fetched_and_nothing_of_it_runs_here(trap: Trap, index: IndexServer, shell: Shell, tmp_path: Path) -> None:
    row = Row(metadata_version="1.1")
    for name in ("folder", "editable", "repository"):
        project = shell.folder / name
        project.mkdir()
        for filename, text in trap.files(name).items():
            (project / filename).write_text(text)
    repository = shell.folder / "repository"
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *command], cwd=repository, check=True, capture_output=True)
    filename, data = made("archive", row, trap).sdist()
    (shell.folder / filename).write_bytes(data)
    index.add(Made(name="leaf", version="1").wheel(), metadata=Made(name="leaf", version="1").metadata)
    shell.requirements(
        "leaf", "./folder", "-e ./editable", f"git+file://{repository}", f"named @ git+file://{repository}",
        f"-e git+file://{repository}#egg=edited", f"archive @ file://{shell.folder}/{filename}", f"./{filename}",
    )  # fmt: skip
    done = shell.run("build", "-r", "requirements.txt", "--dry-run", "--json", "--target", LINUX.name, "--target", TARGETS[1].name)
    assert trap.traces() == []
    assert done.code == 3, done.err
    states = {package["name"]: {cell["state"] for cell in package["cells"].values()} for package in done.json["packages"]}
    # Only a container could tell the names and versions of projects that do not state them; no image serves the second target.
    untold = {"./folder", "./editable", f"git+file://{repository}", "named", "edited"}
    assert states == {"leaf": {"upstream-wheel"}, "archive": {"build", "refused"}} | {name: {"unknown"} for name in untold}
    lines = {line for package in done.json["packages"] for line in package["required_by"]}
    assert {f"requirements.txt:{number}" for number in range(1, 9)} <= lines
