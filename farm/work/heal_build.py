"""What may heal the Python side of a build: its requirements and their bounds, its C, its variables. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from farm.model.package import Version, make_pin
from farm.work import heal_python
from farm.work.heal_case import Change, with_constraints, with_environment, with_flags

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farm.model.job import Recipe
    from farm.model.outcome import Diagnosis
    from farm.work.heal_case import Case


def bounds(case: Case, diagnosis: Diagnosis) -> Iterator[Change]:
    """What the symptom names, then everything as it was on the sdist's day at once, then one by one where that has no solution."""
    for text in heal_python.bounds_by_symptom(f"{diagnosis.line} {diagnosis.subject}", case.job.target.python):
        yield with_constraints((text,))
    uploaded = case.job.sdist.upload_time
    if uploaded is None:
        return
    # Of those with compiled parts, the releases of that day have no wheels for the Pythons since.
    pure = {d.pin.name for d in case.job.requires if d.file is not None and d.file.filename.endswith("-none-any.whl")}
    texts = tuple(heal_python.bounds_by_date(frozenset(pure), case.job.target.python, case.dated))
    why = f"the sdist is of {uploaded:%Y-%m-%d}; {diagnosis.line or diagnosis.summary}"
    if len(texts) > 1:
        yield with_constraints(texts, why)
    for text in texts:
        yield with_constraints((text,), why)


def requires(case: Case, diagnosis: Diagnosis) -> Iterator[Change]:
    """The project that is known to own a module's name."""
    project = heal_python.project_of(diagnosis.subject)
    if project:
        module = diagnosis.subject.split(".", maxsplit=1)[0]
        yield _required(case, project, ("setuptools<81",) if module == "pkg_resources" else ())


def _required(case: Case, project: str, limits: tuple[str, ...] = ()) -> Change:
    name = project.lower()
    then = case.dated(name) if name in {"numpy", "cython"} else None
    limit = heal_python.bound(name, then, case.job.target.python) if then else ""
    limits = (*limits, limit) if limit else limits

    def edit(recipe: Recipe) -> Recipe:
        return replace(
            recipe,
            build_requires=tuple(dict.fromkeys((*recipe.build_requires, project))),
            build_constraints=tuple(dict.fromkeys((*recipe.build_constraints, *limits))),
        )

    return Change(kind="build-requires", what=" ".join((project, *(f"({limit})" for limit in limits))), edit=edit)


def api(case: Case, diagnosis: Diagnosis) -> Iterator[Change]:
    """C that an old Cython wrote does not fit a new Python, and is written anew; what got another name is called by that."""
    python = case.job.target.python
    floor = heal_python.cython_for(python)
    own = next((d.pin.version for d in case.job.requires if d.pin.name == "cython"), None)
    too_old = floor if own is not None and floor and own < Version(floor[0]) else None
    instead = f"cython>={too_old[0]}{too_old[1]}" if too_old else ""
    if case.cython:
        yield _anew(instead or heal_python.cython(python), instead)
    renamed = heal_python.renamed(diagnosis.subject)
    if renamed:
        yield with_flags(*(f"-D{each}" for each in renamed))
    if not case.cython:
        # Where there is no C beside the .pyx, the build itself runs a Cython: one that is too old or too new for this Python.
        if instead:
            yield _instead(instead)
        yield from bounds(replace(case, job=replace(case.job, sdist=replace(case.job.sdist, upload_time=None))), diagnosis)


def _anew(cython: str, instead: str) -> Change:
    def edit(recipe: Recipe) -> Recipe:
        overrides = (*recipe.build_overrides, instead) if instead else recipe.build_overrides
        return replace(recipe, cythonize=cython, build_overrides=tuple(dict.fromkeys(overrides)))

    return Change(kind="cythonize", what=cython, edit=edit)


def override(case: Case, diagnosis: Diagnosis) -> Iterator[Change]:
    """A build requirement that could not be built, by far most often a pin: the next release that has a wheel."""
    name, _, version = diagnosis.subject.partition("==")
    found = case.nearest(make_pin(name, version)) if version else None
    if found is not None:
        yield _instead(f"{name}=={found}")


def _instead(text: str) -> Change:
    def edit(recipe: Recipe) -> Recipe:
        return replace(recipe, build_overrides=tuple(dict.fromkeys((*recipe.build_overrides, text))))

    return Change(kind="build-override", what=text, edit=edit)


def old_names(case: Case, diagnosis: Diagnosis) -> Iterator[Change]:
    """A setup.py, or an old tool that it brings along, uses what the standard library dropped."""
    if case.failure.stage in {"build", "requirements"} and heal_python.given_back(f"{diagnosis.line} {diagnosis.subject}"):
        yield Change(kind="old-names", what="those that the standard library dropped", edit=lambda recipe: replace(recipe, old_names=True))


def version(case: Case, _: Diagnosis) -> Iterator[Change]:
    text = str(case.job.pin.version)
    yield with_environment((("PBR_VERSION", text), ("SETUPTOOLS_SCM_PRETEND_VERSION", text)))


def pyo3(case: Case, diagnosis: Diagnosis) -> Iterator[Change]:
    if "pyo3" in f"{diagnosis.line} {diagnosis.subject}".lower():
        yield with_environment((("PYO3_USE_ABI3_FORWARD_COMPATIBILITY", "1"),))
    else:
        yield from bounds(case, diagnosis)


def utf8(_case: Case, _: Diagnosis) -> Iterator[Change]:
    yield with_environment((("PYTHONUTF8", "1"),))


def cmake(_case: Case, _: Diagnosis) -> Iterator[Change]:
    yield with_environment((("CMAKE_POLICY_VERSION_MINIMUM", "3.5"),))
    yield with_constraints(("cmake<4",))
