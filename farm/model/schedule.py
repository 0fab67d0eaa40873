"""What has a command run every night: a line of cron's table (crontab(5)), or a service and a timer of systemd. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

MARK = "# farm nightly of"
"""Ends the line, and begins the units, that are the farm's own; what follows is the configuration's path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A command for each night at `hour`:`minute`, the machine's own time; `environment` is what it needs that neither of them gives.

    `config` is the absolute path of config.toml, by which the entry is known again. `system` for units of the machine, not of a user.
    """

    argv: tuple[str, ...]
    hour: int
    minute: int
    environment: tuple[tuple[str, str], ...]
    config: str
    system: bool = False

    @property
    def mark(self) -> str:
        return f"{MARK} {self.config}"


def cron_line(entry: Entry) -> str:
    """Return the line. Variables are set for it alone: a line NAME=VALUE would hold for all that follow."""
    words = ["env", *(f"{name}={value}" for name, value in entry.environment), *entry.argv]
    command = shlex.join(words).replace("\n", " ")
    # crontab(5): an unescaped % ends the command.
    return f"{entry.minute} {entry.hour} * * * {command} {entry.mark}".replace("%", "\\%")


def with_line(table: str, entry: Entry) -> str:
    """Return cron's table with the entry's line, in the place of an earlier one of the same configuration."""
    own = entry.mark.replace("%", "\\%")
    lines = _lines(table)
    line = cron_line(entry)
    places = [number for number, text in enumerate(lines) if text.endswith(own)]
    if not places:
        lines.append(line)
    else:
        lines[places[0]] = line
        lines = [text for number, text in enumerate(lines) if number not in places[1:]]
    return "\n".join(lines) + "\n"


def without_line(table: str, mark: str) -> str:
    """Return cron's table without the lines of this mark, byte for byte the same elsewhere."""
    own = mark.replace("%", "\\%")
    kept = [line for line in _lines(table) if not line.endswith(own)]
    return table if len(kept) == len(_lines(table)) else "".join(f"{line}\n" for line in kept)


def _lines(table: str) -> list[str]:
    # Not splitlines: a form feed, or a line separator in a comment, ends no line of cron's.
    return table.removesuffix("\n").split("\n") if table else []


def service(entry: Entry) -> str:
    """Return the unit that runs the command once (systemd.service(5)).

    That a package could not be built (exit code 1) is in the report, and is no failure of the unit. Stopping it is a Ctrl-C: what runs
    may finish.
    """
    order = "Wants=network-online.target\nAfter=network-online.target docker.service\n" if entry.system else ""
    settings = "".join(f"Environment={_quoted(f'{name}={value}')}\n" for name, value in entry.environment)
    command = " ".join(_quoted(word).replace("$", "$$") for word in entry.argv)
    return (
        f"{entry.mark}\n[Unit]\nDescription=farm nightly\n{order}\n"
        f"[Service]\nType=oneshot\nExecStart={command}\n{settings}"
        "SuccessExitStatus=1\nKillMode=mixed\nKillSignal=SIGINT\nTimeoutStopSec=20min\nNice=10\n"
    )


def timer(entry: Entry) -> str:
    """Return the unit that says when (systemd.timer(5)); a night that was missed is made up when the machine is on again."""
    return (
        f"{entry.mark}\n[Unit]\nDescription=farm nightly, every night\n\n"
        f"[Timer]\nOnCalendar=*-*-* {entry.hour:02}:{entry.minute:02}:00\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n"
    )


def _quoted(text: str) -> str:
    # systemd.syntax(7), Quoting; systemd.unit(5), Specifiers.
    plain = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("\n", " ")
    return f'"{plain}"'
