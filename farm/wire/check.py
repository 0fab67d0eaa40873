"""`farm check`: the survey and its cost, without an engine; and whole answers from before, while nothing has changed."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from farm import __version__
from farm.adapters.answers import AnswerCache, Watched, file_digest, witness
from farm.model.report import Checked, Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from farm.model.demand import Demand, Requirement
    from farm.model.gap import Matrix
    from farm.model.job import Job, JobId, Plan
    from farm.model.lock import Choice
    from farm.model.package import NormalizedName, Version
    from farm.model.report import Cost
    from farm.model.target import Target
    from farm.survey.detect import DetectPolicy
    from farm.wire.assembly import Farm


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What `farm check` is asked, beside the configuration. None as `choice` is every input's own default."""

    inputs: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    choice: Choice | None = None


def check(farm: Farm, question: Question) -> Checked:
    """Return what is there, what is missing and what that would cost. UpstreamError when an index did not answer.

    Starts no engine and no package code; metadata that only a build backend could tell stays a guess, with a note.
    """
    began = farm.clock.now().timestamp()
    answers = AnswerCache(farm.cache / "answers", now=lambda: farm.clock.now().timestamp())
    key = _key(farm, question, began)
    known = None if farm.refresh else answers.load(key, farm.env)
    if known is not None:
        return known
    farm.reads_only = True
    watched = Watched(farm.env)
    farm.env = watched
    demand = farm.read(question.inputs, question.constraints, question.choice)
    seen = witness(demand.files, watched, began)
    farm.env = dict(watched.items())
    checked = _survey(farm, demand)
    if seen is not None and _lasting(checked.report, demand):
        oldest = farm.reading(demand.options).upstream.oldest
        answers.save(key, checked, seen, min(began, oldest or began) + farm.settings.index_ttl)
    return checked


def _key(farm: Farm, question: Question, now: float) -> str:
    settings, choice = farm.settings, question.choice
    content = [
        __version__, str(Path.cwd()), question.inputs, question.constraints,
        [sorted(choice.extras), sorted(choice.groups), choice.default_groups] if choice else None,
        settings.source, file_digest(settings.source), [(target.name, target.full_version) for target in settings.targets],
        file_digest(str(farm.cache / "interpreters" / "targets.json")), str(settings.client_pip), farm.jobs, settings.index_ttl,
        # The cool-down counts by the hour.
        settings.cool_down, now // 3600 if settings.cool_down else 0,
        farm.pip.urls, farm.store.serial(), _changed(farm.root / "catalogue.sqlite"), _changed(farm.root / "catalogue.sqlite-wal"),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _changed(path: Path) -> tuple[int, int] | None:
    """Return what changes when a file does: builds and their durations come and go without the index's serial."""
    with suppress(OSError):
        found = path.stat()
        return (found.st_mtime_ns, found.st_size) if found.st_size else None
    return None


def _lasting(report: Report, demand: Demand) -> bool:
    """Tell whether the same question has the same answer later: what did not answer may, and a local path may change."""
    local = demand.direct or demand.options.find_links or any(entry.url for entry in demand.requirements)
    return not local and not report.count()["unknown"]


def _survey(farm: Farm, demand: Demand) -> Checked:
    from farm.model.gap import Missing  # noqa: PLC0415 - the same
    from farm.model.job import Plan  # noqa: PLC0415 - an answer from before needs none of it
    from farm.survey.tell import problems, rows  # noqa: PLC0415 - the same

    _expect(farm, demand)
    matrix, policy = farm.survey(demand)
    missing = any(isinstance(cell.presence, Missing) for cell in matrix.cells)
    plan = _plan(farm, matrix, policy) if missing else Plan()
    expected, cost = _cost(farm, plan.jobs)
    made = tuple(
        replace(row, estimate_s=expected.get((row.name, row.version, row.target))) if row.state == "build" else row
        for row in rows(matrix, plan)
    )
    report = Report(
        targets=tuple(target.name for target in matrix.targets), rows=made, problems=problems(matrix),
        notes=tuple(dict.fromkeys((*farm.notes(), *plan.notes))), dry_run=True, cost=cost,
    )  # fmt: skip
    origins = (*(entry.origin for entry in demand.requirements), *(entry.origin for entry in demand.direct))
    places = {str(origin): origin.column for origin in origins}
    return Checked(report=report, remarks=tuple(map(str, demand.remarks)), places=tuple(places.items()))


def _expect(farm: Farm, demand: Demand) -> None:
    """Tell the index which versions will be asked for: of their pages the rest is not kept in memory."""
    wanted: dict[NormalizedName, set[Version]] = {}
    loose: set[NormalizedName] = set()
    for entry in demand.requirements:
        if entry.pinned is None or entry.url is not None:
            loose.add(entry.name)
        else:
            wanted.setdefault(entry.name, set()).add(entry.pinned)
    for package in (package for lock in demand.locks for package in lock.packages):
        if package.version is not None and package.direct is None:
            wanted.setdefault(package.name, set()).add(package.version)
    upstream = farm.reading(demand.options).upstream
    upstream.expect({name: sorted(versions) for name, versions in wanted.items() if name not in loose})
    # While these come in, the rest of the program is loaded. A failure is kept for whoever asks for that page.
    applying = [entry.name for entry in demand.requirements if entry.url is None and _applies(entry, farm)]
    Thread(target=upstream.prefetch, args=(tuple(dict.fromkeys([*applying, *wanted])),), name="prefetch", daemon=True).start()


def _applies(entry: Requirement, farm: Farm) -> bool:
    return entry.marker is None or any(entry.marker.evaluate({**target.markers, "extra": ""}) for target in farm.settings.targets)


def _plan(farm: Farm, matrix: Matrix, policy: DetectPolicy) -> Plan:
    """Return the plan, with the build dependencies that lack wheels; which image would build is not asked."""
    from farm.model.image import ImageSpec  # noqa: PLC0415 - only where there are gaps
    from farm.survey.plan import plan  # noqa: PLC0415 - the same

    def any_image(target: Target, _variant: str) -> ImageSpec:
        return ImageSpec(family="debian", variant="any", arch=target.arch, role="builder")

    return plan(matrix, policy, replace(farm.reading(policy.options).plan_ports(), image=any_image))


def _cost(farm: Farm, jobs: Sequence[Job]) -> tuple[dict[tuple[str, str, str], float], Cost | None]:
    if not jobs:
        return {}, None
    from farm.survey.cost import PastBuild, cost, estimates  # noqa: PLC0415 - only where there is something to build

    past: Iterable[PastBuild] = ()
    # A store without a catalogue has no history, and reading must not make one.
    if (farm.root / "catalogue.sqlite").is_file():
        names = tuple(dict.fromkeys(job.pin.name for job in jobs))
        past = [
            PastBuild(name=name, version=version, target=target, seconds=seconds)
            for name, version, target, seconds in farm.store.catalogue.durations(names)
        ]
    by_job: dict[JobId, float] = estimates(jobs, past)
    by_cell = {(job.pin.name, str(job.pin.version), job.target.name): by_job[job.id] for job in jobs if job.id in by_job}
    return {(str(name), version, target): seconds for (name, version, target), seconds in by_cell.items()}, cost(jobs, by_job, farm.jobs)
