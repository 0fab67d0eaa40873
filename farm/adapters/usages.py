"""What builds took, as the kernel counted it, by attempt: what the next ones of a project are expected to take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from farm.adapters import tables
from farm.model.load import PastUsage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farm.adapters.database import Database
    from farm.model.load import Usage
    from farm.model.package import NormalizedName

_NAMES_AT_ONCE = 500


class Usages:
    """Each method is one transaction; StoreError when the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, attempt: str, usage: Usage) -> None:
        table = tables.usages
        values = {"attempt": attempt, "memory": usage.memory, "cpu_seconds": usage.cpu_seconds, "seconds": usage.seconds}
        with self._database.write(durable=False) as connection:
            connection.execute(delete(table).where(table.c.attempt == attempt))
            connection.execute(insert(table).values(values))

    def of(self, names: Sequence[NormalizedName]) -> tuple[PastUsage, ...]:
        """Return what builds of these projects took, newest first. A build that failed tells of memory too, if not of the whole."""
        usages, attempts = tables.usages, tables.attempts
        found: list[PastUsage] = []
        with self._database.read() as connection:
            for start in range(0, len(names), _NAMES_AT_ONCE):
                query = (
                    select(attempts.c.name, attempts.c.target, usages.c.memory, usages.c.cpu_seconds, usages.c.seconds)
                    .join(attempts, attempts.c.id == usages.c.attempt)
                    .where(attempts.c.name.in_(names[start : start + _NAMES_AT_ONCE]))
                    .order_by(attempts.c.id.desc())
                )
                found += [PastUsage(**row) for row in connection.execute(query).mappings()]
        return tuple(found)
