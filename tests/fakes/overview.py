"""`farm.serve.overview.Overview` from records that a test gives: no catalogue, no files but the log's."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from farm.model.outcome import Diagnosis
from farm.model.overview import (
    Cell,
    Gap,
    GapPage,
    Matrix,
    MatrixRow,
    PackageView,
    SetPage,
    SetRow,
    SetView,
    TargetTotals,
    TargetView,
    Verdict,
    VersionView,
    WantedBy,
    WheelPage,
    WheelView,
)
from farm.model.overview_runs import (
    BuildPage,
    BuildRow,
    BuildView,
    MissPage,
    MissRow,
    NightRow,
    NightView,
    Queue,
    RunView,
    Span,
    Summary,
    Worker,
)
from farm.model.report import THERE

if TYPE_CHECKING:
    from pathlib import Path

    from farm.model.overview import MatrixQuery
    from farm.model.overview_runs import BuildQuery, MissQuery

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
TARGETS = ("cp311-manylinux_2_36_x86_64", "cp313-musllinux_1_2_x86_64")


def build_row(identity: str = "20260102T120000-aa", **changes: object) -> BuildRow:
    row = BuildRow(
        id=identity, run="20260102T115900-run", name="example", version="1.0", target=TARGETS[0], state="published", started=NOON,
        ended=NOON + timedelta(seconds=90), seconds=90.0, wheel="example-1.0-cp311-cp311-manylinux_2_36_x86_64.whl",
    )  # fmt: skip
    return replace(row, **changes)  # type: ignore[arg-type]


FAILED = build_row(
    "20260102T121000-bb", target=TARGETS[1], state="failed", wheel="", cause="missing-header", summary="ffi.h is missing",
    remedy="install libffi-dev",
)  # fmt: skip
RUNNING = build_row("20260102T122000-cc", name="under-way", state="building", ended=None, running=True, wheel="")


def wheel_view() -> WheelView:
    built = build_row()
    return WheelView(
        filename=built.wheel, name="example", version="1.0", size=123_456, sha256="a" * 64, url=f"files/aa/{'a' * 62}/{built.wheel}",
        targets=TARGETS[:1], built=NOON, build=built.id, sdist="example-1.0.tar.gz", why="no wheel on the upstream index",
        verdicts=(Verdict(target=TARGETS[0], image="runtime-bookworm", ok=True, checks=("install", "import")),), downloads=7,
    )  # fmt: skip


def night_row() -> NightRow:
    return NightRow(
        id="20260102T115900-run", started=NOON, ended=NOON + timedelta(hours=1), state="ended", seconds=3600.0,
        builds={"published": 1, "failed": 1},
    )  # fmt: skip


@dataclass(kw_only=True)
class FakeOverview:
    """Small and consistent: one project with a wheel and a failure, one build under way. `logs` maps builds to their files."""

    rows: tuple[MatrixRow, ...] = (
        MatrixRow(
            name="example",
            version="1.0",
            cells=(
                Cell(target=TARGETS[0], state="farm-wheel", file=wheel_view().filename, build=build_row().id, since=NOON),
                Cell(target=TARGETS[1], state="failed", reason="ffi.h is missing", build=FAILED.id, since=NOON),
            ),
        ),
        MatrixRow(name="under-way", version="1.0", cells=(Cell(target=TARGETS[0], state="building", build=RUNNING.id), None)),
    )
    attempts: tuple[BuildRow, ...] = (RUNNING, FAILED, build_row())
    logs: dict[str, Path] = field(default_factory=dict)
    alive: set[str] = field(default_factory=lambda: {RUNNING.id})

    def matrix(self, query: MatrixQuery) -> Matrix:
        search = canonicalize_name(query.search)
        rows = [row for row in self.rows if search in row.name and f"{row.name} {row.version}" > query.after]
        if query.states:
            rows = [row for row in rows if any(cell and cell.state in query.states for cell in row.cells)]
        shown = tuple(rows[: query.limit])
        more = f"{shown[-1].name} {shown[-1].version}" if len(rows) > len(shown) else ""
        return Matrix(targets=TARGETS, rows=shown, next=more, projects=len(rows), totals=self._totals())

    def _totals(self) -> tuple[TargetTotals, ...]:
        totals: dict[str, dict[str, int]] = {target: {} for target in TARGETS}
        for cell in (cell for row in self.rows for cell in row.cells if cell):
            totals[cell.target][cell.state] = totals[cell.target].get(cell.state, 0) + 1
        return tuple(TargetTotals(target=target, states=states) for target, states in totals.items())

    def package(self, name: str) -> PackageView | None:
        name = canonicalize_name(name)
        rows = [row for row in self.rows if row.name == name]
        if not rows:
            return None
        wheels = (wheel_view(),) if name == "example" else ()
        wanted = (WantedBy(watch="web", version="1.0", targets=TARGETS),)
        versions = tuple(VersionView(version=row.version, cells=row.cells, wheels=wheels, wanted_by=wanted) for row in rows)
        builds = tuple(row for row in self.attempts if row.name == name)
        return PackageView(name=name, targets=TARGETS, versions=versions, builds=builds, misses=3)

    def builds(self, query: BuildQuery) -> BuildPage:
        rows = [
            row for row in self.attempts
            if query.name in {"", row.name} and query.target in {"", row.target} and (not query.states or row.state in query.states)
            and (not query.after or row.id < query.after)
        ]  # fmt: skip
        shown = tuple(rows[: query.limit])
        return BuildPage(builds=shown, next=shown[-1].id if len(rows) > len(shown) else "")

    def build(self, identity: str) -> BuildView | None:
        row = next((row for row in self.attempts if row.id == identity), None)
        if row is None:
            return None
        diagnosis = Diagnosis(cause=row.cause, summary=row.summary, remedy=row.remedy, line="fatal error: ffi.h", number=12)
        log = self.logs.get(identity)
        return BuildView(
            build=replace(row, running=self.running(identity)), image="builder-bookworm", diagnosis=diagnosis if row.cause else None,
            repro=f"farm repro {row.id}", log_size=log.stat().st_size if log and log.exists() else None,
        )  # fmt: skip

    def log(self, identity: str) -> Path | None:
        return self.logs.get(identity)

    def running(self, identity: str) -> bool:
        return identity in self.alive

    def queue(self) -> Queue:
        run = RunView(id=RUNNING.run, started=NOON, state="running", jobs={"building": 1, "waiting": 2}, waiting=("a-1", "b-1"))
        workers = tuple(Worker(run=row.run, build=row) for row in self.attempts if row.id in self.alive)
        return Queue(runs=(run,) if workers else (), workers=workers, waiting=2 if workers else 0)

    def nights(self, limit: int) -> tuple[NightRow, ...]:
        return (night_row(),)[:limit]

    def night(self, identity: str) -> NightView | None:
        if identity != night_row().id:
            return None
        spans = (Span(lane=0, begins=0.0, ends=90.0, build=build_row()), Span(lane=1, begins=10.0, ends=100.0, build=FAILED))
        return NightView(night=night_row(), report={}, spans=spans, lanes=2)

    def misses(self, query: MissQuery) -> MissPage:
        row = MissRow(
            name="example", version="1.0", target=TARGETS[1], count=3, last=NOON, clients=("pip 25.1",), state="failed"
        )
        found = (row,) if query.name in {"", row.name} else ()
        return MissPage(misses=found[query.offset :][: query.limit], more=False, total=sum(row.count for row in found))

    def sets(self, after: str, limit: int) -> SetPage:
        return SetPage(sets=(self._set(),) if after < "web" and limit else (), next="")

    def set(self, name: str) -> SetView | None:
        return SetView(set=self._set(), options={}, totals=self._totals()) if name == "web" else None

    def _set(self) -> SetRow:
        return SetRow(
            name="web", sources=("requirements.txt",), origin="command", targets=TARGETS, created=NOON, looked=NOON, error="", pins=2,
            missing=1,
        )  # fmt: skip

    def gaps(self, query: MatrixQuery) -> GapPage:
        cells = [(row, cell) for row in self.rows for cell in row.cells if cell and cell.state not in THERE]
        gaps = tuple(Gap(name=row.name, version=row.version, cell=cell, wanted_by=("web",)) for row, cell in cells)
        return GapPage(gaps=gaps[: query.limit], next="")

    def wheels(self, name: str, after: str, limit: int) -> WheelPage:
        found = (wheel_view(),) if name in {"", "example"} and not after else ()
        return WheelPage(wheels=found[:limit], next="")

    def targets(self) -> tuple[TargetView, ...]:
        return tuple(
            TargetView(name=total.target, configured=True, python="3.11", libc="glibc 2.36", arch="x86_64", states=total.states)
            for total in self._totals()
        )

    def summary(self, days: int) -> Summary:
        return Summary(
            projects=2, wheels=1, wheel_bytes=123_456, sets=1, missing=1, failed=1, building=1, days=days, downloads=7, misses=3,
            seconds_saved=630.0, disk_free=1 << 30, disk_total=1 << 34, last_night=night_row(),
        )  # fmt: skip
