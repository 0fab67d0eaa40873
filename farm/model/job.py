"""Jobs: one wheel to build, all its inputs, and the plan that orders them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NewType

if TYPE_CHECKING:
    from farm.model.direct import Direct
    from farm.model.healing import Trial
    from farm.model.image import ImageSpec
    from farm.model.package import Digest, IndexFile, Pin
    from farm.model.target import Target

JobId = NewType("JobId", str)
"""`docopt-0.6.2-cp311-manylinux_2_36_x86_64`: unique in a plan, legal as a file name."""

JobKey = NewType("JobKey", str)
"""sha256 over every input of a build. Same key, same wheel."""

Kind = Literal["native", "pure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A unified diff that is applied to the unpacked sdist before it is built.

    `name` is its path as the recipe gives it, `text` its content as UTF-8 with surrogateescape, `sha256` of its bytes. `strip` is how
    many leading parts of its paths are left off (`patch -p`). `reason` says what it is for, `upstream` what became of it there.
    """

    name: str
    sha256: str
    text: str = field(repr=False)
    reason: str
    upstream: str
    strip: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a package needs beyond the default; most packages have none.

    `system_packages` maps an image family ("debian", "manylinux", "musllinux") to the names in its package manager.
    `variant` names another builder image than the target's first choice. `build_requires` are added to the sdist's own,
    `build_constraints` bound them. `patches` are applied in their order. `kind` overrides what the sdist looks like.
    `skip_imports` are modules that the proof does not import, each with the reason. `smoke_test` is the arguments of a command that
    the proof runs after the imports. `network` leaves the network on while building, for `network_reason`; recorded. `graft` are
    libraries that the wheel brings along although its platform's policy says that every system has them.
    `build_overrides` take the place of the sdist's own requirements of those names, whatever it says of their versions.
    `cythonize` is a requirement such as "cython<3.1": with that Cython the C that an older one wrote into the sdist is written anew
    before the build; the build itself does not see it. `old_names` gives the build what the standard library dropped.

    Resources, 0 for the farm's own: `memory` in bytes, `cpus`, `time_limit` in seconds. `exclusive` builds run alone on their machine.
    `allow_instructions` is the reason why the wheel may not run on every processor of its platform; empty when it must.
    """

    system_packages: tuple[tuple[str, tuple[str, ...]], ...] = ()
    variant: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    config_settings: tuple[tuple[str, str], ...] = ()
    build_requires: tuple[str, ...] = ()
    build_constraints: tuple[str, ...] = ()
    patches: tuple[Patch, ...] = ()
    kind: Kind | None = None
    skip_imports: tuple[tuple[str, str], ...] = ()
    smoke_test: tuple[str, ...] = ()
    network: bool = False
    network_reason: str = ""
    memory: int = 0
    cpus: float = 0.0
    time_limit: float = 0.0
    exclusive: bool = False
    graft: tuple[str, ...] = ()
    cythonize: str = ""
    old_names: bool = False
    build_overrides: tuple[str, ...] = ()
    allow_instructions: str = ""

    def packages_for(self, family: str) -> tuple[str, ...]:
        return dict(self.system_packages).get(family, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class SdistFacts:
    """What an sdist says of itself without running any of its code.

    `build_requires` is `[build-system].requires` of its pyproject.toml, or PEP 517's default for a project without one.
    `asks` tells that the backend may require more when asked (PEP 517 get_requires_for_build_wheel).
    `metadata` is its METADATA text where that is static (`provisional` False) or guessed from an egg-info
    (`provisional` True); None where nothing is known. `native` tells whether it holds sources that a compiler would
    read; `rust` whether it needs cargo. `hints` are the system packages that its own cibuildwheel configuration installs on Linux,
    by whichever package manager: read, never run. `stable_abi` is the oldest Python that a wheel for the stable ABI would serve, as
    `cp39` (`cp3`: not said; `cp315t`: of the free-threaded ones); empty for a wheel of one Python. `cython` tells that it holds C
    beside the .pyx that Cython wrote it from.
    """

    build_requires: tuple[str, ...]
    backend: str
    native: bool
    rust: bool
    asks: bool
    metadata: str | None
    provisional: bool
    hints: tuple[str, ...] = ()
    stable_abi: str = ""
    cython: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """Something a job needs installed: a wheel that is there (`file`), or one that another job makes (`job`)."""

    pin: Pin
    file: IndexFile | None
    job: JobId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A target on which a wheel is proven, and everything that is installed beside it there."""

    target: Target
    beside: tuple[Dependency, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One wheel to build.

    `target` is built for; `proofs` are all targets of the run that the wheel might serve (a pure or abi3 wheel serves
    several), its own first, each with what the proof installs beside the wheel. `requires` are the build dependencies
    with everything they need; `asks` tells whether the backend may want more and has to be asked. `after` is the job
    whose wheel may make this one unnecessary (the same pin for an older Python); `stable_abi` as in SdistFacts. `direct` tells where
    the sources are from when that is no index; `sdist` is then their archive in the store, and the wheel does not go to the project's page.
    `trials` are the attempts of this run that failed, with what was changed after each. `wanted` when a requirement asks for it, and
    not only the build of another job. `named` are the build requirements that its backend named when it was asked during this run, and
    that had to be planned: some of it had no wheel.
    """

    id: JobId
    pin: Pin
    target: Target
    proofs: tuple[Proof, ...]
    reason: str
    sdist: IndexFile
    kind: Kind
    rust: bool
    asks: bool
    recipe: Recipe
    image: ImageSpec
    requires: tuple[Dependency, ...]
    via: tuple[str, ...]
    after: JobId | None = None
    direct: Direct | None = None
    trials: tuple[Trial, ...] = ()
    wanted: bool = True
    stable_abi: str = ""
    named: tuple[str, ...] = ()

    @property
    def needs(self) -> tuple[JobId, ...]:
        """The jobs that must be published before this one can start."""
        return tuple(d.job for d in self.requires if d.job is not None)

    @property
    def beside(self) -> tuple[JobId, ...]:
        """The jobs whose wheels its proofs install beside its own, for whichever target."""
        jobs = (d.job for proof in self.proofs for d in proof.beside)
        return tuple(dict.fromkeys(job for job in jobs if job is not None and job != self.id))


def make_job_id(name: str, version: str, target: str) -> JobId:
    """Return the id of a job from its parts as texts."""
    return JobId(f"{name}-{version}-{target}")


def job_id(pin: Pin, target: Target) -> JobId:
    return make_job_id(pin.name, str(pin.version), target.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A gap that cannot become a job, and why: an unreadable sdist, build requirements without a solution, a cycle.

    `unknown` when an index did not answer while it was planned: then it may well be possible. `cause` is a code as in a
    diagnosis, `remedy` what a person may do.
    """

    pin: Pin
    target: Target
    reason: str
    via: tuple[str, ...]
    unknown: bool = False
    cause: str = "unknown"
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The jobs in an order in which they can be run from first to last, what cannot be planned, and what else a person should know."""

    jobs: tuple[Job, ...] = ()
    refused: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()


_KEY_SCHEMA = 1


def job_key(job: Job, image: str, dependencies: tuple[tuple[str, Digest], ...]) -> JobKey:
    """Return the digest over every input of a build.

    `image` is the engine's image ID (overlay included); `dependencies` are (file name, sha256) of the wheels that the
    build environment holds. Raising `_KEY_SCHEMA` makes every wheel new: do so when the way of building changes.
    """
    # Inputs that most recipes lack: without them a key stays what it was before they came to be.
    recipe = job.recipe
    patches = [(patch.sha256, patch.strip) for patch in recipe.patches]
    seldom = {
        "build_requires": recipe.build_requires, "graft": recipe.graft, "patches": patches, "cythonize": recipe.cythonize,
        "old_names": recipe.old_names, "build_overrides": recipe.build_overrides,
    }  # fmt: skip
    inputs = {
        "schema": _KEY_SCHEMA,
        "sdist": job.sdist.sha256,
        "target": job.target.name,
        "image": image,
        "dependencies": sorted(dependencies),
        "recipe": {
            "environment": job.recipe.environment,
            "config_settings": job.recipe.config_settings,
            "network": job.recipe.network,
            **{key: value for key, value in seldom.items() if value},
        },
    }
    return JobKey(hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest())
