"""A store that an older farm made: its catalogue is taken to the newest schema, and its index is served as before."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from sqlalchemy import create_engine, inspect

from farm.adapters import tables
from farm.adapters.clock import SystemClock
from farm.adapters.store import Store
from farm.model.page import JSON
from farm.serve.simple import render_project
from tests.fakes.store import Wheelmaker

if TYPE_CHECKING:
    from pathlib import Path

DEMO = canonicalize_name("demo")
SCHEMA_1 = """
CREATE TABLE farm_schema (version INTEGER NOT NULL);
CREATE TABLE attempts (id VARCHAR(64) NOT NULL, run VARCHAR(64) NOT NULL, name VARCHAR(255) NOT NULL,
  version VARCHAR(255) NOT NULL, target VARCHAR(255) NOT NULL, state VARCHAR(16) NOT NULL, started VARCHAR(32) NOT NULL,
  ended VARCHAR(32), log TEXT NOT NULL, image VARCHAR(255) NOT NULL, "key" VARCHAR(64), wheel TEXT NOT NULL,
  digest VARCHAR(64), cause VARCHAR(255) NOT NULL, summary TEXT NOT NULL, remedy TEXT NOT NULL, PRIMARY KEY (id));
CREATE INDEX attempts_by_name ON attempts (name, id);
CREATE INDEX attempts_by_key ON attempts ("key", id);
CREATE INDEX attempts_by_state ON attempts (state);
CREATE TABLE wheels (filename VARCHAR(512) NOT NULL, name VARCHAR(255) NOT NULL, version VARCHAR(255) NOT NULL,
  sha256 VARCHAR(64) NOT NULL, size INTEGER NOT NULL, metadata_sha256 VARCHAR(64) NOT NULL, requires_python TEXT,
  yanked JSON NOT NULL, upload_time VARCHAR(32), built_at VARCHAR(32) NOT NULL, sdist TEXT NOT NULL,
  sdist_sha256 VARCHAR(64), "key" VARCHAR(64) NOT NULL, attempt VARCHAR(64) NOT NULL, targets JSON NOT NULL,
  PRIMARY KEY (filename));
CREATE INDEX ix_wheels_name ON wheels (name);
CREATE INDEX ix_wheels_sha256 ON wheels (sha256);
CREATE TABLE pages (name VARCHAR(255) NOT NULL, dirty BOOLEAN NOT NULL, on_list BOOLEAN NOT NULL, PRIMARY KEY (name));
CREATE INDEX ix_pages_dirty ON pages (dirty);
CREATE TABLE serial (value INTEGER NOT NULL);
INSERT INTO farm_schema VALUES (1);
INSERT INTO serial VALUES (7);
INSERT INTO pages VALUES ('demo', 0, 1);
"""


def make_old(root: Path, maker: Wheelmaker) -> None:
    """Write a store of schema 1 with one wheel, as that farm left it."""
    record, verified = maker.make("demo", "1.0")
    blob = root / "blobs" / record.sha256[:2] / record.sha256[2:]
    blob.parent.mkdir(parents=True)
    blob.write_bytes(verified.built.wheel.path.read_bytes())
    blob.with_name(blob.name + ".metadata").write_bytes(verified.metadata)
    (root / "pages" / "demo").mkdir(parents=True)
    (root / "pages" / "demo" / "index.json").write_text("{}")
    (root / "projects").write_text("demo\n")
    (root / "serial").write_text("7\n")
    row = (record.filename, "demo", "1.0", record.sha256, record.size, record.metadata_sha256, None, "false", None,
           record.built_at.isoformat(timespec="microseconds"), record.sdist, record.sdist_sha256, record.key, "A1", '["t"]')  # fmt: skip
    with sqlite3.connect(root / "catalogue.sqlite") as raw:
        raw.executescript(SCHEMA_1)
        raw.execute(f"INSERT INTO wheels VALUES ({', '.join('?' * len(row))})", row)
    raw.close()


def test_a_store_of_schema_1_is_served_after_the_first_write(tmp_path: Path) -> None:
    maker = Wheelmaker(folder=tmp_path / "built")
    make_old(tmp_path / "store", maker)
    store = Store(tmp_path / "store", render_project, SystemClock())
    store.recover()
    record = store.catalogue.wheel("demo-1.0-py3-none-any.whl")
    assert record is not None
    assert (record.uploader, record.key, record.targets) == ("", maker.make("demo", "1.0")[0].key, ("t",))
    page = store.page(DEMO, JSON, "identity")
    assert page is not None
    assert b"demo-1.0-py3-none-any.whl" in page.body
    assert store.names() == ("demo",)
    assert int(store.serial()) > 7
    assert [path.name for path in (tmp_path / "store" / "pages").iterdir()] == ["demo.page"]
    store.publish(*maker.make("demo", "1.1"))
    project = store.project(DEMO)
    assert project is not None
    assert [str(file.version) for file in project.files] == ["1.0", "1.1"]
    store.close()


def test_steps_and_a_new_catalogue_lead_to_the_same_tables(tmp_path: Path) -> None:
    make_old(tmp_path / "old", Wheelmaker(folder=tmp_path / "built"))
    shapes = []
    for name in ("old", "new"):
        store = Store(tmp_path / name, render_project, SystemClock())
        assert store.catalogue.dirty() in ((), ("demo",))
        store.close()
        engine = create_engine(f"sqlite:///{tmp_path / name}/catalogue.sqlite")
        found = inspect(engine)
        shapes.append(
            {
                table: {(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(table)}
                for table in found.get_table_names()
            }
        )
        engine.dispose()
    assert shapes[0] == shapes[1]
    assert set(shapes[0]) == set(tables.metadata.tables)
