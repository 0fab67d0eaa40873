"""From what clients are to targets: which configured target serves a client, and which ones to configure. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from farm.errors import UsageError
from farm.model.target import parse_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from farm.model.demand_seen import Miss, Visits
    from farm.model.target import Target

MOST = 0.95
"""The share of a kind of client (one Python, one family of libc, one architecture) that a proposed target serves at the least."""

_LEAST = 0.01
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """A target that clients were: how many requests for pages, their share of those whose target is told, by whom mostly.

    `served` is the configured target whose wheels it takes, "" for none.
    """

    target: str
    count: int
    share: float
    clients: tuple[str, ...]
    served: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A target to configure. `serves` is the share of all told requests that come from clients which take its wheels.

    `why` says how its level came about. `lacking` says why no image can build it, "" where one can.
    """

    target: str
    serves: float
    why: str
    lacking: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """What clients are. `untold` counts requests of clients that do not tell their target, `by_untold` is by whom."""

    total: int
    untold: int
    by_untold: tuple[tuple[str, int], ...]
    met: tuple[Met, ...]
    proposals: tuple[Proposal, ...]


def take_census(visits: Iterable[Visits], configured: Sequence[Target]) -> Census:
    """Return who asks for pages, and the targets that would serve those whom no configured one serves."""
    untold: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    clients: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for visit in visits:
        if not visit.target:
            untold[visit.client] += visit.count
            continue
        counts[visit.target] += visit.count
        clients[visit.target][visit.client] += visit.count
    told = counts.total()
    met = tuple(
        Met(
            target=name, count=count, share=count / told, clients=tuple(client for client, _ in clients[name].most_common(_SHOWN)),
            served=next((target.name for target in serving(name, configured)), ""),
        )
        for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )  # fmt: skip
    return Census(
        total=told + untold.total(), untold=untold.total(), by_untold=tuple(untold.most_common(_SHOWN)), met=met,
        proposals=tuple(_propose(met)),
    )  # fmt: skip


def serving(client: str, configured: Iterable[Target]) -> tuple[Target, ...]:
    """Return the configured targets whose wheels a client takes, the nearest first; free-threaded twins after them.

    Which interpreter is free-threaded no user agent tells: what is wanted for cp314 may be wanted for cp314t.
    """
    try:
        target = parse_target(client)
    except UsageError:
        return ()
    found = [one for one in configured if _kind(one) == _kind(target) and _level(one) <= _level(target)]
    return tuple(sorted(found, key=lambda one: (one.free_threaded, [-part for part in _level(one)], one.name)))


def wanted(misses: Iterable[Miss], configured: Sequence[Target]) -> Mapping[tuple[str, str], Mapping[str, int]]:
    """Return how often clients compiled each (name, version) for each configured target; what none serves is left out."""
    found: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for miss in misses:
        nearest: dict[bool, Target] = {}
        for target in serving(miss.target, configured) if miss.target else ():
            nearest.setdefault(target.free_threaded, target)
        for target in nearest.values():
            found[miss.name, miss.version][target.name] += miss.count
    return found


def _kind(target: Target) -> tuple[str, tuple[int, int], str, str]:
    """Return what clients must have in common to take the same wheels, the level apart."""
    libc = target.libc
    family = libc[0] if libc else target.platform.partition("_")[0]
    return target.implementation, target.python, family, target.arch


def _level(target: Target) -> tuple[int, int]:
    if target.libc:
        return target.libc[1], target.libc[2]
    parts = target.platform.split("_")
    return (int(parts[1]), int(parts[2])) if parts[0] == "macosx" else (0, 0)


def _propose(met: Sequence[Met]) -> Iterable[Proposal]:
    kinds: defaultdict[object, list[tuple[Target, Met]]] = defaultdict(list)
    for one in met:
        if not one.served:
            target = parse_target(one.target)
            kinds[_kind(target)].append((target, one))
    found = [_for_kind(sorted(group, key=lambda pair: _level(pair[0]), reverse=True)) for group in kinds.values()]
    yield from sorted((one for one in found if one.serves >= _LEAST), key=lambda one: (-one.serves, one.target))


def _for_kind(group: Sequence[tuple[Target, Met]]) -> Proposal:
    """Return the highest level that still serves most of a kind: a lower one serves no more, and has older images to build in."""
    whole = sum(one.share for _, one in group)
    share, served = 0.0, 0
    while served < len(group) and share < MOST * whole:
        share += group[served][1].share
        served += 1
    chosen, left = group[served - 1][0], group[served:]
    why = "all of its kind" if len(group) == 1 else f"the level that serves {share / whole:.0%} of its kind"
    if left:
        lowest = left[-1][0]
        why += f"; {lowest.name} would serve the other {1 - share / whole:.1%} too"
    return Proposal(target=chosen.name, serves=share, why=why)


def with_images(census: Census, lacking: Mapping[str, str]) -> Census:
    """Return a census that tells which proposals no image can build; `lacking` has the reason by target."""
    return replace(census, proposals=tuple(replace(one, lacking=lacking.get(one.target, "")) for one in census.proposals))
