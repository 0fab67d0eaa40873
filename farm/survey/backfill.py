"""Which gaps will stay gaps, as upstream can add no wheel to these releases any more. Asks the index, builds nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from farm.errors import UpstreamError
from farm.model.backfill import Backfill, LastingGap, Use
from farm.model.gap import Hidden, Missing, Present, Unknown
from farm.model.package import Pin
from farm.model.releases import nearest_with_wheel
from farm.survey.cost import nearest
from farm.survey.detect import presence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from farm.model.backfill import Want
    from farm.model.gap import Presence
    from farm.model.package import NormalizedName, Project, Version
    from farm.model.target import Target
    from farm.ports import Index
    from farm.survey.campaign import Past
    from farm.survey.detect import DetectPolicy

_LOST = frozenset({"failed", "timed-out", "rejected", "skipped"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What it is judged by: the indexes, which files count, what the catalogue knows, and releases from before when are closed."""

    upstream: Index
    farm: Index
    policy: DetectPolicy
    past: Past
    uses: Mapping[tuple[str, str], Use]
    closed_before: datetime


@dataclass(slots=True)
class _Found:
    gaps: list[LastingGap] = field(default_factory=list)
    young: int = 0
    undated: int = 0
    served: int = 0
    unknown: dict[NormalizedName, None] = field(default_factory=dict)


def lasting_gaps(wants: Iterable[Want], targets: Mapping[str, Target], ground: Ground) -> Backfill:
    """Return the lasting gaps for these targets, by name: what most sets want first, then what was compiled most often by clients."""
    found = _Found()
    for want in wants:
        try:
            page = ground.upstream.project(want.name)
        except UpstreamError:
            found.unknown[want.name] = None
            continue
        if page is not None:
            for name in want.targets:
                if name in targets:
                    _judge(found, want, (page, targets[name]), ground)
    ordered = sorted(found.gaps, key=lambda gap: (-gap.sets, -gap.use.misses, -gap.use.downloads, gap.name, gap.version, gap.target))
    return Backfill(
        gaps=tuple(ordered), young=found.young, undated=found.undated, served=found.served, unknown=tuple(found.unknown)
    )


def _judge(found: _Found, want: Want, where: tuple[Project, Target], ground: Ground) -> None:
    page, target = where
    pin = Pin(name=want.name, version=want.version)
    here = presence(pin, target, ground.upstream, ground.farm, policy=ground.policy)
    if isinstance(here, Unknown):
        found.unknown[want.name] = None
        return
    if isinstance(here, Present | Hidden):
        found.served += here.where == "farm"
        return
    released = first_upload(page, want.version)
    if released is None:
        found.undated += 1
    elif released >= ground.closed_before:
        found.young += 1
    else:
        found.gaps.append(_gap(want, where, (here, released), ground))


def first_upload(page: Project, version: Version) -> datetime | None:
    """Return when the first file of a release came; None where the index does not tell."""
    return min((file.upload_time for file in page.of(version) if file.upload_time is not None), default=None)


def _gap(want: Want, where: tuple[Project, Target], here: tuple[Presence, datetime], ground: Ground) -> LastingGap:
    page, target = where
    there, released = here
    state, cause = ground.past.last.get((want.name, str(want.version), target.name), ("", ""))
    builds = ground.past.builds.get(want.name, ())
    assert not isinstance(there, Present)
    return LastingGap(
        name=want.name, version=want.version, target=target.name, released=released, sets=want.sets,
        use=ground.uses.get((want.name, str(want.version)), Use()), buildable=isinstance(there, Missing), reason=there.reason,
        upgrade=nearest_with_wheel(page, want.version, target),
        expected_s=nearest(builds, want.version, target.name).seconds if builds and isinstance(there, Missing) else None,
        cause=cause if state in _LOST else "",
    )  # fmt: skip
