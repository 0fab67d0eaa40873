"""What is tried for which failure, and in which order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from farm.model.healing import Candidate, Clues, Need, Trial
from farm.model.image import ImageSpec
from farm.model.job import Dependency, Job, Recipe
from farm.model.messages import Mend
from farm.model.outcome import Diagnosis, Failed, Remedy
from farm.model.package import IndexFile, Project, Version, make_pin
from farm.model.target import parse_target
from farm.work.heal import next_mend
from farm.work.heal_case import Case
from farm.work.mend import mend
from tests.fakes import nouns
from tests.fakes.index import FakeIndex
from tests.fakes.work import FakeToolbox, make_bench

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from farm.model.target import Target

CP314 = parse_target("cp314-manylinux_2_43_x86_64")


def change(
    cause: str, subject: str = "", line: str = "", *, stage: str = "build", target: Target = nouns.CP311,
    has: Mapping[tuple[str, str], str] | None = None, remedies: tuple[Remedy, ...] = (), hints: tuple[str, ...] = (),
    cython: bool = False,
) -> str:  # fmt: skip
    """Return the first change that is tried at a job which fails so, empty for none."""
    diagnosis = Diagnosis(cause=cause, summary="s", subject=subject, line=line, remedies=remedies)
    job = replace(nouns.job("demo==1.0", target), requires=tuple(_wheel(name) for name in ("setuptools", "numpy", "cython")))
    packages = has or {}

    def find(need: Need) -> tuple[Candidate, ...]:
        name = packages.get((need.kind, need.name))
        return (Candidate(package=name, path=f"x/{need.name}"),) if name else ()

    failure = Failed(attempt="a1", stage=stage, diagnosis=diagnosis, seconds=1.0)
    dates = {"setuptools": Version("57.4"), "numpy": Version("1.21.0"), "cython": Version("0.29.24")}
    found = next_mend(Case(job=job, failure=failure, find=find, dated=dates.get, memory=1, most_memory=4, hints=hints, cython=cython))
    return found.text if found else ""


def _wheel(name: str) -> Dependency:
    file = nouns.index_file(f"{name}-99-py3-none-any.whl")
    return Dependency(pin=make_pin(name, "99"), file=file, job=None)


@pytest.mark.parametrize(
    ("cause", "subject", "line", "need", "package"),
    [
        ("missing-config-program", "pg_config", "Error: pg_config executable not found", ("program", "pg_config"), "libpq-dev"),
        ("missing-system-header", "lber.h", "fatal error: lber.h", ("header", "lber.h"), "libldap-dev"),
        ("missing-system-library", "ssl", "/usr/bin/ld: cannot find -lcrypto", ("library", "crypto"), "libssl-dev"),
        ("missing-system-library", "cairo", 'ERROR: Dependency "cairo" not found', ("pkg-config", "cairo"), "libcairo2-dev"),
        ("missing-system-library", "", 'CMake Error: Could NOT find OpenCV (missing: X)', ("cmake", "OpenCV"), "libopencv-dev"),
        ("missing-system-library", "libxml2 and libxslt", "make sure they are installed", ("package", "libxslt-dev"), "libxslt1-dev"),
        ("missing-build-tool", 'glib-2.0"', 'Dependency "glib-2.0" not found', ("pkg-config", "glib-2.0"), "libglib2.0-dev"),
        ("missing-fortran-compiler", "", "no Fortran compiler", ("program", "gfortran"), "gfortran"),
        ("repair-failed", "", 'required library "libfoo.so.1" could not be located', ("library", "foo"), "libfoo-dev"),
        ("network", "", "cannot download https://h.example/src/zeromq-4.3.4.tar.gz", ("package", "zeromq"), "libzmq3-dev"),
    ],
)
def test_a_missing_thing_is_looked_up_by_its_kind(cause: str, subject: str, line: str, need: tuple[str, str], package: str) -> None:
    assert change(cause, subject, line, has={need: package}) == f"system package {package}"


@pytest.mark.parametrize(
    ("cause", "subject", "line", "expected"),
    [
        ("incompatible-build-dep", "", "error in demo setup command: use_2to3 is invalid.", "build constraint setuptools<58"),
        ("incompatible-build-dep", "", "demo.pyx:3:1: undeclared name not builtin: long", "build constraint cython<3"),
        ("incompatible-build-dep", "", "AttributeError: something of long ago", "build constraint setuptools<=57.4 cython<3 numpy<2"),
        ("unknown", "", "TypeError: canonicalize() in setup.py", "build constraint setuptools<=57.4 cython<3 numpy<2"),
        ("missing-python-build-dep", "numpy", "No module named 'numpy'", "build requirement numpy (numpy<2)"),
        ("missing-python-build-dep", "pkg_resources", "No module named 'pkg_resources'", "build requirement setuptools (setuptools<81)"),
        ("python-stdlib-removed", "distutils", "No module named 'distutils'", "build requirement setuptools"),
        ("compiler-too-new", "int-conversion", "error: [-Wint-conversion]", "environment CFLAGS -Wno-error=int-conversion"),
        ("compiler-too-new", "x", "multiple definition of `x'", "environment CFLAGS -fcommon"),
        ("compiler-too-new", "int64_t", "x.h:1: error: 'int64_t' does not name a type",
         "environment CFLAGS -include stdint.h CXXFLAGS -include cstdint"),
        ("compiler-too-new", "register", "x.cc:1: error: ISO C++17 does not allow 'register' storage class specifier [-Wregister]",
         "environment CFLAGS -std=gnu++14 CXXFLAGS -std=gnu++14"),
        ("version-from-vcs", "", "unable to detect version", "environment PBR_VERSION=1.0 SETUPTOOLS_SCM_PRETEND_VERSION=1.0"),
        ("build-tool-too-new", "cmake", "Compatibility with CMake < 3.5", "environment CMAKE_POLICY_VERSION_MINIMUM=3.5"),
        ("unsupported-python", "PyO3", "newer than PyO3's maximum", "environment PYO3_USE_ABI3_FORWARD_COMPATIBILITY=1"),
        ("rejected", "", "ImportError: libX11.so.6: cannot open shared object file", "brought along: libX11.so.6"),
        ("rejected", "", "ImportError: libGL.so.1: cannot open shared object file", ""),
        ("unknown", "", "something went wrong", ""),
        ("broken-sdist", "README", "No such file: README", ""),
        ("disk-full", "", "No space left on device", ""),
    ],
)
def test_the_first_change(cause: str, subject: str, line: str, expected: str) -> None:
    assert change(cause, subject, line) == expected


def test_an_old_setuptools_is_not_taken_where_it_cannot_run() -> None:
    assert change("incompatible-build-dep", "", "AttributeError: long ago", target=CP314) == "build constraint setuptools<67"


@pytest.mark.parametrize(
    ("target", "bound"),
    [(nouns.CP311, "cython<3"), (nouns.CP313, "cython<3.1"), (CP314, "cython")],
)
def test_old_c_is_written_anew_by_a_cython_that_knows_the_python(target: Target, bound: str) -> None:
    expected = f"C written anew by {bound}"
    assert change("python-api-removed", "ob_digit", "x.c:1: error: no member named 'ob_digit'", target=target, cython=True) == expected


def test_c_that_nobody_generated_is_left_alone() -> None:
    assert change("python-api-removed", "exc_type", "x.c:1: error: no member named 'exc_type'") == ""
    line = "x.c:1: error: implicit declaration of function '_PyGC_FINALIZED'"
    assert change("python-api-removed", "_PyGC_FINALIZED", line) == "environment CFLAGS -D_PyGC_FINALIZED=PyObject_GC_IsFinalized"


def test_a_bound_that_no_release_for_the_python_meets_is_not_tried() -> None:
    line = "error in demo setup command: use_2to3 is invalid."
    assert change("incompatible-build-dep", "", line, target=nouns.CP311) == "build constraint setuptools<58"
    assert change("incompatible-build-dep", "", line, target=nouns.CP313) == "build constraint setuptools<67 cython<3.1"


def test_modules_that_python_dropped_are_had_of_their_keepers() -> None:
    assert change("python-stdlib-removed", "imp", "ModuleNotFoundError: No module named 'imp'") == "build requirement zombie-imp"


@pytest.mark.parametrize(
    ("subject", "line"),
    [
        ("configparser.SafeConfigParser", "AttributeError: module 'configparser' has no attribute 'SafeConfigParser'"),
        ("ConfigParser", "AttributeError: 'ConfigParser' object has no attribute 'readfp'"),
        ("Mapping", "ImportError: cannot import name 'Mapping' from 'collections'"),
    ],
)
def test_a_build_gets_names_back_that_the_standard_library_dropped(subject: str, line: str) -> None:
    expected = "old names: those that the standard library dropped"
    assert change("python-stdlib-removed", subject, line, target=nouns.CP313) == expected
    assert change("python-stdlib-removed", "lib2to3", "ModuleNotFoundError: No module named 'lib2to3'", target=nouns.CP313) != expected


@pytest.mark.parametrize(
    "line",
    ["setup.py: could not find jpeg, zlib and lcms2", "These are missing: jpeg, zlib, lcms2.", "please install jpeg, zlib, and lcms2"],
)
def test_a_list_of_missing_libraries_is_installed_as_one(line: str) -> None:
    has = {("package", "jpeg-dev"): "libjpeg-dev", ("pkg-config", "zlib"): "zlib1g-dev", ("library", "lcms2"): "liblcms2-dev"}
    expected = "system package libjpeg-dev zlib1g-dev liblcms2-dev"
    assert change("missing-system-library", "zlib", line, has=has) == expected


def test_a_jdk_is_found_by_its_programs_though_these_are_no_files_of_bin() -> None:
    has = {("package", "default-jdk-headless"): "default-jdk-headless"}
    assert change("missing-build-tool", "javac", "javac: not found", has=has) == "system package default-jdk-headless"


def test_a_wheel_without_a_binary_becomes_pure_only_by_a_person() -> None:
    line = "INFO:auditwheel.main_repair:This does not look like a platform wheel, no ELF executable"
    diagnosis = Diagnosis(cause="wheel-repair", summary="s", line=line)
    failure = Failed(attempt="a1", stage="build", diagnosis=diagnosis, seconds=1.0)
    found = next_mend(Case(job=nouns.job("demo==1.0"), failure=failure, find=lambda _: (), dated=lambda _: None))
    assert found is not None
    assert (found.apply, found.recipe.kind, found.text) == (False, "pure", "the wheel's kind: pure")


def test_headers_in_folders_of_their_own_are_pointed_at_one_after_the_other() -> None:
    def find(need: Need) -> tuple[Candidate, ...]:
        stem = need.name.removesuffix(".h")
        return (Candidate(package=f"lib{stem}-dev", path=f"usr/include/{stem}-2/{need.name}"),) if need.kind == "header" else ()

    missing = [Diagnosis(cause="missing-system-header", summary="s", subject=f"{x}.h", line=f"{x}.h: No such file") for x in "aabb"]
    assert trials(replace(silent({}), find=find), *missing) == [
        "system package liba-dev", "environment CPLUS_INCLUDE_PATH=/usr/include/a-2 C_INCLUDE_PATH=/usr/include/a-2",
        "system package libb-dev",
        "environment CPLUS_INCLUDE_PATH=/usr/include/a-2:/usr/include/b-2 C_INCLUDE_PATH=/usr/include/a-2:/usr/include/b-2",
    ]  # fmt: skip


def test_libraries_that_are_missing_together_come_together() -> None:
    has = {("package", "libxml2-dev"): "libxml2-dev", ("package", "libxslt-dev"): "libxslt1-dev"}
    line = "Error: Please make sure the libxml2 and libxslt development packages are installed."
    assert change("missing-system-library", "libxml2", line, has=has) == "system package libxml2-dev libxslt1-dev"


def test_names_of_the_diagnosis_and_of_the_projects_ci_count_only_if_the_image_has_them() -> None:
    remedy = Remedy(platform="debian", packages=("libnone-dev", "libreal-dev"))
    has = {("package", "libreal-dev"): "libreal-dev", ("package", "libhint-dev"): "libhint-dev"}
    assert change("missing-system-library", "x", "", has=has, remedies=(remedy,)) == "system package libreal-dev"
    assert change("missing-system-library", "x", "", has=has, hints=("libhint-dev",)) == "system package libhint-dev"
    elsewhere = replace(remedy, platform="rhel")
    assert change("missing-system-library", "x", "", has=has, remedies=(elsewhere,)) == ""


def trials(case: Case, *diagnoses: Diagnosis) -> list[str]:
    """Return the changes that are tried where the attempts fail so, one after the other."""
    texts = []
    for number, diagnosis in enumerate(diagnoses):
        failure = Failed(attempt=f"a{number}", stage="build", diagnosis=diagnosis, seconds=1.0)
        found = next_mend(replace(case, failure=failure))
        if found is None:
            break
        texts.append(found.text)
        trial = Trial(attempt=f"a{number}", stage="build", diagnosis=diagnosis, mend=found)
        case = replace(case, job=replace(case.job, recipe=found.recipe, trials=(*case.job.trials, trial)))
    return texts


def silent(has: Mapping[tuple[str, str], tuple[str, ...]], clues: Clues | None = None, installed: frozenset[str] = frozenset()) -> Case:
    """A case whose image has these packages; the failure is filled in later."""

    def find(need: Need) -> tuple[Candidate, ...]:
        names = has.get((need.kind, need.name), ())
        return tuple(Candidate(package=name, path=f"usr/include/{need.name}", installed=name in installed) for name in names)

    return Case(
        job=nouns.job("demo==1.0"), failure=Failed(attempt="a", stage="build", diagnosis=UNKNOWN, seconds=1.0), find=find,
        dated=lambda _: None, clues=lambda: clues or Clues(),
    )  # fmt: skip


UNKNOWN = Diagnosis(cause="unknown", summary="s", line="gcc -E ended with return code 1")


def test_where_the_log_names_nothing_the_distributions_own_build_does_then_the_sources_then_the_ci() -> None:
    has = {
        ("project", "demo"): ("libssl-dev", "swig"), ("header", "lz4.h"): ("liblz4-dev",), ("header", "stdio.h"): ("libc6-dev",),
        ("package", "libfuse3-dev"): ("libfuse3-dev",), ("package", "fuse3"): ("fuse3",),
    }  # fmt: skip
    needs = (Need(kind="header", name="stdio.h"), Need(kind="header", name="lz4.h"), Need(kind="header", name="nowhere.h"))
    case = silent(has, Clues(needs=needs, packages=("fuse3", "libfuse3-dev", "libgone-dev")), frozenset({"libc6-dev"}))
    assert trials(case, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN) == [
        "system package libssl-dev swig",
        "system package libssl-dev swig liblz4-dev",
        "system package libssl-dev swig liblz4-dev libfuse3-dev",
    ]


def test_a_library_that_is_sure_to_be_missing_and_is_not_named_is_what_the_distribution_builds_it_with() -> None:
    nameless = Diagnosis(cause="missing-system-library", summary="s", line="Exception: no library found", confidence="high")
    assert trials(silent({("project", "demo"): ("libssl-dev",)}), nameless) == ["system package libssl-dev"]


def test_a_failure_is_the_same_one_also_where_its_line_names_another_temporary_folder() -> None:
    has = {("project", "demo"): ("liba-dev",), ("header", "b.h"): ("libb-dev",)}
    case = silent(has, Clues(needs=(Need(kind="header", name="b.h"),)))
    lines = [f"[{n}.5s] error: /tmp/build-env-{n}x/bin/tool failed at 0x{n}ff" for n in range(2)]
    first, second = (Diagnosis(cause="unknown", summary="s", line=line) for line in lines)
    failures = [Failed(attempt=f"a{n}", stage="build", diagnosis=found, seconds=1.0) for n, found in enumerate((first, second))]
    mend = next_mend(replace(case, failure=failures[0]))
    assert mend is not None
    trial = Trial(attempt="a0", stage="build", diagnosis=first, mend=mend)
    again = next_mend(replace(case, failure=failures[1], job=replace(case.job, recipe=mend.recipe, trials=(trial,))))
    assert again is not None
    assert again.instead


def test_what_the_log_names_for_sure_and_no_package_has_is_not_looked_for_elsewhere() -> None:
    case = silent({("project", "demo"): ("libglib2.0-dev",)})
    line = 'ERROR: Dependency "girepository-2.0" not found, tried pkgconfig'
    missing = Diagnosis(cause="missing-system-library", summary="s", subject="girepository-2.0", line=line, confidence="high")
    assert trials(case, missing) == []
    assert trials(case, replace(missing, confidence="medium")) == ["system package libglib2.0-dev"]


def test_a_header_in_another_programs_folder_is_no_clue() -> None:
    def find(need: Need) -> tuple[Candidate, ...]:
        path = f"usr/include/kqueue/{need.name}"
        return (Candidate(package="libkqueue-dev", path=path),) if need.kind == "header" else ()

    case = replace(silent({}, Clues(needs=(Need(kind="header", name="sys/event.h"),))), find=find)
    assert trials(case, UNKNOWN) == []


def test_the_third_missing_package_brings_the_rest_that_the_project_asks_for() -> None:
    has = {("header", f"{x}.h"): (f"lib{x}-dev",) for x in "abc"} | {("project", "demo"): tuple(f"lib{x}-dev" for x in "abcdef")}
    missing = [Diagnosis(cause="missing-system-header", summary="s", subject=f"{x}.h", line=f"{x}.h: No such file") for x in "abc"]
    assert trials(silent(has), *missing) == [
        "system package liba-dev", "system package libb-dev",
        "system package libc-dev liba-dev libb-dev libd-dev libe-dev libf-dev",
    ]  # fmt: skip


def test_what_the_image_has_already_is_not_installed_again() -> None:
    has = {("header", "zlib.h"): ("zlib1g-dev", "libother-dev")}
    missing = Diagnosis(cause="missing-system-header", summary="s", subject="zlib.h", line="zlib.h: No such file")
    assert trials(silent(has, installed=frozenset({"zlib1g-dev"})), missing) == ["system package libother-dev"]


def test_a_module_is_left_out_of_the_proof_only_by_a_person() -> None:
    diagnosis = Diagnosis(cause="rejected", summary="imports demo_server on cp311-x: ModuleNotFoundError: No module named 'server'")
    failure = Failed(attempt="a1", stage="proof", diagnosis=diagnosis, seconds=1.0)
    found = next_mend(Case(job=nouns.job("demo==1.0"), failure=failure, find=lambda _: (), dated=lambda _: None))
    assert found is not None
    assert (found.apply, [name for name, _ in found.recipe.skip_imports]) == (False, ["demo_server"])


@pytest.mark.parametrize(("library", "applied"), [("libX11.so.6", True), ("libglib-2.0.so.0", False), ("libgobject-2.0.so.0", False)])
def test_a_second_glib_comes_along_only_by_a_person(library: str, applied: bool) -> None:
    diagnosis = Diagnosis(cause="rejected", summary="imports demo", line=f"ImportError: {library}: cannot open shared object file")
    failure = Failed(attempt="a1", stage="proof", diagnosis=diagnosis, seconds=1.0)
    found = next_mend(Case(job=nouns.job("demo==1.0"), failure=failure, find=lambda _: (), dated=lambda _: None))
    assert found is not None
    assert (found.apply, library in found.recipe.graft) == (applied, True)
    assert ("libglib-2.0.so.0" in found.recipe.graft) is not applied


def test_the_variant_that_a_recipe_names_is_not_exchanged() -> None:
    other = ImageSpec(family="debian", variant="trixie", arch="x86_64", role="builder")
    for variant, kind in (("", "image"), ("bookworm", None)):
        job = replace(nouns.job("demo==1.0"), recipe=Recipe(variant=variant))
        failure = Failed(attempt="a1", stage="build", diagnosis=Diagnosis(cause="rust-too-old", summary="x"), seconds=1.0)
        found = next_mend(Case(job=job, failure=failure, find=lambda _: (), dated=lambda _: None, images=(job.image, other)))
        assert (found.kind if found and found.kind == "image" else None) == kind


def test_a_newer_rust_is_looked_for_in_other_images() -> None:
    newer = ImageSpec(family="manylinux", variant="manylinux_2_34", arch="x86_64", role="builder")
    job = nouns.job("demo==1.0")
    diagnosis = Diagnosis(cause="rust-too-old", summary="s", subject="1.85")
    failure = Failed(attempt="a1", stage="build", diagnosis=diagnosis, seconds=1.0)
    case = Case(job=job, failure=failure, find=lambda _: (), dated=lambda _: None, images=(job.image, newer))
    found = next_mend(case)
    assert found is not None
    assert found.image == newer


def test_the_release_of_the_sdists_day_is_read_off_the_index(tmp_path: Path) -> None:
    def release(version: str, day: int, *, yanked: bool = False) -> IndexFile:
        file = nouns.index_file(f"setuptools-{version}-py3-none-any.whl", yanked=yanked)
        return replace(file, upload_time=datetime(2026, 1, day, tzinfo=UTC))

    bench = make_bench(tmp_path)
    page = Project(
        name=make_pin("setuptools", "1").name,
        files=(release("70.0", 1), release("70.1", 1, yanked=True), release("71.0b1", 2), release("75.0", 3)),
    )
    bench.upstream = FakeIndex(page)
    bench.toolbox = FakeToolbox(files={})
    job: Job = nouns.job("demo==1.0")
    diagnosis = Diagnosis(cause="incompatible-build-dep", summary="s", line="AttributeError: x")
    failure = Failed(attempt="a1", stage="build", diagnosis=diagnosis, seconds=1.0)
    done = mend(Mend(job=job, failure=failure), bench.mend_ports())
    assert done.better is not None
    assert done.better.recipe.build_constraints == ("setuptools<=70.0",)
    assert [trial.attempt for trial in done.better.trials] == ["a1"]


def test_a_pinned_cython_that_does_not_know_the_python_gives_way() -> None:
    pinned = Dependency(pin=make_pin("cython", "0.29.24"), file=nouns.index_file("cython-0.29.24-py3-none-any.whl"), job=None)
    job = replace(nouns.job("demo==1.0", nouns.CP313), requires=(pinned,))
    diagnosis = Diagnosis(cause="python-api-removed", summary="s", subject="ob_digit", line="demo.c:1: error: 'ob_digit'")
    case = Case(
        job=job, failure=Failed(attempt="a1", stage="build", diagnosis=diagnosis, seconds=1.0), find=lambda _: (), dated=lambda _: None
    )
    found = next_mend(case)
    assert found is not None
    assert (found.kind, found.recipe.build_overrides, found.recipe.cythonize) == ("build-override", ("cython>=3.0.11,<3.1",), "")
    found = next_mend(replace(case, cython=True))
    assert found is not None
    assert (found.kind, found.recipe.build_overrides, found.recipe.cythonize) == (
        "cythonize", ("cython>=3.0.11,<3.1",), "cython>=3.0.11,<3.1"
    )  # fmt: skip
    found = next_mend(replace(case, job=replace(job, target=nouns.CP311)))
    assert found is None


def test_what_is_laid_to_the_build_script_for_want_of_better_is_looked_into_all_the_same() -> None:
    case = silent({("project", "demo"): ("libssl-dev",)})
    assert trials(case, replace(UNKNOWN, cause="broken-sdist", confidence="low")) == trials(case, UNKNOWN)
    assert trials(case, UNKNOWN)
    assert trials(case, replace(UNKNOWN, cause="broken-sdist", confidence="high")) == []
