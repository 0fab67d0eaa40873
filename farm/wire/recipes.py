"""`farm recipe lint`, `show` and `new` put together: recipes, and what the index, the sdist and past builds tell of them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from farm.adapters import patches
from farm.adapters.image_files import ImageFiles
from farm.adapters.source_tree import unpack
from farm.errors import FarmError, UpstreamError, UsageError
from farm.model.attempt import FAILED
from farm.model.demand import IndexOptions
from farm.model.package import Pin
from farm.model.recipes import Said, said
from farm.survey.detect import choose_sdist
from farm.survey.lint import Remark, remarks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from farm.model.attempt import Attempt
    from farm.model.healing import Learned
    from farm.model.job import Patch, SdistFacts
    from farm.model.package import IndexFile, NormalizedName, Version
    from farm.model.settings import RecipeRule
    from farm.model.target import Target
    from farm.wire.assembly import Farm

_PATCHES = ("*.patch", "*.diff")
_TELLING = ("pyproject.toml", "Cargo.toml", "Cargo.lock")
_LAST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a project that gets a recipe: `facts` None where its sdist could not be had, for `silence`."""

    name: NormalizedName
    version: Version | None
    facts: SdistFacts | None
    silence: str
    failed: Attempt | None
    proposals: tuple[Learned, ...]


def lint(farm: Farm, recipes: Mapping[NormalizedName, Sequence[RecipeRule]], *, offline: bool) -> tuple[Remark, ...]:
    """Return what is to be said of recipes; the patches are tried on the oldest and newest sdist that each rule is for."""
    found: list[Remark] = []
    variants = {offer.variant for offer in ImageFiles(farm.image_folder).offers()}
    for name, rules in recipes.items():
        found.extend(remarks(name, rules, farm.settings.targets))
        for rule in rules:
            if rule.recipe.variant and rule.recipe.variant not in variants and "-" not in rule.recipe.variant:
                text = f"no builder image has the variant {rule.recipe.variant!r}; there are: {', '.join(sorted(variants))}"
                found.append(Remark(level="fault", project=name, place=rule.place, text=text))
            found.extend(_patch_remarks(farm, name, rule, offline=offline))
    return tuple(found)


def unnamed(folder: Path, recipes: Mapping[NormalizedName, Sequence[RecipeRule]]) -> tuple[Remark, ...]:
    """Return the patches of a recipes folder that no recipe names."""
    # config.toml names them from its own folder.
    names = {patch.name for rules in recipes.values() for rule in rules for patch in rule.recipe.patches}
    named = names | {name.removeprefix(f"{folder.name}/") for name in names}
    files = sorted(path for pattern in _PATCHES for path in folder.rglob(pattern)) if folder.is_dir() else []
    return tuple(
        Remark(level="note", project="", place=f"{folder.name}/{name}", text="no recipe names this patch")
        for path in files
        if (name := path.relative_to(folder).as_posix()) not in named
    )


def _patch_remarks(farm: Farm, name: NormalizedName, rule: RecipeRule, *, offline: bool) -> Iterator[Remark]:
    def remark(level: str, text: str) -> Remark:
        return Remark(level="fault" if level == "fault" else "note", project=name, place=rule.place, text=text)

    recipe = rule.recipe
    if not recipe.patches:
        return
    with tempfile.TemporaryDirectory(prefix="farm-lint-") as scratch:
        wrong = [(patch, patches.form_fault(patch, Path(scratch), farm.host_environment)) for patch in recipe.patches]
    faults = [f"{patch.name}: {text}" for patch, text in wrong if text]
    yield from (remark("fault", text) for text in faults)
    touched = sorted({file for patch in recipe.patches for file in _TELLING if f"/{file}\n" in patch.text or f"/{file}\t" in patch.text})
    if touched and not recipe.build_requires:
        told = f"a patch touches {', '.join(touched)}: what the build newly requires by it belongs into build-requires as well"
        yield remark("note", told)
    if faults or offline:
        return
    try:
        sdists = _sdists(farm, name, rule)
        if not sdists:
            yield remark("note", "its patches were not tried: no index has an sdist of a version that it is for")
        for version, file in sdists:
            path = farm.reading(IndexOptions()).downloads.fetch(file)
            yield from (remark("fault", f"{name} {version}: {text}") for text in _tried(farm, path, recipe.patches))
    except UpstreamError as error:
        yield remark("note", f"its patches were not tried: {error.reason}")


def _tried(farm: Farm, sdist: Path, wanted: Sequence[Patch]) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="farm-lint-") as scratch:
        try:
            tree = unpack(sdist, Path(scratch) / "sdist")
        except FarmError as error:
            yield error.reason
            return
        for patch in wanted:
            text = patches.fault(patch, tree, farm.host_environment)
            if text:
                yield f"{patch.name}: {text}"


def _sdists(farm: Farm, name: NormalizedName, rule: RecipeRule) -> tuple[tuple[Version, IndexFile], ...]:
    """Return the oldest and the newest version that a rule is for and that has an sdist."""
    versions = [(version, file) for version, file in _versions(farm, name) if rule.versions.contains(version, prereleases=True)]
    return tuple(dict(versions[:1] + versions[-1:]).items())


def _versions(farm: Farm, name: NormalizedName) -> list[tuple[Version, IndexFile]]:
    page = farm.reading(IndexOptions()).upstream.project(name)
    target = farm.settings.targets[0]
    found = ((version, choose_sdist(files, target)) for version, files in (page.by_version() if page else {}).items())
    return sorted((version, file) for version, file in found if file is not None and file.yanked is False)


def newest(farm: Farm, name: NormalizedName) -> Version:
    """Return the newest final release that has an sdist, else the newest of all. UsageError when there is none; UpstreamError."""
    versions = [version for version, _ in _versions(farm, name)]
    if not versions:
        raise UsageError(f"no index has an sdist of {name}", solution="name the version: NAME==VERSION")
    return max(versions, key=lambda version: (not version.is_prerelease, version))


def shown(farm: Farm, pin: Pin, target: Target) -> tuple[Said, ...]:
    """Return the recipe that a build of `pin` would use, each value with where it comes from."""
    layers = [(rule.place, rule.recipe) for rule in farm.settings.rules(pin, target)]
    best = farm.lessons.best(pin, target) if farm.settings.heal == "apply" else None
    if best is not None:
        layers.append((f"learned on {best.at:%Y-%m-%d} from {best.name} {best.version}", best.recipe))
    return said(layers)


def known(farm: Farm, name: NormalizedName, version: Version | None) -> Known:
    """Return what the sdist of a version (None: the newest) and the last failed build of a project tell."""
    attempts = farm.catalogue.attempts(name, _LAST)
    failed = next((one for one in attempts if one.state in FAILED and version in {None, one.version}), None)
    facts, silence = None, ""
    try:
        version = version or newest(farm, name)
        file = next((file for one, file in _versions(farm, name) if one == version), None)
        if file is None:
            silence = f"no index has an sdist of {name} {version}"
        else:
            facts = farm.reading(IndexOptions()).sdists.facts(Pin(name=name, version=version), file)
    except FarmError as error:
        silence = error.reason
    proposals = tuple(one for one in farm.lessons.all(name) if one.proposed)
    return Known(name=name, version=version, facts=facts, silence=silence, failed=failed, proposals=proposals)
