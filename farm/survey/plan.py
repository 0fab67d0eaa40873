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
from farm.survey.detect import policy_of_builds
from farm.survey.environment import NoEnvironment, environment
from farm.survey.order import cycles, in_order
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
    draft = _Draft(policy, ports)
    for cell in matrix.cells:
        draft.note(cell)
    draft.settle()
    made = draft.finish()
    if draft.unserved is not None and not made.jobs:
        raise draft.unserved
    return made


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
        self._worlds: dict[Target, dict[NormalizedName, Cell]] = {}
        self._wanted: set[tuple[Pin, Target]] = set()
        self.unserved: ImageError | None = None

    def note(self, cell: Cell) -> None:
        """Take in a cell of the user's own matrix."""
        self._wanted.add((cell.pin, cell.target))
        self._worlds.setdefault(cell.target, {})[cell.pin.name] = cell
        self._add(cell, self._worlds[cell.target])

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
                found = Refusal(pin=cell.pin, target=cell.target, reason=str(refused), via=cell.via, unknown=refused.unknown)
                self._refused[identity] = replace(found, cause=refused.cause, remedy=refused.remedy)
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
        if key not in self._environments:
            policy = policy_of_builds(self._policy.from_source, self._policy.newest)
            try:
                self._environments[key] = environment(
                    texts, recipe.build_constraints, cell.target, policy=policy, ports=self._ports
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

    def _dependency(self, cell: Cell) -> Dependency:
        if isinstance(cell.presence, Present):
            return Dependency(pin=cell.pin, file=cell.presence.file, job=None)
        return Dependency(pin=cell.pin, file=None, job=job_id(cell.pin, cell.target))

    def finish(self) -> Plan:
        """Add the proofs, refuse what needs a refused job or itself, chain the pure ones, and order the rest."""
        self._refuse_cycles()
        jobs = {identity: self._with_proofs(job) for identity, job in self._jobs.items()}
        jobs = self._without_refused(jobs)
        jobs = {identity: replace(job, proofs=_within(job, jobs)) for identity, job in jobs.items()}
        ordered = in_order(chained(jobs))
        return Plan(jobs=tuple(ordered), refused=tuple(self._refused.values()))

    def _refuse_cycles(self) -> None:
        for cycle in cycles({identity: job.needs for identity, job in self._jobs.items()}):
            chain = " needs ".join(str(self._jobs[identity].pin) for identity in (*cycle, cycle[0]))
            for identity in cycle:
                job = self._jobs.pop(identity)
                reason = f"a circle of build dependencies: {chain}; break it with a build-constraint in a recipe"
                remedy = _OTHERS.format(name=job.pin.name)
                self._refused[identity] = Refusal(
                    pin=job.pin, target=job.target, reason=reason, via=job.via, cause="missing-python-build-dep", remedy=remedy
                )

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


def _within(job: Job, jobs: dict[JobId, Job]) -> tuple[Proof, ...]:
    """A target whose own job was refused has no set of wheels to prove this one with."""
    return tuple(proof for proof in job.proofs if job_id(job.pin, proof.target) in jobs)
