"""What `farm verify` is asked of a wheel file, and what it found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A file as it is here: its name and sha256. `sdist_sha256` is that of the sdist it should be from, "" when nobody asked."""

    filename: str
    sha256: str
    sdist_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a statement is worth for a file.

    `faults` say why it proves nothing; without any, `statement` is what the holder of key `keyid` signed about these very bytes.
    """

    subject: Subject
    faults: tuple[str, ...] = ()
    keyid: str = ""
    statement: Mapping[str, Any] | None = None

    @property
    def ok(self) -> bool:
        return not self.faults
