"""How a wheel came to be: what is remembered of a build, and the statement about it (in-toto Statement v1, SLSA provenance v1)."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from farm.model.job import Recipe

if TYPE_CHECKING:
    from farm.model.job import Job
    from farm.model.outcome import Verified

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:wheel-farm:build:1"
"""Names the meaning of the parameters below; docs/trust.md has it."""

Twice = Literal["off", "report", "strict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crate:
    """A crate that was at hand to a build, with the checksum of its Cargo.lock; "" for one from a path or repository."""

    name: str
    version: str
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupling:
    """A build dependency whose headers the wheel's binaries were compiled against: it ties the wheel to that dependency's ABI."""

    name: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A member of the wheel that two builds made differently, and the likely reason."""

    member: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """What a second build made, in another place, at another time, with another number of jobs.

    `first` and `second` are the sha256 of what came out; `differences` are the first of them, `count` is how many there are.
    """

    first: str
    second: str
    differences: tuple[Difference, ...] = ()
    count: int = 0

    @property
    def same(self) -> bool:
        return self.first == self.second

    def __str__(self) -> str:
        if self.same:
            return "reproducible"
        told = "; ".join(f"{one.member}: {one.reason}" for one in self.differences[:3])
        more = f"; and {self.count - 3} more" if self.count > 3 else ""
        return f"not reproducible ({told}{more})"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFacts:
    """What is remembered of a build that made a wheel, beside its log, until that is removed: what its statement tells.

    How to do any build again, also one that failed, is in `farm.model.inputs`.

    `attempt` is the one that built, and has the log; `image` the engine's ID of the builder image and `reference` its name.
    `dependencies` are (file name, sha256) of the build environment. `epoch` is SOURCE_DATE_EPOCH.
    """

    attempt: str
    image: str
    reference: str
    commands: tuple[str, ...]
    dependencies: tuple[tuple[str, str], ...]
    crates: tuple[Crate, ...]
    epoch: int
    started: datetime
    finished: datetime
    coupling: tuple[Coupling, ...] = ()
    reproduction: Reproduction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a statement needs to know beyond the job: the farm, its key, and the digest of the build's log ("" when it is gone)."""

    builder: str
    version: str
    log_sha256: str
    finished: datetime


def statement(job: Job, verified: Verified, origin: Origin) -> bytes:
    """Return the statement about a proven wheel as canonical JSON (sorted keys, no spaces): the same facts, the same bytes."""
    built = verified.built
    facts = built.facts
    predicate: dict[str, Any] = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "package": job.pin.name,
                "version": str(job.pin.version),
                "target": job.target.name,
                "sdist": job.sdist.filename,
                "recipe": recipe_json(job.recipe),
            },
            "internalParameters": {
                "key": built.key,
                "network": job.recipe.network,
                "commands": list(facts.commands) if facts else [],
                **({"sourceDateEpoch": facts.epoch} if facts else {}),
            },
            "resolvedDependencies": _dependencies(job, verified),
        },
        "runDetails": {
            "builder": {"id": origin.builder, "version": {"farm": origin.version}},
            "metadata": {
                "invocationId": facts.attempt if facts else built.attempt,
                **({"startedOn": _time(facts.started), "finishedOn": _time(facts.finished)} if facts else {}),
            },
            "byproducts": [
                *([{"name": "log", "digest": {"sha256": origin.log_sha256}}] if origin.log_sha256 else []),
                {"name": "proof", "mediaType": "application/json", "content": _content(_proof(verified, origin))},
            ],
        },
    }
    if facts:
        predicate["farm_coupling"] = [{"name": one.name, "version": one.version} for one in facts.coupling]
    if facts and facts.reproduction:
        predicate["farm_reproduction"] = reproduction_json(facts.reproduction)
    content = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": built.wheel.filename, "digest": {"sha256": built.wheel.sha256}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def recipe_json(recipe: Recipe) -> dict[str, Any]:
    """Return what a recipe says, without what it leaves at its default."""
    said = {field.name: getattr(recipe, field.name) for field in fields(recipe) if field.name != "patches"}
    content = {name: value for name, value in said.items() if value != getattr(Recipe(), name)}
    if recipe.patches:
        content["patches"] = [{"name": one.name, "sha256": one.sha256, "reason": one.reason} for one in recipe.patches]
    return content


def reproduction_json(found: Reproduction) -> dict[str, Any]:
    """Return a second build's result for reports and statements."""
    return {
        "reproducible": found.same,
        "first": found.first,
        "second": found.second,
        "count": found.count,
        "differences": [{"member": one.member, "reason": one.reason} for one in found.differences],
    }


def _dependencies(job: Job, verified: Verified) -> list[dict[str, Any]]:
    facts = verified.built.facts
    sdist: dict[str, Any] = {"name": job.sdist.filename, "annotations": {"role": "sdist"}}
    if job.sdist.sha256:
        sdist["digest"] = {"sha256": job.sdist.sha256}
    where = job.direct.url if job.direct else job.sdist.url
    if "://" in where:
        sdist["uri"] = _without_credentials(where)
    if job.direct and job.direct.commit:
        sdist["digest"] = {**sdist.get("digest", {}), "gitCommit": job.direct.commit}
    image = {
        "name": facts.reference if facts else job.image.name,
        "digest": {"sha256": verified.built.image.removeprefix("sha256:")},
        "annotations": {"role": "builder image", "digest": "ID of the image's configuration (OCI image specification)"},
    }
    wheels = [
        {"name": name, "digest": {"sha256": digest}, "annotations": {"role": "build dependency"}}
        for name, digest in sorted(facts.dependencies if facts else ())
    ]
    crates = [
        {"uri": f"pkg:cargo/{one.name}@{one.version}", "annotations": {"role": "crate"}}
        | ({"digest": {"sha256": one.sha256}} if one.sha256 else {})
        for one in (facts.crates if facts else ())
    ]
    return [sdist, image, *wheels, *crates]


def _proof(verified: Verified, origin: Origin) -> dict[str, Any]:
    return {
        "finishedOn": _time(origin.finished),
        "instructions": list(verified.instructions),
        "platforms": list(verified.platforms),
        "targets": [
            {
                "target": verdict.target.name,
                "image": verdict.image,
                "checks": [{"name": check.name, "ok": check.ok} for check in verdict.checks],
            }
            for verdict in verified.verdicts
        ],
    }


def _content(value: dict[str, Any]) -> str:
    return base64.b64encode(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).decode("ascii")


def _time(value: datetime) -> str:
    # RFC 3339 to the second, in UTC, as SLSA's Timestamp wants it.
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _without_credentials(url: str) -> str:
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}".partition("#")[0]
