"""How a value of config.toml or a recipe is read, and when it is not what is expected there."""

from __future__ import annotations

import re
from email.utils import parseaddr
from ipaddress import ip_network
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from farm.errors import FarmError
from farm.model.client import parse_pip
from farm.model.image import system_packages
from farm.model.recipes import UPSTREAM
from farm.model.target import Target, parse_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from packaging.utils import NormalizedName

    from farm.model.package import Version


class Wrong(ValueError):  # noqa: N818 - names what a value is
    """A value is not what its field expects; the message is put after the path."""


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise Wrong
    return value


def texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Wrong
    return tuple(value)


def sources(value: Any) -> tuple[str, ...]:
    found = (value,) if isinstance(value, str) else texts(value)
    if not found or not all(source.strip() for source in found):
        raise Wrong
    return found


def number(low: int, high: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise Wrong
        return value

    return parse


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong
    return value


def secret(value: Any) -> str:
    """Return "env:NAME" or "file:PATH": where a secret is, which itself is not for a file that is shown around."""
    if value != "" and not re.fullmatch(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+", text(value)):
        raise Wrong('expected "env:NAME" or "file:PATH", found something else, which is not shown: it may be the secret itself')
    return str(value)


def secret_url(value: Any) -> str:
    return str(value) if re.fullmatch(r"https?://[^\s/]\S*", text(value)) else secret(value)


def addressee(value: Any) -> str:
    """Return a mail address, with or without a name before it (RFC 5322 3.4); "" for none."""
    _, address = parseaddr(text(value))
    if value != "" and not re.fullmatch(r"[^@\s]+@[^@\s]+", address):
        raise Wrong
    if "\n" in value or "\r" in value:
        raise Wrong
    return str(value)


def addressees(value: Any) -> tuple[str, ...]:
    if not all(addressee(address) for address in texts(value)):
        raise Wrong
    return tuple(value)


def choice(*choices: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in choices:
            raise Wrong
        return str(value)

    return parse


def seconds(value: Any) -> float:
    """Return the seconds of 90, "90s", "15m", "2h"."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return float(value)
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", value) if isinstance(value, str) else None
    if match is None or float(match[1]) == 0:
        raise Wrong
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


def wait(value: Any) -> float:
    """Return the seconds of a duration, 0 for 0."""
    return 0.0 if value == 0 and not isinstance(value, bool) else seconds(value)


def age(value: Any) -> float:
    """Return the seconds of 0, "36h", "7d", "2w"."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([hdw])", value) if isinstance(value, str) else None
    if match is not None:
        return float(match[1]) * {"h": 3600, "d": 86400, "w": 604800}[match[2]]
    if value == 0 and not isinstance(value, bool):
        return 0.0
    raise Wrong


def size(value: Any) -> int:
    """Return the bytes of "512MiB", "4GiB"."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(MiB|GiB|TiB)", value) if isinstance(value, str) else None
    if match is None or float(match[1]) == 0:
        raise Wrong
    return int(float(match[1]) * {"MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}[match[2]])


def targets(value: Any) -> tuple[Target, ...]:
    names = texts(value)
    if not names:
        raise Wrong
    try:
        return tuple(dict.fromkeys(parse_target(name) for name in names))
    except FarmError as error:
        raise Wrong(f"{error.reason}; {error.solution}") from error


def pip(value: Any) -> Version | None:
    """Return the version of a pip; None for an empty text."""
    try:
        return parse_pip(text(value)) if value != "" else None
    except FarmError as error:
        raise Wrong(error.reason) from error


def cache_control(value: Any) -> str:
    # RFC 9111 5.2: directives with tokens or numbers; a quoted string would be right as well and is never needed here.
    if not re.fullmatch(r"[a-z-]+(?:=\d+)?(?:, ?[a-z-]+(?:=\d+)?)*", text(value)):
        raise Wrong
    return str(value)


def path_prefix(value: Any) -> str:
    if not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)*/?", text(value)):
        raise Wrong
    return str(value).rstrip("/")


def addresses(value: Any) -> tuple[str, ...]:
    try:
        return tuple(str(ip_network(address, strict=False)) for address in texts(value))
    except ValueError as error:
        raise Wrong(str(error)) from None


def names(value: Any) -> frozenset[NormalizedName]:
    return frozenset(canonicalize_name(name) for name in texts(value))


def table(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise Wrong
    return tuple(sorted(value.items()))


def packages(value: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not isinstance(value, dict) or not set(value) <= {"debian", "manylinux", "musllinux"}:
        raise Wrong
    packages = tuple((family, texts(names)) for family, names in sorted(value.items()))
    try:
        for _, names in packages:
            system_packages(names)
    except FarmError as error:
        raise Wrong(f"{error.reason}; {error.solution}") from None
    return packages


def requirements(value: Any) -> tuple[str, ...]:
    wanted = texts(value)
    try:
        for text in wanted:
            Requirement(text)
    except InvalidRequirement as error:
        raise Wrong(f"expected a list of requirements (PEP 508): {' '.join(str(error).split())}") from None
    return wanted


def constraints(value: Any) -> tuple[str, ...]:
    texts = requirements(value)
    # pip's constraints files: no extras; and a URL would say where from, not how new.
    wrong = [text for text in texts if (parsed := Requirement(text)).extras or parsed.url or not parsed.specifier]
    if wrong:
        raise Wrong(f"expected bounds such as 'cython<3', found {wrong[0]!r}")
    return texts


def versions(value: Any) -> SpecifierSet:
    try:
        return SpecifierSet(text(value))
    except InvalidSpecifier:
        raise Wrong from None


def patterns(value: Any) -> tuple[str, ...]:
    patterns = texts([value] if isinstance(value, str) else value)
    if not patterns or not all(re.fullmatch(r"[a-z0-9_.*?\[\]!-]+", pattern) for pattern in patterns):
        raise Wrong
    return patterns


def variables(value: Any) -> tuple[tuple[str, str], ...]:
    pairs = table(value)
    # POSIX 8.1: what a shell, and so cibuildwheel, can hand on.
    wrong = [name for name, text in pairs if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or "\0" in text]
    if wrong:
        raise Wrong(f"expected names of variables, found {wrong[0]!r}")
    return pairs


def reasons(value: Any) -> tuple[tuple[str, str], ...]:
    pairs = table(value)
    if not all(module and reason.strip() for module, reason in pairs):
        raise Wrong
    return pairs


def network(value: Any) -> tuple[bool, str]:
    """Return whether the network stays on, and why; the reason may be left out."""
    if isinstance(value, bool):
        return value, ""
    if not text(value).strip():
        raise Wrong
    return True, str(value)


def command(value: Any) -> tuple[str, ...]:
    """Return the arguments of a command; a text is Python code."""
    words = ("python", "-c", value) if isinstance(value, str) else texts(value)
    if not words or not all(words):
        raise Wrong
    return words


def cpus(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 4096:
        raise Wrong
    return float(value)


def beside(value: Any) -> str:
    """Return a path that stays in the folder that it counts from."""
    path = PurePosixPath(text(value))
    if not path.name or path.is_absolute() or ".." in path.parts or "\\" in value:
        raise Wrong
    return str(path)


def reason(value: Any) -> str:
    if not text(value).strip():
        raise Wrong
    return str(value).strip()


def upstream(value: Any) -> str:
    """Return what became of a patch upstream: OpenEmbedded's words for it, and where that is to be seen."""
    status, _, where = text(value).partition(" ")
    if status not in UPSTREAM or (UPSTREAM[status] and not where.strip()):
        raise Wrong
    return str(value)
