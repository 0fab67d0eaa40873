"""What an sdist's files name of the system that it is built on: headers, libraries, modules, programs, packages. Read, never run.

For a failure whose log names nothing. Each kind of file is read as its own language writes it: C and Cython includes, setuptools'
`libraries`, pkg-config calls, CMake's find_package, meson's dependency(), autoconf's macros; and, for packages by name, the
install lines of the project's own CI files, image recipes and README.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from farm.model.healing import Clues, Need

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from farm.adapters.sdist_archive import Sdist
    from farm.model.healing import NeedKind

MOST_BYTES = 64 << 10
"""Of one file: includes and declarations stand near the top."""
_FILES = 2000
_HEADERS = 80
_NEEDS = 120
_C_SOURCES = (".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".hxx", ".i", ".pyx", ".pxd", ".pxi")
_ASIDE = frozenset({"test", "tests", "testing", "testsuite", "doc", "docs", "example", "examples", "samples", "demos", "demo",
                    "benchmark", "benchmarks", "fuzz", "msvc", "win32", "windows", "macos", "android", "ios"})  # fmt: skip
_BUILD_FILES = frozenset({"cmakelists.txt", "meson.build", "configure.ac", "configure.in", "setup.cfg", "pyproject.toml"})
_CI = re.compile(
    r"(?:^|/)(?:Dockerfile[^/]*|[^/]*\.dockerfile|\.travis\.ya?ml|\.gitlab-ci\.ya?ml|\.cirrus\.ya?ml|azure-pipelines[^/]*\.ya?ml"
    r"|README[^/]*|INSTALL[^/]*|installation\.\w+|install\.(?:rst|md|txt)|apt\.txt|bindep\.txt)$"
    r"|^\.(?:github/workflows|circleci|ci)/[^/]+$|^ci/[^/]+\.(?:sh|ya?ml)$",
    re.IGNORECASE,
)
INSTALLS = re.compile(
    r"\b(?:apt(?:-get)?|yum|dnf|microdnf|apk)\s+(?:-\S+\s+)*(?:install|add)\s+(?P<packages>(?:[^;&|\n\\`]|\\\n){1,2000})"
)
_PACKAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]+")
_INCLUDE = re.compile(
    r"^[ \t]*[#%]\s*include\s*[<\"](?P<a>[\w./+-]+\.h\w*)[>\"]|\bextern\s+from\s+['\"]<?(?P<b>[\w./+-]+\.h\w*)", re.MULTILINE
)
_LIBRARIES = re.compile(
    r"\blibraries\b['\"]?\s*(?:=|:|\+=|\.(?:append|extend)\()\s*[\[(]?"
    r"(?P<list>[^\])\n]{0,300}(?:\n\s{0,40}['\"][^\])\n]{0,300}){0,40})"
)
_TEXT = re.compile(r"['\"](?P<text>[\w.+-]+)['\"]")
_FLAG = re.compile(r"['\"]-l(?P<name>[\w.+-]+)['\"]")
_PKG_CONFIG = re.compile(
    r"\bpkgconfig\.\w+\(\s*['\"](?P<b>[\w.+ -]+)['\"]"
    r"|pkg-?_?config[^\n]{0,120}?['\" ](?P<a>[A-Za-z][\w.+-]*?)(?:\s*[<>=]+\s*[\d.]+)?['\"]\s*[,)\]]",
    re.IGNORECASE,
)
_PROGRAM = re.compile(r"['\"](?P<name>[a-z][\w.]*[-_]config(?:-\d+)?|swig|[a-z]+pkgconf)['\"\s]")
_LOADED = re.compile(r"\bfind_library\(\s*['\"](?P<name>[\w.+-]+)['\"]")
_CMAKE = re.compile(
    r"^[ \t]*find_package\s*\(\s*(?P<cmake>\w+)|^[ \t]*pkg_(?:check|search)_modules?\s*\(\s*\w+(?P<pc>[^)]{0,500})\)"
    r"|^[ \t]*find_library\s*\(\s*\w+\s+(?:NAMES\s+)?(?P<library>[\w+.-]+)"
    r"|^[ \t]*find_path\s*\(\s*\w+\s+(?:NAMES\s+)?(?P<header>[\w/+.-]+\.h\w*)",
    re.MULTILINE | re.IGNORECASE,
)
_MESON = re.compile(
    r"\bdependency\s*\(\s*'(?P<pc>[\w.+-]+)'|\bfind_library\s*\(\s*'(?P<library>[\w.+-]+)'"
    r"|\bfind_program\s*\(\s*'(?P<program>[\w.+-]+)'"
)
_AUTOCONF = re.compile(
    r"\bPKG_CHECK_MODULES\s*\(\s*\[?\w+\]?\s*,\s*\[?(?P<pc>[^\],)]{1,300})|\bAC_(?:CHECK_LIB|SEARCH_LIBS)\s*\(\s*\[?(?P<library>\w+)"
    r"|\bAC_CHECK_HEADERS?\s*\(\s*\[?(?P<header>[\w/]+\.h)"
)
_WORD = re.compile(r"^[A-Za-z][\w.+-]*$")
# What every compiler and Python bring, and the words of CMake's own calls.
_NO_LIBRARY = frozenset({"m", "c", "dl", "rt", "pthread", "util", "stdc++", "gcc", "libraries", "python", "python3", "kernel32",
                         "user32", "ws2_32", "advapi32", "gdi32", "shell32", "ole32", "iphlpapi", "psapi", "crypt32"})  # fmt: skip
_NO_MODULE = frozenset({"required", "quiet", "imported_target", "optional", "libs", "cflags", "exists", "modversion", "static",
                        "python", "python3", "threads", "pythoninterp", "pythonlibs", "pybind11", "nanobind", "cython", "skbuild",
                        "numpy", "git", "doxygen", "pythonextensions", "f2py", "openmp", "variable", "version", "error", "path",
                        "stdout", "stderr", "decode", "ascii", "utf-8", "true", "false", "none", "native", "and", "or"})  # fmt: skip
_OWN_HEADERS = ("Python.h", "structmember.h", "pyconfig.h", "numpy/", "windows.h", "winsock", "pybind11/", "nanobind/", "patchlevel.h",
                "frameobject.h", "datetime.h", "pythread.h", "mach/", "CoreFoundation/", "Carbon/", "IOKit/")  # fmt: skip


def wanted(name: str) -> bool:
    """Tell whether a file may name something of the system. `name` has the archive's own folder before it."""
    path = name.partition("/")[2]
    parts = path.lower().split("/")
    base = parts[-1]
    if _CI.search(path):
        return True
    if len(parts) > 7 or any(part in _ASIDE for part in parts[:-1]):
        return False
    if base.endswith(".py"):
        return len(parts) == 1 or "build" in path.lower() or "setup" in base or "ffi" in path.lower()
    return base.endswith((*_C_SOURCES, ".cmake")) or base in _BUILD_FILES


