"""Farm: one configuration and one environment, put together. Each part is made when it is first used."""

from __future__ import annotations

import hashlib
import secrets
import sys
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from farm.adapters.clock import SystemClock
from farm.adapters.lessons import Lessons
from farm.adapters.pipconfig import Machine as PipMachine
from farm.adapters.pipconfig import default_index, read_settings, with_indexes
from farm.adapters.rooms import Rooms
from farm.adapters.store import Store
from farm.model.recipes import merged
from farm.serve.simple import render_project
from farm.wire.site import certificates, host_environment, image_variables, processors, proxies, statement_base

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from farm.adapters.images import DockerImages
    from farm.adapters.pipconfig import IndexSettings
    from farm.engine.local import Finished, LocalEngine
    from farm.model.attempt import Attempt
    from farm.model.demand import Demand, IndexOptions
    from farm.model.gap import Matrix
    from farm.model.image import Family, ImageSpec
    from farm.model.job import Job, JobId, Plan, Recipe
    from farm.model.lock import Choice
    from farm.model.messages import Command, Event
    from farm.model.package import Pin
    from farm.model.report import Row
    from farm.model.settings import Settings
    from farm.model.target import Target
    from farm.ports import Catalogue, Progress
    from farm.survey.detect import DetectPolicy
    from farm.wire.reading import Reading
    from farm.wire.records import Records


class Silent:
    """`ports.Progress` that says nothing."""

    def say(self, subject: str, text: str, attempt: str = "") -> None: ...

    def output(self, subject: str, line: str, attempt: str = "") -> None: ...


