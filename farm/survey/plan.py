"""Gaps -> Plan: one job for each wheel to build, build dependencies without a wheel included, in an order that can be run."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from farm.errors import ImageError, UpstreamError
from farm.model.build import BadSdist, IntegrityError
from farm.model.gap import Cell, Missing, Present, Unknown
from farm.model.job import Dependency, Job, JobId, Plan, Proof, Recipe, Refusal, SdistFacts, job_id
from farm.model.requirements import required
from farm.survey.bootstrap import bootstrap
from farm.survey.detect import policy_of_builds
from farm.survey.environment import NoEnvironment, environment
from farm.survey.order import cycles, describe, hanging_on, in_order
from farm.survey.serves import chained, oldest_stable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from farm.model.gap import Matrix
    from farm.model.image import ImageSpec
    from farm.model.package import NormalizedName, Pin
    from farm.model.target import Target
    from farm.ports import Index, Resolver, Sdists
    from farm.survey.detect import DetectPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPorts:
    """What planning asks of the world; all of it only reads. `image` takes a target and the variant that a recipe wants, or ""."""

    upstream: Index
    farm: Index
    resolver: Resolver
    sdists: Sdists
    image: Callable[[Target, str], ImageSpec]
    recipe: Callable[[Pin, Target], Recipe]


_OTHERS = (
    "bound or add build requirements with build-constraints and build-requires in [recipes.{name}], take another release of it, or "
    "leave this target out"
)


class _Refused(Exception):  # noqa: N818 - private: ends the planning of one gap
    def __init__(self, reason: str, *, unknown: bool = False, cause: str = "missing-python-build-dep", remedy: str = "") -> None:
        super().__init__(reason)
        self.unknown = unknown
        self.cause = cause
        self.remedy = remedy


def plan(matrix: Matrix, policy: DetectPolicy, ports: PlanPorts) -> Plan:
    """Return the plan for every gap of the matrix.

    A gap that cannot become a job is refused with its reason, and so is what needs it. ImageError when that is so of every
    gap for want of an image.
    """
    made, unserved = _planned((matrix,), policy, ports)
    if unserved is not None and not made.jobs:
        raise unserved
    return made


def plan_all(matrices: Sequence[Matrix], policy: DetectPolicy, ports: PlanPorts) -> Plan:
    """Return one plan for the gaps of several demands, in which each gap is once; it is proven beside what the first of them needs.

    Of the policy only counts what holds for builds: `from_source` and `newest`. What no image serves is refused.
    """
    return _planned(matrices, policy, ports)[0]


def _planned(matrices: Sequence[Matrix], policy: DetectPolicy, ports: PlanPorts) -> tuple[Plan, ImageError | None]:
    draft = _Draft(policy, ports)
    for number, matrix in enumerate(matrices):
        for cell in matrix.cells:
            draft.note(cell, number)
    draft.settle()
    return draft.finish(), draft.unserved


class NoPlan(Exception):  # noqa: N818 - names what there is not
    """What a job needs now cannot be planned. `refusal` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


def plan_more(job: Job, policy: DetectPolicy, ports: PlanPorts) -> tuple[Job, Plan]:
    """Return a job of a running plan with the build environment that it needs now, and the jobs for what of that has no wheel.

    It needs what its sdist, its recipe and its backend (`named`) say. NoPlan when that cannot be planned, as where it would need
    itself; UpstreamError when an index did not answer, and Sdists.facts' failures.
    """
    draft = _Draft(policy, ports)
    draft.begin(job)
    draft.settle()
    made = draft.finish()
    if made.refused and job.id not in {each.id for each in made.jobs}:
        raise NoPlan(next(each for each in made.refused if job_id(each.pin, each.target) == job.id))
    grown = next(each for each in made.jobs if each.id == job.id)
    return replace(job, requires=grown.requires), replace(made, jobs=tuple(each for each in made.jobs if each.id != job.id))


