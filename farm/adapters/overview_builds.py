"""Attempts as the pages show them: lists, one with everything about it, what is under way, and nights."""

from __future__ import annotations

import heapq
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_args

import msgspec
from packaging.utils import canonicalize_name
from sqlalchemy import func, select

from farm.adapters import tables
from farm.adapters.attestations import BuildNotes
from farm.adapters.overview_cells import UNDER_WAY
from farm.adapters.rooms import INPUTS
from farm.model.attempt import State
from farm.model.outcome import Diagnosis
from farm.model.overview_runs import BuildPage, BuildRow, BuildView, NightRow, NightView, Queue, RunView, Span, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.engine import Connection, Row

    from farm.adapters.database import Database
    from farm.model.overview_runs import BuildQuery

_EARLIER_AT_MOST = 50
_SPANS_AT_MOST = 2_000
_JOBS_TOLD = 100
_WORKERS_AT_MOST = 200
_STATES = get_args(State)
_STARTS = "%Y%m%d-%H%M%S"
"""How ids of attempts and runs begin: by the second, so that they sort by time."""

_ROW: Select[Any] = select(
    *(column for column in tables.attempts.c if column.name in {
        "id", "run", "name", "version", "target", "state", "started", "ended", "wheel", "digest", "cause", "summary", "remedy",
    })
)  # fmt: skip


class BuildsReader:
    """StoreError when the database fails. Safe for threads."""

    def __init__(self, database: Callable[[], Database], root: Path, alive: Callable[[str], bool], now: Callable[[], datetime]) -> None:
        """`root` is the store's; `alive` tells whether a run still is."""
        self._database = database
        self._root = root
        self._alive = alive
        self._now = now
        self._notes = BuildNotes(root)

    def builds(self, query: BuildQuery) -> BuildPage:
        with self._database().read() as connection:
            lists = [connection.execute(_newest(*conditions).limit(query.limit + 1)).all() for conditions in _walks(query)]
        rows = sorted((row for rows in lists for row in rows), key=lambda row: str(row.id), reverse=True)
        shown = tuple(self._row(row) for row in rows[: query.limit])
        return BuildPage(builds=shown, next=shown[-1].id if len(rows) > query.limit else "")

    def of_project(self, connection: Connection, name: str, limit: int) -> tuple[BuildRow, ...]:
        return tuple(self._row(row) for row in connection.execute(_newest(tables.attempts.c.name == name).limit(limit)))

    def build(self, identity: str) -> BuildView | None:
        attempts = tables.attempts.c
        with self._database().read() as connection:
            found = connection.execute(select(tables.attempts).where(attempts.id == identity)).one_or_none()
            if found is None:
                return None
            same = (attempts.name == found.name, attempts.version == found.version, attempts.target == found.target)
            earlier = connection.execute(
                _newest(*same, attempts.run == found.run, attempts.id < identity).limit(_EARLIER_AT_MOST)
            ).all()
            usage = connection.execute(select(tables.usages).where(tables.usages.c.attempt == identity)).one_or_none()
            diagnosis = _diagnosis(connection, found)
        facts = self._notes.find(identity)
        log = self._root / found.log
        return BuildView(
            build=self._row(found),
            image=found.image,
            diagnosis=diagnosis,
            earlier=tuple(self._row(row) for row in reversed(earlier)),
            repro=f"farm repro {identity}" if log.with_suffix(INPUTS).is_file() else "",
            log_size=_size(log),
            memory=usage.memory if usage is not None else 0,
            cpu_seconds=usage.cpu_seconds if usage is not None else 0.0,
            commands=facts.commands if facts else (),
            dependencies=tuple(name for name, _ in facts.dependencies) if facts else (),
            reproducible=facts.reproduction.same if facts and facts.reproduction else None,
        )

    def log(self, identity: str) -> Path | None:
        with self._database().read() as connection:
            query = select(tables.attempts.c.log).where(tables.attempts.c.id == identity)
            log = connection.execute(query).scalar_one_or_none()
        return None if log is None else self._root / log

    def running(self, identity: str) -> bool:
        attempts = tables.attempts.c
        with self._database().read() as connection:
            row = connection.execute(select(attempts.state, attempts.run).where(attempts.id == identity)).one_or_none()
        return row is not None and row.state in UNDER_WAY and self._alive(row.run)

    def under_way(self) -> tuple[BuildRow, ...]:
        """Return the attempts that a process is at, newest first: of runs that are alive, whatever the catalogue says of dead ones."""
        with self._database().read() as connection:
            query = _newest(tables.attempts.c.state.in_(UNDER_WAY)).limit(_WORKERS_AT_MOST)
            rows = connection.execute(query).all()
        return tuple(row for row in map(self._row, rows) if row.running)

    def queue(self) -> Queue:
        with self._database().read() as connection:
            # Those that say they run; of them the dead are left out.
            running = connection.execute(select(tables.runs).where(tables.runs.c.state == "running")).all()
            runs = [_run(connection, row) for row in running if self._alive(row.id)]
        workers = tuple(Worker(run=row.run, build=row) for row in self.under_way())
        return Queue(runs=tuple(runs), workers=workers, waiting=sum(run.jobs.get("waiting", 0) for run in runs))

    def nights(self, limit: int) -> tuple[NightRow, ...]:
        table = tables.nights
        with self._database().read() as connection:
            rows = connection.execute(select(table).order_by(table.c.started.desc()).limit(limit)).all()
            return tuple(self._night(connection, row) for row in rows)

    def night(self, identity: str) -> NightView | None:
        with self._database().read() as connection:
            row = connection.execute(select(tables.nights).where(tables.nights.c.id == identity)).one_or_none()
            if row is None:
                return None
            attempts = _of_night(row)
            found = [] if attempts is None else connection.execute(
                _ROW.where(*attempts).order_by(tables.attempts.c.id).limit(_SPANS_AT_MOST + 1)
            ).all()  # fmt: skip
            night = self._night(connection, row)
        spans = _spans(row.started, [self._row(one) for one in found[:_SPANS_AT_MOST]])
        lanes = max((span.lane for span in spans), default=-1) + 1
        return NightView(night=night, report=_report(row), spans=spans, lanes=lanes, complete=len(found) <= _SPANS_AT_MOST)

    def _night(self, connection: Connection, row: Row[Any]) -> NightRow:
        attempts, counts = _of_night(row), {}
        if attempts is not None:
            state = tables.attempts.c.state
            query = select(state, func.count()).where(*attempts).group_by(state)
            counts = {one[0]: one[1] for one in connection.execute(query)}
        seconds = ((row.ended or self._now()) - row.started).total_seconds()
        return NightRow(id=row.id, started=row.started, ended=row.ended, state=row.state, seconds=seconds, builds=counts)

    def _row(self, row: Row[Any]) -> BuildRow:
        running = row.state in UNDER_WAY and self._alive(row.run)
        # What died without a word took nobody knows how long.
        ended = row.ended or (self._now() if running else row.started)
        return BuildRow(
            id=row.id, run=row.run, name=row.name, version=row.version, target=row.target, state=row.state, started=row.started,
            ended=row.ended, seconds=max(0.0, (ended - row.started).total_seconds()), running=running, wheel=row.wheel,
            sha256=row.digest or "", cause=row.cause, summary=row.summary, remedy=row.remedy,
        )  # fmt: skip


