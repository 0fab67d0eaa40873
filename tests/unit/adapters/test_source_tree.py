"""Archives from strangers: what is unpacked, and what is refused."""

from __future__ import annotations

import io
import tarfile
import tomllib
import zipfile

import pytest

from farm.adapters.source_tree import add_build_requires, unpack
from farm.model.build import BadSdist
from farm.model.job import Recipe
from tests.projects.sdist import make_sdist, write_tar


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_an_sdist_unpacks_to_its_one_folder(tmp_path):
    package = unpack(make_sdist("c", tmp_path), tmp_path / "out")
    assert package.name == "farm_c-1.0"
    assert (package / "farm_c.c").read_text().startswith("#include")


def test_times_and_the_executable_bit_survive(tmp_path):
    info = tarfile.TarInfo("p-1/configure")
    info.mode, info.mtime = 0o4755, 1_600_000_000
    package = unpack(write_tar(tmp_path / "p-1.tar.gz", {}, (info,)), tmp_path / "out")
    status = (package / "configure").stat()
    assert status.st_mode & 0o7777 == 0o755
    assert status.st_mtime == 1_600_000_000


def test_a_zip_sdist_unpacks(tmp_path):
    path = tmp_path / "p-1.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("p-1/setup.py", "x = 1")
    assert (unpack(path, tmp_path / "out") / "setup.py").read_text() == "x = 1"


def test_links_that_stay_inside_are_kept(tmp_path):
    extra = (link("p-1/a/x", "../b"), link("p-1/hard", "p-1/b", tarfile.LNKTYPE))
    package = unpack(write_tar(tmp_path / "p-1.tar.gz", {"p-1/b": b"data"}, extra), tmp_path / "out")
    assert (package / "a" / "x").read_text() == "data"
    assert (package / "hard").read_text() == "data"


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "p-1/../../evil", "p-1\\..\\evil"])
def test_a_path_that_leaves_is_refused(tmp_path, name):
    with pytest.raises(BadSdist, match="leaves the archive"):
        unpack(write_tar(tmp_path / "p-1.tar.gz", {"p-1/setup.py": b"", name: b""}), tmp_path / "out" / "deep")
    assert not (tmp_path / "evil").exists()
    assert not (tmp_path / "out" / "evil").exists()


@pytest.mark.parametrize(
    "extra",
    [
        (link("p-1/x", "/etc/passwd"),),
        (link("p-1/x", "../../outside"),),
        (link("p-1/x", "../../outside", tarfile.LNKTYPE),),
        # Each is harmless read as text; followed one after the other they leave.
        (link("p-1/a/b/c/up", "../../.."), link("p-1/a/b/c/x", "up/../../outside")),
        (link("p-1/loop", "loop"),),
    ],
)
def test_a_link_that_leaves_is_refused(tmp_path, extra):
    with pytest.raises(BadSdist):
        unpack(write_tar(tmp_path / "p-1.tar.gz", {"p-1/setup.py": b""}, extra), tmp_path / "out")


def test_nothing_is_written_through_a_link(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    inside = tarfile.TarInfo("p-1/d/evil")
    with pytest.raises(BadSdist):
        unpack(write_tar(tmp_path / "p-1.tar.gz", {}, (link("p-1/d", str(outside)), inside)), tmp_path / "out")
    assert not list(outside.iterdir())


def test_a_device_is_refused(tmp_path):
    with pytest.raises(BadSdist, match="neither a file"):
        unpack(
            write_tar(tmp_path / "p-1.tar.gz", {"p-1/a": b""}, (link("p-1/pipe", "", tarfile.FIFOTYPE),)),
            tmp_path / "out",
        )


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"\x1f\x8b\x08\x00garbage"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "p-1.tar.gz"
    path.write_bytes(content)
    with pytest.raises(BadSdist):
        unpack(path, tmp_path / "out")


def test_a_cut_off_archive_is_refused(tmp_path):
    path = write_tar(tmp_path / "p-1.tar.gz", {"p-1/a": bytes(range(256)) * 999})
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BadSdist):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("files", [{}, {"a-1/x": b"", "b-1/x": b""}, {"setup.py": b""}])
def test_an_archive_without_its_one_folder_is_refused(tmp_path, files):
    with pytest.raises(BadSdist, match="one folder"):
        unpack(write_tar(tmp_path / "p-1.tar.gz", files), tmp_path / "out")


def test_the_same_project_makes_the_same_sdist(tmp_path):
    assert make_sdist("cpp", tmp_path / "a").read_bytes() == make_sdist("cpp", tmp_path / "b").read_bytes()


def requires_of(path):
    return tomllib.loads(path.read_text())["build-system"]["requires"]


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("", ["setuptools >= 40.8.0"]),
        ("[tool.x]\nrequires = ['no']\n", ["setuptools >= 40.8.0"]),
        ('[build-system]\nrequires = ["a", "b[x]>=1"]\nbuild-backend = "m"\n[tool.x]\ny = ["]"]\n', ["a", "b[x]>=1"]),
        (
            "[build-system]\nbuild-backend = 'm'\nrequires = [\n  'a',  # why ] this\n  'b; python_version>\"3\"',\n]\n",
            ["a", 'b; python_version>"3"'],
        ),
        ("[tool.x]\nrequires = ['no']\n[build-system]\nrequires = []\n", []),
    ],
)
def test_a_recipes_requirements_are_added_and_nothing_else_changes(tmp_path, text, before):
    path = tmp_path / "pyproject.toml"
    if text:
        path.write_text(text)
    add_build_requires(tmp_path, Recipe(build_requires=("numpy<2", "cython; python_version>'3'")))
    assert requires_of(path) == [*before, "numpy<2", "cython; python_version>'3'"]


def test_an_override_takes_the_place_of_all_of_its_name_and_adds_none(tmp_path):
    path = tmp_path / "pyproject.toml"
    old = "'setuptools', \"NumPy==1.17.3; python_version<'3.9'\", 'numpy==1.19.3'"
    path.write_text(f"[build-system]\nrequires = [{old}]\n[tool.x]\ny = 1\n")
    add_build_requires(tmp_path, Recipe(build_overrides=("numpy==1.23.2", "scipy==1.9"), build_requires=("wheel",)))
    assert requires_of(path) == ["setuptools", "numpy==1.23.2", "wheel"]
    assert "[tool.x]\ny = 1" in path.read_text()


def test_without_a_recipe_the_file_is_left_alone(tmp_path):
    add_build_requires(tmp_path, Recipe())
    assert not (tmp_path / "pyproject.toml").exists()


@pytest.mark.parametrize(
    "text", ["build-system = {requires = ['a']}\n", "not toml", "[tool.requires]\n[build-system]\n'requires' = ['a']\n"]
)
def test_a_file_that_cannot_be_edited_with_certainty_is_left_alone(tmp_path, text):
    path = tmp_path / "pyproject.toml"
    path.write_text(text)
    try:
        add_build_requires(tmp_path, Recipe(build_requires=("b",)))
    except BadSdist:
        assert path.read_text() == text
    else:
        assert requires_of(path) == ["a", "b"]


def test_a_tar_with_a_huge_claim_is_refused_before_it_is_written(tmp_path):
    info = tarfile.TarInfo("p-1/huge")
    info.size = 1 << 40
    buffer = io.BytesIO(info.tobuf())
    (tmp_path / "p-1.tar").write_bytes(buffer.getvalue())
    with pytest.raises(BadSdist, match="8 GiB"):
        unpack(tmp_path / "p-1.tar", tmp_path / "out")
