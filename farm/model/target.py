"""Target: one kind of client, by the last two thirds of a wheel's name: `cp312-manylinux_2_28_x86_64`.

It fixes the ordered wheel tags (what that client's pip would take, best first) and the marker environment (PEP 508).
The libc level in the name is the accept level: the libc of the machines that install.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Literal

from packaging.tags import Tag, compatible_tags, cpython_tags, generic_tags, mac_platforms

from farm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_NAME = re.compile(
    r"(?P<impl>cp|pp)(?P<major>3)(?P<minor>\d{1,2})(?P<t>t?)-(?P<platform>[a-z0-9_]+?)(?:@(?P<patch>3\.\d+\.\d+))?"
)
_LINUX = re.compile(r"(?P<kind>manylinux|musllinux)_(?P<major>\d+)_(?P<minor>\d+)_(?P<arch>[a-z0-9_]+)")
_MACOS = re.compile(r"macosx_(?P<major>1\d|[2-9]\d)_(?P<minor>\d+)_(?P<arch>x86_64|arm64)")
# cibuildwheel's identifiers leave the level out; it is that of the image it builds in by default, and uv's for macOS.
_BARE = re.compile(r"(?P<kind>manylinux|musllinux|macosx)_(?P<arch>[a-z][a-z0-9_]*)")
_BARE_LEVELS = {"manylinux": "2_28", "musllinux": "1_2", "macosx": "13_0"}
_BARE_EXCEPTIONS = {("manylinux", "armv7l"): "2_31", ("manylinux", "riscv64"): "2_39"}
_ALIASES = {"manylinux1": "manylinux_2_5", "manylinux2010": "manylinux_2_12", "manylinux2014": "manylinux_2_17"}
_LINUX_ARCHES = ("x86_64", "aarch64", "i686", "armv7l", "armv8l", "ppc64le", "s390x", "riscv64", "loongarch64")
_WINDOWS = {"win_amd64": "AMD64", "win_arm64": "ARM64", "win32": "x86"}
# The oldest patch release that a supported distribution still ships; markers and Requires-Python may read it.
_ASSUMED_PATCH = {(3, 8): 10, (3, 9): 2, (3, 10): 6, (3, 11): 2, (3, 12): 3, (3, 13): 5}
# The last release of PyPy for each Python, which `implementation_version` reads.
_PYPY = {(3, 9): "7.3.16", (3, 10): "7.3.19"}
_LATEST_PYPY = "7.3.20"
_ABI_SINCE_MANYLINUX = {"x86_64": 5, "i686": 5}
_NATIVE = ("native", "host")

Libc = Literal["manylinux", "musllinux"]


@dataclass(frozen=True, kw_only=True, order=True)
class Target:
    """One kind of client.

    `platform` is a platform tag (`manylinux_2_28_x86_64`, `macosx_14_0_arm64`, `win_amd64`); `full_version` is the
    interpreter's, three numbers; `assumed` when nobody said which patch release it is. `implementation_version` is PyPy's
    own, where an interpreter has told it; None: the last that there was for that Python.
    """

    implementation: Literal["cp", "pp"]
    python: tuple[int, int]
    free_threaded: bool
    platform: str
    full_version: str
    assumed: bool = field(default=False, compare=False)
    implementation_version: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return self.name

    @property
    def python_tag(self) -> str:
        """`cp311`, `cp314t`, `pp311`."""
        return f"{self.implementation}{self.python[0]}{self.python[1]}{'t' if self.free_threaded else ''}"

    @property
    def name(self) -> str:
        return f"{self.python_tag}-{self.platform}"

    @property
    def full_name(self) -> str:
        """The name with the patch release: `cp312-win_amd64@3.12.4`."""
        return f"{self.name}@{self.full_version}"

    @property
    def libc(self) -> tuple[Libc, int, int] | None:
        """The libc family and the level where it is deployed; None outside Linux."""
        match = _LINUX.fullmatch(self.platform)
        if match is None:
            return None
        kind: Libc = "manylinux" if match["kind"] == "manylinux" else "musllinux"
        return kind, int(match["major"]), int(match["minor"])

    @property
    def arch(self) -> str:
        """`x86_64`, `aarch64`, `arm64` (macOS), `amd64` (Windows): the last part of the platform tag."""
        linux = _LINUX.fullmatch(self.platform) or _MACOS.fullmatch(self.platform)
        return linux["arch"] if linux else self.platform.removeprefix("win_")

    @property
    def machines(self) -> tuple[str, ...]:
        """The processors whose wheels run here, best first: armv8l in 32 bits also runs armv7l's (as in packaging)."""
        return ("armv8l", "armv7l") if self.arch == "armv8l" else (self.arch,)

    @cached_property
    def ranks(self) -> Mapping[Tag, int]:
        """Each tag that this client takes, with its rank; 0 is the best (the order of pip 26.3)."""
        return rank_tags(tags_for(self))

    @cached_property
    def markers(self) -> Mapping[str, str]:
        """All eleven marker values (dependency specifiers); platform_release and _version stay empty, as in uv."""
        return _markers(self)

    def rank(self, tags: frozenset[Tag]) -> int | None:
        """Return the best rank among a wheel's tags, or None when this client takes none of them."""
        found = [rank for tag in tags if (rank := self.ranks.get(tag)) is not None]
        return min(found) if found else None


