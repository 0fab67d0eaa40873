"""How long the server takes for pages of a large farm: 5,000 packages x 12 targets, and a catalogue with 100,000 projects.

    python -m benchmarks.pages [--projects 5000] [--repeat 30] [--store FOLDER]

Times are the server's own: the application is called in this process, without a socket. Each page is asked for once before.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from farm.adapters import tables
from farm.adapters.clock import SystemClock
from farm.adapters.store import Store
from farm.serve.simple import render_project

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Table
    from sqlalchemy.engine import Connection

TARGETS = tuple(
    f"{python}-{platform}"
    for python in ("cp311", "cp312", "cp313", "cp314")
    for platform in ("manylinux_2_28_x86_64", "manylinux_2_28_aarch64", "musllinux_1_2_x86_64")
)
_STATES = ("upstream-wheel",) * 8 + ("farm-wheel",) * 6 + ("build", "failed")
_ROWS_AT_ONCE = 20_000
_NOW = datetime.now(UTC)


def fill(store: Store, projects: int) -> None:
    """Put `projects` projects with a version, 12 cells, six wheels and some attempts each into an empty catalogue."""
    with store.catalogue.database.write() as connection:
        _insert(connection, tables.cells, _cells(projects))
        _insert(connection, tables.wheels, _wheels(projects))
        _insert(connection, tables.attempts, _attempts(projects))
        _insert(connection, tables.wanted, _wanted(projects))
        _insert(connection, tables.watch_states, _looks(projects))
        _insert(connection, tables.downloads, _downloads(projects))
        _insert(connection, tables.misses, _misses(projects))


def name_of(number: int) -> str:
    return f"{'abcdefghijklmnopqrstuvwxyz'[number % 26]}-package-{number:06}"


def _insert(connection: Connection, table: Table, rows: Iterator[dict[str, Any]]) -> None:
    some: list[dict[str, Any]] = []
    for row in rows:
        some.append(row)
        if len(some) == _ROWS_AT_ONCE:
            connection.execute(insert(table), some)
            some.clear()
    if some:
        connection.execute(insert(table), some)


def _state(number: int, place: int) -> str:
    return _STATES[(number * 7 + place) % len(_STATES)]


def _filename(number: int, target: str) -> str:
    python, _, platform = target.partition("-")
    return f"{name_of(number).replace('-', '_')}-1.0-{python}-{python}-{platform}.whl"


def _cells(projects: int) -> Iterator[dict[str, Any]]:
    for number in range(projects):
        for place, target in enumerate(TARGETS):
            state = _state(number, place)
            file = _filename(number, target) if state.endswith("wheel") else ""
            yield {
                "name": name_of(number), "version": "1.0", "target": target, "state": state, "file": file, "since": _NOW, "seen": _NOW,
                "reason": "" if file else "no wheel on the index fits this target",
            }  # fmt: skip


def _made(projects: int) -> Iterator[tuple[int, str]]:
    for number in range(projects):
        for place, target in enumerate(TARGETS):
            if _state(number, place) == "farm-wheel":
                yield number, target


def _wheels(projects: int) -> Iterator[dict[str, Any]]:
    for number, target in _made(projects):
        yield {
            "filename": _filename(number, target), "name": name_of(number), "version": "1.0", "sha256": f"{number:064x}", "size": 1 << 20,
            "metadata_sha256": "", "requires_python": ">=3.9", "yanked": False, "upload_time": None, "built_at": _NOW,
            "sdist": f"{name_of(number)}-1.0.tar.gz", "sdist_sha256": None, "key": f"{number:064x}", "attempt": f"a{number:08}-{target}",
            "targets": [target], "uploader": "",
        }  # fmt: skip


def _attempts(projects: int) -> Iterator[dict[str, Any]]:
    for number in range(projects):
        for place, target in enumerate(TARGETS):
            state = {"farm-wheel": "published", "failed": "failed"}.get(_state(number, place))
            if state:
                yield {
                    "id": f"a{number:08}-{target}", "run": f"run-{number // 500}", "name": name_of(number), "version": "1.0",
                    "target": target, "state": state, "started": _NOW - timedelta(minutes=2), "ended": _NOW, "log": "logs/none.log",
                    "image": "sha256:1", "key": None, "wheel": "", "digest": None, "cause": "", "remedy": "",
                    "summary": "" if state == "published" else "a header is missing",
                }  # fmt: skip


def _wanted(projects: int) -> Iterator[dict[str, Any]]:
    for number in range(projects):
        for target in TARGETS[:6]:
            yield {"watch": f"set-{number // 300}", "name": name_of(number), "version": "1.0", "target": target}


def _looks(projects: int) -> Iterator[dict[str, Any]]:
    for number in range(0, projects, 300):
        yield {"name": f"set-{number // 300}", "looked": _NOW, "digest": "", "error": "", "pins": 300, "seconds": 1.0}


def _downloads(projects: int) -> Iterator[dict[str, Any]]:
    for number, target in _made(projects):
        if number % 10 == 0:
            yield {"day": f"{_NOW:%Y-%m-%d}", "filename": _filename(number, target), "count": 3}


def _misses(projects: int) -> Iterator[dict[str, Any]]:
    for number in range(0, projects, 10):
        yield {
            "day": f"{_NOW:%Y-%m-%d}", "name": name_of(number), "version": "1.0", "target": TARGETS[0], "client": "pip 25.1", "count": 2,
            "last": _NOW,
        }  # fmt: skip


def pages(projects: int) -> Sequence[str]:
    """Return what is asked for: below the server's URL."""
    middle = name_of(projects // 2)
    return (
        "api/v1/matrix",
        f"api/v1/matrix?after={middle}%3D%3D1.0",
        "api/v1/matrix?search=0042",
        "api/v1/matrix?search=nothing-of-it",
        "api/v1/matrix?state=failed",
        f"api/v1/matrix?state=failed&state=build&target={TARGETS[3]}",
        "api/v1/matrix?state=timed-out",
        "api/v1/matrix?watch=set-3",
        f"api/v1/packages/{middle}",
        "api/v1/builds",
        "api/v1/builds?state=failed",
        "api/v1/gaps",
        "api/v1/wheels",
        "api/v1/misses",
        "api/v1/sets",
        "api/v1/sets/set-3",
        "api/v1/summary",
        "",
        "matrix",
        f"matrix?after={middle}%3D%3D1.0",
        "matrix?limit=200",
        "matrix?search=0042",
        "matrix?state=failed",
        f"project/{middle}",
        "builds",
        "queue",
        "misses",
        "sets",
    )


def measure(store: Store, root: Path, projects: int, repeat: int) -> dict[str, tuple[int, float, float, float]]:
    """Return by page (bytes, first, median, slowest) with times in ms."""
    from benchmarks.pages_client import client  # noqa: PLC0415 - it imports the server

    found = {}
    with client(store, root, TARGETS) as get:
        for path in pages(projects):
            times = []
            for _ in range(repeat + 1):
                begun = time.perf_counter()
                size = get(path)
                times.append((time.perf_counter() - begun) * 1000)
            found[path] = (size, times[0], statistics.median(times[1:]), max(times[1:]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--projects", type=int, default=5_000)
    parser.add_argument("--repeat", type=int, default=30)
    parser.add_argument("--store", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = options.store or Path(scratch)
        store = Store(root, render_project, SystemClock())
        if not (root / "filled").exists():
            fill(store, options.projects)
            (root / "filled").touch()
        found = measure(store, root, options.projects, options.repeat)
        store.close()
    print(f"{'page':60} {'KiB':>8} {'first':>9} {'median':>9} {'slowest':>9}  (ms)")
    for path, (size, first, median, slowest) in found.items():
        print(f"{path:60} {size / 1024:8.1f} {first:9.1f} {median:9.1f} {slowest:9.1f}")


if __name__ == "__main__":
    main()
