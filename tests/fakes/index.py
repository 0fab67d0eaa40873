"""Indexes, resolvers and sdists in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from farm.errors import UpstreamError
from farm.model.gap import Resolution, ResolvedPin, Unresolved
from farm.model.job import SdistFacts
from farm.model.package import Pin, make_pin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from farm.model.demand import Demand
    from farm.model.package import IndexFile, NormalizedName, Project
    from farm.model.target import Target


class FakeIndex:
    """`ports.Index` over given pages; the names in `down` do not answer."""

    def __init__(self, *pages: Project, down: frozenset[str] = frozenset()) -> None:
        self._pages = {page.name: page for page in pages}
        self._down = down

    def project(self, name: NormalizedName) -> Project | None:
        if name in self._down:
            raise UpstreamError(f"the index did not answer for {name}", solution="try again")
        return self._pages.get(name)


@dataclass(kw_only=True)
class FakeResolver:
    """`ports.Resolver` that pins every required name, and everything it depends on, to the version given."""

    versions: Mapping[str, str]
    depends: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    conflicts: frozenset[str] = frozenset()
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def resolve_all(self, demand: Demand, targets: Sequence[Target]) -> tuple[Resolution | Unresolved, ...]:
        return tuple(self.resolve(demand, target) for target in targets)

    def resolve(self, demand: Demand, target: Target) -> Resolution | Unresolved:
        names = tuple(requirement.name for requirement in demand.requirements)
        self.asked.append(names)
        if self.conflicts.intersection(names):
            return Unresolved(target=target, explanation=f"no version of {names[0]} fits")
        found: dict[str, str] = {}
        todo = list(names)
        while todo:
            name = todo.pop(0)
            if name not in found:
                found[name] = self.versions[name]
                todo.extend(self.depends.get(name, ()))
        pins = tuple(
            ResolvedPin(
                pin=make_pin(name, version),
                via=("requirements.txt:1",) if name in names else (),
                dependencies=tuple(canonicalize_name(n) for n in self.depends.get(name, ())),
            )
            for name, version in sorted(found.items())
        )
        return Resolution(target=target, pins=pins)


@dataclass(kw_only=True)
class FakeSdists:
    """`ports.Sdists`: what each name's sdist says; by default a native setuptools one."""

    requires: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pure: frozenset[str] = frozenset()

    def facts(self, pin: Pin, file: IndexFile) -> SdistFacts:
        return SdistFacts(
            build_requires=self.requires.get(pin.name, ("setuptools",)),
            backend="setuptools.build_meta",
            native=pin.name not in self.pure,
            rust=False,
            asks=False,
            metadata=None,
            provisional=True,
        )
