"""In words: why none of a version's wheels fits a target."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from packaging.tags import Tag

    from farm.model.package import IndexFile
    from farm.model.target import Target

_LEVEL = re.compile(r"(manylinux|musllinux|macosx)_(\d+)_(\d+)_(.+)")
_ALIASES = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_INTERPRETER = re.compile(r"(cp|pp)(\d)(\d+)")




@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """The files of a version that do not count: too `young` for the cool-down, whose last upload time that counts is
    `newest`; `unnamed` by the requirement's hashes, or by the lock at `lock` (FILE:LINE); `yanked`.
    """

    young: tuple[IndexFile, ...] = ()
    newest: datetime | None = None
    unnamed: tuple[IndexFile, ...] = ()
    lock: str = ""
    yanked: tuple[IndexFile, ...] = ()

    @property
    def all(self) -> tuple[IndexFile, ...]:
        return (*self.young, *self.unnamed, *self.yanked)


def why_left_out(left_out: LeftOut, wheel: IndexFile | None) -> str:
    """Return why a wheel that fits does not count, and what would change that; empty where there is no such wheel."""
    if wheel is None:
        return ""
    if wheel in left_out.young:
        age = f"was uploaded at {wheel.upload_time:%Y-%m-%d %H:%M} UTC" if wheel.upload_time else "the index tells no upload time"
        return (
            f"{wheel.filename} fits, but {age}, and the cool-down takes nothing after"
            f" {left_out.newest:%Y-%m-%d %H:%M}; name the version with == to take it"
        )
    if wheel in left_out.yanked:
        why = f" ({wheel.yanked})" if isinstance(wheel.yanked, str) and wheel.yanked else ""
        return f"{wheel.filename} fits, but is yanked{why}; clients take what is not"
    if left_out.lock:
        return f"{wheel.filename} is upstream now and fits, but {left_out.lock} does not name it: {_lock_again(left_out.lock, wheel)}"
    return (
        f"{wheel.filename} is upstream and fits, but its hash is not among the requirement's: add --hash=sha256:{wheel.sha256},"
        " or compile the requirements again"
    )


def _lock_again(lock: str, wheel: IndexFile) -> str:
    file, parsed = lock.rpartition(":")[0], wheel.wheel
    # Of the other tools' ways to look for files again, none keeps all versions for sure.
    return f"`uv lock --refresh-package {parsed.name}` adds it" if file.endswith("uv.lock") and parsed else "make the lock again"


def why_no_wheel(wheels: Iterable[IndexFile], target: Target) -> str:
    """Return the reason, from the coarsest: no wheel at all, another Python, another system, another processor, a newer libc."""
    tags = [tag for file in wheels if (wheel := file.wheel) for tag in wheel.tags]
    if not tags:
        return "sdist only"
    own = {(tag.interpreter, tag.abi) for tag in target.ranks}
    same_python = [tag for tag in tags if (tag.interpreter, tag.abi) in own]
    here = [tag for tag in tags if tag.platform in {t.platform for t in target.ranks}]
    if same_python:
        return _platform_reason(same_python, target)
    if here:
        return f"wheels for {_interpreters(here)}, target {target.python_tag}"
    return f"{_platform_reason(tags, target)}; wheels for {_interpreters(tags)}, target {target.python_tag}"


def _platform_reason(tags: list[Tag], target: Target) -> str:
    libc = target.libc
    family = libc[0] if libc else re.split(r"[_\d]", target.platform, maxsplit=1)[0]
    names = {"win": "Windows", "macosx": "macOS"}
    kin = [tag.platform for tag in tags if tag.platform.startswith(family)]
    if not kin:
        return f"no {names.get(family, family)} wheel"
    suffix = target.arch
    machine = [platform for platform in kin if platform.endswith(suffix)]
    if not machine:
        return f"no {target.arch} wheel for {names.get(family, family)}"
    levels = [level for platform in machine if (level := _level(platform))]
    if levels and libc:
        low = min(levels)
        return f"wheels need {'glibc' if family == 'manylinux' else 'musl'} {low[0]}.{low[1]}, the target has {libc[1]}.{libc[2]}"
    return "no wheel whose tags fit; Requires-Python excludes the target" if machine else "no wheel whose tags fit"


def _level(platform: str) -> tuple[int, int] | None:
    match = _LEVEL.fullmatch(platform)
    if match:
        return int(match[2]), int(match[3])
    return _ALIASES.get(platform.split("_", 1)[0])


def _interpreters(tags: Iterable[Tag]) -> str:
    """Return "cp39–cp313, cp314t, pp310": runs of one kind joined, others named."""
    kinds: dict[str, set[int]] = {}
    others: set[str] = set()
    for tag in tags:
        match = _INTERPRETER.fullmatch(tag.interpreter)
        if match is None:
            others.add(tag.interpreter)
            continue
        threads = "t" if re.fullmatch(r"cp\d+t", tag.abi) else ""
        kinds.setdefault(f"{match[1]}{match[2]}{{}}{threads}", set()).add(int(match[3]))
    parts = [run for kind in sorted(kinds) for run in _runs(kind, sorted(kinds[kind]))]
    return ", ".join([*parts, *sorted(others)])


def _runs(kind: str, minors: list[int]) -> Iterable[str]:
    start = previous = minors[0]
    for minor in [*minors[1:], -1]:
        if minor == previous + 1:
            previous = minor
            continue
        first, last = kind.format(start), kind.format(previous)
        yield first if start == previous else f"{first}–{last}"
        start = previous = minor
