"""Real packages, built in real containers."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from farm.adapters.builder import DockerBuilder
from farm.adapters.container import Container, ContainerPlan, remove_leftovers
from farm.adapters.crates import CargoCrates
from farm.adapters.inspector import WheelInspector
from farm.model.build import BuildFailed, Limits
from farm.model.job import Recipe
from farm.model.outcome import Failed, TimedOut
from tests.integration.container_fixtures import LIMITS, built
from tests.projects.sdist import PROJECTS, write_tar

pytestmark = [pytest.mark.docker, pytest.mark.network]


def inspect(outcome):
    return WheelInspector({"PATH": os.environ["PATH"]}).inspect(outcome.path)


@pytest.mark.parametrize("project", ["c", "cpp", "cython", "meson", "fortran"])
def test_a_native_package_becomes_a_repaired_wheel(farm, project):
    outcome = built(DockerBuilder(farm.host).build(farm.request(project)), farm)
    facts = inspect(outcome)
    assert facts.faults == ()
    assert facts.native
    assert facts.modules == (f"farm_{project}",)
    assert "manylinux" in outcome.filename
    assert facts.platforms[0].startswith("manylinux_2_")
    assert farm.lines, "nothing was passed on while building"


def test_the_same_inputs_make_the_same_bytes(farm):
    first, second = (built(DockerBuilder(farm.host).build(farm.request("c")), farm) for _ in range(2))
    assert first.sha256 == second.sha256


def test_a_rust_package_builds_offline_from_vendored_crates(farm):
    request = farm.request("rust")
    cargo = CargoCrates(farm.host, cache=farm.folder / "crates", limits=LIMITS)
    crates = cargo.vendor(request.job, request.image, request.sdist, request.log)
    assert crates is not None
    assert sorted(path.name for path in crates.iterdir()) == ["config.toml", "vendor"]
    assert [path.name for path in (crates / "vendor").iterdir() if path.name.startswith("pyo3-ffi-")]
    started = time.monotonic()
    assert cargo.vendor(request.job, request.image, request.sdist, request.log) == crates
    assert time.monotonic() - started < 0.5, "the cache was not used"
    outcome = built(DockerBuilder(farm.host).build(replace(request, crates=crates)), farm)
    assert outcome.filename.startswith("farm_rust-1.0-cp39-abi3-manylinux")
    assert inspect(outcome).faults == ()


def test_no_crates_without_a_manifest(farm):
    request = farm.request("c")
    cargo = CargoCrates(farm.host, cache=farm.folder / "crates", limits=LIMITS)
    assert cargo.vendor(request.job, request.image, request.sdist, request.log) is None


def test_crates_that_cannot_be_are_the_packages_failure(farm, tmp_path):
    manifest = b'[package]\nname = "x"\nversion = "1.0.0"\nedition = "2021"\n[dependencies]\nno-such = { path = "../../nowhere" }\n'
    sdist = write_tar(tmp_path / "x-1.0.tar.gz", {"x-1.0/Cargo.toml": manifest, "x-1.0/src/lib.rs": b""})
    request = farm.request("rust")
    with pytest.raises(BuildFailed) as caught:
        CargoCrates(farm.host, cache=farm.folder / "crates", limits=LIMITS).vendor(
            request.job, request.image, sdist, request.log
        )
    assert caught.value.diagnosis.cause == "crates"


@pytest.mark.parametrize("kind", ["pure", "native"])
def test_a_pure_package_is_built_as_one_whatever_was_expected(farm, kind):
    outcome = built(DockerBuilder(farm.host).build(farm.request("pure", kind=kind)), farm)
    assert outcome.filename == "farm_pure-1.0-py3-none-any.whl"
    facts = inspect(outcome)
    assert (facts.native, facts.faults, facts.modules) == (False, (), ("farm_pure",))


def test_a_native_package_taken_for_pure_is_repaired_all_the_same(farm):
    outcome = built(DockerBuilder(farm.host).build(farm.request("c", kind="pure")), farm)
    assert "manylinux" in outcome.filename
    assert inspect(outcome).faults == ()
    assert [path.name for path in (farm.folder / "out").iterdir()] == [outcome.filename]


def test_nothing_of_the_packages_own_cibuildwheel_settings_is_used(farm):
    built(DockerBuilder(farm.host).build(farm.request("c")), farm)
    assert "THE PACKAGE CHOSE" not in farm.log
    assert "FARM_CHOSEN" not in farm.log


def test_nothing_of_the_users_cibuildwheel_settings_is_used(farm):
    host = replace(farm.host, environment={**os.environ, "CIBW_BEFORE_ALL": "false", "CIBW_TEST_COMMAND": "false"})
    built(DockerBuilder(host).build(farm.request("c")), farm)


def test_a_recipe_reaches_the_build_as_it_is(farm):
    awkward = "a 'quoted' \"value\" with $HOME, `id`; {package} and \\ é"
    recipe = Recipe(environment=(("FARM_TEST", awkward),), build_requires=("idna",))
    lines = (
        "import os",
        f"assert os.environ['FARM_TEST'] == {awkward!r}, os.environ['FARM_TEST']",
        "import idna",
        "from setuptools import Extension, setup",
        "setup(ext_modules=[Extension('farm_c', ['farm_c.c'])])",
    )
    files = {
        "setup.py": "\n".join(lines).encode(),
        "farm_c.c": b"#include <Python.h>\nPyMODINIT_FUNC PyInit_farm_c(void) { return 0; }\n",
        "pyproject.toml": (PROJECTS / "cpp" / "pyproject.toml").read_bytes().replace(b"farm-cpp", b"farm-c"),
    }
    sdist = write_tar(farm.folder / "farm_c-1.0.tar.gz", {f"farm_c-1.0/{name}": data for name, data in files.items()})
    for kind in ("native", "pure"):
        request = farm.request("c", kind=kind, recipe=recipe)
        built(DockerBuilder(farm.host).build(replace(request, sdist=sdist)), farm)


@pytest.mark.parametrize("kind", ["native", "pure"])
def test_config_settings_reach_the_backend(farm, kind):
    recipe = Recipe(config_settings=(("--global-option", "--no-such-option-of-setuptools"),))
    outcome = DockerBuilder(farm.host).build(farm.request("c", kind=kind, recipe=recipe))
    assert isinstance(outcome, Failed)
    assert "--no-such-option-of-setuptools not recognized" in farm.log


@pytest.mark.parametrize("kind", ["native", "pure"])
def test_a_missing_header_is_the_packages_failure(farm, kind):
    outcome = DockerBuilder(farm.host).build(farm.request("lacks-header", kind=kind))
    assert isinstance(outcome, Failed)
    assert outcome.diagnosis.cause == "build-failed"
    assert "nope.h: No such file" in farm.log


@pytest.mark.parametrize("kind", ["native", "pure"])
def test_a_build_that_hangs_is_killed_with_its_children(farm, kind):
    mark = farm.host.run
    recipe = Recipe(environment=(("FARM_MARK", mark),))
    request = farm.request("hangs", kind=kind, recipe=recipe, limits=replace(LIMITS, seconds=9))
    started = time.monotonic()
    outcome = DockerBuilder(farm.host).build(request)
    assert isinstance(outcome, TimedOut), outcome
    assert outcome.limit == 9
    assert time.monotonic() - started < 18
    assert "HANGING NOW" in farm.log
    deadline = time.monotonic() + 5
    while _running(mark) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _running(mark)


@pytest.mark.parametrize("kind", ["native", "pure"])
def test_an_interrupted_build_leaves_nothing_behind(farm, kind):
    def interrupt(signum, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 6)
    try:
        with pytest.raises(KeyboardInterrupt):
            DockerBuilder(farm.host).build(farm.request("hangs", kind=kind))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert "HANGING NOW" in farm.log
    assert farm.containers() == 0


def _running(marker: str) -> bool:
    def command(process: Path) -> bytes:
        try:
            return (process / "cmdline").read_bytes()
        except OSError:
            return b""

    return any(marker.encode() in command(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit())


@pytest.mark.parametrize("kind", ["native", "pure"])
def test_a_build_reaches_neither_network_nor_host(farm, kind):
    outcome = DockerBuilder(farm.host).build(farm.request("phones-home", kind=kind))
    assert isinstance(outcome, Failed)
    assert "no way to" in farm.log
    assert "REACHED" not in farm.log
    assert "Network is unreachable" in farm.log


@pytest.mark.parametrize("kind", ["native", "pure"])
def test_a_build_that_reads_stdin_finds_it_closed(farm, kind):
    outcome = DockerBuilder(farm.host).build(farm.request("reads-stdin", kind=kind))
    built(outcome, farm)
    assert "READ ''" in farm.log


def test_a_binary_in_a_wheel_for_any_platform_is_found_out(farm):
    outcome = built(DockerBuilder(farm.host).build(farm.request("lies-about-tag", kind="pure")), farm)
    assert outcome.filename.endswith("py3-none-any.whl")
    assert any("lies about its tag" in fault for fault in inspect(outcome).faults)


@pytest.mark.parametrize("kind", ["native", "pure"])
def test_a_build_that_eats_all_memory_is_told_apart(farm, kind):
    outcome = DockerBuilder(farm.host).build(
        farm.request("eats-memory", kind=kind, limits=replace(LIMITS, memory=256 << 20))
    )
    assert isinstance(outcome, Failed)
    assert outcome.diagnosis.cause == "out-of-memory", farm.log[-2000:]


@pytest.mark.parametrize("kind", ["native", "pure"])
def test_a_build_that_fills_the_disk_is_killed_and_told(farm, kind):
    outcome = DockerBuilder(farm.host).build(farm.request("fills-disk", kind=kind, limits=replace(LIMITS, disk=400 << 20)))
    assert isinstance(outcome, Failed), outcome
    assert outcome.diagnosis.cause == "too-much-disk", farm.log[-2000:]


@pytest.mark.parametrize("kind", ["native", "pure"])
def test_a_build_that_forks_without_end_is_bounded_and_gone(farm, kind):
    limits = replace(LIMITS, seconds=20, processes=80)
    outcome = DockerBuilder(farm.host).build(farm.request("forks", kind=kind, limits=limits))
    assert isinstance(outcome, TimedOut | Failed), outcome
    assert "FORKING NOW" in farm.log


@pytest.mark.parametrize("kind", ["native", "pure"])
def test_a_process_that_a_build_leaves_behind_goes_with_it(farm, kind):
    mark = f"{farm.host.run}-{kind}"
    built(DockerBuilder(farm.host).build(farm.request("leaves-daemon", kind=kind, recipe=Recipe(environment=(("FARM_MARK", mark),)))), farm)
    assert not _running(mark)


@pytest.mark.parametrize("kind", ["native", "pure"])
def test_package_code_runs_as_nobody_who_may_do_anything(farm, kind):
    lines = (
        "import os",
        "status = dict(line.split(':', 1) for line in open('/proc/self/status'))",
        "print('WHO', os.getuid(), os.getgid(), os.umask(0o22), int(status['CapEff'], 16), status['NoNewPrivs'].strip())",
        "from setuptools import Extension, setup",
        "setup(ext_modules=[Extension('farm_c', ['farm_c.c'])])",
    )
    files = {
        "setup.py": "\n".join(lines).encode(),
        "farm_c.c": (PROJECTS / "c" / "farm_c.c").read_bytes(),
        "pyproject.toml": (PROJECTS / "cpp" / "pyproject.toml").read_bytes().replace(b"farm-cpp", b"farm-c"),
    }
    sdist = write_tar(farm.folder / "farm_c-1.0.tar.gz", {f"farm_c-1.0/{name}": data for name, data in files.items()})
    built(DockerBuilder(farm.host).build(replace(farm.request("c", kind=kind), sdist=sdist)), farm)
    assert f"WHO 1000 1000 {0o22} 0 1" in farm.log


def test_a_backend_is_asked_what_it_needs(farm):
    found = DockerBuilder(farm.host).requirements(farm.request("dynamic-requires"))
    assert found == ("cython >= 3; python_version >= '3.9'", "packaging")
    assert DockerBuilder(farm.host).requirements(farm.request("pure")) == ()


def test_a_backend_is_asked_for_metadata(farm):
    text = DockerBuilder(farm.host).metadata(farm.request("dynamic-requires"))
    assert "Name: farm-dynamic-requires" in text
    assert "Requires-Dist: idna>=3" in text


def test_a_backend_that_fails_when_asked(farm):
    with pytest.raises(BuildFailed) as caught:
        DockerBuilder(farm.host).requirements(farm.request("phones-home"))
    assert caught.value.diagnosis.cause == "build-failed"
    with pytest.raises(BuildFailed) as caught:
        DockerBuilder(farm.host).requirements(farm.request("hangs", limits=replace(LIMITS, seconds=6)))
    assert caught.value.diagnosis.cause == "timed-out"


def test_build_dependencies_come_from_the_given_folder_only(farm, tmp_path):
    empty = tmp_path / "none"
    empty.mkdir()
    outcome = DockerBuilder(farm.host).build(replace(farm.request("cython"), wheels=empty))
    assert isinstance(outcome, Failed)
    assert "setuptools" in farm.log


def test_an_sdist_that_leaves_its_folder_builds_nothing(farm, tmp_path):
    sdist = write_tar(tmp_path / "farm_c-1.0.tar.gz", {"farm_c-1.0/setup.py": b"", "../evil.py": b""})
    outcome = DockerBuilder(farm.host).build(replace(farm.request("c"), sdist=sdist))
    assert isinstance(outcome, Failed)
    assert outcome.diagnosis.cause == "broken-sdist"


def test_a_container_is_bare(farm, tmp_path):
    plan = ContainerPlan(
        image=farm.builder.digest, attempt="bare", limits=Limits(seconds=30, memory=64 << 20, processes=40)
    )
    with Container(farm.host, plan) as container:
        ran = container.run(
            ("sh", "-c", "id -u; grep -E 'Cap|NoNewPrivs' /proc/self/status; ls /sys/class/net; cat"),
            log=tmp_path / "log",
        )
    assert ran.ok
    assert ran.tail[0] == "1000"
    assert ran.tail[-1] == "lo"
    status = dict(line.split(":\t") for line in ran.tail if ":\t" in line)
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"


def test_a_fork_bomb_stays_within_its_limit(farm, tmp_path):
    plan = ContainerPlan(
        image=farm.builder.digest, attempt="forks", limits=Limits(seconds=30, memory=256 << 20, processes=40)
    )
    with Container(farm.host, plan) as container:
        code = "import os, time\nfor count in range(200):\n  if not os.fork(): time.sleep(60)"
        ran = container.run(("python3", "-c", code), log=tmp_path / "log")
        assert not ran.ok
        assert "Resource temporarily unavailable" in ran.tail[-1]


def test_what_a_dead_run_left_behind_is_removed_by_its_labels(farm):
    plan = ContainerPlan(
        image=farm.builder.digest, attempt="dead", limits=Limits(seconds=60, memory=64 << 20, processes=10)
    )
    left = Container(farm.host, plan)
    left.__enter__()
    other = replace(farm.host, run="test-other")
    with Container(other, replace(plan, attempt="alive")) as alive:
        assert remove_leftovers(farm.host.client, {"farm.run": farm.host.run, "farm.store": "test"}) == 1
        assert alive.run(("true",), log=farm.folder / "log").ok
    left.__exit__(None, None, None)
