"""The next thing to try at a failed build, or nothing. Pure: what is asked of the world comes in as functions.

Bounded by construction: at most MOST_ATTEMPTS attempts, no change twice, and what did not help is taken back.
docs/decisions/0020 says what may be changed without asking and what may not.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from farm.model.build import at_once
from farm.model.healing import MOST_ATTEMPTS, REQUIREMENT_FAILED, Mend, Need, mended
from farm.work.heal_build import api, bounds, cmake, old_names, override, pyo3, requires, utf8, version
from farm.work.heal_case import Case, Change, together_with, with_environment, with_flags
from farm.work.heal_needs import needs, together
from farm.work.heal_sources import beside_the_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from farm.model.healing import Candidate
    from farm.model.job import Recipe
    from farm.model.outcome import Diagnosis

_CANDIDATES = 3
# setuptools has no variable for it, but for the file that asks for more.
_ONE_JOB = tuple(sorted((at_once(1) | {"DIST_EXTRA_CONFIG": "/dev/null"}).items()))
_WARNING = re.compile(r"-W(?:error=)?(?P<name>[a-z][a-z0-9+=-]+)")
_FIXED_WIDTH = re.compile(r"\bu?int(?:8|16|32|64|ptr)_t\b")
_OLD_CXX = re.compile(
    r"ISO C\+\+(?:17|20|23)|-Wregister|\b(?:register|auto_ptr|unary_function|binary_function|random_shuffle|bind1st|bind2nd)\b"
)
_RUST = re.compile(r"error\[E\d|type annotations needed|could not compile `|#!?\[deny")
_STRICT = ("implicit-function-declaration", "incompatible-pointer-types", "int-conversion", "implicit-int")
_BESIDE_THE_LOG = "what the log names did not help; the project's files, its CI or the distribution's own build of it name these"
_PYTHON_LINE = re.compile(
    r"\b(?:Attribute|Import|ModuleNotFound|Type|Key|Value|Name|Index|Assertion|Deprecation)Error\b|distutils|setuptools|\.py\b"
)
_CHANGING = re.compile(r"/tmp/[^\s'\":]+|0x[0-9a-f]+|\d+")  # noqa: S108 - a path in a log
_NO_BINARY = "This does not look like a platform wheel"
_LACKING = re.compile(r"(?P<name>lib[\w.+-]+\.so[.\d]*): cannot open shared object file")
# Not libGL: it has to be the one of the machine's graphics driver.
_LEAVES = ("libICE.so.6", "libSM.so.6", "libX11.so.6", "libXext.so.6", "libXrender.so.1", "libatomic.so.1", "libexpat.so.1", "libz.so.1")
_GLIB = ("libglib-2.0.so.0", "libgobject-2.0.so.0", "libgthread-2.0.so.0")
"""For a person to bring along: a second GLib in a process has types and main loops of its own, and no import shows that."""
_IMPORTING = re.compile(r"^imports (?P<module>\w+) on ")
_DEFAULT_INCLUDE = re.compile(r"^usr/include/(?:\w+-linux-\w+/)?$")
PACKAGES_FAILED = "system-packages"
"""The cause of an attempt whose system packages could not be installed."""


def next_mend(case: Case) -> Mend | None:
    """Return what to change before the next attempt; None when there is nothing left that may help."""
    trials = case.job.trials
    if len(trials) + 1 >= MOST_ATTEMPTS:
        return None
    diagnosis, instead = _standing(case)
    base = trials[-1].mend.base if instead else case.job.recipe
    tried = {(trial.mend.kind, trial.mend.what) for trial in trials} | case.impossible
    for change in _changes(case, diagnosis):
        # A change of the environment may build on a package that was right all the same: it adds, and takes nothing back.
        adds = instead and change.kind == "environment" and change.path != ""
        before = case.job.recipe if adds else base
        recipe = change.edit(before)
        same = recipe == before and change.kind not in {"again", "image"}
        if same or (change.kind, change.what) in tried:
            continue
        return Mend(
            kind=change.kind, what=change.what, why=change.why or diagnosis.line or diagnosis.summary, base=before, recipe=recipe,
            image=change.image, pause_s=change.pause_s, instead=instead and not adds, apply=change.apply, path=change.path,
        )  # fmt: skip
    return None


def _standing(case: Case) -> tuple[Diagnosis, bool]:
    """Return the diagnosis that is still to be mended, and whether the last change did not help and is to be taken back."""
    found = case.failure.diagnosis
    last = case.job.trials[-1] if case.job.trials else None
    if last is None or last.mend.kind in {"again", "image", "memory"}:
        return found, False
    if found.cause == PACKAGES_FAILED or case.failure.stage == "requirements":
        return last.diagnosis, True
    same = (found.cause, found.subject) == (last.diagnosis.cause, last.diagnosis.subject)
    return found, same and (bool(found.subject) or _still(found.line) == _still(last.diagnosis.line))


def _still(line: str) -> str:
    """A log line without what differs from build to build: temporary folders, addresses, process numbers, times."""
    return _CHANGING.sub("#", line)


def _changes(case: Case, diagnosis: Diagnosis) -> Iterator[Change]:
    cause = _cause(diagnosis)
    ways = _WAYS.get(cause)
    if ways is None and cause in {"unknown", "build-failed"} and _PYTHON_LINE.search(diagnosis.line):
        ways = (bounds,)
    for way in ways or ():
        yield from way(case, diagnosis)
    if cause in _SILENT and case.failure.stage != "proof":
        yield from _sources(case)


def _cause(diagnosis: Diagnosis) -> str:
    """An exception of a build script that nobody knows is laid to the script for want of anything better: that is no finding."""
    guessed = diagnosis.cause == "broken-sdist" and diagnosis.confidence == "low"
    return "unknown" if guessed else diagnosis.cause


def _system(case: Case, diagnosis: Diagnosis) -> Iterator[Change]:
    yield from _include(case, diagnosis)
    several = [found for needs_of_one in together(diagnosis) if (found := _first(case, needs_of_one)) and not found.installed]
    if len(several) > 1:
        yield _package(case, *several)
    answers = [[one for one in case.find(need) if not one.installed] for need in needs(diagnosis, case.job.pin.name)]
    if _one_by_one(case):
        # One package for each attempt would use up the attempts: the rest of what the project asks for comes along.
        sets = tuple(beside_the_log(case.clues(), case.find, case.job.pin.name))[:2]
        yield from (_package(case, one[0], *sets[-1]) for one in answers if one and sets)
    for candidates in answers:
        yield from (_package(case, one) for one in candidates[:1])
    if any(answers) or not answers or diagnosis.confidence != "high":
        # What the log names for sure and the distribution does not have comes with nothing else either.
        yield from _sources(case)
    for candidates in answers:
        yield from (_package(case, one) for one in candidates[1:_CANDIDATES])
    named = [name for remedy in diagnosis.remedies if remedy.platform == _platform(case) for name in remedy.packages]
    for name in (*named, *case.hints):
        # Only what the image's database knows under this very name.
        yield from (_package(case, one) for one in case.find(Need(kind="package", name=name)) if one.package == name)


def _first(case: Case, ways: tuple[Need, ...]) -> Candidate | None:
    return next((found[0] for need in ways if (found := case.find(need))), None)


def _one_by_one(case: Case) -> bool:
    """Whether two system packages were each what was missing, and a third is."""
    return sum(mend.kind == "system-package" for mend in mended(case.job.trials)) > 1


def _sources(case: Case) -> Iterator[Change]:
    """What the log does not name, the project does: together, since there is no telling which of them it was."""
    for packages in beside_the_log(case.clues(), case.find, case.job.pin.name):
        yield replace(_package(case, *packages), why=_BESIDE_THE_LOG)


def _platform(case: Case) -> str:
    return {"debian": "debian", "manylinux": "rhel", "musllinux": "alpine"}[case.job.image.family]


def _package(case: Case, *candidates: Candidate) -> Change:
    family = case.job.image.family
    names = tuple(dict.fromkeys(candidate.package for candidate in candidates))

    def edit(recipe: Recipe) -> Recipe:
        packages = dict(recipe.system_packages)
        packages[family] = tuple(dict.fromkeys((*packages.get(family, ()), *names)))
        return replace(recipe, system_packages=tuple(sorted(packages.items())))

    return Change(kind="system-package", what=" ".join(names), edit=edit, path=candidates[0].path)


def _include(case: Case, diagnosis: Diagnosis) -> Iterator[Change]:
    """A header of a package that is installed but lies in a folder of its own, where the compiler does not look."""
    if diagnosis.cause != "missing-system-header" or not diagnosis.subject:
        return
    had = case.job.recipe.packages_for(case.job.image.family)
    for one in case.find(Need(kind="header", name=diagnosis.subject, like=(case.job.pin.name, diagnosis.subject))):
        folder = one.path.removesuffix(diagnosis.subject)
        if (one.package in had or one.installed) and one.path.endswith(f"/{diagnosis.subject}") and not _DEFAULT_INCLUDE.match(folder):
            where = f"/{folder.rstrip('/')}"
            old = dict(case.job.recipe.environment)
            paths = [(name, ":".join(filter(None, (old.get(name, ""), where)))) for name in ("CPLUS_INCLUDE_PATH", "C_INCLUDE_PATH")]
            if where not in paths[0][1].split(":")[:-1]:
                yield replace(with_environment(tuple(sorted(paths))), path=one.path)
            return


def _compiler(case: Case, diagnosis: Diagnosis) -> Iterator[Change]:
    line = f"{diagnosis.line} -W{diagnosis.subject}"
    if _RUST.search(line):
        yield from _images(case, diagnosis)
        return
    if "multiple definition" in line:
        yield with_flags("-fcommon")
    if _FIXED_WIDTH.search(line):
        # GCC 13's C++ headers no longer bring <cstdint> along. Older setuptools compiles C++ with CFLAGS, which C must take too.
        yield together_with(with_flags("-include stdint.h"), with_flags("-include cstdint", variable="CXXFLAGS"))
    if _OLD_CXX.search(line):
        # To C it is a warning.
        yield together_with(with_flags("-std=gnu++14"), with_flags("-std=gnu++14", variable="CXXFLAGS"))
    named = tuple(
        dict.fromkeys(m["name"] for m in _WARNING.finditer(line) if m["name"] not in {"error", "all", "extra"})
    )
    strict = tuple(name for name in named if name in _STRICT or "-" in name)
    if strict:
        yield with_flags(*(f"-Wno-error={name}" for name in strict))
    yield with_flags(*(f"-Wno-error={name}" for name in _STRICT), "-std=gnu17")
    yield from _images(case, diagnosis)


def _images(case: Case, _: Diagnosis) -> Iterator[Change]:
    # Which variant it is built in is the user's word where a recipe names one.
    for spec in () if case.job.recipe.variant else case.images:
        if spec != case.job.image:
            yield Change(kind="image", what=spec.name, edit=lambda recipe: recipe, image=spec)


def _memory(case: Case, _: Diagnosis) -> Iterator[Change]:
    yield replace(with_environment(_ONE_JOB), what="one job at a time")
    more = min(2 * max(case.memory, case.job.recipe.memory), case.most_memory)
    if more > max(case.memory, case.job.recipe.memory):
        yield Change(kind="memory", what=f"{more >> 20} MiB", edit=lambda recipe: replace(recipe, memory=more))


def _again(case: Case, diagnosis: Diagnosis) -> Iterator[Change]:
    if case.failure.transient:
        return  # the machine has tried again, whether failures are healed or not
    yield from _system(case, diagnosis)
    # A download that nobody checks: for a person to allow.
    yield Change(kind="network", what="network = true", edit=lambda recipe: replace(recipe, network=True), apply=False)


def _graft(case: Case, diagnosis: Diagnosis) -> Iterator[Change]:
    """A library that PEP 513 and 600 let wheels expect of every system; the clean room, like many a container, lacks it."""
    lacking = _LACKING.search(diagnosis.line)
    if case.job.kind != "native" or not lacking:
        return
    if lacking["name"] in _LEAVES:
        yield _brought_along(lacking["name"], _LEAVES)
    if lacking["name"] in _GLIB:
        yield replace(_brought_along(lacking["name"], _GLIB), apply=False)


def _brought_along(what: str, libraries: tuple[str, ...]) -> Change:
    def edit(recipe: Recipe) -> Recipe:
        return replace(recipe, graft=tuple(dict.fromkeys((*recipe.graft, *libraries))))

    return Change(kind="graft", what=what, edit=edit)


def _skip(_case: Case, diagnosis: Diagnosis) -> Iterator[Change]:
    """A module that runs only inside a server or on a machine with some device: leaving it out of the proof is for a person."""
    importing = _IMPORTING.search(diagnosis.summary)
    if importing:
        name = importing["module"]
        yield Change(
            kind="skip-imports", what=name, apply=False,
            edit=lambda recipe: replace(recipe, skip_imports=tuple(sorted({name: diagnosis.summary, **dict(recipe.skip_imports)}.items()))),
        )  # fmt: skip


def _pure(_case: Case, diagnosis: Diagnosis) -> Iterator[Change]:
    """A wheel without a binary: whether the project needs none, or silently left one out, is for a person to say."""
    if _NO_BINARY in diagnosis.line:
        yield Change(kind="kind", what="pure", edit=lambda recipe: replace(recipe, kind="pure"), apply=False)


_SILENT = frozenset({"unknown", "build-failed", "toolchain-misconfigured"})
"""Causes that may be the want of a system package which the log does not name."""
_WAYS: dict[str, tuple[Callable[[Case, Diagnosis], Iterator[Change]], ...]] = {
    "missing-c-compiler": (_system, _images),
    "missing-cxx-compiler": (_system, _images),
    "missing-fortran-compiler": (_system, _images),
    "missing-rust": (_system, _images),
    "rust-too-old": (_images,),
    "compiler-too-old": (_images,),
    "compiler-too-new": (_compiler,),
    "missing-python-headers": (_system, _images),
    "missing-build-tool": (_system,),
    "missing-config-program": (_system,),
    "missing-system-header": (_system,),
    "missing-system-library": (_system,),
    "incompatible-system-library": (_images,),
    "wheel-repair": (_system, _pure),
    "repair-failed": (_system, _pure),
    REQUIREMENT_FAILED: (override,),
    "missing-python-build-dep": (requires, bounds),
    "incompatible-build-dep": (bounds,),
    "invalid-metadata": (bounds,),
    "invalid-project-config": (bounds,),
    "python-stdlib-removed": (requires, old_names, bounds),
    "python-api-removed": (api,),
    "unsupported-python": (pyo3,),
    "build-tool-too-new": (cmake,),
    "version-from-vcs": (version,),
    "locale-encoding": (utf8,),
    "out-of-memory": (_memory,),
    "killed": (_memory,),
    "network": (_again,),
    "rejected": (_graft, _skip),
}
