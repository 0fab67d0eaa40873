"""The right system package among several: by Debian's own index lines, by what dnf and apk print."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from farm.adapters.provider_index import Lists, PackageIndex, make_index
from farm.adapters.provider_queries import apk_answer, apk_command, dnf_answer, dnf_command
from farm.adapters.provider_rank import Found, rank
from farm.errors import StoreError
from farm.model.healing import Need, NeedKind

if TYPE_CHECKING:
    from pathlib import Path

# Lines as Debian bookworm's Contents-amd64 and Contents-all have them.
CONTENTS = """\
usr/bin/pg_config                                       database/postgresql-common,libdevel/libpq-dev
usr/bin/mysql_config                                    libdevel/libmariadb-dev-compat
usr/include/libxml2/libxml/xmlversion.h                 libdevel/libxml2-dev
usr/include/sql.h                                       libdevel/unixodbc-dev
usr/include/iodbc/sql.h                                 libdevel/libiodbc2-dev
usr/include/tbox/database/sql.h                         libdevel/libtbox-dev
usr/include/x86_64-linux-gnu/openssl/opensslv.h         libdevel/libssl-dev
usr/include/android/openssl/opensslv.h                  libdevel/android-libboringssl-dev
usr/aarch64-linux-gnu/include/zlib.h                    libdevel/zlib1g-dev-arm64-cross
usr/include/zlib.h                                      libdevel/zlib1g-dev
usr/include/Poco/zlib.h                                 libdevel/libpoco-dev
usr/include/linux/input.h                               libdevel/linux-libc-dev
usr/src/linux-headers-6.1.0-13-common/include/linux/input.h kernel/linux-headers-6.1.0-13-common
usr/include/boost/python.hpp                            libdevel/libboost1.74-dev,libdevel/libboost1.81-dev
usr/lib/x86_64-linux-gnu/pkgconfig/cairo.pc             libdevel/libcairo2-dev
usr/lib/x86_64-linux-gnu/libxslt.so                     libdevel/libxslt1-dev
usr/lib/x86_64-linux-gnu/cmake/opencv4/OpenCVConfig.cmake libdevel/libopencv-dev
usr/lib/x86_64-linux-gnu/fortran/gfortran-mod-15/netcdf.mod libdevel/libnetcdff-dev
usr/bin/mpicc.openmpi                                   net/openmpi-bin
usr/include/removed.h                                   libdevel/no-longer-there-dev
""".splitlines()
PACKAGES = """\
libpq-dev\tpostgresql-15\tlibpq5
postgresql-common\tpostgresql-common\t
libmariadb-dev-compat\tmariadb\tlibmariadb-dev
libmariadb-dev\tmariadb\t
default-libmysqlclient-dev\tmysql-defaults\tlibmysqlclient-dev, libmariadb-dev-compat
libxml2-dev\tlibxml2\t
unixodbc-dev\tunixodbc\t
libiodbc2-dev\tlibiodbc2\t
libtbox-dev\ttbox\t
app1\tapp1\tunixodbc-dev (>= 2), libssl-dev
app2\tapp2\tunixodbc-dev | libiodbc2-dev
libssl-dev\topenssl\t
android-libboringssl-dev\tandroid\t
zlib1g-dev\tzlib\t
zlib1g-dev-arm64-cross\tzlib\t
libpoco-dev\tpoco\t
linux-libc-dev\tlinux\t
linux-headers-6.1.0-13-common\tlinux\t
libboost1.74-dev\tboost1.74\t
libboost1.81-dev\tboost1.81\t
libboost-dev\tboost-defaults\tlibboost1.74-dev
libcairo2-dev\tcairo\t
libxslt1-dev\tlibxslt\t
libopencv-dev\topencv\t
libnetcdff-dev\tnetcdf-fortran\t
openmpi-bin\topenmpi\t
""".splitlines()


@pytest.fixture
def index(tmp_path: Path) -> PackageIndex:
    make_index(Lists(files=CONTENTS, packages=PACKAGES), tmp_path / "i.sqlite")
    return PackageIndex(tmp_path / "i.sqlite")


@pytest.mark.parametrize(
    ("kind", "name", "like", "expected"),
    [
        ("program", "pg_config", "psycopg2", "libpq-dev"),
        ("program", "mysql_config", "mysqlclient", "default-libmysqlclient-dev"),
        ("program", "mpicc", "mpi4py", "openmpi-bin"),
        ("header", "libxml/xmlversion.h", "lxml", "libxml2-dev"),
        ("header", "sql.h", "pyodbc", "unixodbc-dev"),
        ("header", "openssl/opensslv.h", "M2Crypto", "libssl-dev"),
        ("header", "zlib.h", "Pillow", "zlib1g-dev"),
        ("header", "linux/input.h", "evdev", "linux-libc-dev"),
        ("header", "boost/python.hpp", "x", "libboost-dev"),
        ("pkg-config", "cairo", "pycairo", "libcairo2-dev"),
        ("library", "xslt", "lxml", "libxslt1-dev"),
        ("library", "libxslt.so.1", "lxml", "libxslt1-dev"),
        ("cmake", "OpenCV", "x", "libopencv-dev"),
        ("module", "netcdf.mod", "x", "libnetcdff-dev"),
        ("package", "libxslt", "lxml", "libxslt1-dev"),
    ],
)
def test_the_first_is_the_one_that_people_install(index: PackageIndex, kind: NeedKind, name: str, like: str, expected: str) -> None:
    assert index.find(Need(kind=kind, name=name, like=(like,)))[0].package == expected


@pytest.mark.parametrize(
    ("kind", "name"), [("header", "nowhere.h"), ("header", "xml/xmlversion.h"), ("program", "zlib.h"), ("header", "removed.h")]
)
def test_what_no_installable_package_has_is_not_found(index: PackageIndex, kind: NeedKind, name: str) -> None:
    assert index.find(Need(kind=kind, name=name)) == ()


def test_neither_other_architectures_nor_kernels_are_offered(index: PackageIndex) -> None:
    names = {c.package for name in ("zlib.h", "linux/input.h") for c in index.find(Need(kind="header", name=name))}
    assert names == {"zlib1g-dev", "libpoco-dev", "linux-libc-dev"}


def test_the_order_does_not_depend_on_the_order_of_what_was_found() -> None:
    found = [Found(package=f"lib{name}-dev", path="usr/include/a.h", section="libdevel") for name in "badc"]
    need = Need(kind="header", name="a.h")
    assert rank(need, found) == rank(need, reversed(found))


SOURCES = """\
m2crypto\t debhelper-compat (= 13), libssl-dev, openssl <!nocheck>, python3-all-dev, swig (>= 1.3.40), libgone-dev,
pylibxml2\t libxml2-dev | libxml-dev, libcairo2-dev <!nodoc>, libzonly-dev [amd64], libxslt1-dev [!s390x], zlib1g-dev,
python-odbc\t unixodbc-dev,
""".splitlines()


@pytest.mark.parametrize(
    ("project", "expected"),
    [
        ("M2Crypto", ["libssl-dev", "swig"]),
        ("libxml2-python", ["libxml2-dev", "zlib1g-dev"]),
        ("python-libxml2", ["libxml2-dev", "zlib1g-dev"]),
        ("odbc", ["unixodbc-dev"]),
        ("pyodbc", ["unixodbc-dev"]),
        ("libxslt", ["libxslt1-dev"]),
        ("unheard-of", []),
    ],
)
def test_what_the_distribution_builds_a_project_with(tmp_path: Path, project: str, expected: list[str]) -> None:
    packages = (*PACKAGES, "swig\tswig\t", "python3-m2crypto\tm2crypto\t", "python3-libxml2\tpylibxml2\t")
    make_index(Lists(files=CONTENTS, packages=packages, sources=SOURCES, installed=("swig",)), tmp_path / "i.sqlite")
    found = PackageIndex(tmp_path / "i.sqlite").find(Need(kind="project", name=project))
    assert [one.package for one in found] == expected
    assert [one.package for one in found if one.installed] == [name for name in expected if name == "swig"]


def test_what_the_image_has_is_told(tmp_path: Path) -> None:
    make_index(Lists(files=CONTENTS, packages=PACKAGES, installed=("zlib1g-dev\n",)), tmp_path / "i.sqlite")
    found = PackageIndex(tmp_path / "i.sqlite").find(Need(kind="header", name="zlib.h"))
    assert {one.package: one.installed for one in found} == {"zlib1g-dev": True, "libpoco-dev": False}


def test_a_damaged_index_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "i.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match=r"i\.sqlite"):
        PackageIndex(tmp_path / "i.sqlite").find(Need(kind="header", name="a.h"))


DNF = """\
libpq-devel-13.20-1.el8_10.i686 : Development files for building PostgreSQL client
Repo        : appstream
Matched from:
Filename    : /usr/bin/pg_config

