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
_OWN_NAMES = frozenset(
    [
        "Cython",
        "certifi",
        "cffi",
        "cmake",
        "cppy",
        "docutils",
        "expandvars",
        "hatchling",
        "httplib2",
        "lxml",
        "maturin",
        "mypy",
        "nanobind",
        "ninja",
        "nose",
        "numpy",
        "packaging",
        "pbr",
        "pip",
        "pkgconfig",
        "ply",
        "psutil",
        "pybind11",
        "pycparser",
        "pyparsing",
        "pythran",
        "requests",
        "scipy",
        "setuptools",
        "simplejson",
        "six",
        "toml",
        "tomli",
        "versioneer",
        "wheel",
    ]
)
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
    (r"\.p(?:yx|xd)\b|[Cc]ython|noexcept|cython_sources|undeclared name not builtin|__pyx", "Cython<3"),
    (r"poetry", "poetry-core<2"),
    (r"CMake|CMP\d", "cmake<4"),
)
_BACKENDS = ("setuptools", "cython", "numpy", "packaging", "wheel", "setuptools-scm", "poetry-core")
# The first setuptools that works without what Python 3.12 removed.
_FLOORS = {"setuptools": ((3, 12), (66, 1))}


def project_of(module: str) -> str:
    """Return the project that owns a top-level module's name, empty when it is not one of those known for sure."""
    top = module.strip(" '\"").split(".", maxsplit=1)[0]
    return top if top in _OWN_NAMES else _PROJECTS.get(top, "")


def bounds_by_symptom(line: str) -> Iterator[str]:
    """Yield constraints that keep out the release that brought what the line complains of."""
    yield from (constraint for pattern, constraint in _SYMPTOMS if re.search(pattern, line))


def bounds_by_date(
    names: frozenset[str], python: tuple[int, int], dated: Callable[[str], Version | None]
) -> Iterator[str]:
    """Yield a constraint for each build requirement that had another major version when the sdist was made.

    `names` are those in the build environment, normalized; `dated` gives a project's newest release on that day.
    """
    for name in _BACKENDS:
        if name not in names:
            continue
        then = dated(name)
        if then is not None:
            yield bound(name, then, python)


def bound(name: str, then: Version, python: tuple[int, int]) -> str:
    """Return the constraint that takes a project's release of a day, or the nearest that works on this Python.

    Releases of one major line of numpy and Cython are compatible, and only newer ones have wheels for newer Pythons.
    """
    if name == "numpy":
        return f"numpy<{then.major + 1}"
    if name == "cython":
        return f"cython<{3 if then.major < 3 else then.major + 1}"
    since, floor = _FLOORS.get(name, ((99, 0), (0, 0)))
    if python >= since and then.release[:2] < floor:
        return f"{name}<{floor[0] + 1}"
    return f"{name}<={then}"
