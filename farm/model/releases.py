"""Which releases of a project serve a target."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from farm.model.package import tags_of

if TYPE_CHECKING:
    from farm.model.package import IndexFile, Project, Version
    from farm.model.target import Target


def python_fits(file: IndexFile, target: Target) -> bool:
    """Whether a file's Requires-Python admits the target. One that cannot be parsed is ignored, as pip does."""
    return not file.requires_python or _admits(file.requires_python, target.full_version)


@lru_cache(maxsize=4096)
def _admits(requires_python: str, full_version: str) -> bool:
    """Remembered: an index repeats few of them, and every file is asked for every target."""
    try:
        return SpecifierSet(requires_python).contains(full_version, prereleases=True)
    except InvalidSpecifier:
        return True


def newer_releases(page: Project, version: Version) -> tuple[Version, ...]:
    """Return the later final releases that are not yanked, in order; also pre-releases where the release itself is one."""
    seen = {file.version for file in page.files if file.version is not None and not file.yanked}
    return tuple(sorted(found for found in seen if found > version and (version.is_prerelease or not found.is_prerelease)))


def nearest_with_wheel(page: Project, version: Version, target: Target) -> Version | None:
    """Return the first later release that has a wheel for the target; None when there is none."""
    serving = {file.version for file in page.files if _serves(file, target)}
    return next((release for release in newer_releases(page, version) if release in serving), None)


def _serves(file: IndexFile, target: Target) -> bool:
    return file.is_wheel and not file.yanked and target.rank(tags_of(file.filename)) is not None and python_fits(file, target)
