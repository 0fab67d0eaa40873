"""A name that was given away once stays with its bytes: in new catalogues, in migrated ones, and for uploads."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, inspect

from farm.adapters import tables
from farm.adapters.catalogue import Catalogue
from farm.adapters.locks import Locks
from farm.model.keeping import tombstone
from tests.fakes.store import EPOCH, Wheelmaker

if TYPE_CHECKING:
    from pathlib import Path


def shape(url: str) -> dict[str, object]:
    """Return each table's columns and indexes, by its name."""
    engine = create_engine(url)
    try:
        found = inspect(engine)
        return {
            table: (
                [(column["name"], str(column["type"]), column["nullable"]) for column in found.get_columns(table)],
                found.get_pk_constraint(table)["constrained_columns"],
                sorted((str(index["name"]), index["column_names"]) for index in found.get_indexes(table)),
            )
            for table in found.get_table_names()
        }
    finally:
        engine.dispose()


def test_a_catalogue_from_before_gets_the_same_tables_as_a_new_one(tmp_path: Path) -> None:
    locks = Locks(tmp_path / "locks")
    new, old = (f"sqlite:///{tmp_path}/{name}.sqlite" for name in ("new", "old"))
    for url in (new, old):
        Catalogue(url, locks).close()
    with sqlite3.connect(tmp_path / "old.sqlite") as raw:
        for table in tables.metadata.tables.keys() - {"farm_schema", "attempts", "wheels", "pages", "serial"}:
            raw.execute(f"DROP TABLE {table}")
        for index in ("state", "state_and_name", "target", "target_and_name", "run"):
            raw.execute(f"DROP INDEX attempts_by_{index}")
        raw.execute("CREATE INDEX attempts_by_state ON attempts (state)")
        raw.execute("ALTER TABLE wheels DROP COLUMN uploader")
        raw.execute("UPDATE farm_schema SET version = 1")
    raw.close()
    catalogue = Catalogue(old, locks)
    record = Wheelmaker(folder=tmp_path).make("demo", "1.0")[0]
    catalogue.add_wheels([record])
    catalogue.bury([tombstone(record, "collected", EPOCH)])
    catalogue.close()
    assert shape(old) == shape(new)
    assert tables.SCHEMA >= 2


def test_of_two_files_offered_under_a_removed_name_the_one_that_was_there_comes_back(tmp_path: Path) -> None:
    catalogue = Catalogue(f"sqlite:///{tmp_path}/catalogue.sqlite", Locks(tmp_path / "locks"))
    maker = Wheelmaker(folder=tmp_path)
    record, other = maker.make("demo", "1.0")[0], maker.make("demo", "1.0", body="# other")[0]
    catalogue.add_wheels([record])
    catalogue.bury([tombstone(record, "collected", EPOCH)])
    refused = catalogue.add_wheels([other])
    assert (refused.digests, catalogue.wheel(record.filename)) == ((record.sha256,), None)
    added = catalogue.add_wheels([other, record])
    assert added.digests == (record.sha256, record.sha256)
    assert catalogue.wheel(record.filename) == record
    catalogue.close()


def test_who_has_other_bytes_than_the_tombstone_says_is_not_taken_off(tmp_path: Path) -> None:
    catalogue = Catalogue(f"sqlite:///{tmp_path}/catalogue.sqlite", Locks(tmp_path / "locks"))
    maker = Wheelmaker(folder=tmp_path)
    record, other = maker.make("demo", "1.0")[0], maker.make("demo", "1.0", body="# other")[0]
    catalogue.add_wheels([record])
    assert catalogue.bury([tombstone(other, "collected", EPOCH)]).serial == 0
    assert catalogue.wheel(record.filename) == record
    catalogue.close()
