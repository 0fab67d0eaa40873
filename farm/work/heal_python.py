"""Mending the Python side of a build: which build requirement to add, which version of one to keep out. Pure.

The bounds are facts of the projects' own histories: the release that dropped what older sdists use.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from farm.model.package import Version

# Only projects that are known to own a module's name: a guess by the module's name would run a stranger's code.
_OWN_NAMES = frozenset([
    "certifi", "cffi", "cmake", "cppy", "Cython", "docutils", "expandvars", "fonttools", "hatchling", "httplib2", "lxml",
    "maturin", "mypy", "nanobind", "ninja", "nose", "numpy", "packaging", "pbr", "pip", "pkgconfig", "ply", "psutil",
    "pybind11", "pycparser", "pyparsing", "pythran", "requests", "scipy", "setuptools", "simplejson", "six", "toml", "tomli",
    "tornado", "versioneer", "wheel",
])  # fmt: skip
_PROJECTS = {
    "cython": "Cython",
    "pkg_resources": "setuptools",
    "distutils": "setuptools",
    "skbuild": "scikit-build",
    "scikit_build_core": "scikit-build-core",
    "setuptools_scm": "setuptools-scm",
    "setuptools_rust": "setuptools-rust",
    "setuptools_dso": "setuptools-dso",
    "yaml": "PyYAML",
    "jinja2": "Jinja2",
    "mako": "Mako",
    "babel": "Babel",
    "mypyc": "mypy",
    "sipbuild": "sip",
    "sipconfig": "sip",
    "mesonpy": "meson-python",
    "poetry": "poetry-core",
    "flit_core": "flit-core",
    "semantic_version": "semantic-version",
    "extension_helpers": "extension-helpers",
    "pytest_runner": "pytest-runner",
    "sphinx": "Sphinx",
    "attr": "attrs",
    "typing_extensions": "typing-extensions",
    "Crypto": "pycryptodome",
    "markdown": "Markdown",
    "oldest_supported_numpy": "oldest-supported-numpy",
    "astropy_helpers": "astropy-helpers",
    "Cython": "Cython",
    "google": "protobuf",
    "fontTools": "fonttools",
    "jsonschema": "jsonschema",
    # The standard library's modules that 3.12 and 3.13 dropped, published by people of CPython's own for code that still wants them.
    "imp": "zombie-imp",
    "asyncore": "pyasyncore",
    "asynchat": "pyasynchat",
    "pipes": "standard-pipes",
    "cgi": "legacy-cgi",
    "imghdr": "standard-imghdr",
}
# What a symptom says about the version that brought it.
_SYMPTOMS = (
    (r"use_2to3", "setuptools<58"),
    (r"pkg_resources", "setuptools<81"),
    (r"cannot import name 'Feature'|\bFeature\b.*setuptools", "setuptools<46"),
    (r"dash-separated|install_layout", "setuptools<78"),
    (r"tests_require|test_suite|setuptools\.command\.test|invalid command 'test'", "setuptools<72"),
    (r"numpy\.distutils|msvccompiler|dry_run", "setuptools<65"),
    (r"setuptools\.extern|_distutils|convert_2to3", "setuptools<60"),
    (r"canonicalize_version|LegacyVersion", "packaging<22"),
    (r"soft_unicode", "markupsafe<2.1"),
    (r"contextfilter", "jinja2<3.1"),
    (r"bdist_wheel|wheel\.", "wheel<0.46"),
    (r"PyArray|NPY_|npy_|numpy|\bnp\.", "numpy<2"),
    (r"\.p(?:yx|xd)\b|[Cc]ython|noexcept|cython_sources|undeclared name not builtin|__pyx", "cython<3"),
    (r"poetry", "poetry-core<2"),
    (r"CMake|CMP\d", "cmake<4"),
)
_BACKENDS = ("setuptools", "cython", "numpy", "packaging", "wheel", "setuptools-scm", "poetry-core")
# The first setuptools that runs on a Python: HTMLParser.unescape went in 3.9, distutils and pkgutil.ImpImporter in 3.12.
_SETUPTOOLS = (((3, 12), (66, 1)), ((3, 9), (41, 0)), ((0, 0), (40, 8)))
# The first Cython whose C fits a Python, and what that line must stay below to take older sources: 3.1 dropped Python 2's names.
_CYTHON = (((3, 14), "cython"), ((3, 13), "cython<3.1"), ((0, 0), "cython<3"))
_CYTHON_FLOORS = (((3, 14), ("3.1", "")), ((3, 13), ("3.0.11", ",<3.1")))
_UPPER = re.compile(r"^setuptools<(?P<major>\d+)$")
# C functions and macros that only got another name ("What's New", "Porting to", of 3.9 to 3.13). Where a wchar_t has four bytes, as
# on Linux, the size of a text in it is its length.
_RENAMED = {
    "PyCFunction_Call": "PyObject_Call",
    "PyEval_CallFunction": "PyObject_CallFunction",
    "PyEval_CallMethod": "PyObject_CallMethod",
    "PyEval_CallObject": "PyObject_CallObject",
    "PyUnicode_GET_SIZE": "PyUnicode_GET_LENGTH",
    "PyUnicode_GetSize": "PyUnicode_GetLength",
    "_PyGC_FINALIZED": "PyObject_GC_IsFinalized",
    "_PyInterpreterState_Get": "PyInterpreterState_Get",
    "_PyThreadState_UncheckedGet": "PyThreadState_GetUnchecked",
    "_PyUnicode_AsString": "PyUnicode_AsUTF8",
    "_Py_IsFinalizing": "Py_IsFinalizing",
}
_OLD_NAMES = (
    "SafeConfigParser", "readfp", "getargspec", "ImpImporter", "ImpLoader", "encodestring", "decodestring", "gcd", "unescape",
    "locale.format", "clock", "Str", "Num", "Bytes", "NameConstant", "Callable", "Mapping", "MutableMapping", "Iterable", "Iterator",
    "Sequence", "MutableSequence", "Set", "MutableSet", "Hashable", "Sized", "Container",
)  # fmt: skip
# What the macros did that are gone: they asked for no deallocator, and so met the condition always.
_TRASHCAN = ("Py_TRASHCAN_SAFE_BEGIN(op)=Py_TRASHCAN_BEGIN(op,Py_TYPE(op)->tp_dealloc)", "Py_TRASHCAN_SAFE_END(op)=Py_TRASHCAN_END")


def project_of(module: str) -> str:
    """Return the project that owns a top-level module's name, empty when it is not one of those known for sure."""
    top = module.strip(" '\"").split(".", maxsplit=1)[0]
    return top if top in _OWN_NAMES else _PROJECTS.get(top, "")


