"""What an interpreter tells of itself: its tags and markers, and the target that it is (a "complete platform", as pex has it)."""

from __future__ import annotations

import platform
import re
import struct
import sys
import sysconfig
from collections.abc import Mapping  # noqa: TC003 - msgspec reads the annotations
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal

from packaging.markers import default_environment
from packaging.tags import sys_tags

from farm.errors import UsageError
from farm.model.target import Target, parse_target

_LIBC_TAG = re.compile(r"(many|musl)linux_(\d+)_(\d+)_.+")
_MAC_TAG = re.compile(r"macosx_\d+_\d+_(?:x86_64|arm64)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """One interpreter. `tags` are its pip's, best first, as text (`cp312-cp312-linux_x86_64`); empty where it has no pip.

    `platform` is sysconfig's (`linux-x86_64`); `libc` is ("glibc" | "musl", major, minor), None outside Linux; `bits` are 32
    or 64; `pip` is the version of its pip, empty without one.
    """

    path: str
    implementation: str
    version: str
    free_threaded: bool
    platform: str
    bits: int
    libc: tuple[Literal["glibc", "musl"], int, int] | None
    markers: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    pip: str = ""


def target_of(interpreter: Interpreter) -> Target:
    """Return the target that an interpreter is. UsageError when no target is like it (another implementation, system, libc)."""
    short = {"cpython": "cp", "pypy": "pp"}.get(interpreter.implementation)
    number = re.match(r"(3)\.(\d+)\.\d+", interpreter.version)
    where = _platform(interpreter)
    if short is None or number is None or where is None:
        raise UsageError(
            f"{interpreter.path}: expected CPython or PyPy 3 on Linux (glibc or musl), macOS or Windows, found"
            f" {interpreter.implementation} {interpreter.version} on {interpreter.platform}",
            solution="name the nearest target by hand, such as cp312-manylinux_2_28_x86_64",
        )
    thread = "t" if interpreter.free_threaded else ""
    target = parse_target(f"{short}{number[1]}{number[2]}{thread}-{where}@{number[0]}")
    # CPython's is its full version.
    own = interpreter.markers.get("implementation_version") if short == "pp" else None
    return replace(target, implementation_version=own)


def _platform(interpreter: Interpreter) -> str | None:
    system = re.sub(r"[-.]", "_", interpreter.platform)
    if system.startswith("linux_"):
        libc = interpreter.libc or _told_libc(interpreter)
        if libc is None:
            return None
        # A 32-bit interpreter on a 64-bit kernel, as packaging reads it.
        narrow = {"linux_x86_64": "linux_i686", "linux_aarch64": "linux_armv8l"} if interpreter.bits == 32 else {}
        arch = narrow.get(system, system).removeprefix("linux_")
        return f"{'many' if libc[0] == 'glibc' else 'musl'}linux_{libc[1]}_{libc[2]}_{arch}"
    if system.startswith("macosx_"):
        return next((where for tag in interpreter.tags if _MAC_TAG.fullmatch(where := tag.rsplit("-", 1)[1])), None)
    return system


def _told_libc(interpreter: Interpreter) -> tuple[Literal["glibc", "musl"], int, int] | None:
    found = (match for tag in interpreter.tags if (match := _LIBC_TAG.fullmatch(tag.rsplit("-", 1)[1])))
    best = next(found, None)
    return ("glibc" if best[1] == "many" else "musl", int(best[2]), int(best[3])) if best else None


@cache
def running() -> Interpreter:
    """Return the interpreter that runs this, told by the `packaging` that it runs with."""
    return Interpreter(
        path=sys.executable,
        implementation=sys.implementation.name,
        version=platform.python_version().rstrip("+"),
        free_threaded=bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        platform=sysconfig.get_platform(),
        bits=struct.calcsize("P") * 8,
        libc=None,
        markers={key: str(value) for key, value in default_environment().items()},
        tags=tuple(str(tag) for tag in sys_tags()),
    )


def running_target() -> Target:
    """Return the target that this very machine and interpreter are. UsageError when none is like it."""
    return target_of(running())


def differences(interpreter: Interpreter, tags: tuple[str, ...]) -> tuple[str, ...]:
    """Return where the interpreter's own account and the farm's differ: `tags` and markers that the farm has for its target.

    platform_release and platform_version are not compared: they are those of one kernel.
    """
    target = target_of(interpreter)
    own = {key: value for key, value in interpreter.markers.items() if key not in {"platform_release", "platform_version"}}
    found = [
        f"{key}: it says {value!r}, the farm {target.markers[key]!r}"
        for key, value in own.items()
        if key in target.markers and target.markers[key] != value
    ]
    told = tuple(dict.fromkeys(interpreter.tags))
    if told and told != tags:
        lost, more = [t for t in told if t not in set(tags)], [t for t in tags if t not in set(told)]
        amount = f"{len(lost)} that the farm lacks, {len(more)} that it lacks" if lost or more else "the same in another order"
        found.append(f"tags: {amount}")
    return tuple(found)
