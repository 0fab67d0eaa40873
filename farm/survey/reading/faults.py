"""What is wrong with a requirements file, told so that a person can put it right: place, found, expected, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from farm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farm.model.demand import Origin

_WINDOW = 100
"""Characters of a line shown around the column: a lock's line with its hashes would wrap and the caret would lie."""

_PEEK = 8192
_ENCODING = "save the file as UTF-8, or name its encoding in its first line: # -*- coding: ENCODING -*-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """A fault within one logical line; `offset` counts characters of its text from 0."""

    offset: int
    found: str
    expected: str
    solution: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault and its place. `line` is that of the physical line with the fault, 0 when the file itself is the fault.

    `excerpt` is that line as it stands in the file: values of variables, which may be secret, are never shown.
    """

    file: str
    line: int
    column: int
    excerpt: str
    found: str
    expected: str
    solution: str
    via: tuple[Origin, ...] = ()

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        lines = [f"{place}: expected {self.expected}, found {self.found}"]
        if self.line:
            lines += [f"    {line}" for line in _pointed(self.excerpt, self.column)]
        lines += [f"    included from {origin}" for origin in reversed(self.via)]
        return "\n".join(lines)


class RefusedError(Exception):
    """Leaves the reading of one entry; the complaint's offset counts from the entry's start."""

    def __init__(self, complaint: Complaint) -> None:
        super().__init__(complaint.found)
        self.complaint = complaint


# Some prose that was given by mistake has a fault in each line, and its own name would scroll away.
_TOLD = 20


class RequirementsError(UsageError):
    """Requirements files that cannot be read as pip reads them; `faults` has all of them, in the order of reading."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        if len(self.faults) == 1:
            super().__init__(str(self.faults[0]), solution=self.faults[0].solution)
            return
        told = [f"{fault}\n    to do: {fault.solution}" for fault in self.faults[:_TOLD]]
        left = len(self.faults) - len(told)
        more = [f"and {left} more: is it a requirements file at all?"] if left else []
        reason = "\n".join([f"{len(self.faults)} faults in the requirements files", *told, *more])
        super().__init__(reason, solution="correct the lines shown; nothing was looked up or built")


def _pointed(text: str, column: int) -> tuple[str, str]:
    """Return the line, cut to a window and with unprintable characters replaced, and the line with the caret."""
    index = column - 1
    start = max(0, index - _WINDOW // 2) if len(text) > _WINDOW else 0
    visible = "".join(char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in text)
    lead = "..." if start else ""
    tail = "..." if start + _WINDOW < len(text) else ""
    # Tabs stay tabs under the line, so that the caret is right at any tab width.
    pad = "".join("\t" if char == "\t" else " " for char in lead + visible[start:index])
    return f"{lead}{visible[start : start + _WINDOW]}{tail}", f"{pad}^"


def unreadable(path: str, error: OSError | UnicodeError, *, expected: str, via: tuple[Origin, ...] = ()) -> Fault:
    """Return the fault of a file that cannot be read at all, or is not in the encoding that it says or should have."""
    found, solution = _why_unreadable(path, error, f" in {via[-1].file}, relative to that file" if via else "")
    return Fault(file=path, line=0, column=0, excerpt="", found=found, expected=expected, solution=solution, via=via)


def _why_unreadable(path: str, error: OSError | UnicodeError, where: str) -> tuple[str, str]:
    if isinstance(error, UnicodeDecodeError):
        content, start = bytes(error.object), error.start
        if b"\0" in content[:_PEEK]:
            return "a binary file", "give the text file that a package manager reads, such as requirements.txt"
        line = content.count(b"\n", 0, start) + 1
        encoding = "UTF-8" if error.encoding == "utf-8" else error.encoding
        return f"byte 0x{content[start]:02x} in line {line}, which is not {encoding}", _ENCODING
    if isinstance(error, UnicodeError):
        return f"nothing readable: {error}", _ENCODING
    if isinstance(error, IsADirectoryError):
        return "a folder", f"name the file in it{where}: {path.rstrip('/')}/requirements.txt, say, or its pyproject.toml or lock"
    return f"nothing readable: {error.strerror or error}", f"correct the path{where}, or create the file"
