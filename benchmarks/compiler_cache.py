"""How much sooner a C++ package is built again after a small patch: with the compilers' cache of its project, and without one.

Both build the same patched sources through farm's own stages; before each round with the cache, the unpatched ones are built into a new
cache. The patch adds a comment and a function to one source file.
"""

from __future__ import annotations

import argparse
import io
import os
import tarfile
import tempfile
import time
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import ROOT, shown, spread, table, tell
from build_overhead import Forgetful

from farm.adapters.builder import DockerBuilder
from farm.adapters.compiled import CompilerCache
from farm.config import load
from farm.model.messages import Build
from farm.model.outcome import Built
from farm.model.target import parse_target
from farm.wire import Farm
from farm.wire.hands import Workshop
from farm.work.build import build

if TYPE_CHECKING:
    from farm.model.job import Job
    from farm.model.package import IndexFile
    from farm.ports import Downloads
    from farm.work.carry import Hands

PACKAGE, SOURCE = "kiwisolver==1.4.8", "py/src/term.cpp"
TARGET = "cp311-manylinux_2_36_x86_64"
PATCH = b"\n// patched\nnamespace { [[maybe_unused]] int patched() { return 1; } }\n"


@dataclass
class Patched:
    """`ports.Downloads` that gives other sources for one sdist."""

    downloads: Downloads
    filename: str
    path: Path

    def fetch(self, file: IndexFile) -> Path:
        return self.path if file.filename == self.filename else self.downloads.fetch(file)


def patched(sdist: Path, folder: Path, source: str) -> Path:
    """Write the sdist with PATCH at the end of one of its files."""
    path = folder / sdist.name
    with tarfile.open(sdist) as old, tarfile.open(path, "w:gz") as new:
        for member in old:
            data = old.extractfile(member).read() if member.isfile() else b""  # type: ignore[union-attr]
            if member.name.endswith(source):
                data += PATCH
                member.size = len(data)
            new.addfile(member, io.BytesIO(data) if member.isfile() else None)
    return path


def once(job: Job, hands: Hands, builder: DockerBuilder, downloads: Downloads) -> float:
    """Build and return the seconds."""
    ports = replace(hands.build, catalogue=Forgetful(hands.build.catalogue), builder=builder, downloads=downloads)
    started = time.perf_counter()
    outcome = build(Build(job=job, made={}), hands.new_attempt(job), ports)
    assert isinstance(outcome, Built), outcome
    return time.perf_counter() - started


def measure(farm: Farm, requirements: Path, source: str, rounds: int) -> dict[str, Any]:
    """Return the figures of the package that the requirements name."""
    plan = farm.plan(*farm.survey(farm.read((str(requirements),), ())))
    job = plan.jobs[-1]
    workshop = Workshop(farm)
    hands = workshop.hands()
    original = hands.build.downloads
    other = Patched(original, job.sdist.filename, patched(original.fetch(job.sdist), requirements.parent, source))
    without, filling, again = [], [], []
    for _ in range(rounds):
        without.append(once(job, hands, DockerBuilder(workshop.host), other))
        cache = CompilerCache(store=f"bench{uuid.uuid4().hex[:8]}")
        builder = DockerBuilder(workshop.host, cache)
        filling.append(once(job, hands, builder, original))
        again.append(once(job, hands, builder, other))
        for volume in workshop.host.client.volumes.list(filters={"name": f"farm-compiled-{cache.store}-"}):
            volume.remove(force=True)
    factor = spread(without)["median"] / spread(again)["median"]
    figures = {"without": spread(without), "filling": spread(filling), "again": spread(again)}
    return {"package": str(job.pin), **figures, "factor": round(factor, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round instead of three")
    parser.add_argument("--package", default=PACKAGE, metavar="NAME==VERSION")
    parser.add_argument("--source", default=SOURCE, help="the file that is patched")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="compiled-") as scratch:
        folder = Path(scratch)
        (folder / "requirements.txt").write_text(f"{asked.package}\n")
        settings = load(ROOT / "config.toml", home=Path.home())
        names = frozenset({asked.package.split("==")[0]})
        settings = replace(settings, store=folder / "store", targets=(parse_target(TARGET),), jobs=1, from_source=names)
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_FIND", "PIP_NO", "UV_"))}
        with Farm(settings, env) as farm:
            result = measure(farm, folder / "requirements.txt", asked.source, 1 if asked.quick else 3)
    heads = ("package", "patched, no cache s", "first, filling the cache s", "patched, with it s", "factor", "aim")
    row = (
        result["package"], shown(result["without"]), shown(result["filling"]), shown(result["again"]), f"{result['factor']:.1f}", "≥ 3",
    )  # fmt: skip
    tell("compiler_cache", table(heads, [row]), [result])


if __name__ == "__main__":
    main()
