"""What clients fetched, in a real catalogue: it adds up, it is bounded for each day, and it is told per project, target and client."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from farm.adapters.database import Database
from farm.adapters.locks import Locks
from farm.adapters.misses import MissBook
from farm.model.demand_seen import Download, MissKey, Seen, Visits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 5, 10, 12, tzinfo=UTC)
TARGET = "cp312-manylinux_2_36_x86_64"
DEMO = MissKey(name=canonicalize_name("demo"), version="1.0", target=TARGET, client="pip 25.3")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path}/catalogue.sqlite", Locks(tmp_path / "locks"))
    yield found
    found.close()


def test_counts_of_several_servers_and_days_add_up(database: Database) -> None:
    one, other = MissBook(database), MissBook(database)
    one.record(Seen(misses={DEMO: 2}), NOW - timedelta(days=1))
    one.record(Seen(misses={DEMO: 1, replace(DEMO, client="uv 0.9"): 5}), NOW)
    other.record(Seen(misses={DEMO: 1, replace(DEMO, version="2.0", target=""): 1}), NOW + timedelta(minutes=1))
    first, second = one.misses(NOW - timedelta(days=1))
    assert (first.name, first.version, first.target, first.count) == ("demo", "1.0", TARGET, 9)
    assert first.clients == (("uv 0.9", 5), ("pip 25.3", 4))
    assert first.last == NOW + timedelta(minutes=1)
    assert (second.version, second.target, second.count) == ("2.0", "", 1)
    # Whole days count.
    assert [miss.count for miss in one.misses(NOW)] == [7, 1]
    assert [miss.version for miss in one.misses(NOW - timedelta(days=1), 1)] == ["1.0"]
    assert one.misses(NOW, name=canonicalize_name("other")) == ()


def test_counts_for_a_budget_leave_out_what_nobody_compiled(database: Database) -> None:
    book = MissBook(database)
    book.record(Seen(misses={DEMO: 2, replace(DEMO, target="cp313-win32"): 3, replace(DEMO, version="2.0"): 1}), NOW)
    wanted = [(DEMO.name, "1.0"), (DEMO.name, "3.0"), (canonicalize_name("other"), "1.0")]
    assert book.counts(wanted, NOW) == {(DEMO.name, "1.0"): 5}
    assert book.counts([], NOW) == {}


def test_downloads_and_clients(database: Database) -> None:
    book = MissBook(database)
    for _ in range(2):
        taken = {"a-1-py3-none-any.whl": 2, "b-1-py3-none-any.whl": 3}
        book.record(Seen(downloads=taken, clients={(TARGET, "pip 25.3"): 4, ("", "other"): 1}), NOW)
    assert book.downloads(NOW) == (Download(filename="b-1-py3-none-any.whl", count=6), Download(filename="a-1-py3-none-any.whl", count=4))
    assert book.downloads(NOW, 1) == book.downloads(NOW)[:1]
    assert book.visits(NOW) == (Visits(target=TARGET, client="pip 25.3", count=8), Visits(target="", client="other", count=2))


def test_made_up_clients_fill_a_day_up_to_a_bound_and_what_is_known_goes_on(database: Database) -> None:
    book = MissBook(database, most_misses=10, most_clients=10)
    book.record(Seen(misses={DEMO: 1}, clients={(TARGET, "pip 25.3"): 1}), NOW)
    for number in range(50):
        made_up = replace(DEMO, client=f"pip 1.{number}")
        book.record(Seen(misses={made_up: 1}, clients={(TARGET, f"pip 1.{number}"): 1}), NOW)
    book.record(Seen(misses={DEMO: 1}, clients={(TARGET, "pip 25.3"): 1}), NOW)
    found = book.misses(NOW)
    assert sum(miss.count for miss in found) == 52
    assert sum(len(miss.clients) for miss in found) == 11
    assert {miss.target: dict(miss.clients).get("pip 25.3") for miss in found} == {TARGET: 2, "": None}
    assert sum(visit.count for visit in book.visits(NOW)) == 52
    assert len(book.visits(NOW)) == 11
    # The next day has room again.
    book.record(Seen(misses={replace(DEMO, client="pip 1.77"): 1}), NOW + timedelta(days=1))
    assert [dict(miss.clients) for miss in book.misses(NOW + timedelta(days=1))] == [{"pip 1.77": 1}]


def test_made_up_projects_end_at_a_bound_too(database: Database) -> None:
    book = MissBook(database, most_misses=10)
    book.record(Seen(misses={replace(DEMO, name=canonicalize_name(f"p{number}")): 1 for number in range(100)}), NOW)
    assert len(book.misses(NOW)) == 15


def test_old_days_are_forgotten(database: Database) -> None:
    book = MissBook(database)
    for days in (0, 30, 500):
        book.record(Seen(misses={DEMO: 1}, clients={(TARGET, "pip"): 1}, downloads={"a": 1}), NOW - timedelta(days=days))
    assert book.forget(NOW, timedelta(days=400)) == 3
    assert book.misses(NOW - timedelta(days=3650))[0].count == 2
