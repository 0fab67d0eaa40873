"""Campaigns in the catalogue, and what all watched sets want taken together. Each method is one transaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion
from sqlalchemy import func, insert, select, update

from farm.adapters import tables
from farm.errors import UsageError
from farm.model.backfill import Use, Want
from farm.model.campaign import VERSIONS, Campaign, Wish
from farm.model.package import Version

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.engine import RowMapping

    from farm.adapters.database import Database

_TABLE, _WANTED = tables.campaigns, tables.wanted
_SOME = 500


class Campaigns:
    """StoreError when the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, campaign: Campaign) -> None:
        """Write a new one down. UsageError when its name is taken."""
        options = json.dumps({"versions": campaign.versions})
        with self._database.write() as connection:
            if connection.execute(select(_TABLE.c.name).where(_TABLE.c.name == campaign.name)).first() is not None:
                raise UsageError(
                    f"{campaign.name}: expected a name that is free, found a campaign that has it",
                    solution="choose another one with --name",
                )
            row = {"name": campaign.name, "target": campaign.target, "created": campaign.created, "closed": None, "options": options}
            connection.execute(insert(_TABLE).values(row))

    def all(self, *, only_open: bool = False) -> tuple[Campaign, ...]:
        """Return the campaigns, oldest first."""
        query = select(_TABLE).order_by(_TABLE.c.created, _TABLE.c.name)
        with self._database.read() as connection:
            rows = connection.execute(query.where(_TABLE.c.closed.is_(None)) if only_open else query).mappings().all()
        return tuple(map(_campaign, rows))

    def close(self, name: str, now: datetime) -> None:
        """Close a campaign; one that is closed keeps its day."""
        with self._database.write() as connection:
            connection.execute(update(_TABLE).where(_TABLE.c.name == name, _TABLE.c.closed.is_(None)).values(closed=now))

    def built(self) -> set[tuple[str, str]]:
        """Return (name, version) of all that was built for the targets of open campaigns."""
        attempts = tables.attempts
        targets = select(_TABLE.c.target).where(_TABLE.c.closed.is_(None))
        query = select(attempts.c.name, attempts.c.version).where(attempts.c.target.in_(targets), attempts.c.state == "published")
        with self._database.read() as connection:
            return {(row.name, row.version) for row in connection.execute(query.distinct())}

    def wishes(self) -> tuple[Wish, ...]:
        """Return every project that some set wants, by name, whatever it is wanted for."""
        per_version = select(_WANTED.c.name, _WANTED.c.version).distinct().order_by(_WANTED.c.name)
        per_project = select(_WANTED.c.name, func.count(_WANTED.c.watch.distinct())).group_by(_WANTED.c.name)
        versions: dict[str, list[Version]] = {}
        with self._database.read() as connection:
            for name, version in connection.execute(per_version):
                parsed = _version(version)
                if parsed is not None:
                    versions.setdefault(name, []).append(parsed)
            sets = {name: count for name, count in connection.execute(per_project)}  # noqa: C416 - a row is no pair to mypy
        return tuple(
            Wish(name=canonicalize_name(name), versions=tuple(sorted(found, reverse=True)), sets=sets.get(name, 0))
            for name, found in versions.items()
        )

    def wants(self) -> tuple[Want, ...]:
        """Return every version that some set wants, by name and version, with the targets that it is wanted for."""
        columns = (_WANTED.c.name, _WANTED.c.version, _WANTED.c.target, _WANTED.c.watch)
        found: dict[tuple[str, str], tuple[set[str], set[str]]] = {}
        with self._database.read() as connection:
            for name, version, target, watch in connection.execute(select(*columns).order_by(_WANTED.c.name, _WANTED.c.version)):
                watches, targets = found.setdefault((name, version), (set(), set()))
                watches.add(watch)
                targets.add(target)
        return tuple(
            Want(name=canonicalize_name(name), version=parsed, sets=len(watches), targets=tuple(sorted(targets)))
            for (name, version), (watches, targets) in found.items()
            if (parsed := _version(version)) is not None
        )

    def uses(self, names: Sequence[str], since: str) -> dict[tuple[str, str], Use]:
        """Return how versions of these projects were used since a day (YYYY-MM-DD), by (name, version)."""
        misses, downloads, wheels = tables.misses, tables.downloads, tables.wheels
        missed = select(misses.c.name, misses.c.version, func.sum(misses.c.count)).where(misses.c.day >= since)
        fetched = (
            select(wheels.c.name, wheels.c.version, func.sum(downloads.c.count))
            .join(wheels, wheels.c.filename == downloads.c.filename).where(downloads.c.day >= since)
        )  # fmt: skip
        found: dict[tuple[str, str], list[int]] = {}
        with self._database.read() as connection:
            for start in range(0, len(names), _SOME):
                some = names[start : start + _SOME]
                for place, (query, table) in enumerate(((missed, misses), (fetched, wheels))):
                    chosen = query.where(table.c.name.in_(some)).group_by(table.c.name, table.c.version)
                    for name, version, count in connection.execute(chosen):
                        found.setdefault((name, version), [0, 0])[place] = int(count)
        return {key: Use(misses=missed, downloads=fetched) for key, (missed, fetched) in found.items()}


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _campaign(row: RowMapping) -> Campaign:
    said = json.loads(row["options"]).get("versions")
    versions = next((known for known in VERSIONS if known == said), VERSIONS[0])
    return Campaign(name=row["name"], target=row["target"], versions=versions, created=row["created"], closed=row["closed"])
