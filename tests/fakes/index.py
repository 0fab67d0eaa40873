"""Indexes, resolvers and sdists in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from farm.errors import UpstreamError
from farm.model.direct import Direct, Settled, Unsettled
from farm.model.gap import Resolution, ResolvedPin, Unresolved
from farm.model.healing import Clues
from farm.model.job import SdistFacts
from farm.model.package import Digest, IndexFile, Pin, make_pin
from farm.model.page import file_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from farm.model.demand import Demand
    from farm.model.direct import Asked
    from farm.model.package import NormalizedName, Project
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
    """`ports.Resolver` that pins every required name, and everything it depends on, to the version given, or that a constraint names."""

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
        bound = {entry.name: str(entry.pinned) for entry in demand.constraints if entry.pinned is not None}
        found: dict[str, str] = {}
        todo = list(names)
        while todo:
            name = todo.pop(0)
            if name not in found:
                found[name] = bound.get(name) or self.versions[name]
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
class FakeDirect:
    """`ports.DirectSources`: what each URL is, by name and version, or why it is nothing; "?" before the reason for unknown."""

    known: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    wheels: Mapping[str, IndexFile] = field(default_factory=dict)
    built: Mapping[str, tuple[IndexFile, ...]] = field(default_factory=dict)
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def settle(self, asked: Asked, targets: Sequence[Target]) -> Settled | Unsettled:
        self.asked.append((asked.url, tuple(target.name for target in targets)))
        direct = self.shown(asked.url)
        if asked.url in self.reasons:
            reason = self.reasons[asked.url]
            return Unsettled(
                name=asked.name or asked.url, direct=direct, origin=asked.origin, marker=asked.marker,
                reason=reason.removeprefix("?"), unknown=reason.startswith("?"),
            )  # fmt: skip
        pin = make_pin(*self.known[asked.url])
        digest = Digest(hashlib.sha256(asked.url.encode()).hexdigest())
        filename = f"{pin.name.replace('-', '_')}-{pin.version}.tar.gz"
        file = IndexFile(filename=filename, url=file_url(digest, filename), version=pin.version, sha256=digest)
        return Settled(
            pin=pin, file=self.wheels.get(asked.url, file), direct=direct, origin=asked.origin, marker=asked.marker,
            wheels=self.built.get(asked.url, ()),
        )  # fmt: skip

    def shown(self, url: str) -> Direct:
        return Direct(url=url, commit="c" * 40 if url.startswith("git") else "")


@dataclass(kw_only=True)
class FakeSdists:
    """`ports.Sdists`: what each name's sdist says; by default a native setuptools one."""

    requires: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pure: frozenset[str] = frozenset()
    named: Mapping[str, Clues] = field(default_factory=dict)

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

    def clues(self, file: IndexFile) -> Clues:
        return self.named.get(file.filename.split("-")[0], Clues())
