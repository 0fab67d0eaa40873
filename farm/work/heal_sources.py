"""The system packages that a project asks for beside its log: by its sources, its CI, and what the distribution builds it with. Pure.

Sources name more than a build needs (optional parts, other systems), so what is named often, or to a build tool, counts most, and
what the image has already counts as had.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from farm.model.healing import Need

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from farm.model.healing import Candidate, Clues

    Find = Callable[[Need], tuple[Candidate, ...]]

_MOST = 8
_DECLARED, _INCLUDED = 3, 2
# The folders where the compiler looks by itself, and one below them, which pkg-config or a setup.py names (libxml2/, freetype2/).
_PLAIN = re.compile(r"^usr/include/(?:\w+-linux-\w+/)?$")
_DEVELOPMENT = re.compile(r"-(?:dev|devel)$|^swig")
# The compiler's and Python's own, and what only tests, checks and other systems want.
_NEVER = re.compile(
    r"^lib(?:c\d*|stdc\+\+.*|python.*|gcc.*|wine.*|gtest|gmock|benchmark|check)-dev$|^(?:python|cython|linux-|valgrind|googletest)"
)


def beside_the_log(clues: Clues, find: Find, project: str) -> Iterator[tuple[Candidate, ...]]:
    """Yield sets of packages to try, each larger than the one before and no package twice: the distribution's own list, what the
    sources name, what the CI installs.
    """
    packages: dict[str, Candidate] = {}
    ways = (_of_distribution, _of_sources, _of_ci)
    for way in ways:
        before = len(packages)
        for one in way(clues, find, project):
            if len(packages) < _MOST:
                packages.setdefault(one.package, one)
        if len(packages) > before:
            yield tuple(packages.values())


def _of_distribution(_: Clues, find: Find, project: str) -> Iterator[Candidate]:
    yield from (one for one in find(Need(kind="project", name=project)) if not one.installed)


def _of_sources(clues: Clues, find: Find, project: str) -> Iterator[Candidate]:
    """What several includes or one declaration lead to, the most often named first."""
    told: Counter[str] = Counter()
    found: dict[str, Candidate] = {}
    for need in clues.needs:
        best = _best(find(replace(need, like=(project,))), need)
        if best is not None:
            told[best.package] += _INCLUDED if need.kind == "header" else _DECLARED
            found.setdefault(best.package, best)
    yield from (found[name] for name, _ in told.most_common())


def _best(candidates: tuple[Candidate, ...], need: Need) -> Candidate | None:
    if not candidates or any(one.installed for one in candidates):
        return None
    best = candidates[0]
    plain = need.kind != "header" or _PLAIN.match(best.path.removesuffix(need.name))
    return best if plain and not _NEVER.search(best.package) else None


def _of_ci(clues: Clues, find: Find, _: str) -> Iterator[Candidate]:
    for name in clues.packages:
        if _DEVELOPMENT.search(name) and not _NEVER.search(name):
            # Only what the image's database knows under this very name.
            yield from (one for one in find(Need(kind="package", name=name))[:1] if one.package == name and not one.installed)
