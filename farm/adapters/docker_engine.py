"""The Docker engine: connecting to it, and building an image with its log kept.

The SDK is imported inside functions: that costs 0.2 s, which a run with nothing to do must not pay.
"""

from __future__ import annotations

import re
import socket
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from farm.errors import EngineError, ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from docker import DockerClient

_DEFAULT_HOST = "unix:///var/run/docker.sock"
_START = "start it with images/setup-engine or `systemctl start docker`, or set DOCKER_HOST to one that runs"
# A build step such as a large apt-get says nothing for minutes; the engine is only given up after this long.
_QUIET_SECONDS = 1800
_KNOCK_SECONDS = 10
_TAIL = 25
# The engine repeats a whole RUN instruction in one line.
_WIDTH = 200
_LAYER = re.compile(r" ---> ([0-9a-f]{12,})\s*$")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildRequest:
    """One image to build: `context` is a tar archive with its Dockerfile, `platform` an OCI platform (`linux/amd64`)."""

    context: BinaryIO
    platform: str
    log: Path
    arguments: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    tag: str | None = None


def connect(docker_host: str | None, *, timeout: int = _QUIET_SECONDS) -> DockerClient:
    """Return a client of the engine at `docker_host` (as DOCKER_HOST has it), by default the local socket.

    EngineError when nothing answers there. `timeout` is in seconds and counts silence, not the whole of a call.
    """
    import docker  # noqa: PLC0415 - see the module's docstring
    from docker.errors import DockerException  # noqa: PLC0415
    from requests.exceptions import RequestException  # noqa: PLC0415

    host = docker_host or _DEFAULT_HOST
    try:
        _knock(host)
        client = docker.DockerClient(base_url=host, timeout=timeout)
    except (DockerException, RequestException, OSError) as error:
        raise EngineError(
            f"expected a Docker engine at {host}, found: {_cause(error)}",
            solution=_START,
        ) from error
    return client


def is_local(docker_host: str | None) -> bool:
    """Tell whether the engine at `docker_host` is behind a socket of this machine, and so on its kernel."""
    return (docker_host or _DEFAULT_HOST).startswith("unix://")


def _knock(host: str) -> None:
    """Connect once to a local socket. Where that fails the SDK would leave a socket open behind its own error."""
    if host.startswith("unix://"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_KNOCK_SECONDS)
            probe.connect(host.removeprefix("unix://"))


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn what the SDK raises while `doing` something into EngineError."""
    from docker.errors import DockerException  # noqa: PLC0415
    from requests.exceptions import RequestException  # noqa: PLC0415

    try:
        yield
    except (DockerException, RequestException) as error:
        raise EngineError(f"the Docker engine failed while {doing}: {_cause(error)}", solution=_START) from error


def build(client: DockerClient, request: BuildRequest, say: Callable[[str], None]) -> str:
    """Build an image and return its ID. Each step's line goes to `say`, everything to the log.

    The tag is set by the engine as the last thing, so an interrupted build leaves none. ImageError when a step fails,
    with the last lines and the log's path; EngineError when the engine itself does.
    """
    lines: list[str] = []
    digest = layer = ""
    with translated("building an image"), request.log.open("a", encoding="utf-8") as log:
        for event in _events(client, request):
            text = str(event.get("stream") or event.get("status") or event.get("error") or "")
            log.write(text)
            lines = [*lines, *_readable(text)][-_TAIL:]
            if text.startswith("Step "):
                say(next(_readable(text)))
            if step := _LAYER.match(text):
                layer = step[1]
            if "error" in event:
                _discard(client, layer)
                raise _failed(lines, request.log)
            digest = str(event.get("aux", {}).get("ID", digest))
    if not digest:
        raise _failed(lines, request.log)
    return digest


def _events(client: DockerClient, request: BuildRequest) -> Iterator[dict[str, Any]]:
    stream: Iterator[dict[str, Any]] = client.api.build(
        fileobj=request.context,
        custom_context=True,
        decode=True,
        rm=True,
        forcerm=True,
        platform=request.platform,
        buildargs=dict(request.arguments),
        labels=dict(request.labels),
        tag=request.tag,
    )
    return stream


def _discard(client: DockerClient, layer: str) -> None:
    """Remove what a failed build got done: nothing names it, so nobody else would. Never the base, which has a tag."""
    from docker.errors import APIError, ImageNotFound  # noqa: PLC0415

    with suppress(ImageNotFound, APIError):
        if layer and not client.images.get(layer).tags:
            client.images.remove(layer)


def _readable(text: str) -> Iterator[str]:
    for line in _COLOUR.sub("", text).splitlines():
        if line.strip():
            yield line if len(line) <= _WIDTH else f"{line[:_WIDTH]} ..."


def _failed(lines: list[str], log: Path) -> ImageError:
    tail = "\n".join(lines)
    return ImageError(
        f"an image could not be built; its last lines were:\n{tail}",
        solution=f"the whole log is {log}; if packages could not be downloaded, check the network and the site's proxies",
    )


def _cause(error: BaseException) -> str:
    """Return the innermost operating system error's own words: the SDK wraps it four times and prints all of them."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror.lower()
        seen = seen.__cause__ or seen.__context__
    return str(error)
