"""A look at watch sets: what each wants, what of that is there, and one plan for what is missing.

Pages are asked for once for all sets, and a set whose files and pages are as they were is answered from before. So a night with
nothing to do costs one conditional request for each project, however many sets want it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from farm.adapters.watch_answers import problems_of, wants_of
from farm.errors import FarmError, UpstreamError
from farm.model.job import Plan, job_id, make_job_id
from farm.model.report import Problem
from farm.model.watch import Look, SetSeen, WatchedCell
from farm.survey.detect import DetectPolicy
from farm.survey.plan import plan_all
from farm.survey.survey import policy_of, survey
from farm.survey.tell import problems, rows
from farm.survey.union import joined_cells, joined_plans
from farm.wire.watch_group import Groups, expect
from farm.wire.watch_known import Known, Uses
from farm.wire.watch_read import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from farm.adapters.watch_answers import SetAnswer
    from farm.model.demand import Demand
    from farm.model.gap import Matrix
    from farm.model.image import ImageSpec
    from farm.model.report import Row
    from farm.model.target import Target
    from farm.model.watch import CellKey, WatchSet
    from farm.wire.assembly import Farm
    from farm.wire.watch_group import Group
    from farm.wire.watch_read import Opened


@dataclass(slots=True, kw_only=True)
class _Found:
    """What a survey of a set found. `lost` are projects from elsewhere than an index that could not be had, with the reason where
    that may be so only now. `lasting` when the same files and pages have the same answer again."""

    cells: dict[CellKey, WatchedCell] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    remarks: tuple[str, ...] = ()
    lost: dict[str, str] = field(default_factory=dict)
    uses: Uses = field(default_factory=Uses)
    lasting: bool = True


class Looker:
    """One look at some sets; a context manager, which closes the connections to indexes that only sets have."""

    def __init__(self, farm: Farm, say: Callable[[str, str], None]) -> None:
        self._farm = farm
        self._say = say
        self._reader = Reader(farm, say)
        self._groups = Groups(farm)
        self._known = Known(farm, self._groups, self._reader)
        self._pool: dict[WatchedCell, WatchedCell] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._groups.close()

    def look(self, sets: Sequence[WatchSet]) -> tuple[tuple[SetSeen, ...], Plan]:
        """Return what each set wants, in their order, and the plan for what is missing."""
        self._reader.prepare(sets)
        opened = [self._opened(each) for each in sets]
        known = [self._known.of(each) if not isinstance(each, SetSeen) else None for each in opened]
        pages = self._known.prefetch(answer for answer in known if answer is not None)
        if pages:
            self._say("watch", f"the pages of {pages} projects were asked for")
        seen = [self._seen(each, answer) for each, answer in zip(opened, known, strict=True)]
        self._known.tidy()
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
        if answer is not None and self._known.holds(opened, answer):
            wants = tuple(map(self._shared, wants_of(answer)))
            return self._told(opened, wants, problems_of(answer), answer.remarks, digest=answer.digest)
        return self._surveyed(opened)

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
        cells = {**self._kept(watch, found), **found.cells}
        wants = tuple(cells[key] for key in sorted(cells))
        digest = hashlib.sha256(json.dumps([opened.inputs_digest, sorted(cells)]).encode()).hexdigest()
        seen = self._told(opened, wants, found.problems, found.remarks, digest=digest)
        if found.lasting:
            self._known.keep(opened, found.uses, seen)
        return replace(seen, look=replace(seen.look, seconds=(self._farm.clock.now() - began).total_seconds()))

    def _kept(self, watch: WatchSet, found: _Found) -> dict[CellKey, WatchedCell]:
        """Return what a set wanted before of what could not be looked at: targets without a solution, sources that cannot be had."""
        targets = {problem.subject for problem in found.problems if problem.kind == "unresolved"}
        if not targets and not found.lost:
            return {}
        kept = [cell for cell in self._last(watch) if cell.target in targets or cell.name in found.lost]
        told = (
            replace(cell, state="unknown", reason=found.lost[cell.name], file="") if found.lost.get(cell.name) else cell for cell in kept
        )
        return {cell.key: self._shared(cell) for cell in told}

    def _survey(self, opened: Opened, demands: Sequence[Demand]) -> _Found:
        found = _Found(remarks=tuple(opened.told(str(remark)) for demand in demands for remark in demand.remarks))
        told: list[Problem] = []
        for demand in demands:
            group = self._groups.of(demand.options)
            matrix = self._matrix(group, demand, opened.targets)
            cells = [self._cell(row, opened) for row in rows(matrix, Plan())]
            found.cells = joined_cells((found.cells.values(), (cell for cell in cells if cell.version)))
            found.lost |= {str(entry.name): opened.told(entry.reason) if entry.unknown else "" for entry in matrix.unsettled}
            told += [
                Problem(subject=str(entry.origin), text=opened.told(f"{entry.direct.url}: {entry.reason}"), kind="direct")
                for entry in matrix.unsettled
                if entry.unknown
            ]
            told += (replace(problem, subject=opened.told(problem.subject), text=opened.told(problem.text)) for problem in problems(matrix))
            gaps = {cell.key for cell in cells if cell.state == "build"}
            if not gaps <= group.gaps:
                group.matrices.append(matrix)
                group.gaps |= gaps
            found.uses.add(demand, group.reading.resolver.depended_on(), group.upstream.asked, matrix.cells)
            group.upstream.asked.clear()
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

    def _matrix(self, group: Group, demand: Demand, targets: tuple[Target, ...]) -> Matrix:
        farm = self._farm
        if demand.direct or any(entry.url for entry in (*demand.requirements, *demand.constraints)):
            from farm.wire.direct import settled  # noqa: PLC0415 - seldom needed

            demand = settled(farm, demand, targets)
        expect(group.reading, demand, targets)
        policy = replace(policy_of(demand, farm.settings.from_source), client_pip=farm.settings.client_pip, newest=group.newest)
        policy = policy.pinned_by(demand)
        matrix = survey(demand, targets, policy, group.ports, group.memory)
        if farm.rebuild or farm.settings.recipes:
            from farm.wire.outdated import without_outdated  # noqa: PLC0415 - seldom needed

            matrix = without_outdated(farm, matrix, policy, group.reading)
        return matrix

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
        return seen if gaps <= self._groups.usual.gaps else self._surveyed(opened)

    def _planned(self, seen: tuple[SetSeen, ...]) -> tuple[tuple[SetSeen, ...], Plan]:
        plan = joined_plans([self._plan(group) for group in self._groups if group.gaps])
        refused = {job_id(each.pin, each.target): each for each in plan.refused}
        if not refused:
            return seen, plan

        def told(cell: WatchedCell) -> WatchedCell:
            refusal = refused.get(make_job_id(cell.name, cell.version, cell.target)) if cell.state == "build" else None
            if refusal is None:
                return cell
            return self._shared(replace(cell, state="unknown" if refusal.unknown else "refused", reason=refusal.reason))

        return tuple(replace(each, wants=tuple(map(told, each.wants))) for each in seen), plan

    def _plan(self, group: Group) -> Plan:
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


def _any_image(target: Target, _variant: str) -> ImageSpec:
    """Which image would build is not asked where nothing is built."""
    from farm.model.image import ImageSpec as Spec  # noqa: PLC0415 - only where there are gaps

    return Spec(family="debian", variant="any", arch=target.arch, role="builder")
