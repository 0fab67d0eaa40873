"""Whether an sdist says that its wheel is for the stable ABI, and since which Python (PEP 384, PEP 803): read, never run.

Wrong answers cost little: a wheel that is not what was expected only makes the next Python's build wait for it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from farm.adapters.toml_text import sub_table

if TYPE_CHECKING:
    from farm.adapters.sdist_archive import Sdist

_TAG = re.compile(r"cp3\d{0,2}t?")
# bdist_wheel's option (setup.py, setup.cfg): py_limited_api = "cp39", or True on an Extension.
_LIMITED = re.compile(r"py[_-]limited[_-]api['\"]?\s*[:=]\s*['\"]?(?P<tag>cp3\d{0,2}t?|True\b|true\b)")
# PyO3's features: "abi3-py39", "abi3", and "abi3t-py315" since PEP 803.
_PYO3 = re.compile(r"['\"](?:pyo3/)?abi3(?P<t>t?)(?:-py3(?P<minor>\d+))?['\"]")
_COMMENT = re.compile(r"#[^\n]*")


def stable_abi(sdist: Sdist, pyproject: dict[str, Any]) -> str:
    """Return the oldest Python that the wheel serves, as `cp39`; `cp3` where that is not said; `cp315t` for abi3t; else empty."""
    tool = sub_table(pyproject, "tool")
    # setuptools' [tool.distutils.bdist_wheel] and scikit-build-core's [tool.scikit-build.wheel].
    said = sub_table(sub_table(tool, "distutils"), "bdist_wheel").get("py-limited-api")
    said = said or sub_table(sub_table(tool, "distutils"), "bdist_wheel").get("py_limited_api")
    said = said or sub_table(sub_table(tool, "scikit-build"), "wheel").get("py-api")
    if isinstance(said, str) and _TAG.fullmatch(said):
        return said
    if sub_table(tool, "meson-python").get("limited-api") is True:
        return "cp3"
    return _limited(sdist) or _pyo3(sdist, sub_table(tool, "maturin"))


def _limited(sdist: Sdist) -> str:
    found = [m["tag"] for name in ("setup.py", "setup.cfg") for m in _LIMITED.finditer(_COMMENT.sub("", sdist.text(name)))]
    tags = [tag for tag in found if tag.startswith("cp3")]
    return tags[0] if tags else "cp3" if found else ""


def _pyo3(sdist: Sdist, maturin: dict[str, Any]) -> str:
    features = " ".join(f'"{feature}"' for feature in maturin.get("features", ()) if isinstance(feature, str))
    # A crate's [features] may merely offer it; what its dependency on pyo3 or maturin's own table names is built.
    for text in (features, *_dependencies(sdist)):
        found = _PYO3.search(text)
        if found:
            return f"cp3{found['minor'] or ''}{found['t']}"
    return ""


def _dependencies(sdist: Sdist) -> list[str]:
    """Return what each Cargo.toml says of its dependency on pyo3."""
    lines = [
        line for name, text in sdist.texts.items() if name.endswith("Cargo.toml")
        for line in re.findall(r"^\s*pyo3\s*=\s*\{[^}]*\}", text, re.MULTILINE)
    ]  # fmt: skip
    tables = [
        table for name, text in sdist.texts.items() if name.endswith("Cargo.toml")
        for table in re.findall(r"^\[(?:workspace\.)?dependencies\.pyo3\][^\[]*(?:\[[^\]\n]*\][^\[]*)?", text, re.MULTILINE)
    ]  # fmt: skip
    return [*lines, *tables]
