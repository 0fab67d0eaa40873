"""`--log-format json`: whatever goes to stderr becomes a JSON object a line, whoever writes it. stdout stays data.

Standard error itself is replaced, as not everything that writes there is ours: click, warnings, uvicorn, a traceback. What is known of a
message beyond its text comes by `emit`; any other text becomes one line's message when it is flushed.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from threading import local
from typing import TYPE_CHECKING

from farm.model.log_line import Level, LogLine, job_fields

if TYPE_CHECKING:
    from typing import TextIO

Value = str | int | float | bool | None

# How messages to people begin, and what that says.
_OPENINGS: tuple[tuple[str, Level, str], ...] = (
    ("error: ", "error", "error"),
    ("Error: ", "error", "usage"),
    ("Usage: ", "error", "usage"),
    ("warning: ", "warning", "warning"),
    ("note: ", "info", "note"),
    ("Traceback ", "error", "traceback"),
    # Of a thread, or of a finalizer.
    ("Exception in ", "error", "traceback"),
    ("Exception ignored in", "error", "traceback"),
)
_LEVELS: dict[int, Level] = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warning"}
# The words that progress begins with where a job goes on to its next stage.
_STAGES = frozenset({"fetching", "building", "proving", "published", "failed"})
_ACCESS = ("client", "method", "path", "http_version", "status")


class JsonStderr(io.TextIOBase):
    """A text stream that writes JSON lines to another one. Safe for threads: each has its own unfinished text."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._unfinished = local()
        self._always: dict[str, Value] = {}

    @property
    def plain(self) -> TextIO:
        return self._stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def bind(self, **fields: Value) -> None:
        """Add these fields to every line from here on."""
        self._always |= fields

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._unfinished.text = getattr(self._unfinished, "text", "") + text
        return len(text)

    def flush(self) -> None:
        text, self._unfinished.text = getattr(self._unfinished, "text", ""), ""
        if text.strip():
            self._say(text.strip("\n"))
        else:
            self._stream.flush()

    def _say(self, text: str) -> None:
        for opening, level, event in _OPENINGS:
            if text.startswith(opening):
                message, _, hint = (text if event in {"usage", "traceback"} else text.removeprefix(opening)).partition("\nhint: ")
                self.emit(level, event, message, hint=hint)
                return
        self.emit("info", "message", text)

    def emit(self, level: Level, event: str, message: str, logger: str = "farm", **fields: Value) -> None:
        """Write one line."""
        self._put(str(self._line(level, event, message, logger, fields)))

    def alert(self, message: str) -> None:
        """As `emit`, past Python's buffers: for signal handlers."""
        line = self._line("warning", "signal", message.strip(), "farm", {})
        with suppress(OSError):
            os.write(self.fileno(), f"{line}\n".encode())

    def _line(self, level: Level, event: str, message: str, logger: str, fields: dict[str, Value]) -> LogLine:
        return LogLine(
            time=datetime.now(UTC), level=level, logger=logger, event=event, message=message, fields={**self._always, **fields}
        )

    def _put(self, line: str) -> None:
        # In one piece: another thread's line must not come between.
        self._stream.write(f"{line}\n")
        self._stream.flush()


class JsonHandler(logging.Handler):
    """Log records of the farm's and of its libraries, access to the index among them."""

    def __init__(self, stream: JsonStderr) -> None:
        super().__init__()
        self._stream_of_lines = stream

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Value] = {}
        event = "log"
        if record.name == "uvicorn.access" and isinstance(record.args, tuple) and len(record.args) == len(_ACCESS):
            event = "access"
            fields = {name: value if isinstance(value, int) else str(value) for name, value in zip(_ACCESS, record.args, strict=True)}
        if record.exc_info:
            fields["traceback"] = logging.Formatter().formatException(record.exc_info)
        level = _LEVELS.get(record.levelno, "error" if record.levelno > logging.WARNING else "info")
        try:
            self._stream_of_lines.emit(level, event, record.getMessage(), record.name, **fields)
        except Exception:  # noqa: BLE001 - a log that cannot be written is no reason to fail; logging's own way
            self.handleError(record)


class JsonProgress:
    """`ports.Progress` as JSON lines: `stage` is there where a job comes to one; `elapsed_s` counts since the talk began."""

    def __init__(self, stream: JsonStderr, *, verbose: bool) -> None:
        self._stream = stream
        self._verbose = verbose
        self._started = time.monotonic()
        self._since: dict[str, float] = {}

    def say(self, subject: str, text: str, attempt: str = "") -> None:
        now = time.monotonic()
        since = self._since.setdefault(subject, now)
        stage = text.split(":", 1)[0].split(" ", 1)[0]
        self._stream.emit(
            "warning" if stage == "failed" else "info", "progress", text, **job_fields(subject), attempt=attempt,
            stage=stage if stage in _STAGES else None, seconds=round(now - since, 3), elapsed_s=round(now - self._started, 3),
        )  # fmt: skip

    def output(self, subject: str, line: str, attempt: str = "") -> None:
        if self._verbose:
            self._stream.emit("debug", "output", line, **job_fields(subject), attempt=attempt)


def speak_json() -> None:
    """Have this process log as JSON from here on; a second call changes nothing."""
    if isinstance(sys.stderr, JsonStderr):
        return
    stream = JsonStderr(sys.stderr)
    sys.stderr = stream
    logging.getLogger().addHandler(JsonHandler(stream))
    # Python writes them without flushing: they would stand before whatever is said next, in its line.
    logging.captureWarnings(True)


def speak_plainly() -> None:
    """Give standard error back, as it was before `speak_json`."""
    if not isinstance(sys.stderr, JsonStderr):
        return
    stream = sys.stderr
    stream.flush()
    logging.captureWarnings(False)
    sys.stderr = stream.plain
    for handler in logging.getLogger().handlers[:]:
        if isinstance(handler, JsonHandler):
            logging.getLogger().removeHandler(handler)
