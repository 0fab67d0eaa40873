"""Failures, usages and the journal of runs in a real database."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from farm.adapters.catalogue import Catalogue
from farm.adapters.failures import FailureBook
from farm.adapters.journal import Journal
from farm.adapters.locks import Locks
from farm.adapters.usages import Usages
from farm.model.attempt import Attempt, Lasting, RunRecord
from farm.model.job import JobKey
from farm.model.load import PastUsage, Usage
from farm.model.outcome import Diagnosis, Remedy
from farm.model.package import make_pin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from farm.adapters.database import Database

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
PIN = make_pin("demo", "1.0")


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with closing(Catalogue(f"sqlite:///{tmp_path}/catalogue.sqlite", Locks(tmp_path / "locks"))) as opened:
        yield opened


@pytest.fixture
def database(catalogue: Catalogue) -> Database:
    return catalogue.database


def test_a_failure_comes_back_whole_and_the_newest_counts(database: Database) -> None:
    remedy = Remedy(platform="debian", packages=("libfoo-dev",))
    diagnosis = Diagnosis(cause="missing-system-header", summary="ä", line="x.c:1", number=7, subject="foo.h", remedies=(remedy,))
    book = FailureBook(database)
    old = Lasting(key=JobKey("k"), inputs="", attempt="a1", stage="build", seconds=2.5, diagnosis=diagnosis)
    new = Lasting(key=JobKey("k"), inputs="", attempt="a2", stage="build", seconds=1.5, diagnosis=diagnosis)
    assert book.find(JobKey("k"), "") is None
    book.keep(old)
    book.keep(new)
    assert book.find(JobKey("k"), "") == new
    assert book.find(JobKey("k"), "limits [1]") is None


def attempt(identity: str, name: str = "demo") -> Attempt:
    pin = make_pin(name, "1.0")
    return Attempt(
        id=identity, run="r", name=pin.name, version=pin.version, target="t", state="built", started=NOON, ended=NOON, log="l"
    )


def test_what_builds_took_is_told_by_project_newest_first(catalogue: Catalogue) -> None:
    usages = Usages(catalogue.database)
    for identity, name, memory in (("1", "demo", 5 << 30), ("2", "demo", 7), ("3", "other", 9)):
        catalogue.begin(attempt(identity, name))
        usages.keep(identity, Usage(memory=memory, cpu_seconds=1.5, seconds=3.0))
    found = usages.of((PIN.name,))
    assert [usage.memory for usage in found] == [7, 5 << 30]
    assert found[0] == PastUsage(name=PIN.name, target="t", memory=7, cpu_seconds=1.5, seconds=3.0)
    assert usages.of(()) == ()


def record(identity: str) -> RunRecord:
    return RunRecord(id=identity, started=NOON, ended=None, state="running", folder="/f", config="", options="{}")


def test_the_journal_tells_the_last_run_and_where_its_jobs_stood(database: Database) -> None:
    journal = Journal(database)
    assert journal.last() is None
    journal.begin(record("r1"))
    journal.begin(record("r2"))
    journal.note("r2", [(f"job-{number}", "waiting") for number in range(450)])
    journal.note("r2", [("job-0", "building"), ("job-1", "published")])
    journal.note("r2", [("job-0", "failed")])
    journal.note("r2", [])
    last = journal.last()
    assert last == record("r2")
    assert journal.states("r2") == {"waiting": 448, "failed": 1, "published": 1}
    journal.end("r2", "stopped", NOON + timedelta(hours=1))
    last = journal.last()
    assert last is not None
    assert (last.state, last.ended) == ("stopped", NOON + timedelta(hours=1))


def test_the_journal_of_long_gone_runs_is_let_go(database: Database) -> None:
    journal = Journal(database)
    for number in range(203):
        journal.begin(record(f"r{number:04}"))
        journal.note(f"r{number:04}", [("job", "waiting")])
    assert not journal.states("r0001")
    assert journal.states("r0010") == {"waiting": 1}
