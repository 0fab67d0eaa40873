"""The catalogue on a real SQLite file."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name
from sqlalchemy import create_engine, inspect, select

from farm.adapters import tables
from farm.adapters.catalogue import Catalogue
from farm.adapters.database import prepare
from farm.adapters.locks import Locks
from farm.errors import StoreError
from farm.model.attempt import Attempt
from farm.model.job import JobKey
from farm.model.package import Digest, Version
from tests.fakes.store import EPOCH, Wheelmaker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = JobKey("c" * 64)


def attempt(identity: str, **changes: object) -> Attempt:
    plain = Attempt(
        id=identity,
        run="R1",
        name=canonicalize_name("demo"),
        version=Version("1.0"),
        target="cp311-manylinux_2_36_x86_64",
        state="building",
        started=EPOCH,
        ended=None,
        log=f"logs/{identity}.log",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def built(identity: str, **changes: object) -> Attempt:
    values = {"state": "built", "ended": EPOCH + timedelta(seconds=1), "key": KEY, "digest": Digest("d" * 64)} | changes
    return attempt(identity, wheel="demo-1.0-py3-none-any.whl", **values)


@pytest.fixture
def locks(tmp_path: Path) -> Locks:
    return Locks(tmp_path / "locks")


@pytest.fixture
def catalogue(tmp_path: Path, locks: Locks) -> Iterator[Catalogue]:
    made = Catalogue(f"sqlite:///{tmp_path}/catalogue.sqlite", locks)
    yield made
    made.close()


def test_an_attempt_comes_back_as_it_was(catalogue: Catalogue, tmp_path: Path, locks: Locks) -> None:
    catalogue.begin(attempt("A1"))
    catalogue.finish(built("A1", cause="none", summary="ümläut", remedy="x"))
    again = Catalogue(f"sqlite:///{tmp_path}/catalogue.sqlite", locks)
    assert again.attempt("A1") == built("A1", cause="none", summary="ümläut", remedy="x")
    assert again.attempt("A2") is None
    again.close()


def test_attempts_come_newest_first_by_name_and_prefix(catalogue: Catalogue) -> None:
    for identity in ("01AA", "01AB", "02BC"):
        catalogue.begin(attempt(identity))
    catalogue.begin(attempt("03ZZ", name=canonicalize_name("other")))
    assert [a.id for a in catalogue.attempts(canonicalize_name("demo"), 2)] == ["02BC", "01AB"]
    assert [a.id for a in catalogue.attempts(None, 10)] == ["03ZZ", "02BC", "01AB", "01AA"]
    assert [a.id for a in catalogue.matching("01a", 10)] == ["01AB", "01AA"]
    assert catalogue.matching("%", 10) == ()


def test_built_gives_the_newest_wheel_that_may_be_used_again(catalogue: Catalogue) -> None:
    for made in (built("A1"), built("A2", state="published"), built("A3", state="rejected"), attempt("A4", key=KEY)):
        catalogue.begin(made)
    catalogue.begin(built("A5", key=JobKey("e" * 64)))
    found = catalogue.built(KEY)
    assert found is not None
    assert found.id == "A2"
    assert catalogue.built(JobKey("f" * 64)) is None


def test_finishing_what_was_never_begun_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(StoreError, match="A1"):
        catalogue.finish(attempt("A1"))


def test_an_id_is_used_once(catalogue: Catalogue) -> None:
    catalogue.begin(attempt("A1"))
    with pytest.raises(StoreError, match="UNIQUE"):
        catalogue.begin(attempt("A1"))


def test_only_attempts_of_dead_runs_become_interrupted(catalogue: Catalogue, locks: Locks) -> None:
    catalogue.begin(attempt("A1", run="dead"))
    catalogue.begin(built("A2", run="dead"))
    catalogue.begin(attempt("A3", run="alive"))
    later = EPOCH + timedelta(hours=1)
    with locks.run("alive"):
        marked = catalogue.interrupted(later)
        assert [(a.id, a.state, a.ended) for a in marked] == [("A1", "interrupted", later)]
        assert catalogue.interrupted(later) == ()
    states = {a.id: a.state for a in catalogue.attempts(None, 10)}
    assert states == {"A1": "interrupted", "A2": "built", "A3": "building"}


@pytest.mark.parametrize("yanked", [False, True, "broken on ARM"])
def test_a_wheel_comes_back_as_it_was(catalogue: Catalogue, tmp_path: Path, yanked: bool | str) -> None:
    record, _ = Wheelmaker(folder=tmp_path, yanked=yanked, requires_python=">=3.8", upload_time=None).make(
        "demo", "1!2.0"
    )
    assert catalogue.add_wheels([record]).digests == (record.sha256,)
    assert catalogue.wheel(record.filename) == record
    assert catalogue.add_wheels([replace(record, sha256=Digest("0" * 64))]).digests == (record.sha256,)
    assert catalogue.wheels(record.name) == (record,)


def test_an_uploaded_sdist_comes_back_as_it_was(catalogue: Catalogue, tmp_path: Path) -> None:
    wheel, _ = Wheelmaker(folder=tmp_path).make("demo", "1.0")
    sdist = replace(
        wheel, filename="demo-1.0.tar.gz", metadata_sha256=None, key=None, attempt="", sdist="", sdist_sha256=None, targets=(),
        uploader="ci",
    )  # fmt: skip
    catalogue.add_wheels([sdist])
    assert catalogue.wheels(sdist.name) == (sdist,)


def test_pages_stay_dirty_until_they_are_told_clean(catalogue: Catalogue, tmp_path: Path) -> None:
    maker = Wheelmaker(folder=tmp_path)
    one, other = maker.make("one", "1.0")[0], maker.make("other", "1.0")[0]
    first = catalogue.add_wheels([one, other])
    assert (dict(first.dirty), first.files[one.name]) == ({"one": False, "other": False}, (one,))
    assert catalogue.mark_clean([one.name]) == catalogue.dirty() == ("other",)
    again = catalogue.add_wheels([one, other])
    assert (dict(again.dirty), again.serial) == ({"other": False}, first.serial + 1)
    catalogue.mark_clean(again.dirty)
    assert catalogue.add_wheels([one, other]).serial == 0
    assert catalogue.dirty_pages([one.name, other.name]) is None
    grown = catalogue.add_wheels([maker.make("one", "1.1")[0]])
    assert dict(grown.dirty) == {"one": True}


def test_wheels_are_ordered_by_version_not_by_text(catalogue: Catalogue, tmp_path: Path) -> None:
    for version in ("10.0", "9.0", "9.0rc1"):
        catalogue.add_wheels([Wheelmaker(folder=tmp_path).make("demo", version)[0]])
    found = catalogue.wheels(canonicalize_name("demo"))
    assert [str(wheel.version) for wheel in found] == ["9.0rc1", "9.0", "10.0"]


def test_a_catalogue_of_a_newer_farm_is_left_alone(catalogue: Catalogue, tmp_path: Path, locks: Locks) -> None:
    with sqlite3.connect(tmp_path / "catalogue.sqlite") as raw:
        raw.execute("UPDATE farm_schema SET version = 99")
    raw.close()
    with pytest.raises(StoreError, match=f"schema {tables.SCHEMA} or older, found schema 99") as caught:
        Catalogue(f"sqlite:///{tmp_path}/catalogue.sqlite", locks)
    assert "upgrade" in caught.value.solution


def test_steps_lead_an_old_catalogue_to_the_newest_schema_once() -> None:
    engine = create_engine("sqlite://")
    steps = ((2, ("ALTER TABLE wheels ADD COLUMN colour TEXT",)), (3, ("CREATE TABLE extra (a TEXT)",)))
    with engine.begin() as connection:
        prepare(connection, 1, (), "memory")
        for _ in range(2):
            prepare(connection, 3, steps, "memory")
        assert connection.execute(select(tables.schema.c.version)).scalar_one() == 3
        assert "extra" in inspect(connection).get_table_names()
        assert "colour" in [column["name"] for column in inspect(connection).get_columns("wheels")]
    engine.dispose()


def test_a_fresh_catalogue_needs_no_steps() -> None:
    assert [version for version, _ in tables.STEPS] == list(range(2, tables.SCHEMA + 1))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "database URL"),
        ("nodriver://x/y", "database URL"),
        ("sqlite:////no/such/folder/c.sqlite", "unable to open"),
    ],
)
def test_a_url_that_leads_nowhere_is_told(locks: Locks, url: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        Catalogue(url, locks)


def test_a_file_that_is_no_database_is_told(tmp_path: Path, locks: Locks) -> None:
    (tmp_path / "catalogue.sqlite").write_bytes(b"not a database, by far" * 100)
    with pytest.raises(StoreError, match="not a database") as caught:
        Catalogue(f"sqlite:///{tmp_path}/catalogue.sqlite", locks)
    assert "choose another store" in caught.value.solution
