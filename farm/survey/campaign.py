"""What a campaign wants, and where that stands: wishes, index pages and past attempts -> goals. Asks the index, builds nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from farm.errors import UpstreamError
from farm.model.campaign import Goal
from farm.model.gap import Hidden, Impossible, Missing, Present
from farm.model.package import Pin
from farm.model.releases import python_fits
from farm.survey.cost import nearest
from farm.survey.detect import presence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from farm.model.campaign import GoalState, Versions, Wish
    from farm.model.package import NormalizedName, Project, Version
    from farm.model.target import Target
    from farm.ports import Index
    from farm.survey.cost import PastBuild
    from farm.survey.detect import DetectPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What the catalogue knows: of each (name, version, target) how its last attempt ended (state, cause), and builds that went well."""

    last: Mapping[tuple[str, str, str], tuple[str, str]]
    builds: Mapping[NormalizedName, Sequence[PastBuild]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Where a campaign is fought: the target, the indexes, and which of their files count."""

    target: Target
    upstream: Index
    farm: Index
    policy: DetectPolicy


_LOST = frozenset({"failed", "timed-out", "rejected", "skipped"})


def newest_release(page: Project, target: Target, counts: Callable[[Version], bool] = lambda _: True) -> Version | None:
    """Return the newest final release with a file, not yanked, whose Requires-Python admits the target; None without any."""
    found = {
        file.version
        for file in page.files
        if file.version is not None and not file.yanked and (file.is_wheel or file.is_sdist) and python_fits(file, target)
    }
    return max((version for version in found if not version.is_prerelease and counts(version)), default=None)


def goals(wishes: Iterable[Wish], versions: Versions, field: Field, past: Past) -> tuple[Goal, ...]:
    """Return the goals: projects that most sets want first, of each the newest version first. No project stops another."""
    ordered = sorted(wishes, key=lambda wish: (-wish.sets, wish.name))
    return tuple(goal for wish in ordered for goal in _of(wish, versions, field, past))


def _of(wish: Wish, versions: Versions, field: Field, past: Past) -> Iterator[Goal]:
    base = Goal(name=wish.name, version=None, newest=True, sets=wish.sets, state="unknown")
    try:
        page = field.upstream.project(wish.name)
    except UpstreamError as error:
        yield replace(base, reason=error.reason)
        return
    newest = newest_release(page, field.target) if page is not None and versions != "pinned" else None
    if newest is None and versions == "newest":
        yield replace(base, state="impossible", reason=f"no release admits Python {field.target.full_version}")
        return
    first = None
    if newest is not None:
        first = _goal(replace(base, version=newest), field, past)
        yield first
    if versions != "newest":
        for version in wish.versions:
            if version != newest:
                yield _after(first, _goal(replace(base, version=version, newest=False), field, past))


def _after(newest: Goal | None, goal: Goal) -> Goal:
    """An older release is built once the newest is there: what stands in the way of that one mostly stands in its way too."""
    if newest is None or goal.state != "build" or newest.state in {"upstream", "farm", "impossible"}:
        return goal
    if newest.state in {"failed", "skipped"}:
        return replace(goal, state="skipped", reason=f"{newest.version}, the newest release, failed", expected_s=None)
    return replace(goal, state="waiting", reason=f"after {newest.version}, the newest release")


def _goal(base: Goal, field: Field, past: Past) -> Goal:
    assert base.version is not None
    found = presence(Pin(name=base.name, version=base.version), field.target, field.upstream, field.farm, policy=field.policy)
    match found:
        case Present(where=where):
            return replace(base, state="upstream" if where == "upstream" else "farm", reason=found.note)
        case Hidden():
            return replace(base, state="upstream", reason=found.reason)
        case Impossible(reason=reason):
            return replace(base, state="impossible", reason=reason)
        case Missing(reason=reason):
            state, cause = past.last.get((base.name, str(base.version), field.target.name), ("", ""))
            lost: GoalState = "failed" if state in _LOST else "build"
            known = past.builds.get(base.name, ())
            seconds = nearest(known, base.version, field.target.name).seconds if known and lost == "build" else None
            return replace(base, state=lost, reason=reason, cause=cause if lost == "failed" else "", expected_s=seconds)
        case _:
            return replace(base, reason=found.reason)
