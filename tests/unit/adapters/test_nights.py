"""Nights and retirements in the catalogue, and what their report asks of it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert

from farm.adapters import tables
from farm.adapters.catalogue import Catalogue
from farm.adapters.locks import Locks
from farm.adapters.nights import Nights, Retirements
from farm.model.attempt import Attempt
from farm.model.night import Retirement
from farm.model.package import make_pin
from tests.fakes.store import Wheelmaker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with closing(Catalogue(f"sqlite:///{tmp_path / 'c.sqlite'}", Locks(tmp_path / "locks"))) as made:
        yield made


def attempt(catalogue: Catalogue, identity: str, state: str, cause: str = "", seconds: float = 60.0) -> None:
    pin = make_pin("demo", "1.0")
    made = Attempt(
        id=identity, run="r", name=pin.name, version=pin.version, target="t", state=state,  # type: ignore[arg-type]
        started=NOON, ended=NOON + timedelta(seconds=seconds), log="", cause=cause,
    )  # fmt: skip
    catalogue.begin(made)


def test_a_night_that_is_running_when_the_next_begins_was_killed(catalogue: Catalogue) -> None:
    nights = Nights(catalogue.database)
    nights.begin("b", NOON)
    nights.begin("a", NOON + timedelta(seconds=1))
    nights.end("a", "ended", NOON + timedelta(seconds=2), "{}")
    assert [(night.id, night.state) for night in nights.find("")] == [("a", "ended"), ("b", "killed")]
    last = nights.last()
    assert last is not None
    assert (last.id, last.report) == ("a", "{}")
    assert nights.find("%") == ()


def test_more_than_a_year_of_nights_is_kept_and_no_more(catalogue: Catalogue) -> None:
    nights = Nights(catalogue.database)
    row = {"ended": NOON, "state": "ended", "report": "{}"}
    with catalogue.database.write() as connection:
        days = ({"id": f"n{day:03}", "started": NOON + timedelta(days=day), **row} for day in range(410))
        connection.execute(insert(tables.nights), list(days))
    nights.begin("now", NOON + timedelta(days=500))
    kept = [night.id for night in nights.begun(1000)]
    assert (len(kept), kept[0], kept[-1]) == (400, "now", "n011")


def test_tries_are_newest_first_and_without_those_under_way(catalogue: Catalogue) -> None:
    for number, (state, cause) in enumerate([("failed", "network"), ("failed", "killed"), ("building", "")]):
        attempt(catalogue, f"a{number}", state, cause)
    nights = Nights(catalogue.database)
    found = nights.tries(["demo"])["demo", "1.0", "t"]
    assert [(each.state, each.cause) for each in found] == [("failed", "killed"), ("failed", "network")]
    assert nights.ever_built(["demo"]) == frozenset()
    attempt(catalogue, "a9", "published")
    assert nights.ever_built(["demo", "other"]) == {("demo", "t")}


def test_of_many_tries_the_last_are_read_for_each_version_and_target(catalogue: Catalogue) -> None:
    for number in range(30):
        attempt(catalogue, f"a{number:02}", "skipped" if number < 29 else "building", str(number))
    found = Nights(catalogue.database).tries(["demo"])["demo", "1.0", "t"]
    assert [each.cause for each in found] == [str(number) for number in range(28, 16, -1)]


def test_nights_are_listed_without_their_reports(catalogue: Catalogue) -> None:
    nights = Nights(catalogue.database)
    for number in range(3):
        nights.begin(str(number), NOON + timedelta(days=number))
        nights.end(str(number), "ended", NOON + timedelta(days=number, hours=1), "{}")
    assert [(night.id, night.report) for night in nights.begun(2)] == [("2", ""), ("1", "")]


def test_downloads_save_what_the_build_took_each_time(catalogue: Catalogue, tmp_path: Path) -> None:
    record, _ = Wheelmaker(folder=tmp_path / "made").make("demo", "1.0", "")
    attempt(catalogue, record.attempt, "published", seconds=90.0)
    backwards, _ = Wheelmaker(folder=tmp_path / "made").make("demo", "2.0", "")
    attempt(catalogue, f"{record.attempt}x", "published", seconds=-90.0)
    catalogue.add_wheels([record, replace(backwards, attempt=f"{record.attempt}x")])
    rows = [{"day": f"2026-03-0{day}", "filename": record.filename, "count": day} for day in (1, 2, 3)]
    rows.append({"day": "2026-03-02", "filename": backwards.filename, "count": 1})
    with catalogue.database.write() as connection:
        connection.execute(insert(tables.downloads), [*rows, {"day": "2026-03-02", "filename": "foreign.whl", "count": 7}])
    assert Nights(catalogue.database).saved("2026-03-02", "2026-03-03") == 90.0 * 5


def test_misses_are_summed_over_days_and_clients(catalogue: Catalogue) -> None:
    rows = [
        {"day": day, "name": "demo", "version": "1.0", "target": target, "client": client, "count": 2, "last": NOON}
        for day in ("2026-02-01", "2026-03-01", "2026-03-02") for target in ("t", "") for client in ("pip 25.1", "uv 0.9")
    ]  # fmt: skip
    with catalogue.database.write() as connection:
        connection.execute(insert(tables.misses), rows)
    assert Nights(catalogue.database).misses(["demo"], "2026-03-01") == {("demo", "1.0", "t"): 8, ("demo", "1.0", ""): 8}


def test_retirements_come_and_go(catalogue: Catalogue, tmp_path: Path) -> None:
    record, _ = Wheelmaker(folder=tmp_path / "made").make("demo", "1.0", "")
    catalogue.add_wheels([record])
    book = Retirements(catalogue.database)
    assert [wheel.filename for wheel in book.built(["demo", "other"])] == [record.filename]
    made = Retirement(filename=record.filename, upstream="demo-1.0-py3-none-any.whl", retired=NOON)
    book.keep([made])
    assert book.of([record.filename, "other.whl"]) == {record.filename: made}
    book.keep([], [record.filename])
    assert book.of([record.filename]) == {}
