"""The index' files as the pages show them: why each is there, what its proof found, how often it was fetched."""

from __future__ import annotations

import base64
import binascii
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from sqlalchemy import func, select

from farm.adapters import tables
from farm.adapters.overview_cells import NAMES_AT_ONCE
from farm.model.attestation import parse_envelopes
from farm.model.overview import PackageView, Verdict, VersionView, WantedBy, WheelPage, WheelView
from farm.model.page import file_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Select
    from sqlalchemy.engine import Connection, Row

    from farm.adapters.attestations import Attestations
    from farm.adapters.database import Database
    from farm.adapters.overview_builds import BuildsReader
    from farm.adapters.overview_cells import PinCells
    from farm.adapters.overview_matrix import MatrixReader
    from farm.model.package import Digest

_BUILDS_TOLD = 20
_WANTED_AT_MOST = 2_000
_FILES: Select[Any] = select(tables.wheels, tables.retirements.c.upstream).select_from(
    tables.wheels.outerjoin(tables.retirements, tables.wheels.c.filename == tables.retirements.c.filename)
)


class WheelsReader:
    """StoreError when the database fails. Safe for threads."""

    def __init__(self, database: Callable[[], Database], attestations: Attestations, *, statements: bool) -> None:
        """`statements` tells whether the index serves signed statements about its files."""
        self._database = database
        self._attestations = attestations
        self._statements = statements

    def wheels(self, name: str, after: str, limit: int) -> WheelPage:
        """Return files by file name: names of one project begin alike, so that this is by project too."""
        wheels = tables.wheels.c
        query = _FILES.where(wheels.filename > after) if after else _FILES
        if name:
            query = query.where(wheels.name == canonicalize_name(name))
        with self._database().read() as connection:
            rows = connection.execute(query.order_by(wheels.filename).limit(limit + 1)).all()
            views = self._views(connection, rows[:limit])
        return WheelPage(wheels=views, next=views[-1].filename if len(rows) > limit else "")

    def package(self, name: str, matrix: MatrixReader, builds: BuildsReader) -> PackageView | None:
        name = canonicalize_name(name)
        with self._database().read() as connection:
            pins = matrix.of_project(connection, name)
            rows = connection.execute(_FILES.where(tables.wheels.c.name == name).order_by(tables.wheels.c.filename)).all()
            wheels: dict[str, list[WheelView]] = defaultdict(list)
            for row, view in zip(rows, self._views(connection, rows, proven=True), strict=True):
                wheels[row.version].append(view)
            wanted = _wanted(connection, name)
            misses = _misses(connection, name)
            attempts = builds.of_project(connection, name, _BUILDS_TOLD)
        versions = list(dict.fromkeys((*(pin.version for pin in pins), *wheels, *wanted)))
        if not versions and not misses:
            return None
        known = dict.fromkeys((*matrix.targets(), *(target for pin in pins for target in sorted(pin.cells))))
        told = {target for pin in pins for target in pin.cells}
        targets = tuple(target for target in known if target in told)
        return PackageView(
            name=name,
            targets=targets,
            versions=tuple(
                VersionView(
                    version=version, cells=_cells(pins, version, targets), wheels=tuple(wheels[version]),
                    wanted_by=wanted.get(version, ()),
                )
                for version in versions
            ),
            builds=attempts,
            misses=misses,
        )  # fmt: skip

    def _views(self, connection: Connection, rows: Sequence[Row[Any]], *, proven: bool = False) -> tuple[WheelView, ...]:
        counts = _downloads(connection, [row.filename for row in rows])
        return tuple(self._view(row, counts.get(row.filename, 0), proven=proven) for row in rows)

    def _view(self, row: Row[Any], downloads: int, *, proven: bool) -> WheelView:
        url = file_url(row.sha256, row.filename)
        stated = self._statements and bool(row.key) and self._attestations.path(row.sha256).is_file()
        return WheelView(
            filename=row.filename, name=row.name, version=row.version, size=row.size, sha256=row.sha256, url=url,
            targets=tuple(row.targets), built=row.built_at, build=row.attempt, sdist=row.sdist,
            requires_python=row.requires_python or "", yanked=row.yanked, uploader=row.uploader,
            provenance=f"{url}.provenance" if stated else "", why=_why(row), retired=row.upstream or "", downloads=downloads,
            verdicts=self._verdicts(row.sha256) if proven and row.key else (),
        )  # fmt: skip

    def _verdicts(self, digest: Digest) -> tuple[Verdict, ...]:
        """Return what the statement about a wheel says of its proof; nothing where there is none, or of another farm's form."""
        envelope = self._attestations.find(digest)
        if envelope is None:
            return ()
        try:
            (first, *_) = parse_envelopes(envelope)
            byproducts = json.loads(first.payload)["predicate"]["runDetails"]["byproducts"]
            (content,) = (json.loads(base64.b64decode(one["content"])) for one in byproducts if one["name"] == "proof")
            return tuple(_verdict(one) for one in content["targets"])
        except (KeyError, TypeError, ValueError, binascii.Error):
            return ()


def _verdict(told: Mapping[str, Any]) -> Verdict:
    checks = tuple((str(check["name"]), bool(check["ok"])) for check in told["checks"])
    failed = tuple(name for name, ok in checks if not ok)
    names = tuple(name for name, _ in checks)
    return Verdict(target=str(told["target"]), image=str(told["image"]), ok=not failed, checks=names, failed=failed)


def _why(row: Row[Any]) -> str:
    if row.uploader:
        return f"uploaded with the token {row.uploader}"
    if row.upstream:
        return f"was built as upstream had no wheel; it has {row.upstream} now"
    return f"no wheel was published for {', '.join(row.targets)}" if row.targets else ""


def _cells(pins: Sequence[PinCells], version: str, targets: Sequence[str]) -> tuple[Any, ...]:
    cells = next((pin.cells for pin in pins if pin.version == version), {})
    return tuple(cells.get(target) for target in targets)


def _downloads(connection: Connection, filenames: Sequence[str]) -> dict[str, int]:
    table = tables.downloads.c
    counts: dict[str, int] = {}
    for start in range(0, len(filenames), NAMES_AT_ONCE):
        some = filenames[start : start + NAMES_AT_ONCE]
        query = select(table.filename, func.sum(table.count)).where(table.filename.in_(some)).group_by(table.filename)
        counts.update((row[0], row[1]) for row in connection.execute(query))
    return counts


def _wanted(connection: Connection, name: str) -> dict[str, tuple[WantedBy, ...]]:
    table = tables.wanted.c
    query = select(table.version, table.watch, table.target).where(table.name == name).limit(_WANTED_AT_MOST)
    found: dict[str, dict[str, list[str]]] = {}
    for version, watch, target in connection.execute(query):
        found.setdefault(version, {}).setdefault(watch, []).append(target)
    return {
        version: tuple(WantedBy(watch=watch, version=version, targets=tuple(sorted(targets))) for watch, targets in sorted(sets.items()))
        for version, sets in found.items()
    }


def _misses(connection: Connection, name: str) -> int:
    table = tables.misses.c
    return int(connection.execute(select(func.sum(table.count)).where(table.name == name)).scalar_one() or 0)
