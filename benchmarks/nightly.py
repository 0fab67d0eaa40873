"""What a night with nothing to do costs: hundreds of watch sets over one index, as whole processes.

Each set pins some blocks of the synthetic index's projects (benchmarks/upstream.py), so that sets overlap as services of one
company do. The first look has everything to find out. For the second, unchanged one every page is too old to be used unasked, as it is
a day later: it asks the index for each project once. Then one set changes; then a twentieth of the projects
has a release that no set takes; then all sets are resolved anew, as where each wants something that was released since.
The memory is the process's largest resident set.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from bench import spread, table, tell
from check import TARGETS, Bench, Ran
from upstream import FAST, Upstream, name_of, newest

BLOCK = 50
SMALL = 4
EVERY = 20


def write(bench: Bench, *, sets: int, pins: int, projects: int) -> None:
    """Write the requirements of each set, and the config.toml that names them."""
    bench.write([], ttl="1s")
    chance = random.Random(7)
    tables = []
    for number in range(sets):
        blocks = sorted(chance.sample(range(projects // BLOCK), pins // BLOCK))
        wanted = [block * BLOCK + place for block in blocks for place in range(BLOCK)]
        lines = [f"{name_of(each)}=={newest(each, SMALL)}" for each in wanted]
        (bench.folder / f"set-{number}.txt").write_text("\n".join(lines) + "\n")
        tables.append(f'[watch.set-{number}]\nsource = "set-{number}.txt"\n')
    with (bench.folder / "config.toml").open("a") as config:
        config.write("\n" + "\n".join(tables))


def look(bench: Bench) -> Ran:

    time.sleep(1.5)  # so that no page is fresh
    return bench.run(sys.executable, "-m", "farm", "watch", "check")


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    with (
        Upstream(count=asked.projects, small=SMALL, line=FAST, prepare=asked.projects, near=BLOCK) as upstream,
        tempfile.TemporaryDirectory(prefix="nightly-", dir=asked.folder) as folder,
    ):
        bench = Bench(folder=Path(folder), url=upstream.url, targets=TARGETS[: asked.targets])
        write(bench, sets=asked.sets, pins=asked.pins, projects=asked.projects)
        first = look(bench)
        same = [look(bench) for _ in range(asked.rounds)]
        changed = Path(folder) / "set-0.txt"
        changed.write_text("\n".join(changed.read_text().splitlines()[:-1]) + "\n")
        one = look(bench)
        with urlopen(f"{upstream.url.removesuffix('/simple')}/release/{EVERY}", timeout=10):
            released = look(bench)
        for kept in ("watches", "resolver/resolutions"):
            shutil.rmtree(Path(folder) / ".farm/cache" / kept)
        anew = look(bench)
        return {
            "case": f"{asked.sets} sets × {asked.pins} pins × {asked.targets} targets, {asked.projects} projects",
            "first": round(first.seconds, 1), "first_mb": round(first.megabytes),
            "unchanged": spread([ran.seconds for ran in same]), "unchanged_mb": round(max(ran.megabytes for ran in same)),
            "one_changed": round(one.seconds, 1), "one_changed_mb": round(one.megabytes),
            "released": round(released.seconds, 1), "released_mb": round(released.megabytes),
            "all_anew": round(anew.seconds, 1), "all_anew_mb": round(anew.megabytes),
            "said": same[-1].output.strip().splitlines()[-1],
        }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("--pins", type=int, default=300, help=f"a multiple of {BLOCK}")
    parser.add_argument("--targets", type=int, default=6)
    parser.add_argument("--projects", type=int, default=5000, help=f"a multiple of {BLOCK}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="where the store may be; default: the system's folder for such")
    figures = measure(parser.parse_args())
    rows = [
        ("first look", f"{figures['first']:.1f}", str(figures["first_mb"])),
        ("nothing to do", f"{figures['unchanged']['median']:.1f}", str(figures["unchanged_mb"])),
        ("one set of them changed", f"{figures['one_changed']:.1f}", str(figures["one_changed_mb"])),
        ("every twentieth project has a release that no set takes", f"{figures['released']:.1f}", str(figures["released_mb"])),
        ("every set resolved anew", f"{figures['all_anew']:.1f}", str(figures["all_anew_mb"])),
    ]
    tell("nightly", f"{figures['case']}\n{table(('look', 'seconds', 'MB'), rows)}\n{figures['said']}", [figures])


if __name__ == "__main__":
    main()
