"""Native wheels: cibuildwheel on the host drives a build container and repairs what comes out with auditwheel.

Package code runs as nobody, with dropped capabilities, no-new-privileges, nothing of the host mounted and no network unless the
recipe leaves it on. Nothing of the sdist's own [tool.cibuildwheel] is read: our file is given in its place.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import threading
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING

from farm.adapters import process
from farm.adapters.compiled import FOLDER
from farm.adapters.frontend import (
    PROJECT,
    SCRIPT,
    build_arguments,
    build_environment,
    compiler_environment,
    out_of_disk,
    out_of_memory,
    telling_line,
)
from farm.adapters.sandbox import HOME, OPEN_FILES, USER
from farm.errors import EngineError
from farm.model.outcome import Diagnosis

if TYPE_CHECKING:
    from pathlib import Path

    from farm.adapters.container import ContainerHost
    from farm.model.build import BuildRequest
    from farm.model.target import Target

PURE_WHEEL = 5
"""cibuildwheel's exit code for NonPlatformWheelError (cibuildwheel/errors.py)."""
OUT_OF_DISK = -2
"""In the place of a step: the container was killed because it wrote too much."""

_ENGINE_TOO_OLD = 7
_LOG_BYTES = 128 << 20
# In the order in which cibuildwheel takes them; package code first runs in the fourth.
_STEPS = (
    "Starting container image", "Copying project into container", "Setting up build environment", "Building wheel",
    "Repairing wheel", "Copying wheels back to host",
)  # fmt: skip
_BUILDING = 3
_REPAIRING = 4
_MEANINGS = {
    2: Diagnosis(cause="configuration", summary="cibuildwheel did not accept the configuration that farm wrote for it"),
    3: Diagnosis(cause="configuration", summary="cibuildwheel knows no such combination of Python and platform"),
    8: Diagnosis(cause="no-wheel", summary="auditwheel left no wheel, or several"),
    10: Diagnosis(cause="no-wheel", summary="the build backend succeeded without making a wheel"),
}
_HOST_VARIABLES = (
    "PATH", "HOME", "TMPDIR", "XDG_RUNTIME_DIR", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH", "DOCKER_API_VERSION",
)  # fmt: skip
# cibuildwheel types its commands into a shell whose stdin is a pipe that stays open: a setup.py that reads stdin would
# wait until the time limit, or eat the next command. Every command that it types begins with `env`, so an `env` of our
# own closes stdin; it takes itself out of the environment, so that nothing in the build ever sees it.
_ENV_FUNCTION = "BASH_FUNC_env%%"
_CLOSE_STDIN = f"() {{ command env -u '{_ENV_FUNCTION}' \"$@\" < /dev/null; }}"


def identifier(target: Target) -> str:
    """Return cibuildwheel's name of a target: `cp312-manylinux_x86_64`."""
    kind = target.libc[0] if target.libc else target.platform
    return f"{target.python_tag}-{kind}_{target.arch}"


def knows(target: Target) -> bool:
    """Tell whether the installed cibuildwheel builds for a target: each release drops the oldest Pythons, and experiments."""
    from cibuildwheel.util import resources  # noqa: PLC0415 - only a native build asks

    return any(entry["identifier"] == identifier(target) for entry in resources.read_python_configs("linux"))


@dataclass(slots=True)
class _Watch:
    """Follows the output: how far cibuildwheel came, and whether a package prints without end."""

    host: ContainerHost
    attempt: str
    step: int = -1
    size: int = 0
    too_long: threading.Event = field(default_factory=threading.Event)

    def line(self, line: str) -> None:
        # A step never goes back, so that what a package prints cannot pass for one before its own.
        ahead = [i for i, name in enumerate(_STEPS) if i > self.step and line.endswith("...") and line.startswith(name)]
        self.step = ahead[0] if ahead else self.step
        self.size += len(line) + 1
        if self.size > _LOG_BYTES:
            self.too_long.set()
            return
        self.host.output(self.attempt, line)


def build_wheels(
    host: ContainerHost, request: BuildRequest, folder: Path, seconds: float
) -> tuple[process.Completed, int]:
    """Run cibuildwheel in a staged `folder`; wheels land in `folder/../made`. Return how it ended and its last step.

    When the time is over, or this thread is interrupted, cibuildwheel's processes and its container are gone on return.
    EngineError when there is no docker program, the engine is too old, or no container could be started.
    """
    if shutil.which("docker", path=host.environment.get("PATH", "")) is None:
        reason = "cibuildwheel drives containers with the docker program, and none is on PATH"
        raise EngineError(reason, solution="install the Docker command line")
    configuration = folder.parent / "cibuildwheel.toml"
    configuration.write_text(config(host, request), encoding="utf-8")
    watch = _Watch(host, request.attempt)
    argv = (
        sys.executable, "-I", "-m", "cibuildwheel", "--only", identifier(request.job.target),
        "--config-file", str(configuration), "--output-dir", str(folder.parent / "made"), request.folder,
    )  # fmt: skip
    command = process.Command(
        argv=argv, cwd=folder, env=_host_environment(host, request), timeout=seconds, log=request.log,
        on_line=watch.line, cancel=watch.too_long,
    )  # fmt: skip
    try:
        with host.disk_watch(request.attempt, request.limits, request.volume) as disk:
            completed = process.run(command)
    finally:
        host.remove(request.attempt)
    if disk.exceeded:
        return completed, OUT_OF_DISK
    if completed.returncode == _ENGINE_TOO_OLD:
        raise EngineError(
            "cibuildwheel needs Docker 20.10 or newer, API 1.41", solution="install a newer Docker engine"
        )
    if completed.returncode == 1 and watch.step < _BUILDING:
        lines = [line for line in completed.stdout.splitlines() if line.strip()]
        reason = f"a build container could not be started: {lines[-1] if lines else 'cibuildwheel said nothing'}"
        raise EngineError(reason, solution=f"see {request.log}, and that `docker info` works")
    return completed, watch.step


