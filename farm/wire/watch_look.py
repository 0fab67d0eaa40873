"""A look at watch sets: what each wants, what of that is there, and one plan for what is missing.

Pages are asked for once for all sets, and a set whose files and pages are as they were is answered from before. So a night with
nothing to do costs one conditional request for each project, however many sets want it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from farm import __version__
from farm.adapters.answers import file_digest, text_digest
from farm.adapters.resolutions import page_digest
from farm.adapters.watch_answers import SetAnswers, encoded, make_answer, problems_of, wants_of
from farm.errors import FarmError, UpstreamError
from farm.model.demand import IndexOptions
from farm.model.job import Plan, make_job_id
from farm.model.watch import Look, SetSeen, WatchedCell
from farm.survey.detect import DetectPolicy
from farm.survey.plan import plan_all
from farm.survey.survey import policy_of, survey
from farm.survey.tell import problems, rows
from farm.survey.union import joined_cells, joined_plans
from farm.wire.watch_read import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from farm.adapters.resolver import UvResolver
    from farm.adapters.watch_answers import SetAnswer
    from farm.model.demand import Demand
    from farm.model.gap import Matrix
    from farm.model.image import ImageSpec
    from farm.model.package import NormalizedName, Project, Version
    from farm.model.report import Problem, Row
    from farm.model.target import Target
    from farm.model.watch import CellKey, WatchSet
    from farm.ports import Index
    from farm.survey.detect import Memory
    from farm.wire.assembly import Farm
    from farm.wire.reading import Reading
    from farm.wire.watch_read import Opened


class _Own:
    """The farm's own index, each project read once in a look."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._found: dict[NormalizedName, Project | None] = {}

    def project(self, name: NormalizedName) -> Project | None:
        if name not in self._found:
            self._found[name] = self._index.project(name)
        return self._found[name]


