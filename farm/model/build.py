"""What a builder and a prover are asked, and what an inspector finds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from farm.errors import FarmError

if TYPE_CHECKING:
    from pathlib import Path

    from farm.model.image import Image
    from farm.model.job import Job, Recipe
    from farm.model.outcome import Diagnosis
    from farm.model.package import NormalizedName, Version
    from farm.model.target import Target


class IntegrityError(FarmError):
    """Bytes are not what the index promised. The work stage turns it into a failure of the package."""


class BadSdist(FarmError):  # noqa: N818 - names the thing, like BadZipFile
    """The sdist is no archive, is unsafe to unpack (a path that leaves it), or lacks its own folder."""


class BuildFailed(FarmError):  # noqa: N818 - raised inside the builder, turned into Failed by the work stage
    """A backend failed when asked a question. Carries the diagnosis; never reaches the command line."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        super().__init__(diagnosis.summary, solution=diagnosis.remedy)
        self.diagnosis = diagnosis


class WheelsMissing(BuildFailed):
    """Build requirements have a solution, and some of it no wheel. `buildable` when all of that could be built from sdists."""

    def __init__(self, diagnosis: Diagnosis, *, buildable: bool) -> None:
        super().__init__(diagnosis)
        self.buildable = buildable


class NameTaken(FarmError):  # noqa: N818 - names what happened
    """The index has a file of this name with other bytes; bytes under a name never change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one container: wall time in seconds, memory in bytes, processes, CPUs (fractional, 0 for all), and what it may write
    to its disk in bytes (0 for as much as there is).

    An engine refuses a container with more than `most_cpus`, the machine's own (0: unknown).
    """

    seconds: float
    memory: int
    processes: int
    cpus: float = 0.0
    disk: int = 0
    most_cpus: float = 0.0

    def within(self, recipe: Recipe) -> Limits:
        """Return the bounds of a build with this recipe: its own word for what it names."""
        most = self.most_cpus or recipe.cpus
        return replace(
            self, seconds=recipe.time_limit or self.seconds, memory=recipe.memory or self.memory, cpus=min(recipe.cpus, most) or self.cpus
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """Everything that a build container gets, already on this disk and checked.

    `wheels` is a folder with the build dependencies as wheels and nothing else; `crates` a folder with vendored crates
    and their `config.toml`, or None. `log` is appended to, `out` receives the wheel. `attempt` labels the containers, so
    that what a dead process left behind can be found. `epoch` is SOURCE_DATE_EPOCH, seconds since 1970. `volume` names the engine's
    volume with what compilers made before; empty for none. `again` builds in
    another folder and with another number of jobs, to see whether the same wheel comes out.
    """

    job: Job
    image: Image
    sdist: Path
    wheels: Path
    crates: Path | None
    log: Path
    out: Path
    attempt: str
    limits: Limits
    epoch: int
    volume: str = ""
    again: bool = False

    @property
    def folder(self) -> str:
        """The name of the folder that the sources are built in."""
        return "package-again" if self.again else "package"

    @property
    def jobs(self) -> int:
        """How many things the build may do at once, by its container's CPUs; 0 where it has all, and decides itself."""
        count = max(1, round(self.limits.cpus)) if self.limits.cpus else 0
        if not self.again:
            return count
        return 2 if count == 1 else 1


def at_once(jobs: int) -> dict[str, str]:
    """Return the variables that tell make, CMake, numpy's distutils, cargo, and torch's and others' setup.py how much to do at once."""
    names = ("CARGO_BUILD_JOBS", "CMAKE_BUILD_PARALLEL_LEVEL", "MAX_JOBS", "NPY_NUM_BUILD_JOBS")
    return dict.fromkeys(names, str(jobs)) | {"MAKEFLAGS": f"-j{jobs}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofRequest:
    """A wheel and everything it needs at run time, to be installed with no index at all on `target`'s runtime image.

    `modules` are the top-level modules to import (from its RECORD, less the recipe's `skip_imports`). `smoke_test` is the recipe's:
    the arguments of a command that must succeed after them; `python` is the target's.
    """

    target: Target
    image: Image
    wheel: Path
    beside: tuple[Path, ...]
    modules: tuple[str, ...]
    name: NormalizedName
    version: Version
    log: Path
    attempt: str
    limits: Limits
    smoke_test: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFacts:
    """What a wheel file holds. `platforms` are the policies that auditwheel finds its binaries to satisfy, lowest first
    (empty without binaries). `faults` are what is wrong with it, in words; empty when its tags and RECORD hold.
    `metadata` is the METADATA file's bytes. `modules` are its importable top-level names.
    """

    metadata: bytes
    native: bool
    platforms: tuple[str, ...]
    modules: tuple[str, ...]
    faults: tuple[str, ...]
