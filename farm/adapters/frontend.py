"""The PEP 517 front end in a container of our own: pure wheels, and questions to a backend.

Runs package code as nobody, offline; the front end and its installer are the image's (`build`, `uv`). The layout inside
is cibuildwheel's, so that a recipe may name the same paths for both.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from farm.adapters import compiled, patches
from farm.adapters.container import Container, ContainerPlan
from farm.adapters.old_names import REQUIREMENT, write_wheel
from farm.adapters.sandbox import HOME
from farm.adapters.source_tree import add_build_requires, unpack
from farm.model.build import BuildFailed, at_once
from farm.model.outcome import Diagnosis

if TYPE_CHECKING:
    from farm.adapters.container import ContainerHost, Ran
    from farm.model.build import BuildRequest
    from farm.model.target import Target

PROJECT = "/project"
_SCRIPT = "cythonize.py"
SCRIPT = f"{PROJECT}/{_SCRIPT}"
"""Writes C anew before the build, where the recipe asks for it."""
_ENVIRONMENT = "/tmp/build-env"  # noqa: S108 - a path inside the container
_ANSWER = f"{PROJECT}/answer.json"
_ANSWER_BYTES = 16 << 20
_SETUP_CFG = "parallel.cfg"
_WHEEL_BYTES = 4 << 30
_REPAIR = f"""
cd {PROJECT}/out
for wheel in *.whl; do
  case "$wheel" in *-any.whl) continue ;; esac
  REPAIR repair --plat auto -w {PROJECT}/repaired "$wheel"
  rm "$wheel"
  mv {PROJECT}/repaired/*.whl .
done
"""


def interpreter(target: Target) -> str:
    """Return the folder of a target's interpreter in every image: the layout of the manylinux images, which cibuildwheel uses."""
    tag = target.python_tag
    if target.implementation == "pp":
        return _pypy(target)
    return f"/opt/python/{tag.removesuffix('t')}-{tag}"


def _pypy(target: Target) -> str:
    """Return PyPy's folder, which has the version of PyPy's own ABI in its name: cibuildwheel's table knows it."""
    from cibuildwheel.util import resources  # noqa: PLC0415 - targets on PyPy are rare

    start = f"{target.python_tag}-"
    found = (
        entry["path_str"] for entry in resources.read_python_configs("linux") if entry["identifier"].startswith(start)
    )
    return next(found, f"/opt/python/{target.python_tag}")


def stage(host: ContainerHost, request: BuildRequest, folder: Path) -> None:
    """Lay out what a build container gets: `package/` (the patched sdist), `wheels/`, and `crates/` when there are any.

    BadSdist; BuildFailed when a patch does not fit.
    """
    unpacked = unpack(request.sdist, folder / "sdist")
    recipe = request.job.recipe
    _note(request, tuple(f"patch {patch.name} (sha256 {patch.sha256[:12]}): {patch.reason}" for patch in recipe.patches))
    _note(request, (f"the network is on: {recipe.network_reason or 'the recipe says so'}",) if recipe.network else ())
    patches.apply(recipe.patches, unpacked, host.environment)
    more = (REQUIREMENT,) if recipe.old_names else ()
    add_build_requires(unpacked, replace(recipe, build_requires=(*recipe.build_requires, *more)))
    unpacked.rename(folder / request.folder)
    (folder / "sdist").rmdir()
    (folder / "wheels").mkdir()
    for wheel in sorted(request.wheels.glob("*.whl")):
        shutil.copyfile(wheel, folder / "wheels" / wheel.name)
    (folder / _SETUP_CFG).write_text(f"[build_ext]\nparallel = {_jobs(request)}\n", encoding="utf-8")
    if recipe.old_names:
        write_wheel(folder / "wheels")
    if recipe.cythonize:
        (folder / _SCRIPT).write_bytes(files("farm.adapters.scripts").joinpath(_SCRIPT).read_bytes())
    if request.crates is not None:
        shutil.copytree(request.crates, folder / "crates", symlinks=True)


def _note(request: BuildRequest, lines: tuple[str, ...]) -> None:
    if lines:
        with request.log.open("a", encoding="utf-8") as log:
            log.writelines(f"({line})\n" for line in lines)


def build_environment(request: BuildRequest) -> dict[str, str]:
    """Return what every build sees: nothing but the given wheels to install from, one locale, one hash seed, one time, and as
    many jobs as the container has CPUs. A recipe's own variables come last.
    """
    links = f"{PROJECT}/wheels"
    jobs = _jobs(request)
    parallel = at_once(jobs) if request.limits.cpus else {}
    if jobs > 1:
        # setuptools reads this file beside the project's own setup.cfg (setuptools, "DIST_EXTRA_CONFIG").
        parallel["DIST_EXTRA_CONFIG"] = f"{PROJECT}/{_SETUP_CFG}"
    shut = ("PIP_NO_INDEX=1", "UV_NO_INDEX=1", "UV_OFFLINE=1", "CARGO_NET_OFFLINE=true")
    offline = {} if request.job.recipe.network else dict(pair.split("=") for pair in shut)
    crates = {"CARGO_HOME": f"{PROJECT}/crates"} if request.crates is not None else {}
    return {
        "PIP_FIND_LINKS": links,
        "UV_FIND_LINKS": links,
        "PIP_CONFIG_FILE": "/dev/null",
        "UV_NO_CONFIG": "1",
        "UV_NO_CACHE": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "SOURCE_DATE_EPOCH": str(request.epoch),
        "PYTHONHASHSEED": "0",
        "LC_ALL": "C.UTF-8",
        **offline,
        **crates,
        **parallel,
        **dict(request.job.recipe.environment),
    }


def _jobs(request: BuildRequest) -> int:
    return max(1, request.jobs)


def compiler_environment(host: ContainerHost, request: BuildRequest) -> dict[str, str]:
    """Return what has compilers look into the request's volume first; nothing without one."""
    return compiled.environment(host.path(request.image.digest)) if request.volume else {}


def build_arguments(request: BuildRequest) -> tuple[str, ...]:
    """Return the recipe's config settings, and where the build environment is to be, as the `build` program takes them."""
    settings = tuple(f"-C{key}={value}" for key, value in request.job.recipe.config_settings)
    # Debian's images have a front end that is new enough to put the environment where it is told: what is compiled tells its paths.
    return (f"--env-dir={_ENVIRONMENT}", *settings) if request.image.spec.family == "debian" else settings


def before_build(request: BuildRequest) -> tuple[tuple[str, ...], ...]:
    """Return the commands that come before the build: none, or the one that writes C anew. It never fails: the build tells more."""
    return ((f"{interpreter(request.job.target)}/bin/python", "-I", SCRIPT, PROJECT),) if request.job.recipe.cythonize else ()


def build_command(request: BuildRequest) -> tuple[str, ...]:
    """Return what builds a wheel of the sources, `/project/package` but for a second build, into `/project/out`."""
    return (
        f"{interpreter(request.job.target)}/bin/python", "-m", "build", "--wheel", "--installer=uv", f"--outdir={PROJECT}/out",
        *build_arguments(request), f"{PROJECT}/{request.folder}",
    )  # fmt: skip


def build_wheels(host: ContainerHost, request: BuildRequest, folder: Path, seconds: float, repair: str = "") -> Ran:
    """Build a staged project with `python -m build`; what it made is copied into `folder/out`. BadSdist, EngineError.

    `repair` is the auditwheel command for a wheel with binaries; without one the wheel stays as it is.
    """
    with Container(host, plan_of(host, request, seconds)) as container:
        container.put(inside(folder) | {f"{PROJECT}/out": empty(folder)})
        for argv in before_build(request):
            container.run(argv, log=request.log)
        ran = container.run(build_command(request), log=request.log)
        if ran.ok and repair:
            ran = container.run(("sh", "-ec", _REPAIR.replace("REPAIR", repair)), log=request.log)
        if ran.ok:
            container.get(f"{PROJECT}/out", folder / "made", _WHEEL_BYTES)
    return ran


def ask(host: ContainerHost, request: BuildRequest, question: str) -> object:
    """Return the backend's answer to "requirements" or "metadata", as JSON has it.

    BuildFailed when the backend fails, takes too long, or answers with no JSON; BadSdist, EngineError.
    """
    host.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ask-", dir=host.scratch) as scratch:
        folder = Path(scratch)
        stage(host, request, folder)
        with Container(host, plan_of(host, request, request.limits.seconds)) as container:
            script = files("farm.adapters.scripts").joinpath("ask_backend.py").read_bytes()
            container.put(inside(folder) | {f"{PROJECT}/ask_backend.py": script})
            settings = tuple(f"{key}={value}" for key, value in request.job.recipe.config_settings)
            python = f"{interpreter(request.job.target)}/bin/python"
            argv = (python, f"{PROJECT}/ask_backend.py", question, f"{PROJECT}/{request.folder}", _ANSWER, *settings)
            ran = container.run(argv, log=request.log)
            if not ran.ok:
                raise BuildFailed(failure(ran, f"asking the backend for its {question}"))
            container.get(_ANSWER, folder / "answer", _ANSWER_BYTES)
        try:
            return json.loads((folder / "answer" / "answer.json").read_bytes())
        except (OSError, ValueError) as error:
            reason = f"the build backend left no answer about its {question}: {error}"
            raise BuildFailed(Diagnosis(cause="build-failed", summary=reason)) from error


def failure(ran: Ran, doing: str) -> Diagnosis:
    """Return what the container alone knows of a failure: the log is read elsewhere."""
    if ran.timed_out:
        return Diagnosis(cause="timed-out", summary=f"{doing} took longer than its time limit and was killed")
    if ran.out_of_memory:
        return out_of_memory(doing)
    if ran.out_of_disk:
        return out_of_disk(doing)
    if ran.code == 137:
        return Diagnosis(cause="killed", summary=f"{doing} was killed by a signal")
    return Diagnosis(cause="build-failed", summary=telling_line(ran.tail) or f"{doing} ended with exit code {ran.code}")


def out_of_memory(doing: str) -> Diagnosis:
    return Diagnosis(
        cause="out-of-memory",
        summary=f"{doing} needed more memory than its container may have",
        remedy="raise the memory limit, or build with fewer jobs at a time",
    )


def out_of_disk(doing: str) -> Diagnosis:
    return Diagnosis(
        cause="too-much-disk",
        summary=f"{doing} wrote more than its container may, and was killed",
        remedy="raise `[build] disk`, if the package is to be trusted with that",
    )


def telling_line(tail: tuple[str, ...]) -> str:
    """Return the last line that names an error, else the last line that says anything."""
    lines = [line.strip() for line in tail if line.strip()]
    errors = [line for line in lines if "error" in line.lower() and not line.startswith("ERROR Backend")]
    return (errors or lines or [""])[-1][:300]


def plan_of(host: ContainerHost, request: BuildRequest, seconds: float) -> ContainerPlan:
    """Return the container that a build or a question to a backend runs in."""
    path = {"PATH": host.path(request.image.digest)} | compiler_environment(host, request)
    path["PATH"] = f"{interpreter(request.job.target)}/bin:{path['PATH']}"
    network = request.job.recipe.network
    return ContainerPlan(
        image=request.image.digest,
        attempt=request.attempt,
        limits=replace(request.limits, seconds=seconds),
        network=network,
        volume=request.volume,
        environment=tuple((dict(host.site if network else {}) | path | build_environment(request)).items()),
    )


def inside(folder: Path) -> dict[str, Path | bytes]:
    """Return what of a staged folder goes where in the container."""
    parts = [part for part in ("package", "package-again", "wheels", "crates", _SETUP_CFG, _SCRIPT) if (folder / part).exists()]
    return {PROJECT: empty(folder), HOME: empty(folder), **{f"{PROJECT}/{part}": folder / part for part in parts}}


def empty(folder: Path) -> Path:
    """Return an empty folder, for one to be made of it."""
    nothing = folder / "empty"
    nothing.mkdir(exist_ok=True)
    return nothing
