"""Resolution without a solver, for requirements that do not contradict each other: many targets at once.

Each requirement alone is asked for the newest version that it admits, within the user's own bounds. Where all that ask
for a package get the same answer, no order of decisions can lead a solver anywhere else: it takes the newest version
within bounds that only shrink, and the answer lies within all of them. So what `Walk` settles is what uv says of that
target alone. Where two get different answers, or anything is unusual, it gives up, and the solver decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

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

    from packaging.markers import Marker

    from farm.adapters.metadata_answers import Answers
    from farm.model import demand as asked_for
    from farm.model.demand import Demand, IndexOptions
    from farm.model.package import NormalizedName, Version
    from farm.model.target import Target

_ROOT = canonicalize_name("")


class _Unsure(Exception):  # noqa: N818 - says what it is
    """Only a solver can tell."""


class _Edge(NamedTuple):
    """Specifiers are texts here: a walk compares thousands, and a SpecifierSet is slow to hash."""

    asker: NormalizedName
    name: NormalizedName
    specifier: str
    extras: frozenset[str]


class _Need(NamedTuple):
    """A requirement in a METADATA text. `condition` is the marker as text."""

    name: NormalizedName
    specifier: str
    extras: frozenset[str]
    marker: Marker | None
    condition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a demand says, whatever the target: its entries with their bounds, and whether each wants the package.

    `explicit` are the projects of which a specifier names a pre-release.
    """

    entries: tuple[tuple[asked_for.Requirement, str, bool], ...]
    explicit: frozenset[NormalizedName]
    options: IndexOptions


def asked(demand: Demand, versions: Mapping[NormalizedName, Version]) -> Asked:
    """Return what a demand says; `versions` holds what its `name @ url` requirements stand for."""
    entries: list[tuple[asked_for.Requirement, str, bool]] = []
    explicit: set[NormalizedName] = set()
    for wanted, listed in ((True, demand.requirements), (False, demand.constraints)):
        for entry in listed:
            if entry.url is not None and entry.name not in versions:
                continue
            bound = entry.specifier if entry.url is None else SpecifierSet(f"=={versions[entry.name]}")
            if bound.prereleases:
                explicit.add(entry.name)
            entries.append((entry, str(bound), wanted))
    return Asked(entries=tuple(entries), explicit=frozenset(explicit), options=demand.options)


class Walk:
    """One target's walk, wave by wave: `look` at each of `wanted` (slow; in any thread), then `advance`, while it `goes_on`."""

    def __init__(self, asked: Asked, answers: Answers) -> None:
        self._answers = answers
        self._asked = asked
        self._bounds: dict[NormalizedName, str] = {}
        self._chosen: dict[NormalizedName, Version] = {}
        self._newest: dict[tuple[NormalizedName, str], Version] = {}
        self._requires: dict[NormalizedName, tuple[_Need, ...]] = {}
        self._extras: dict[NormalizedName, frozenset[str]] = {}
        self._askers: dict[NormalizedName, set[NormalizedName]] = {}
        self._loosest: set[NormalizedName] = set()
        self._holds: dict[tuple[str, str], bool] = {}
        self._edges: list[_Edge] = []
        for entry, bound, wanted in asked.entries:
            if applies(entry, answers.target):
                self._bounds[entry.name] = _both(self._bounds.get(entry.name, ""), bound)
                if wanted:
                    self._edges.append(_Edge(_ROOT, entry.name, "", entry.extras))
        self.wanted = self._unknown()

    @property
    def goes_on(self) -> bool:
        return bool(self._edges)

    def _unknown(self) -> dict[NormalizedName, _Edge]:
        """Return the projects whose versions have to be looked at next, each with who asks first."""
        first: dict[NormalizedName, _Edge] = {}
        for edge in self._edges:
            if edge.name not in self._chosen:
                first.setdefault(edge.name, edge)
        return first

    def look(self, name: NormalizedName) -> bool:
        """Read the page and the metadata that the next step needs; False where only a solver can tell. Names may go side by side."""
        try:
            self._choose(name)
        except _Unsure:
            return False
        return True

    def _choose(self, name: NormalizedName) -> None:
        specifier = self.wanted[name].specifier
        version = self._pick(name, specifier)
        text = self._answers.metadata(name, version)
        if text is None or not python_fits(fields_of(text).requires_python, self._answers.target.full_version):
            raise _Unsure
        self._requires[name] = _needs(text)
        self._chosen[name] = version
        if not specifier:
            self._loosest.add(name)

    def advance(self) -> bool:
        """Take the edges that were looked at, and find those behind them; False where only a solver can tell what comes next."""
        try:
            self._take()
        except _Unsure:
            return False
        self.wanted = self._unknown()
        return True

    def _take(self) -> None:
        edges, self._edges = self._edges, []
        for edge in edges:
            if not self._agrees(edge):
                raise _Unsure
            self._askers.setdefault(edge.name, set()).add(edge.asker)
            known = self._extras.get(edge.name)
            if known is None or not edge.extras <= known:
                self._extras[edge.name] = (known or frozenset()) | edge.extras
                self._edges.extend(self._below(edge.name, ({""} if known is None else set()) | edge.extras - (known or set())))

    def _agrees(self, edge: _Edge) -> bool:
        """Tell whether what was chosen is also the answer to this edge."""
        chosen = self._chosen[edge.name]
        if edge.name in self._loosest:
            # The newest of all that the user's bounds admit: where a tighter specifier admits it, it is the newest there, too.
            return not edge.specifier or _admits(edge.specifier, chosen) or self._pick(edge.name, edge.specifier) == chosen
        return self._pick(edge.name, edge.specifier) == chosen

    def _below(self, name: NormalizedName, extras: Iterable[str]) -> Iterable[_Edge]:
        for need in self._requires[name]:
            if need.marker is None or any(self._holds_with(need.marker, need.condition, extra) for extra in extras):
                yield _Edge(name, need.name, need.specifier, need.extras)

    def _holds_with(self, marker: Marker, condition: str, extra: str) -> bool:
        key = (condition, extra)
        if key not in self._holds:
            self._holds[key] = marker.evaluate({**self._answers.target.markers, "extra": extra})
        return self._holds[key]

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

    def _pick(self, name: NormalizedName, specifier: str) -> Version:
        key = (name, specifier)
        found = self._newest.get(key)
        if found is None:
            found = self._newest[key] = self._pick_anew(name, _both(self._bounds.get(name, ""), specifier))
        return found

    def _pick_anew(self, name: NormalizedName, bounds: str) -> Version:
        if "===" in bounds:
            raise _Unsure
        for version in self._answers.files.within(name, bounds) or ():
            if version.is_prerelease and not self._takes_prereleases(name):
                continue
            if self._answers.offers(name, version):
                return version
        raise _Unsure

    def _takes_prereleases(self, name: NormalizedName) -> bool:
        """Raises _Unsure where the solver's rule depends on more than the name (uv: `if-necessary-or-explicit`)."""
        choice = takes_prereleases(name, self._asked.options)
        if choice is None and name in self._asked.explicit:
            raise _Unsure
        return bool(choice)


