"""Child processes: every program that the farm starts is started here, in its own session, and ends with its caller.

The one module that imports subprocess. Standard input is closed unless input is given, so that no child waits for a
keyboard; credentials in URLs are taken out of whatever is logged, returned as a message, or raised.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from farm.errors import FarmError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_CREDENTIALS = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<user>[^\s/@'\"<>]+)@", re.IGNORECASE)
_POLL = 0.02
_DRAIN = 3.0
_PARENT_DEATH_SIGNAL = 1


def end_with(parent: int) -> None:
    """Have the system send this process SIGTERM when its parent ends, however that comes about (prctl(2), PR_SET_PDEATHSIG).

    `parent` is the parent's process id, told by itself: it may have ended before this is called. Linux; elsewhere only that is looked at.
    The system means the thread that started this process: it has to live as long as the parent does.
    """
    import ctypes  # noqa: PLC0415 - for few children only

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def redact(text: str) -> str:
    """Return `text` with the credentials of every URL replaced by `***`; the bare user of an ssh URL stays."""
    return _CREDENTIALS.sub(_without_credentials, text)


def _without_credentials(match: re.Match[str]) -> str:
    if "ssh" in match["scheme"].lower() and ":" not in match["user"]:
        return match[0]
    return f"{match['scheme']}***@"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run. `env` None inherits ours; `timeout` is in seconds, None for no limit.

    With `log` (appended to) or `on_line` the child's stderr goes into its stdout, in the order in which it was written.
    `cancel` set by another thread ends the child as a time-out does: SIGTERM to its process group, SIGKILL after `grace` seconds.
    """

    argv: tuple[str, ...]
    cwd: Path | None = None
    env: Mapping[str, str] | None = None
    timeout: float | None = None
    input: bytes | None = None
    log: Path | None = None
    on_line: Callable[[str], None] | None = None
    cancel: threading.Event | None = None
    grace: float = 3.0

    @property
    def streamed(self) -> bool:
        return self.log is not None or self.on_line is not None

    def __str__(self) -> str:
        return redact(" ".join(self.argv))


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """How it went. `returncode` is negative for a signal; `stdout` and `stderr` are text as the child wrote it, unredacted."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float
    timed_out: bool = False
    cancelled: bool = False

    @property
    def ok(self) -> bool:
        return self.returncode == 0 and not self.timed_out and not self.cancelled


def attached(argv: tuple[str, ...], env: Mapping[str, str]) -> int:
    """Run a program on this process's own terminal and return its exit code. FarmError when it is not there.

    It stays in our session: it is the one that the user types to, Ctrl-C included.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with subprocess.Popen(argv, env=dict(env)) as child:
            return child.wait()
    except FileNotFoundError as error:
        raise FarmError(f"expected the program {argv[0]} on PATH, found none", solution=f"install {argv[0]}") from error
    finally:
        signal.signal(signal.SIGINT, before)


def run(command: Command) -> Completed:
    """Run a program to its end, or to its time limit, and return how it went; a non-zero exit is no error here.

    When it ends, is cancelled or runs out of time, everything left in its process group is killed, also when this thread
    is interrupted. FarmError when the program cannot be started.
    """
    started = time.monotonic()
    child = _start(command)
    pipes = [_Pipe(child.stdout, command), _Pipe(child.stderr, command)]
    feeder = threading.Thread(target=_feed, args=(child, command.input), daemon=True)
    threads = [*(threading.Thread(target=pipe.drain, daemon=True) for pipe in pipes), feeder]
    try:
        for thread in threads:
            thread.start()
        ended = _wait(child.pid, command, started)
    finally:
        # Children that outlived the program would keep our pipes open, and run on unseen.
        _kill_group(child.pid)
        child.wait()
        for thread in threads:
            thread.join(_DRAIN)
    for pipe in pipes:
        if pipe.failure is not None:
            raise pipe.failure
    return Completed(
        argv=command.argv,
        returncode=child.returncode,
        stdout=pipes[0].text(),
        stderr=pipes[1].text(),
        seconds=time.monotonic() - started,
        timed_out=ended == "timed out",
        cancelled=ended == "cancelled",
    )


def _start(command: Command) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env=None if command.env is None else dict(command.env),
            stdin=subprocess.DEVNULL if command.input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if command.streamed else subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        if command.cwd is not None and not command.cwd.is_dir():
            reason, solution = f"expected a folder at {command.cwd} to run {command.argv[0]} in", "create it"
        else:
            reason = f"cannot start {command.argv[0]}: {error.strerror or error}"
            solution = f"install {command.argv[0]}, or put it on PATH"
        raise FarmError(reason, solution=solution) from error


def _feed(child: subprocess.Popen[bytes], data: bytes | None) -> None:
    if child.stdin is None:
        return
    # The child is free not to read its input; closing writes what is left, and so may fail as well.
    with suppress(OSError):
        child.stdin.write(data or b"")
    with suppress(OSError):
        child.stdin.close()


def _wait(pid: int, command: Command, started: float) -> str:
    """Wait for the child without reaping it: until it is reaped its process group's number cannot be given to another."""
    while not _exited(pid):
        late = command.timeout is not None and time.monotonic() - started > command.timeout
        cancelled = command.cancel is not None and command.cancel.is_set()
        if late or cancelled:
            _end_group(pid, command.grace)
            return "timed out" if late else "cancelled"
        time.sleep(_POLL if time.monotonic() - started > 0.2 else 0.002)
    return "exited"


def _exited(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end_group(pid: int, grace: float) -> None:
    """Ask the group to end, so that `docker run` can stop its container, then kill it."""
    _signal(pid, signal.SIGTERM)
    limit = time.monotonic() + grace
    while time.monotonic() < limit and not _exited(pid):
        time.sleep(_POLL)
    _kill_group(pid)


def _kill_group(pid: int) -> None:
    _signal(pid, signal.SIGKILL)


def _signal(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        # Nobody is left, or (macOS) only the unreaped leader.
        return


class _Pipe:
    """Reads one of the child's outputs to its end, keeping it or passing it on line by line."""

    def __init__(self, stream: IO[bytes] | None, command: Command) -> None:
        self._stream = stream
        self._command = command
        self._kept: list[bytes] = []
        self.failure: BaseException | None = None

    def text(self) -> str:
        return b"".join(self._kept).decode("utf-8", "replace")

    def drain(self) -> None:
        if self._stream is None:
            return
        with self._stream:
            try:
                self._pass_on() if self._command.streamed else self._kept.append(self._stream.read())
            except BaseException as error:  # noqa: BLE001 - handed to the thread that waits, which raises it
                self.failure = error
                # Reading on keeps the child from blocking on a full pipe that nobody empties.
                self._stream.read()

    def _pass_on(self) -> None:
        log = self._command.log.open("ab") if self._command.log else None
        try:
            for line in self._stream or ():
                clean = redact(line.decode("utf-8", "replace"))
                self._kept.append(line)
                if log is not None:
                    log.write(clean.encode())
                    log.flush()
                if self._command.on_line is not None:
                    self._command.on_line(clean.rstrip("\r\n"))
        finally:
            if log is not None:
                log.close()
