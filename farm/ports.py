"""What the thinking half asks of the world, on one page. Each docstring lists every failure and what it means.

Adapters satisfy these by shape; `wire.py` is where the type checker proves it. Every method may raise StoreError when
the disk is full or not writable, and EngineError where it says "engine".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from farm.model.attempt import Attempt, Lasting, WheelRecord
    from farm.model.attestation import PublicKey, Signature
    from farm.model.build import BuildRequest, ProofRequest, WheelFacts
    from farm.model.demand import Demand
    from farm.model.direct import Asked, Direct, Settled, Unsettled
    from farm.model.gap import Resolution, Unresolved
    from farm.model.healing import Candidate, Clues, Learned, Need
    from farm.model.image import Image, ImageSpec, Role
    from farm.model.inputs import Inputs
    from farm.model.instructions import Code, ScanRequest
    from farm.model.job import Job, JobKey, Recipe, SdistFacts
    from farm.model.messages import More
    from farm.model.outcome import Failed, StagedWheel, TimedOut, Verdict, Verified
    from farm.model.package import Digest, IndexFile, NormalizedName, Pin, Project
    from farm.model.provenance import BuildFacts, Coupling, Crate, Reproduction
    from farm.model.target import Target


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the time as aware UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, for durations."""
        ...


class Index(Protocol):
    """An index that is read: upstream's merged pages, or the farm's own."""

    def project(self, name: NormalizedName) -> Project | None:
        """Return the page, or None when every index says 404. UpstreamError when one did not answer: then nothing is known."""
        ...


class Downloads(Protocol):
    def fetch(self, file: IndexFile) -> Path:
        """Return the file's path on this disk, its sha256 checked against the index on every use.

        UpstreamError when it cannot be had; IntegrityError (farm.model.build) when the bytes are not what the index promised.
        """
        ...


class Sdists(Protocol):
    def facts(self, pin: Pin, file: IndexFile) -> SdistFacts:
        """Return what the sdist says of itself; runs none of its code.

        Same failures as Downloads.fetch; BadSdist when it is no archive.
        """
        ...

    def clues(self, file: IndexFile) -> Clues:
        """Return what the sdist's files name of the system that it is built on. Runs nothing, fails as `facts` does."""
        ...


class Resolver(Protocol):
    def resolve(self, demand: Demand, target: Target) -> Resolution | Unresolved:
        """Return the pins that `target` needs. Runs no package code. UpstreamError when an index did not answer."""
        ...

    def resolve_all(self, demand: Demand, targets: Sequence[Target]) -> tuple[Resolution | Unresolved, ...]:
        """Return for each target what `resolve` would, in their order; cheaper than one after the other. Same failures."""
        ...


class DirectSources(Protocol):
    """Paths, URLs and repositories. No package code runs but in a container."""

    def settle(self, asked: Asked, targets: Sequence[Target]) -> Settled | Unsettled:
        """Return what a direct reference is, having fetched it; `targets` are those it counts on, one at least.

        What is wrong with it, or keeps it from being fetched or asked, is in the answer.
        """
        ...

    def shown(self, url: str) -> Direct:
        """Return a direct reference as people may see it, without looking at it."""
        ...


class Images(Protocol):
    """Builder and runtime images on the engine. Engine; ImageError when a build fails."""

    def choose(self, target: Target, role: Role) -> ImageSpec:
        """Return the builder or runtime image for a target. ImageError when none serves it, naming those that are served."""
        ...

    def ensure(self, spec: ImageSpec, say: Callable[[str], None]) -> Image:
        """Return the image, building it when it is absent or its inputs changed."""
        ...

    def overlay(self, base: Image, packages: Sequence[str], say: Callable[[str], None]) -> Image:
        """Return `base` with a recipe's system packages added; `base` itself when there are none."""
        ...

    def alternatives(self, target: Target) -> tuple[ImageSpec, ...]:
        """Return every builder image that serves a target and can be had here, the best first."""
        ...


