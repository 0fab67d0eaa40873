"""Rooms: for each attempt a log that stays and a folder that goes."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from farm.adapters.durable import make_dirs, storing
from farm.model.inputs import Inputs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INPUTS = ".inputs.json"
"""What comes after an attempt's id in the name of the file that says what it was given; it is beside the log."""
QUESTION = "-metadata-"
"""In the id of what is no attempt at a build but a question to a backend: RUN-metadata-JOB."""


class Room:
    """`ports.Room` in `<store>/staging/<attempt>`."""

    def __init__(self, log: Path, base: Path) -> None:
        self.log = log
        self._base = base

    def remember(self, inputs: Inputs) -> None:
        """Keep what the attempt was given, beside its log."""
        with storing(self.log):
            self.log.with_suffix(INPUTS).write_bytes(msgspec.json.encode(inputs))

    def folder(self, name: str) -> Path:
        path = self._base / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def place(self, source: Path, folder: Path, filename: str) -> Path:
        """A hard link costs nothing; where source and room are on different disks, a copy."""
        target = folder / filename
        if not target.exists():
            try:
                os.link(source, target)
            except OSError:
                shutil.copyfile(source, target)
        return target


class Rooms:
    """`ports.Rooms` below the store's root."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def room(self, attempt: str) -> Iterator[Room]:
        log = self._root / self.log_path(attempt)
        base = self._root / "staging" / f"room-{attempt}"
        make_dirs(log.parent)
        with storing(base):
            base.mkdir(parents=True, exist_ok=True)
        try:
            yield Room(log, base)
        finally:
            shutil.rmtree(base, ignore_errors=True)

    def log_path(self, attempt: str) -> str:
        # A folder a day (ids begin with the date), so that years of nights do not end up in one folder.
        return f"logs/{attempt[:8]}/{attempt}.log"

    def log_lines(self, attempt: str) -> Iterator[str]:
        path = self._root / self.log_path(attempt)
        if path.is_file():
            with path.open(encoding="utf-8", errors="replace") as lines:
                yield from (line.rstrip("\n") for line in lines)

    def inputs(self, attempt: str) -> Inputs | None:
        """Return what an attempt was given; None where nobody wrote that down, or it can no longer be read."""
        path = (self._root / self.log_path(attempt)).with_suffix(INPUTS)
        try:
            return msgspec.json.decode(path.read_bytes(), type=Inputs)
        except (OSError, msgspec.DecodeError):
            return None

    def of_questions(self) -> tuple[str, ...]:
        """Return the ids of the questions that have a room now: asked at this moment, or by a process that was killed."""
        found = (self._root / "staging").glob(f"room-*{QUESTION}*")
        return tuple(path.name.removeprefix("room-") for path in found)

    def remove(self, attempt: str) -> None:
        """Remove the folder that a killed process left behind; its log stays."""
        shutil.rmtree(self._root / "staging" / f"room-{attempt}", ignore_errors=True)
