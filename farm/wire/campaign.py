"""`farm campaign` put together: making campaigns, where they stand, and what they ask of a run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from farm.errors import FarmError, UsageError
from farm.model.campaign import Board, Campaign
from farm.model.demand import Demand, IndexOptions, Origin, Requirement
from farm.model.gap import Missing
from farm.model.job import Plan
from farm.model.package import Pin
from farm.model.target import parse_target
from farm.survey.campaign import Field, Past, goals
from farm.survey.cost import PastBuild
from farm.survey.survey import survey
from farm.wire.exact import exact_targets

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from farm.model.campaign import Goal, Wish
    from farm.model.gap import Matrix
    from farm.model.package import NormalizedName, Version
    from farm.model.target import Target
    from farm.model.watch import Watched
    from farm.survey.detect import DetectPolicy
    from farm.wire.assembly import Farm


def find(farm: Farm, name: str) -> Campaign:
    """Return the campaign of this name. UsageError without one."""
    known = {campaign.name: campaign for campaign in farm.records.campaigns.all()}
    if name not in known:
        hint = f"known: {', '.join(known)}" if known else "`farm campaign new --target T` makes one"
        raise UsageError(f"{name}: expected a campaign's name, found none such", solution=hint)
    return known[name]


def board(farm: Farm, campaign: Campaign) -> Board:
    """Return where a campaign stands, by what the indexes and the catalogue say now. An index that does not answer leaves unknowns."""
    wishes = farm.records.campaigns.wishes()
    target, policy = _terms(farm, campaign)
    reading = farm.reading(IndexOptions())
    names = [wish.name for wish in wishes]
    reading.upstream.prefetch(names)
    field = Field(target=target, upstream=reading.upstream, farm=reading.farm, policy=policy)
    return Board(campaign=campaign, goals=goals(wishes, campaign.versions, field, past(farm, names)), side_by_side=farm.jobs)


def _terms(farm: Farm, campaign: Campaign) -> tuple[Target, DetectPolicy]:
    (target,) = exact_targets((parse_target(campaign.target),), farm.cache)
    return target, farm.policy(Demand())


def past(farm: Farm, names: Sequence[NormalizedName]) -> Past:
    """Return what the catalogue knows of these projects."""
    last = {key: (tries[0].state, tries[0].cause) for key, tries in farm.records.nights.tries(names).items() if tries}
    builds: dict[NormalizedName, list[PastBuild]] = {}
    for name, version, target, seconds in farm.store.catalogue.durations(names):
        builds.setdefault(name, []).append(PastBuild(name=name, version=version, target=target, seconds=seconds))
    return Past(last=last, builds=builds)


def planned(farm: Farm, wanted: Iterable[tuple[NormalizedName, Version]], target: Target, *, label: str) -> tuple[Plan, dict[Pin, str]]:
    """Return one plan for these versions, each with what it needs at run time, and why some cannot be planned.

    Each is resolved for itself, so that none stands in another's way. `label` is who asks, as reports name it.
    """
    from farm.survey.plan import plan_all  # noqa: PLC0415 - only where something is to be built

    matrices: list[Matrix] = []
    lost: dict[Pin, str] = {}
    reading = farm.reading(IndexOptions())
    for name, version in wanted:
        pin = Pin(name=name, version=version)
        demand = _demand(pin, label)
        policy = farm.policy(demand)
        try:
            matrix = survey(demand, (target,), policy, reading)
        except FarmError as error:
            # The rest goes on.
            lost[pin] = error.reason
            continue
        if matrix.unresolved:
            lost[pin] = matrix.unresolved[0].explanation
        elif any(isinstance(cell.presence, Missing) for cell in matrix.cells):
            matrices.append(matrix)
    if not matrices:
        return Plan(), lost
    made = plan_all(matrices, farm.policy(Demand()), reading.plan_ports())
    lost |= {refusal.pin: refusal.reason for refusal in made.refused}
    return made, lost


def _demand(pin: Pin, label: str) -> Demand:
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - only where something is to be built

    text = f"{pin.name}=={pin.version}"
    origin = Origin(file=label, line=1)
    return Demand(requirements=(Requirement(name=pin.name, specifier=SpecifierSet(f"=={pin.version}"), origin=origin, text=text),))


def due(found: Board) -> tuple[Goal, ...]:
    """Return what a run would build now: also what failed, as a failure is tried again when an input of it changes."""
    return tuple(goal for goal in found.goals if goal.state in {"build", "failed"} and goal.version is not None)


def demands(farm: Farm, campaign: Campaign) -> tuple[Plan, dict[Pin, str], Board]:
    """Return the plan for what a campaign wants now, why some of it cannot be planned, and the board that it comes from."""
    found = board(farm, campaign)
    target, _ = _terms(farm, campaign)
    wanted = [(goal.name, goal.version) for goal in due(found) if goal.version is not None]
    made, lost = planned(farm, wanted, target, label=f"campaign {campaign.name}")
    return made, lost, found


def with_campaigns(farm: Farm, watched: Watched) -> Watched:
    """Return what was watched with the jobs of the open campaigns after the sets' own, which have users and so go first."""
    for campaign in farm.records.campaigns.all(only_open=True):
        try:
            made, lost, _ = demands(farm, campaign)
        except FarmError as error:
            # The sets, and the other campaigns, have their night all the same.
            farm.note(f"campaign {campaign.name}: nothing is done for it: {error.reason}")
            continue
        known = {job.id for job in watched.plan.jobs}
        fresh = tuple(job for job in made.jobs if job.id not in known)
        for pin, why in lost.items():
            farm.note(f"campaign {campaign.name}: {pin}: {why.splitlines()[0] if why else 'cannot be planned'}")
        watched = replace(
            watched,
            plan=replace(watched.plan, jobs=(*watched.plan.jobs, *fresh)),
            campaigns={**watched.campaigns, **{job.id: campaign.name for job in fresh}},
        )
    return watched


def unwished(wishes: Sequence[Wish]) -> str:
    """Return what to say where no set wants anything; empty otherwise."""
    nothing = "no watched set wants anything yet: `farm watch add` registers one, `farm watch check` reads it"
    return "" if wishes else nothing


__all__ = ["Board", "board", "demands", "due", "find", "past", "planned", "unwished", "with_campaigns"]