class Builder(Protocol):
    """Builds one wheel in a container. Engine."""

    def requirements(self, request: BuildRequest) -> tuple[str, ...]:
        """Return what the backend asks for beyond the static requirements (PEP 517 get_requires_for_build_wheel), asked offline.

        BuildFailed (farm.model.build) when the backend fails.
        """
        ...

    def metadata(self, request: BuildRequest) -> str:
        """Return the METADATA text (PEP 517 prepare_metadata_for_build_wheel), asked offline. BuildFailed as above."""
        ...

    def build(self, request: BuildRequest) -> StagedWheel | Failed | TimedOut:
        """Build, with the network off unless the recipe says otherwise. A package's failure is a value, never an exception."""
        ...


class Crates(Protocol):
    def vendor(self, job: Job, image: Image, sdist: Path, log: Path) -> Path | None:
        """Return a folder with the crates of a Rust sdist and cargo's config.toml, fetched without running package code.

        None when it needs none. Engine; BuildFailed when cargo cannot have them.
        """
        ...


class Toolbox(Protocol):
    def wheels(self, texts: Sequence[str], recipe: Recipe, target: Target) -> tuple[IndexFile, ...]:
        """Return the wheels of a build environment that satisfies these requirements.

        BuildFailed (cause "missing-python-build-dep") when they have no solution, WheelsMissing when one has no wheel;
        UpstreamError when an index did not answer.
        """
        ...


class Planner(Protocol):
    def plan(self, job: Job) -> tuple[Job, More]:
        """Return a job of the running plan with the build environment that it needs now, and jobs for what of that has no wheel.

        It needs what its sdist, its recipe and its backend (`named`) say. BuildFailed (cause "missing-python-build-dep") when that
        cannot be planned; UpstreamError when an index did not answer; also fails as Sdists.facts does.
        """
        ...


class Room(Protocol):
    """The place of one attempt: a log that stays and a folder that goes when the attempt is over."""

    log: Path

    def remember(self, inputs: Inputs) -> None:
        """Keep what the attempt is given, for whoever wants to build it again as it was."""
        ...

    def folder(self, name: str) -> Path:
        """Return an empty folder of the room, made on first use."""
        ...

    def place(self, source: Path, folder: Path, filename: str) -> Path:
        """Put a file into one of its folders (a link where possible) and return where."""
        ...


class Providers(Protocol):
    def find(self, image: Image, need: Need) -> tuple[Candidate, ...]:
        """Return the image's system packages that have what is needed, the best first; none when none has it.

        UpstreamError when the package database cannot be had. Engine.
        """
        ...


class Lessons(Protocol):
    """The recipes that healed builds, kept with their evidence."""

    def learn(self, learned: Learned) -> None:
        """Keep a recipe, in the place of an older one for the same package, version and target."""
        ...


class Rooms(Protocol):
    def room(self, attempt: str) -> AbstractContextManager[Room]:
        """Open the room of an attempt; its log is appended to."""
        ...

    def log_path(self, attempt: str) -> str:
        """Return where the attempt's log is, relative to the store."""
        ...

    def log_lines(self, attempt: str) -> Iterator[str]:
        """Yield the lines of an attempt's log; none when there is no log."""
        ...


class Inspector(Protocol):
    """Looks into a wheel file without running any of it. The builder's word is not trusted."""

    def inspect(self, wheel: Path) -> WheelFacts:
        """Return what the wheel is. Never raises for a bad wheel: its faults are in the facts."""
        ...


class Scanner(Protocol):
    """Looks through machine code. Engine."""

    def scan(self, request: ScanRequest) -> tuple[Code, ...]:
        """Return what each binary of a wheel asks of a processor. BuildFailed (cause "rejected") when one cannot be read."""
        ...


class Contents(Protocol):
    """What is in wheels and beside them. Runs nothing of it."""

    def crates(self, folder: Path) -> tuple[Crate, ...]:
        """Return the crates of a folder that Crates.vendor made."""
        ...

    def coupling(self, wheel: Path, dependencies: Sequence[Path]) -> tuple[Coupling, ...]:
        """Return the build dependencies whose ABI the wheel's binaries are tied to."""
        ...

    def with_bill(self, wheel: StagedWheel, crates: Sequence[Crate], folder: Path, epoch: int) -> StagedWheel:
        """Return the wheel with a bill of materials inside, written into `folder`; itself when nothing came along in it."""
        ...

    def compare(self, first: StagedWheel, second: StagedWheel, times: tuple[datetime, datetime]) -> Reproduction:
        """Return how two builds of a wheel differ; `times` are when either was made."""
        ...


