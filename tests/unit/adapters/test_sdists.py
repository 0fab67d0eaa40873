"""What an sdist says of itself, as the files of real projects say it; archives that would leave their folder are refused."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from farm.adapters.sdists import Sdists
from farm.model.build import BadSdist
from farm.model.job import SdistFacts
from farm.model.package import Digest, IndexFile, Pin, make_pin
from tests.projects.make import Made, tar_gz, zipped

if TYPE_CHECKING:
    from pathlib import Path

PIN = make_pin("demo", "1.0")
Facts = Callable[..., SdistFacts]


class Folder:
    """Downloads whose files lie in a folder; counts how often it is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = 0

    def add(self, name: str, data: bytes) -> IndexFile:
        (self.folder / name).write_bytes(data)
        digest = Digest(hashlib.sha256(data).hexdigest())
        return IndexFile(filename=name, url=f"https://f.example/{name}", version=PIN.version, sha256=digest)

    def fetch(self, file: IndexFile) -> Path:
        self.asked += 1
        return self.folder / file.filename


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "files").mkdir()
    return Folder(tmp_path / "files")


@pytest.fixture
def facts(folder: Folder, tmp_path: Path) -> Facts:
    def read(files: dict[str, str], made: Made | None = None, suffix: str = ".tar.gz") -> SdistFacts:
        project = made or Made(name="demo", version="1.0", metadata_version="1.0")
        name, data = replace(project, files={**project.files, **files}).sdist(suffix)
        return Sdists(folder, tmp_path / "cache").facts(PIN, folder.add(name, data))

    return read


EXTENSION = "from setuptools import Extension, setup\nsetup(ext_modules=[Extension('demo', ['demo.c'])])\n"


def toml(requires: str, backend: str, rest: str = "") -> str:
    return f'[build-system]\nrequires = [{requires}]\nbuild-backend = "{backend}"\n{rest}'


def test_a_project_without_pyproject_is_built_as_pep_517_says(facts: Facts) -> None:
    found = facts({})
    assert found.build_requires == ("setuptools>=40.8.0",)
    assert found.backend == "setuptools.build_meta:__legacy__"
    assert (found.metadata, found.provisional, found.native, found.asks) == (None, True, False, True)


def test_pyproject_names_requirements_and_backend(facts: Facts) -> None:
    found = facts({"pyproject.toml": toml('"hatchling>=1", "hatch-vcs"', "hatchling.build")})
    assert (found.build_requires, found.backend) == (("hatchling>=1", "hatch-vcs"), "hatchling.build")
    assert not found.asks


@pytest.mark.parametrize("text", ["[build-system", "[build-system]\nrequires = 'x'\n", "\x00"])
def test_a_broken_pyproject_is_left_to_the_build(text: str, facts: Facts) -> None:
    assert facts({"pyproject.toml": text}).backend == "setuptools.build_meta:__legacy__"


def test_static_pkg_info_is_exact(facts: Facts) -> None:
    made = Made(
        name="demo", version="1.0", requires=("a>=1", "b ; extra == 'x'"), extras=("x",), requires_python=">=3.9"
    )
    found = facts({}, made)
    assert not found.provisional
    assert found.metadata is not None
    assert set(made.metadata.splitlines()) <= set(found.metadata.splitlines())


@pytest.mark.parametrize("dynamic", ["Requires-Dist", "requires-dist", "provides-extra", "Requires-Python"])
def test_dynamic_is_compared_without_case(dynamic: str, facts: Facts) -> None:
    assert facts({}, Made(name="demo", version="1.0", requires=("a",), dynamic=(dynamic,))).provisional


def test_other_dynamic_fields_do_not_matter(facts: Facts) -> None:
    assert not facts(
        {}, Made(name="demo", version="1.0", requires=("a",), dynamic=("license-file", "Version"))
    ).provisional


def test_pkg_info_with_windows_line_ends(facts: Facts) -> None:
    made = Made(name="demo", version="1.0", requires=("a>=1",))
    found = facts({"PKG-INFO": made.metadata.replace("\n", "\r\n")})
    assert found.metadata is not None
    assert "Requires-Dist: a>=1\n" in found.metadata
    assert not found.provisional