libpq-devel-13.20-1.el8_10.x86_64 : Development files for building PostgreSQL client
Repo        : appstream
Matched from:
Filename    : /usr/bin/pg_config

postgresql-server-devel-10.23-4.module+el8.x86_64 : PostgreSQL development header files
Repo        : appstream
Matched from:
Filename    : /usr/bin/pg_config
""".splitlines()


def test_dnf_is_asked_by_path_and_read_by_block() -> None:
    need = Need(kind="program", name="pg_config", like=("psycopg2",))
    assert dnf_command(need) == ("dnf", "provides", "-q", "/usr/bin/pg_config", "/usr/sbin/pg_config")
    assert [c.package for c in rank(need, dnf_answer(DNF))] == ["libpq-devel", "postgresql-server-devel"]
    lines = ["cairo-devel-1.15.12-6.el8.x86_64 : Development files for cairo", "Provide    : pkgconfig(cairo) = 1.15.12"]
    assert [f.package for f in dnf_answer(lines)] == ["cairo-devel"]
    assert list(dnf_answer(["Error: No matches found."])) == []


def test_dnf_tells_what_the_image_has() -> None:
    def answer(repository: str) -> list[str]:
        head = "zlib-devel-1.2.11-25.el8.x86_64 : Header files and libraries for Zlib development"
        return [head, f"Repo        : {repository}", "Matched from:", "Filename    : /usr/include/zlib.h"]

    (one,) = rank(Need(kind="header", name="zlib.h"), dnf_answer([*answer("@System"), "", *answer("baseos")]))
    assert (one.package, one.installed) == ("zlib-devel", True)
    (other,) = rank(Need(kind="header", name="zlib.h"), dnf_answer(answer("baseos")))
    assert not other.installed


def test_apk_is_asked_by_what_its_index_provides() -> None:
    need = Need(kind="pkg-config", name="libpq")
    assert apk_command(need) == ("apk", "search", "--no-cache", "-x", "pc:libpq")
    assert [f.package for f in apk_answer(["libpq-dev-17.5-r0", "fetch: done"], need)] == ["libpq-dev"]
    library = Need(kind="library", name="xslt")
    assert "so:libxslt.so.*" in apk_command(library)
    assert [f.package for f in apk_answer(["libxslt-1.1.43-r3"], library)] == ["libxslt-dev"]
