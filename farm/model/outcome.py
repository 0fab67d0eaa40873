"""How a job went. One type a stage: Built -> Verified -> Published; a wheel that is not Verified cannot be published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from farm.model.job import JobKey
    from farm.model.package import Digest
    from farm.model.provenance import BuildFacts
    from farm.model.target import Target


Confidence = Literal["high", "medium", "low", "none"]
Family = Literal["debian", "rhel", "alpine", "macos", "windows", "any"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What mends a failure on one family of platforms: system packages by their names there, commands, a word to a person."""

    platform: Family
    packages: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The cause of a failure read off a log: `cause` is a short code, `line` the log line that proves it (1-based `number`).

    `subject` is what is missing or wrong; `confidence` "none" where nothing was read off. `remedy` is a line for the farm's user.
    """

    cause: str
    summary: str
    line: str = ""
    number: int = 0
    remedy: str = ""
    subject: str = ""
    confidence: Confidence = "none"
    remedies: tuple[Remedy, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedWheel:
    """A wheel file that came out of a build and has not been proven. `sha256` was computed by the host.

    `commands` are those that made it, where the builder tells.
    """

    filename: str
    path: Path
    sha256: Digest
    size: int
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A build made a wheel. `reused` when the same key had been built before. `attempt` names the log, `image` is an ID.

    `facts` are what is remembered of the build; None for one of which nothing is any more.
    """

    attempt: str
    key: JobKey
    wheel: StagedWheel
    image: str
    seconds: float
    reused: bool = False
    facts: BuildFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A build or a fetch failed. `stage`: "fetch", "requirements", "build", "check", "proof", "publish".

    `remembered` when it was not tried: `attempt` failed with the same inputs before. `hopeless` when healing it has been tried to
    its end too. `wants` are the requirements that the backend named and that could be built first.
    """

    attempt: str
    stage: str
    diagnosis: Diagnosis
    seconds: float
    remembered: bool = False
    hopeless: bool = False
    wants: tuple[str, ...] = ()

    @property
    def transient(self) -> bool:
        """True for what says nothing of the package and may be over in a moment: a server that did not answer."""
        return self.diagnosis.cause == "network" and self.stage in {"fetch", "proof"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedOut:
    """The build ran longer than `limit` seconds and was killed with its children; `remembered` as in Failed."""

    attempt: str
    limit: float
    seconds: float
    remembered: bool = False


Outcome = Built | Failed | TimedOut


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question of the proof and its answer."""

    name: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The clean-room test of one wheel on one target. `image` is the runtime image's ID."""

    target: Target
    image: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A wheel whose tags, metadata and clean-room installs hold. Only the verify stage makes one.

    `platforms` are the policies that its binaries keep to, the lowest first; `instructions` what they use beyond the baseline.
    """

    built: Built
    verdicts: tuple[Verdict, ...]
    metadata: bytes
    platforms: tuple[str, ...] = ()
    instructions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A wheel that clients can install. `already` when the index had it, from the same sdist, before.

    `note` is how to ask for it when it is on no project's page.
    """

    verified: Verified
    url: str
    already: bool = False
    note: str = ""
