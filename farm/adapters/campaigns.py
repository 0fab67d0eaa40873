"""Campaigns in the catalogue, and what all watched sets want taken together. Each method is one transaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion
from sqlalchemy import func, insert, select, update

from farm.adapters import tables
from farm.errors import UsageError
from farm.model.campaign import VERSIONS, Campaign, Wish
from farm.model.package import Version

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import RowMapping

    from farm.adapters.database import Database

_TABLE, _WANTED = tables.campaigns, tables.wanted


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

    def wishes(self) -> tuple[Wish, ...]:
        """Return every project that some set wants, by name, whatever it is wanted for."""
        per_version = select(_WANTED.c.name, _WANTED.c.version).distinct().order_by(_WANTED.c.name)
        per_project = select(_WANTED.c.name, func.count(_WANTED.c.watch.distinct())).group_by(_WANTED.c.name)
        versions: dict[str, list[Version]] = {}
        with self._database.read() as connection:
            for name, version in connection.execute(per_version):
                try:
                    versions.setdefault(name, []).append(Version(version))
                except InvalidVersion:
                    continue
            sets = {name: count for name, count in connection.execute(per_project)}  # noqa: C416 - a row is no pair to mypy
        return tuple(
            Wish(name=canonicalize_name(name), versions=tuple(sorted(found, reverse=True)), sets=sets.get(name, 0))
            for name, found in versions.items()
        )


def _campaign(row: RowMapping) -> Campaign:
    said = json.loads(row["options"]).get("versions")
    versions = next((known for known in VERSIONS if known == said), VERSIONS[0])
    return Campaign(name=row["name"], target=row["target"], versions=versions, created=row["created"], closed=row["closed"])
