"""Which failures deserve another try, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from farm.model.night import Try
from farm.survey.retry import Retry, lasting, retry

NOW = datetime(2026, 3, 10, 2, 30, tzinfo=UTC)


def tries(*ended: tuple[str, str, float]) -> list[Try]:
    return [Try(state=state, cause=cause, ended=NOW - timedelta(days=days)) for state, cause, days in ended]


@pytest.mark.parametrize("cause", ["network", "killed", "out-of-memory", "timed-out", "disk-full"])
def test_what_failed_for_a_passing_reason_is_tried_the_next_night(cause: str) -> None:
    found = retry(tries(("failed", cause, 1)), NOW)
    assert found == Retry(again=True, failures=1, why=f"failed 1 time in a row, last 2026-03-09: {cause}; tried again")


def test_then_ever_more_seldom() -> None:
    times = [("failed", "killed", 1.0 + number) for number in range(6)]
    waits = {}
    for number in range(1, 7):
        found = retry(tries(*times[:number]), NOW)
        waits[number] = found.wait_until and (found.wait_until - NOW).days
    assert waits == {1: None, 2: None, 3: 1, 4: 3, 5: 7, 6: 15}
    assert "tried again from 2026-03-11 on" in retry(tries(*times[:3]), NOW).why


def test_a_night_that_begins_a_little_sooner_still_tries() -> None:
    assert retry(tries(("failed", "killed", 0.99), ("failed", "killed", 2)), NOW).again


@pytest.mark.parametrize(
    "past", [(), (("published", "", 1.0),), (("failed", "missing-system-header", 1.0),), (("interrupted", "", 1.0),),
             (("published", "", 1.0), ("failed", "network", 2.0))],
)  # fmt: skip
def test_everything_else_is_left_to_the_memory_of_failures(past: tuple[tuple[str, str, float], ...]) -> None:
    assert retry(tries(*past), NOW) == Retry()


def test_what_was_interrupted_or_only_recalled_counts_neither_way() -> None:
    past = (("interrupted", "", 0.5), ("skipped", "out-of-memory", 1.0), ("failed", "out-of-memory", 2.0))
    assert retry(tries(*past), NOW).failures == 1


def test_a_failure_that_is_remembered_takes_no_time_to_speak_of() -> None:
    assert lasting(tries(("skipped", "missing-system-header", 1.0)))
    assert lasting(tries(("interrupted", "", 0.1), ("failed", "compile-error", 1.0)))
    assert not lasting(tries(("failed", "network", 1.0)))
    assert not lasting(())


def test_a_failure_of_the_future_makes_nothing_wait_for_it() -> None:
    years = [("failed", "network", -3650.0), ("failed", "network", -3649.0)]
    assert retry(tries(*years), NOW).again
    assert not retry(tries(("failed", "network", -0.1), ("failed", "network", 1.0)), NOW).again, "a clock that is a little late is right"
