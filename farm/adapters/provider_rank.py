"""The right one among several system packages that have what a build lacks. Pure: names and paths in, an order out."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farm.model.healing import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from farm.model.healing import Need

# Kernels, cross compilers, other architectures' copies, debugging symbols: never what a wheel is built with.
_NEVER = re.compile(
    r"-cross(?:$|-)|^linux-(?!libc-dev)|mingw|-dbgsym$|-dbg$|^lib(?:32|x32|n32|64)|-i386(?:$|-)|-(?:arm64|armhf|amd64|s390x|ppc64el)-"
    r"|^(?:avr|arm|riscv\w*|hurd|klibc|dietlibc|uclibc|musl)(?:$|-)|^kfreebsd|^(?:libstdc\+\+|libgcc|gcc|gnat|gdc)-[\d.]*-?\w*-(?:dev-)?\w+-cross"
)
_DEVELOPMENT = re.compile(r"-(?:dev|devel)$")
# A number that names one release among several that can be installed beside each other: -14, 5.1, but no soname of a library
# that has only one -dev package.
_VERSION = re.compile(r"(?<![a-z])\d+(?:\.\d+)*|(?<=[a-z])\d+\.\d+")
_WORDS = re.compile(r"[a-z]+\d*|\d+")
_COMMON = frozenset(
    {"lib", "dev", "devel", "py", "python", "python3", "config", "client", "h", "hpp", "the", "tools", "bin"}
)
_PLAIN_FOLDER = re.compile(r"^usr/include/(?:[\w]+-linux-[\w]+/)?[^/]+$")
_LIBRARY_FOLDER = re.compile(r"^(?:usr/)?lib/(?:[\w]+-linux-[\w]+/)?[^/]+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file and the package that has it, with the package's section and source where they are known.

    `uses` is how many packages of other sources depend on something made from the same source, `named` how many depend on it itself.
    """

    package: str
    path: str
    section: str = ""
    source: str = ""
    uses: int = 0
    named: int = 0
    installed: bool = False


def rank(need: Need, found: Iterable[Found], metapackages: Mapping[str, str] | None = None) -> tuple[Candidate, ...]:
    """Return each package once, the best first.

    `metapackages` names, for a package, the one without a version of its own that stands for the distribution's choice
    (Debian's `default-*`). A tie goes to the shorter path and name, then to the alphabet, so that the order is one.
    """
    found = tuple(found)
    installed = {one.package for one in found if one.installed}
    best: dict[str, tuple[tuple[float, int, str], Candidate]] = {}
    for one in found:
        if _NEVER.search(one.package) or one.section.endswith("kernel"):
            continue
        name = (metapackages or {}).get(one.package, one.package)
        key = (-_score(need, one), len(one.path) + len(one.package), one.package)
        if name not in best or key < best[name][0]:
            best[name] = key, Candidate(package=name, path=one.path, installed=name in installed)
    return tuple(candidate for _, candidate in sorted(best.values(), key=lambda entry: entry[0]))


def _score(need: Need, one: Found) -> float:
    score = 0.0
    compiled_with = need.kind not in {"program", "package"} or need.name.endswith("config")
    if compiled_with:
        score += 3 * bool(_DEVELOPMENT.search(one.package)) + 2 * one.section.endswith("libdevel")
    elif need.kind == "program":
        score += 2 * (one.package == need.name) - 1 * bool(_DEVELOPMENT.search(one.package))
    score += 4 * _alike(one, need)
    score -= 1.5 * bool(_VERSION.search(re.sub(r"^lib|-(?:dev|devel)$", "", one.package)))
    # What the distribution itself builds on is likelier than what few have heard of.
    score += min(2.0, 0.6 * math.log10(1 + one.uses)) + min(0.5, 0.2 * math.log10(1 + one.named))
    return score + _place(need, one.path)


def _place(need: Need, path: str) -> float:
    """Where the compiler looks by itself counts most; a copy inside another program's folder least."""
    if need.kind == "header":
        rest = path.removesuffix(need.name).rstrip("/")
        if _PLAIN_FOLDER.match(f"{rest}/x"):
            return 3
        return 1 - 0.5 * rest.count("/") + 1.5 * path.startswith("usr/include/")
    if need.kind == "library":
        return (2 if _LIBRARY_FOLDER.match(path) else -2) + 1 * path.endswith(".so")
    return 0.0


def _alike(one: Found, need: Need) -> float:
    """How much of the package's or its source's name is told by the need or by those who need it, from 0 to 1 and a little."""
    wanted = {word for text in (need.name, *need.like) for word in _words(text)}
    own = _words(one.package) or _words(one.source)
    if not own or not wanted:
        return 0.0
    told = sum(any(_same(word, other) for other in wanted) for word in own)
    near = sum(any(_same(word, other) for other in wanted) for word in _words(one.source))
    return told / len(own) + 0.1 * bool(near)


def _words(text: str) -> tuple[str, ...]:
    found: list[str] = []
    for word in _WORDS.findall(re.sub(r"\.(?:h|hpp|hh|pc)$", "", text.lower()).replace("_", "-")):
        short = re.sub(r"^lib(?=[a-z]{2})|^py(?=[a-z]{3})", "", word)
        if short not in _COMMON and len(short) > 1 and not short.isdigit():
            found.append(short)
    return tuple(dict.fromkeys(found))


def _same(one: str, other: str) -> bool:
    a, b = one.rstrip("0123456789"), other.rstrip("0123456789")
    return a == b or (len(a) > 3 and len(b) > 3 and (a.startswith(b) or b.startswith(a)))