class Farm:
    """What the command line calls. A context manager: leaving it closes connections and gives up the run's lock."""

    def __init__(self, settings: Settings, env: Mapping[str, str], *, refresh: bool = False) -> None:
        self.settings = settings
        self.env = env
        self.refresh = refresh
        self.reads_only = False
        """No container may be started, not even to ask a build backend (`farm check`)."""
        self.retry_failed = False
        """What failed before is tried again, whether an input changed or not."""
        self.retry_jobs: frozenset[JobId] = frozenset()  # what failed before is tried again
        self.first: Mapping[JobId, float] = {}  # as in model.load.Load
        self.rebuild = False
        """The farm's own wheels do not count: whatever has other inputs now is built again."""
        self.clock = SystemClock()
        self.run = self.new_id()
        self.progress: Progress = Silent()
        self._stack = ExitStack()
        self._notes: dict[str, None] = {}
        self._engine: LocalEngine | None = None
        self._reading: Reading | None = None
        self.abandoned = False
        self.surprising: set[Pin] = set()
        """What the last `execute` built and found to have other dependencies than was thought."""
        self._held = False
        self._looked: tuple[Demand, Demand] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def new_id(self) -> str:
        """Return a short, unique id that sorts by time."""
        return f"{self.clock.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"

    @property
    def root(self) -> Path:
        return self.settings.store

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @cached_property
    def store(self) -> Store:
        store = Store(self.root, render_project, self.clock, provenance=statement_base(self.settings))
        self._stack.callback(store.close)
        return store

    @property
    def catalogue(self) -> Catalogue:
        return self.store.catalogue

    @cached_property
    def records(self) -> Records:
        from farm.wire.records import Records  # noqa: PLC0415 - the database's library, only when something is built

        return Records(self.store.catalogue.database)

    @cached_property
    def rooms(self) -> Rooms:
        return Rooms(self.root)

    @cached_property
    def lessons(self) -> Lessons:
        """The recipes that healed builds."""
        return Lessons(self.root / "recipes")

    def recipe(self, pin: Pin, target: Target) -> Recipe:
        """Return config.toml's recipe for a pin, with what healed its builds before; the former holds where they differ."""
        configured = self.settings.recipe(pin, target)
        if self.settings.heal != "apply":
            return configured
        found = merged(configured, self.lessons.recipe(pin, target))
        if found != configured:
            self.note(f"{pin} is built with what healed it before (`farm recipe export {pin.name}`)")
        return found

    @cached_property
    def pip(self) -> IndexSettings:
        """The upstream index as pip on this machine has it, or as config.toml says."""
        given = {"PIP_INDEX_URL": self.settings.index_url} if self.settings.index_url else {}
        settings = read_settings(self._pip_machine({**self.env, **given}))
        settings = replace(settings, timeout=self.settings.index_timeout or settings.timeout)
        return with_indexes(settings, self.settings.index_url, self.settings.extra_index_urls) if given else settings

    def _pip_machine(self, env: Mapping[str, str]) -> PipMachine:
        return PipMachine(env=env, cache=self.cache / "pip")

    @cached_property
    def images(self) -> DockerImages:
        from farm.adapters.images import DockerImages, ImageSettings  # noqa: PLC0415 - a run with nothing to do needs no engine

        return DockerImages(
            self.env.get("DOCKER_HOST"),
            ImageSettings(
                cache=self.cache / "images",
                certificates=certificates(self.pip, self.env),
                debian_mirror=self.settings.debian_mirror or None,
                pip=image_variables(self.pip, default_index(self._pip_machine(self.env))),
                proxies=proxies(self.env),
                bases=dict(self.settings.image_bases),
                families=self._families,
                host=self.host_environment,
                lock=Path(self.settings.image_lock) if self.settings.image_lock else None,
            ),
            self.image_folder,
            self.note,
        )

    @property
    def _families(self) -> tuple[Family, ...]:
        families: dict[str, tuple[Family, ...]] = {
            "auto": ("manylinux", "musllinux", "debian"),
            "official": ("manylinux", "musllinux"),
            "debian": ("debian",),
        }
        return families[self.settings.image_family]

    @property
    def image_folder(self) -> Path | None:
        return Path(self.settings.image_folder) if self.settings.image_folder else None

    def builder_image(self, target: Target, variant: str = "") -> ImageSpec:
        """Return the builder image for a target, of this variant where a recipe names one. ImageError when none serves it.

        Where no engine answers, it is the best one by what is known of each, with a note: a plan can be shown all the same.
        """
        from farm.errors import EngineError  # noqa: PLC0415 - only where there are gaps
        from farm.model.image import of_variant  # noqa: PLC0415 - the same

        try:
            if variant:
                return of_variant(self.images.alternatives(target), variant, target)
            return self.images.choose(target, "builder")
        except EngineError as error:
            from farm.adapters.image_files import ImageFiles  # noqa: PLC0415 - only where no engine answers
            from farm.model.image import candidates, target_libc  # noqa: PLC0415 - the same

            self.note(f"the images were chosen without asking which can be had: {error.reason}")
            libc = target_libc(target)
            offers = [offer for offer in ImageFiles(self.image_folder).offers() if offer.family in self._families]
            found = candidates(offers, python=target.python_tag, libc=libc, arch=target.arch, role="builder") if libc else ()
            if not found:
                raise
            return of_variant(found, variant, target) if variant else found[0]

    @property
    def host_environment(self) -> dict[str, str]:
        return host_environment(self.env)

    @property
    def jobs(self) -> int:
        return self.settings.jobs or processors()

    @property
    def store_mark(self) -> str:
        """A short digest of the store's path: marks its containers, whichever process made them."""
        return hashlib.sha256(str(self.root.absolute()).encode()).hexdigest()[:12]

    def read(self, paths: Sequence[str], constraints: Sequence[str], choice: Choice | None = None) -> Demand:
        """Return what requirements files, locks and pyproject.toml ask for; "-" is standard input.

        RequirementsError with every fault of every file.
        """
        from farm.model.lock import Choice  # noqa: PLC0415 - only what a command needs
        from farm.survey.inputs import STDIN, World, read_inputs  # noqa: PLC0415 - the same
        from farm.wire.reading import read_text  # noqa: PLC0415 - the same

        def text(name: str) -> str:
            return sys.stdin.buffer.read().decode("utf-8-sig") if name == STDIN else read_text(name, self.pip)

        world = World(read_text=text, env=self.env, exists=lambda path: Path(path).exists())
        return read_inputs(paths, constraints, choice or Choice(), world)

    def reading(self, options: IndexOptions) -> Reading:
        """Return the reading half for a demand's own index options."""
        from farm.wire.reading import Reading  # noqa: PLC0415 - only what a command needs

        if self._reading is None:
            self._reading = self._stack.enter_context(Reading(self, options))
        return self._reading

    def survey(self, demand: Demand) -> tuple[Matrix, DetectPolicy]:
        """Return what is there and what is missing. UpstreamError when an index did not answer."""
        from farm.survey.survey import survey  # noqa: PLC0415 - only what a command needs
        from farm.wire.exact import exact_targets  # noqa: PLC0415 - the same

        policy = self.policy(demand)
        targets = exact_targets(self.settings.targets, self.cache)
        matrix = survey(self._settled(demand, targets), targets, policy, self.reading(demand.options))
        if self.rebuild or self.settings.recipes:
            from farm.wire.outdated import without_outdated  # noqa: PLC0415 - seldom needed

            matrix = without_outdated(self, matrix, policy)
        self._tell_direct(matrix)
        return matrix, policy

    def _settled(self, demand: Demand, targets: Sequence[Target]) -> Demand:
        """Return the demand with its paths, URLs and repositories looked at; once in a run, so that none changes within it."""
        if not demand.direct and not any(entry.url for entry in (*demand.requirements, *demand.constraints)):
            return demand
        if self._looked is None or self._looked[0] is not demand:
            from farm.wire.direct import settled  # noqa: PLC0415 - seldom needed

            self.reading(demand.options)
            self._looked = (demand, settled(self, demand, targets))
        return self._looked[1]

    def _tell_direct(self, matrix: Matrix) -> None:
        if any(cell.direct for cell in matrix.cells):
            from farm.wire.direct import tell_where  # noqa: PLC0415 - seldom needed

            tell_where(self, matrix)

    def policy(self, demand: Demand) -> DetectPolicy:
        """Return which files count for a demand, as configured and as it says itself."""
        from farm.survey.survey import policy_of  # noqa: PLC0415 - only what a command needs

        newest = self.reading(demand.options).resolver.newest()
        return replace(policy_of(demand, self.settings.from_source), client_pip=self.settings.client_pip, newest=newest).pinned_by(demand)

    def plan(self, matrix: Matrix, policy: DetectPolicy) -> Plan:
        """Return the jobs that close the gaps. ImageError when no image serves a target that has gaps."""
        from farm.model.gap import Missing  # noqa: PLC0415 - only what a command needs
        from farm.model.job import Plan  # noqa: PLC0415 - the same

        if not any(isinstance(cell.presence, Missing) for cell in matrix.cells):
            return Plan()
        from farm.survey.plan import plan  # noqa: PLC0415 - the same

        made = plan(matrix, policy, self.reading(policy.options).plan_ports())
        for note in made.notes:
            self.note(note)
        return made

    def advised(self, rows: Sequence[Row]) -> tuple[Row, ...]:
        """Return the rows with what the index says of other releases of what could not be had."""
        from farm.survey.advise import advised  # noqa: PLC0415 - only what a command needs

        if self._reading is None:
            return tuple(rows)
        return advised(rows, {target.name: target for target in self.settings.targets}, self._reading.upstream)

    def hold_run(self) -> None:
        """Take the lock that tells other farms that this run is alive, and so whose its containers are."""
        if not self._held:
            self._stack.enter_context(self.store.locks.run(self.run))
            self._held = True

    def note(self, text: str) -> None:
        self._notes[text] = None

    def notes(self) -> tuple[str, ...]:
        """Return what the user should know of how the answer came about."""
        return tuple(self._notes)

    def execute(self, plan: Plan, progress: Progress) -> Finished:
        """Carry a plan out. What a dead run left behind is cleared away first."""
        from farm.engine.local import LocalEngine  # noqa: PLC0415 - only when something is built
        from farm.wire.hands import Workshop  # noqa: PLC0415 - the same
        from farm.work.carry import carry  # noqa: PLC0415 - the same

        self.progress = progress
        workshop = Workshop(self)
        workshop.tidy()
        self.store.recover()
        hands = workshop.hands()
        self.surprising.clear()

        def carried(command: Command) -> Event:
            event = carry(command, hands)
            self._learn(event, command.job)
            return event

        from farm.wire.loads import load, slots  # noqa: PLC0415 - the same
        from farm.wire.records import write_down  # noqa: PLC0415 - the same

        self._engine = LocalEngine(carried, limit=slots(self), heal=self.settings.heal != "off", load=load(self, plan))
        finished = self._engine.run(plan, lambda changed: write_down(self, changed))
        if not (finished.stopped or finished.broken):
            from farm.wire.targets import remember_used  # noqa: PLC0415 - only when something is built

            remember_used(self, plan)
        return finished

    def _learn(self, event: Event, job: Job) -> None:
        """Heed what a wheel says of itself, also when its proof then fails for want of a dependency that nobody foresaw."""
        from farm.adapters.wheel_metadata import metadata_of  # noqa: PLC0415 - only when something is built
        from farm.model.messages import BuildDone  # noqa: PLC0415 - the same
        from farm.model.outcome import Built  # noqa: PLC0415 - the same

        if self._reading is None or not isinstance(event, BuildDone) or not isinstance(event.outcome, Built):
            return
        if job.direct is not None:
            return  # what it does not state was computed before anything was resolved
        text = metadata_of(event.outcome.wheel.path)
        if text is None:
            return
        learn = self._reading.resolver.learn
        for target in dict.fromkeys((job.target, *(proof.target for proof in job.proofs))):
            if learn(job.pin, job.sdist, target, text):
                self.surprising.add(job.pin)

    def survey_again(self, demand: Demand, before: Matrix) -> tuple[Matrix, DetectPolicy]:
        """Return what is there and what is missing now that some wheels said other dependencies than their sdists.

        The versions of `before` are kept; see `survey.rounds`. UpstreamError when an index did not answer.
        """
        from farm.survey.rounds import survey_again  # noqa: PLC0415 - seldom needed

        policy = self.policy(demand)
        again = self._settled(demand, before.targets)
        matrix, notes = survey_again(again, before, self.surprising, policy, self.reading(demand.options))
        matrix = replace(matrix, unsettled=before.unsettled)
        for note in notes:
            self.note(note)
        return matrix, policy

    def stop(self) -> None:
        """Start nothing new; what runs may finish. Safe in a signal handler."""
        if self._engine is not None:
            self._engine.stop()

    def abandon(self) -> None:
        """Stop now: kill every container of this run. Safe in a signal handler."""
        if self._engine is None:
            raise KeyboardInterrupt
        self.abandoned = True
        self._engine.abandon()
        from farm.wire.hands import kill_containers  # noqa: PLC0415 - already imported while an engine runs

        kill_containers(self)

    def needed_images(self) -> tuple[ImageSpec, ...]:
        """Return the builder and runtime images of the configured targets, once each."""
        specs = [self.images.choose(target, role) for target in self.settings.targets for role in ("builder", "runtime")]
        return tuple(dict.fromkeys(specs))

    def find_attempts(self, prefix: str) -> tuple[Attempt, ...]:
        """Return the attempts whose id begins so; a whole id finds just its own."""
        return self.store.catalogue.matching(prefix, 10)
