"""What farm adds to a build: its own build of a package against `python -m build --wheel` in a container of the same image.

Both have the same build dependencies at hand, the network off and the same limits, and both count from "every input is on
this disk" to "the wheel is on this disk", container start, copying and removal included. Rounds alternate. farm's proof
is measured too and told apart: the bare build has none.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import ROOT, shown, spread, table, tell

from farm.adapters.frontend import interpreter
from farm.config import load
from farm.model.messages import Build, Verify
from farm.model.outcome import Built, Verified
from farm.model.target import parse_target
from farm.wire import Farm
from farm.wire.hands import Workshop
from farm.work.build import build, path_of
from farm.work.verify import verify

if TYPE_CHECKING:
    from farm.model.attempt import Attempt
    from farm.model.job import Job, JobKey
    from farm.ports import Catalogue
    from farm.work.build import BuildPorts
    from farm.work.carry import Hands

PACKAGES = ("docopt==0.6.2", "crcmod==1.7", "regex==2026.11.15", "zstandard==0.25.0")
TARGET = "cp311-manylinux_2_36_x86_64"
# The aim: this much longer than the bare build at most; for a bare build under LONG seconds, so many seconds instead.
LONG, FACTOR, SECONDS = 15.0, 1.15, 3.0
BARE = """
mkdir -p /bare/src && cd /bare && tar xf - && tar xf sdist.tar.gz -C src
python -m build --wheel --outdir /bare/out src/* >&2
tar cf - -C /bare/out .
"""


class Forgetful:
    """A catalogue that never tells of an earlier build, so that each round builds."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalogue, name)

    def built(self, key: JobKey) -> Attempt | None:
        del key


@dataclass
class Stages:
    """`ports.Progress` that keeps the moment at which each stage began."""

    began: list[tuple[str, float]] = field(default_factory=list)

    def say(self, subject: str, text: str) -> None:
        del subject  # a round has one job
        self.began.append((text, time.perf_counter()))

    def output(self, subject: str, line: str) -> None:
        """Say nothing."""

    def seconds(self, ended: float) -> dict[str, float]:
        """Return how long each stage took."""
        ends = [began for _, began in self.began[1:]] + [ended]
        spent: Counter[str] = Counter()
        for (stage, began), end in zip(self.began, ends, strict=True):
            spent[stage] += end - began
        return dict(spent)


def farm_round(job: Job, hands: Hands) -> tuple[dict[str, float], float, float]:
    """Build and prove once; return the build's stages, its seconds and the proof's."""
    stages = Stages()
    ports = replace(hands.build, catalogue=Forgetful(hands.build.catalogue), progress=stages)
    started = time.perf_counter()
    outcome = build(Build(job=job, made={}), hands.new_attempt(job), ports)
    ended = time.perf_counter()
    if not isinstance(outcome, Built):
        sys.exit(f"farm did not build {job.pin}: {outcome}")
    verified = verify(Verify(job=job, built=outcome, proofs=job.proofs, made={}), hands.verify)
    if not isinstance(verified, Verified):
        sys.exit(f"farm did not prove {job.pin}: {verified}")
    return stages.seconds(ended), ended - started, time.perf_counter() - ended


def inputs(job: Job, ports: BuildPorts) -> bytes:
    """Return what a bare build is given, as a tar archive: the sdist and the build dependencies' wheels."""
    wheels = {d.file.filename: path_of(d.file, ports) for d in job.requires if d.file is not None}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(ports.downloads.fetch(job.sdist), "sdist.tar.gz")
        for name, path in wheels.items():
            archive.add(path, f"wheels/{name}")
    return packed.getvalue()


def bare_round(job: Job, image: str, packed: bytes, limits: tuple[str, ...]) -> float:
    """Build once with nothing but docker and `build`; return the seconds."""
    path = f"{interpreter(job.target)}/bin:/usr/local/bin:/usr/bin:/bin"
    command = (
        "docker", "run", "--rm", "-i", "--init", "--network=none", "--log-driver=none", *limits, f"--env=PATH={path}",
        "--env=PIP_NO_INDEX=1", "--env=PIP_FIND_LINKS=/bare/wheels", "--env=PIP_DISABLE_PIP_VERSION_CHECK=1",
        image, "sh", "-ec", BARE,
    )  # fmt: skip
    started = time.perf_counter()
    done = subprocess.run(command, input=packed, capture_output=True, check=False)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "wheel.tar").write_bytes(done.stdout)
        seconds = time.perf_counter() - started
    with tarfile.open(fileobj=io.BytesIO(done.stdout or b"\0" * 10240)) as archive:
        if done.returncode != 0 or not any(name.endswith(".whl") for name in archive.getnames()):
            sys.exit(f"the bare build of {job.pin} failed:\n{done.stderr.decode()[-2000:]}")
    return seconds


def measure(job: Job, hands: Hands, rounds: int) -> dict[str, Any]:
    """Return the figures of one package."""
    ports = hands.build
    image = ports.images.ensure(job.image, lambda _: None).digest
    packed = inputs(job, ports)
    limits = (f"--memory={ports.limits.memory}", f"--cpus={ports.limits.cpus}")
    farm_round(job, hands)  # fills the caches
    bare_round(job, image, packed, limits)
    built, bare, proven, stages = [], [], [], []
    for number in range(rounds):
        # Whoever goes second finds warmer caches of the kernel's, so they take turns at that too.
        if number % 2:
            bare.append(bare_round(job, image, packed, limits))
        parts, seconds, proof = farm_round(job, hands)
        built.append(seconds)
        proven.append(proof)
        stages.append(parts)
        if not number % 2:
            bare.append(bare_round(job, image, packed, limits))
    alone = spread(bare)["median"]
    over = [mine - theirs for mine, theirs in zip(built, bare, strict=True)]
    names = dict.fromkeys(name for parts in stages for name in parts)
    return {
        "package": str(job.pin),
        "kind": job.kind,
        "bare": spread(bare),
        "farm": spread(built),
        "over": spread(over),
        "factor": round(spread(built)["median"] / alone, 3),
        "aim": f"≤ {FACTOR} ×" if alone >= LONG else f"≤ {SECONDS:.0f} s over",
        "stages": {name: spread([parts.get(name, 0.0) for parts in stages])["median"] for name in names},
        "proof": spread(proven),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two rounds instead of five")
    parser.add_argument("--package", action="append", metavar="NAME==VERSION", help=f"instead of {', '.join(PACKAGES)}")
    parser.add_argument("--target", default=TARGET)
    parser.add_argument("--store", type=Path, metavar="FOLDER", help="a store to keep; default: one that is removed")
    asked = parser.parse_args()
    rounds = 2 if asked.quick else 5
    packages = tuple(asked.package or PACKAGES)
    with tempfile.TemporaryDirectory(prefix="overhead-") as scratch:
        folder = Path(scratch)
        (folder / "requirements.txt").write_text("\n".join(packages) + "\n")
        settings = load(ROOT / "config.toml", home=Path.home())
        names = frozenset(package.split("==")[0] for package in packages)
        settings = replace(
            settings,
            store=asked.store or folder / "store",
            targets=(parse_target(asked.target),),
            jobs=1,
            from_source=names,
        )
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_FIND", "PIP_NO", "UV_"))}
        with Farm(settings, env) as farm:
            results = run(farm, folder / "requirements.txt", packages, rounds)
    heads = (
        "package",
        "bare build s",
        "farm's build s",
        "over s",
        "factor",
        "aim",
        "of it fetching s",
        "farm's proof s",
    )
    rows = [
        (r["package"], shown(r["bare"]), shown(r["farm"]), shown(r["over"]), f"{r['factor']:.2f}", r["aim"],
         f"{r['stages'].get('fetching', 0.0):.2f}", shown(r["proof"]))
        for r in results
    ]  # fmt: skip
    tell("build_overhead", table(heads, rows), results)


def run(farm: Farm, requirements: Path, packages: tuple[str, ...], rounds: int) -> list[dict[str, Any]]:
    """Measure each package, in the order given."""
    matrix, policy = farm.survey(farm.read((str(requirements),), ()))
    plan = farm.plan(matrix, policy)
    jobs = {str(job.pin): job for job in plan.jobs}
    if absent := [package for package in packages if package not in jobs]:
        sys.exit(f"nothing to build for {', '.join(absent)}: a farm wheel is there, or they cannot be planned")
    hands = Workshop(farm).hands()
    return [measure(jobs[package], hands, rounds) for package in packages]


if __name__ == "__main__":
    main()
