"""A failed build -> the job as it is to be tried next: the change is chosen (`heal`), and what it needs is at hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from farm.errors import UpstreamError
from farm.model.build import BadSdist, BuildFailed, IntegrityError, WheelsMissing
from farm.model.healing import Clues, Trial
from farm.model.job import Dependency
from farm.model.messages import MendDone, More
from farm.model.package import Pin, make_pin
from farm.model.releases import nearest_with_wheel
from farm.model.requirements import required
from farm.work.heal import next_mend
from farm.work.heal_case import Case
from farm.work.heal_needs import needs

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from farm.model.healing import Candidate, HealMode, Mend, MendKind, Need
    from farm.model.job import Job, Recipe, SdistFacts
    from farm.model.messages import Mend as MendCommand
    from farm.model.package import IndexFile, NormalizedName, Project, Version
    from farm.model.target import Target
    from farm.ports import Images, Index, Lessons, Planner, Progress, Providers, Sdists, Toolbox

_OF_THE_ENVIRONMENT = ("build_requires", "build_constraints", "build_overrides", "cythonize")
_FEW = 12
"""Look-ups for what a project's files name where each takes a container of its own; Debian's index answers in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MendPorts:
    """What healing asks of the world. `mode` is `[build] heal`.

    `memory` is the limit of a build in bytes, `most_memory` what healing may raise it to. `pause` waits so many seconds, and
    returns early when the user has the run stopped; `cancelled` tells that. `configured` is the user's own recipe for a pin.
    """

    mode: HealMode
    memory: int
    most_memory: int
    pause: Callable[[float], None]
    cancelled: Callable[[], bool]
    images: Images
    providers: Providers
    sdists: Sdists
    toolbox: Toolbox
    planner: Planner
    upstream: Index
    configured: Callable[[Pin, Target], Recipe]
    lessons: Lessons
    progress: Progress


def mend(command: MendCommand, ports: MendPorts) -> MendDone:
    """Choose the next change and prepare the job for it. A change that cannot be had is passed over for the next one."""
    job, failure = command.job, command.failure
    impossible: set[tuple[MendKind, str]] = set()
    obstacles: list[str] = []
    ask = _Asking(job, ports)
    facts = ask.facts()
    case = Case(
        job=job, failure=failure, find=ask.find, dated=ask.dated, nearest=ask.nearest, images=ports.images.alternatives(job.target),
        memory=ports.memory, most_memory=ports.most_memory, hints=facts.hints if facts else (),
        cython=bool(facts and facts.cython), clues=ask.clues,
    )  # fmt: skip
    while not ports.cancelled():
        found = next_mend(replace(case, impossible=frozenset(impossible)))
        if found is None:
            break
        if ports.mode == "propose" or not found.apply:
            return MendDone(job=job.id, proposal=found, certain=not ask.unanswered)
        try:
            better, more = _planned(job, found, ports)
        except (BuildFailed, BadSdist, IntegrityError, UpstreamError) as error:
            impossible.add((found.kind, found.what))
            obstacles.append(f"{found.text}: {error.reason.splitlines()[0]}")
            continue
        ports.progress.say(job.id, f"{failure.diagnosis.summary}: trying {found.text}", failure.attempt)
        ports.pause(found.pause_s)
        trial = Trial(
            attempt=failure.attempt, stage=failure.stage, diagnosis=failure.diagnosis, mend=found
        )
        better = replace(better, image=found.image or job.image, trials=(*job.trials, trial))
        return MendDone(job=job.id, better=better, more=more)
    certain = not (ask.unanswered or ports.cancelled())
    return MendDone(job=job.id, obstacles=tuple(obstacles), remedy=_nowhere(case, ask), certain=certain)


def _nowhere(case: Case, ask: _Asking) -> str:
    """What to do where the image's database has nothing of what is missing: mostly its distribution is too old for the release."""
    job, diagnosis = case.job, case.failure.diagnosis
    asked = tuple(needs(diagnosis, job.pin.name)) if diagnosis.cause.startswith("missing-") else ()
    if not asked or any(case.find(need) for need in asked) or ask.unanswered:
        return ""
    image = job.image
    return (
        f"no package of {image.family} {image.variant} has {diagnosis.subject or asked[0].name}: build for a target of a newer "
        f"distribution, or take an older release of {job.pin.name}"
    )


def _planned(job: Job, found: Mend, ports: MendPorts) -> tuple[Job, More]:
    """Return the job with the build environment under the new recipe, and what of that has to be built first.

    Fails as Toolbox.wheels, Sdists.facts and Planner.plan do.
    """
    old, new = job.recipe, found.recipe
    changed = replace(job, recipe=new)
    if all(getattr(old, part) == getattr(new, part) for part in _OF_THE_ENVIRONMENT):
        return changed, More()
    facts = ports.sdists.facts(job.pin, job.sdist)
    try:
        files = ports.toolbox.wheels(required((*facts.build_requires, *job.named), new), new, job.target)
    except WheelsMissing as error:
        if not error.buildable:
            raise
        return ports.planner.plan(changed)
    return replace(changed, requires=tuple(Dependency(pin=_pin(file), file=file, job=None) for file in files)), More()


def _pin(file: IndexFile) -> Pin:
    wheel = file.wheel
    assert wheel is not None, "a toolbox gives wheels"
    return make_pin(wheel.name, str(wheel.version))


class _Asking:
    """The questions of one case; the world's silence is "nothing found", told to the user."""

    def __init__(self, job: Job, ports: MendPorts) -> None:
        self._job = job
        self._ports = ports
        self.unanswered = False

    def find(self, need: Need) -> tuple[Candidate, ...]:
        ports = self._ports
        try:
            image = ports.images.ensure(self._job.image, lambda text: ports.progress.say(self._job.id, text))
            return ports.providers.find(image, need)
        except UpstreamError as error:
            self.unanswered = True
            ports.progress.say(self._job.id, error.reason)
            return ()

    def dated(self, name: str) -> Version | None:
        """Return a project's newest final release on the day of the sdist; None where that cannot be told."""
        day = self._job.sdist.upload_time
        page = self._page(make_pin(name, "0").name) if day is not None else None
        if page is None or day is None:
            return None
        files = page.files
        return max((version for file in files if (version := _released_by(file, day))), default=None)

    def nearest(self, pin: Pin) -> Version | None:
        page = self._page(pin.name)
        return nearest_with_wheel(page, pin.version, self._job.target) if page else None

    def _page(self, name: NormalizedName) -> Project | None:
        try:
            return self._ports.upstream.project(name)
        except UpstreamError:
            self.unanswered = True
            return None

    def facts(self) -> SdistFacts | None:
        try:
            return self._ports.sdists.facts(self._job.pin, self._job.sdist)
        except (BadSdist, IntegrityError, UpstreamError):
            return None

    @cached_property
    def _clues(self) -> Clues:
        try:
            found = self._ports.sdists.clues(self._job.sdist)
            few = self._job.image.family != "debian"
            return replace(found, needs=found.needs[:_FEW], packages=found.packages[:_FEW]) if few else found
        except (BadSdist, IntegrityError, UpstreamError):
            return Clues()

    def clues(self) -> Clues:
        return self._clues


def _released_by(file: IndexFile, day: datetime) -> Version | None:
    known = file.version is not None and file.upload_time is not None and not file.yanked
    if not known or file.version is None or file.upload_time is None or file.upload_time > day:
        return None
    return None if file.version.is_prerelease else file.version
