"""The wheel that gives a build's Python the names that the standard library dropped.

A wheel, since `build` empties PYTHONPATH for its isolated environment; a .pth file, since it has to come before setup.py (the `site`
module runs lines of it that begin with `import`).
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

REQUIREMENT = "farm-dropped-names==1"
_DIST = "farm_dropped_names-1"
_MOMENT = (1980, 1, 1, 0, 0, 0)


def write_wheel(folder: Path) -> None:
    """Write the wheel into a folder (the binary distribution format)."""
    members = {
        "farm_dropped_names.py": files("farm.adapters.scripts").joinpath("old_names.py").read_text(encoding="utf-8"),
        "farm_dropped_names.pth": "import farm_dropped_names\n",
        f"{_DIST}.dist-info/METADATA": "Metadata-Version: 2.1\nName: farm-dropped-names\nVersion: 1\n",
        f"{_DIST}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: farm\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{_DIST}.dist-info/RECORD"
    lines = "".join(f"{name},{_hash(text)},{len(text.encode())}\n" for name, text in members.items())
    with zipfile.ZipFile(folder / f"{_DIST}-py3-none-any.whl", "w") as archive:
        for name, text in {**members, record: f"{lines}{record},,\n"}.items():
            archive.writestr(zipfile.ZipInfo(name, _MOMENT), text)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
