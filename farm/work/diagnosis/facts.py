"""What a log tells of the machine that wrote it and of the package that failed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from farm.work.diagnosis.scan import Findings

# The first that is found decides: what only one platform prints comes before what others may mention.
_PLATFORMS = (
    ("windows", r"win-amd64|win_amd64|win32-cpython|lib\.win-|temp\.win|\b[A-Z]:\\+(?:Users|Windows|Program|Python|hostedtoolcache|a\\)|[a-z]:\\users\\|cl\.exe|\.dll\b|fatal error (?:C|LNK)\d{4}"
     r"|Microsoft Visual|vcvarsall|NMake Makefiles|generator .?Visual Studio|WinError|MSBuild|\.venv\\|build\\(?:bdist|temp|lib)|mingw32|\bMINGW64\b|Scripts\\|AppData"),
    ("macos", r"macosx-\d|macosx_\d|-mmacosx-version-min|/Library/(?:Developer|Frameworks|Python|Caches)|/opt/homebrew|/usr/local/(?:Cellar|opt)/|/private/var/folders|/var/folders/|/Users/[\w.-]+/"
     r"|Xcode|xcrun|-isysroot|\bdarwin\d*\b|\.dylib\b|macOS|MacPorts|/opt/local/"),
    ("alpine", r"musllinux|linux-musl|\bapk (?:add|fetch|update)|/var/cache/apk|\balpine\b|Alpine Linux|musl-dev|dl-cdn"),
    ("rhel", r"redhat-linux|\.el[6-9]\b|\.el10\b|\.fc\d\d\b|/usr/lib/rpm|\b(?:dnf|yum|microdnf) (?:-y )?install|manylinux_2_28|manylinux2014|/opt/rh/|\bCentOS\b|Fedora|AlmaLinux|Rocky|Red Hat"),
    ("debian", r"x86_64-linux-gnu|aarch64-linux-gnu|arm-linux-gnueabi|/dist-packages|\bapt(?:-get)? install|dpkg|[Dd]ebian|Ubuntu|lib/python3/dist-packages|/bin/sh: \d: |\bsh: \d+: "),
)  # fmt: skip
_PYTHON = (
    r"(?:cpython-|cp|cpython)(3)(\d{1,2})(?:t)?(?:[-.]|\b)", r"[Pp]ython[/ -]?v?(\d)\.(\d{1,2})(?:\.\d+)?", r"(?:linux-\w+|macosx-[\w.]+|win-\w+|win32)-(\d)\.(\d{1,2})\b",
    r"\bpy(3)(\d{1,2})\b", r"Python(3)(\d{1,2})\b",
)  # fmt: skip
_ARCH = re.compile(r"\b(x86_64|amd64|aarch64|arm64|i[36]86|armv7l|ppc64le|s390x|riscv64)\b")
_PIP = re.compile(
    r"\bpip (?:version )?(\d+(?:\.\d+){1,2})\b|pip-(\d+(?:\.\d+)+)-|using pip version (\d+(?:\.\d+)+)|pip/(\d+(?:\.\d+)+)"
)
_COMPILER = re.compile(
    r"^\W*(?:(?:DEBUG|\d+\.\d+) )?(?:\S*/)?(clang|gcc|g\+\+|clang\+\+|cc|c\+\+|[\w]+-linux-gnu-g(?:cc|\+\+)) -\S",
    re.MULTILINE,
)
# pip's temporary folders end so.
_HASHED = re.compile(r"[-_][0-9a-f]{32}$")
_NAME = r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?"
_VERSION = r"\d[\w.!+]*(?:-\d+)?"
_PACKAGES = (
    rf"Failed to (?:download and )?build:? [`']({_NAME})(?:==({_VERSION}))?", rf"Failed (?:to build|building wheel for|building editable for) ({_NAME})(?:$|[\s=])",
    rf"Failed to (?:download|fetch|prepare|build)[^`\n]*[`:] ?({_NAME})==({_VERSION})", rf"╰─> ({_NAME})$", rf"Could not build wheels for ({_NAME})",
    rf"error in ({_NAME}) setup command", rf"Running setup\.py (?:install|bdist_wheel|develop) for ({_NAME})[: .]", rf"Building wheels? for (?!collected)({_NAME})",
    rf"Encountered error while (?:trying to install|generating)[^\n]*\n\W*({_NAME})", rf"Package '({_NAME})' requires a different", rf"No matching distribution found for ({_NAME})(?:==({_VERSION}))?",
    rf"ERROR: Package ({_NAME}) requires", rf"Because ({_NAME})==({_VERSION}) has no", rf"error in pip-(?:install|build)-\w+/({_NAME})", rf"pip-(?:install|build|req-build|wheel)-\w+/({_NAME}?)(?:_[0-9a-f]{{32}})?/",
    rf"sdists-v\d+/(?:pypi|index/\w+)/({_NAME})/({_VERSION})/", rf"Collecting ({_NAME})(?:==({_VERSION}))?", rf"pip3? install (?:-\S+ )*({_NAME})(?:==({_VERSION}))?",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """`platform` is one of debian, rhel, alpine, linux, macos, windows; "" where the log does not tell. `python` is "3.12"."""

    platform: str
    python: str
    arch: str
    pip: str
    package: str
    version: str
    compiler: str = ""


def read_facts(findings: Findings, forced: str = "") -> Facts:
    """Return what the log's two ends and the candidates tell."""
    head, tail = findings.head, findings.tail
    data = head if head.endswith(tail) or len(head) == len(tail) == 0 else head + b"\n" + tail
    text = data.decode("utf-8", "replace")
    python = _python(text)
    arch = _ARCH.search(text)
    pip = _PIP.search(text)
    package, version = _package(findings, text)
    compiler = _COMPILER.search(text)
    return Facts(
        platform=forced or _platform(text),
        python=python,
        arch=arch[1] if arch else "",
        pip=next((group for group in pip.groups() if group), "") if pip else "",
        package=package,
        version=version or _version(package, text),
        compiler=compiler[1] if compiler else "",
    )


