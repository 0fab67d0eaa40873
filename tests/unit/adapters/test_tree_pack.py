"""A project's folder as an archive: the same bytes for the same files, nothing that a working copy gathers, no way out."""

from __future__ import annotations

import io
import os
import socket
import tarfile
import tempfile
from pathlib import Path

import pytest

from farm.adapters.source_tree import unpack
from farm.adapters.tree_pack import Packing, pack
from farm.model.build import BadSdist
from tests.projects.make import zipped


def packed(project: Path, **how: object) -> bytes:
    out = io.BytesIO()
    pack(project, out, Packing(within=how.pop("within", project), **how))  # type: ignore[arg-type]
    return out.getvalue()


def names(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return [name.removeprefix("source/") for name in archive.getnames()[1:]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "src" / "demo").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[project]\n")
    (folder / "src" / "demo" / "__init__.py").write_text("X = 1\n")
    return folder


def test_the_same_files_give_the_same_bytes_whenever_and_whoever_wrote_them(project: Path, tmp_path: Path) -> None:
    first = packed(project)
    os.utime(project / "pyproject.toml", (1, 1))
    (project / "pyproject.toml").chmod(0o600)
    other = tmp_path / "elsewhere"
    other.mkdir()
    for path in sorted(project.rglob("*"), reverse=True):
        if path.is_file():
            target = other / path.relative_to(project)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    assert packed(project) == packed(other) == first
    (other / "pyproject.toml").chmod(0o755)
    assert packed(other) != first


def test_a_working_copy_s_own_things_stay_behind(project: Path) -> None:
    clean = packed(project)
    for name in (".git/HEAD", ".venv/bin/python", "env/pyvenv.cfg", "env/lib/x.py", "build/lib/demo.py", "dist/demo-1.whl",
                 "src/demo/__pycache__/x.pyc", "src/demo.egg-info/PKG-INFO", ".tox/a", "src/demo/_c.cpython-311-x86_64-linux-gnu.so",
                 ".pytest_cache/v/x", "store/blobs/x"):  # fmt: skip
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("not of the project")
    assert packed(project, tidy=True, omit=(project / "store",)) == clean
    (project / "build" / "__init__.py").write_text("")
    assert "build/__init__.py" in names(packed(project, tidy=True, omit=(project / "store",)))


def test_of_a_repository_only_the_history_stays_behind(project: Path) -> None:
    for name in (".git/HEAD", "build/tool.py", "vendored/.git"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("gitdir: elsewhere")
    assert [name for name in names(packed(project)) if "git" in name or "build" in name] == ["build", "build/tool.py"]


def test_links_within_stay_links_and_what_unpacks_them_agrees(project: Path, tmp_path: Path) -> None:
    (project / "src" / "README").symlink_to("../pyproject.toml")
    (project / "alias").symlink_to("src")
    archive = tmp_path / "source.tar"
    archive.write_bytes(packed(project))
    found = unpack(archive, tmp_path / "out")
    assert (found / "src" / "README").readlink() == Path("../pyproject.toml")
    assert (found / "alias" / "demo" / "__init__.py").read_text() == "X = 1\n"


@pytest.mark.parametrize("target", ["/etc/passwd", "../secret", "src/../../secret"])
def test_a_link_that_leads_out_is_refused(project: Path, target: str) -> None:
    (project.parent / "secret").write_text("secret")
    (project / "innocent").symlink_to(target)
    with pytest.raises(BadSdist, match=r"innocent -> .*leads out of the project"):
        packed(project)


def test_a_link_out_of_the_project_but_not_of_its_repository_becomes_a_copy(project: Path) -> None:
    (project.parent / "LICENSE").write_text("free")
    (project / "LICENSE").symlink_to("../LICENSE")
    with tarfile.open(fileobj=io.BytesIO(packed(project, within=project.parent))) as archive:
        member = archive.getmember("source/LICENSE")
        opened = archive.extractfile(member)
        assert opened is not None
        assert (member.isfile(), opened.read()) == (True, b"free")


def test_links_in_a_circle_are_refused(project: Path) -> None:
    (project / "one").symlink_to("two")
    (project / "two").symlink_to("one")
    with pytest.raises(BadSdist):
        packed(project)


def test_a_socket_is_refused() -> None:
    # The path of a socket may not be longer than some hundred letters.
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as opened:
        opened.bind(f"{folder}/socket")
        with pytest.raises(BadSdist, match="neither a file, a folder nor a link"):
            packed(Path(folder))


@pytest.mark.parametrize("bound", [{"files": 2}, {"size": 5}])
def test_a_giant_tree_is_refused(project: Path, bound: dict[str, int]) -> None:
    with pytest.raises(BadSdist, match="more than"):
        packed(project, **bound)


def test_more_files_win_over_those_that_are_there(project: Path) -> None:
    (project / ".git_archival.txt").write_text("node: $Format:%H$\n")
    with tarfile.open(fileobj=io.BytesIO(packed(project, more={".git_archival.txt": b"node: abc\n"}))) as archive:
        opened = archive.extractfile("source/.git_archival.txt")
        assert opened is not None
        assert opened.read() == b"node: abc\n"
        assert len(archive.getnames()) == len(set(archive.getnames()))


def test_an_archive_that_ends_with_a_zip_is_still_unpacked_as_what_it_is(project: Path, tmp_path: Path) -> None:
    (project / "zz.zip").write_bytes(zipped({"evil/setup.py": "raise SystemExit"}))
    archive = tmp_path / "source"
    archive.write_bytes(packed(project))
    assert (unpack(archive, tmp_path / "out") / "pyproject.toml").is_file()
