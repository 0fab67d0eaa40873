"""A job -> Built, Failed or TimedOut, in two steps: fetch (network, no package code), then build (package code, no network)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from farm.errors import FarmError, ImageError, UpstreamError
from farm.model.attempt import Attempt
from farm.model.build import BadSdist, BuildFailed, BuildRequest, IntegrityError, Limits, WheelsMissing
from farm.model.inputs import Input, as_input, inputs_of
from farm.model.job import job_key
from farm.model.outcome import Built, Diagnosis, Failed, StagedWheel, TimedOut
from farm.model.package import parse_wheel_name
from farm.model.provenance import BuildFacts
from farm.work.diagnosis.explain import WHY_LEFT_OUT, diagnose
from farm.work.heal import PACKAGES_FAILED
from farm.work.twice import build_again, refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from farm.model.image import Image
    from farm.model.job import Job, JobKey
    from farm.model.messages import Build
    from farm.model.package import Digest, IndexFile
    from farm.model.provenance import Twice
    from farm.ports import (
        Builder,
        BuildNotes,
        Catalogue,
        Clock,
        Contents,
        Crates,
        Downloads,
        Images,
        Locks,
        Progress,
        Room,
        Rooms,
        Store,
        Toolbox,
    )
    from farm.work.diagnosis.explain import Knowledge
    from farm.work.memory import Memory
    from farm.work.naming import Naming

_TELLING = re.compile(r"^E: |[Ee]rror|ERROR|No match|unable to select")
_UNREACHED = re.compile(r"Temporary failure|Could not (?:resolve|connect)|Failed to fetch|Connection (?:failed|timed out)|network error")
_ENDINGS = ("cibuildwheel: error: Command ", "TIP pass --env-dir")
# Zip archives cannot tell a time before 1980; builds that pack one read SOURCE_DATE_EPOCH.
EPOCH_WITHOUT_UPLOAD_TIME = 1_577_836_800


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPorts:
    """What building asks of the world. `run` names the run in the catalogue; `naming` knows which names are free.

    `twice` has each wheel built again and compared; "strict" refuses one that differs.
    `cancelled` tells whether the user has had the run's containers killed: what fails then says nothing of the package.
    """

    run: str
    cancelled: Callable[[], bool]
    limits: Limits
    knowledge: Knowledge
    clock: Clock
    downloads: Downloads
    images: Images
    builder: Builder
    crates: Crates
    toolbox: Toolbox
    store: Store
    catalogue: Catalogue
    naming: Naming
    memory: Memory
    locks: Locks
    rooms: Rooms
    progress: Progress
    contents: Contents
    notes: BuildNotes
    twice: Twice = "off"


def build(command: Build, attempt_id: str, ports: BuildPorts) -> Built | Failed | TimedOut:
    """Build one job. The attempt is in the catalogue from the first moment, so that a killed run leaves a trace."""
    job = command.job
    attempt = Attempt(
        id=attempt_id,
        run=ports.run,
        name=job.pin.name,
        version=job.pin.version,
        target=job.target.name,
        state="building",
        started=ports.clock.now(),
        ended=None,
        log=ports.rooms.log_path(attempt_id),
    )
    ports.catalogue.begin(attempt)
    started = ports.clock.monotonic()
    try:
        with ports.rooms.room(attempt_id) as room:
            doing = _Attempt(command, attempt, room, ports)
            outcome = doing.run(started)
            attempt = replace(attempt, key=doing.key)
    except FarmError as error:
        ports.catalogue.finish(replace(attempt, state="interrupted", ended=ports.clock.now(), summary=error.reason))
        raise
    _record(outcome, attempt, ports)
    wants = isinstance(outcome, Failed) and outcome.wants
    if not (isinstance(outcome, Built) or wants) and attempt.key is not None and not ports.cancelled():
        ports.memory.keep(attempt.key, command.job, outcome)
    if not (isinstance(outcome, Built) or wants):
        ports.progress.say(job.id, f"failed: {_told(outcome, ports)}", attempt_id)
    return outcome


def _told(outcome: Failed | TimedOut, ports: BuildPorts) -> str:
    if ports.cancelled():
        return "stopped by the user"
    if outcome.remembered:
        return f"the same inputs failed before, not tried again ({outcome.attempt})"
    return outcome.diagnosis.summary if isinstance(outcome, Failed) else f"took longer than {outcome.limit:.0f} s"


def _record(outcome: Built | Failed | TimedOut, attempt: Attempt, ports: BuildPorts) -> None:
    ended = replace(attempt, ended=ports.clock.now())
    match outcome:
        case Built():
            wheel = outcome.wheel
            ended = replace(ended, state="built", key=outcome.key, wheel=wheel.filename, digest=wheel.sha256, image=outcome.image)
        case _ if ports.cancelled():
            ended = replace(ended, state="interrupted", summary="stopped by the user while it was built")
        case Failed(remembered=True) | TimedOut(remembered=True):
            cause = outcome.diagnosis.cause if isinstance(outcome, Failed) else "timed-out"
            ended = replace(ended, state="skipped", cause=cause, summary=_told(outcome, ports))
        case Failed(diagnosis=diagnosis):
            ended = replace(
                ended, state="failed", cause=diagnosis.cause, summary=diagnosis.summary, remedy=diagnosis.remedy
            )
        case TimedOut():
            ended = replace(ended, state="timed-out", cause="timed-out", summary=f"took longer than {outcome.limit:.0f} s")
    ports.catalogue.finish(ended)


class _Attempt:
    def __init__(self, command: Build, attempt: Attempt, room: Room, ports: BuildPorts) -> None:
        self._command = command
        self._attempt = attempt
        self._room = room
        self._ports = ports
        self._stage = "fetch"
        self._dependencies: tuple[tuple[str, Digest], ...] = ()
        self._given: tuple[Input, ...] = ()
        # How many of the log's lines belong to a build that was given up.
        self._explained = 0
        self.key: JobKey | None = None

    @property
    def _job(self) -> Job:
        return self._command.job

    def _say(self, text: str) -> None:
        self._ports.progress.say(self._job.id, text, self._attempt.id)

    def run(self, started: float) -> Built | Failed | TimedOut:
        try:
            result = self._stages()
        except (IntegrityError, BadSdist, UpstreamError) as error:
            causes = {IntegrityError: "integrity", BadSdist: "broken-sdist", UpstreamError: "network"}
            result = self._failed(Diagnosis(cause=causes[type(error)], summary=error.reason, remedy=error.solution))
        except BuildFailed as error:
            result = self._failed(error.diagnosis)
            if error.diagnosis.cause == "timed-out":
                result = TimedOut(attempt=self._attempt.id, limit=self._ports.limits.within(self._job.recipe).seconds, seconds=0.0)
        seconds = self._ports.clock.monotonic() - started
        if isinstance(result, Failed) and not result.remembered:
            return replace(result, diagnosis=self._explain(result.diagnosis), seconds=seconds)
        return replace(result, seconds=seconds)

    def _failed(self, diagnosis: Diagnosis) -> Failed:
        return Failed(attempt=self._attempt.id, stage=self._stage, diagnosis=diagnosis, seconds=0.0)

    def _stages(self) -> Built | Failed | TimedOut:
        self._stage = "fetch"
        request = self._fetch()
        outcome = self._keyed_build(request)
        # The front end asks the backend what else it wants before it builds, and fails at once where that is not at hand.
        # Asking first in a container of our own would cost every build seconds for what few want.
        # A build that the user stopped did not fail: nothing new may start for it.
        asks = self._job.asks and not self._ports.cancelled()
        if asks and isinstance(outcome, Failed) and outcome.diagnosis.cause == "build-failed":
            explained = outcome if outcome.remembered else replace(outcome, diagnosis=self._explain(outcome.diagnosis))
            key = self.key
            found = self._complete(request)
            if not found:
                return explained
            # With what it wants it is another build: this failure is known, and asking it again is cheap.
            if key is not None and not outcome.remembered:
                self._ports.memory.keep(key, self._job, outcome)
            return found if isinstance(found, Failed) else self._keyed_build(request)
        return outcome

    def _keyed_build(self, request: BuildRequest) -> Built | Failed | TimedOut:
        self._stage = "build"
        key = self.key = job_key(self._job, request.image.digest, self._dependencies)
        with self._ports.locks.job(key):
            found = self._reuse(key) or self._ports.memory.recall(key, self._job) or self._build(request, key)
            if isinstance(found, Built):
                # Recorded before the lock goes: whoever waits for it looks in the catalogue next.
                _record(found, self._attempt, self._ports)
        reproduction = found.facts.reproduction if isinstance(found, Built) and found.facts else None
        if self._ports.twice == "strict" and reproduction is not None and not reproduction.same:
            # Not a failure to remember: without --reproducible the same inputs are welcome.
            return replace(self._failed(refusal(reproduction)), stage="check")
        return found

    def _explain(self, known: Diagnosis) -> Diagnosis:
        """What the builder alone knows (out of memory, no wheel produced) stands; a plain failure is read off the log."""
        if known.cause not in {"build-failed", "repair-failed"}:
            return known
        lines = self._ports.rooms.log_lines(self._attempt.id)
        # How cibuildwheel and build end says that something failed and never what.
        told = ("" if number <= self._explained or line.startswith(_ENDINGS) else line for number, line in enumerate(lines, start=1))
        found = diagnose(told, self._ports.knowledge)
        if known.cause == "repair-failed":
            # A wheel without the binary that it should have: an optional extension could not be compiled, and the log says why.
            return found if found.cause.startswith(WHY_LEFT_OUT) else known
        return replace(found, summary=known.summary) if found.cause == "unknown" and not found.line else found

    def _fetch(self) -> BuildRequest:
        """Have every input on this disk: sdist, image, build dependencies, crates."""
        self._say("fetching")
        job, ports = self._job, self._ports
        sdist = ports.downloads.fetch(job.sdist)
        image = self._image()
        wheels = self._room.folder("wheels")
        for dependency in job.requires:
            if dependency.file is not None:
                self._add(wheels, path_of(dependency.file, self._ports), as_input(dependency.file))
            elif dependency.job is not None:
                made = self._command.made[dependency.job].verified.built.wheel
                self._add(wheels, self._made_path(made), Input(filename=made.filename, url="", sha256=made.sha256))
        crates = ports.crates.vendor(job, image, sdist, self._room.log) if job.rust else None
        uploaded = job.sdist.upload_time
        return BuildRequest(
            job=job,
            image=image,
            sdist=sdist,
            wheels=wheels,
            crates=crates,
            log=self._room.log,
            out=self._room.folder("out"),
            attempt=self._attempt.id,
            limits=replace(ports.limits, cpus=max(self._command.cpus, ports.limits.cpus)).within(job.recipe),
            epoch=int(uploaded.timestamp()) if uploaded else EPOCH_WITHOUT_UPLOAD_TIME,
        )

    def _image(self) -> Image:
        job, ports = self._job, self._ports
        base = ports.images.ensure(job.image, self._say)
        try:
            return ports.images.overlay(base, job.recipe.packages_for(job.image.family), self._say)
        except ImageError as error:
            # What one package asks for, or once needed, must not end the run of all others.
            line = next((text for text in reversed(error.reason.splitlines()) if _TELLING.search(text)), error.reason.splitlines()[-1])
            cause = "network" if _UNREACHED.search(error.reason) else PACKAGES_FAILED
            remedy = f"correct system-packages in [recipes.{job.pin.name}], or `farm recipe forget {job.pin.name}`"
            summary = f"system packages cannot be installed: {line}"
            raise BuildFailed(Diagnosis(cause=cause, summary=summary, line=line, remedy=remedy)) from error

    def _add(self, folder: Path, source: Path, given: Input) -> None:
        placed = self._room.place(source, folder, given.filename)
        digest = self._ports.store.digest(placed)
        self._dependencies = (*self._dependencies, (given.filename, digest))
        self._given = (*self._given, replace(given, sha256=digest))

    def _made_path(self, wheel: StagedWheel) -> Path:
        path = self._ports.store.blob(wheel.sha256)
        assert path is not None, "a published wheel has its blob"
        return path

    def _complete(self, request: BuildRequest) -> bool | Failed:
        """Ask the backend what else it wants, and fetch that too. False when nothing more is to be had, Failed where that has no wheel."""
        self._stage = "requirements"
        present = [name for name, _ in self._dependencies]
        try:
            wanted = [text for text in self._ports.builder.requirements(request) if not _satisfied(text, present)]
        except BuildFailed:
            # It fails at this as it failed while building, which has been explained.
            return False
        if wanted:
            self._say(f"its backend also wants {', '.join(wanted)}")
            try:
                files = self._ports.toolbox.wheels(wanted, self._job.recipe, self._job.target)
            except WheelsMissing as error:
                return replace(self._failed(error.diagnosis), wants=tuple(wanted) if error.buildable else ())
            for file in files:
                if file.filename not in present:
                    self._add(request.wheels, path_of(file, self._ports), as_input(file))
        if len(self._dependencies) == len(present):
            return False
        self._explained = sum(1 for _ in self._ports.rooms.log_lines(self._attempt.id))
        return True

    def _reuse(self, key: JobKey) -> Built | None:
        earlier = self._ports.catalogue.built(key)
        if earlier is None and not self._ports.memory.retry:
            # It is proven again, not built again: what its proof puts beside it may have changed.
            earlier = self._ports.catalogue.rejected(key)
        path = self._ports.store.blob(earlier.digest) if earlier and earlier.digest else None
        if earlier is None or earlier.digest is None or path is None:
            return None
        facts = self._ports.notes.find(earlier.id)
        if self._ports.twice != "off" and (facts is None or facts.reproduction is None):
            return None  # only building it again tells
        self._say(f"the same inputs were built before ({earlier.id})")
        wheel = StagedWheel(filename=earlier.wheel, path=path, sha256=earlier.digest, size=path.stat().st_size)
        # Its name may have been given to other bytes since.
        named = self._named(wheel)
        wheel = wheel if named is wheel else self._kept(named)
        return Built(
            attempt=self._attempt.id, key=key, wheel=wheel, image=earlier.image, seconds=0.0, reused=True, facts=facts
        )

    def _build(self, request: BuildRequest, key: JobKey) -> Built | Failed | TimedOut:
        self._say("building")
        self._room.remember(inputs_of(self._job, request, self._given))
        ports, started = self._ports, self._ports.clock.now()
        result = ports.builder.build(request)
        if not isinstance(result, StagedWheel):
            return result
        facts = self._facts(request, result, started)
        if ports.twice != "off" and not ports.cancelled():
            self._say("building again, to compare")
            hands = (ports.builder, ports.contents, ports.clock)
            found = build_again(request, result, facts.finished, self._room.folder("again"), hands)
            facts = replace(facts, reproduction=found)
            self._say(str(found))
        wheel = ports.contents.with_bill(result, facts.crates, self._room.folder("billed"), request.epoch)
        wheel = self._kept(self._named(wheel))
        ports.notes.keep(facts)
        return Built(
            attempt=self._attempt.id, key=key, wheel=wheel, image=request.image.digest, seconds=0.0, facts=facts
        )

    def _facts(self, request: BuildRequest, wheel: StagedWheel, started: datetime) -> BuildFacts:
        contents = self._ports.contents
        return BuildFacts(
            attempt=self._attempt.id,
            image=request.image.digest,
            reference=request.image.reference,
            commands=wheel.commands,
            dependencies=tuple(sorted((name, str(digest)) for name, digest in self._dependencies)),
            crates=contents.crates(request.crates) if request.crates is not None else (),
            epoch=request.epoch,
            started=started,
            finished=self._ports.clock.now(),
            coupling=contents.coupling(wheel.path, tuple(sorted(request.wheels.glob("*.whl")))),
        )

    def _named(self, wheel: StagedWheel) -> StagedWheel:
        assert self.key is not None, "a wheel is named once its inputs are known"
        named = self._ports.naming.settle(wheel, self._job, self.key, self._room.folder("named"))
        if named is not wheel:
            self._say(f"called {named.filename}: {wheel.filename} is or was a file with other bytes")
        return named

    def _kept(self, wheel: StagedWheel) -> StagedWheel:
        """Put it out of the room before that is removed, safe from a crash between here and its proof."""
        digest = self._ports.store.keep(wheel.path)
        path = self._ports.store.blob(digest)
        assert path is not None, "what is kept is there"
        return replace(wheel, path=path, sha256=digest)


def path_of(file: IndexFile, ports: BuildPorts) -> Path:
    """Return where a wheel lies: in the farm's own store, or downloaded and checked."""
    own = ports.store.blob(file.sha256) if file.sha256 else None
    return own or ports.downloads.fetch(file)


def _satisfied(text: str, wheels: list[str]) -> bool:
    """True when one of these wheel files meets a requirement without extras."""
    try:
        wanted = Requirement(text)
    except InvalidRequirement:
        return False
    if wanted.marker is not None or wanted.extras:
        return False
    found = [wheel for name in wheels if (wheel := parse_wheel_name(name))]
    return any(w.name == canonicalize_name(wanted.name) and wanted.specifier.contains(w.version, prereleases=True) for w in found)