def test_the_project_table_is_exact_where_it_is_not_dynamic(facts: Facts) -> None:
    table = """[project]
name = "demo"
dynamic = ["version"]
requires-python = ">=3.9"
dependencies = ["a>=1", "b; python_version < '3.12'"]
[project.optional-dependencies]
x = ["c", "d>1 ; sys_platform == 'win32'"]
"""
    found = facts({"pyproject.toml": toml('"setuptools"', "setuptools.build_meta", table)})
    assert not found.provisional
    assert found.metadata is not None
    assert [line.partition(": ")[2] for line in found.metadata.splitlines() if line.startswith("Requires-Dist")] == [
        "a>=1",
        "b; python_version < '3.12'",
        "c ; extra == 'x'",
        "d>1 ; (sys_platform == 'win32') and extra == 'x'",
    ]
    assert "Version: 1.0" in found.metadata


def test_dynamic_dependencies_are_not_static(facts: Facts) -> None:
    table = '[project]\nname = "demo"\nversion = "1.0"\ndynamic = ["dependencies"]\n'
    found = facts({"pyproject.toml": toml('"setuptools"', "setuptools.build_meta", table)})
    assert (found.metadata, found.provisional) == (None, True)


@pytest.mark.parametrize("where", ["demo.egg-info", "src/demo.egg-info"])
def test_an_egg_info_is_a_guess(where: str, facts: Facts) -> None:
    text = "a>=1\n\n[:python_version < '3']\nb\n\n[x]\nc\n\n[y:sys_platform == 'win32']\nd\n"
    found = facts({f"{where}/PKG-INFO": "", f"{where}/requires.txt": text})
    assert found.provisional
    assert found.metadata is not None
    lines = found.metadata.splitlines()
    assert [line for line in lines if ":" in line][3:] == [
        "Requires-Dist: a>=1",
        "Requires-Dist: b ; (python_version < '3')",
        "Requires-Dist: c ; extra == 'x'",
        "Requires-Dist: d ; (sys_platform == 'win32') and extra == 'y'",
        "Provides-Extra: x",
        "Provides-Extra: y",
    ]


def test_an_egg_info_without_requirements_guesses_none(facts: Facts) -> None:
    found = facts({"demo.egg-info/PKG-INFO": "", "demo.egg-info/top_level.txt": "demo"})
    assert found.provisional
    assert found.metadata is not None
    assert "Requires-Dist" not in found.metadata


MATURIN = toml('"maturin>=1,<2"', "maturin")
MESON = toml('"meson-python"', "mesonpy")
HATCH = toml('"hatchling"', "hatchling.build")


