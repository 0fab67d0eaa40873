"""Watch sets in the catalogue: what is written is read again, what did not change is left alone, what failed loses nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from farm.adapters import tables
from farm.adapters.database import Database
from farm.adapters.locks import Locks
from farm.adapters.watches import Watches
from farm.errors import UsageError
from farm.model.watch import Look, SetSeen, WatchedCell, WatchSet
from tests.fakes.nouns import NOON

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LATER = NOON + timedelta(days=1)
T = "cp311-manylinux_2_36_x86_64"
A = WatchedCell(name="a", version="1.0", target=T, state="upstream-wheel", file="a-1.0-py3-none-any.whl")
B = WatchedCell(name="b", version="2.0", target=T, state="build", reason="sdist only")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path}/c.sqlite", Locks(tmp_path / "locks"))
    yield made
    made.close()


@pytest.fixture
def watches(database: Database) -> Watches:
    return Watches(database)


def seen(name: str, *wants: WatchedCell, digest: str = "d1", error: str = "") -> SetSeen:
    look = Look(name=name, looked=NOON, digest="" if error else digest, error=error, pins=len(wants), seconds=0.5)
    return SetSeen(watch=WatchSet(name=name, sources=("/x",)), look=look, wants=wants)


def rows(database: Database, table: object) -> int:
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]


def test_a_registered_set_comes_back_as_it_was(watches: Watches) -> None:
    whole = WatchSet(
        name="shop", sources=("/srv/a.txt", "git+https://u:p@h/r#x"), targets=(T,), extras=("e",), groups=("g",), default_groups=False,
        constraints=("/c.txt",),
    )  # fmt: skip
    watches.add(whole, NOON)
    assert watches.registered() == (whole,)
    with pytest.raises(UsageError, match="shop: expected a name that is free"):
        watches.add(whole, NOON)
    assert watches.remove("shop")
    assert not watches.remove("shop")
    assert watches.registered() == ()


def test_looks_and_wants_are_kept_and_told_with_what_is_known(watches: Watches) -> None:
    watches.keep([seen("one", A, B), seen("two", A)])
    watches.keep_cells({cell.key: cell for cell in (A, B)}, NOON, whole=True)
    assert watches.last("one") == (A, B)
    assert watches.last("two") == (A,)
    assert watches.looks()["one"].pins == 2
    assert watches.counts() == {"one": {"upstream-wheel": 1, "build": 1}, "two": {"upstream-wheel": 1}}
    assert watches.pins() == {("a", "1.0"), ("b", "2.0")}


def test_a_set_that_cannot_be_read_keeps_what_it_wanted(watches: Watches) -> None:
    watches.keep([seen("one", A, B)])
    watches.keep([seen("one", error="gone")])
    assert [cell.name for cell in watches.last("one")] == ["a", "b"]
    assert watches.looks()["one"].error == "gone"
    watches.keep([seen("one", A, digest="d2")])
    assert [cell.name for cell in watches.last("one")] == ["a"]
    assert watches.looks()["one"].error == ""


def test_what_is_unchanged_is_not_written_again(database: Database, watches: Watches) -> None:
    watches.keep([seen("one", A, B)])
    with database.write() as connection:
        connection.execute(tables.wanted.delete())
    watches.keep([seen("one", A, B)])
    assert rows(database, tables.wanted) == 0, "the digest said that nothing had changed"
    watches.keep([seen("one", A, B, digest="d2")])
    assert rows(database, tables.wanted) == 2


def test_a_cells_state_has_the_time_since_when_and_the_time_it_was_seen(database: Database, watches: Watches) -> None:
    watches.keep_cells({cell.key: cell for cell in (A, B)}, NOON, whole=True)
    built = replace(B, state="farm-wheel", reason="", file="b.whl")
    watches.keep_cells({cell.key: cell for cell in (A, built)}, LATER, whole=True)
    with database.read() as connection:
        found = {row.name: row for row in connection.execute(select(tables.cells))}
    assert (found["a"].since, found["a"].seen) == (NOON, LATER)
    assert (found["b"].since, found["b"].state, found["b"].file) == (LATER, "farm-wheel", "b.whl")


def test_a_look_at_some_sets_leaves_the_cells_of_the_others(database: Database, watches: Watches) -> None:
    watches.keep_cells({cell.key: cell for cell in (A, B)}, NOON, whole=True)
    watches.keep_cells({A.key: A}, LATER, whole=False)
    assert rows(database, tables.cells) == 2
    watches.keep_cells({A.key: A}, LATER, whole=True)
    assert rows(database, tables.cells) == 1


def test_sets_that_are_no_more_are_forgotten(database: Database, watches: Watches) -> None:
    watches.keep([seen("one", A), seen("two", B)])
    watches.forget_others({"two"})
    assert set(watches.looks()) == {"two"}
    assert rows(database, tables.wanted) == 1
