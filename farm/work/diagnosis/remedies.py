"""A cause and its subject -> what mends it on each platform."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from farm.model.outcome import Family, Remedy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farm.work.diagnosis.facts import Facts
    from farm.work.diagnosis.packages import PackageIndex
    from farm.work.diagnosis.rules import Rule

_MANAGERS: dict[Family, str] = {
    "debian": "apt-get install -y",
    "rhel": "dnf install -y",
    "alpine": "apk add",
    "macos": "brew install",
}
_FAMILIES: tuple[Family, ...] = ("debian", "rhel", "alpine", "macos", "windows", "any")
_COLUMN: dict[Family, int] = {"rhel": 0, "alpine": 1, "macos": 2}
_COMPILERS = ("missing-c-compiler", "missing-cxx-compiler", "toolchain-misconfigured")
_DOWNLOADED = re.compile(r"/([A-Za-z][A-Za-z0-9_+]*?)[-_]?v?\d[\w.]*\.(?:tar|zip|tgz|tbz|7z)")
# What a symptom says about which version to keep out.
_PINS = (
    (r"use_2to3", "setuptools<58"),
    (r"pkg_resources", "setuptools<82"),
    (r"[Ff]eature\b", "setuptools<46"),
    (r"dash-separated|install_layout", "setuptools<78"),
    (r"setup_requires|test_suite|tests_require|invalid command 'test'", "setuptools<72"),
    (r"numpy\.distutils|msvccompiler|dry_run|setuptools", "setuptools<65"),
    (r"PyArray|NPY_|npy_|numpy|np\.", "numpy<2"),
    (r"canonicalize_version", "packaging<22"),
    (r"markupsafe|soft_unicode", "markupsafe<2.1"),
    (r"jinja2|contextfilter|Markup", "jinja2<3.1"),
    (r"\.p(?:yx|xd)|[Cc]ython|noexcept|cython_sources|undeclared name not builtin", "Cython<3"),
    (r"poetry", "poetry-core<2"),
    (r"CMake|cmake|CMP\d", "cmake<4"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What is to be mended: the cause, its subject and line, and what the log tells of the machine."""

    cause: str
    subject: str
    line: str
    facts: Facts
    rule: Rule | None = None


