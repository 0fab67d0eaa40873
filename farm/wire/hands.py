"""The working half: containers, images and the store behind the ports of `work`."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from farm import __version__
from farm.adapters.attestations import BuildNotes
from farm.adapters.build_tag import WheelTagger
from farm.adapters.builder import DockerBuilder
from farm.adapters.compiled import CompilerCache
from farm.adapters.container import ContainerHost, remove_leftovers
from farm.adapters.contents import WheelContents
from farm.adapters.crates import CargoCrates
from farm.adapters.docker_engine import connect, translated
from farm.adapters.inspector import WheelInspector
from farm.adapters.instructions import DockerScanner
from farm.adapters.providers import ImageProviders
from farm.adapters.rooms import QUESTION
from farm.adapters.runtime import DockerProver
from farm.errors import EngineError
from farm.model.build import Limits
from farm.model.demand import IndexOptions
from farm.model.recipes import recipe_digest
from farm.wire.keys import attest_ports
from farm.wire.loads import share
from farm.wire.planner import RunPlanner
from farm.wire.site import memory, network_variables, processors, proxies
from farm.work.build import BuildPorts
from farm.work.carry import Hands
from farm.work.diagnosis.knowledge import knowledge
from farm.work.memory import Memory
from farm.work.mend import MendPorts
from farm.work.naming import Naming
from farm.work.publish import PublishPorts
from farm.work.verify import VerifyPorts

if TYPE_CHECKING:
    from farm.model.job import Job
    from farm.wire.assembly import Farm
    from farm.wire.reading import Reading


class Workshop:
    """The engine's side of a farm."""

    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        self._subjects: dict[str, str] = {}
        farm.hold_run()
        settings = farm.settings
        self._client = connect(farm.env.get("DOCKER_HOST"))
        self.host = ContainerHost(
            client=self._client,
            run=farm.run,
            store=farm.store_mark,
            scratch=farm.root / "staging",
            environment=farm.host_environment,
            site=network_variables(farm.pip, farm.env),
            output=self._output,
        )
        self._limits = Limits(
            seconds=settings.time_limit, memory=settings.memory, processes=settings.processes, cpus=share(farm), disk=settings.disk,
            most_cpus=float(processors()),
        )  # fmt: skip

    @property
    def _reading(self) -> Reading:
        return self._farm.reading(IndexOptions())

    def build_ports(self) -> BuildPorts:
        farm, reading = self._farm, self._reading
        return BuildPorts(
            run=farm.run,
            cancelled=lambda: farm.abandoned,
            limits=self._limits,
            knowledge=knowledge(),
            clock=farm.clock,
            downloads=reading.downloads,
            images=farm.images,
            builder=DockerBuilder(
                self.host,
                CompilerCache(store=farm.store_mark, mode=farm.settings.compiler_cache, trusted=farm.settings.trusted),
                farm.records.usages.keep,
            ),
            crates=CargoCrates(
                self.host, cache=farm.cache / "crates", limits=self._limits, environment=tuple(sorted(proxies(farm.env).items()))
            ),
            toolbox=reading,
            store=farm.store,
            catalogue=farm.catalogue,
            naming=Naming(upstream=reading.upstream, store=farm.store, catalogue=farm.catalogue, tagger=WheelTagger()),
            locks=farm.store.locks,
            rooms=farm.rooms,
            progress=farm.progress,
            memory=self._memory(),
            contents=WheelContents(),
            notes=BuildNotes(farm.root),
            twice=farm.settings.twice,
        )

    def _memory(self) -> Memory:
        settings = self._farm.settings
        # Healing that knows more, or may do more, is worth another try.
        healing = "" if settings.heal == "off" else f"{settings.heal} {settings.heal_memory} {__version__}"
        return Memory(failures=self._farm.records.failures, limits=self._limits, healing=healing, retry=self._farm.retry_failed,
                      again=self._farm.retry_jobs)  # fmt: skip

    def hands(self) -> Hands:
        farm, reading = self._farm, self._reading
        settings = farm.settings
        proof = Limits(
            seconds=settings.proof_time_limit, memory=settings.memory, processes=settings.processes, disk=settings.disk
        )
        return Hands(
            build=self.build_ports(),
            verify=VerifyPorts(
                cancelled=lambda: farm.abandoned,
                limits=proof,
                knowledge=knowledge(),
                clock=farm.clock,
                inspector=WheelInspector(farm.host_environment),
                scanner=DockerScanner(self.host),
                x86_64_level=settings.x86_64_level,
                sdists=reading.sdists,
                downloads=reading.downloads,
                images=farm.images,
                prover=DockerProver(self.host),
                store=farm.store,
                catalogue=farm.catalogue,
                rooms=farm.rooms,
                progress=farm.progress,
            ),
            publish=PublishPorts(
                clock=farm.clock, store=farm.store, catalogue=farm.catalogue, progress=farm.progress, private=settings.is_private,
                served=settings.served, attest=attest_ports(farm),
                published=lambda filename, job: farm.records.recipes.keep(filename, recipe_digest(settings.recipe(job.pin, job.target))),
            ),
            mend=self._mend_ports(),
            new_attempt=self._new_attempt,
        )

    def _mend_ports(self) -> MendPorts:
        farm, reading, settings = self._farm, self._reading, self._farm.settings
        providers = ImageProviders(
            self.host, cache=farm.cache / "packages", limits=self._limits, environment=tuple(sorted(proxies(farm.env).items()))
        )
        return MendPorts(
            mode=settings.heal,
            memory=settings.memory,
            most_memory=min(settings.heal_memory, memory()),
            pause=self._pause,
            cancelled=lambda: farm.abandoned,
            images=farm.images,
            providers=providers,
            sdists=reading.sdists,
            toolbox=reading,
            planner=RunPlanner(farm, reading),
            upstream=reading.upstream,
            configured=settings.recipe,
            lessons=farm.lessons,
            progress=farm.progress,
        )

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._farm.abandoned and (left := until - time.monotonic()) > 0:
            time.sleep(min(0.5, left))

    def _new_attempt(self, job: Job) -> str:
        attempt = self._farm.new_id()
        self._subjects[attempt] = job.id
        return attempt

    def _output(self, attempt: str, line: str) -> None:
        """Pass a line on under the job's name: containers know only the attempt."""
        subject = self._subjects.get(attempt)
        if subject is None:
            self._farm.progress.output(attempt.rsplit(QUESTION, maxsplit=1)[-1], line)
        else:
            self._farm.progress.output(subject, line, attempt)

    def tidy(self) -> None:
        """Clear away what dead runs left: their containers, their rooms; mark their attempts as interrupted."""
        farm = self._farm
        mark_interrupted(farm)
        with translated("looking for what dead runs left behind"):
            found = self._client.containers.list(all=True, ignore_removed=True, filters={"label": [f"farm.store={farm.store_mark}"]})
            runs = {container.labels.get("farm.run", "") for container in found}
        for run in runs - {farm.run}:
            if not farm.store.locks.alive(run):
                remove_leftovers(self._client, {"farm.store": farm.store_mark, "farm.run": run})
        for room in farm.rooms.of_questions():
            if not farm.store.locks.alive(room.split(QUESTION)[0]):
                farm.rooms.remove(room)


def mark_interrupted(farm: Farm) -> None:
    """Mark the attempts of dead runs as interrupted and remove their rooms; their logs stay."""
    for attempt in farm.store.catalogue.interrupted(farm.clock.now()):
        farm.rooms.remove(attempt.id)


def kill_containers(farm: Farm) -> None:
    """Remove every container of this run, on a thread of its own: a signal handler must not wait for the engine."""

    def remove() -> None:
        try:
            client = connect(farm.env.get("DOCKER_HOST"))
        except EngineError:
            return  # an engine that is gone has no containers left
        remove_leftovers(client, {"farm.store": farm.store_mark, "farm.run": farm.run})

    threading.Thread(target=remove, name="farm-abandon").start()