@pytest.mark.parametrize(
    ("files", "native", "rust"),
    [
        pytest.param({"setup.py": EXTENSION, "demo.c": ""}, True, False, id="setup.py with an extension"),
        pytest.param({"demo/__init__.py": ""}, False, False, id="nothing but Python"),
        pytest.param({"tests/case.c": "", "docs/x.cpp": ""}, False, False, id="sources in tests and docs only"),
        pytest.param(
            {"tests/case.c": "", "setup.py": EXTENSION}, False, False, id="an extension, sources in tests only"
        ),
        pytest.param({"demo/speedup.c": ""}, False, False, id="a source that nothing declares"),
        pytest.param(
            {"setup.py": "# Extension(...)\nfrom setuptools import setup\nsetup()", "a.c": ""},
            False,
            False,
            id="comment",
        ),
        pytest.param({"setup.py": "setup(ext_modules=cythonize('a.pyx'))", "a.pyx": ""}, True, False, id="Cython"),
        pytest.param(
            {"setup.py": "setup(cffi_modules=['build_x.py:ffi'])"}, True, False, id="cffi makes its own sources"
        ),
        pytest.param(
            {"setup.py": "setup(rust_extensions=[RustExtension('x')])", "Cargo.toml": "", "x.rs": ""},
            True,
            True,
            id="setuptools-rust",
        ),
        pytest.param({"pyproject.toml": MATURIN, "Cargo.toml": "", "src/lib.rs": ""}, True, True, id="maturin"),
        pytest.param(
            {"pyproject.toml": MATURIN + '[tool.maturin]\nbindings = "bin"\n'}, True, True, id="maturin program"
        ),
        pytest.param(
            {"pyproject.toml": MESON, "meson.build": "project('demo', 'c', version: '1')"},
            True,
            False,
            id="meson with C",
        ),
        pytest.param(
            {"pyproject.toml": MESON, "meson.build": "project('demo', version: '1')"}, False, False, id="meson, pure"
        ),
        pytest.param(
            {"pyproject.toml": MESON, "meson.build": "project('demo', 'rust')", "Cargo.toml": "", "a.rs": ""},
            True,
            True,
            id="meson, Rust",
        ),
        pytest.param(
            {"pyproject.toml": toml('"scikit-build-core"', "scikit_build_core.build")}, True, False, id="CMake"
        ),
        pytest.param(
            {
                "pyproject.toml": toml(
                    '"scikit-build-core"', "scikit_build_core.build", "[tool.scikit-build]\nwheel.cmake = false\n"
                )
            },
            False,
            False,
            id="scikit-build-core without CMake",
        ),
        pytest.param({"pyproject.toml": HATCH, "demo/x.c": ""}, False, False, id="hatchling without a hook"),
        pytest.param(
            {"pyproject.toml": HATCH + "[tool.hatch.build.targets.wheel.hooks.custom]\n", "demo/x.c": ""},
            True,
            False,
            id="hatchling hook",
        ),
        pytest.param({"pyproject.toml": toml('"flit_core"', "flit_core.buildapi"), "x.c": ""}, False, False, id="flit"),
        pytest.param(
            {
                "pyproject.toml": toml(
                    '"setuptools"', "setuptools.build_meta", '[[tool.setuptools.ext-modules]]\nname="x"\n'
                ),
                "x.c": "",
            },
            True,
            False,
            id="extension in pyproject",
        ),
        pytest.param(
            {
                "pyproject.toml": toml('"setuptools", "Cython"', "setuptools.build_meta"),
                "setup.py": "import setupinfo",
                "x.pyx": "",
            },
            True,
            False,
            id="declared beside setup.py",
        ),
        pytest.param(
            {"vendor/Cargo.toml": "", "setup.py": EXTENSION, "a.c": ""},
            True,
            False,
            id="a Cargo.toml that nothing uses",
        ),
    ],
)
def test_who_needs_a_compiler(files: dict[str, str], native: bool, rust: bool, facts: Facts) -> None:
    found = facts(files)
    assert (found.native, found.rust) == (native, rust)


@pytest.mark.parametrize(
    ("pyproject", "asks"),
    [
        (toml('"poetry-core"', "poetry.core.masonry.api"), False),
        (toml('"uv_build"', "uv_build"), False),
        (MATURIN, False),
        (MATURIN + '[tool.maturin]\nbindings = "cffi"\n', True),
        (HATCH + "[tool.hatch.build.hooks.vcs]\nversion-file='x'\n", True),
        (toml('"flit_core"', "flit_core.buildapi", '[project]\nname="x"\nversion="1"\n'), False),
        (toml('"flit_core"', "flit_core.buildapi", '[project]\nname="x"\ndynamic=["version"]\n'), True),
        (toml('"setuptools"', "setuptools.build_meta"), True),
        (MESON, True),
    ],
)
def test_which_backends_may_ask_for_more(pyproject: str, asks: bool, facts: Facts) -> None:
    assert facts({"pyproject.toml": pyproject}).asks == asks


def test_zip_and_bz2(folder: Folder, tmp_path: Path) -> None:
    made = Made(name="demo", version="1.0", requires=("a",))
    sdists = Sdists(folder, tmp_path / "cache")
    assert not sdists.facts(PIN, folder.add(*made.sdist(".zip"))).provisional
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:bz2") as archive:
        info = tarfile.TarInfo("./demo-1.0/PKG-INFO")
        info.size = len(made.metadata)
        archive.addfile(info, io.BytesIO(made.metadata.encode()))
    assert not sdists.facts(PIN, folder.add("demo-1.0.tar.bz2", out.getvalue())).provisional


