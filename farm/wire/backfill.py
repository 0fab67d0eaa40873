"""`farm backfill` put together: the gaps that will stay, and a plan that closes them here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from farm.model.backfill import CLOSED_AFTER_DAYS, Backfill
from farm.model.demand import Demand, IndexOptions
from farm.model.job import Plan
from farm.model.target import parse_target
from farm.survey.backfill import Ground, lasting_gaps
from farm.wire.campaign import past, planned
from farm.wire.exact import exact_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farm.model.package import Pin
    from farm.model.target import Target
    from farm.wire.assembly import Farm

_USE_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """For which targets it is asked; without any, for those that the sets want each version for. `days`: when a release is closed."""

    targets: tuple[str, ...] = ()
    days: int = CLOSED_AFTER_DAYS


def backfill(farm: Farm, terms: Terms) -> Backfill:
    """Return the lasting gaps of all that watched sets want. A project of the user's own has none: its makers may add wheels."""
    wants = [want for want in farm.records.campaigns.wants() if not farm.settings.is_private(want.name)]
    if terms.targets:
        wants = [replace(want, targets=terms.targets) for want in wants]
    targets = _targets(farm, tuple(dict.fromkeys(name for want in wants for name in want.targets)))
    names = list(dict.fromkeys(want.name for want in wants))
    reading, now = farm.reading(IndexOptions()), farm.clock.now()
    reading.upstream.prefetch(names)
    ground = Ground(
        upstream=reading.upstream, farm=reading.farm, policy=farm.policy(Demand()), past=past(farm, names),
        uses=farm.records.campaigns.uses(names, f"{now - timedelta(days=_USE_DAYS):%Y-%m-%d}"),
        closed_before=now - timedelta(days=terms.days),
    )  # fmt: skip
    return lasting_gaps(wants, targets, ground)


def _targets(farm: Farm, names: Sequence[str]) -> dict[str, Target]:
    configured = {target.name: target for target in farm.settings.targets}
    found = exact_targets((configured.get(name) or parse_target(name) for name in names), farm.cache)
    return dict(zip(names, found, strict=True))


def demands(farm: Farm, terms: Terms) -> tuple[Plan, dict[Pin, str]]:
    """Return one plan for all lasting gaps that can be built, the most used first, and why some cannot be planned."""
    gaps = [gap for gap in backfill(farm, terms).gaps if gap.buildable]
    plan = Plan()
    lost: dict[Pin, str] = {}
    for name, target in _targets(farm, tuple(dict.fromkeys(gap.target for gap in gaps))).items():
        made, refused = planned(farm, [(gap.name, gap.version) for gap in gaps if gap.target == name], target, label="backfill")
        known = {job.id for job in plan.jobs}
        plan = Plan(jobs=(*plan.jobs, *(job for job in made.jobs if job.id not in known)), notes=(*plan.notes, *made.notes))
        lost |= refused
    return plan, lost