def commands(request: BuildRequest) -> tuple[str, ...]:
    """Return what makes a native wheel, as one would type it: cibuildwheel's own command, what it builds and repairs with."""
    frontend = ("python", "-m", "build", request.folder, "--wheel", "--installer=uv", *build_arguments(request))
    return (
        f"cibuildwheel=={version('cibuildwheel')} --only {identifier(request.job.target)} {request.folder}",
        *filter(None, (_before(request),)),
        shlex.join(frontend),
        _repair(request),
    )


def _before(request: BuildRequest) -> str:
    return f"python -I {SCRIPT} {PROJECT}" if request.job.recipe.cythonize else ""


def _repair(request: BuildRequest) -> str:
    # Lowest true policy: the wheel's symbols decide, not what the image calls itself.
    return f"{auditwheel(request)} repair --plat auto -w {{dest_dir}} {{wheel}}"


def config(host: ContainerHost, request: BuildRequest) -> str:
    """Return the whole configuration as TOML. Nothing in it makes cibuildwheel download or test anything."""
    kind = request.job.target.libc[0] if request.job.target.libc else "manylinux"
    machine = f"{'pypy_' if request.job.target.implementation == 'pp' else ''}{request.job.target.arch}"
    engine = {"name": "docker", "create-args": list(_create_args(host, request)), "disable-host-mount": True}
    values: dict[str, object] = {
        f"{kind}-{machine}-image": request.image.reference,
        "container-engine": engine,
        "build-frontend": {"name": "build[uv]", "args": list(build_arguments(request))},
        "dependency-versions": "latest",
        "audit-command": "",
        "audit-requires": [],
        "before-all": "",
        "before-build": _before(request),
        "test-command": "",
        "environment": {},
        "repair-wheel-command": _repair(request),
    }
    return "[tool.cibuildwheel]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in values.items())


def auditwheel(request: BuildRequest) -> str:
    """Return the command that repairs. auditwheel has no option for what its policies say not to graft, so they are told
    otherwise before it starts, in its own interpreter.
    """
    if not request.job.recipe.graft:
        return "auditwheel"
    code = (
        "import sys; from auditwheel import policy; from auditwheel.main import main; "
        'drop = frozenset(sys.argv.pop(1).split(",")); init = policy.Policy.__init__; '
        'policy.Policy.__init__ = lambda self, **k: init(self, **dict(k, whitelist=k["whitelist"] - drop)); sys.exit(main())'
    )
    interpreter = '"$(sed -n "1s/^#!//p" "$(command -v auditwheel)")"'
    return f"{interpreter} -c '{code}' {shlex.quote(','.join(request.job.recipe.graft))}"


def diagnosis(completed: process.Completed, step: int, *, no_memory: bool) -> Diagnosis:
    """Return what cibuildwheel's ending says by itself; its log is read elsewhere."""
    repairing = step >= _REPAIRING
    doing = "repairing the wheel" if repairing else "building"
    if step == OUT_OF_DISK:
        return out_of_disk(doing)
    if no_memory:
        return out_of_memory(doing)
    if completed.cancelled:
        return Diagnosis(
            cause="too-much-output", summary=f"{doing} printed more than {_LOG_BYTES >> 20} MiB and was stopped"
        )
    known = _MEANINGS.get(completed.returncode)
    if known is not None:
        return known
    lines = tuple(line for line in completed.stdout.splitlines()[-80:] if not line.startswith("cibuildwheel: ") and "\u2715" not in line)
    summary = telling_line(lines) or f"cibuildwheel ended with exit code {completed.returncode} while {doing}"
    return Diagnosis(cause="repair-failed" if repairing else "build-failed", summary=summary)


def _create_args(host: ContainerHost, request: BuildRequest) -> tuple[str, ...]:
    limits = request.limits
    labels = (f"--label={key}={value}" for key, value in host.labels(request.attempt).items())
    site = dict(host.site) if request.job.recipe.network else {}
    told = site | compiler_environment(host, request) | build_environment(request)
    variables = (f"--env={key}={value}" for key, value in told.items())
    mount = f"--mount=type=volume,source={request.volume},target={FOLDER}"
    return (
        f"--network={'bridge' if request.job.recipe.network else 'none'}",
        f"--user={USER}",
        f"--env=HOME={HOME}",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        f"--memory={limits.memory}",
        f"--memory-swap={limits.memory}",
        f"--pids-limit={limits.processes}",
        *((f"--cpus={limits.cpus}",) if limits.cpus else ()),
        "--ulimit=core=0",
        f"--ulimit=nofile={OPEN_FILES}",
        "--init",
        "--log-driver=none",
        *((",".join((mount, *(f"volume-label={key}={value}" for key, value in host.marks.items()))),) if request.volume else ()),
        *labels,
        f"--env={_ENV_FUNCTION}={_CLOSE_STDIN}",
        *variables,
    )


def _host_environment(host: ContainerHost, request: BuildRequest) -> dict[str, str]:
    kept = {name: host.environment[name] for name in _HOST_VARIABLES if name in host.environment}
    return {
        **kept,
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "SOURCE_DATE_EPOCH": str(request.epoch),
        # Otherwise cibuildwheel parses the stranger's setup.py on the host to find its requires-python.
        "CIBW_PROJECT_REQUIRES_PYTHON": ">=3",
    }


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }" if value else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    # A JSON string is a TOML basic string once DEL is escaped, which JSON leaves as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
