"""How long a look-up in the package database takes once its index is made, beside `grep` in the same lines (apt-file's way).

python benchmarks/packages.py [INDEX.sqlite]

INDEX is one of `cache/packages/` of a store; without it one as large as Debian's is made up. Each look-up opens the index anew, as
healing does in each attempt. A row for each kind of need: median and worst time, and how many times longer grep takes.
"""

from __future__ import annotations

import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import table, tell

from farm.adapters.provider_index import Lists, PackageIndex, make_index
from farm.model.healing import Need

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farm.model.healing import NeedKind

_FILES, _PACKAGES = 400_000, 60_000
_NAMES = 60
"""Look-ups of each kind."""
_FOLDERS: dict[NeedKind, tuple[str, str]] = {
    "header": ("usr/include/", ".h"), "program": ("usr/bin/", ""), "pkg-config": ("usr/lib/x86_64-linux-gnu/pkgconfig/", ".pc"),
    "library": ("usr/lib/x86_64-linux-gnu/lib", ".so"),
}  # fmt: skip


def made_up(target: Path) -> None:
    """Write an index with as many files and packages as Debian's; every name is had by several packages."""

    def files() -> Iterator[str]:
        for number in range(_FILES):
            folder, suffix = list(_FOLDERS.values())[number % len(_FOLDERS)]
            yield f"{folder}name{number % (_FILES // 4)}{suffix}  libdevel/lib{number % _PACKAGES}-dev"

    packages = (f"lib{n}-dev\tsource{n // 3}\tlib{(n * 7) % _PACKAGES}-dev, lib{(n * 13) % _PACKAGES}-dev" for n in range(_PACKAGES))
    sources = (f"python-name{n}\tlib{n}-dev, python3-all-dev" for n in range(6000))
    make_index(Lists(files=files(), packages=packages, sources=sources), target)


def lines(index: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(index)) as database:
        return list(database.execute("SELECT path, owners FROM files"))


def asked(kind: NeedKind, paths: list[str]) -> list[str]:
    """Return names that the index has, spread over all of it."""
    folder, suffix = _FOLDERS[kind]
    names = [path.removeprefix(folder).removesuffix(suffix) for path in paths if path.startswith(folder) and path.endswith(suffix)]
    plain = [name for name in names if "/" not in name]
    step = max(1, len(plain) // _NAMES)
    return [f"{name}.h" if kind == "header" else name for name in plain[::step][:_NAMES]]


def timed(index: Path, kind: NeedKind, name: str) -> float:
    began = time.perf_counter()
    PackageIndex(index).find(Need(kind=kind, name=name, like=("demo", name)))
    return time.perf_counter() - began


def grep(text: Path, name: str) -> float:
    began = time.perf_counter()
    subprocess.run(["grep", "-c", f"/{name}", str(text)], check=False, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        index = Path(sys.argv[1]) if len(sys.argv) > 1 else folder / "made-up.sqlite"
        if len(sys.argv) < 2:
            began = time.perf_counter()
            made_up(index)
            print(f"index made in {time.perf_counter() - began:.1f} s")
        rows = lines(index)
        text = folder / "contents"
        text.write_text("".join(f"{path} {owners}\n" for path, owners in rows))
        print(f"{len(rows)} files, {index.stat().st_size / 1e6:.0f} MB")
        paths = [path for path, _ in rows]
        beside = statistics.median(grep(text, name) for name in asked("header", paths)[:9])
        kinds: tuple[NeedKind, ...] = (*_FOLDERS, "package", "project")
        results: list[dict[str, Any]] = []
        for kind in kinds:
            times = [timed(index, kind, name) for name in asked(kind if kind in _FOLDERS else "program", paths)]
            median, worst = statistics.median(times), max(times)
            results.append({"kind": kind, "median_ms": median * 1e3, "worst_ms": worst * 1e3, "grep": beside / median})
        heads = ("need", "median, ms", "worst, ms", "grep takes times as long")
        shown = ([one["kind"], *(f"{one[key]:.1f}" for key in ("median_ms", "worst_ms", "grep"))] for one in results)
        tell("packages", table(heads, shown), results)


if __name__ == "__main__":
    main()
