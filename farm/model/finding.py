"""What `farm doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    `fix` says what to do, `why` what comes of leaving it; both empty when all is well. A "warning" does not stop a build.
    """

    subject: str
    state: Literal["ok", "warning", "fault"]
    found: str
    fix: str = ""
    why: str = ""
