"""How a job failed of late -> whether to try it again tonight. Pure.

What would fail again is kept under the job's key (`farm.work.memory`): trying it costs next to nothing, and finds out whether an input
has changed. What may go well the next time is tried again, at first the next night, then ever more seldom.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from farm.model.night import Try

# Of these the machine, the network or the moment is to blame, or may be.
_PASSING = frozenset({"killed", "network", "disk-full", "integrity", "out-of-memory", "timed-out", "too-much-disk", "too-many-processes"})
_LONGEST_DAYS = 16
# A night begins a little sooner or later than the one before.
_SLACK = timedelta(hours=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """`again` when a failure that is remembered is not to be heeded; `wait_until` when the job is left for a later night."""

    again: bool = False
    failures: int = 0
    wait_until: datetime | None = None
    why: str = ""


def retry(past: Sequence[Try], now: datetime) -> Retry:
    """Return what to do about a job with these attempts, newest first.

    One that failed n times in a row for a passing reason is tried again 2^(n-2) days after the last time, at most every 16 days; after
    the first time at once. Whatever else failed is left to the memory of failures.
    """
    failures: list[Try] = []
    for attempt in past:
        if attempt.state in {"interrupted", "skipped"}:
            continue
        if attempt.state not in {"failed", "timed-out"} or attempt.cause not in _PASSING:
            break
        failures.append(attempt)
    if not failures:
        return Retry()
    number = len(failures)
    told = f"failed {number} time{'s' if number > 1 else ''} in a row, last {failures[0].ended:%Y-%m-%d}: {failures[0].cause}"
    days = min(_LONGEST_DAYS, 2 ** min(number - 2, 10)) if number > 1 else 0
    due = failures[0].ended + timedelta(days=days)
    # What failed tomorrow did so by a clock that was wrong, and would wait for it to come true.
    if number > 1 and failures[0].ended - _SLACK <= now < due - _SLACK:
        return Retry(failures=number, wait_until=due, why=f"{told}; tried again from {due:%Y-%m-%d} on")
    return Retry(again=True, failures=number, why=f"{told}; tried again")


def lasting(past: Sequence[Try]) -> bool:
    """Tell whether a job that failed at these attempts, newest first, most likely still fails: its failure is remembered."""
    last = next((attempt for attempt in past if attempt.state != "interrupted"), None)
    return last is not None and (last.state == "skipped" or (last.state == "failed" and last.cause not in _PASSING))