class Wanted:
    """`wanted`, for the first so many files of an archive: a large one must not fill the memory."""

    def __init__(self) -> None:
        self._left = _FILES

    def __call__(self, name: str) -> bool:
        if self._left <= 0 or not wanted(name):
            return False
        self._left -= 1
        return True


def read_clues(sdist: Sdist) -> Clues:
    """Return what the files name, what is declared to a build tool before what is only included, the often named first."""
    declared: Counter[tuple[NeedKind, str]] = Counter()
    included: Counter[str] = Counter()
    packages: dict[str, None] = {}
    own = _own_headers(sdist.names)
    for path, text in sdist.texts.items():
        base = path.rsplit("/", 1)[-1].lower()
        if _CI.search(path):
            packages |= dict.fromkeys(installed_by(text))
            continue
        if base.endswith((*_C_SOURCES, ".py")):
            included.update({found for m in _INCLUDE.finditer(text) if (found := m["a"] or m["b"]) and _foreign(found, own)})
        declared.update(set(_declared(base, text)))
    if any(name.endswith(".i") for name in sdist.names):
        declared["program", "swig"] += 1
    needs = [Need(kind=kind, name=name) for (kind, name), _ in declared.most_common(_NEEDS - _HEADERS)]
    needs += [Need(kind="header", name=name) for name, _ in included.most_common(_HEADERS)]
    return Clues(needs=tuple(dict.fromkeys(needs)), packages=tuple(packages))


def installed_by(text: str) -> Iterator[str]:
    """Yield the packages that the install commands in a text name, by whichever package manager."""
    for call in INSTALLS.finditer(text):
        yield from (word for word in call["packages"].replace("\\\n", " ").split() if _PACKAGE_NAME.fullmatch(word))


def _declared(base: str, text: str) -> Iterator[tuple[NeedKind, str]]:
    if base.endswith(".py") or base in {"setup.cfg", "pyproject.toml"}:
        yield from _python(text)
    elif base == "cmakelists.txt" or base.endswith(".cmake"):
        yield from _groups(_CMAKE.finditer(text))
    elif base == "meson.build":
        yield from _groups(_MESON.finditer(text))
    elif base.startswith("configure."):
        yield from _groups(_AUTOCONF.finditer(text))


def _python(text: str) -> Iterator[tuple[NeedKind, str]]:
    for match in _LIBRARIES.finditer(text):
        yield from (("library", m["text"]) for m in _TEXT.finditer(match["list"]) if m["text"].lower() not in _NO_LIBRARY)
    for match in (*_FLAG.finditer(text), *_LOADED.finditer(text)):
        if match["name"].lower() not in _NO_LIBRARY:
            yield "library", match["name"]
    for match in _PKG_CONFIG.finditer(text):
        yield from (("pkg-config", name) for name in _modules(match["a"] or match["b"] or ""))
    yield from (("program", match["name"]) for match in _PROGRAM.finditer(text) if match["name"] not in {"pkg-config", "pkg_config"})


def _groups(matches: Iterable[re.Match[str]]) -> Iterator[tuple[NeedKind, str]]:
    kinds: dict[str, NeedKind] = {"pc": "pkg-config", "cmake": "cmake", "library": "library", "header": "header", "program": "program"}
    for match in matches:
        for group, text in match.groupdict().items():
            if text and group == "pc":
                yield from (("pkg-config", name) for name in _modules(text))
            elif text and text.lower() not in _NO_LIBRARY | _NO_MODULE:
                yield kinds[group], text


def _modules(text: str) -> Iterator[str]:
    """Yield module names of "glib-2.0 >= 2.40 gobject-2.0" and of CMake's list of them."""
    for word in re.sub(r"[<>=]+\s*[\d.]+", " ", text).split():
        if _WORD.match(word) and word.lower() not in _NO_MODULE:
            yield word


def _own_headers(names: Iterable[str]) -> frozenset[str]:
    """Every name under which a file of the sdist may be included: its base, and its last folders with it."""
    found: set[str] = set()
    for name in names:
        parts = name.split("/")
        found.update("/".join(parts[-depth:]) for depth in range(1, min(4, len(parts)) + 1))
    return frozenset(found)


def _foreign(header: str, own: frozenset[str]) -> bool:
    return header not in own and not header.startswith((*_OWN_HEADERS, "."))
