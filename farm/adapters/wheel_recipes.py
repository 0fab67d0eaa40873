"""Under which recipe of config.toml each wheel was published, in the catalogue's database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from farm.adapters import tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farm.adapters.database import Database

_AT_ONCE = 500


class WheelRecipes:
    """Each method is one transaction; StoreError when the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, filename: str, recipe: str) -> None:
        """Record the digest of a wheel's recipe, in the place of an older one."""
        table = tables.wheel_recipes
        with self._database.write(durable=False) as connection:
            connection.execute(delete(table).where(table.c.filename == filename))
            connection.execute(insert(table).values(filename=filename, recipe=recipe))

    def of(self, filenames: Sequence[str]) -> dict[str, str]:
        """Return the digests that are known, by file name."""
        table = tables.wheel_recipes
        found: dict[str, str] = {}
        with self._database.read() as connection:
            for start in range(0, len(filenames), _AT_ONCE):
                query = select(table.c.filename, table.c.recipe).where(table.c.filename.in_(filenames[start : start + _AT_ONCE]))
                found.update((row.filename, row.recipe) for row in connection.execute(query))
        return found
