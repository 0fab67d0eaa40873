"""Tokens: who may read the index, upload to it, or change it."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from datetime import datetime

    from farm.model.package import NormalizedName

Scope = Literal["read", "upload", "build", "admin"]

SCOPES: tuple[Scope, ...] = get_args(Scope)
"""Each includes "read", "admin" all others. "build" is for the API: what the farm is to watch."""

PREFIX = "farm_"
"""What every token begins with, so that scanners find one that leaked: `farm_[0-9A-Za-z]{49}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as the farm knows it: `hash` is the sha256 of the secret in hex, which is nowhere kept.

    `projects` are patterns (fnmatch) of the normalised names it may upload; empty for all. `expires` is None for never.
    """

    name: str
    hash: str
    scope: Scope
    projects: tuple[str, ...]
    created: datetime
    expires: datetime | None

    def grants(self, scope: Scope) -> bool:
        return scope in {"read", self.scope} or self.scope == "admin"

    def covers(self, project: NormalizedName) -> bool:
        return not self.projects or any(fnmatchcase(project, pattern) for pattern in self.projects)

    def expired(self, now: datetime) -> bool:
        return self.expires is not None and self.expires <= now
