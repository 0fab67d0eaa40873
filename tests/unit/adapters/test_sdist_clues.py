"""What the files of an sdist name of the system, in each of the languages that build files are written in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from farm.adapters.sdist_archive import read_sdist
from farm.adapters.sdist_clues import MOST_BYTES, Wanted, read_clues
from tests.projects.make import tar_gz

if TYPE_CHECKING:
    from pathlib import Path

    from farm.model.healing import Clues


def clues(folder: Path, files: dict[str, str]) -> Clues:
    path = folder / "demo-1.0.tar.gz"
    path.write_bytes(tar_gz({f"demo-1.0/{name}": text for name, text in {"PKG-INFO": "Name: demo\n", **files}.items()}))
    return read_clues(read_sdist(path, Wanted(), MOST_BYTES))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("src/a.c", "#include <stdio.h>\n#  include <openssl/evp.h>\n", {"header:stdio.h", "header:openssl/evp.h"}),
        ("a.pyx", 'cdef extern from "lz4.h" nogil:\n', {"header:lz4.h"}),
        ("swig/a.i", "%include <gpgme.h>\n", {"program:swig", "header:gpgme.h"}),
        ("ffi_build.py", 'ffi.set_source("_a", "#include <augeas.h>")\n', set()),
        ("ffi_build.py", 'ffi.set_source("_a", """\n#include <augeas.h>\n""", libraries=["augeas"])',
         {"header:augeas.h", "library:augeas"}),
        ("setup.py", "Extension('a', ['a.c'], libraries=['cups', 'm'])\n", {"library:cups"}),
        ("setup.py", "libraries = [\n  'ldap_r',\n  'lber',\n]\n", {"library:ldap_r", "library:lber"}),
        ("setup.py", "libs.libraries.append('sasl2')\n", {"library:sasl2"}),
        ("setup.py", "subprocess.check_output(['pkg-config', '--cflags', 'fuse3'])\n", {"pkg-config:fuse3"}),
        ("setup.py", "pkgconfig.parse('dbus-1 glib-2.0')\n", {"pkg-config:dbus-1", "pkg-config:glib-2.0"}),
        ("setup.py", "os.environ.get('GDAL_CONFIG', 'gdal-config')\n", {"program:gdal-config"}),
        ("CMakeLists.txt", "find_package(Python REQUIRED)\nfind_package(GEOS 3.5 REQUIRED)\n", {"cmake:GEOS"}),
        ("CMakeLists.txt", "pkg_check_modules(X REQUIRED IMPORTED_TARGET libzmq>=4 alsa)\n", {"pkg-config:libzmq", "pkg-config:alsa"}),
        ("cmake/FindFoo.cmake", "find_path(FOO_DIR foo/foo.h)\nfind_library(FOO_LIB NAMES foo)\n", {"header:foo/foo.h", "library:foo"}),
        ("meson.build", "cc.find_library('hidapi')\ndependency('python3')\ndependency('cairo', version: '>=1')\n",
         {"library:hidapi", "pkg-config:cairo"}),
        ("configure.ac", "PKG_CHECK_MODULES([X], [libnl-3.0 >= 3.2])\nAC_CHECK_LIB([cap], [cap_init])\n",
         {"pkg-config:libnl-3.0", "library:cap"}),
    ],
)  # fmt: skip
def test_what_is_named_is_read_as_its_language_writes_it(tmp_path: Path, name: str, text: str, expected: set[str]) -> None:
    assert {f"{need.kind}:{need.name}" for need in clues(tmp_path, {name: text}).needs} == expected


def test_the_projects_own_headers_pythons_and_those_of_tests_and_other_systems_do_not_count(tmp_path: Path) -> None:
    files = {
        "src/a.c": '#include "a.h"\n#include <Python.h>\n#include <windows.h>\n#include <vendor/zlib.h>\n',
        "src/a.h": "", "vendor/zlib.h": "", "tests/t.c": "#include <check.h>\n", "src/win32/w.c": "#include <aclapi.h>\n",
    }  # fmt: skip
    assert clues(tmp_path, files).needs == ()


def test_what_is_declared_goes_before_what_is_included_and_the_often_included_first(tmp_path: Path) -> None:
    files = {"a.c": "#include <rare.h>\n#include <often.h>\n", "b.c": "#include <often.h>\n", "setup.py": "libraries=['often']\n"}
    assert [need.name for need in clues(tmp_path, files).needs] == ["often", "often.h", "rare.h"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".github/workflows/ci.yml", "  run: sudo apt-get install -y --no-install-recommends libacl1-dev libfuse3-dev\n"),
        (".travis.yml", "before_install:\n  - sudo apt-get update && sudo apt-get -qq install libacl1-dev libfuse3-dev && true\n"),
        ("Dockerfile", "RUN apt-get install -y \\\n    libacl1-dev \\\n    libfuse3-dev \\\n && rm -rf /x\n"),
        ("README.rst", "::\n\n    sudo apt install libacl1-dev libfuse3-dev\n\nand go on.\n"),
    ],
)
def test_install_lines_of_ci_and_readme_are_read(tmp_path: Path, name: str, text: str) -> None:
    assert clues(tmp_path, {name: text}).packages == ("libacl1-dev", "libfuse3-dev")


def test_only_the_beginning_of_a_large_file_is_read(tmp_path: Path) -> None:
    late = "#include <early.h>\n" + "int x;\n" * 20_000 + "#include <late.h>\n"
    assert [need.name for need in clues(tmp_path, {"a.c": late}).needs] == ["early.h"]
