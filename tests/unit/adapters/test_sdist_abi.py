"""What sdists say of the stable ABI, as real projects say it."""

from __future__ import annotations

import tomllib

import pytest

from farm.adapters.sdist_abi import stable_abi
from farm.adapters.sdist_archive import Sdist

PYO3 = '[package]\nname = "demo"\n[dependencies]\npyo3 = { version = "0.22", features = ["abi3-py39", "extension-module"] }\n'
OFFERED = '[package]\nname = "demo"\n[features]\nabi3 = ["pyo3/abi3-py38"]\n[dependencies]\npyo3 = { version = "0.22" }\n'
TABLE = '[package]\nname = "demo"\n[dependencies.pyo3]\nversion = "0.26"\nfeatures = ["abi3t-py315"]\n\n[lib]\nname = "x"\n'


@pytest.mark.parametrize(
    ("texts", "abi"),
    [
        ({}, ""),
        ({"setup.py": "setup(options={'bdist_wheel': {'py_limited_api': 'cp38'}})"}, "cp38"),
        ({"setup.py": "Extension('x', ['x.c'], py_limited_api=True)"}, "cp3"),
        ({"setup.py": "# py_limited_api = 'cp38'\nsetup()"}, ""),
        ({"setup.cfg": "[bdist_wheel]\npy_limited_api = cp36\n"}, "cp36"),
        ({"pyproject.toml": '[tool.distutils.bdist_wheel]\npy-limited-api = "cp310"\n'}, "cp310"),
        ({"pyproject.toml": '[tool.scikit-build]\nwheel.py-api = "cp312"\n'}, "cp312"),
        ({"pyproject.toml": "[tool.meson-python]\nlimited-api = true\n"}, "cp3"),
        ({"pyproject.toml": '[tool.maturin]\nfeatures = ["pyo3/abi3-py311"]\n'}, "cp311"),
        ({"Cargo.toml": PYO3}, "cp39"),
        ({"rust/Cargo.toml": TABLE}, "cp315t"),
        # Offered is not chosen.
        ({"Cargo.toml": OFFERED}, ""),
    ],
)  # fmt: skip
def test_what_an_sdist_says(texts: dict[str, str], abi: str) -> None:
    sdist = Sdist(names=tuple(texts), texts=texts)
    assert stable_abi(sdist, tomllib.loads(texts.get("pyproject.toml", ""))) == abi
