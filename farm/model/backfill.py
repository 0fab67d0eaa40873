"""Gaps that will stay gaps: wanted versions whose release is too old for its makers to add wheels to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from farm.model.package import NormalizedName, Version

CLOSED_AFTER_DAYS = 14
"""PyPI's rule since 2026-07-08 (warehouse, pull request 19727): no new files for a release whose first one is older than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """A version that watched sets pin: by how many, and for which targets (names)."""

    name: NormalizedName
    version: Version
    sets: int
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How a version was used lately: sdists of it that clients fetched to compile them, downloads of the farm's wheels of it."""

    misses: int = 0
    downloads: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LastingGap:
    """A version without a wheel for a target, and upstream can add none any more: `released` is when its first file came.

    `buildable`: there is an sdist that may be built; else `reason` says why not. `upgrade` is the nearest newer release that has a wheel.
    `expected_s` is what building it is expected to take by past builds, None without any. `cause` is why the last build of it failed.
    """

    name: NormalizedName
    version: Version
    target: str
    released: datetime
    sets: int
    use: Use
    buildable: bool
    reason: str
    upgrade: Version | None = None
    expected_s: float | None = None
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """The lasting gaps, the most used first. `young` gaps may still be closed upstream; of `undated` ones the index tells no time.

    `unknown` are projects of which the index did not answer, `served` versions without an upstream wheel that the farm has one for.
    """

    gaps: tuple[LastingGap, ...] = ()
    young: int = 0
    undated: int = 0
    served: int = 0
    unknown: tuple[NormalizedName, ...] = ()
