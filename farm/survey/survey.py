"""Demand x targets -> Matrix: resolve, then detect. The whole of what a dry run does before it plans."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from farm.model.gap import Cell, Matrix, Unresolved
from farm.model.package import parse_digest
from farm.survey.detect import DetectPolicy, detect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from farm.model.demand import Demand
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
            cells.extend(detect(resolution, ports.upstream, ports.farm, policy))
    return Matrix(targets=wanted, cells=tuple(cells), unresolved=tuple(unresolved))


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
