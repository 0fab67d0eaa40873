"""Whether building an sdist needs a compiler: a judgement from its files, its backend and its setup.py's text.

Wrong answers cost little: a "pure" project that makes a platform wheel is caught by the proof, the other way round builds
once for each target instead of once for all.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from farm.adapters.sdist_archive import Sdist

_SOURCES = (".c", ".cc", ".cpp", ".cxx", ".c++", ".f", ".for", ".f77", ".f90", ".f95", ".f03", ".pyx", ".rs", ".cu", ".m",
            ".mm", ".s", ".asm", ".i", ".pyf", ".go", ".zig", ".pxx", ".sip")  # fmt: skip
_ASIDE = frozenset({"test", "tests", "testing", "testsuite", "doc", "docs", "example", "examples", "samples", "demos",
                    "benchmark", "benchmarks", "fuzz"})  # fmt: skip
# Matched against setup.py without comments and string literals, so that a classifier or a URL does not count.
_DECLARES = re.compile(
    r"\b(ext_modules|Extension|CMakeExtension|Pybind11Extension|cythonize|cffi_modules|rust_extensions|RustExtension"
    r"|build_ext|build_clib|add_extension|numpy\.distutils|CUDAExtension|CppExtension|NinjaExtension)\b"
)
_RUST = re.compile(r"\b(rust_extensions|RustExtension)\b")
_NO_CODE = re.compile(r"'''.*?'''|\"\"\".*?\"\"\"|#[^\n]*", re.DOTALL)
_COMPILED_BACKENDS = frozenset({"maturin", "scikit_build_core", "py_build_cmake", "sipbuild", "pyqtbuild", "cmeel", "enscons",
                                "pyodide_build", "zigpy", "ziglang"})  # fmt: skip
_SETUPTOOLS_FAMILY = frozenset({"setuptools", "skbuild", "distutils", "setuptools_rust", "pbr", "cython_setuptools"})
_PURE_BACKENDS = frozenset({"flit_core", "flit_scm", "flit", "jupyter_packaging", "uv_build", "whey", "trampolim"})
_MESON_LANGUAGES = re.compile(
    r"(?:project|add_languages)\s*\((?:[^()]|\([^()]*\))*?['\"](?:c|cpp|fortran|cython|rust|cuda|objc)['\"]"
)
_COMPILING_REQUIRES = frozenset({"cython", "cffi", "pybind11", "nanobind", "setuptools-rust", "scikit-build", "cmake", "swig",
                                 "numpy", "ziglang", "cppy", "mypy"})  # fmt: skip


def needs_compiler(sdist: Sdist, pyproject: dict[str, Any], backend: str, requires: tuple[str, ...]) -> bool:
    """Tell whether the default build compiles something."""
    family = backend.partition(".")[0].partition(":")[0]
    if family in _COMPILED_BACKENDS:
        return _compiled_backend(pyproject, family)
    sources = any(map(_is_source, sdist.names))
    if family == "mesonpy":
        return bool(_MESON_LANGUAGES.search(sdist.text("meson.build"))) or sources
    if family in _PURE_BACKENDS:
        return False
    declared = _setup_declares(sdist, pyproject, requires, sources=sources)
    if family in _SETUPTOOLS_FAMILY:
        return declared
    # Backends with build hooks (hatchling, poetry, pdm) and in-tree ones compile only what some hook asks for.
    return sources and (declared or _hooked(pyproject) or _in_tree(pyproject))


def needs_rust(sdist: Sdist, backend: str, requires: tuple[str, ...]) -> bool:
    """Tell whether a native build calls cargo."""
    if backend.startswith("maturin") or "setuptools-rust" in _names(requires):
        return True
    if not any(name.endswith("Cargo.toml") and not _aside(name) for name in sdist.names):
        return False
    declared = bool(_RUST.search(_code(sdist.text("setup.py")))) or "'rust'" in sdist.text("meson.build")
    return declared or "maturin" in _names(requires)


def _compiled_backend(pyproject: dict[str, Any], family: str) -> bool:
    tool = pyproject.get("tool")
    settings = tool.get("scikit-build") if family == "scikit_build_core" and isinstance(tool, dict) else None
    wheel = settings.get("wheel") if isinstance(settings, dict) else None
    return not (isinstance(wheel, dict) and wheel.get("cmake") is False)


def _setup_declares(sdist: Sdist, pyproject: dict[str, Any], requires: tuple[str, ...], *, sources: bool) -> bool:
    """Tell whether setuptools would build an extension: declared in setup.py (or a module beside it) or in pyproject.toml."""
    tables = (_nested(pyproject, "tool", "setuptools", "ext-modules"), _nested(pyproject, "tool", "setuptools-rust"))
    if any(tables):
        return True
    code = _code(sdist.text("setup.py"))
    if "cffi_modules" in code or _RUST.search(code):
        return True
    if not sources:
        return False
    # setup.py may import what declares the extensions (`import setupinfo`); its build requirements then give it away.
    return bool(_DECLARES.search(code)) or bool(_COMPILING_REQUIRES & _names(requires) and code)


def _nested(table: dict[str, Any], *keys: str) -> object:
    value: object = table
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _hooked(pyproject: dict[str, Any]) -> bool:
    return any(
        _nested(pyproject, "tool", *path)
        for path in (
            ("hatch", "build", "hooks"),
            ("hatch", "build", "targets", "wheel", "hooks"),
            ("poetry", "build"),
            ("pdm", "build", "run-setuptools"),
        )
    )


def _in_tree(pyproject: dict[str, Any]) -> bool:
    return bool(_nested(pyproject, "build-system", "backend-path"))


def _names(requires: Iterable[str]) -> frozenset[str]:
    found = set()
    for text in requires:
        try:
            found.add(str(canonicalize_name(Requirement(text).name)))
        except InvalidRequirement:
            continue
    return frozenset(found)


def _code(text: str) -> str:
    return _NO_CODE.sub("", text)


def _is_source(name: str) -> bool:
    return name.lower().endswith(_SOURCES) and not _aside(name)


def _aside(name: str) -> bool:
    return any(part.lower() in _ASIDE for part in name.split("/")[:-1])
