"""What jobs are expected to take, and what there is to give: plain figures, so that whoever decides needs neither clock nor machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farm.model.job import JobId
    from farm.model.package import NormalizedName


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """What one build is expected to take: `seconds` of wall time, `memory` in bytes at its peak, `cpus` on average.

    An `exclusive` build runs while nothing else does.
    """

    seconds: float = 1.0
    memory: int = 0
    cpus: float = 0.0
    exclusive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What builds may take together, `memory` in bytes and `cpus`, 0 for no bound; and the weights of those that are known.

    A job without a weight takes `Weight()`. One that is heavier than the machine runs when nothing else takes any of it. `first` are
    seconds by which jobs count as more urgent than the chain of builds that hangs on them makes them.
    """

    memory: int = 0
    cpus: float = 0.0
    weights: Mapping[JobId, Weight] = field(default_factory=dict)
    first: Mapping[JobId, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a build took, as the kernel counted it: `memory` at its peak in bytes, without caches of files; `cpu_seconds` of all its
    processes, and the `seconds` of the clock in which they were looked at. 0 where the engine did not tell.
    """

    memory: int = 0
    cpu_seconds: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PastUsage:
    """What an earlier build of a project took, on a target; figures as in Usage."""

    name: NormalizedName
    target: str
    memory: int
    cpu_seconds: float
    seconds: float
