"""Demand x targets -> Matrix: resolve what is not locked, then detect. The whole of what a dry run does before it plans."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from farm.model.gap import Cell, Matrix, Present, Unresolved
from farm.model.package import parse_digest
from farm.survey.detect import DetectPolicy, detect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from farm.model.demand import Demand
    from farm.model.gap import Resolution
    from farm.model.package import Digest, NormalizedName, Pin, Project
    from farm.model.target import Target
    from farm.ports import Index
    from farm.survey.detect import Memory
    from farm.survey.direct import CellMaker
    from farm.survey.environment import EnvironmentPorts


class _Remembered:
    """The farm's own index, each project asked for once: a page is a file, and every target asks for all of them."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._found: dict[NormalizedName, Project | None] = {}

    def project(self, name: NormalizedName) -> Project | None:
        if name not in self._found:
            self._found[name] = self._index.project(name)
        return self._found[name]


def survey(
    demand: Demand, targets: Iterable[Target], policy: DetectPolicy, ports: EnvironmentPorts, memory: Memory | None = None
) -> Matrix:
    """Return every pin's cell for every target. UpstreamError when the resolver got no answer from an index.

    The pins of a lock are taken as they are. A pin that several inputs have is one cell, asked for by all of them. `memory` is
    what surveys over the same indexes share (`detect`).
    """
    wanted, ours = tuple(targets), _Remembered(ports.farm)
    found: dict[Target, list[Cell]] = {target: [] for target in wanted}
    unresolved = [refused for target in wanted if (refused := _limited(demand, target)) is not None]
    refused_ones = {refusal.target for refusal in unresolved}
    for resolution in _resolved(demand, tuple(target for target in wanted if target not in refused_ones), ports):
        if isinstance(resolution, Unresolved):
            unresolved.append(resolution)
        else:
            found[resolution.target] += _cells(resolution, demand, policy, (ports.upstream, ours), memory)
    if demand.locks:
        unresolved += _add_locked(demand, found, policy, ports)
    cells = tuple(cell for target in wanted for cell in _merged(found[target]))
    return Matrix(targets=wanted, cells=cells, unresolved=tuple(unresolved), unsettled=demand.unsettled)


def _limited(demand: Demand, target: Target) -> Unresolved | None:
    """Return why a project is not for a target's Python, if so."""
    for limit in demand.pythons:
        if not limit.specifier.contains(target.full_version, prereleases=True):
            told = f"{limit.origin}: the project requires Python {limit.specifier}, the target has {target.full_version}"
            return Unresolved(target=target, explanation=told)
    return None


def _resolved(demand: Demand, targets: tuple[Target, ...], ports: EnvironmentPorts) -> tuple[Resolution | Unresolved, ...]:
    if not targets or (demand.locks and not demand.requirements):
        return ()
    # Neither changes what the requirements resolve to, and a resolver's memory goes by the whole demand.
    return ports.resolver.resolve_all(replace(demand, locks=(), pythons=(), direct=()), targets)


def _add_locked(
    demand: Demand, found: dict[Target, list[Cell]], policy: DetectPolicy, ports: EnvironmentPorts
) -> list[Unresolved]:
    """Add the cells of each lock for each target, and return what a lock is not for."""
    from farm.survey.locks.cells import Pages, locked_cells  # noqa: PLC0415 - requirements need none of it
    from farm.survey.locks.closure import select  # noqa: PLC0415 - the same

    refused: list[Unresolved] = []
    pages = Pages(demand)
    for lock in demand.locks:
        for target in found:
            selected = select(lock, target)
            if isinstance(selected, Unresolved):
                refused.append(selected)
            else:
                found[target] += locked_cells(selected, policy, ports, pages)
    return refused


def _merged(cells: list[Cell]) -> Iterable[Cell]:
    """Join the cells of a pin: each input asks for it, and what one of them lacks (its hashes may allow less) is lacking."""
    joined: dict[Pin, Cell] = {}
    for cell in cells:
        first = joined.setdefault(cell.pin, cell)
        if first is not cell:
            lacking = cell if isinstance(first.presence, Present) else first
            joined[cell.pin] = replace(
                lacking,
                via=tuple(dict.fromkeys(first.via + cell.via)),
                dependencies=tuple(dict.fromkeys(first.dependencies + cell.dependencies)),
                locked=first.locked and cell.locked,
            )
    return joined.values()


def _cells(
    resolution: Resolution, demand: Demand, policy: DetectPolicy, indexes: tuple[Index, Index], memory: Memory | None
) -> Iterator[Cell]:
    """Yield a pin's cell in the resolution's order. What comes from a URL is never looked up on an index: same name, other bytes."""
    target = resolution.target
    elsewhere = _elsewhere(demand, target)
    asked = replace(resolution, pins=tuple(p for p in resolution.pins if p.pin.name not in elsewhere))
    found = {cell.pin: cell for cell in detect(asked, *indexes, policy, memory)}
    for resolved in resolution.pins:
        make = elsewhere.get(resolved.pin.name)
        yield found[resolved.pin] if make is None else make(resolved, target, policy)


def _elsewhere(demand: Demand, target: Target) -> dict[NormalizedName, CellMaker]:
    if not demand.unsettled and not any(entry.url for entry in demand.requirements):
        return {}
    from farm.survey.direct import elsewhere  # noqa: PLC0415 - seldom needed

    return elsewhere(demand, target)


def policy_of(demand: Demand, from_source: frozenset[NormalizedName]) -> DetectPolicy:
    """Return what the demand's options and the configuration say about files."""
    policy = DetectPolicy(options=demand.options, from_source=from_source)
    if not demand.checks_hashes:
        return policy
    hashes: dict[NormalizedName, frozenset[Digest]] = {}
    for entry in (*demand.requirements, *demand.constraints):
        sums = frozenset(parse_digest(text) for text in entry.hashes if text.startswith("sha256:"))
        if sums:
            hashes[entry.name] = hashes.get(entry.name, frozenset()) | sums
    return replace(policy, hashes=hashes)