def test_facts_are_read_once_for_each_content(folder: Folder, tmp_path: Path) -> None:
    file = folder.add(*Made(name="demo", version="1.0", requires=("a",)).sdist())
    first = Sdists(folder, tmp_path / "cache").facts(PIN, file)
    assert Sdists(folder, tmp_path / "cache").facts(PIN, file) == first
    assert folder.asked == 1
    (kept,) = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    kept.write_text("{broken")
    assert Sdists(folder, tmp_path / "cache").facts(PIN, file) == first


def link(kind: bytes, name: str, target: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("demo-1.0/setup.py"))
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        archive.addfile(info)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (tar_gz({"/etc/passwd": "x"}), "a path that leaves its folder"),
        (tar_gz({"demo-1.0/setup.py": "", "demo-1.0/../../evil": "x"}), "a path that leaves its folder"),
        (link(tarfile.SYMTYPE, "demo-1.0/a", "../../../etc/passwd"), "a link that leaves its folder"),
        (link(tarfile.SYMTYPE, "demo-1.0/a", "/etc/passwd"), "a link that leaves its folder"),
        (link(tarfile.LNKTYPE, "demo-1.0/a", "../evil"), "a link that leaves its folder"),
        (link(tarfile.CHRTYPE, "demo-1.0/a", ""), "a device or pipe"),
        (link(tarfile.FIFOTYPE, "demo-1.0/a", ""), "a device or pipe"),
        (b"<html>not here</html>", "no readable archive"),
        (b"", "no readable archive"),
        (tar_gz({"demo-1.0/setup.py": "x" * 5000})[:-40], "no readable archive"),
        (tar_gz({"setup.py": ""}), "no folder of its own"),
        (tar_gz({}), "an empty archive"),
    ],
)
def test_bad_archives(data: bytes, found: str, folder: Folder, tmp_path: Path) -> None:
    with pytest.raises(BadSdist, match=found) as caught:
        Sdists(folder, tmp_path / "cache").facts(PIN, folder.add("demo-1.0.tar.gz", data))
    assert "demo-1.0.tar.gz" in caught.value.reason


def test_a_zip_that_leaves_its_folder(folder: Folder, tmp_path: Path) -> None:
    with pytest.raises(BadSdist, match="leaves its folder"):
        Sdists(folder, tmp_path / "cache").facts(PIN, folder.add("demo-1.0.zip", zipped({"../evil": "x"})))


def test_links_inside_are_fine(folder: Folder, tmp_path: Path) -> None:
    data = link(tarfile.SYMTYPE, "demo-1.0/docs/README", "../setup.py")
    assert Sdists(folder, tmp_path / "cache").facts(PIN, folder.add("demo-1.0.tar.gz", data)).provisional


def test_the_same_content_for_another_pin_has_its_own_facts(folder: Folder, tmp_path: Path) -> None:
    file = folder.add(*Made(name="demo", version="1.0").sdist())
    other = Pin(name=make_pin("other", "1.0").name, version=PIN.version)
    found = Sdists(folder, tmp_path / "cache").facts(other, file)
    assert found.metadata is not None
    assert "Name: other" in found.metadata


def test_what_the_projects_own_ci_installs_is_read_as_a_hint(facts: Facts) -> None:
    text = """
[tool.cibuildwheel.linux]
before-all = "yum install -y libxml2-devel && ./build.sh $(rm -rf x)"
[[tool.cibuildwheel.overrides]]
select = "*musllinux*"
before-all = ["apk add --no-cache libxml2-dev", "make"]
"""
    assert facts({"pyproject.toml": text}).hints == ("libxml2-devel", "libxml2-dev")
    assert facts({"pyproject.toml": "[tool.cibuildwheel]\noverrides = 3\nbefore-all = 1\n"}).hints == ()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"demo/_fast.pyx": "", "demo/_fast.c": ""}, True),
        ({"src/fast.pyx": "", "src/fast.cpp": ""}, True),
        ({"demo/_fast.pyx": "", "other/_fast.c": ""}, False),
        ({"demo/_fast.c": ""}, False),
    ],
)
def test_c_that_cython_wrote_is_told_by_the_source_beside_it(facts: Facts, files: dict[str, str], expected: bool) -> None:
    assert facts({"setup.py": EXTENSION, **files}).cython is expected
