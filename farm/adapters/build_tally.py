"""How many builds ended how, and what they took: counted once each, so that a look costs what is new and not what there is.

The counts are kept in `metrics/builds.json` in the store. A file that is missing or damaged is made anew from the catalogue.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from farm.adapters import tables
from farm.adapters.durable import make_dirs, replace_file
from farm.errors import StoreError
from farm.model.figures import BUCKETS_S, BuildFigures, Durations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import Row
    from sqlalchemy.engine import Connection

    from farm.adapters.database import Database

_FORM = 1
_ENDED = {
    "published": "published", "failed": "failed", "timed-out": "timed_out", "rejected": "rejected",
    "interrupted": "interrupted", "skipped": "remembered",
}  # fmt: skip
_GOOD = ("proven", "published")
_RAN = frozenset({"published", "failed", "timed_out", "rejected"})
_AT_ONCE = 5000
_KEYS_AT_ONCE = 500
# Ids begin with their second. Another process may write one down a little after a later one.
_OVERLAP = timedelta(minutes=2)
# An attempt whose farm died between its build and its publication is asked after no longer than this.
_PATIENCE = timedelta(days=7)
_CAUSE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_MOST_CAUSES = 80

_COLUMNS = (*(getattr(tables.attempts.c, name) for name in ("id", "state", "started", "ended", "cause", "key")),)
_NEWER = select(*_COLUMNS).where(tables.attempts.c.id > bindparam("low")).order_by(tables.attempts.c.id).limit(_AT_ONCE)
_THESE = select(*_COLUMNS).where(tables.attempts.c.id.in_(bindparam("some", expanding=True)))
# By its key alone: an index on states, of which there are few, is what SQLite would otherwise take.
_OF_KEYS = select(tables.attempts.c.key, tables.attempts.c.id, tables.attempts.c.state).where(
    tables.attempts.c.key.in_(bindparam("some", expanding=True))
)


class BuildTally:
    """Safe for threads; several processes may count beside each other, as each counts from the catalogue."""

    def __init__(self, root: Path, database: Database, now: Callable[[], datetime]) -> None:
        """`root` is the store's."""
        self._path = root / "metrics" / "builds.json"
        self._database = database
        self._now = now
        self._lock = Lock()
        self._loaded = False
        self._ended: dict[tuple[str, str], int] = {}
        self._durations: dict[str, Durations] = {}
        # Up to `low` every attempt is counted or open; beyond it, those in `seen` are counted.
        self._low = ""
        self._seen: set[str] = set()
        self._open: dict[str, str] = {}

    def read(self) -> BuildFigures:
        """Count what is new, and return all. StoreError when the database fails."""
        with self._lock:
            if not self._loaded:
                self._load()
            before = dict(self._ended)
            with self._database.read() as connection:
                self._count(connection)
            if before != self._ended:
                self._save()
            return BuildFigures(
                ended=tuple((*key, count) for key, count in sorted(self._ended.items())),
                durations=tuple((outcome, Durations(list(kept.counts), kept.total)) for outcome, kept in sorted(self._durations.items())),
                running=sum(state == "building" for state in self._open.values()),
            )

    def _count(self, connection: Connection) -> None:
        now = self._now()
        floor, forgotten = (f"{now - age:%Y%m%d-%H%M%S}" for age in (_OVERLAP, _PATIENCE))
        old = [identity for identity in self._open if identity <= self._low]
        for start in range(0, len(old), _KEYS_AT_ONCE):
            self._take(connection, connection.execute(_THESE, {"some": old[start : start + _KEYS_AT_ONCE]}).all(), floor)
        at = self._low
        while rows := connection.execute(_NEWER, {"low": at}).all():
            self._take(connection, rows, floor)
            at = rows[-1].id
        self._low = max(self._low, min(at, floor))
        self._seen = {identity for identity in self._seen if identity > self._low}
        self._open = {identity: state for identity, state in self._open.items() if identity > forgotten}

    def _take(self, connection: Connection, rows: Sequence[Row[Any]], floor: str) -> None:
        fresh = [row for row in rows if row.id not in self._seen]
        done = [row for row in fresh if row.state in _ENDED]
        self._open |= {row.id: row.state for row in fresh if row.state not in _ENDED}
        first = _first_of(connection, {row.key for row in done if row.state == "published" and row.key})
        for row in done:
            self._open.pop(row.id, None)
            if row.id > floor:
                self._seen.add(row.id)
            self._add(row, first)

    def _add(self, row: Row[Any], first: Mapping[str, str]) -> None:
        outcome = _ENDED[row.state]
        if outcome == "published" and first.get(row.key, row.id) < row.id:
            outcome = "reused"
        key = (outcome, self._cause(row.cause))
        self._ended[key] = self._ended.get(key, 0) + 1
        if outcome in _RAN and row.ended is not None:
            self._durations.setdefault(outcome, Durations()).add(max(0.0, (row.ended - row.started).total_seconds()))

    def _cause(self, cause: str) -> str:
        """A metric's label has few values, whatever a catalogue holds."""
        known = {known for _, known in self._ended}
        return cause if not cause or cause in known or (_CAUSE.fullmatch(cause) and len(known) < _MOST_CAUSES) else "other"

    def _load(self) -> None:
        self._loaded = True
        try:
            said = json.loads(self._path.read_bytes())
            if said["form"] != _FORM or said["buckets"] != list(BUCKETS_S):
                return
            ended = {(str(outcome), str(cause)): int(count) for outcome, cause, count in said["ended"]}
            durations = {str(outcome): Durations([int(n) for n in counts], float(total)) for outcome, counts, total in said["durations"]}
            low, seen, waiting = str(said["low"]), set(map(str, said["seen"])), {str(k): str(v) for k, v in said["open"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return
        self._ended, self._durations, self._low, self._seen, self._open = ended, durations, low, seen, waiting

    def _save(self) -> None:
        said = {
            "form": _FORM, "buckets": BUCKETS_S, "low": self._low, "seen": sorted(self._seen), "open": self._open,
            "ended": [(*key, count) for key, count in self._ended.items()],
            "durations": [(outcome, kept.counts, kept.total) for outcome, kept in self._durations.items()],
        }  # fmt: skip
        try:
            make_dirs(self._path.parent)
            replace_file(self._path, json.dumps(said).encode())
        except StoreError:
            # A server may be allowed to read only: then it counts from the beginning each time it starts.
            return


def _first_of(connection: Connection, keys: Iterable[str]) -> dict[str, str]:
    """Return which attempt made the wheel of each key: later ones of that key found it there."""
    found: dict[str, str] = {}
    some = sorted(keys)
    for start in range(0, len(some), _KEYS_AT_ONCE):
        for key, identity, state in connection.execute(_OF_KEYS, {"some": some[start : start + _KEYS_AT_ONCE]}):
            if state in _GOOD:
                found[key] = min(identity, found.get(key, identity))
    return found
