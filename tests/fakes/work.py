"""The hands of one job without an engine: files are real, containers are scripted answers."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING

from farm.adapters.attestations import BuildNotes
from farm.adapters.contents import WheelContents
from farm.errors import UpstreamError
from farm.model.build import BuildFailed, BuildRequest, IntegrityError, Limits, WheelFacts, WheelsMissing
from farm.model.healing import Candidate, Clues
from farm.model.image import Image, ImageSpec
from farm.model.job import Dependency, Recipe, SdistFacts
from farm.model.messages import More
from farm.model.outcome import Diagnosis, Failed, StagedWheel, TimedOut
from farm.model.package import Digest
from farm.work.build import BuildPorts
from farm.work.carry import Hands
from farm.work.diagnosis.knowledge import knowledge
from farm.work.memory import Memory
from farm.work.mend import MendPorts
from farm.work.naming import Naming
from farm.work.publish import PublishPorts
from farm.work.verify import VerifyPorts
from tests.fakes.index import FakeIndex
from tests.fakes.nouns import IMAGE
from tests.fakes.proving import FakeInspector, FakeProver, FakeScanner, FakeTagger
from tests.fakes.store import FakeCatalogue, FakeClock, FakeFailures, FakeLocks, FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from farm.model.healing import HealMode, Learned, Need
    from farm.model.image import Role
    from farm.model.inputs import Inputs
    from farm.model.job import Job
    from farm.model.package import IndexFile, Pin
    from farm.model.provenance import Twice
    from farm.model.target import Target
    from farm.work.attest import AttestPorts

LIMITS = Limits(seconds=60.0, memory=1 << 30, processes=100)


@dataclass(kw_only=True)
class FakeRoom:
    log: Path
    base: Path

    def remember(self, inputs: Inputs) -> None:
        self.log.with_suffix(".inputs").write_text(repr(inputs))

    def folder(self, name: str) -> Path:
        path = self.base / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def place(self, source: Path, folder: Path, filename: str) -> Path:
        target = folder / filename
        target.write_bytes(source.read_bytes())
        return target


@dataclass(kw_only=True)
class FakeRooms:
    """ports.Rooms whose rooms stay, so that a test may look into them."""

    root: Path
    open: list[str] = field(default_factory=list)

    @contextmanager
    def room(self, attempt: str) -> Iterator[FakeRoom]:
        base = self.root / attempt
        base.mkdir(parents=True, exist_ok=True)
        self.open.append(attempt)
        try:
            yield FakeRoom(log=self.root / self.log_path(attempt), base=base)
        finally:
            self.open.remove(attempt)

    def log_path(self, attempt: str) -> str:
        return f"{attempt}.log"

    def log_lines(self, attempt: str) -> Iterator[str]:
        path = self.root / self.log_path(attempt)
        if path.exists():
            yield from path.read_text().splitlines()


@dataclass(kw_only=True)
class FakeDownloads:
    """ports.Downloads of made-up bytes; `down` names do not answer, `spoiled` ones have other bytes than promised."""

    folder: Path
    down: frozenset[str] = frozenset()
    spoiled: frozenset[str] = frozenset()
    fetched: list[str] = field(default_factory=list)

    def fetch(self, file: IndexFile) -> Path:
        if file.filename in self.down:
            raise UpstreamError(f"{file.filename}: no answer", solution="try again")
        if file.filename in self.spoiled:
            raise IntegrityError(f"{file.filename}: expected other bytes", solution="look at the index")
        self.fetched.append(file.filename)
        path = self.folder / file.filename
        path.write_bytes(file.filename.encode())
        return path


@dataclass(kw_only=True)
class FakeImages:
    """ports.Images whose digests follow from what is in them."""

    added: list[tuple[str, ...]] = field(default_factory=list)
    others: tuple[ImageSpec, ...] = ()

    def choose(self, target: Target, role: Role) -> ImageSpec:
        return ImageSpec(family="debian", variant="bookworm", arch=target.arch, role=role)

    def ensure(self, spec: ImageSpec, say: Callable[[str], None]) -> Image:
        return _image(spec, spec.name)

    def overlay(self, base: Image, packages: Sequence[str], say: Callable[[str], None]) -> Image:
        if not packages:
            return base
        self.added.append(tuple(packages))
        return _image(base.spec, f"{base.digest} {' '.join(packages)}")

    def alternatives(self, target: Target) -> tuple[ImageSpec, ...]:
        return (self.choose(target, "builder"), *self.others)


def _image(spec: ImageSpec, content: str) -> Image:
    digest = f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"
    return Image(spec=spec, reference=f"farm/{spec.name}", digest=digest, pythons=("cp311",), libc=("glibc", 2, 36))


@dataclass(kw_only=True)
class FakeBuilder:
    """ports.Builder that runs a script: `result` gets the request and may write a log, a wheel, or raise."""

    result: Callable[[BuildRequest], StagedWheel | Failed | TimedOut]
    wants: tuple[str, ...] = ()
    answer: str = ""
    requests: list[BuildRequest] = field(default_factory=list)
    wheels: list[list[str]] = field(default_factory=list)

    def requirements(self, request: BuildRequest) -> tuple[str, ...]:
        return self.wants

    def metadata(self, request: BuildRequest) -> str:
        self._remember(request)
        return self.answer

    def build(self, request: BuildRequest) -> StagedWheel | Failed | TimedOut:
        self._remember(request)
        return self.result(request)

    def _remember(self, request: BuildRequest) -> None:
        self.requests.append(request)
        self.wheels.append(sorted(path.name for path in request.wheels.iterdir()))


def makes(filename: str, body: bytes = b"wheel") -> Callable[[BuildRequest], StagedWheel]:
    """Return a build that ends with this wheel."""

    def result(request: BuildRequest) -> StagedWheel:
        path = request.out / filename
        path.write_bytes(body)
        return StagedWheel(filename=filename, path=path, sha256=Digest(hashlib.sha256(body).hexdigest()), size=len(body))

    return result


@dataclass(kw_only=True)
class FakeCrates:
    folder: Path
    vendored: list[str] = field(default_factory=list)

    def vendor(self, job: Job, image: Image, sdist: Path, log: Path) -> Path | None:
        self.vendored.append(job.id)
        return self.folder


@dataclass(kw_only=True)
class FakeToolbox:
    """ports.Toolbox: each requirement text maps to the file that satisfies it; `missing` says of what there is no wheel."""

    files: Mapping[str, IndexFile] = field(default_factory=dict)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    missing: str = ""

    def wheels(self, texts: Sequence[str], recipe: Recipe, target: Target) -> tuple[IndexFile, ...]:
        self.asked.append(tuple(texts))
        if self.missing:
            raise WheelsMissing(Diagnosis(cause="missing-python-build-dep", summary=self.missing), buildable=True)
        return tuple(self.files[text] for text in texts)


@dataclass(kw_only=True)
class FakePlanner:
    """ports.Planner: a job needs these `jobs` too, or cannot be planned because it `refuses`; `down` when the index does not answer."""

    jobs: tuple[Job, ...] = ()
    refuses: str = ""
    down: int = 0
    asked: list[Job] = field(default_factory=list)

    def plan(self, job: Job) -> tuple[Job, More]:
        self.asked.append(job)
        if len(self.asked) <= self.down:
            raise UpstreamError("the index did not answer", solution="try again")
        if self.refuses:
            raise BuildFailed(Diagnosis(cause="missing-python-build-dep", summary=self.refuses, remedy="a recipe"))
        more = tuple(Dependency(pin=each.pin, file=None, job=each.id) for each in self.jobs)
        return replace(job, requires=(*job.requires, *more)), More(jobs=self.jobs)


@dataclass(kw_only=True)
class FakeProviders:
    """ports.Providers: (kind, name) of a need maps to the packages that have it; `down` when the database cannot be had."""

    packages: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    down: bool = False
    asked: list[Need] = field(default_factory=list)

    def find(self, image: Image, need: Need) -> tuple[Candidate, ...]:
        if self.down:
            raise UpstreamError("the package database did not answer", solution="try again")
        self.asked.append(need)
        found = self.packages.get((need.kind, need.name), ())
        return tuple(Candidate(package=package, path=f"usr/include/{need.name}") for package in found)


@dataclass(kw_only=True)
class FakeLessons:
    kept: list[Learned] = field(default_factory=list)

    def learn(self, learned: Learned) -> None:
        self.kept.append(learned)


@dataclass(kw_only=True)
class FakeProgress:
    said: list[str] = field(default_factory=list)
    attempts: list[str] = field(default_factory=list)

    def say(self, subject: str, text: str, attempt: str = "") -> None:
        self.said.append(f"{subject}: {text}")
        self.attempts.append(attempt)

    def output(self, subject: str, line: str, attempt: str = "") -> None:
        self.said.append(f"{subject} | {line}")


@dataclass(kw_only=True)
class StaticSdists:
    """ports.Sdists: every sdist has this METADATA."""

    metadata: str | None = None
    provisional: bool = False
    build_requires: tuple[str, ...] = ()
    asks: bool = False
    hints: tuple[str, ...] = ()
    named: Clues = field(default_factory=Clues)

    def facts(self, pin: Pin, file: IndexFile) -> SdistFacts:
        return SdistFacts(
            build_requires=self.build_requires, backend="b", native=True, rust=False, asks=self.asks, metadata=self.metadata,
            provisional=self.provisional, hints=self.hints,
        )  # fmt: skip

    def clues(self, file: IndexFile) -> Clues:
        return self.named


@dataclass(kw_only=True)
class Bench:
    """Every port of one job, in one place; a test replaces those that it is about."""

    folder: Path
    builder: FakeBuilder
    downloads: FakeDownloads
    images: FakeImages
    crates: FakeCrates
    toolbox: FakeToolbox
    store: FakeStore
    catalogue: FakeCatalogue
    locks: FakeLocks
    rooms: FakeRooms
    clock: FakeClock
    progress: FakeProgress
    inspector: FakeInspector
    sdists: StaticSdists
    prover: FakeProver
    upstream: FakeIndex
    tagger: FakeTagger
    providers: FakeProviders = field(default_factory=FakeProviders)
    lessons: FakeLessons = field(default_factory=FakeLessons)
    planner: FakePlanner = field(default_factory=FakePlanner)
    scanner: FakeScanner = field(default_factory=FakeScanner)
    paused: list[float] = field(default_factory=list)
    mode: HealMode = "apply"
    twice: Twice = "off"
    attest: AttestPorts | None = None
    stopped: bool = False
    failures: FakeFailures = field(default_factory=FakeFailures)
    retry: bool = False

    def naming(self) -> Naming:
        return Naming(upstream=self.upstream, store=self.store, catalogue=self.catalogue, tagger=self.tagger)

    def mend_ports(self) -> MendPorts:
        return MendPorts(
            mode=self.mode, memory=LIMITS.memory, most_memory=4 * LIMITS.memory, pause=self.paused.append,
            cancelled=lambda: self.stopped, images=self.images, providers=self.providers, sdists=self.sdists, toolbox=self.toolbox,
            planner=self.planner, upstream=self.upstream, configured=lambda _pin, _target: Recipe(), lessons=self.lessons,
            progress=self.progress,
        )  # fmt: skip

    def hands(self) -> Hands:
        numbers = count(1)
        return Hands(
            build=self.build_ports(), verify=self.verify_ports(), publish=self.publish_ports(), mend=self.mend_ports(),
            new_attempt=lambda job: f"a{next(numbers)}",
        )  # fmt: skip

    def build_ports(self) -> BuildPorts:
        return BuildPorts(
            run="run-1", cancelled=lambda: self.stopped, limits=LIMITS,
            knowledge=knowledge(),
            clock=self.clock, downloads=self.downloads, images=self.images, builder=self.builder, crates=self.crates,
            toolbox=self.toolbox, store=self.store, catalogue=self.catalogue, naming=self.naming(), locks=self.locks,
            rooms=self.rooms, progress=self.progress,
            memory=Memory(
                failures=self.failures, limits=LIMITS, healing="" if self.mode == "off" else self.mode, retry=self.retry
            ),
            contents=WheelContents(), notes=BuildNotes(self.folder), twice=self.twice,
        )  # fmt: skip

    def verify_ports(self) -> VerifyPorts:
        return VerifyPorts(
            cancelled=lambda: self.stopped, limits=LIMITS, knowledge=knowledge(), clock=self.clock, inspector=self.inspector,
            sdists=self.sdists, scanner=self.scanner, x86_64_level="v2",
            downloads=self.downloads, images=self.images, prover=self.prover, store=self.store, catalogue=self.catalogue,
            rooms=self.rooms, progress=self.progress,
        )  # fmt: skip

    def publish_ports(self) -> PublishPorts:
        return PublishPorts(
            clock=self.clock, store=self.store, catalogue=self.catalogue, progress=self.progress, attest=self.attest
        )


def make_bench(folder: Path, wheel: str = "demo-1.0-cp311-cp311-manylinux_2_36_x86_64.whl") -> Bench:
    """Return a bench on which the build of `wheel` goes well."""
    for name in ("blobs", "downloads", "rooms", "crates"):
        (folder / name).mkdir()
    store = FakeStore(folder=folder / "blobs")
    facts = WheelFacts(
        metadata=b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n", native=True, platforms=("manylinux_2_36_x86_64",),
        modules=("demo",), faults=(),
    )  # fmt: skip
    return Bench(
        folder=folder, builder=FakeBuilder(result=makes(wheel)), downloads=FakeDownloads(folder=folder / "downloads"),
        images=FakeImages(), crates=FakeCrates(folder=folder / "crates"), toolbox=FakeToolbox(), store=store,
        catalogue=FakeCatalogue(store=store), locks=FakeLocks(), rooms=FakeRooms(root=folder / "rooms"), clock=FakeClock(),
        progress=FakeProgress(), inspector=FakeInspector(facts=facts), sdists=StaticSdists(), prover=FakeProver(),
        upstream=FakeIndex(), tagger=FakeTagger(),
    )  # fmt: skip


__all__ = ["IMAGE", "Bench", "make_bench", "makes"]
