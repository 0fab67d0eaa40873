"""DockerScanner: looks through a wheel's machine code with objdump, in a container, as it parses what a stranger made."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec

from farm.adapters.container import Container, ContainerPlan
from farm.adapters.frontend import interpreter
from farm.adapters.sandbox import HOME
from farm.model.build import BuildFailed
from farm.model.instructions import Code
from farm.model.outcome import Diagnosis

if TYPE_CHECKING:
    from farm.adapters.container import ContainerHost
    from farm.model.instructions import ScanRequest

_SCRIPT = "/tmp/scan_instructions.py"  # noqa: S108 - a path inside the container
_ANSWER = "/tmp/home/answer"  # noqa: S108 - the same
_ANSWER_BYTES = 64 << 20
_SHORTEST = 600.0


class _Line(msgspec.Struct):
    path: str
    machine: str = ""
    functions: dict[str, int] = {}
    entries: dict[str, list[str]] = {}
    asks: bool = False
    needed: str = ""
    error: str = ""


class DockerScanner:
    """Implements `farm.ports.Scanner` on a Docker engine."""

    def __init__(self, host: ContainerHost) -> None:
        self._host = host

    def scan(self, request: ScanRequest) -> tuple[Code, ...]:
        """Return what is in each ELF file of the wheel, but for those of architectures that are not looked through.

        BuildFailed (cause "rejected") when one cannot be read; EngineError.
        """
        # Some hundred megabytes of code take minutes, under emulation more.
        limits = replace(request.limits, seconds=max(request.limits.seconds, _SHORTEST))
        plan = ContainerPlan(image=request.image.digest, attempt=request.attempt, limits=limits)
        script = files("farm.adapters.scripts").joinpath("scan_instructions.py").read_bytes()
        self._host.scratch.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="scan-", dir=self._host.scratch) as scratch, Container(self._host, plan) as container:
            folder = Path(scratch)
            wheel = f"/tmp/{request.wheel.name}"  # noqa: S108 - a path inside the container
            container.put({_SCRIPT: script, wheel: request.wheel}, owner=0)
            container.put({HOME: folder})
            python = f"{interpreter(request.target)}/bin/python"
            argv = ("sh", "-c", f'exec "$@" > {_ANSWER}', "sh", python, "-I", _SCRIPT, wheel)
            ran = container.run(argv, log=request.log)
            if ran.timed_out or ran.code not in (0, 1):
                reason = "took too long" if ran.timed_out else (ran.tail or (f"exit code {ran.code}",))[-1]
                raise _unread(reason)
            container.get(_ANSWER, folder, _ANSWER_BYTES)
            lines = (folder / "answer").read_bytes().splitlines()
        return tuple(_code(line) for line in lines)


def _code(line: bytes) -> Code:
    try:
        found = msgspec.json.decode(line, type=_Line)
    except msgspec.DecodeError as error:
        raise _unread(str(error)) from error
    if found.error:
        raise _unread(f"{found.path}: {found.error}")
    return Code(
        path=found.path,
        machine=found.machine,
        functions=tuple((frozenset(kinds.split("+")), count) for kinds, count in sorted(found.functions.items())),
        entries=tuple((name, frozenset(kinds)) for name, kinds in sorted(found.entries.items())),
        asks=found.asks,
        needed=found.needed,
    )


def _unread(reason: str) -> BuildFailed:
    return BuildFailed(
        Diagnosis(
            cause="rejected",
            summary=f"its machine code cannot be looked through: {reason}",
            remedy='`allow-instructions = "REASON"` in a recipe lets it pass unseen',
        )
    )
