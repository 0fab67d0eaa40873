"""A diagnosis -> what the build lacks, as the image's package database can be asked for it. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from farm.model.healing import Need

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farm.model.healing import NeedKind
    from farm.model.outcome import Diagnosis

_PROGRAMS = {
    "missing-config-program": "", "missing-build-tool": "", "missing-c-compiler": "gcc", "missing-cxx-compiler": "g++",
    "missing-fortran-compiler": "gfortran", "missing-rust": "cargo", "missing-cuda": "nvcc",
}  # fmt: skip
_HEADER = re.compile(r"^[\w./+-]+\.(?:h|hh|hpp|hxx|inc)$|^[A-Za-z]\w*/[\w./+-]+$")
_LINKED = re.compile(r"-l(?P<name>[\w.+-]+)|\blib(?P<file>[\w.+-]+?)\.(?:so|a)\b")
_CMAKE = re.compile(
    r"Could NOT find (?P<a>\w+)|(?P<b>\w+?)(?:Config|-config)\.cmake|Find(?P<c>\w+)\.cmake"
    r"|package configuration file provided by \"(?P<d>\w+)\""
)
_PKG_CONFIG = re.compile(
    r"pkg-?config|\.pc\b|Dependency \"|No package '|Package '?[\w.+-]+'?,? .*not found", re.IGNORECASE
)
_ARCHIVE = re.compile(r"/(?P<name>[A-Za-z][A-Za-z0-9_+]*?)[-_]?v?\d[\w.]*\.(?:tar|zip|tgz|tbz|7z)")
_LIBRARIES = re.compile(r"(?<![\w./-])lib[a-z][a-z0-9+-]+(?![\w./])")
_LIST = re.compile(r"[\w.+-]+(?:(?:\s*,\s*(?:and\s+|or\s+)?|\s+and\s+)[A-Za-z][\w.+-]*)+")
_MOST_TOGETHER = 6
# Links that the package database does not have: a JDK's programs lie below its own folder.
_PACKAGES = {"java": "default-jdk-headless", "javac": "default-jdk-headless", "jar": "default-jdk-headless", "jdk": "default-jdk-headless"}
_WORDS = re.compile(r"[A-Za-z][\w.+-]*")
_NO_NAMES = frozenset({"and", "or", "the", "library", "libraries", "development", "headers", "header", "files", "package", "packages",
                       "not", "found", "missing", "dev", "devel", "of", "for", "version", "lib"})  # fmt: skip


def needs(diagnosis: Diagnosis, package: str) -> Iterator[Need]:
    """Yield what may be missing, the likeliest first; `package` is the project that is built, whose name its library may have."""
    cause, subject, line = diagnosis.cause, diagnosis.subject.strip(" '\"`"), diagnosis.line or diagnosis.summary
    like = tuple(dict.fromkeys(name for name in (package, subject) if name))
    for kind, name in _kinds(cause, subject, line):
        yield Need(kind=kind, name=name, like=like)


def together(diagnosis: Diagnosis) -> tuple[tuple[Need, ...], ...]:
    """Return the libraries that one message asks for at once ("the libxml2 and libxslt development packages", "missing: jpeg, zlib"),
    for each the ways to ask for it; else none.
    """
    if diagnosis.cause != "missing-system-library":
        return ()
    line = diagnosis.line.split("cannot find -l")[0]
    subject = diagnosis.subject.strip(" '\"`")
    listed = ([word.rstrip(".") for word in _WORDS.findall(match[0])] for match in _LIST.finditer(line))
    names = dict.fromkeys(_LIBRARIES.findall(line))
    if len(names) < 2:
        names = dict.fromkeys(next((found for found in listed if subject in found), ()))
    names = {name: None for name in names if name.lower() not in _NO_NAMES}
    return tuple(tuple(_named(name)) for name in names) if 1 < len(names) <= _MOST_TOGETHER else ()


def _named(name: str) -> Iterator[Need]:
    kinds: tuple[NeedKind, ...] = ("package", "pkg-config", "library")
    for kind in kinds:
        yield Need(kind=kind, name=f"{name.removesuffix('-dev')}-dev" if kind == "package" else name)


def _kinds(cause: str, subject: str, line: str) -> Iterator[tuple[NeedKind, str]]:
    if cause in _PROGRAMS:
        name = (subject or _PROGRAMS[cause]).rsplit("/", 1)[-1].lower() if cause != "missing-build-tool" else subject
        if name and " " not in name:
            yield "program", name
            yield "package", _PACKAGES.get(name.lower(), name)
            yield from _library(name, line)
    elif cause in {"missing-system-header", "missing-python-headers"} and subject:
        yield "header", subject
    elif cause in {"missing-system-library", "incompatible-system-library"}:
        yield from _library(subject, line)
    elif cause in {"wheel-repair", "repair-failed"}:
        yield from (("library", match["file"] or match["name"]) for match in _LINKED.finditer(line))
    elif cause == "network":
        yield from (("package", match["name"]) for match in _ARCHIVE.finditer(line))


def _library(subject: str, line: str) -> Iterator[tuple[NeedKind, str]]:
    if _HEADER.match(subject):
        yield "header", subject
    names = [name for name in _WORDS.findall(subject) if name.lower() not in _NO_NAMES] or [""]
    linked = _LINKED.search(line)
    if linked:
        yield "library", linked["name"] or linked["file"]
    cmake = _CMAKE.search(line)
    if cmake:
        found = next(name for name in cmake.groupdict().values() if name)
        yield "cmake", found
        names.append(found)
    for name in (name for name in names if name):
        kinds: tuple[NeedKind, ...] = (
            ("pkg-config", "library") if _PKG_CONFIG.search(line) else ("library", "pkg-config")
        )
        yield from ((kind, name) for kind in kinds)
        yield "package", f"{name.removesuffix('-dev')}-dev"
        yield "cmake", name
        yield "header", f"{name}.h"
