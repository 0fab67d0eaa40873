"""What to do about a package for which no wheel could be had: which newer release has one for the target. Reads the index only."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from farm.errors import UpstreamError
from farm.model.package import tags_of
from farm.model.releases import nearest_with_wheel, newer_releases

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from farm.model.package import IndexFile, Project
    from farm.model.report import Row
    from farm.model.target import Target
    from farm.ports import Index

_LOST = frozenset({"failed", "timed-out", "refused", "impossible"})
_CPYTHON = re.compile(r"^cp3(?P<minor>\d+)$")


def advised(rows: Iterable[Row], targets: Mapping[str, Target], index: Index) -> tuple[Row, ...]:
    """Return the rows, those that are lost with `advice` and, where a newer release has a wheel, with `upgrade`.

    What comes from a path, URL or repository has no releases. An index that does not answer gives no advice, and no error.
    """
    return tuple(_advised(row, targets.get(row.target), index) for row in rows)


def _advised(row: Row, target: Target | None, index: Index) -> Row:
    if row.state not in _LOST or row.url or target is None:
        return row
    try:
        version = Version(row.version)
        page = index.project(canonicalize_name(row.name, validate=True))
    except (InvalidVersion, InvalidName, UpstreamError):
        return row
    return row if page is None else _of(row, version, target, page)


def _of(row: Row, version: Version, target: Target, page: Project) -> Row:
    best = nearest_with_wheel(page, version, target)
    if best is not None:
        text = f"{best} is the nearest newer release with a wheel for {target}{_ends(page.of(version))}"
        return replace(row, upgrade=str(best), advice=text)
    newer = newer_releases(page, version)
    if newer:
        last = newer[-1]
        text = f"no newer release has a wheel for {target} either; the newest is {last}{_dated(page.of(last))}, which may build"
        return replace(row, advice=text)
    dated = _dated(page.of(version))
    return replace(row, advice=f"{version}{dated} is the newest release, so that no other is known to support {target}")


def _ends(files: Iterable[IndexFile]) -> str:
    """The last CPython of a release's own wheels: the age of a release in the words of its makers."""
    minors = {
        int(match["minor"])
        for file in files if file.is_wheel
        for tag in tags_of(file.filename) if (match := _CPYTHON.match(tag.interpreter))
    }  # fmt: skip
    return f"; the wheels of this one end at CPython 3.{max(minors)}" if minors else ""


def _dated(files: Iterable[IndexFile]) -> str:
    days = [file.upload_time for file in files if file.upload_time is not None]
    return f" of {min(days):%Y-%m-%d}" if days else ""
