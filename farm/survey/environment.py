"""Build requirements -> the wheels of the environment that they make, for one target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Specified
from packaging.utils import canonicalize_name

from farm.model.demand import Demand, Origin, Requirement
from farm.model.gap import Cell, Unresolved
from farm.survey.detect import DetectPolicy, detect

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from farm.model.target import Target
    from farm.ports import Index, Resolver


class NoEnvironment(Exception):  # noqa: N818 - names what there is not
    """The requirements make no environment; the text says why. Callers turn it into the package's failure."""


class EnvironmentPorts(Protocol):
    """What resolving an environment asks of the world; all of it only reads."""

    @property
    def upstream(self) -> Index: ...
    @property
    def farm(self) -> Index: ...
    @property
    def resolver(self) -> Resolver: ...


def environment(
    texts: Sequence[str], constraints: Sequence[str], target: Target, *, policy: DetectPolicy, ports: EnvironmentPorts
) -> tuple[Cell, ...]:
    """Return a cell for each package of a build environment: what is there, and what would have to be built first.

    NoEnvironment when a requirement is malformed or they have no solution; UpstreamError when an index did not answer.
    """
    where = Origin(file="build requirements", line=1)
    demand = Demand(requirements=tuple(_parsed(texts, where)), constraints=tuple(_parsed(constraints, where)))
    resolution = ports.resolver.resolve(demand, target)
    if isinstance(resolution, Unresolved):
        message = f"its build requirements have no solution: {resolution.explanation}"
        raise NoEnvironment(message)
    return detect(resolution, ports.upstream, ports.farm, policy.pinned_by(demand))


def _parsed(texts: Iterable[str], where: Origin) -> Iterable[Requirement]:
    for text in texts:
        try:
            parsed = Specified(text)
        except InvalidRequirement as error:
            message = f"its build requirement {text!r} is not a valid requirement: {error}"
            raise NoEnvironment(message) from error
        yield Requirement(
            name=canonicalize_name(parsed.name),
            extras=frozenset(parsed.extras),
            specifier=parsed.specifier,
            marker=parsed.marker,
            url=parsed.url,
            origin=where,
            text=text,
        )