class _Draft:
    """The plan while it grows: build dependencies that lack wheels add gaps of their own."""

    def __init__(self, policy: DetectPolicy, ports: PlanPorts) -> None:
        self._policy = policy
        self._ports = ports
        self._cells: dict[tuple[Pin, Target], Cell] = {}
        self._closures: dict[tuple[Pin, Target], dict[NormalizedName, Cell]] = {}
        self._todo: deque[Cell] = deque()
        self._jobs: dict[JobId, Job] = {}
        self._refused: dict[JobId, Refusal] = {}
        self._environments: dict[tuple[tuple[str, ...], tuple[str, ...], Target], tuple[Cell, ...]] = {}
        self._worlds: dict[tuple[int, Target], dict[NormalizedName, Cell]] = {}
        self._wanted: set[tuple[Pin, Target]] = set()
        self._texts: dict[JobId, tuple[str, ...]] = {}
        self._notes: list[str] = []
        self.unserved: ImageError | None = None

    def begin(self, job: Job) -> None:
        """Take in a job that is planned already, and needs other wheels than before."""
        own = Missing(reason=job.reason, sdist=job.sdist)
        cell = Cell(pin=job.pin, target=job.target, presence=own, via=job.via, dependencies=(), direct=job.direct)
        self._wanted.add((job.pin, job.target))
        self._cells[job.pin, job.target] = cell
        self._closures[job.pin, job.target] = {}
        facts = self._ports.sdists.facts(job.pin, job.sdist)
        try:
            needed = self._requirements(cell, required((*facts.build_requires, *job.named), job.recipe), job.recipe)
        except _Refused as refused:
            self._refused[job.id] = _refusal(cell, refused)
            raise NoPlan(self._refused[job.id]) from refused
        self._jobs[job.id] = replace(job, requires=tuple(self._dependency(each) for each in needed))

    def note(self, cell: Cell, world: int = 0) -> None:
        """Take in a cell of the user's own matrices; `world` tells these apart. A gap goes before the same pin without one."""
        self._wanted.add((cell.pin, cell.target))
        beside = self._worlds.setdefault((world, cell.target), {})
        beside[cell.pin.name] = cell
        known = self._cells.get((cell.pin, cell.target))
        if known is not None and isinstance(cell.presence, Missing) and not isinstance(known.presence, Missing):
            del self._cells[cell.pin, cell.target]
        self._add(cell, beside)

    def _add(self, cell: Cell, world: dict[NormalizedName, Cell]) -> None:
        key = (cell.pin, cell.target)
        if key not in self._cells:
            self._cells[key] = cell
            self._closures[key] = world
            if isinstance(cell.presence, Missing):
                self._todo.append(cell)

    def settle(self) -> None:
        """Turn each gap into a job or a refusal, until no build dependency adds another."""
        while self._todo:
            cell = self._todo.popleft()
            identity = job_id(cell.pin, cell.target)
            try:
                self._jobs[identity] = self._job(cell)
            except _Refused as refused:
                self._refused[identity] = _refusal(cell, refused)
            except UpstreamError as error:
                self._refuse(cell, error.reason, unknown=True)
            except ImageError as error:
                self.unserved = error
                self._refuse(cell, error.reason.splitlines()[0])

    def _refuse(self, cell: Cell, reason: str, *, unknown: bool = False) -> None:
        refusal = Refusal(pin=cell.pin, target=cell.target, reason=reason, via=cell.via, unknown=unknown)
        self._refused[job_id(cell.pin, cell.target)] = refusal

    def _job(self, cell: Cell) -> Job:
        assert isinstance(cell.presence, Missing)
        recipe = self._ports.recipe(cell.pin, cell.target)
        image = self._ports.image(cell.target, recipe.variant)
        facts = self._facts(cell, cell.presence)
        needed = self._requirements(cell, required(facts.build_requires, recipe), recipe)
        kind = recipe.kind or ("native" if facts.native else "pure")
        return Job(
            id=job_id(cell.pin, cell.target),
            pin=cell.pin,
            target=cell.target,
            proofs=(),
            reason=cell.presence.reason,
            sdist=cell.presence.sdist,
            kind=kind,
            rust=facts.rust,
            asks=facts.asks,
            recipe=recipe,
            image=image,
            requires=tuple(self._dependency(c) for c in needed),
            via=cell.via,
            direct=cell.direct,
            wanted=(cell.pin, cell.target) in self._wanted,
            stable_abi=self._stable_abi(cell, facts) if kind == "native" else "",
        )

    def _stable_abi(self, cell: Cell, facts: SdistFacts) -> str:
        """What wheels of the project say goes before what the sdist seems to: this version's, or the farm's of another one."""
        if cell.direct is not None:
            return facts.stable_abi
        theirs, ours = self._ports.upstream.project(cell.pin.name), self._ports.farm.project(cell.pin.name)
        files = [file for page in (theirs, ours) if page for file in page.of(cell.pin.version)]
        return oldest_stable(files, cell.target) or facts.stable_abi or oldest_stable(ours.files if ours else (), cell.target)

    def _facts(self, cell: Cell, gap: Missing) -> SdistFacts:
        try:
            return self._ports.sdists.facts(cell.pin, gap.sdist)
        except (BadSdist, IntegrityError) as error:
            cause = "broken-sdist" if isinstance(error, BadSdist) else "integrity"
            raise _Refused(error.reason, cause=cause, remedy=error.solution) from error

    def _requirements(self, cell: Cell, texts: Sequence[str], recipe: Recipe) -> tuple[Cell, ...]:
        key = (tuple(sorted(texts)), recipe.build_constraints, cell.target)
        self._texts[job_id(cell.pin, cell.target)] = tuple(texts)
        if key not in self._environments:
            try:
                self._environments[key] = environment(
                    texts, recipe.build_constraints, cell.target, policy=self._of_builds, ports=self._ports
                )
            except NoEnvironment as error:
                raise _Refused(str(error), remedy=_OTHERS.format(name=cell.pin.name)) from error
        cells = self._environments[key]
        world = {c.pin.name: c for c in cells}
        for each in cells:
            self._add(replace(each, via=(f"{cell.pin} (build requirement)",)), world)
            if not isinstance(each.presence, Present | Missing):
                message = f"its build dependency {each.pin} cannot be had for {each.target}: {each.presence.reason}"
                remedy = _OTHERS.format(name=cell.pin.name)
                raise _Refused(message, unknown=isinstance(each.presence, Unknown), remedy=remedy)
        return cells

    @property
    def _of_builds(self) -> DetectPolicy:
        return policy_of_builds(self._policy.from_source, self._policy.newest)

    def _dependency(self, cell: Cell) -> Dependency:
        if isinstance(cell.presence, Present):
            return Dependency(pin=cell.pin, file=cell.presence.file, job=None)
        return Dependency(pin=cell.pin, file=None, job=job_id(cell.pin, cell.target))

    def finish(self) -> Plan:
        """Break circles or refuse them, add the proofs, refuse what needs a refused job, chain the pure ones, and order the rest."""
        self._open_circles()
        jobs = {identity: self._with_proofs(job) for identity, job in self._jobs.items()}
        jobs = self._without_refused(jobs)
        if self._notes:
            # What a circle was broken at may have been asked for by that circle alone.
            jobs = hanging_on(jobs, {identity for identity, job in jobs.items() if (job.pin, job.target) in self._wanted})
        jobs = {identity: replace(job, proofs=_within(job, jobs)) for identity, job in jobs.items()}
        ordered = in_order(chained(jobs))
        return Plan(jobs=tuple(ordered), refused=tuple(self._refused.values()), notes=tuple(self._notes))

    def _open_circles(self) -> None:
        """Each round a job of every circle gets wheels alone, or the whole circle goes: so it ends."""
        while found := cycles({identity: job.needs for identity, job in self._jobs.items()}):
            for circle in found:
                told = describe(self._jobs[identity].pin for identity in circle)
                try:
                    broken, unknown = self._break(circle, told), False
                except UpstreamError:
                    broken, unknown = False, True
                if not broken:
                    self._refuse_circle(circle, told, unknown=unknown)

    def _break(self, circle: Sequence[JobId], told: str) -> bool:
        """Have one member of a circle built with another release of the next, which has a wheel. False where none will do."""
        for identity, need in zip(circle, (*circle[1:], circle[0]), strict=True):
            job, other = self._jobs[identity], self._jobs[need].pin
            cells = bootstrap(job, other, self._texts[identity], self._of_builds, self._ports)
            if cells is not None:
                self._jobs[identity] = replace(job, requires=tuple(self._dependency(cell) for cell in cells))
                instead = next((f"with {cell.pin}" for cell in cells if cell.pin.name == other.name), f"without {other.name}")
                self._notes.append(f"{job.pin} for {job.target} is built {instead}, of which there is a wheel, to break {told}")
                return True
        return False

    def _refuse_circle(self, circle: Sequence[JobId], told: str, *, unknown: bool) -> None:
        for identity in circle:
            job = self._jobs.pop(identity)
            reason = f"{told}; no other release with a wheel breaks it: break it with a build-constraint in a recipe"
            self._refused[identity] = Refusal(
                pin=job.pin, target=job.target, reason=reason, via=job.via, unknown=unknown, cause="missing-python-build-dep",
                remedy=_OTHERS.format(name=job.pin.name),
            )  # fmt: skip

    def _with_proofs(self, job: Job) -> Job:
        kin = [other.target for other in self._jobs.values() if other.pin == job.pin and other.target != job.target]
        targets = (job.target, *sorted(kin))
        return replace(job, proofs=tuple(Proof(target=t, beside=self._beside(job.pin, t)) for t in targets))

    def _beside(self, pin: Pin, target: Target) -> tuple[Dependency, ...]:
        """The closure of a pin's run-time dependencies in the resolution that it came from."""
        world = self._closures[pin, target]
        found: dict[NormalizedName, Cell] = {}
        todo = [pin.name]
        while todo:
            cell = world.get(todo.pop())
            for name in cell.dependencies if cell else ():
                if name in world and name != pin.name and name not in found:
                    found[name] = world[name]
                    todo.append(name)
        return tuple(self._dependency(cell) for _, cell in sorted(found.items()))

    def _without_refused(self, jobs: dict[JobId, Job]) -> dict[JobId, Job]:
        """Refuse, round by round, each job that needs something which cannot be had."""
        while True:
            lost = {identity: found for identity, job in jobs.items() if (found := self._lost(job, jobs))}
            if not lost:
                return jobs
            for identity, (why, unknown) in lost.items():
                job = jobs.pop(identity)
                self._refused[identity] = Refusal(pin=job.pin, target=job.target, reason=why, via=job.via, unknown=unknown)

    def _lost(self, job: Job, jobs: dict[JobId, Job]) -> tuple[str, bool] | None:
        for dependency in (*job.requires, *job.proofs[0].beside):
            if dependency.job is None or dependency.job in jobs:
                continue
            refusal = self._refused.get(dependency.job)
            cell = self._cells.get((dependency.pin, job.target))
            presence = cell.presence if cell else None
            why = refusal.reason if refusal else getattr(presence, "reason", "")
            unknown = refusal.unknown if refusal else isinstance(presence, Unknown)
            return f"it needs {dependency.pin}, which cannot be had: {why}", unknown
        return None


def _refusal(cell: Cell, refused: _Refused) -> Refusal:
    return Refusal(
        pin=cell.pin, target=cell.target, reason=str(refused), via=cell.via, unknown=refused.unknown, cause=refused.cause,
        remedy=refused.remedy,
    )  # fmt: skip


def _within(job: Job, jobs: dict[JobId, Job]) -> tuple[Proof, ...]:
    """A target whose own job was refused has no set of wheels to prove this one with."""
    return tuple(proof for proof in job.proofs if job_id(job.pin, proof.target) in jobs)
