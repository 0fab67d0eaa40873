"""Satisfies `farm.serve.overview.Overview` from the catalogue and the logs of one store."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from farm.adapters.overview_builds import BuildsReader
from farm.adapters.overview_matrix import MatrixReader
from farm.adapters.overview_wants import DemandReader, SetsReader, target_views
from farm.adapters.overview_wheels import WheelsReader
from farm.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from farm.adapters.database import Database
    from farm.adapters.store import Store
    from farm.model.overview import GapPage, Matrix, MatrixQuery, PackageView, SetPage, SetView, TargetView, WheelPage
    from farm.model.overview_runs import (
        BuildPage,
        BuildQuery,
        BuildView,
        MissPage,
        MissQuery,
        NightRow,
        NightView,
        Queue,
        Summary,
    )


class CatalogueOverview:
    """Nothing is read before it is asked for. StoreError when the catalogue cannot be read. Safe for threads."""

    def __init__(
        self,
        store: Store,
        root: Path,
        now: Callable[[], datetime],
        targets: Sequence[str] = (),
        sets: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] | None = None,
    ) -> None:
        """`targets` are config.toml's, `sets` its watch sets: (sources, targets) by name."""
        self._store = store
        self._configured = tuple(targets)
        self._matrix = MatrixReader(self._database, self._configured, self._alive)
        self._builds = BuildsReader(self._database, root, self._alive, now)
        self._wheels = WheelsReader(self._database, store.attestations, statements=store.serves_statements)
        self._sets = SetsReader(self._database, sets or {})
        self._demand = DemandReader(self._database, root, self._alive, now)

    def warm(self) -> None:
        """Make what every page counts, so that nobody waits for it who asks first."""
        with suppress(StoreError):
            self.summary(30)

    def matrix(self, query: MatrixQuery) -> Matrix:
        return self._matrix.matrix(query)

    def package(self, name: str) -> PackageView | None:
        return self._wheels.package(name, self._matrix, self._builds)

    def builds(self, query: BuildQuery) -> BuildPage:
        return self._builds.builds(query)

    def build(self, identity: str) -> BuildView | None:
        return self._builds.build(identity)

    def log(self, identity: str) -> Path | None:
        return self._builds.log(identity)

    def running(self, identity: str) -> bool:
        return self._builds.running(identity)

    def queue(self) -> Queue:
        return self._builds.queue()

    def nights(self, limit: int) -> tuple[NightRow, ...]:
        return self._builds.nights(limit)

    def night(self, identity: str) -> NightView | None:
        return self._builds.night(identity)

    def misses(self, query: MissQuery) -> MissPage:
        return self._demand.misses(query)

    def sets(self, after: str, limit: int) -> SetPage:
        return self._sets.sets(after, limit)

    def set(self, name: str) -> SetView | None:
        return self._sets.set(name)

    def gaps(self, query: MatrixQuery) -> GapPage:
        return self._matrix.gaps(query)

    def wheels(self, name: str, after: str, limit: int) -> WheelPage:
        return self._wheels.wheels(name, after, limit)

    def targets(self) -> tuple[TargetView, ...]:
        return target_views(self._matrix, self._configured)

    def summary(self, days: int) -> Summary:
        return self._demand.summary(days, (self._matrix, self._builds, self._sets))

    def _database(self) -> Database:
        return self._store.catalogue.database

    def _alive(self, run: str) -> bool:
        # Of a store that cannot be written nobody can tell; the builds in it are other people's.
        with suppress(StoreError):
            return self._store.locks.alive(run)
        return False