def parse_target(text: str) -> Target:
    """Return the target of a name such as `cp312-manylinux_2_28_x86_64` or `cp311-win_amd64@3.11.9`.

    `manylinux2014_x86_64` and its like are read as the level they stand for (PEP 600), cibuildwheel's
    `cp312-manylinux_x86_64` as the level that it builds for. `native` and `host` are the running interpreter. UsageError
    otherwise, with the nearest names.
    """
    if text.strip() in _NATIVE:
        from farm.model.interpreter import running_target  # noqa: PLC0415 - it reads targets itself

        return running_target()
    match = _NAME.fullmatch(text.strip())
    platform = _platform(match["platform"]) if match else None
    if match is None or platform is None:
        raise _unknown(text)
    python = (int(match["major"]), int(match["minor"]))
    if match["t"] and (match["impl"] != "cp" or python < (3, 13)):
        raise _unknown(text)
    full = match["patch"] or f"{python[0]}.{python[1]}.{_ASSUMED_PATCH.get(python, 0)}"
    if not full.startswith(f"{python[0]}.{python[1]}."):
        raise _unknown(text)
    implementation: Literal["cp", "pp"] = "pp" if match["impl"] == "pp" else "cp"
    return Target(
        implementation=implementation, python=python, free_threaded=bool(match["t"]), platform=platform, full_version=full,
        assumed=match["patch"] is None,
    )  # fmt: skip


def _platform(text: str) -> str | None:
    for alias, level in _ALIASES.items():
        if text.startswith(alias + "_"):
            text = level + text.removeprefix(alias)
    bare = _BARE.fullmatch(text)
    if bare:
        level = _BARE_EXCEPTIONS.get((bare["kind"], bare["arch"]), _BARE_LEVELS[bare["kind"]])
        text = f"{bare['kind']}_{level}_{bare['arch']}"
    linux = _LINUX.fullmatch(text)
    if linux:
        return text if linux["arch"] in _LINUX_ARCHES else None
    return text if text in _WINDOWS or _MACOS.fullmatch(text) else None


def _unknown(text: str) -> UsageError:
    expected = (
        f"unknown target {text!r}: expected PYTHON-PLATFORM, such as cp312-manylinux_2_28_x86_64,"
        " cp314t-musllinux_1_2_aarch64, cp313-macosx_14_0_arm64 or cp312-win_amd64, or native"
    )
    if "universal2" in text:
        given = re.match(r"(?:cp|pp)3\d+t?", text)
        python = given[0] if given else "cp313"
        hint = f"a Mac is arm64 or x86_64, and takes universal2 wheels: {python}-macosx_14_0_arm64, {python}-macosx_14_0_x86_64"
        return UsageError(expected, solution=hint)
    python = text.partition("-")[0]
    examples = _examples(text)
    # Who names a Python that there is has most likely the platform wrong.
    own = [name for name in examples if name.startswith(f"{python}-")]
    if own and python == text.rstrip("-"):
        some = ", ".join(f"{python}-{platform}" for platform in ("manylinux_2_28_x86_64", "musllinux_1_2_x86_64", "win_amd64"))
        return UsageError(expected, solution=f"add the platform: {some}; `farm targets detect` prints this machine's")
    near = difflib.get_close_matches(text, own or examples, n=3, cutoff=0.5)
    return UsageError(expected, solution=f"perhaps you meant {', '.join(near)}" if near else "for example cp312-manylinux_2_28_x86_64")


