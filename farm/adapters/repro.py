"""A build again, to look into: the same container after the same command, a shell or a command in it, and what was edited."""

from __future__ import annotations

import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from farm.adapters import frontend, process
from farm.adapters.container import Container
from farm.adapters.frontend import PROJECT
from farm.adapters.sandbox import USER
from farm.model.edits import Visited, edits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farm.adapters.container import ContainerHost
    from farm.model.build import BuildRequest

PACKAGE = f"{PROJECT}/package"
AGAIN = f"{PROJECT}/again"
"""A script in the container that builds as farm did."""
_TREE_BYTES = 4 << 30
_FILE_BYTES = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What to do in the container. `command` None opens a shell on this process's own terminal; `build` first builds as farm did."""

    request: BuildRequest
    command: str | None = None
    build: bool = True


def visit(host: ContainerHost, wanted: Visit) -> Visited:
    """Build again in a container like the one that failed, hand it over, and tell what was edited there.

    The network is off as it was, limits are the request's. BadSdist, BuildFailed (a patch that does not fit), EngineError.
    """
    request = wanted.request
    host.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="repro-", dir=host.scratch) as scratch:
        folder = Path(scratch)
        frontend.stage(host, request, folder)
        sources = frozenset(_files(folder / "package"))
        with Container(host, frontend.plan_of(host, request, request.limits.seconds)) as container:
            argv = frontend.build_command(request)
            container.put(frontend.inside(folder) | {f"{PROJECT}/out": frontend.empty(folder), AGAIN: _script(argv)})
            for before_it in frontend.before_build(request):
                container.run(before_it, log=request.log)
            built = container.run(argv, log=request.log).code if wanted.build else None
            container.get(PACKAGE, folder / "before", _TREE_BYTES)
            if wanted.command is None:
                code = _shell(host, container)
            else:
                code = container.run(("sh", "-c", f"cd {PACKAGE} && {wanted.command}"), log=request.log).code
            container.get(PACKAGE, folder / "after", _TREE_BYTES)
        before, after = _files(folder / "before" / "package"), _files(folder / "after" / "package")
    return Visited(built=built, code=code, edits=edits(sources, before, after))


def _script(argv: tuple[str, ...]) -> bytes:
    return f"#!/bin/sh\n# What farm ran; its result is in {PROJECT}/out.\nexec {shlex.join(argv)}\n".encode()


def _shell(host: ContainerHost, container: Container) -> int:
    words = f"sources: {PACKAGE}   build as farm did: sh {AGAIN}   leave: exit; edits of the sources become a patch"
    start = f"echo {shlex.quote(words)}; exec bash"
    argv = ("docker", "exec", "-it", "--user", USER, "--workdir", PACKAGE, container.id, "sh", "-c", start)
    return process.attached(argv, host.environment)


def _files(tree: Path) -> Mapping[str, bytes]:
    """Return the regular files of a tree that a person may have edited: nobody writes patches for more than 8 MiB."""
    return {
        path.relative_to(tree).as_posix(): path.read_bytes()
        for path in sorted(tree.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= _FILE_BYTES
    }
