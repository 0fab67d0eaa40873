"""User agents of pip, uv and their kin, read: which program, Python, libc and architecture; and the target that this is. Pure.

pip (`pip._internal.network.session.user_agent`) and uv (its linehaul module) send `program/version {JSON}`. The others, and pip
before 6, send `program/version CPython/3.12.3 Linux/6.1`, which tells no libc and no architecture.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import msgspec

from farm.errors import UsageError
from farm.model.demand_seen import OTHER, Agent
from farm.model.target import parse_target

LONGEST = 4096
"""Bytes of a user agent that are read. Those of pip and uv have about 500; `PIP_USER_AGENT_USER_DATA` adds to them."""

_KNOWN = 2048
_PROGRAMS = {
    "pip": "pip", "uv": "uv", "poetry": "poetry", "pdm": "pdm", "unearth": "pdm", "pipenv": "pipenv", "hatch": "hatch",
    "pixi": "pixi", "setuptools": "setuptools", "distribute": "setuptools", "twine": "twine", "curl": "curl", "wget": "wget",
    "bandersnatch": "bandersnatch", "devpi-server": "devpi", "artifactory": "artifactory", "nexus": "nexus", "farm": "farm",
    "python-requests": "requests", "python-httpx": "httpx", "mozilla": "browser", "prometheus": "prometheus",
}  # fmt: skip
# These fetch sdists too, but compile none.
_NO_INSTALLERS = frozenset(
    {"twine", "curl", "wget", "bandersnatch", "devpi", "artifactory", "nexus", "farm", "requests", "httpx", "browser", "prometheus"}
)
_FIRST = re.compile(r"([A-Za-z][A-Za-z0-9_.-]{0,31})(?:/([0-9][0-9A-Za-z.+!-]{0,31}))?(?:[ ;(]|$)")
_VERSION = re.compile(r"\d{1,4}(?:\.\d{1,6}){0,3}(?:(?:a|b|rc|\.dev|\.post)\d{1,6})?")
_PYTHON = re.compile(r"3\.\d{1,2}(?:\.\d{1,2})?")
_PLAIN_PYTHON = re.compile(r"\b(CPython|PyPy)/(3\.\d{1,2}(?:\.\d{1,2})?)")
_PLAIN_SYSTEM = re.compile(r"\b(Linux|Darwin|Windows)/")
_LEVEL = re.compile(r"(\d{1,2})\.(\d{1,2})(?:\.\d+)?")
_WORD = re.compile(r"[A-Za-z0-9_.+-]{1,32}")
_ARCHES = {"arm64": "aarch64", "amd64": "x86_64", "i386": "i686", "i586": "i686", "armv7": "armv7l"}
_WINDOWS = {"amd64": "win_amd64", "x86_64": "win_amd64", "arm64": "win_arm64", "aarch64": "win_arm64", "x86": "win32", "i686": "win32"}
_SYSTEMS = ("Linux", "Darwin", "Windows")
_RESOLVING = (["lock"], ["export"], ["tree"], ["pip", "compile"])
# The release of Alpine that brought musl 1.2 (musllinux_1_2): PEP 656 has musl's levels, pip tells none of them.
_ALPINE_MUSL_1_2 = (3, 13)
_NEWEST_PYTHON = 29


def read_agent(header: bytes) -> Agent:
    """Return what a User-Agent header tells. Whatever it holds: what is not understood is left out, and nothing is raised."""
    # Cut before it is remembered: a head may have eight times as much.
    return _read(header[:LONGEST])


@lru_cache(maxsize=_KNOWN)
def _read(header: bytes) -> Agent:
    text = header.decode("utf-8", "replace")
    first = _FIRST.match(text)
    if first is None:
        return Agent()
    program = _PROGRAMS.get(first[1].lower(), OTHER)
    version = first[2] or ""
    version = version if program != OTHER and _VERSION.fullmatch(version) else ""
    start = text.find("{")
    told = _json(text[start:]) if start >= 0 else None
    if told is None:
        return _plain(program, version, text)
    return _told(program, version, told)


def _json(text: str) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    return found if isinstance(found, dict) else None


def _plain(program: str, version: str, text: str) -> Agent:
    python, system = _PLAIN_PYTHON.search(text), _PLAIN_SYSTEM.search(text)
    return Agent(
        program=program, version=version, python=python[2] if python else "", implementation=python[1] if python else "",
        system=system[1] if system else "", installs=program not in _NO_INSTALLERS,
    )  # fmt: skip


def _told(program: str, version: str, told: dict[str, Any]) -> Agent:
    implementation, distro = _table(told, "implementation"), _table(told, "distro")
    libc, system = _table(distro, "libc"), _table(told, "system")
    python, name, lib = _text(told, "python"), _text(implementation, "name"), _text(libc, "lib").lower()
    return Agent(
        program=program,
        version=version,
        python=_digits(python),
        implementation=name if name in {"CPython", "PyPy"} else "",
        libc=lib if lib in {"glibc", "musl"} else "",
        libc_version=_text(libc, "version") if _LEVEL.fullmatch(_text(libc, "version")) else "",
        arch=_text(told, "cpu"),
        system=_text(system, "name") if _text(system, "name") in _SYSTEMS else "",
        distro=_text(distro, "name"),
        release=_text(distro, "version") if _LEVEL.match(_text(distro, "version")) else "",
        installs=program not in _NO_INSTALLERS and not _resolves(_table(told, "installer").get("subcommand")),
    )


def _resolves(subcommand: object) -> bool:
    """Tell whether a uv (from 0.9 on its user agent has the subcommand) only resolves."""
    return isinstance(subcommand, list) and subcommand[:2] in _RESOLVING


def _digits(python: str) -> str:
    # 3.15.0a2, 3.13.1+
    found = _PYTHON.match(python)
    return found[0] if found else ""


def _table(told: dict[str, Any], key: str) -> dict[str, Any]:
    found = told.get(key)
    return found if isinstance(found, dict) else {}


def _text(told: dict[str, Any], key: str) -> str:
    found = told.get(key)
    if not isinstance(found, str):
        return ""
    # "Debian GNU/Linux": the first word tells which.
    word = found.partition(" ")[0]
    return word if _WORD.fullmatch(word) else ""


@lru_cache(maxsize=_KNOWN)
def target_of(agent: Agent) -> str:
    """Return the name of the target that a client is, "" where its user agent does not tell it.

    Nobody's user agent tells free-threading, nor a 32-bit Python on a 64-bit machine: such a client is taken for the usual one.
    """
    python = _python(agent)
    platform = _platform(agent) if python else ""
    if not platform:
        return ""
    try:
        return parse_target(f"{python}-{platform}").name
    except UsageError:
        return ""


def _python(agent: Agent) -> str:
    short = {"CPython": "cp", "PyPy": "pp"}.get(agent.implementation, "")
    major, _, rest = agent.python.partition(".")
    minor = rest.partition(".")[0]
    if not short or major != "3" or not minor or int(minor) > _NEWEST_PYTHON:
        return ""
    return f"{short}3{int(minor)}"


def _platform(agent: Agent) -> str:
    arch = agent.arch.lower()
    if agent.system == "Windows":
        return _WINDOWS.get(arch, "")
    if agent.system == "Darwin":
        release = _LEVEL.match(agent.release)
        major = int(agent.release.partition(".")[0]) if release else 0
        # Since macOS 11 the second number is no level of its own in wheels' tags (PEP 425's tags as packaging makes them).
        machine = {"arm64": "arm64", "aarch64": "arm64", "x86_64": "x86_64"}.get(arch, "")
        return f"macosx_{major}_0_{machine}" if major >= 11 and machine else ""
    if agent.system != "Linux":
        return ""
    level = _level(agent)
    return f"{level}_{_ARCHES.get(arch, arch)}" if level else ""


def _level(agent: Agent) -> str:
    told = _LEVEL.fullmatch(agent.libc_version)
    if agent.libc == "glibc":
        return f"manylinux_{int(told[1])}_{int(told[2])}" if told else ""
    if agent.libc == "musl" and told:
        return f"musllinux_{int(told[1])}_{int(told[2])}"
    if agent.distro.lower() == "alpine":
        release = _LEVEL.match(agent.release)
        if release:
            return "musllinux_1_2" if (int(release[1]), int(release[2])) >= _ALPINE_MUSL_1_2 else "musllinux_1_1"
    # Every Linux with musl that is not older than 2021 has 1.2.
    return "musllinux_1_2" if agent.libc == "musl" else ""
