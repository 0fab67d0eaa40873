"""What dnf and apk are asked, and how their answers read. Pure; the container is elsewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from farm.adapters.provider_rank import Found

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from farm.model.healing import Need

# "libpq-devel-13.20-1.el8_10.x86_64 : Development files ...": name, version, release, architecture (RPM's NEVRA).
_NEVRA = re.compile(r"^(?:\d+:)?(?P<name>[A-Za-z0-9][\w.+-]*?)-(?:\d+:)?[^-\s]+-[^-\s]+\.(?P<arch>\w+) : ")
_FILENAME = re.compile(r"^Filename\s+: /(?P<path>\S+)")
# "postgresql16-dev-16.8-r0": apk's names end with version and release.
_APK = re.compile(r"^(?P<name>[A-Za-z0-9][\w.+-]*?)-\d[^-\s]*-r\d+(?:\s|$)")


def dnf_command(need: Need) -> tuple[str, ...]:
    """Return the `dnf provides` that asks for a need; files by glob, since RPM's indexes have whole paths."""
    name = need.name.removesuffix("-dev") if need.kind == "package" else need.name
    patterns = {
        "header": (f"/usr/include/{name}", f"/usr/include/*/{name}"),
        "program": (f"/usr/bin/{name}", f"/usr/sbin/{name}"),
        "pkg-config": (f"pkgconfig({name})",),
        "cmake": (f"cmake({name})", f"*/{name}Config.cmake", f"*/{name.lower()}-config.cmake"),
        "library": (f"/usr/lib64/lib{_stem(name)}.so", f"/usr/lib/lib{_stem(name)}.so"),
        "module": (f"*/{name.removesuffix('.mod')}.mod",),
        "package": (name, f"{name}-devel", f"lib{name.removeprefix('lib')}-devel"),
    }[need.kind]
    return ("dnf", "provides", "-q", *patterns)


def dnf_answer(lines: Iterable[str]) -> Iterator[Found]:
    """Yield what `dnf provides` found: each package with the file below it; other architectures' are left out."""
    package = ""
    installed = False
    for line in lines:
        match = _NEVRA.match(line)
        if match:
            package = match["name"] if match["arch"] not in {"i686", "src"} else ""
            installed = False
        elif line.startswith("Repo"):
            installed = line.partition(":")[2].strip() == "@System"
        elif package and (told := _FILENAME.match(line)):
            yield Found(package=package, path=told["path"], installed=installed)
        elif package and line.startswith("Provide"):
            yield Found(package=package, path=line.partition(":")[2].strip(), installed=installed)


def apk_command(need: Need) -> tuple[str, ...]:
    """Return the `apk search` that asks for a need. Its index has pkg-config modules, programs, libraries by their soname and
    CMake packages, but no headers: these are asked for by name.
    """
    name = need.name.removesuffix("-dev") if need.kind == "package" else need.name
    words = {
        "program": (f"cmd:{name}",),
        "pkg-config": (f"pc:{name}",),
        "cmake": (f"cmake:{name}",),
        "library": (f"so:lib{_stem(name)}.so.*", f"pc:{_stem(name)}", f"pc:lib{_stem(name)}"),
        "package": (name, f"{name}-dev"),
    }.get(need.kind) or tuple(dict.fromkeys(f"*{word}*-dev" for word in (_word(name), *map(_word, need.like)) if word))
    exact = ("-x",) if need.kind in {"program", "pkg-config", "package"} else ()
    return (
        ("apk", "search", "--no-cache", "-q", *exact, *words)
        if need.kind == "package"
        else ("apk", "search", "--no-cache", *exact, *words)
    )


def apk_answer(lines: Iterable[str], need: Need) -> Iterator[Found]:
    """Yield what `apk search` found; what a library's soname found is a run-time package, whose -dev one is meant."""
    for line in lines:
        match = _APK.match(line)
        name = match["name"] if match else line.strip() if re.fullmatch(r"[\w.+-]+", line.strip()) else ""
        if not name:
            continue
        if need.kind == "library" and not name.endswith("-dev"):
            name = re.sub(r"-libs?$", "", name) + "-dev"
        yield Found(package=name, path=f"{need.kind}:{need.name}")


def _stem(library: str) -> str:
    return re.sub(r"\.(?:so|a)(?:\.[\d.]+)?$", "", library.removeprefix("lib"))


def _word(name: str) -> str:
    return re.sub(r"\.(?:h|hpp|hh|mod)$|^lib|[^a-z0-9+-].*$", "", name.lower().split("/")[0])
