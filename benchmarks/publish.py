"""What publishing costs, and that it does not grow with the store: 200 wheels into stores of 1,000, 10,000 and 100,000.

Three ways: `Store.publish` one by one (as `farm build` does it), `Store.publish_many`, and the upload API of a running
`farm serve` with a token, over one connection. The disk's part is measured beside them in the same minute, as every figure
hangs on what a wait for the disk costs: the files that a publish must make durable, written by a bare loop.
"""

from __future__ import annotations

import argparse
import http.client
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import ROOT, shown, spread, table, tell

from farm.adapters.clock import SystemClock
from farm.adapters.store import Store
from farm.adapters.tokens import Tokens
from farm.model.token import Token
from farm.serve.simple import render_project
from tests.fakes.store import Wheelmaker
from tests.functional.upload_server import EDGE, form
from tests.unit.adapters.wheels import make_wheel

if TYPE_CHECKING:
    from farm.model.attempt import WheelRecord
    from farm.model.outcome import Verified

WHEELS, A_PROJECT, SIZE = 200, 5, 40_000
AIMS = {"one by one": 0.5, "at once": 0.5, "upload API": 2.7}


def project(number: int) -> str:
    return f"demo-{number:05d}"


def fill(store: Store, folder: Path, count: int) -> None:
    """List `count` wheels, five a project. Their bytes are not there: nothing of publishing looks at other wheels' bytes."""
    plain, _ = Wheelmaker(folder=folder).make("demo", "1.0")
    records = []
    for number in range(count):
        name, version = project(number // A_PROJECT), f"0.{number % A_PROJECT}"
        filename = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        records.append(replace(plain, filename=filename, name=name, version=type(plain.version)(version)))  # type: ignore[arg-type]
    # Publishing without the bytes: the catalogue and the pages are what grows.
    store._publication.list_files(records)  # noqa: SLF001


def fresh(folder: Path, turn: str, count: int) -> list[tuple[WheelRecord, Verified]]:
    """Make wheels: nine in ten are a new version of a known project, the tenth is a new project."""
    maker, projects = Wheelmaker(folder=folder), count // A_PROJECT
    names = [
        f"fresh-{turn.replace('.', '-')}-{n}" if n % 10 == 9 else project((n * 7 + 151) % projects)
        for n in range(WHEELS)
    ]
    return [maker.make(name, f"{turn}.{n}", body="x" * SIZE) for n, name in enumerate(names)]


def one_by_one(store: Store, made: list[tuple[WheelRecord, Verified]]) -> float:
    started = time.perf_counter()
    for wheel in made:
        store.publish(*wheel)
    return time.perf_counter() - started


def at_once(store: Store, made: list[tuple[WheelRecord, Verified]]) -> float:
    started = time.perf_counter()
    store.publish_many(made)
    return time.perf_counter() - started


def disk_alone(folder: Path) -> float:
    """Make as many files durable as publishing one by one does: wheel, METADATA and page, two folders, a line of a log."""
    folder.mkdir(exist_ok=True)
    names = os.open(folder, os.O_RDONLY)
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT)
    started = time.perf_counter()
    for number in range(WHEELS):
        for size, last in ((SIZE, False), (200, True), (8000, True)):
            path = folder / f"{number}-{size}"
            handle = os.open(path, os.O_WRONLY | os.O_CREAT)
            os.write(handle, b"x" * size)
            os.fsync(handle)
            os.close(handle)
            path.rename(folder / f"{number}-{size}.done")
            if last:
                os.fsync(names)
        os.pwrite(log, b"x" * 4096, number * 4096)
        os.fdatasync(log)
    seconds = time.perf_counter() - started
    os.close(names)
    os.close(log)
    return seconds


class Serving:
    """`farm serve` on a store, in a process of its own; nobody upstream is asked."""

    def __init__(self, folder: Path) -> None:
        (folder / "config.toml").write_text('[store]\npath = "store"\n[index]\nprivate = ["*"]\n[serve]\nport = 0\n')
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "FARM_"))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "farm", "serve"], cwd=folder, env={**kept, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True
        )  # fmt: skip
        assert self._process.stderr is not None
        line = self._process.stderr.readline()
        self.port = int(line.split("://", 1)[1].split("/", 1)[0].rpartition(":")[2])

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate()


def upload(port: int, secret: str, wheels: list[Path]) -> float:
    """Upload wheels over one connection, and see the last one listed; return the seconds until it is."""
    bodies = [
        form([(":action", "file_upload"), ("protocol_version", "1")], path.name, path.read_bytes()) for path in wheels
    ]
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": f"multipart/form-data; boundary={EDGE}"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    started = time.perf_counter()
    for body in bodies:
        connection.request("POST", "/legacy/", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            sys.exit(f"an upload was answered {answer.status}: {text[:300]!r}")
    last = wheels[-1].name
    connection.request("GET", f"/wheels/simple/{last.split('-')[0].replace('_', '-')}/")
    if last.encode() not in connection.getresponse().read():
        sys.exit(f"{last} was uploaded and is not on its page")
    seconds = time.perf_counter() - started
    connection.close()
    return seconds


def uploads(folder: Path, turn: int, count: int) -> list[Path]:
    """Make wheels to upload, with a RECORD that holds."""
    folder.mkdir(parents=True, exist_ok=True)
    projects = count // A_PROJECT
    names = [
        f"upload_{turn}_{n}" if n % 10 == 9 else project((n * 7 + 151) % projects).replace("-", "_")
        for n in range(WHEELS)
    ]
    data = os.urandom(SIZE)
    return [
        make_wheel(folder, name, {"payload.bin": data + b"%d" % n}, tag=f"py3{turn}-none-any")
        for n, name in enumerate(names)
    ]


def secret_of(store: Store, root: Path) -> str:
    made = Token(name="benchmark", hash="", scope="upload", projects=(), created=datetime.now(UTC), expires=None)
    return Tokens(root, store.catalogue.database, store.locks).create(made)


def measure(folder: Path, count: int, rounds: int) -> dict[str, Any]:
    """Return the figures of one size of store."""
    root = folder / "store"
    store = Store(root, render_project, SystemClock())
    started = time.perf_counter()
    fill(store, folder / "made", count)
    filled = time.perf_counter() - started
    secret = secret_of(store, root)
    serving = Serving(folder)
    seconds: dict[str, list[float]] = {"disk alone": [], **{way: [] for way in AIMS}}
    try:
        for turn in range(rounds):
            seconds["disk alone"].append(disk_alone(folder / f"disk-{turn}"))
            seconds["one by one"].append(one_by_one(store, fresh(folder / "made", f"{turn}.1", count)))
            seconds["at once"].append(at_once(store, fresh(folder / "made", f"{turn}.2", count)))
            seconds["upload API"].append(upload(serving.port, secret, uploads(folder / "up", turn, count)))
    finally:
        serving.stop()
        store.close()
    return {"wheels": count, "filled": round(filled, 1), **{way: spread(taken) for way, taken in seconds.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 and 10,000 wheels, three rounds")
    asked = parser.parse_args()
    counts, rounds = ((1000, 10_000), 3) if asked.quick else ((1000, 10_000, 100_000), 5)
    results = []
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="publish-") as scratch:
            results.append(measure(Path(scratch), count, rounds))
    heads = ("wheels in the store", *(f"{way} s (aim {aim})" for way, aim in AIMS.items()), "disk alone s")
    rows = [(f"{r['wheels']:,}", *(shown(r[way]) for way in AIMS), shown(r["disk alone"])) for r in results]
    tell("publish", table(heads, rows), results)


if __name__ == "__main__":
    main()
