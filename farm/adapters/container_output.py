"""What a command in a container prints: read off the engine, cut into lines, written into a log that has an end."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Iterator

_LINE = 16 << 10
_LOG = 128 << 20


@contextmanager
def command_output(socket: Any) -> Iterator[Iterator[bytes]]:
    """Yield what a command prints, stdout and stderr as they come. The SDK's own stream would leave the socket open."""
    from docker.utils.socket import frames_iter  # noqa: PLC0415 - see docker_engine

    try:
        yield (data for _, data in frames_iter(socket, tty=False))  # type: ignore[no-untyped-call]
    finally:
        response = getattr(socket, "_response", None)
        if response is not None:
            response.close()
        socket.close()


def lines(stream: Iterable[bytes]) -> Iterator[str]:
    """Yield lines of at most 16 KiB: a build may print gigabytes without a line's end."""
    rest = b""
    for chunk in stream:
        rest += chunk
        *whole, rest = rest.split(b"\n")
        for line in whole:
            yield _text(line)
        if len(rest) > _LINE:
            yield _text(rest)
            rest = b""
    if rest:
        yield _text(rest)


def _text(line: bytes) -> str:
    return line[:_LINE].rstrip(b"\r").decode("utf-8", "replace")


def logged(source: Iterator[str], file: io.BufferedWriter) -> Iterator[str]:
    """Pass lines on and write them down, until the log is as long as a log may be."""
    for line in source:
        if file.tell() > _LOG:
            continue
        file.write(line.encode("utf-8", "replace") + b"\n")
        file.flush()
        if file.tell() > _LOG:
            file.write(b"(the log is cut here: it is longer than 128 MiB)\n")
        yield line
