"""Resolution without a solver, for requirements that do not contradict each other: many targets at once.

Each requirement alone is asked for the newest version that it admits, within the user's own bounds. Where all that ask
for a package get the same answer, no order of decisions can lead a solver anywhere else: it takes the newest version
within bounds that only shrink, and the answer lies within all of them. So what `Walk` settles is what uv says of that
target alone. Where two get different answers, or anything is unusual, it gives up, and the solver decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from farm.adapters.metadata_answers import python_fits
from farm.adapters.side_by_side import side_by_side
from farm.adapters.uv_compile import Row, applies
from farm.adapters.version_files import fields_of
from farm.adapters.web import CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from farm.adapters.metadata_answers import Answers
    from farm.model.demand import Demand, IndexOptions
    from farm.model.package import NormalizedName, Version
    from farm.model.target import Target

_ROOT = canonicalize_name("")


class _Unsure(Exception):  # noqa: N818 - says what it is
    """Only a solver can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edge:
    asker: NormalizedName
    name: NormalizedName
    specifier: SpecifierSet
    extras: frozenset[str]


class Walk:
    """One target's walk, wave by wave: `look` at each of `wanted` (slow; in any thread), then `advance`, until nothing is wanted.

    `versions` holds what `name @ url` requirements stand for.
    """

    def __init__(self, demand: Demand, versions: Mapping[NormalizedName, Version], answers: Answers) -> None:
        self._answers = answers
        self._options = demand.options
        self._bounds: dict[NormalizedName, SpecifierSet] = {}
        self._explicit: set[NormalizedName] = set()
        self._chosen: dict[NormalizedName, Version] = {}
        self._newest: dict[tuple[NormalizedName, SpecifierSet], Version] = {}
        self._requires: dict[NormalizedName, tuple[Requirement, ...]] = {}
        self._extras: dict[NormalizedName, frozenset[str]] = {}
        self._askers: dict[NormalizedName, set[NormalizedName]] = {}
        self._edges: list[_Edge] = []
        for requirement in (*demand.requirements, *demand.constraints):
            if requirement.url is not None and requirement.name not in versions:
                continue
            given = requirement.specifier
            bound = given if requirement.url is None else SpecifierSet(f"=={versions[requirement.name]}")
            if bound.prereleases:
                self._explicit.add(requirement.name)
            if applies(requirement, answers.target):
                self._bounds[requirement.name] = self._bounds.get(requirement.name, SpecifierSet()) & bound
                if requirement in demand.requirements:
                    self._edges.append(
                        _Edge(asker=_ROOT, name=requirement.name, specifier=SpecifierSet(), extras=requirement.extras)
                    )

    @property
    def wanted(self) -> tuple[NormalizedName, ...]:
        """The projects whose versions have to be looked at next; none when the walk is over."""
        return tuple(dict.fromkeys(edge.name for edge in self._edges))

    def look(self, name: NormalizedName) -> bool:
        """Read the page and the metadata that the next step needs; False where only a solver can tell. Names may go side by side."""
        try:
            # Each wave that wants the name looks; only the first has anything to read.
            if name not in self._chosen:
                self._choose(name)
        except _Unsure:
            return False
        return True

    def _choose(self, name: NormalizedName) -> None:
        edge = next(edge for edge in self._edges if edge.name == name)
        version = self._pick(name, edge.specifier)
        text = self._answers.metadata(name, version)
        fields = fields_of(text) if text is not None else None
        if fields is None or not python_fits(fields.requires_python, self._answers.target.full_version):
            raise _Unsure
        self._requires[name] = tuple(map(_parsed, fields.requires_dist))
        self._chosen[name] = version

    def advance(self) -> bool:
        """Take the edges that were looked at, and find those behind them; False where only a solver can tell what comes next."""
        try:
            self._take()
        except _Unsure:
            return False
        return True

    def _take(self) -> None:
        edges, self._edges = self._edges, []
        for edge in edges:
            if self._pick(edge.name, edge.specifier) != self._chosen[edge.name]:
                raise _Unsure
            self._askers.setdefault(edge.name, set()).add(edge.asker)
            known = self._extras.get(edge.name)
            if known is None or not edge.extras <= known:
                self._extras[edge.name] = (known or frozenset()) | edge.extras
                self._edges.extend(self._below(edge.name, ({""} if known is None else set()) | edge.extras - (known or set())))

    def _below(self, name: NormalizedName, extras: Iterable[str]) -> Iterable[_Edge]:
        environments = [{**self._answers.target.markers, "extra": extra} for extra in extras]
        for requirement in self._requires[name]:
            marker = requirement.marker
            if marker is None or any(marker.evaluate(environment) for environment in environments):
                yield _Edge(
                    asker=name,
                    name=canonicalize_name(requirement.name),
                    specifier=requirement.specifier,
                    extras=frozenset(map(canonicalize_name, requirement.extras)),
                )

    def rows(self) -> tuple[Row, ...]:
        """Return the pins once nothing is wanted any more."""
        return tuple(
            Row(
                name=name,
                version=version,
                via=tuple(sorted(self._askers[name] - {_ROOT, name})),
                direct=_ROOT in self._askers[name],
            )
            for name, version in self._chosen.items()
        )

    def _pick(self, name: NormalizedName, specifier: SpecifierSet) -> Version:
        key = (name, specifier)
        if key not in self._newest:
            self._newest[key] = self._pick_anew(name, specifier & self._bounds.get(name, SpecifierSet()))
        return self._newest[key]

    def _pick_anew(self, name: NormalizedName, bounds: SpecifierSet) -> Version:
        if any(specifier.operator == "===" for specifier in bounds):
            raise _Unsure
        for version in self._answers.files.within(name, bounds) or ():
            if version.is_prerelease and not self._takes_prereleases(name):
                continue
            if self._answers.offers(name, version):
                return version
        raise _Unsure

    def _takes_prereleases(self, name: NormalizedName) -> bool:
        """Raises _Unsure where the solver's rule depends on more than the name (uv: `if-necessary-or-explicit`)."""
        choice = takes_prereleases(name, self._options)
        if choice is None and name in self._explicit:
            raise _Unsure
        return bool(choice)


def walk_all(walks: Mapping[Target, Walk]) -> dict[Target, tuple[Row, ...]]:
    """Return the rows of each walk that came to its end; all take their steps together, so that requests overlap.

    UpstreamError when an index did not answer.
    """
    left = dict(walks)
    while steps := [(target, name) for target, walk in left.items() for name in walk.wanted]:
        looked = side_by_side(lambda step: (step[0], left[step[0]].look(step[1])), steps, limit=CONNECTIONS)
        for target in [target for target, sure in looked if not sure]:
            left.pop(target, None)
        for target, walk in list(left.items()):
            if not walk.advance():
                del left[target]
    return {target: walk.rows() for target, walk in left.items()}


def takes_prereleases(name: NormalizedName, options: IndexOptions) -> bool | None:
    """Return what pip's --pre, --all-releases and --only-final say of a project; None when they say nothing."""
    if name in options.only_final:
        return False
    if options.pre or name in options.all_releases or ":all:" in options.all_releases:
        return True
    return False if ":all:" in options.only_final else None


@lru_cache(maxsize=16384)
def _parsed(text: str) -> Requirement:
    try:
        parsed = Requirement(text)
    except InvalidRequirement as error:
        # The solver knows more old spellings than `packaging` does.
        raise _Unsure from error
    if parsed.url is not None:
        raise _Unsure
    return parsed
