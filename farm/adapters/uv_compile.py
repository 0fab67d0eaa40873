"""One `uv pip compile` for one target, against the metadata view: its command, its input files, its output."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from farm.adapters.process import Command

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from farm.model.demand import Demand, IndexOptions, Requirement
    from farm.model.package import NormalizedName
    from farm.model.target import Target

# `uv pip compile --help`, --python-platform: the glibc levels that it has names for.
_GLIBC_LEVELS = (17, 28, *range(31, 41))
_LINUX_ARCHES = frozenset({"x86_64", "aarch64"})
_OTHERS = {
    "win_amd64": "x86_64-pc-windows-msvc",
    "win_arm64": "aarch64-pc-windows-msvc",
    "win32": "i686-pc-windows-msvc",
}
_LINE = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==(?P<version>[^\s;#]+)\s*(?:;[^#]*)?(?:#\s*via\s+(?P<via>.*))?"
)
_SECONDS = 1800.0
_PASSED_ON = frozenset({"HOME", "TMPDIR", "LANG", "LC_ALL", "SYSTEMROOT"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """uv's name for a target's platform. `exact` False when its markers would not be the target's."""

    name: str
    exact: bool


def uv_platform(target: Target) -> Platform:
    """Return uv's nearest name: the same markers, the same or a lower libc level. Tags do not matter, the view decides them."""
    cpython = target.implementation == "cp"
    if target.libc is None:
        arch = {"arm64": "aarch64"}.get(target.arch, target.arch)
        return Platform(name=_OTHERS.get(target.platform, f"{arch}-apple-darwin"), exact=cpython)
    kind, _, level = target.libc
    if target.arch == "riscv64":
        return Platform(name="riscv64-unknown-linux", exact=cpython)
    arch = target.arch if target.arch in _LINUX_ARCHES else "x86_64"
    exact = cpython and target.arch in _LINUX_ARCHES
    if kind == "musllinux":
        return Platform(name=f"{arch}-unknown-linux-musl", exact=exact)
    nearest = max((known for known in _GLIBC_LEVELS if known <= level), default=_GLIBC_LEVELS[0])
    return Platform(name=f"{arch}-manylinux_2_{nearest}", exact=exact)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """One run of uv. `folder` is fresh: uv reads an existing output as preferences, and its cache holds this view's answers only."""

    uv: str
    env: Mapping[str, str]
    folder: Path
    index: str
    target: Target
    demand: Demand
    lines: tuple[str, ...]
    constraints: tuple[str, ...]

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def output(self) -> Path:
        return self.folder / "resolved.txt"

    def command(self) -> Command:
        """Write the input files and return the command that reads them."""
        wanted, bounds = self.folder / "requirements.in", self.folder / "constraints.txt"
        wanted.write_text("".join(f"{line}\n" for line in self.lines), "utf-8")
        bounds.write_text("".join(f"{line}\n" for line in self.constraints), "utf-8")
        argv = [
            self.uv, "pip", "compile", "--no-build", "--no-config", "--no-header", "--no-progress", "--color", "never",
            "--annotation-style", "line", "--python-version", self.target.full_version,
            "--python-platform", uv_platform(self.target).name, "--default-index", self.index,
            "--constraints", str(bounds), "--output-file", str(self.output), str(wanted),
        ]  # fmt: skip
        argv += _prereleases(self.demand.options)
        return Command(argv=tuple(argv), cwd=self.folder, env=self._environment(), timeout=_SECONDS)

    def _environment(self) -> dict[str, str]:
        """Return what uv needs and nothing that steers it: no UV_*, PIP_* or proxy variable, no virtual environment."""
        return {name: value for name, value in self.env.items() if name in _PASSED_ON} | {
            # uv starts interpreters that it finds, up to a second each; here it finds only the one that it is given.
            "PATH": str(Path(sys.executable).parent),
            "UV_PYTHON": sys.executable,
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_CACHE_DIR": str(self.cache),
            # The view may have to download an sdist before it can answer; it retries by itself.
            "UV_HTTP_TIMEOUT": "600",
            "UV_HTTP_RETRIES": "0",
            "NO_PROXY": "*",
        }


def _prereleases(options: IndexOptions) -> list[str]:
    """Return uv's options for pip's --pre, --all-releases and --only-final."""
    argv: list[str] = []
    if options.pre or ":all:" in options.all_releases:
        argv = ["--prerelease", "allow"]
    elif ":all:" in options.only_final:
        argv = ["--prerelease", "disallow"]
    for names, choice in ((options.all_releases, "allow"), (options.only_final, "disallow")):
        for name in sorted(names - {":all:"}):
            argv += ["--prerelease-package", f"{name}={choice}"]
    return argv


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the output: what was chosen and which names ask for it; `direct` when a requirement does."""

    name: NormalizedName
    version: Version
    via: tuple[NormalizedName, ...]
    direct: bool


def read_rows(text: str) -> tuple[Row, ...]:
    """Return the pins of an output with `--annotation-style line`."""
    rows = []
    for line in text.splitlines():
        match = _LINE.fullmatch(line.strip())
        if match is None:
            assert not line.strip() or line.lstrip().startswith("#"), f"uv wrote an unforeseen line: {line!r}"
            continue
        askers = [asker.strip() for asker in (match["via"] or "").split(",") if asker.strip()]
        names = {canonicalize_name(asker.partition("[")[0]) for asker in askers if not asker.startswith("-")}
        rows.append(
            Row(
                name=canonicalize_name(match["name"]),
                version=Version(match["version"]),
                via=tuple(sorted(names)),
                direct=any(asker.startswith("-r ") for asker in askers),
            )
        )
    return tuple(rows)


def requirement_lines(
    requirements: Iterable[Requirement], *, target: Target, versions: Mapping[NormalizedName, Version]
) -> tuple[str, ...]:
    """Return lines for uv: no hashes (they are checked when files are used), no URLs.

    `versions` holds what the URLs of `name @ url` requirements stand for; one that is not there is left out.
    """
    fold = not uv_platform(target).exact
    lines = []
    for requirement in requirements:
        if requirement.url is not None and requirement.name not in versions:
            continue
        if fold and not applies(requirement, target):
            continue
        extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
        bound = str(requirement.specifier) if requirement.url is None else f"=={versions[requirement.name]}"
        marker = f" ; {requirement.marker}" if requirement.marker is not None and not fold else ""
        lines.append(f"{requirement.name}{extras}{bound}{marker}")
    return tuple(lines)


def applies(requirement: Requirement, target: Target) -> bool:
    """Tell whether a requirement's marker holds on the target."""
    return requirement.marker is None or requirement.marker.evaluate({**target.markers, "extra": ""})
