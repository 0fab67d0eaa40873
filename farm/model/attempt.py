"""What the catalogue remembers: each attempt at a job, and each wheel of the index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

    from farm.model.job import JobKey
    from farm.model.outcome import Diagnosis
    from farm.model.package import Digest, NormalizedName, Version

State = Literal["building", "built", "proven", "published", "failed", "timed-out", "rejected", "interrupted", "skipped"]
FAILED: frozenset[State] = frozenset({"failed", "timed-out", "rejected"})
"""The states of attempts that ended without a wheel for a reason of the package's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at one job. `id` is short, unique and sorts by time; `log` is relative to the store.

    `key` is None until the inputs are all known. It is "skipped" where the same inputs had failed before.
    `wheel` is the file name and `digest` the sha256 of what came out.
    """

    id: str
    run: str
    name: NormalizedName
    version: Version
    target: str
    state: State
    started: datetime
    ended: datetime | None
    log: str
    image: str = ""
    key: JobKey | None = None
    wheel: str = ""
    digest: Digest | None = None
    cause: str = ""
    summary: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelRecord:
    """A file of the index: what its page entry says and where it came from.

    `requires_python`, `yanked` and `upload_time` are the sdist's (index-servers.md 3.7: clients filter by them). A file that
    was uploaded names the token of its `uploader`, and has no `key`, `attempt` or targets. `metadata_sha256` is None for an
    uploaded sdist: its metadata may change when it is built, so no page may announce it (PEP 658).
    """

    filename: str
    name: NormalizedName
    version: Version
    sha256: Digest
    size: int
    metadata_sha256: Digest | None
    requires_python: str | None
    yanked: bool | str
    upload_time: datetime | None
    built_at: datetime
    sdist: str
    sdist_sha256: Digest | None
    key: JobKey | None
    attempt: str
    targets: tuple[str, ...]
    uploader: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasting:
    """A failure that would come again: of the job with this `key`, as long as `inputs` beyond it are what they were.

    `attempt` is the one that failed, `seconds` what it took.
    """

    key: JobKey
    inputs: str
    attempt: str
    stage: str
    seconds: float
    diagnosis: Diagnosis


RunState = Literal["running", "ended", "stopped", "broken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run that built something. `folder` is where it was started, `config` its config.toml (empty for none), `options` its command
    line as JSON. "ended" when every job came to its end, whether well or not.
    """

    id: str
    started: datetime
    ended: datetime | None
    state: RunState
    folder: str
    config: str
    options: str
