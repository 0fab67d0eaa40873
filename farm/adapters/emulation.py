"""Whether this machine runs another architecture's programs: its processor does, or the kernel hands them to QEMU.

The kernel's binfmt_misc names an interpreter for each kind of program (Documentation/admin-guide/binfmt-misc.rst of the
kernel). Containers need its flag F, by which the kernel keeps the interpreter open: its file is not in an image.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from farm.errors import ImageError

if TYPE_CHECKING:
    from pathlib import Path

# What a 64-bit kernel runs of its own.
_COMPATIBLE = {"x86_64": ("i686",), "aarch64": ("armv7l",)}
_SPELLINGS = {"amd64": "x86_64", "arm64": "aarch64"}
_QEMU = {"i686": "i386", "armv7l": "arm"}


def machine() -> str:
    """Return this machine's architecture as wheels name it: `x86_64`, `aarch64`."""
    name = platform.machine().lower()
    return _SPELLINGS.get(name, name)


def is_foreign(arch: str) -> bool:
    """Tell whether programs of an architecture need an emulator here."""
    here = machine()
    return arch != here and arch not in _COMPATIBLE.get(here, ())


def check(arch: str, binfmt: Path) -> None:
    """Do nothing where programs of an architecture run in containers here; else ImageError, saying what lacks.

    `binfmt` is where binfmt_misc is mounted.
    """
    if not is_foreign(arch):
        return
    entry = binfmt / f"qemu-{_QEMU.get(arch, arch)}"
    try:
        lines = entry.read_text(encoding="utf-8").splitlines()
    except OSError:
        what = f"no {entry}" if (binfmt / "register").exists() else f"nothing mounted at {binfmt}"
        raise _cannot(arch, what) from None
    flags = next((line.removeprefix("flags:").strip() for line in lines if line.startswith("flags:")), "")
    if lines[:1] != ["enabled"]:
        raise _cannot(arch, f"{entry} is {lines[0] if lines else 'empty'}")
    if "F" not in flags:
        raise _cannot(arch, f"{entry} without the flag F, so that containers do not find the interpreter")


def _cannot(arch: str, found: str) -> ImageError:
    return ImageError(
        f"expected that this {machine()} machine runs {arch} programs through QEMU, found {found}",
        solution="run `images/setup-engine --emulation` (Debian: qemu-user-static and binfmt-support), or build on such a machine:"
        " DOCKER_HOST names its engine",
    )
