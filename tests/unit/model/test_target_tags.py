"""The ordered tags of machines that are not here, against packaging's own `sys_tags` told that it runs on such a machine.

What is replaced are packaging's questions to the system (interpreter, libc, macOS release), none of its answers.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from packaging import _manylinux, _musllinux, tags

from farm.model.target import Target, parse_target

if TYPE_CHECKING:
    from collections.abc import Mapping

MACHINES = (
    "cp38-manylinux_2_5_x86_64", "cp39-manylinux_2_12_i686", "cp311-manylinux_2_17_x86_64", "cp312-manylinux_2_28_x86_64",
    "cp313-manylinux_2_41_aarch64", "cp312-manylinux_2_31_armv7l", "cp312-manylinux_2_36_armv8l", "cp312-manylinux_2_39_riscv64",
    "cp312-manylinux_2_28_ppc64le", "cp312-manylinux_2_28_s390x", "cp314t-manylinux_2_28_x86_64", "cp315t-manylinux_2_39_x86_64",
    "cp315-manylinux_2_39_x86_64", "cp313-musllinux_1_2_x86_64", "cp314t-musllinux_1_2_aarch64", "cp39-musllinux_1_1_i686",
    "pp310-manylinux_2_17_x86_64", "pp311-manylinux_2_28_aarch64", "cp312-macosx_10_13_x86_64", "cp313-macosx_14_0_arm64",
    "cp313-macosx_15_0_x86_64", "cp314t-macosx_14_0_arm64", "pp311-macosx_14_0_arm64", "cp312-win_amd64", "cp313-win_arm64",
    "cp311-win32", "cp314t-win_amd64", "pp311-win_amd64",
)  # fmt: skip
SYSTEMS = {"manylinux": "Linux", "musllinux": "Linux", "macosx": "Darwin", "win": "Windows"}


def _config(target: Target) -> Mapping[str, Any]:
    nodot = f"{target.python[0]}{target.python[1]}"
    suffix = f".pypy{nodot}-pp73-some-where.so" if target.implementation == "pp" else f".cpython-{nodot}-some-where.so"
    return {"Py_GIL_DISABLED": int(target.free_threaded), "Py_DEBUG": 0, "EXT_SUFFIX": suffix, "py_version_nodot": nodot}


def packagings(target: Target, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what packaging says on such a machine."""
    implementation = "cpython" if target.implementation == "cp" else "pypy"
    told = SimpleNamespace(
        version_info=(*target.python, 0), implementation=SimpleNamespace(name=implementation), maxunicode=sys.maxunicode, executable=""
    )
    system = next(name for prefix, name in SYSTEMS.items() if target.platform.startswith(prefix))
    libc = target.libc
    where = f"linux-{target.arch}" if libc else target.platform.replace("win_", "win-")
    release = ".".join(target.platform.split("_")[1:3])
    with monkeypatch.context() as patch:
        patch.setattr(tags, "sys", told)
        patch.setattr(tags, "sysconfig", SimpleNamespace(get_platform=lambda: where, get_config_var=_config(target).get))
        patch.setattr(tags, "platform", SimpleNamespace(system=lambda: system, mac_ver=lambda: (release, ("", "", ""), target.arch)))
        patch.setattr(_manylinux, "_get_glibc_version", lambda: libc[1:] if libc and libc[0] == "manylinux" else (-1, -1))
        # 32-bit ones are told from the ELF header of the interpreter.
        patch.setattr(_manylinux, "_have_compatible_abi", lambda executable, machines: True)
        musl = SimpleNamespace(major=libc[1], minor=libc[2]) if libc and libc[0] == "musllinux" else None
        patch.setattr(_musllinux, "_get_musl_version", lambda executable: musl)
        return list(dict.fromkeys(map(str, tags.sys_tags())))


@pytest.mark.parametrize("name", MACHINES)
def test_the_ordered_tags_are_packagings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = parse_target(name)
    expected = packagings(target, monkeypatch)
    if target.implementation == "pp":
        # pip's own list names the minor version there.
        expected[expected.index("pp3-none-any")] = f"{target.python_tag}-none-any"
    assert [str(tag) for tag in target.ranks] == expected
    assert len(expected) > 20