def _platform(text: str) -> str:
    counts = {}
    for name, pattern in _PLATFORMS:
        found = sum(1 for _ in zip(re.finditer(pattern, text), range(20), strict=False))
        if found:
            counts[name] = found
    if not counts:
        return "linux" if re.search(r"linux|/home/|/tmp/", text) else ""
    order = [name for name, _ in _PLATFORMS]
    # A Windows or macOS log may name Linux things in passing, and the other way round; the more telling count decides.
    strongest = max(counts.values())
    return next(name for name in order if name in counts and counts[name] * 3 >= strongest)


def _python(text: str) -> str:
    for pattern in _PYTHON:
        found = re.search(pattern, text)
        if found and found[1] in "23" and int(found[2]) < 40:
            return f"{found[1]}.{found[2]}"
    return ""


def _package(findings: Findings, text: str) -> tuple[str, str]:
    failed = [mark.package for mark in findings.marks if mark.what == "failed" and mark.package]
    if failed:
        name, _, version = failed[0].partition("==")
        return canonicalize_name(_HASHED.sub("", name)), version
    for pattern in _PACKAGES:
        found = re.search(pattern, text, re.MULTILINE)
        if found and found[1]:
            return canonicalize_name(_HASHED.sub("", found[1])), (found[2] or "") if found.re.groups > 1 else ""
    return "", ""


def _version(package: str, text: str) -> str:
    if not package:
        return ""
    name = re.sub(r"[-_.]", "[-_.]", re.escape(package).replace(r"\-", "-"))
    for pattern in (rf"\b{name}-(\d[\w.!+]*?)(?:\.tar\.|\.zip|/)", rf"\b{name}==({_VERSION})"):
        found = re.search(pattern, text, re.IGNORECASE)
        if found:
            return found[1]
    return ""
