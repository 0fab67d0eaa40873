"""Demand x targets -> Matrix: resolve, then detect. The whole of what a dry run does before it plans."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from farm.model.gap import Cell, Impossible, Matrix, Unresolved
from farm.model.package import parse_digest
from farm.survey.detect import DetectPolicy, detect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from farm.model.demand import Demand, Requirement
    from farm.model.gap import Resolution
    from farm.model.package import Digest, NormalizedName
    from farm.model.target import Target
    from farm.survey.environment import EnvironmentPorts


def survey(demand: Demand, targets: Iterable[Target], policy: DetectPolicy, ports: EnvironmentPorts) -> Matrix:
    """Return every pin's cell for every target. UpstreamError when the resolver got no answer from an index."""
    wanted = tuple(targets)
    cells: list[Cell] = []
    unresolved: list[Unresolved] = []
    for target in wanted:
        resolution = ports.resolver.resolve(demand, target)
        if isinstance(resolution, Unresolved):
            unresolved.append(resolution)
        else:
            cells.extend(_cells(resolution, demand, policy, ports))
    return Matrix(targets=wanted, cells=tuple(cells), unresolved=tuple(unresolved))


def _cells(resolution: Resolution, demand: Demand, policy: DetectPolicy, ports: EnvironmentPorts) -> Iterator[Cell]:
    """Yield a pin's cell in the resolution's order. What comes from a URL is never looked up on an index: same name, other bytes."""
    elsewhere = {r.name: r for r in demand.requirements if r.url is not None and _applies(r, resolution.target)}
    asked = replace(resolution, pins=tuple(p for p in resolution.pins if p.pin.name not in elsewhere))
    found = {cell.pin: cell for cell in detect(asked, ports.upstream, ports.farm, policy)}
    for resolved in resolution.pins:
        direct = elsewhere.get(resolved.pin.name)
        yield found[resolved.pin] if direct is None else Cell(
            pin=resolved.pin,
            target=resolution.target,
            presence=Impossible(reason=f"{direct.origin} takes it from a URL, which is not built yet"),
            via=resolved.via,
            dependencies=resolved.dependencies,
        )


def _applies(requirement: Requirement, target: Target) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({**target.markers, "extra": ""})


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
