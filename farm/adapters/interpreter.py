"""Asks an interpreter, on the host or in an image, for its tags and markers. Runs a script of the farm's own, nothing else.

What an image told is kept by the image's digest: an image does not change under its digest.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

from farm.adapters.docker_engine import translated
from farm.adapters.page_cache import keep
from farm.adapters.process import Command, run
from farm.errors import EngineError, FarmError, ImageError, UsageError
from farm.model.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from docker import DockerClient
    from docker.models.containers import Container

_SECONDS = 60
_MEMORY = 512 << 20
_MOST_OUTPUT = 16 << 20
_MARK = "farm-interpreter "
_BEGINS = '{"path"'
_SCHEMA = 1
# Links lead several names to one interpreter; the first name is the one that a user would type.
_SEARCH = """
for python in ${FARM_PYTHON:-$(command -v python3) /opt/python/*/bin/python /usr/local/bin/python3 /usr/bin/python3}; do
  [ -x "$python" ] || continue
  told=$("$python" -I -c "$FARM_ASK" 2>/dev/null) && printf '%s%s\\n' "farm-interpreter " "$told"
done
exit 0
"""


def script() -> str:
    """Return the program that an interpreter is asked with."""
    return files("farm.adapters.scripts").joinpath("describe.py").read_text(encoding="utf-8")


def ask_host(python: str, env: Mapping[str, str]) -> Interpreter:
    """Return what an interpreter of this machine tells. UsageError when it cannot be run, or is no Python 3."""
    command = Command(argv=(python, "-I", "-c", script()), env=env, timeout=_SECONDS)
    try:
        done = run(command)
    except FarmError as error:
        where = "a path" if "/" in python else "a name on PATH (a file here is ./NAME)"
        reason = f"{python}: expected a Python 3 interpreter, {where}, found none: {error.reason}"
        raise UsageError(reason, solution="name an interpreter with --python PATH, such as --python /usr/bin/python3") from error
    lines = [line for line in done.stdout.splitlines() if line.startswith(_BEGINS)]
    if not done.ok or not lines:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode} and no answer"])[-1]
        raise UsageError(
            f"{python}: expected a Python 3 that runs a script, found: {last}", solution="name an interpreter with --python PATH"
        )
    return _parsed(lines[:1], python)[0]


def _parsed(lines: Iterable[str], subject: str) -> tuple[Interpreter, ...]:
    try:
        return tuple(msgspec.json.decode(line, type=Interpreter) for line in lines)
    except msgspec.DecodeError as error:
        raise ImageError(
            f"{subject}: expected an interpreter's account of itself, found something else: {error}",
            solution="run `farm targets detect --python PATH` where it is installed",
        ) from error


class ImageInterpreters:
    """Asks the interpreters of Docker images. Every method may raise EngineError.

    `connect` is called when an image must be asked; `folder` is where answers are kept.
    """

    def __init__(self, connect: Callable[[], DockerClient], folder: Path) -> None:
        self._connect = connect
        self._folder = folder

    def ask(self, reference: str, python: str | None = None) -> tuple[Interpreter, ...]:
        """Return the interpreters of an image, each once; with `python`, the one at that path.

        An image that is not in the engine is pulled. ImageError when it cannot be had, or has no Python 3.
        """
        client = self._connect()
        digest = self._digest(client, reference)
        path = self._folder / f"{digest.removeprefix('sha256:')}.json"
        if python is None and (known := _load(path)):
            return known
        found = _distinct(_parsed(_run(client, digest, python), reference))
        if not found:
            where = f"at {python}" if python else "as python3 on its PATH or below /opt/python"
            raise ImageError(f"{reference}: expected a Python 3 {where}, found none", solution="name its path in the image with --python")
        if python is None:
            keep(path, msgspec.json.encode({"schema": _SCHEMA, "interpreters": found}))
        return found

    def _digest(self, client: DockerClient, reference: str) -> str:
        from docker.errors import DockerException, ImageNotFound  # noqa: PLC0415 - see docker_engine
        from requests.exceptions import RequestException  # noqa: PLC0415 - the same

        with translated(f"looking for {reference}"):
            try:
                return str(client.images.get(reference).id)
            except ImageNotFound:
                pass
        try:
            return str(client.images.pull(*_split(reference)).id)
        except (DockerException, RequestException) as error:
            raise ImageError(
                f"{reference}: not in the engine, and it cannot be pulled: {getattr(error, 'explanation', None) or error}",
                solution="`docker images` shows what is in the engine; check the name, and the engine's network",
            ) from error


def _split(reference: str) -> tuple[str, str | None]:
    """Without a tag the SDK would pull every tag that there is."""
    named = "@" in reference or ":" in reference.rsplit("/", 1)[-1]
    return (reference, None) if named else (reference, "latest")


def _load(path: Path) -> tuple[Interpreter, ...]:
    try:
        content = json.loads(path.read_bytes())
        return tuple(msgspec.convert(row, Interpreter) for row in content["interpreters"]) if content["schema"] == _SCHEMA else ()
    except (OSError, ValueError, TypeError, KeyError, msgspec.ValidationError):
        return ()


def _distinct(found: tuple[Interpreter, ...]) -> tuple[Interpreter, ...]:
    once: dict[tuple[str, str, bool], Interpreter] = {}
    for one in found:
        once.setdefault((one.implementation, one.version, one.free_threaded), one)
    return tuple(once.values())


def _run(client: DockerClient, digest: str, python: str | None) -> list[str]:
    """Run the script with every interpreter in a container without network, mounts and capabilities, which is then removed."""
    environment = {"FARM_ASK": script(), "LC_ALL": "C"} | ({"FARM_PYTHON": python} if python else {})
    # An image without a shell (distroless) has one interpreter, and is asked without it.
    for entrypoint in (["sh", "-c", _SEARCH], [python or "python3", "-I", "-c", script()]):
        output = _once(client, digest, entrypoint, environment)
        if output is not None:
            lines = [line.removeprefix(_MARK) for line in output.splitlines()]
            return [line for line in lines if line.startswith(_BEGINS)]
    return []


def _once(client: DockerClient, digest: str, entrypoint: list[str], environment: dict[str, str]) -> str | None:
    from docker.errors import APIError  # noqa: PLC0415 - see docker_engine

    with translated("making a container"):
        container = client.containers.create(
            digest, entrypoint=entrypoint, command=[], environment=environment, network_mode="none", cap_drop=["ALL"],
            security_opt=["no-new-privileges"], mem_limit=_MEMORY, pids_limit=64, stdin_open=False, working_dir="/",
            labels={"farm.asks": "interpreter"},
        )  # fmt: skip
    try:
        with translated("asking an image's interpreters"):
            try:
                container.start()
            except APIError as error:
                if error.status_code in {400, 404, 500} and "executable file not found" in str(error.explanation):
                    return None
                raise
            return _output(container)
    finally:
        with translated("removing a container"):
            container.remove(force=True, v=True)


def _output(container: Container) -> str:
    from requests.exceptions import ConnectionError as Disconnected  # noqa: PLC0415 - see docker_engine
    from requests.exceptions import ReadTimeout  # noqa: PLC0415 - the same

    try:
        container.wait(timeout=_SECONDS)
    except (ReadTimeout, Disconnected) as error:
        reason = f"the image's interpreters did not answer within {_SECONDS} s"
        raise EngineError(reason, solution="name the one that is meant with --python PATH") from error
    data = bytearray()
    for chunk in container.logs(stdout=True, stderr=False, stream=True):
        data += chunk
        if len(data) > _MOST_OUTPUT:
            break
    return data.decode(errors="replace")


def told(content: Interpreter) -> dict[str, Any]:
    """Return an interpreter as JSON has it."""
    made: dict[str, Any] = msgspec.to_builtins(content)
    return made