@dataclass(frozen=True, kw_only=True)
class Remedies:
    """remedies.toml and platforms.toml, read, with Debian's index."""

    causes: Mapping[str, Any]
    debian: Mapping[str, list[str]]
    elsewhere: Mapping[str, list[str]]
    index: PackageIndex

    def summary(self, trouble: Trouble) -> str:
        """Return one line that says what is wrong."""
        return self._filled(self.causes[trouble.cause]["summary"], trouble).rstrip(": ")

    def farm(self, trouble: Trouble) -> str:
        """Return one line on what to do where the farm builds it; it names Debian's package where one is known."""
        packages = self.packages(trouble)
        if packages and self.causes[trouble.cause].get("find") and trouble.cause.startswith("missing-"):
            return f"name {packages[0]} (Debian's package; others' differ) in [recipes.NAME] system-packages"
        return self._filled(self.causes[trouble.cause]["farm"], trouble)

    def packages(self, trouble: Trouble) -> tuple[str, ...]:
        """Return Debian's packages that mend it, the first the likeliest; empty where none is known to."""
        entry = self.causes[trouble.cause]
        fixed = tuple(self._filled(name, trouble) for name in entry.get("packages", ()))
        known = self._known(trouble.subject)
        if trouble.cause == "network":
            return tuple(
                package
                for name in _DOWNLOADED.findall(trouble.line)[:1]
                for package in self._known(name) or self.index.anything(name)
            )
        if "clang" in trouble.facts.compiler and trouble.cause in _COMPILERS:
            fixed = ("clang", *fixed)
        if trouble.cause == "wheel-repair":
            return tuple(
                package
                for name in re.findall(r"\blib([\w.+-]+?\.so\.[\d.]+)", trouble.line)
                for package in self.index.library(name)[:1]
            )
        if trouble.cause == "toolchain-misconfigured":
            return known or fixed
        if not entry.get("find") or not trouble.subject:
            return fixed
        found = known or self._looked_up(entry["find"], trouble.subject)
        if entry["find"] in ("header", "library"):
            fixed = (*fixed, *self._namesake(trouble.facts.package))
        return tuple(dict.fromkeys((*found, *fixed)))

    def has_header(self, name: str) -> bool:
        """Whether any Debian package has a header, by the name that it is included by."""
        return bool(self._known(name) or self.index.header(name))

    def of(self, trouble: Trouble) -> tuple[Remedy, ...]:
        """Return the remedies by platform, the log's own first."""
        packages = self.packages(trouble)
        made = [remedy for family in _FAMILIES if (remedy := self._remedy(family, trouble, packages))]
        own = trouble.facts.platform if trouble.facts.platform != "linux" else "debian"
        return tuple(sorted(made, key=lambda remedy: (remedy.platform != own, remedy.platform == "any")))

    def _namesake(self, package: str) -> tuple[str, ...]:
        """The library that a package is the binding of, where its name says so: it brings along what else is needed."""
        name = re.sub(r"^(?:python-?|py)(?=[a-z])|-(?:python|py|binary|ng)$|(?<=[a-z])py$", "", package)
        return self._known(name) or self.index.module(name) if len(name) > 2 else ()

    def _known(self, name: str) -> tuple[str, ...]:
        short = name.rsplit("/", 1)[-1].removesuffix(".exe")
        for key in dict.fromkeys((name, short, re.sub(r"-[\d.]+$", "", short), name.lower(), name.partition("=")[0])):
            if key in self.debian:
                return tuple(self.debian[key])
        return ()

    def _looked_up(self, find: str, subject: str) -> tuple[str, ...]:
        if find == "header":
            return self.index.header(subject)
        if find == "program":
            return self.index.program(subject) or self.index.program(subject.lower())
        for word in dict.fromkeys((subject, *re.split(r"[ ,/<>=_]+", subject))):
            found = (self._known(word) or self.index.anything(word)) if len(word) > 1 or word == subject else ()
            if found:
                return found
        return ()

    def _remedy(self, family: Family, trouble: Trouble, packages: tuple[str, ...]) -> Remedy | None:
        own = self.causes[trouble.cause].get(family, {})
        commands = tuple(self._filled(command, trouble) for command in own.get("commands", ()))
        note = self._filled(own.get("note", ""), trouble)
        if family == "any":
            note = self._filled(self.causes[trouble.cause].get("note", ""), trouble)
            return Remedy(platform="any", commands=commands, note=note) if note or commands else None
        if family == "windows":
            return Remedy(platform="windows", commands=commands, note=note) if note or commands else None
        names = tuple(self._filled(name, trouble) for name in own["packages"]) if "packages" in own else ()
        if not names and not commands:
            names, guessed = self._names(family, packages)
            note = note or ("names made by this platform's conventions: check them" if guessed else "")
        if not names and not commands and not note:
            return None
        if names and family in _MANAGERS:
            first = (
                names if family == "debian" and len(names) > 1 and trouble.cause == "missing-build-tool" else names[:1]
            )
            commands = (*commands, f"{_MANAGERS[family]} {' '.join(first)}")
        return Remedy(platform=family, packages=names, commands=commands, note=note)

    def _names(self, family: Family, packages: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
        """Debian's names as another platform's, and whether any was made by convention."""
        if family == "debian":
            return packages, False
        names: list[str] = []
        guessed = False
        for package in packages:
            known = self.elsewhere.get(package)
            if known:
                names += known[_COLUMN[family]].split()
            elif package == packages[0]:
                guessed = True
                names.append(_by_convention(family, package))
        return tuple(dict.fromkeys(names)), guessed

    def _filled(self, text: str, trouble: Trouble) -> str:
        facts = trouble.facts
        values = {
            "subject": trouble.subject,
            "package": facts.package or "the package",
            "python": facts.python or "3",
            "version": next(iter(re.findall(r"\d+(?:\.\d+)+", trouble.subject)), ""),
            "pin": pin(trouble),
        }
        return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), text)


def load_remedies(causes: str, platforms: str, index: PackageIndex) -> Remedies:
    """Return the remedies of remedies.toml and platforms.toml."""
    table = tomllib.loads(platforms)
    return Remedies(causes=tomllib.loads(causes), debian=table["debian"], elsewhere=table["elsewhere"], index=index)


def pin(trouble: Trouble) -> str:
    """Return the build constraint that keeps the offending version out, by the symptom."""
    if trouble.rule and trouble.rule.pin:
        return trouble.rule.pin
    return next((found for pattern, found in _PINS if re.search(pattern, trouble.line)), "setuptools<80")


def _by_convention(family: Family, package: str) -> str:
    """libfoo2-dev is foo-devel on RHEL, foo-dev on Alpine, foo with Homebrew: right more often than not."""
    if not package.endswith("-dev"):
        return package
    stem = re.sub(r"(?<=[a-z])\d+(?:\.\d+)*$", "", package.removesuffix("-dev"))
    short = stem.removeprefix("lib")
    return {"rhel": f"{short}-devel", "alpine": f"{short}-dev"}.get(family, short)
