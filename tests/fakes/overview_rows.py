"""Rows of a real catalogue, for what reads them all: written as tables have them, without the work that makes them."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from farm.adapters import tables
from farm.adapters.overview import CatalogueOverview
from farm.adapters.store import Store
from farm.serve.simple import render_project
from tests.fakes.store import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sqlalchemy import Table

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
T1 = "cp311-manylinux_2_28_x86_64"
T2 = "cp312-musllinux_1_2_x86_64"
RUN = "20260310-110000-aaaaaa"


class Rows:
    """A store whose catalogue is filled by hand; `overview` reads it."""

    def __init__(self, root: Path, sets: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] | None = None) -> None:
        self.root = root
        self.store = Store(root, render_project, FakeClock(time=NOW))
        self._sets = sets
        self._number = 0

    @property
    def overview(self) -> CatalogueOverview:
        """One that has counted nothing yet."""
        return CatalogueOverview(self.store, self.root, lambda: NOW, (T1, T2), self._sets)

    def put(self, table: Table, **values: Any) -> None:
        with self.store.catalogue.database.write(durable=False) as connection:
            connection.execute(insert(table).values(**values))

    def cell(self, name: str, version: str, target: str, state: str) -> None:
        file = f"{name}-{version}-py3-none-any.whl" if state in {"upstream-wheel", "farm-wheel"} else ""
        self.put(
            tables.cells, name=name, version=version, target=target, state=state, reason="" if file else "because", file=file, since=NOW,
            seen=NOW,
        )  # fmt: skip

    def attempt(self, name: str, version: str, target: str, state: str, **values: Any) -> str:
        self._number += 1
        identity = f"20260310-11{self._number // 60:02}{self._number % 60:02}-{self._number:06}"
        row = {
            "id": identity, "run": RUN, "name": name, "version": version, "target": target, "state": state,
            "started": NOW - timedelta(minutes=5), "ended": NOW, "log": f"logs/{identity}.log", "image": "", "key": None, "wheel": "",
            "digest": None, "cause": "", "summary": "", "remedy": "",
        }  # fmt: skip
        self.put(tables.attempts, **row | values)
        return str(row["id"] if "id" not in values else values["id"])

    def wheel(self, name: str, version: str, target: str, attempt: str = "") -> str:
        filename = f"{name}-{version}-{target}.whl"
        self.put(
            tables.wheels, filename=filename, name=name, version=version, sha256=f"{len(filename):064x}", size=1000, metadata_sha256="",
            requires_python=None, yanked=False, upload_time=None, built_at=NOW, sdist="", sdist_sha256=None, key="", attempt=attempt,
            targets=[target], uploader="",
        )  # fmt: skip
        return filename

    def want(self, watch: str, name: str, version: str, target: str) -> None:
        self.put(tables.wanted, watch=watch, name=name, version=version, target=target)

    def miss(self, name: str, count: int, **values: Any) -> None:
        row = {"day": f"{NOW:%Y-%m-%d}", "name": name, "version": "1.0", "target": T1, "client": "pip 25", "count": count, "last": NOW}
        self.put(tables.misses, **row | values)


@contextmanager
def made(root: Path, sets: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] | None = None) -> Iterator[Rows]:
    rows = Rows(root, sets)
    try:
        yield rows
    finally:
        rows.store.close()
