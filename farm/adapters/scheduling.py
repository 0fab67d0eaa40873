"""cron's table, through `crontab`, and systemd's units, through `systemctl`: programs that are looked up on the given PATH."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from farm.adapters.durable import make_dirs, replace_file, storing
from farm.adapters.process import Command, run
from farm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_TIMEOUT = 60.0


def program(name: str, env: Mapping[str, str]) -> str | None:
    """Return where a program is, None where it is not."""
    return shutil.which(name, path=env.get("PATH"))


class Crontab:
    """The table of the user that runs the farm."""

    def __init__(self, path: str, env: Mapping[str, str]) -> None:
        self._path = path
        self._env = env

    def read(self) -> str:
        """Return the table, "" where the user has none."""
        done = run(Command(argv=(self._path, "-l"), env=self._env, timeout=_TIMEOUT))
        if done.ok:
            if "\ufffd" in done.stdout:
                raise UsageError(
                    "cron's table: expected UTF-8, found other bytes, which would be lost when it is written back",
                    solution="save it as UTF-8 (crontab -e), or add by hand the line that --dry-run shows",
                )
            return done.stdout
        # POSIX leaves the code for an absent table open; every cron says so in these words.
        if "no crontab" in done.stderr.lower():
            return ""
        said = " ".join(done.stderr.split())
        raise UsageError(f"crontab -l failed: {said}", solution="see whether cron lets this user have a table (cron.allow)")

    def write(self, table: str) -> None:
        done = run(Command(argv=(self._path, "-"), env=self._env, timeout=_TIMEOUT, input=table.encode()))
        if not done.ok:
            raise UsageError(f"crontab refused the table: {' '.join(done.stderr.split())}", solution="nothing was changed")


class Units:
    """The units in one folder: of the machine, or of a user (`scope` is then "--user")."""

    def __init__(self, folder: Path, systemctl: str, env: Mapping[str, str], *, system: bool) -> None:
        self._folder = folder
        self._argv = (systemctl, "--system" if system else "--user")
        self._env = env

    def mark(self, unit: str) -> str | None:
        """Return the first line of a unit's file, None where there is none."""
        try:
            return (self._folder / unit).read_text(encoding="utf-8").partition("\n")[0]
        except FileNotFoundError:
            return None

    def write(self, units: Mapping[str, str], start: str) -> None:
        """Write units and have systemd start one of them, now and after each boot."""
        make_dirs(self._folder)
        for name, text in units.items():
            replace_file(self._folder / name, text.encode())
            (self._folder / name).chmod(0o644)
        self._tell("daemon-reload")
        self._tell("enable", "--now", start)

    def remove(self, units: Sequence[str], stop: str) -> None:
        self._tell("disable", "--now", stop)
        for name in units:
            with storing(self._folder / name):
                (self._folder / name).unlink(missing_ok=True)
        self._tell("daemon-reload")

    def _tell(self, *words: str) -> None:
        done = run(Command(argv=(*self._argv, *words), env=self._env, timeout=_TIMEOUT))
        if not done.ok:
            command = " ".join((*self._argv, *words))
            raise UsageError(
                f"{command} failed: {' '.join(done.stderr.split()) or f'exit code {done.returncode}'}",
                solution=f"the units are in {self._folder}: see why, then run the command by hand, and what follows it",
            )
