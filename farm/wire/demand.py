"""Demand put together: what clients compiled and what the farm knows of it, what to build of it, what clients are."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from sqlalchemy import select, tuple_

from farm.adapters import tables
from farm.adapters.durable import replace_file, storing
from farm.adapters.misses import MissBook
from farm.errors import EngineError, ImageError, StoreError
from farm.model.package import parse_wheel_name
from farm.model.target import parse_target
from farm.model.watch import WatchSet
from farm.survey.census import Census, serving, take_census, wanted, with_images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from farm.adapters.database import Database
    from farm.model.demand_seen import Miss
    from farm.model.target import Target
    from farm.wire.assembly import Farm

Standing = Literal["wheel", "upstream", "failed", "building", "unbuilt", "not-configured", "untold"]

_NIGHTS = timedelta(days=7)
_MOST = 200
_AT_ONCE = 200
_UNDER_WAY = frozenset({"building", "built", "proven"})
_UPSTREAMS = ("upstream-wheel", "pure-fallback")
_STOPPED = "the farm was stopped while it built this"
_FAILED = frozenset({"failed", "timed-out", "rejected", "interrupted", "skipped"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """A version that clients compiled, and the configured targets that they are; `count` is how often."""

    name: str
    version: str
    targets: tuple[str, ...]
    count: int

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MissState:
    """A miss, and how it stands now.

    `wheel`: the farm has one by now (`detail` is its file). `upstream`: it has one. `failed`: the last attempt did (why). `building`.
    `unbuilt`: nobody has tried. `not-configured`: no configured target serves that client. `untold`: the client does not say what it
    is. `target` is the configured target that serves it, `remedy` what to type, "" where there is nothing to do.
    """

    miss: Miss
    standing: Standing
    detail: str
    target: str
    remedy: str


def wants(farm: Farm, since: timedelta = _NIGHTS, limit: int = _MOST) -> tuple[Want, ...]:
    """Return what clients compiled of late, for the configured targets that they are, the most frequent first. StoreError."""
    book, began = MissBook(farm.store.catalogue.database), farm.clock.now() - since
    # Before the limit: what nobody is to build must not crowd out what somebody waits for.
    served = [target for target in book.targets(began) if serving(target, farm.settings.targets)]
    found = wanted(book.misses(began, limit, targets=served), farm.settings.targets)
    made = (
        Want(name=name, version=version, targets=tuple(sorted(counts)), count=max(counts.values()))
        for (name, version), counts in found.items()
    )
    return tuple(sorted(made, key=lambda want: (-want.count, want.name, want.version)))


def client_sets(farm: Farm, since: timedelta = _NIGHTS, limit: int = _MOST) -> tuple[WatchSet, ...]:
    """Return what clients compiled of late as watch sets for a night: one for each version, as they need not agree with each other.

    Their requirement files are written below the store. Empty with `demand.build = "off"`. StoreError.
    """
    if farm.settings.build_demand == "off":
        return ()
    made = []
    for want in wants(farm, since, limit):
        path = farm.root / "demand" / f"{want.name}-{want.version}.txt"
        with storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, f"{want.requirement}\n".encode())
        made.append(WatchSet(name=f"clients:{want.name}-{want.version}", sources=(str(path),), targets=want.targets))
    return tuple(made)


def missed(farm: Farm, since: timedelta, limit: int) -> tuple[MissState, ...]:
    """Return what clients compiled since then, the most frequent first, each with how it stands now. StoreError."""
    database = farm.store.catalogue.database
    found = MissBook(database).misses(farm.clock.now() - since, limit)
    return standings(database, found, farm.settings.targets, farm.store.locks.alive)


def standings(
    database: Database, misses: Sequence[Miss], configured: Sequence[Target], alive: Callable[[str], bool]
) -> tuple[MissState, ...]:
    """Return how each miss stands. Three queries for each few hundred misses, however large the catalogue is.

    `alive` tells whether a run still is: an attempt of one that was killed is under way in the catalogue alone.
    """
    known = _Known(alive)
    pins = sorted({(miss.name, miss.version) for miss in misses})
    with database.read() as connection:
        for start in range(0, len(pins), _AT_ONCE):
            known.read(connection, pins[start : start + _AT_ONCE])
    return tuple(_standing(miss, known, configured) for miss in misses)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """The last attempt at a version for a target."""

    id: str
    run: str
    state: str
    summary: str


class _Known:
    """Wheels and last attempts of some versions."""

    def __init__(self, alive: Callable[[str], bool]) -> None:
        self._alive = alive
        self.wheels: dict[tuple[str, str], list[str]] = {}
        self.attempts: dict[tuple[str, str, str], _Tried] = {}
        self.cells: dict[tuple[str, str, str], str] = {}

    def read(self, connection: Connection, pins: Iterable[tuple[str, str]]) -> None:
        pins = list(pins)
        wheels, attempts, cells = tables.wheels, tables.attempts, tables.cells
        query = select(wheels.c.filename, wheels.c.name, wheels.c.version)
        for wheel in connection.execute(query.where(tuple_(wheels.c.name, wheels.c.version).in_(pins))):
            self.wheels.setdefault((wheel.name, wheel.version), []).append(wheel.filename)
        columns = ("id", "run", "name", "version", "target", "state", "summary")
        tried = select(*(attempts.c[column] for column in columns))
        tried = tried.where(tuple_(attempts.c.name, attempts.c.version).in_(pins)).order_by(attempts.c.id)
        for attempt in connection.execute(tried):
            found = _Tried(id=attempt.id, run=attempt.run, state=attempt.state, summary=attempt.summary)
            self.attempts[attempt.name, attempt.version, attempt.target] = found
        seen = select(cells.c.name, cells.c.version, cells.c.target, cells.c.reason, cells.c.file)
        seen = seen.where(tuple_(cells.c.name, cells.c.version).in_(pins), cells.c.state.in_(_UPSTREAMS))
        for cell in connection.execute(seen):
            self.cells[cell.name, cell.version, cell.target] = cell.file or cell.reason

    def wheel(self, pin: tuple[str, str], target: Target) -> str:
        """Return a wheel that a client takes, "" for none."""
        for filename in sorted(self.wheels.get(pin, ())):
            name = parse_wheel_name(filename)
            if name is not None and target.rank(name.tags) is not None:
                return filename
        return ""

    def _runs(self, run: str) -> bool:
        # Of a store that cannot be written nobody can tell.
        with suppress(StoreError):
            return self._alive(run)
        return False

    def last(self, miss: Miss, target: str) -> MissState:
        """Return how a miss without a wheel stands for the target that would serve it."""
        key = (miss.name, miss.version, target)
        tried = self.attempts.get(key)
        remedy = f"echo '{miss.name}=={miss.version}' | farm build -r - --target {target}"
        if tried is not None and tried.state in _UNDER_WAY:
            if self._runs(tried.run):
                return MissState(miss=miss, standing="building", detail="being built", target=target, remedy="")
            return MissState(miss=miss, standing="failed", detail=_STOPPED, target=target, remedy=remedy)
        if tried is not None and tried.state in _FAILED:
            why = tried.summary or tried.state
            return MissState(miss=miss, standing="failed", detail=why, target=target, remedy=f"farm explain {tried.id}")
        if key in self.cells:
            return MissState(miss=miss, standing="upstream", detail=self.cells[key], target=target, remedy="")
        return MissState(miss=miss, standing="unbuilt", detail="not built yet", target=target, remedy=remedy)


def _standing(miss: Miss, known: _Known, configured: Sequence[Target]) -> MissState:
    if not miss.target:
        return MissState(miss=miss, standing="untold", detail="its client does not say what it is", target="", remedy="")
    near = next((target.name for target in serving(miss.target, configured)), "")
    wheel = known.wheel((miss.name, miss.version), parse_target(miss.target))
    if wheel:
        return MissState(miss=miss, standing="wheel", detail=wheel, target=near, remedy="")
    if not near:
        detail, remedy = "no configured target serves it", "farm targets census"
        return MissState(miss=miss, standing="not-configured", detail=detail, target="", remedy=remedy)
    return known.last(miss, near)


def census(farm: Farm, since: timedelta) -> Census:
    """Return what clients are, and which targets to configure, each with the image that is lacking for it. StoreError."""
    book = MissBook(farm.store.catalogue.database)
    found = take_census(book.visits(farm.clock.now() - since), farm.settings.targets)
    return with_images(found, _lacking(farm, [one.target for one in found.proposals]))


def _lacking(farm: Farm, targets: Sequence[str]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name in targets:
        try:
            farm.builder_image(parse_target(name))
        except (ImageError, EngineError) as error:
            found[name] = error.reason.splitlines()[0]
    return found
