"""A survey after a build whose wheels say other dependencies than their sdists let guess. It always closes with pins.

The versions of the round before are constraints: without them, a resolver that meets a dependency which cannot be had
would go back to an older version that has a wheel, and end happily with a downgrade.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from farm.model.demand import Origin, Requirement
from farm.model.gap import Matrix
from farm.survey.survey import survey

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from farm.model.demand import Demand
    from farm.model.gap import Cell, Unresolved
    from farm.model.package import Pin
    from farm.model.target import Target
    from farm.survey.detect import DetectPolicy
    from farm.survey.environment import EnvironmentPorts

LIMIT = 3
"""How many rounds of surveying and building there are at most."""

_BEFORE = Origin(file="the versions of the round before", line=1)


def survey_again(
    demand: Demand, before: Matrix, surprising: Collection[Pin], policy: DetectPolicy, ports: EnvironmentPorts
) -> tuple[Matrix, tuple[str, ...]]:
    """Return the matrix with what is known now, and notes on versions that had to change.

    `surprising` are the pins whose wheels differ; they keep their versions, or the target is unresolved. Others keep
    theirs where that has a solution. UpstreamError as in `survey`.
    """
    cells: list[Cell] = []
    unresolved: list[Unresolved] = []
    notes: list[str] = []
    for target in before.targets:
        # A lock is not resolved again, and two inputs may have different versions of one package.
        old = [cell for cell in before.of(target) if not cell.locked]
        found = _closed(demand, target, (old, [c for c in old if c.pin in surprising]), policy, ports)
        cells.extend(found.cells)
        unresolved.extend(found.unresolved)
        notes.extend(_changes(old, [cell for cell in found.cells if not cell.locked], target))
    return Matrix(targets=before.targets, cells=tuple(cells), unresolved=tuple(unresolved)), tuple(notes)


def _closed(
    demand: Demand, target: Target, kept: Iterable[Sequence[Cell]], policy: DetectPolicy, ports: EnvironmentPorts
) -> Matrix:
    """Return the survey of one target with the first set of pins that has a solution, else with the last."""
    found = Matrix(targets=(target,), cells=(), unresolved=())
    for cells in kept:
        found = survey(pinned(demand, [cell.pin for cell in cells]), (target,), policy, ports)
        if not found.unresolved:
            break
    return found


def pinned(demand: Demand, pins: Iterable[Pin]) -> Demand:
    """Return the demand with `==` constraints on these versions; what a URL names keeps its URL."""
    elsewhere = {requirement.name for requirement in demand.requirements if requirement.url is not None}
    more = tuple(
        Requirement(name=pin.name, specifier=SpecifierSet(f"=={pin.version}"), origin=_BEFORE, text=str(pin))
        for pin in pins
        if pin.name not in elsewhere
    )
    return replace(demand, constraints=demand.constraints + more)


def _changes(old: Iterable[Cell], new: Iterable[Cell], target: Target) -> Iterable[str]:
    versions = {cell.pin.name: cell.pin.version for cell in old}
    for cell in new:
        was = versions.get(cell.pin.name, cell.pin.version)
        if was != cell.pin.version:
            yield f"{target}: {cell.pin.name} {was} became {cell.pin.version}: a wheel that was built asks for it"
