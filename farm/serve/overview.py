"""What the pages and the API ask of the world; `farm.adapters.overview` answers from the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

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


class Overview(Protocol):
    """What the farm knows, a page at a time. Its methods block; StoreError when the catalogue cannot be read. Safe for threads.

    Names of projects are taken in any spelling. `after` is the `next` of the page before; what it cannot read is as "".
    """

    def matrix(self, query: MatrixQuery) -> Matrix: ...

    def package(self, name: str) -> PackageView | None:
        """Return everything about a project; None when the farm knows nothing of it."""
        ...

    def builds(self, query: BuildQuery) -> BuildPage: ...

    def build(self, identity: str) -> BuildView | None: ...

    def log(self, identity: str) -> Path | None:
        """Return where the log of an attempt is, None for an unknown attempt. The file may be gone."""
        ...

    def running(self, identity: str) -> bool:
        """Tell whether a process is at this attempt now: cheap, asked again and again while somebody reads its log."""
        ...

    def queue(self) -> Queue: ...

    def nights(self, limit: int) -> tuple[NightRow, ...]:
        """Return the last nights, newest first."""
        ...

    def night(self, identity: str) -> NightView | None: ...

    def misses(self, query: MissQuery) -> MissPage: ...

    def sets(self, after: str, limit: int) -> SetPage: ...

    def set(self, name: str) -> SetView | None: ...

    def gaps(self, query: MatrixQuery) -> GapPage:
        """Return what has no wheel, one by one; of the query `states` narrow what counts as missing, and all else is as for `matrix`."""
        ...

    def wheels(self, name: str, after: str, limit: int) -> WheelPage:
        """Return the files of the index by name (of all projects for ""), then file name."""
        ...

    def targets(self) -> tuple[TargetView, ...]: ...

    def summary(self, days: int) -> Summary: ...
