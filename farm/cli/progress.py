"""Talk while building: a live table on a terminal, plain lines elsewhere. Everything goes to stderr."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Self, TextIO

from farm.cli import render
from farm.cli.json_log import JsonProgress, JsonStderr

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from rich.console import Console
    from rich.table import Table

    from farm.ports import Progress

# What the stages say last of a job.
_ENDS = ("published", "failed", "metadata")


@contextmanager
def make_progress(stream: TextIO, *, verbose: bool) -> Iterator[Progress]:
    """Yield the progress that suits the stream: live on a terminal unless `verbose`, which wants every line."""
    if isinstance(stream, JsonStderr):
        yield JsonProgress(stream, verbose=verbose)
        return
    if verbose or not stream.isatty():
        yield PlainProgress(verbose=verbose)
        return
    from rich.console import Console  # noqa: PLC0415 - 60 ms, only for a terminal
    from rich.live import Live  # noqa: PLC0415 - the same

    console = Console(file=stream)
    live = LiveProgress(console)
    with Live(get_renderable=live.table, console=console, refresh_per_second=4, transient=True):
        yield live


class Talk:
    """`ports.Progress` that starts talking at the first word, so that a run with nothing to say pays for nothing."""

    def __init__(self, stream: TextIO, *, verbose: bool) -> None:
        self._stream = stream
        self._verbose = verbose
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._voice: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def _speaking(self) -> Progress:
        with self._lock:
            if self._voice is None:
                self._voice = self._stack.enter_context(make_progress(self._stream, verbose=self._verbose))
            return self._voice

    def say(self, subject: str, text: str, attempt: str = "") -> None:
        self._speaking().say(subject, text, attempt)

    def output(self, subject: str, line: str, attempt: str = "") -> None:
        self._speaking().output(subject, line, attempt)


class PlainProgress:
    """A line for each step; with `verbose` also the builds' own output."""

    def __init__(self, *, verbose: bool) -> None:
        self._verbose = verbose
        self._started = time.monotonic()

    def say(self, subject: str, text: str, attempt: str = "") -> None:  # noqa: ARG002 - for machines
        render.err(f"[{time.monotonic() - self._started:7.1f} s] {subject}: {text}")

    def output(self, subject: str, line: str, attempt: str = "") -> None:  # noqa: ARG002 - for machines
        if self._verbose:
            render.err(f"{subject} | {line}")


class LiveProgress:
    """What runs now, for how long, with the last line of its output; what ended scrolls away above."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._jobs: dict[str, tuple[float, str, str]] = {}

    def say(self, subject: str, text: str, attempt: str = "") -> None:  # noqa: ARG002 - for machines
        with self._lock:
            started, _, last = self._jobs.get(subject, (time.monotonic(), "", ""))
            if text.startswith(_ENDS):
                self._jobs.pop(subject, None)
                self._console.print(f"{subject}: {text} ({time.monotonic() - started:.1f} s)", highlight=False, markup=False)
            else:
                self._jobs[subject] = (started, text, last)

    def output(self, subject: str, line: str, attempt: str = "") -> None:  # noqa: ARG002 - for machines
        with self._lock:
            if subject in self._jobs and line.strip():
                started, text, _ = self._jobs[subject]
                self._jobs[subject] = (started, text, line.strip())

    def table(self) -> Table:
        """Return the live part, drawn four times a second."""
        from rich.table import Table  # noqa: PLC0415 - only for a terminal
        from rich.text import Text  # noqa: PLC0415 - the same

        table = Table.grid(padding=(0, 2))
        with self._lock:
            for subject, (started, text, last) in self._jobs.items():
                spent = f"{time.monotonic() - started:.0f} s"
                table.add_row(Text(subject), Text(text), Text(spent), Text(last[:100], style="dim", no_wrap=True))
        return table
