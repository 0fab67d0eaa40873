"""A farm with much on it, for its pages: every state, long names, long logs, and text by strangers who mean no good."""

# ruff: noqa: E501 - rows of made-up data read best whole

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from farm.model.outcome import Diagnosis, Remedy
from farm.model.overview import (
    Cell,
    Matrix,
    MatrixRow,
    PackageView,
    SetPage,
    SetRow,
    TargetTotals,
    TargetView,
    Verdict,
    VersionView,
    WantedBy,
    WheelView,
)
from farm.model.overview_runs import BuildView, MissPage, MissRow, NightRow, NightView, Span, Summary
from farm.serve.web.words import BUILD_STATES, CELL_STATES
from tests.fakes.overview import NOON, FakeOverview, build_row, night_row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from farm.model.overview import MatrixQuery
    from farm.model.overview_runs import BuildRow, MissQuery

EVIL = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>\x1b[31m\u202egpj\x00"
TARGETS = (
    "cp39-manylinux_2_17_x86_64", "cp310-manylinux_2_28_x86_64", "cp311-manylinux_2_28_x86_64", "cp312-manylinux_2_28_x86_64",
    "cp313-manylinux_2_28_x86_64", "cp314-manylinux_2_28_x86_64", "cp314t-manylinux_2_28_x86_64", "cp312-musllinux_1_2_x86_64",
    "cp313-musllinux_1_2_x86_64", "cp312-manylinux_2_28_aarch64", "cp313-musllinux_1_2_aarch64", "cp313-macosx_14_0_arm64",
)  # fmt: skip
_NAMES = (
    "aiohttp", "cffi", "confluent-kafka", "cryptography", "dbus-python", "grpcio", "h5py", "lxml", "mysqlclient", "numpy", "orjson", "pandas",
    "pillow", "psycopg2", "pycairo", "pygobject", "pyodbc", "pyyaml", "scipy", "uvloop",
    "a-project-whose-name-is-much-longer-than-any-column-of-a-table-should-be",
)  # fmt: skip
_WEIGHED = ("upstream-wheel",) * 11 + ("farm-wheel",) * 4 + CELL_STATES
LOG_LINES = 3000
MARK = 1500


def _state(number: int) -> str:
    return _WEIGHED[number * 7919 % 104729 % len(_WEIGHED)]


def matrix_rows(count: int, targets: tuple[str, ...] = TARGETS) -> tuple[MatrixRow, ...]:
    """Return so many pins, each with every target, in all states."""
    rows = []
    for number in range(count):
        name = _NAMES[number % len(_NAMES)] + (f"-{number // len(_NAMES)}" if number >= len(_NAMES) else "")
        cells = tuple(
            Cell(target=target, state=_state(number * len(targets) + column), reason=EVIL if column % 5 == 4 else "ffi.h is missing",
                 build=f"20260102T1200{number:06}" if column % 3 == 0 else "")  # type: ignore[arg-type]
            for column, target in enumerate(targets)
        )  # fmt: skip
        rows.append(MatrixRow(name=name, version=f"{number % 9}.{number % 4}.0", cells=cells))
    return tuple(sorted(rows, key=lambda row: row.name))


def builds() -> tuple[BuildRow, ...]:
    """Return builds in all states, and one under way."""
    rows = []
    for number, state in enumerate(BUILD_STATES * 4):
        bad = state in {"failed", "timed-out", "rejected"}
        begins = NOON + timedelta(minutes=number * 3)
        rows.append(
            build_row(
                f"20260102T12{number:04}-bb", name=_NAMES[number % len(_NAMES)], version="1.2.3", target=TARGETS[number % len(TARGETS)], state=state,
                started=begins, ended=begins + timedelta(seconds=70 + 41 * number), seconds=70.0 + 41 * number,
                cause="missing-header" if bad else "", summary=f"the header ffi.h is missing {EVIL}" if bad else "",
                remedy="install libffi-dev" if bad else "", wheel="" if bad else f"x-1-{number}-py3-none-any.whl",
            )
        )  # fmt: skip
    return tuple(reversed(rows))


FAILED = build_row(
    "20260102T140000-evil", name="cffi", version="1.17.1", target=TARGETS[7], state="failed", seconds=83.0, wheel="", cause="missing-header",
    summary="the header ffi.h is missing", remedy="install libffi-dev",
)  # fmt: skip
RUNNING = build_row("20260102T150000-live", name="under-way", version="2.0", target=TARGETS[3], state="building", ended=None, wheel="", seconds=42.0)


def log_text() -> bytes:
    r"""Return a log with colours, progress that was overwritten, markup, characters that reorder, and a line of 100,000 characters."""
    lines = [f"line {number}: gcc -O2 -Wall -fPIC -I/opt/python/cp312-cp312/include -c src/module_{number}.c" for number in range(1, LOG_LINES + 1)]
    lines[4] = "\x1b[1;32mgood\x1b[0m \x1b[31mbad\x1b[39m \x1b[38;5;196mbright\x1b[0m \x1b]0;title\x07done"
    lines[6] = " 10%\r 50%\r100% done"
    lines[8] = EVIL
    lines[10] = "x" * 100_000
    lines[MARK - 1] = "\x1b[1;31mc/_cffi_backend.c:15:10: fatal error: ffi.h: No such file or directory\x1b[0m <b>"
    return "\n".join(lines).encode() + b"\n\xff\xfe\x80 not text\n"


class BusyFarm(FakeOverview):
    """`folder` gets the logs."""

    def __init__(self, folder: Path, rows: int = 220) -> None:
        failed, live = folder / "failed.log", folder / "live.log"
        failed.write_bytes(log_text())
        live.write_bytes(b"collecting\nbuilding\n")
        super().__init__(
            rows=matrix_rows(rows), attempts=(RUNNING, FAILED, *builds()), logs={FAILED.id: failed, RUNNING.id: live}, alive={RUNNING.id}
        )

    def matrix(self, query: MatrixQuery) -> Matrix:
        targets = tuple(target for target in TARGETS if target in query.targets) or TARGETS
        found = super().matrix(query)
        places = [TARGETS.index(target) for target in targets]
        rows = tuple(replace(row, cells=tuple(row.cells[place] for place in places)) for row in found.rows)
        return replace(found, targets=targets, rows=rows)

    def _totals(self) -> tuple[TargetTotals, ...]:
        totals: dict[str, dict[str, int]] = {target: {} for target in TARGETS}
        for cell in (cell for row in self.rows for cell in row.cells if cell):
            totals[cell.target][cell.state] = totals[cell.target].get(cell.state, 0) + 1
        return tuple(TargetTotals(target=target, states=states) for target, states in totals.items())

    def package(self, name: str) -> PackageView | None:
        rows = [row for row in self.rows if row.name == name]
        wheel = f"{name.replace('-', '_')}-1.17.1-cp312-cp312-musllinux_1_2_x86_64.whl"
        view = WheelView(
            filename=wheel, name=name, version="1.17.1", size=441_234, sha256="9f" * 32, url=f"files/9f/{'9f' * 31}/{wheel}", targets=TARGETS[7:9],
            built=NOON, build=FAILED.id, sdist=f"{name}-1.17.1.tar.gz", requires_python=">=3.8", why="upstream has no wheel for musllinux",
            provenance=f"files/9f/{'9f' * 31}/{wheel}.provenance", downloads=1234, yanked=EVIL,
            verdicts=(
                Verdict(target=TARGETS[7], image="farm/runtime-musllinux:cp312", ok=True, checks=("install", "import cffi", "pip check")),
                Verdict(target=TARGETS[8], image="farm/runtime-musllinux:cp313", ok=False, checks=("install",), failed=("import cffi",)),
            ),
        )  # fmt: skip
        versions = tuple(
            VersionView(version=version, cells=row.cells, wheels=(view,) if version == "1.17.1" else (),
                        wanted_by=(WantedBy(watch="web", version=version, targets=TARGETS[:3]),))
            for version, row in zip(("1.17.1", "1.16.0", "1.0!2.0+local.1"), rows * 3, strict=False)
        )  # fmt: skip
        return PackageView(name=name, targets=TARGETS, versions=versions, builds=self.attempts[:12], misses=12_345) if rows else None

    def build(self, identity: str) -> BuildView | None:
        found = super().build(identity)
        if found is None or identity != FAILED.id:
            return found
        remedies = (
            Remedy(platform="debian", packages=("libffi-dev",)),
            Remedy(platform="alpine", packages=("libffi-dev",), commands=("apk add libffi-dev", EVIL), note="in the image"),
        )
        diagnosis = Diagnosis(
            cause="missing-header", summary="the header ffi.h is missing", line="c/_cffi_backend.c:15:10: fatal error: ffi.h: No such file <b>",
            number=MARK, remedy="install libffi-dev", subject="ffi.h", confidence="high", remedies=remedies,
        )  # fmt: skip
        return replace(
            found, diagnosis=diagnosis, earlier=self.attempts[3:5], memory=734_003_200, cpu_seconds=161.5, reproducible=True,
            commands=("python -m build --wheel --no-isolation", "auditwheel repair dist/*.whl"), dependencies=("setuptools-80.0-py3-none-any.whl",),
        )  # fmt: skip

    def night(self, identity: str) -> NightView | None:
        if identity != night_row().id:
            return None
        spans, ends = [], [0.0] * 4
        for row in reversed(self.attempts[2:]):
            lane = ends.index(min(ends))
            begins = ends[lane] + 4
            ends[lane] = begins + row.seconds
            spans.append(Span(lane=lane, begins=begins, ends=ends[lane], build=row))
        item = {"name": "cffi", "version": "1.17.1", "target": TARGETS[7], "reason": "ffi.h is missing", "attempt": FAILED.id}
        report = {
            "regressions": [item], "built": [item | {"name": "lxml", "healed": [f"libxslt1-dev was installed {EVIL}"], "reason": ""}],
            "unreadable": [{"subject": "web", "text": EVIL}], "notes": ["one note"], "failing": "no list", "waiting": [1, None, {"name": 3}],
        }  # fmt: skip
        return NightView(night=self._night(), report=report, spans=tuple(spans), lanes=4, complete=False)

    def nights(self, limit: int) -> tuple[NightRow, ...]:
        first = self._night()
        running = replace(first, id="now", state="running", ended=None, builds={})
        return (running, *(replace(first, started=first.started - timedelta(days=day)) for day in range(8)))[:limit]

    def _night(self) -> NightRow:
        return replace(night_row(), builds={"published": 14, "failed": 4, "timed-out": 1})

    def misses(self, query: MissQuery) -> MissPage:
        rows = tuple(
            MissRow(name=name, version="1.0", target=TARGETS[place % 12] if place % 4 else "", count=900 - place * 31, last=NOON,
                    clients=("pip 25.1", "uv 0.13.2", EVIL), state=_state(place) if place % 3 else "")
            for place, name in enumerate(_NAMES) if query.name in {"", name}
        )  # fmt: skip
        return MissPage(misses=rows[query.offset :][: query.limit], more=len(rows) > query.offset + query.limit, total=4711)

    def sets(self, after: str, limit: int) -> SetPage:
        fine = self._set()
        broken = replace(fine, name="broken", error=f"requirements.txt: no such file {EVIL}", looked=None, pins=0)
        shown: tuple[SetRow, ...] = (broken, replace(fine, sources=("git+https://git.example/team/app#services/api", EVIL)))
        return SetPage(sets=shown[:limit], next="")

    def targets(self) -> tuple[TargetView, ...]:
        return tuple(
            TargetView(name=total.target, configured=True, python="3.12", libc="glibc 2.28", arch="x86_64", states=total.states)
            for total in self._totals()
        )

    def summary(self, days: int) -> Summary:
        return replace(
            super().summary(days), projects=1234, wheels=5678, wheel_bytes=23_400_000_000, missing=87, failed=19, downloads=120_345,
            misses=4711, seconds_saved=5_123_456.0, disk_free=120 << 30, disk_total=1 << 40, last_night=self._night(),
        )  # fmt: skip


async def follow_file(path: Path, running: asyncio.Event) -> AsyncIterator[bytes]:
    """Yield what a file has and gets, until `running` is set."""
    with path.open("rb") as file:
        while True:
            over = running.is_set()
            if data := file.read(1 << 16):
                yield data
            elif over:
                return
            else:
                await asyncio.sleep(0.02)
