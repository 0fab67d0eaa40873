"""Mending a build: what is needed, which system package may have it, what was changed after which failure, what was learned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - a decoder reads the types of Learned when it runs
from typing import TYPE_CHECKING, Literal, get_args

from farm.model.job import Recipe  # noqa: TC001 - the same
from farm.model.package import NormalizedName  # noqa: TC001 - the same

if TYPE_CHECKING:
    from farm.model.image import ImageSpec
    from farm.model.outcome import Diagnosis

HealMode = Literal["off", "propose", "apply"]
HEAL_MODES: tuple[HealMode, ...] = get_args(HealMode)
NeedKind = Literal["header", "program", "pkg-config", "cmake", "library", "module", "package", "project"]
MendKind = Literal[
    "system-package", "image", "build-constraint", "build-requires", "build-override",
    "cythonize", "old-names", "environment", "memory", "network", "graft", "skip-imports", "again", "kind",
]  # fmt: skip

MOST_ATTEMPTS = 5
"""At one job in one run, the first included."""
REQUIREMENT_FAILED = "build-requirement"
"""The cause of a job that could not start because a build requirement could not be built. Its subject is that one's NAME==VERSION."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Something that a build lacks. `like` are names that the right package may resemble: the requirement's, the log's.

    `kind` and `name`: a header as it is included ("libxml/xmlversion.h"), a program, a pkg-config module, a CMake package, a
    library as in `-lfoo`, a Fortran module, a package by (about) its own name, or a project, for what the distribution builds its
    own package of it with.
    """

    kind: NeedKind
    name: str
    like: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A system package that has what is needed, and the file of it that says so. `installed` in the builder image already."""

    package: str
    path: str
    installed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Clues:
    """What the files of an sdist name of the system: `needs`, the likeliest first; `packages` that its CI or README installs."""

    needs: tuple[Need, ...] = ()
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mend:
    """One change that may heal a build: `base` is the recipe that it changes, `recipe` the whole one of the next attempt, `image` its
    image where that changes.

    `kind` and `what` identify it: the same one is never tried twice at a job. `why` is the evidence, `pause_s` how many
    seconds to wait before the next attempt. `instead` takes back the change before it, which did not help. `apply` is False for
    what only a person may decide. `path` is the file of a system package that was missing.
    """

    kind: MendKind
    what: str
    why: str
    base: Recipe
    recipe: Recipe
    image: ImageSpec | None = None
    pause_s: float = 0.0
    instead: bool = False
    apply: bool = True
    path: str = ""

    @property
    def text(self) -> str:
        """What was done, in words."""
        words = {
            "system-package": "system package", "image": "builder image", "build-constraint": "build constraint",
            "build-requires": "build requirement", "build-override": "instead of the sdist's own build requirement",
            "cythonize": "C written anew by", "old-names": "old names:",
            "environment": "environment", "memory": "memory",
            "network": "network", "graft": "brought along:", "skip-imports": "skip-imports", "again": "again",
            "kind": "the wheel's kind:",
        }  # fmt: skip
        return f"{words[self.kind]} {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """An attempt that failed, and what was changed after it."""

    attempt: str
    stage: str
    diagnosis: Diagnosis
    mend: Mend


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Why a recipe says what it says: an attempt's failure, the log line that proves it, and the change that followed."""

    attempt: str
    cause: str
    line: str
    change: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What healed builds of a package. `versions` is a specifier; `python` a tag such as "cp311" where the change is of the
    Python side and holds for that Python alone, else empty. `proposed` when nobody has tried it yet.
    """

    name: NormalizedName
    version: str
    versions: str
    python: str
    target: str
    recipe: Recipe
    evidence: tuple[Evidence, ...]
    at: datetime
    proposed: bool = False


def mended(trials: tuple[Trial, ...]) -> tuple[Mend, ...]:
    """Return the changes that count in the end: those that a later trial did not take back."""
    following = (*(trial.mend for trial in trials[1:]), None)
    return tuple(
        trial.mend for trial, after in zip(trials, following, strict=False) if after is None or not after.instead
    )
