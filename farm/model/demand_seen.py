"""Demand as the server sees it: who asks for pages, who fetches an sdist to compile it, who takes a wheel of the farm's.

Nothing here names a machine or a person: a client is a program, a Python and a kind of system, as its user agent says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from farm.model.package import NormalizedName

OTHER = "other"
"""The program, and the label, of who is no installer that is known, or says too much that was never seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """What a user agent tells of who installs; "" for what it does not tell. No part is longer than 32 characters.

    `program` is `pip`, `uv`, `poetry`, ... or `other`; `python` has two or three numbers; `implementation` is `CPython` or `PyPy`;
    `libc` is `glibc` or `musl`; `arch` is as that system spells it (`x86_64`, `AMD64`, `arm64`); `system` is `Linux`, `Darwin` or
    `Windows`; `release` is that of macOS or of the distribution `distro`. `installs` is False for one that says that it only
    resolves, as `uv lock`: it reads an sdist's metadata and compiles nothing.
    """

    program: str = OTHER
    version: str = ""
    python: str = ""
    implementation: str = ""
    libc: str = ""
    libc_version: str = ""
    arch: str = ""
    system: str = ""
    distro: str = ""
    release: str = ""
    installs: bool = True

    def __str__(self) -> str:
        return f"{self.program} {self.version}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class MissKey:
    """An sdist that was fetched to be compiled: of which version, for which target ("": not told), by which client (`pip 25.1`)."""

    name: NormalizedName
    version: str
    target: str
    client: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was counted on one day (UTC): misses, requests for pages by (target, client), downloads of the farm's own wheels by name."""

    misses: Mapping[MissKey, int] = field(default_factory=dict)
    clients: Mapping[tuple[str, str], int] = field(default_factory=dict)
    downloads: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.misses or self.clients or self.downloads)


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """What was compiled elsewhere for want of a wheel, over some days. `clients` has the programs, the most frequent first.

    `target` is "" where the client does not tell it, as old pips and Poetry.
    """

    name: NormalizedName
    version: str
    target: str
    count: int
    last: datetime
    clients: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """How often a file of the farm's own was fetched over some days: each time a client was spared a build."""

    filename: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits:
    """Requests for pages over some days, by what the client is and by program."""

    target: str
    client: str
    count: int