class _Noting:
    """An index that notes what it is asked for."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.asked: set[NormalizedName] = set()

    def project(self, name: NormalizedName) -> Project | None:
        self.asked.add(name)
        return self._index.project(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ports:
    """Satisfies `survey.environment.EnvironmentPorts`."""

    upstream: Index
    farm: Index
    resolver: UvResolver


class _Group:
    """The sets that read from the same indexes, and what they share."""

    def __init__(self, reading: Reading, own: _Own, *, usual: bool) -> None:
        self.reading = reading
        self.usual = usual
        self.upstream = _Noting(reading.upstream)
        self.ports = _Ports(upstream=self.upstream, farm=own, resolver=reading.resolver)
        self.memory: Memory = {}
        self.newest: datetime | None = reading.resolver.newest()
        self.matrices: list[Matrix] = []
        self.gaps: set[CellKey] = set()


@dataclass(slots=True, kw_only=True)
class _Found:
    """What a survey of a set found. `lasting` when the same files and pages have the same answer again."""

    cells: dict[CellKey, WatchedCell] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    remarks: tuple[str, ...] = ()
    names: set[str] = field(default_factory=set)
    lasting: bool = True


class Looker:
    """One look at some sets. `plan` and what it refuses are told by `finish`, once all were looked at."""

    def __init__(self, farm: Farm, say: Callable[[str, str], None]) -> None:
        self._farm = farm
        self._say = say
        self._reader = Reader(farm, say)
        self._own = _Own(farm.store)
        self._groups: dict[tuple[object, ...], _Group] = {}
        self._answers = SetAnswers(farm.cache / "watches" / "sets", now=lambda: farm.clock.now().timestamp())
        self._pool: dict[WatchedCell, WatchedCell] = {}
        self._marks: dict[str, str] = {}
        self._used: set[str] = set()

    def look(self, sets: Sequence[WatchSet]) -> tuple[tuple[SetSeen, ...], Plan]:
        """Return what each set wants, in their order, and the plan for what is missing."""
        self._reader.prepare(sets)
        opened = [self._opened(each) for each in sets]
        known = [self._known(each) if not isinstance(each, SetSeen) else None for each in opened]
        self._prefetch(answer for answer in known if answer is not None)
        seen = [self._seen(each, answer) for each, answer in zip(opened, known, strict=True)]
        self._answers.tidy(self._used)
        seen = [self._with_gaps(each, at, answer) for each, at, answer in zip(seen, opened, known, strict=True)]
        return self._planned(tuple(seen))

    def _opened(self, watch: WatchSet) -> Opened | SetSeen:
        try:
            return self._reader.open(watch)
        except FarmError as error:
            return self._failed(watch, error)

    def _seen(self, opened: Opened | SetSeen, answer: SetAnswer | None) -> SetSeen:
        if isinstance(opened, SetSeen):
            return opened
        if answer is not None and self._holds(answer):
            return self._from_before(opened, answer)
        return self._surveyed(opened)

    # What was known before.

    def _known(self, opened: Opened) -> SetAnswer | None:
        """Return the last answer where the set's files are as they were then."""
        key = self._key(opened)
        self._used.add(key)
        if self._farm.refresh:
            return None
        answer = self._answers.load(key)
        return answer if answer is not None and self._reader.same(answer.texts, answer.variables) else None

    def _key(self, opened: Opened) -> str:
        farm, watch = self._farm, opened.watch
        content = [
            __version__, [part.inputs for part in opened.parts], opened.constraints, watch.extras, watch.groups, watch.default_groups,
            [(target.name, target.full_version, target.implementation_version) for target in opened.targets], *self._world,
            farm.reads_only, farm.rebuild,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @cached_property
    def _world(self) -> list[object]:
        """What an answer depends on, whichever set it is of."""
        farm, settings = self._farm, self._farm.settings
        recipes = [(path.name, file_digest(str(path))) for path in sorted(Path(settings.recipe_folder).glob("*.toml"))]
        from farm.adapters.exact_metadata import ExactMetadata  # noqa: PLC0415 - only in a look

        newest = self._usual.newest
        return [
            settings.source, file_digest(settings.source), recipes if settings.recipe_folder else [], str(settings.client_pip),
            farm.pip.urls, ExactMetadata(farm.root / "metadata").state(), newest.isoformat() if newest else "",
        ]  # fmt: skip

    def _prefetch(self, answers: Iterable[SetAnswer]) -> None:
        """Read, or ask again for, every page that answers from before depend on; of none more than its mark is kept."""
        names = dict.fromkeys(name for answer in answers for name in answer.pages)
        if names:
            self._say("watch", f"asking the index for {len(names)} projects")
            upstream = self._usual.reading.upstream
            upstream.expect(dict.fromkeys(names, ()))  # type: ignore[arg-type]
            upstream.prefetch(names)  # type: ignore[arg-type]

    def _holds(self, answer: SetAnswer) -> bool:
        try:
            own = all(self._own_mark(name) == mark for name, mark in answer.own.items())
            return own and all(self._mark(name) == mark for name, mark in answer.pages.items())
        except UpstreamError:
            return False

    def _mark(self, name: str) -> str:
        """Return what tells the states of an upstream page apart. UpstreamError."""
        found = self._marks.get(name)
        if found is None:
            page = self._usual.reading.upstream.project(name)  # type: ignore[arg-type]
            found = self._marks[name] = "" if page is None else page_digest(page)
        return found

    def _own_mark(self, name: str) -> str:
        return repr(self._farm.store.stamp(name))  # type: ignore[arg-type]

    def _from_before(self, opened: Opened, answer: SetAnswer) -> SetSeen:
        wants = tuple(map(self._shared, wants_of(answer)))
        return self._told(opened, wants, problems_of(answer), answer.remarks, digest=answer.digest)

    # A survey.

    def _surveyed(self, opened: Opened) -> SetSeen:
        watch = opened.watch
        began = self._farm.clock.now()
        self._say(watch.name, "looking")
        try:
            demands = self._reader.read(opened)
        except FarmError as error:
            return self._failed(watch, error, opened)
        try:
            found = self._survey(opened, demands)
        except UpstreamError as error:
            return self._unknown(watch, error, opened)
        except FarmError as error:
            return self._failed(watch, error, opened)
        lost = {problem.subject for problem in found.problems if problem.kind == "unresolved"}
        kept = [cell for cell in self._last(watch) if cell.target in lost] if lost else []
        cells = {**{cell.key: self._shared(cell) for cell in kept}, **found.cells}
        wants = tuple(cells[key] for key in sorted(cells))
        digest = hashlib.sha256(json.dumps([opened.inputs_digest, sorted(cells)]).encode()).hexdigest()
        seen = self._told(opened, wants, found.problems, found.remarks, digest=digest)
        self._keep(opened, found, seen)
        return replace(seen, look=replace(seen.look, seconds=(self._farm.clock.now() - began).total_seconds()))

    def _survey(self, opened: Opened, demands: Sequence[Demand]) -> _Found:
        found = _Found(remarks=tuple(opened.told(str(remark)) for demand in demands for remark in demand.remarks))
        told: list[Problem] = []
        for demand in demands:
            group = self._group(demand.options)
            matrix = self._matrix(group, demand, opened.targets)
            cells = [self._cell(row, opened) for row in rows(matrix, Plan())]
            found.cells = joined_cells((found.cells.values(), (cell for cell in cells if cell.version)))
            told += (replace(problem, subject=opened.told(problem.subject), text=opened.told(problem.text)) for problem in problems(matrix))
            gaps = {cell.key for cell in cells if cell.state == "build"}
            if not gaps <= group.gaps:
                group.matrices.append(matrix)
                group.gaps |= gaps
            found.names |= {*group.reading.resolver.depended_on(), *group.upstream.asked}
            group.upstream.asked.clear()
            found.names |= {cell.pin.name for cell in matrix.cells if not cell.locked}
            group.reading.upstream.release()
            local = demand.direct or demand.options.find_links or any(entry.url for entry in demand.requirements)
            found.lasting &= group.usual and not local and not any(cell.state == "unknown" for cell in cells)
        found.problems = tuple(told)
        found.lasting &= not told
        return found

    def _cell(self, row: Row, opened: Opened) -> WatchedCell:
        reason = opened.told(row.reason) if row.reason else ""
        return self._shared(
            WatchedCell(name=row.name, version=row.version, target=row.target, state=row.state, reason=reason, file=row.file)
        )

    def _matrix(self, group: _Group, demand: Demand, targets: tuple[Target, ...]) -> Matrix:
        farm = self._farm
        if demand.direct or any(entry.url for entry in (*demand.requirements, *demand.constraints)):
            from farm.wire.direct import settled  # noqa: PLC0415 - seldom needed

            demand = settled(farm, demand, targets)
        _expect(group.reading, demand, targets)
        policy = replace(policy_of(demand, farm.settings.from_source), client_pip=farm.settings.client_pip, newest=group.newest)
        policy = policy.pinned_by(demand)
        matrix = survey(demand, targets, policy, group.ports, group.memory)
        if farm.rebuild or farm.settings.recipes:
            from farm.wire.outdated import without_outdated  # noqa: PLC0415 - seldom needed

            matrix = without_outdated(farm, matrix, policy, group.reading)
        return matrix

    def _keep(self, opened: Opened, found: _Found, seen: SetSeen) -> None:
        """Remember an answer that holds for as long as files and pages stay what they are."""
        if not found.lasting:
            return
        pages = {name: self._mark(name) for name in sorted(found.names)}
        if "?" in pages.values():
            return
        targets = tuple(dict.fromkeys(cell.target for cell in seen.wants))
        names = sorted({*pages, *(cell.name for cell in seen.wants)})
        variables = {name: text_digest(dict.get(opened.variables, name)) for name in opened.variables.asked}
        answer = make_answer(
            texts=opened.texts, variables=variables, pages=pages, own={name: self._own_mark(name) for name in names}, targets=targets,
            wants=encoded(seen.wants, targets), problems=[], remarks=seen.remarks, files=seen.files, inputs=opened.inputs_digest,
            digest=seen.look.digest,
        )  # fmt: skip
        self._answers.save(self._key(opened), answer)

    def _group(self, options: IndexOptions) -> _Group:
        key = (options.index_url, options.extra_index_urls, options.no_index)
        if key not in self._groups:
            usual = key == (None, (), False)
            farm = self._farm
            reading = farm.reading(IndexOptions()) if usual else farm.own_reading(options)
            self._groups[key] = _Group(reading, self._own, usual=usual)
        return self._groups[key]

    @property
    def _usual(self) -> _Group:
        return self._group(IndexOptions())

    # What could not be looked at.

    def _failed(self, watch: WatchSet, error: FarmError, opened: Opened | None = None) -> SetSeen:
        """Return a set that could not be read, with what it wanted when it could."""
        return self._lost(watch, _told_error(error, opened), self._last(watch), opened)

    def _unknown(self, watch: WatchSet, error: UpstreamError, opened: Opened) -> SetSeen:
        """Return a set of which nothing can be known, as an index did not answer."""
        reason = opened.told(error.reason)
        cells = [replace(cell, state="unknown", reason=reason) for cell in self._last(watch)]
        return self._lost(watch, _told_error(error, opened), cells, opened)

    def _lost(self, watch: WatchSet, error: str, cells: Iterable[WatchedCell], opened: Opened | None) -> SetSeen:
        wants = tuple(map(self._shared, cells))
        names = watch.targets or tuple(target.name for target in self._farm.settings.targets)
        look = Look(name=watch.name, looked=self._farm.clock.now(), digest="", error=error, pins=_pins(wants), seconds=0.0)
        self._say(watch.name, error.splitlines()[0])
        return SetSeen(watch=watch, look=look, targets=names, wants=wants, files=opened.files if opened else ())

    def _last(self, watch: WatchSet) -> tuple[WatchedCell, ...]:
        return self._farm.records.watches.last(watch.name)

    # All together.

    def _with_gaps(self, seen: SetSeen, opened: Opened | SetSeen, answer: SetAnswer | None) -> SetSeen:
        """Survey a set that was answered from before, where it has a gap that no other set has brought into the plan."""
        if answer is None or isinstance(opened, SetSeen) or seen.look.error:
            return seen
        gaps = {cell.key for cell in seen.wants if cell.state == "build"}
        return seen if gaps <= self._usual.gaps else self._surveyed(opened)

    def _planned(self, seen: tuple[SetSeen, ...]) -> tuple[tuple[SetSeen, ...], Plan]:
        plan = joined_plans([self._plan(group) for group in self._groups.values() if group.gaps])
        refused = {make_job_id(each.pin.name, str(each.pin.version), each.target.name): each for each in plan.refused}
        if not refused:
            return seen, plan

        def told(cell: WatchedCell) -> WatchedCell:
            refusal = refused.get(make_job_id(cell.name, cell.version, cell.target)) if cell.state == "build" else None
            if refusal is None:
                return cell
            return self._shared(replace(cell, state="unknown" if refusal.unknown else "refused", reason=refusal.reason))

        return tuple(replace(each, wants=tuple(map(told, each.wants))) for each in seen), plan

    def _plan(self, group: _Group) -> Plan:
        policy = DetectPolicy(from_source=self._farm.settings.from_source, newest=group.newest)
        ports = group.reading.plan_ports()
        return plan_all(group.matrices, policy, replace(ports, image=_any_image) if self._farm.reads_only else ports)

    def _told(
        self, opened: Opened, wants: tuple[WatchedCell, ...], told: tuple[Problem, ...], remarks: tuple[str, ...], *, digest: str
    ) -> SetSeen:
        look = Look(
            name=opened.watch.name, looked=self._farm.clock.now(), digest=digest, error="", pins=_pins(wants), seconds=0.0
        )  # fmt: skip
        targets = tuple(target.name for target in opened.targets)
        return SetSeen(
            watch=opened.watch, look=look, targets=targets, wants=wants, problems=told, remarks=remarks, files=opened.files
        )  # fmt: skip

    def _shared(self, cell: WatchedCell) -> WatchedCell:
        """Return the one cell of its kind: most sets want what others want."""
        return self._pool.setdefault(cell, cell)


def _pins(wants: Iterable[WatchedCell]) -> int:
    return len({(cell.name, cell.version) for cell in wants})


def _told_error(error: FarmError, opened: Opened | None) -> str:
    text = f"{error.reason}\nto do: {error.solution}"
    return opened.told(text) if opened else text


def _expect(reading: Reading, demand: Demand, targets: Sequence[Target]) -> None:
    """Read the pages that a set will be asked about side by side."""
    wanted: dict[NormalizedName, set[Version]] = {}
    names: dict[NormalizedName, None] = {}
    for entry in demand.requirements:
        if entry.url is not None or not _applies(entry.marker, targets):
            continue
        names[entry.name] = None
        if entry.pinned is not None:
            wanted.setdefault(entry.name, set()).add(entry.pinned)
    for package in (package for lock in demand.locks for package in lock.packages):
        # What a lock lists with URL and hash needs a page only where that is not enough.
        if package.version is None or package.direct is not None or all(file.url and file.sha256 for file in package.files):
            continue
        names[package.name] = None
        wanted.setdefault(package.name, set()).add(package.version)
    loose = {entry.name for entry in demand.requirements if entry.pinned is None}
    reading.upstream.expect({name: sorted(versions) for name, versions in wanted.items() if name not in loose})
    reading.upstream.prefetch(names)


def _applies(marker: object, targets: Sequence[Target]) -> bool:
    return marker is None or any(marker.evaluate({**target.markers, "extra": ""}) for target in targets)  # type: ignore[attr-defined]


def _any_image(target: Target, _variant: str) -> ImageSpec:
    """Which image would build is not asked where nothing is built."""
    from farm.model.image import ImageSpec as Spec  # noqa: PLC0415 - only where there are gaps

    return Spec(family="debian", variant="any", arch=target.arch, role="builder")


