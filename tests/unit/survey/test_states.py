"""Each state of a cell, for each kind of machine: a table of the files that are there and what `farm check` says of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from packaging.version import Version

from farm.model.demand import Demand, IndexOptions, Origin, Requirement
from farm.model.job import Plan
from farm.model.report import Report, State
from farm.model.target import parse_target
from farm.survey.detect import DetectPolicy
from farm.survey.survey import survey
from farm.survey.tell import problems, rows
from tests.fakes.index import FakeIndex, FakeResolver
from tests.fakes.nouns import canonical, project
from tests.unit.survey.test_survey import Ports

GLIBC, OLD, MUSL = "cp312-manylinux_2_28_x86_64", "cp312-manylinux_2_17_x86_64", "cp312-musllinux_1_2_x86_64"
FREE, FREE_MUSL, NEXT, NEXT_FREE = (
    "cp314t-manylinux_2_28_x86_64", "cp314t-musllinux_1_2_aarch64", "cp315-manylinux_2_28_x86_64", "cp315t-manylinux_2_28_x86_64",
)  # fmt: skip
PYPY, PYPY_MUSL = "pp311-manylinux_2_28_x86_64", "pp311-musllinux_1_2_x86_64"
ARM_MAC, INTEL_MAC, OLD_MAC = "cp312-macosx_14_0_arm64", "cp312-macosx_14_0_x86_64", "cp312-macosx_11_0_arm64"
WIN, WIN_ARM, WIN32 = "cp312-win_amd64", "cp312-win_arm64", "cp312-win32"

# Tags of the one wheel that there is beside an sdist, and the machines for which it is there, and not.
WHEELS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("cp312-cp312-manylinux_2_28_x86_64", (GLIBC,), (OLD, MUSL, FREE, PYPY, ARM_MAC, WIN, NEXT)),
    ("cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64", (GLIBC, OLD), (MUSL, "cp312-manylinux_2_28_aarch64")),
    ("cp312-cp312-manylinux2014_x86_64", (GLIBC, OLD), ("cp312-manylinux_2_12_x86_64", MUSL)),
    ("cp312-cp312-manylinux2010_x86_64", (GLIBC, "cp312-manylinux_2_12_x86_64"), ("cp312-manylinux_2_5_x86_64",)),
    ("cp312-cp312-manylinux1_i686", ("cp312-manylinux_2_5_i686", "cp312-manylinux_2_28_i686"), (GLIBC,)),
    ("cp312-cp312-linux_x86_64", (GLIBC, OLD, MUSL), ("cp312-manylinux_2_28_aarch64", "cp311-manylinux_2_28_x86_64")),
    ("cp312-cp312-musllinux_1_1_x86_64", (MUSL,), (GLIBC, "cp312-musllinux_1_0_x86_64", PYPY_MUSL)),
    ("cp39-abi3-manylinux_2_17_x86_64", (GLIBC, OLD, NEXT), (FREE, NEXT_FREE, PYPY, MUSL, "cp38-manylinux_2_28_x86_64")),
    ("cp313-abi3-manylinux_2_17_x86_64", (NEXT,), (GLIBC, FREE)),
    ("cp315-abi3t-manylinux_2_28_x86_64", (NEXT_FREE,), (NEXT, FREE, PYPY)),
    ("cp315-abi3.abi3t-manylinux_2_28_x86_64", (NEXT_FREE, NEXT), (FREE, "cp314-manylinux_2_28_x86_64")),
    ("cp314-cp314t-musllinux_1_2_aarch64", (FREE_MUSL,), ("cp314-musllinux_1_2_aarch64", "cp313t-musllinux_1_2_aarch64", FREE)),
    ("cp314-cp314-manylinux_2_28_x86_64", ("cp314-manylinux_2_28_x86_64",), (FREE, NEXT)),
    ("pp311-pypy311_pp73-manylinux_2_28_x86_64", (PYPY,), (PYPY_MUSL, "pp310-manylinux_2_28_x86_64", "cp311-manylinux_2_28_x86_64")),
    ("pp311-none-any", (PYPY, PYPY_MUSL), ("pp310-manylinux_2_28_x86_64", "cp311-manylinux_2_28_x86_64")),
    ("py3-none-manylinux_2_17_x86_64", (GLIBC, FREE, PYPY), (MUSL, WIN)),
    ("cp312-cp312-macosx_11_0_arm64", (ARM_MAC, OLD_MAC), (INTEL_MAC, WIN)),
    ("cp312-cp312-macosx_14_0_arm64", (ARM_MAC,), (OLD_MAC, "cp312-macosx_13_0_arm64")),
    ("cp312-cp312-macosx_10_13_x86_64", (INTEL_MAC,), (ARM_MAC, "cp312-macosx_10_12_x86_64")),
    ("cp312-cp312-macosx_10_13_universal2", (ARM_MAC, INTEL_MAC, OLD_MAC), ("cp311-macosx_14_0_arm64", "cp314t-macosx_14_0_arm64")),
    ("cp39-abi3-macosx_11_0_universal2", (ARM_MAC, INTEL_MAC), ("cp314t-macosx_14_0_arm64", "pp311-macosx_14_0_arm64")),
    ("cp312-cp312-win_amd64", (WIN,), (WIN_ARM, WIN32, "cp312-manylinux_2_28_x86_64")),
    ("cp312-cp312-win_arm64", (WIN_ARM,), (WIN, WIN32)),
    ("cp312-cp312-win32", (WIN32,), (WIN, WIN_ARM)),
    ("cp312-cp312-win32.win_amd64", (WIN32, WIN), (WIN_ARM,)),
    ("cp311-abi3-win_amd64", (WIN,), ("cp314t-win_amd64", "pp311-win_amd64", "cp310-win_amd64")),
    ("py3-none-any", (GLIBC, MUSL, FREE, NEXT_FREE, PYPY, ARM_MAC, WIN32), ()),
    ("py312-none-any", (GLIBC, NEXT_FREE), ("cp311-win_amd64", PYPY)),
    ("py2-none-any", (), (GLIBC, PYPY, WIN)),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Case:
    """Files upstream and on the farm, and what else decides."""

    state: State
    target: str = GLIBC
    upstream: tuple[str, ...] = ()
    farm: tuple[str, ...] = ()
    policy: DetectPolicy = field(default_factory=DetectPolicy)
    down: bool = False
    file: str = ""


def wheel(tags: str) -> str:
    return f"demo-1.0-{tags}.whl"


def report_of(case: Case) -> Report:
    """Survey demo 1.0 for the one target of a case."""
    entry = Requirement(name=canonical("demo"), origin=Origin(file="r.txt", line=1), text="demo")
    upstream = FakeIndex(project("demo", *case.upstream), down=frozenset({"demo"}) if case.down else frozenset())
    own = FakeIndex(project("demo", *case.farm)) if case.farm else FakeIndex()
    ports = Ports(upstream=upstream, farm=own, resolver=FakeResolver(versions={"demo": "1.0"}))
    demand = Demand(requirements=(entry,))
    matrix = survey(demand, [parse_target(case.target)], case.policy, ports)
    return Report(targets=(case.target,), rows=rows(matrix, Plan()), problems=problems(matrix))


@pytest.mark.parametrize(("tags", "there", "missing"), WHEELS)
def test_a_wheel_is_there_for_the_machines_that_take_it(tags: str, there: tuple[str, ...], missing: tuple[str, ...]) -> None:
    files = (wheel(tags), "demo-1.0.tar.gz")
    states = {name: report_of(Case(state="build", target=name, upstream=files)).rows[0].state for name in (*there, *missing)}
    assert states == dict.fromkeys(there, "upstream-wheel") | dict.fromkeys(missing, "build")


FITS, FOREIGN = wheel("cp312-cp312-manylinux_2_28_x86_64"), wheel("cp312-cp312-win_amd64")
SDIST, PURE = "demo-1.0.tar.gz", wheel("py3-none-any")
ONLY, FROM_SOURCE = (
    DetectPolicy(options=IndexOptions(only_binary=frozenset({":all:"}))), DetectPolicy(from_source=frozenset({canonical("demo")})),
)  # fmt: skip
OLD_PIP = DetectPolicy(client_pip=Version("20.2"))
CASES = (
    Case(state="upstream-wheel", upstream=(FITS, PURE, SDIST), file=FITS),
    Case(state="upstream-wheel", upstream=(PURE, SDIST), file=PURE),
    Case(state="upstream-wheel", upstream=(FITS, SDIST), farm=(FITS,), file=FITS),
    Case(state="upstream-wheel", upstream=(FITS,), policy=ONLY, file=FITS),
    Case(state="farm-wheel", upstream=(FOREIGN, SDIST), farm=(FITS,), file=FITS),
    Case(state="farm-wheel", upstream=(FITS, SDIST), farm=(FITS,), policy=FROM_SOURCE, file=FITS),
    Case(state="farm-wheel", down=True, farm=(FITS,), file=FITS),
    Case(state="farm-wheel", target=PYPY, upstream=(FITS,), farm=(wheel("pp311-pypy311_pp73-manylinux_2_28_x86_64"),),
         file=wheel("pp311-pypy311_pp73-manylinux_2_28_x86_64")),
    Case(state="pure-fallback", upstream=(FOREIGN, PURE, SDIST), file=PURE),
    Case(state="pure-fallback", target=FREE, upstream=(wheel("cp39-abi3-manylinux_2_17_x86_64"), PURE), file=PURE),
    Case(state="pure-fallback", target=PYPY, upstream=(FITS, PURE), file=PURE),
    Case(state="build", upstream=(SDIST,)),
    Case(state="build", upstream=(FITS, PURE, SDIST), policy=FROM_SOURCE),
    Case(state="build", upstream=("demo-1.0.tar.bz2",)),
    Case(state="impossible", upstream=(FOREIGN,)),
    Case(state="impossible", upstream=()),
    Case(state="impossible", upstream=(FOREIGN, SDIST), policy=ONLY),
    Case(state="impossible", target=FREE, upstream=(wheel("cp314-cp314-manylinux_2_28_x86_64"),)),
    Case(state="hidden", upstream=(FITS, SDIST), policy=OLD_PIP, file=FITS),
    Case(state="hidden", target=MUSL, upstream=(wheel("cp312-cp312-musllinux_1_1_x86_64"), SDIST), policy=OLD_PIP,
         file=wheel("cp312-cp312-musllinux_1_1_x86_64")),
    Case(state="hidden", target=FREE, upstream=(wheel("cp314-cp314t-win_amd64.manylinux2014_x86_64"), SDIST), policy=OLD_PIP,
         file=wheel("cp314-cp314t-win_amd64.manylinux2014_x86_64")),
    Case(state="hidden", target=ARM_MAC, upstream=(wheel("cp312-cp312-macosx_11_0_arm64"),), policy=OLD_PIP,
         file=wheel("cp312-cp312-macosx_11_0_arm64")),
    Case(state="upstream-wheel", upstream=(wheel("cp312-cp312-manylinux2014_x86_64"), SDIST), policy=OLD_PIP,
         file=wheel("cp312-cp312-manylinux2014_x86_64")),
    Case(state="build", upstream=(FOREIGN, SDIST), policy=OLD_PIP),
    Case(state="unknown", down=True),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_state_of_a_cell(case: Case) -> None:
    (row,) = report_of(case).rows
    assert (row.state, row.file) == (case.state, case.file), row.reason
    assert row.reason or row.state in {"upstream-wheel", "farm-wheel"}


def test_every_state_of_a_cell_is_in_the_table() -> None:
    told = {case.state for case in CASES}
    assert told == {"upstream-wheel", "farm-wheel", "build", "pure-fallback", "impossible", "hidden", "unknown"}


def test_a_package_that_a_target_does_not_need() -> None:
    here, there = report_of(Case(state="build", upstream=(SDIST,))), Report(targets=(WIN,))
    assert [(row.target, row.state) for row in (here + there).not_needed()] == [(WIN, "not-needed")]
