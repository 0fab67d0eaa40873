"""Writes wheels for tests, with a RECORD that holds unless a test breaks it."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def make_wheel(
    folder: Path, name: str, members: dict[str, bytes], *, tag: str = "py3-none-any", requires: tuple[str, ...] = (),
    replaced: dict[str, bytes] | None = None, dist_info: str | None = None,
) -> Path:  # fmt: skip
    """Write `NAME-1.0-TAG.whl`; `replaced` are members whose bytes differ from what RECORD says (None removes one)."""
    info = dist_info or f"{name}-1.0.dist-info"
    interpreters, abis, platforms = tag.split("-")
    tags = "".join(
        f"Tag: {i}-{a}-{p}\n" for i in interpreters.split(".") for a in abis.split(".") for p in platforms.split(".")
    )
    purelib = "true" if tag.endswith("any") else "false"
    needs = "".join(f"Requires-Dist: {item}\n" for item in requires)
    files = {
        **members,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: {purelib}\n{tags}".encode(),
    }
    rows = [f"{path},{_hash(data)},{len(data)}" for path, data in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
    wheel = folder / f"{name}-1.0-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in {**files, **(replaced or {})}.items():
            archive.writestr(path, data)
    return wheel


def _hash(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
