"""What a scrape of `/metrics` takes while the catalogue grows.

python benchmarks/metrics.py [--quick] [--scrapes N]

Fills a store's catalogue with attempts, wheels and wanted cells, starts `farm serve` on it, and asks for `/metrics` once a second or so, as
what was read is used again for a second. Needs neither network nor engine.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bench import ROOT, shown, spread, table, tell

if TYPE_CHECKING:
    from collections.abc import Iterator

STATES = ("published", "failed", "timed-out", "skipped", "interrupted")
CAUSES = ("missing-system-header", "network", "python-api-removed", "out-of-memory")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def text(when: datetime) -> str:
    """Return a time as the catalogue has it."""
    return when.isoformat(timespec="microseconds")


def attempts(count: int, begin: datetime, chance: random.Random) -> Iterator[tuple[str, ...]]:
    """Yield rows of builds, one each 20 s, a tenth of which found their wheel there."""
    for number in range(count):
        started = begin + timedelta(seconds=20 * number)
        (state,) = chance.choices(STATES, (80, 10, 1, 8, 1))
        key = hashlib.sha256(str(number if chance.random() < 0.9 else number // 2).encode()).hexdigest()
        yield (
            f"{started:%Y%m%d-%H%M%S}-{number:07x}", f"{started:%Y%m%d}", f"package-{number % 5000}", "1.0", "cp313-manylinux_2_28_x86_64",
            state, text(started), text(started + timedelta(seconds=chance.expovariate(1 / 60))), "", "", key, "",
            "" if state == "published" else chance.choice(CAUSES), "", "",
        )  # fmt: skip


def fill(root: Path, count: int) -> None:
    """Put so many attempts, wheels and cells into a store's catalogue."""
    from sqlalchemy import text as sql  # noqa: PLC0415 - after the checkout is on the path

    from farm.adapters.clock import SystemClock  # noqa: PLC0415 - the same
    from farm.adapters.store import Store  # noqa: PLC0415 - the same
    from farm.serve.simple import render_project  # noqa: PLC0415 - the same

    store = Store(root, render_project, SystemClock())
    chance = random.Random(1)
    columns = "id, run, name, version, target, state, started, ended, log, image, key, wheel, cause, summary, remedy"
    marks = ", ".join("?" * 15)
    with store.catalogue.database.write(durable=False) as connection:
        put = connection.exec_driver_sql
        put(f"INSERT INTO attempts ({columns}) VALUES ({marks})", list(attempts(count, BEGIN, chance)))
        connection.execute(
            sql(
                "INSERT INTO wheels (filename, name, version, sha256, size, metadata_sha256, yanked, built_at, sdist, key, attempt,"
                " targets, uploader)"
                " SELECT id || '.whl', name, version, id, 100000, '', 'false', started, '', '', id, '[]', '' FROM attempts"
            )
        )
        connection.execute(sql("INSERT INTO cells SELECT name, id, target, state, '', '', started, started FROM attempts"))
    store.close()


def measure(folder: Path, count: int, scrapes: int) -> dict[str, object]:
    """Return the figures of one size, in seconds."""
    store = folder / f"store-{count}"
    fill(store, count)
    (folder / "config.toml").write_text(f'[store]\npath = "{store}"\n')
    command = [sys.executable, "-m", "farm", "--config", str(folder / "config.toml")]
    began = time.monotonic()
    subprocess.run([*command, "metrics"], cwd=ROOT, check=True, capture_output=True)
    first = time.monotonic() - began
    with subprocess.Popen([*command, "serve", "--port", "0"], cwd=ROOT, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        url = server.stderr.readline().split()[1].removesuffix("/simple/") + "/metrics"
        urllib.request.urlopen(url).read()
        taken = []
        for _ in range(scrapes):
            time.sleep(1.1)
            began = time.monotonic()
            urllib.request.urlopen(url).read()
            taken.append(time.monotonic() - began)
        server.terminate()
    return {"attempts": count, "first": round(first, 2), "scrape_ms": spread([seconds * 1000 for seconds in taken])}


def main() -> None:
    """Measure each size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100,000 builds at most")
    parser.add_argument("--scrapes", type=int, default=30)
    arguments = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for count in (1000, 100_000) if arguments.quick else (1000, 100_000, 1_000_000):
            results.append(measure(Path(folder), count, arguments.scrapes))
            print(results[-1], file=sys.stderr)
    rows = [[f"{each['attempts']:,}", f"{each['first']}", shown(each["scrape_ms"])] for each in results]  # type: ignore[arg-type]
    tell("metrics", table(["builds", "all at first s", "scrape ms"], rows), results)


if __name__ == "__main__":
    main()