class BuildNotes(Protocol):
    """What is remembered of builds beside their logs."""

    def keep(self, facts: BuildFacts) -> None: ...

    def find(self, attempt: str) -> BuildFacts | None: ...


class Signer(Protocol):
    """The farm's key. UsageError when there is none, or it is not kept as a key should be."""

    def public(self) -> PublicKey: ...

    def sign(self, message: bytes) -> Signature: ...


class Attestations(Protocol):
    """Signed statements, by the digest of the wheel that they are about."""

    def find(self, digest: Digest) -> bytes | None: ...

    def keep(self, digest: Digest, envelope: bytes) -> None: ...


class Tagger(Protocol):
    def tagged(self, wheel: StagedWheel, number: int, folder: Path) -> StagedWheel | None:
        """Write the wheel with this build number into `folder`, nothing else changed; the same bytes for the same wheel.

        None when it is no sound wheel.
        """
        ...


class Prover(Protocol):
    def prove(self, request: ProofRequest) -> Verdict:
        """Install and import the wheel in a clean runtime container without compilers. Engine."""
        ...


class Store(Protocol):
    """The published index and the bytes behind it."""

    def publish(self, record: WheelRecord, verified: Verified) -> str:
        """Make a wheel visible, durably and atomically; return its URL path. NameTaken when other bytes have its name."""
        ...

    def publish_direct(self, record: WheelRecord, verified: Verified, direct: Direct) -> str:
        """Keep a wheel of what is on no index, durably, off the project's page; return its URL path."""
        ...

    def project(self, name: NormalizedName) -> Project | None:
        """Return the farm's own wheels of a project; urls are paths below the index's root."""
        ...

    def taken(self, filename: str) -> Digest | None:
        """Return the digest that a name stands for, whether its file is on the index or was once; None when it is free."""
        ...

    def blob(self, digest: Digest) -> Path | None:
        """Return where the bytes lie, or None."""
        ...

    def digest(self, path: Path) -> Digest:
        """Return the sha256 of a file's bytes."""
        ...

    def keep(self, source: Path) -> Digest:
        """Copy a file in durably, under its digest."""
        ...


class Catalogue(Protocol):
    """Past attempts. Survives a kill at any moment."""

    def begin(self, attempt: Attempt) -> None: ...

    def finish(self, attempt: Attempt) -> None: ...

    def attempt(self, identity: str) -> Attempt | None: ...

    def built(self, key: JobKey) -> Attempt | None:
        """Return the newest attempt that built a wheel from these very inputs, or None."""
        ...

    def rejected(self, key: JobKey) -> Attempt | None:
        """Return the newest attempt whose wheel, made from these very inputs, did not pass its proof, or None."""
        ...

    def attempts(self, name: NormalizedName | None, limit: int) -> tuple[Attempt, ...]:
        """Return attempts, newest first."""
        ...

    def wheel(self, filename: str) -> WheelRecord | None:
        """Return the record of the wheel that the index has under this name, or None."""
        ...


class Failures(Protocol):
    """Failures that would come again with the same inputs."""

    def find(self, key: JobKey, inputs: str) -> Lasting | None: ...

    def keep(self, lasting: Lasting) -> None:
        """Keep a failure, in the place of an older one of the same key and inputs."""
        ...


class Locks(Protocol):
    def job(self, key: JobKey) -> AbstractContextManager[None]:
        """Hold the job: another process that wants to build the same key waits. Released when the holder dies."""
        ...


class Progress(Protocol):
    """Talk, on stderr. Never data."""

    def say(self, subject: str, text: str, attempt: str = "") -> None:
        """Tell one line about a job or image, e.g. ("docopt-0.6.2", "building"); `attempt` is its id, "" before there is one."""
        ...

    def output(self, subject: str, line: str, attempt: str = "") -> None:
        """Pass on one line of a build's own output."""
        ...
