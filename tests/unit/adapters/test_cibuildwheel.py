"""The configuration that cibuildwheel is given, read back by cibuildwheel's own parsers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cibuildwheel.options import CommandLineArguments, Options
from cibuildwheel.util import resources

from farm.adapters import cibuildwheel, frontend, process
from farm.adapters.container import ContainerHost
from farm.adapters.frontend import build_environment, interpreter, telling_line
from farm.model.build import BuildRequest, Limits
from farm.model.image import Image, ImageSpec
from farm.model.job import Job, Recipe, make_job_id
from farm.model.package import Digest, IndexFile, make_pin
from farm.model.target import parse_target

if TYPE_CHECKING:
    from pathlib import Path

AWKWARD = "a 'quoted' \"value\"; $HOME `id` {package} \\ é \x7f"


def request(tmp_path: Path, recipe: Recipe | None = None, target: str = "cp311-manylinux_2_36_x86_64") -> BuildRequest:
    pin = make_pin("x", "1.0")
    where = parse_target(target)
    spec = ImageSpec(family="debian", variant="bookworm", arch="x86_64", role="builder")
    job = Job(
        id=make_job_id("x", "1.0", target), pin=pin, target=where, proofs=(), reason="", kind="native", rust=False, asks=False,
        sdist=IndexFile(filename="x-1.0.tar.gz", url="", version=pin.version, sha256=Digest("0" * 64)), recipe=recipe or Recipe(),
        image=spec, requires=(), via=(),
    )  # fmt: skip
    image = Image(spec=spec, reference="farm/image:tag", digest="sha256:0", pythons=("cp311",), libc=("glibc", 2, 36))
    return BuildRequest(
        job=job, image=image, sdist=tmp_path / "x-1.0.tar.gz", wheels=tmp_path, crates=None, log=tmp_path / "log", out=tmp_path,
        attempt="attempt-1", limits=Limits(seconds=60, memory=1 << 30, processes=99, cpus=1.5), epoch=1_700_000_000,
    )  # fmt: skip


def host(tmp_path: Path) -> ContainerHost:
    site = {"https_proxy": "http://proxy.example:3128"}
    return ContainerHost(client=None, run="run-1", store="store-1", scratch=tmp_path, site=site)  # type: ignore[arg-type]


def read_by_cibuildwheel(tmp_path: Path, asked: BuildRequest):
    """The options that cibuildwheel itself reads from our file, with a package that tries to set its own."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "pyproject.toml").write_text(
        '[tool.cibuildwheel]\nbefore-all = "evil"\ntest-command = "evil"\nenvironment = {A = "evil"}\n'
    )
    path = tmp_path / "cibuildwheel.toml"
    path.write_text(cibuildwheel.config(host(tmp_path), asked), encoding="utf-8")
    arguments = CommandLineArguments.defaults()
    arguments.package_dir, arguments.config_file = package, str(path)
    arguments.only = cibuildwheel.identifier(asked.job.target)
    options = Options(platform="linux", command_line_arguments=arguments, env={})
    return options.build_options(arguments.only)


def test_the_container_is_bare_whatever_the_package_says(tmp_path):
    asked = request(tmp_path)
    options = read_by_cibuildwheel(tmp_path, asked)
    engine = options.container_engine
    assert engine.name == "docker"
    assert engine.disable_host_mount
    limits = (f"--memory={1 << 30}", f"--memory-swap={1 << 30}", "--pids-limit=99", "--cpus=1.5")
    labels = ("--label=farm.attempt=attempt-1", "--label=farm.run=run-1", "--label=farm.store=store-1")
    for argument in ("--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges", *limits, *labels):
        assert argument in engine.create_args
    assert not any(
        "volume" in argument or "mount" in argument or argument == "privileged" for argument in engine.create_args
    )
    assert options.manylinux_images["x86_64"] == "farm/image:tag"
    assert (options.before_all, options.before_build, options.test_command, options.audit_command) == ("", "", "", [])
    assert "--plat auto" in options.repair_command
    assert options.environment.as_dictionary({}) == {}


def test_awkward_values_arrive_as_they_are(tmp_path):
    recipe = Recipe(environment=(("AWKWARD", AWKWARD),), config_settings=(("--opt", AWKWARD), ("--opt", "second")))
    options = read_by_cibuildwheel(tmp_path, request(tmp_path, recipe))
    assert f"--env=AWKWARD={AWKWARD}" in options.container_engine.create_args
    assert list(options.build_frontend.args) == ["--env-dir=/tmp/build-env", f"-C--opt={AWKWARD}", "-C--opt=second"]


def test_only_a_recipe_opens_the_network(tmp_path):
    shut = build_environment(request(tmp_path))
    assert (shut["PIP_NO_INDEX"], shut["UV_OFFLINE"], shut["CARGO_NET_OFFLINE"]) == ("1", "1", "true")
    asked = request(tmp_path, Recipe(network=True))
    assert "PIP_NO_INDEX" not in build_environment(asked)
    assert "--network=bridge" in read_by_cibuildwheel(tmp_path, asked).container_engine.create_args