def given_back(line: str) -> bool:
    """Whether farm/adapters/scripts/old_names.py has what a line complains of."""
    return re.search(rf"\b(?:{'|'.join(_OLD_NAMES)})\b", line) is not None


def renamed(symbol: str) -> tuple[str, ...]:
    """Return "OLD=NEW" for a name of CPython's C API that was changed and nothing else; none for all others."""
    if symbol.startswith("Py_TRASHCAN_SAFE_"):
        return _TRASHCAN
    return (f"{symbol}={_RENAMED[symbol]}",) if symbol in _RENAMED else ()


def bounds_by_symptom(line: str, python: tuple[int, int]) -> Iterator[str]:
    """Yield constraints that keep out the release that brought what the line complains of, as far as older ones run on a Python."""
    for pattern, constraint in _SYMPTOMS:
        if not re.search(pattern, line):
            continue
        upper = _UPPER.match(constraint)
        if upper and (int(upper["major"]), 0) <= _floor(python):
            continue
        text = cython(python) if constraint == "cython<3" else constraint
        if text != "cython":
            yield text


def bounds_by_date(
    names: frozenset[str], python: tuple[int, int], dated: Callable[[str], Version | None]
) -> Iterator[str]:
    """Yield a constraint for each build requirement that had another version when the sdist was made.

    `names` are those in the build environment that are bounded beside the usual ones, which a backend may ask for later, normalized;
    `dated` gives a project's newest release on that day.
    """
    for name in (*_BACKENDS, *sorted(names - set(_BACKENDS))):
        then = dated(name)
        text = bound(name, then, python) if then is not None else ""
        if text:
            yield text


def bound(name: str, then: Version, python: tuple[int, int]) -> str:
    """Return the constraint that takes a project's release of a day, or the nearest that works on this Python; empty for none.

    Releases of one major line of numpy and Cython are compatible, and only newer ones have wheels for newer Pythons.
    """
    if name == "numpy":
        # Python 3.13 is the first without wheels of numpy 1.
        return f"numpy<{then.major + 1}" if python < (3, 13) or then.major > 1 else ""
    if name == "cython":
        old = cython(python) if then.major < 3 else f"cython<{then.major + 1}"
        return "" if old == "cython" else old
    if name == "setuptools" and then.release[:2] < _floor(python):
        return f"setuptools<{_floor(python)[0] + 1}"
    return f"{name}<={then}"


def cython_for(python: tuple[int, int]) -> tuple[str, str] | None:
    """Return the first Cython whose C fits a Python, and a bound that keeps it to the line which takes older sources; None for any."""
    return next((floor for since, floor in _CYTHON_FLOORS if python >= since), None)


def _floor(python: tuple[int, int]) -> tuple[int, int]:
    return next(floor for since, floor in _SETUPTOOLS if python >= since)


def cython(python: tuple[int, int]) -> str:
    """Return the requirement for the Cython that takes the oldest sources and writes C for a Python."""
    return next(text for since, text in _CYTHON if python >= since)