def _newest(*conditions: ColumnElement[bool]) -> Select[Any]:
    return _ROW.where(*conditions).order_by(tables.attempts.c.id.desc())


def _walks(query: BuildQuery) -> list[list[ColumnElement[bool]]]:
    """Return the conditions of each walk along an index that begins with what narrows most and goes on by id.

    Only those columns are bare: a database without statistics may take a filter that fits half of the table for the better one.
    """
    attempts, states = tables.attempts.c, query.states
    rest = [attempts.id < query.after] if query.after else []
    asked = [(attempts.name, canonicalize_name(query.name)), (attempts.run, query.run), (attempts.target, query.target)]
    given = [(column, value) for column, value in asked if value]
    rest += [column.concat("") == value for column, value in given[1:]]
    if query.name:
        rest += [attempts.state.concat("").in_(states)] if states else []
        states = ()
    elif given:
        # The indexes of runs and targets have the state before the id.
        states = states or _STATES
    narrow = [column == value for column, value in given[:1]]
    return [[*narrow, attempts.state == state, *rest] for state in states] or [[*narrow, *rest]]


def _diagnosis(connection: Connection, row: Row[Any]) -> Diagnosis | None:
    """Return the whole diagnosis where it was kept for later, else what the attempt tells of it."""
    failures = tables.failures.c
    if row.key:
        query = select(failures.diagnosis).where(failures.key == row.key, failures.attempt == row.id)
        for text in connection.execute(query).scalars():
            with suppress(msgspec.DecodeError):
                return msgspec.json.decode(text, type=Diagnosis)
    if not row.cause:
        return None
    return Diagnosis(cause=row.cause, summary=row.summary, remedy=row.remedy)


def _run(connection: Connection, row: Row[Any]) -> RunView:
    jobs = tables.run_jobs.c
    query = select(jobs.state, func.count()).where(jobs.run == row.id).group_by(jobs.state)
    counts = {one[0]: one[1] for one in connection.execute(query)}
    waiting = select(jobs.job).where(jobs.run == row.id, jobs.state == "waiting").order_by(jobs.job).limit(_JOBS_TOLD)
    return RunView(
        id=row.id, started=row.started, state=row.state, jobs=counts, waiting=tuple(connection.execute(waiting).scalars())
    )


def _report(row: Row[Any]) -> dict[str, Any]:
    with suppress(msgspec.DecodeError):
        found = msgspec.json.decode(row.report or "{}")
        if isinstance(found, dict):
            return found
    return {}


def _of_night(row: Row[Any]) -> tuple[ColumnElement[bool], ...] | None:
    """Return which attempts are a night's: those of its run, or of its time as long as it has not told its run."""
    report, attempts = _report(row), tables.attempts.c
    if report:
        run = report.get("run")
        return (attempts.run == run,) if isinstance(run, str) and run else None
    last = row.ended or datetime.max.replace(tzinfo=UTC)
    return attempts.id >= f"{row.started:{_STARTS}}", attempts.id <= f"{last:{_STARTS}}~"


def _spans(start: datetime, rows: Sequence[BuildRow]) -> tuple[Span, ...]:
    """Give each attempt the first lane that is free when it begins."""
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    spans = []
    for row in sorted(rows, key=lambda row: row.started):
        begins = (row.started - start).total_seconds()
        while busy and busy[0][0] <= begins:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else len(busy)
        ends = begins + row.seconds
        heapq.heappush(busy, (ends, lane))
        spans.append(Span(lane=lane, begins=begins, ends=ends, build=row))
    return tuple(spans)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