def walk_all(walks: Mapping[Target, Walk]) -> dict[Target, tuple[Row, ...]]:
    """Return the rows of each walk that came to its end; all take their steps together, so that requests overlap.

    UpstreamError when an index did not answer.
    """
    left = dict(walks)
    while any(walk.goes_on for walk in left.values()):
        # One name for all targets in turn: what the first one reads, the others find read.
        steps = _wanted(left)
        for unsure in side_by_side(lambda step: [t for t in step[1] if not left[t].look(step[0])], steps, limit=CONNECTIONS):
            for target in unsure:
                left.pop(target, None)
        for target, walk in list(left.items()):
            if not walk.advance():
                del left[target]
    return {target: walk.rows() for target, walk in left.items()}


def _wanted(walks: Mapping[Target, Walk]) -> list[tuple[NormalizedName, list[Target]]]:
    wanted: dict[NormalizedName, list[Target]] = {}
    for target, walk in walks.items():
        for name in walk.wanted:
            wanted.setdefault(name, []).append(target)
    return list(wanted.items())


def _both(first: str, second: str) -> str:
    """Return the text of what two specifiers admit together; which of two equal ones comes first does not matter."""
    return first if first == second or not second else f"{first},{second}" if first else second


def takes_prereleases(name: NormalizedName, options: IndexOptions) -> bool | None:
    """Return what pip's --pre, --all-releases and --only-final say of a project; None when they say nothing."""
    if name in options.only_final:
        return False
    if options.pre or name in options.all_releases or ":all:" in options.all_releases:
        return True
    return False if ":all:" in options.only_final else None


@lru_cache(maxsize=65536)
def _admits(specifier: str, version: Version) -> bool:
    return "===" not in specifier and SpecifierSet(specifier).contains(version, prereleases=True)


@lru_cache(maxsize=8192)
def _needs(text: str) -> tuple[_Need, ...]:
    return tuple(map(_parsed, fields_of(text).requires_dist))


@lru_cache(maxsize=16384)
def _parsed(text: str) -> _Need:
    try:
        parsed = Requirement(text)
    except InvalidRequirement as error:
        # The solver knows more old spellings than `packaging` does.
        raise _Unsure from error
    if parsed.url is not None:
        raise _Unsure
    return _Need(
        name=canonicalize_name(parsed.name),
        specifier=str(parsed.specifier),
        extras=frozenset(map(canonicalize_name, parsed.extras)),
        marker=parsed.marker,
        condition=str(parsed.marker) if parsed.marker is not None else "",
    )