def test_old_c_is_written_anew_before_the_build_only_where_a_recipe_says_so(tmp_path):
    recipe = Recipe(cythonize="cython<3")
    assert read_by_cibuildwheel(tmp_path, request(tmp_path, recipe)).before_build == "python -I /project/cythonize.py /project"
    (tmp_path / "plain").mkdir()
    assert not read_by_cibuildwheel(tmp_path / "plain", request(tmp_path)).before_build


@pytest.mark.parametrize("network", [False, True])
def test_a_build_knows_the_sites_proxy_where_it_has_a_network(tmp_path, network):
    options = read_by_cibuildwheel(tmp_path, request(tmp_path, Recipe(network=network)))
    assert ("--env=https_proxy=http://proxy.example:3128" in options.container_engine.create_args) is network


@pytest.mark.parametrize(
    ("target", "known"),
    [
        ("cp311-manylinux_2_36_x86_64", True),
        ("cp315t-musllinux_1_2_aarch64", True),
        # experiments end, and so do the oldest Pythons
        ("cp313t-manylinux_2_41_x86_64", False),
        ("cp37-manylinux_2_17_x86_64", False),
    ],
)
def test_which_pythons_cibuildwheel_builds_for_is_its_own_to_say(target, known):
    assert cibuildwheel.knows(parse_target(target)) is known


def test_a_recipe_has_the_last_word_on_the_environment(tmp_path):
    assert build_environment(request(tmp_path, Recipe(environment=(("MAKEFLAGS", "-j1"),))))["MAKEFLAGS"] == "-j1"


def test_jobs_follow_the_cpus(tmp_path):
    asked = request(tmp_path)
    assert (
        build_environment(replace(asked, limits=replace(asked.limits, cpus=4.0)))["CMAKE_BUILD_PARALLEL_LEVEL"] == "4"
    )
    assert "MAX_JOBS" not in build_environment(replace(asked, limits=replace(asked.limits, cpus=0.0)))


@pytest.mark.parametrize(
    "target",
    [
        "cp39-manylinux_2_17_x86_64",
        "cp314t-manylinux_2_28_aarch64",
        "cp312-musllinux_1_2_x86_64",
        "pp311-manylinux_2_28_x86_64",
    ],
)
def test_cibuildwheel_knows_our_names_and_our_paths(target):
    paths = {entry["identifier"]: entry["path_str"] for entry in resources.read_python_configs("linux")}
    where = parse_target(target)
    assert paths[cibuildwheel.identifier(where)] == interpreter(where)


def completed(code: int, stdout: str = "", **kind: bool) -> process.Completed:
    return process.Completed(argv=("x",), returncode=code, stdout=stdout, stderr="", seconds=1.0, **kind)


@pytest.mark.parametrize(
    ("ended", "step", "memory", "cause", "summary"),
    [
        (
            completed(1, "x.c:1:10: fatal error: nope.h: No such file or directory\ncompilation terminated.\n"),
            3,
            False,
            "build-failed",
            "nope.h",
        ),
        (
            completed(1, "ValueError: Cannot repair wheel, because x is needed\n"),
            4,
            False,
            "repair-failed",
            "Cannot repair wheel",
        ),
        (completed(1), 3, True, "out-of-memory", "building needed more memory"),
        (completed(10), 3, False, "no-wheel", "without making a wheel"),
        (completed(8), 4, False, "no-wheel", "auditwheel left no wheel"),
        (completed(-15, cancelled=True), 3, False, "too-much-output", "128 MiB"),
        (completed(1), 3, False, "build-failed", "exit code 1"),
    ],
)
def test_an_ending_is_told_apart(ended, step, memory, cause, summary):
    found = cibuildwheel.diagnosis(ended, step, no_memory=memory)
    assert found.cause == cause
    assert summary in found.summary


def test_the_telling_line_names_the_error():
    assert (
        telling_line(("x.c: error: boom", "note", "ERROR Backend subprocess exited when trying to invoke build_wheel"))
        == "x.c: error: boom"
    )
    assert telling_line(("only this", "")) == "only this"
    assert telling_line(()) == ""


@pytest.mark.parametrize(("cythonize", "count"), [("", 0), ("cython<3.1", 1)])
def test_c_is_written_anew_before_the_build_by_either_way_of_building(tmp_path, cythonize, count):
    asked = request(tmp_path, Recipe(cythonize=cythonize))
    options = read_by_cibuildwheel(tmp_path, asked)
    script = f"-I {frontend.SCRIPT} {frontend.PROJECT}"
    assert [script in options.before_build, len(frontend.before_build(asked))] == [bool(count), count]
    assert [script in " ".join(command) for command in frontend.before_build(asked)] == [True] * count
    assert sum(script in command for command in cibuildwheel.commands(asked)) == count


def test_the_script_that_writes_c_anew_goes_into_the_container(tmp_path):
    (tmp_path / "cythonize.py").touch()
    assert frontend.SCRIPT in frontend.inside(tmp_path)