def _examples(text: str) -> list[str]:
    """Return names near which a wrong one may lie; a level that the text itself names is among them."""
    levels = dict.fromkeys((*re.findall(r"linux_?(\d+_\d+)", text), "2_17", "2_28", "2_36", "2_41"))
    arches = ("x86_64", "aarch64", "i686", "armv7l", "ppc64le", "s390x", "riscv64")
    platforms = [f"manylinux_{level}_{arch}" for level in levels for arch in arches]
    platforms += [f"musllinux_1_2_{arch}" for arch in arches]
    platforms += ["macosx_14_0_arm64", "macosx_14_0_x86_64", *_WINDOWS]
    pythons = [f"cp3{minor}{t}" for minor in range(9, 16) for t in (("", "t") if minor >= 13 else ("",))]
    return [f"{python}-{platform}" for python in (*pythons, "pp310", "pp311") for platform in platforms]


def _platforms(target: Target, *, linux_first: bool) -> Iterator[str]:
    """Yield the platform tags that the client takes, best first (PEP 600, PEP 656; an alias after its level)."""
    macos = _MACOS.fullmatch(target.platform)
    if macos:
        yield from mac_platforms((int(macos["major"]), int(macos["minor"])), macos["arch"])
        return
    libc = target.libc
    if libc is None:
        yield target.platform
        return
    native = [f"linux_{machine}" for machine in target.machines]
    levels = [platform for machine in target.machines for platform in _levels(libc, machine)]
    yield from (*native, *levels) if linux_first else (*levels, *native)


def _levels(libc: tuple[Libc, int, int], machine: str) -> Iterator[str]:
    kind, major, minor = libc
    lowest = _ABI_SINCE_MANYLINUX.get(machine, 17) if kind == "manylinux" else 0
    legacy = {level: alias for alias, level in _ALIASES.items()}
    for level in range(minor, lowest - 1, -1):
        yield f"{kind}_{major}_{level}_{machine}"
        alias = legacy.get(f"{kind}_{major}_{level}")
        if alias:
            yield f"{alias}_{machine}"


@cache
def tags_for(target: Target, *, linux_first: bool = True) -> tuple[Tag, ...]:
    """Return the tags that a client takes, best first, as pip's own list on such a machine (its compatibility_tags.get_supported).

    That is `packaging.tags.sys_tags` but for PyPy, of whose `ppXY-none-any` packaging makes `pp3-none-any`.

    `linux_first`: packaging 26.3 (pip 26.3) puts `linux_*` before manylinux and musllinux; older ones, and uv, put it last.
    """
    platforms = list(_platforms(target, linux_first=linux_first))
    short = f"{target.implementation}{target.python[0]}{target.python[1]}"
    if target.implementation == "cp":
        # Until 3.7 the ABI had an m for pymalloc.
        abi = target.python_tag if target.python >= (3, 8) else f"{short}m"
        own = cpython_tags(target.python, [abi], platforms)
        return (*own, *compatible_tags(target.python, short, platforms))
    abi = f"pypy{target.python[0]}{target.python[1]}_pp73"
    return (*generic_tags(short, [abi, "none"], platforms), *compatible_tags(target.python, short, platforms))


def rank_tags(tags: Iterable[Tag]) -> Mapping[Tag, int]:
    """Return the rank of each tag, 0 for the first; a repetition does not count, as in pip."""
    return {tag: rank for rank, tag in enumerate(dict.fromkeys(tags))}


def _pypy_version(target: Target) -> str:
    return target.implementation_version or _PYPY.get(target.python, _LATEST_PYPY)


def _markers(target: Target) -> dict[str, str]:
    if target.platform in _WINDOWS:
        system = ("nt", "win32", "Windows", _WINDOWS[target.platform])
    elif target.libc is None:
        system = ("posix", "darwin", "Darwin", target.arch)
    else:
        system = ("posix", "linux", "Linux", target.arch)
    cpython = target.implementation == "cp"
    return {
        "implementation_name": "cpython" if cpython else "pypy",
        "implementation_version": target.full_version if cpython else _pypy_version(target),
        "os_name": system[0],
        "platform_machine": system[3],
        "platform_python_implementation": "CPython" if cpython else "PyPy",
        "platform_release": "",
        "platform_system": system[2],
        "platform_version": "",
        "python_full_version": target.full_version,
        "python_version": f"{target.python[0]}.{target.python[1]}",
        "sys_platform": system[1],
    }
