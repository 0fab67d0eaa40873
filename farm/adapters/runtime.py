"""DockerProver: the clean room. Installs a wheel as a user would, on an image without compilers, and imports it.

The verdict is made of exit codes that the engine reports, never of what a package prints. Installing a wheel runs none
of its code; importing does, so that comes last, as another user who can write to nothing that was checked.
"""

from __future__ import annotations

import shlex
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from farm.adapters.container import Container, ContainerPlan
from farm.adapters.emulation import is_foreign
from farm.adapters.frontend import interpreter
from farm.adapters.sandbox import HOME
from farm.model.outcome import Check, Verdict

if TYPE_CHECKING:
    from farm.adapters.container import ContainerHost, Ran
    from farm.model.build import ProofRequest

_WHEELS = "/wheels"
_SCRIPT = "/tmp/prove.py"  # noqa: S108 - a path inside the container
_IMPORT_SECONDS = 30
# QEMU translates a program while it runs: everything takes some ten times as long.
_EMULATED = 10
_ROOT = "0:0"
# What a shell and the engines give for a command that is not there (POSIX 2.8.2).
_NOT_FOUND = 127
_PIP = (("PIP_CONFIG_FILE", "/dev/null"), ("PIP_NO_CACHE_DIR", "1"), ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
        ("PIP_ROOT_USER_ACTION", "ignore"), ("PIP_NO_COLOR", "1"), ("LC_ALL", "C.UTF-8"))  # fmt: skip
_NO_COMPILER = "for tool in cc gcc g++ clang c99 tcc rustc gfortran; do command -v $tool && exit 1; done; exit 0"


class DockerProver:
    """Implements `farm.ports.Prover` on a Docker engine."""

    def __init__(self, host: ContainerHost) -> None:
        self._host = host

    def prove(self, request: ProofRequest) -> Verdict:
        """Return the verdict; the first check that fails for lack of time is the last one. EngineError."""
        plan = ContainerPlan(
            image=request.image.digest, attempt=request.attempt, limits=request.limits, environment=_PIP
        )
        with Container(self._host, plan) as container:
            self._fill(container, request)
            checks = tuple(_Proof(container, request).checks())
        return Verdict(target=request.target, image=request.image.digest, checks=checks)

    def _fill(self, container: Container, request: ProofRequest) -> None:
        script = files("farm.adapters.scripts").joinpath("prove.py").read_bytes()
        self._host.scratch.mkdir(parents=True, exist_ok=True)
        wheels: dict[str, Path | bytes] = {f"{_WHEELS}/{path.name}": path for path in (*request.beside, request.wheel)}
        with tempfile.TemporaryDirectory(prefix="prove-", dir=self._host.scratch) as scratch:
            container.put({_SCRIPT: script, **wheels}, owner=0)
            container.put({HOME: Path(scratch)})


class _Proof:
    def __init__(self, container: Container, request: ProofRequest) -> None:
        self._container = container
        self._request = request
        self._python = f"{interpreter(request.target)}/bin/python"

    def checks(self) -> list[Check]:
        """Run the checks in an order in which none can be influenced by the package's own code before it."""
        found = [
            self._check("no compiler in the image", ("sh", "-c", _NO_COMPILER)),
            self._check("installs", (
                self._python, "-I", "-m", "pip", "install", "--no-index", f"--find-links={_WHEELS}", "--only-binary=:all:",
                "--no-compile", "--quiet", f"{_WHEELS}/{self._request.wheel.name}",
            )),
        ]  # fmt: skip
        if not all(check.ok for check in found):
            return found
        found.append(self._check("pip check", (self._python, "-I", "-m", "pip", "check")))
        for module in self._request.modules:
            found.append(self._import(module))
            if self._container.seconds_left == 0.0:
                break
        if self._request.smoke_test and all(check.ok for check in found):
            found.append(self._smoke_test())
        return found

    def _smoke_test(self) -> Check:
        """What the recipe wants to see work; as a user's shell would run it, with the interpreter's programs first on PATH."""
        words = self._request.smoke_test
        with self._request.log.open("a", encoding="utf-8") as log:
            log.write(f"(smoke test: {shlex.join(words)})\n")
        path = f"{self._python.removesuffix('/python')}:/usr/local/bin:/usr/bin:/bin"
        ran = self._container.run(words, log=self._request.log, environment=(("PATH", path),))
        missing = ran.code == _NOT_FOUND and not ran.timed_out
        return Check(name="smoke test", ok=ran.ok, detail=f"no program {words[0]} in the clean room" if missing else _detail(ran))

    def _import(self, module: str) -> Check:
        seconds = _IMPORT_SECONDS * (_EMULATED if is_foreign(self._request.target.arch) else 1)
        argv = ("timeout", "-k", "1", str(seconds), self._python, "-I", _SCRIPT, module)
        ran = self._container.run(argv, log=self._request.log)
        late = ran.code in (124, 137) and not ran.timed_out and not ran.out_of_memory
        detail = f"took longer than {seconds} seconds" if late else _detail(ran)
        # A module that calls os._exit(0) leaves a good exit code behind, but not the script's last words.
        if ran.ok and f"imported {module}" not in ran.tail:
            return Check(name=f"imports {module}", ok=False, detail="importing it ended the process")
        return Check(name=f"imports {module}", ok=ran.ok, detail=detail)

    def _check(self, name: str, argv: tuple[str, ...]) -> Check:
        # Root without any capability may write what root owns, which is the image's interpreter; package code may not.
        ran = self._container.run(argv, log=self._request.log, user=_ROOT)
        return Check(name=name, ok=ran.ok, detail=_detail(ran))


def _detail(ran: Ran) -> str:
    if ran.ok:
        return ""
    if ran.timed_out:
        return "the time limit of the proof was reached"
    if ran.out_of_memory:
        return "needed more memory than its container may have"
    if ran.code == 128 + 11:
        return "the interpreter crashed (segmentation fault)"
    lines = [line for line in ran.tail if line.strip()]
    return lines[-1][:500] if lines else f"exit code {ran.code}"
