#!/usr/bin/env python3
"""Makes farm/work/diagnosis/debian/: which Debian package has a header, module, library or program. Facts from Debian's own Contents.

usage: .ci/debian_packages.py [SUITE...]        default: bookworm trixie

Needs a Debian or Ubuntu host: the mirror is the one that its apt is configured to use. Downloads about 100 MB. Run it when a
suite is released; the files say when they were made.
"""

from __future__ import annotations

import datetime as dt
import gzip
import lzma
import re
import subprocess
import sys
import urllib.request
import zlib
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

OUT = Path(__file__).resolve().parents[1] / "farm/work/diagnosis/debian"
CACHE = Path(__file__).resolve().parents[1] / ".farm/contents"
ARCHES = ("amd64", "all")
MOST = 3
UNWANTED = re.compile(
    r"-(?:cross|mingw|doc|dbg|dbgsym|source|examples?|tests?)\b|mingw|^(?:avr-|android-|dietlibc|musl|klibc|newlib|picolibc|linux-headers|linux-libc|lib32|libx32|lib64|libn32"
    r"|librust-|golang-|node-|ruby-|ghc|libghc|r-cran|r-bioc|gcc-\d+-(?!base)|libgcc-|ocaml|lib.*-ocaml|elpa-|php-|fonts-|texlive-data|uclibc|arm-none|binutils-[a-z]+-|m68hc1x|crossbuild)"
)
HEADER = re.compile(
    r"^usr/(?:lib(?:/[\w-]*linux-gnu\w*)?/(?:[\w.+-]+/)*?|local/)?include/(?:x86_64-linux-gnu/)?(.+\.(?:h|hpp|hh|hxx|H|inc|h\+\+))$"
)
MODULE = re.compile(r"^usr/(?:lib(?:/x86_64-linux-gnu)?|share)/pkgconfig/([^/]+)\.pc$")
CMAKE = re.compile(
    r"^usr/(?:lib(?:/x86_64-linux-gnu)?|share)/(?:.*/)?(?:cmake|CMake)/(?:.*/)?([A-Za-z0-9_+.]+?)(?:-config|Config)\.cmake$"
)
LIBRARY = re.compile(r"^(?:usr/)?lib(?:/x86_64-linux-gnu)?/lib([^/]+?)(?:\.a|\.so$|(?<=\.so\.\d)|(?<=\.so\.\d\d))$")
PROGRAM = re.compile(r"^(?:usr/)?bin/([^/]+)$")
NOT_FOR_BUILDS = frozenset({"games", "doc", "education", "hamradio", "localization", "kde", "gnome", "xfce"})
KINDS = {"headers": HEADER, "modules": MODULE, "cmake": CMAKE, "libraries": LIBRARY, "programs": PROGRAM}


def repository() -> str:
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(COMPONENT) $(SUITE)", "Created-By: Packages"]
    rows = [
        line.split() for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    ]
    found = [
        uri
        for uri, component, suite in rows
        if component == "main" and "security" not in suite and "security" not in uri
    ]
    if not found:
        sys.exit("expected apt to know a Debian repository with the component main, found none: run apt-get update")
    return found[0]


def fetch(path: str) -> bytes:
    kept = CACHE / path.replace("/", "_")
    if not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(f"{repository()}dists/{path}", timeout=600) as answer:  # noqa: S310 - the mirror that apt uses
            kept.write_bytes(answer.read())
    return kept.read_bytes()


def sections(suite: str) -> dict[str, str]:
    found, name = {}, ""
    for line in lzma.decompress(fetch(f"{suite}/main/binary-amd64/Packages.xz")).decode().splitlines():
        if line.startswith("Package: "):
            name = line[9:]
        elif line.startswith("Section: "):
            found[name] = line[9:]
    return found


def rank(kind: str, key: str, package: str, section: str) -> tuple[object, ...]:
    """The smaller, the likelier what a person wants: development packages, without a version in the name, named after the thing."""
    stem = re.sub(r"\W", "", key.rsplit("/", 1)[-1].split(".", maxsplit=1)[0].lower())
    plain = re.sub(r"^lib|-dev$|[\d.-]+(?=-dev$)|\W", "", package.lower())
    alike = bool(stem) and (stem in plain or plain in stem)
    development = package.endswith("-dev") or section == "libdevel"
    versioned = bool(re.search(r"[a-z][-.]?\d+(?:\.\d+)*(?:-dev|-jdk-headless|-tools)?$", package))
    if kind == "programs":
        return (package != key, versioned, not alike, len(package), package)
    return (not development, "nonfree" in package, not alike, versioned, len(package), package)


def wanted(package: str, counts: dict[str, int], path: str) -> bool:
    """A package with thousands of headers is found by those near its top."""
    counts[package] += 1
    return counts[package] <= 400 or path.count("/") <= 1


def entries(suite: str) -> Iterator[tuple[str, str, str]]:
    """Yield (path, section of the owner as Contents has it, package) of every file of a suite."""
    for arch in ARCHES:
        for line in gzip.decompress(fetch(f"{suite}/main/Contents-{arch}.gz")).decode("utf-8", "replace").splitlines():
            path, _, owners = line.rpartition(" ")
            for owner in owners.split(","):
                section, _, package = owner.rpartition("/")
                if not UNWANTED.search(package):
                    yield path.rstrip(), section.partition("/")[0], package


def collect(suites: list[str]) -> dict[str, dict[str, dict[str, tuple[object, ...]]]]:
    """Return, by kind and key, the packages that have it, each with its rank."""
    found: dict[str, dict[str, dict[str, tuple[object, ...]]]] = {kind: defaultdict(dict) for kind in KINDS}
    counts: dict[str, int] = defaultdict(int)
    for suite in suites:
        section = sections(suite)
        for path, owned, package in entries(suite):
            for kind, pattern in KINDS.items():
                match = pattern.match(path)
                if match is None or (kind == "programs" and owned in NOT_FOR_BUILDS):
                    continue
                if kind == "headers" and (match[1].count("/") > 3 or not wanted(package, counts, match[1])):
                    continue
                found[kind][match[1]].setdefault(package, rank(kind, match[1], package, section.get(package, "")))
    return found


def main() -> None:
    suites = sys.argv[1:] or ["bookworm", "trixie"]
    OUT.mkdir(exist_ok=True)
    day = dt.datetime.now(dt.UTC).date().isoformat()
    total = 0
    for kind, keys in collect(suites).items():
        lines = [f"{key}\t{' '.join(sorted(owners, key=owners.__getitem__)[:MOST])}" for key, owners in sorted(keys.items())]
        head = f"# {kind} of Debian {' '.join(suites)}, main, amd64, from its Contents index, {day}"
        data = zlib.compress("\n".join([head, *lines, ""]).encode(), 9)
        (OUT / f"{kind}.z").write_bytes(data)
        total += len(data)
        print(f"{kind}: {len(lines)} keys, {len(data) >> 10} KiB compressed")
    print(f"{total >> 10} KiB in {OUT}")


if __name__ == "__main__":
    main()
