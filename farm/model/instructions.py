"""What the machine code of a wheel asks of a processor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from farm.model.build import Limits
    from farm.model.image import Image
    from farm.model.target import Target

X86Level = Literal["v1", "v2", "v3", "v4"]
"""The micro-architecture levels of the x86-64 psABI; manylinux_x86_64 promises no more than v1 (PEP 513, PEP 600)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One ELF file of a wheel.

    `functions` counts functions by the set of kinds of instructions in them: levels ("v2", "v3", "v4") on x86_64, extensions
    ("lse", "sve", "crc", "crypto", "later") on aarch64, and "plain", an encoding that a compiler which was allowed more would
    not have chosen. `entries` are functions that run as soon as the file is loaded, with what is in them beyond plain. `asks`
    tells that the file finds out what the processor can do, or leaves that to the loader. `needed` is the level that the file
    itself demands (GNU_PROPERTY_X86_ISA_1_NEEDED).
    """

    path: str
    machine: str
    functions: tuple[tuple[frozenset[str], int], ...] = ()
    entries: tuple[tuple[str, frozenset[str]], ...] = ()
    asks: bool = False
    needed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRequest:
    """A wheel whose code is to be looked through in a container of `image`, which has objdump and `target`'s Python."""

    wheel: Path
    image: Image
    target: Target
    log: Path
    attempt: str
    limits: Limits
