"""How long `farm build` takes when nothing is new, as a whole process, and what it starts: children, connections.

The index is made up and on the loopback interface; its pages are as long as real ones. The first run fills the caches
(and resolves with uv), the runs after it are measured; "next night" are runs for which every page has to be asked for again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import ROOT, shown, spread, table, tell

from tests.fakes.index_server import Hosted, IndexServer
from tests.projects.make import Made

PYTHONS = ("cp311", "cp312", "cp313")
LEVELS = ("manylinux_2_36_x86_64", "manylinux_2_41_x86_64")
# As on a large index: many versions, each with an sdist and wheels for many clients.
VERSIONS = 20
PLATFORMS = ("manylinux_2_17_x86_64.manylinux2014_x86_64", "musllinux_1_2_x86_64", "macosx_11_0_arm64", "win_amd64")
JSON_PAGE = "application/vnd.pypi.simple.v1+json"
# Run inside the measured process of one extra round: what it starts and whom it talks to.
SPY = """
import runpy, sys, json
seen = {"children": 0, "connections": []}
def hook(event, args):
    if event in {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system"}:
        seen["children"] += 1
    elif event == "socket.connect":
        seen["connections"].append(str(args[1]))
sys.addaudithook(hook)
report = sys.argv.pop(1)
try:
    runpy.run_module("farm", run_name="__main__", alter_sys=True)
finally:
    open(report, "w").write(json.dumps(seen))
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One size: how many packages and for which targets; `limit` in seconds is the aim."""

    packages: int
    targets: tuple[str, ...]
    limit: float


CASES = (
    Case(packages=8, targets=(f"cp311-{LEVELS[0]}", f"cp313-{LEVELS[1]}"), limit=1.0),
    Case(packages=300, targets=tuple(f"{python}-{level}" for python in PYTHONS for level in LEVELS), limit=2.0),
)


def host(index: IndexServer, number: int) -> str:
    """Put a project on the index; return its requirement. Every third is pure, every other needs the one before it."""
    name = f"package-{number:03d}"
    needs = (f"package-{number - 1:03d}>=1.0 ; python_version >= '3.9'",) if number % 2 else ()
    entries: list[dict[str, Any]] = []
    hosted: dict[str, Hosted] = {}
    for minor in range(VERSIONS):
        made = Made(name=name, version=f"1.{minor}", requires=needs, requires_python=">=3.9")
        pure = number % 3 == 0
        tags = ("py3-none-any",) if pure else tuple(f"{p}-{p}-{platform}" for p in PYTHONS for platform in PLATFORMS)
        filenames = [f"{made.stem}.tar.gz", *(f"{made.stem}-{tag}.whl" for tag in tags)]
        for filename in filenames:
            hosted[filename] = Hosted(data=b"", metadata=made.metadata if filename.endswith(".whl") else None)
            entries.append(entry(name, filename, hosted[filename]))
    page = {"meta": {"api-version": "1.1"}, "name": name, "files": entries}
    index.projects[name] = hosted
    index.raw_pages[name] = (JSON_PAGE, json.dumps(page).encode())
    return f"{name}==1.{VERSIONS - 1}"


def entry(name: str, filename: str, hosted: Hosted) -> dict[str, Any]:
    """Return a file's entry of a page, with everything that large indexes tell. Nobody downloads these files."""
    known = (
        {"core-metadata": {"sha256": hashlib.sha256(hosted.metadata.encode()).hexdigest()}} if hosted.metadata else {}
    )
    return {
        "filename": filename,
        "url": f"../../files/{name}/{filename}",
        "hashes": {"sha256": hashlib.sha256(filename.encode()).hexdigest()},
        "requires-python": ">=3.9",
        "size": 100_000,
        "upload-time": "2026-01-02T03:04:05.678901Z",
        "yanked": False,
        **known,
    }


def environment() -> dict[str, str]:
    """Return a quiet environment: nothing of the user's pip and uv."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "FARM_"))}
    return {**kept, "PYTHONPATH": str(ROOT)}


def run(arguments: tuple[str, ...], folder: Path) -> tuple[float, str]:
    """Run farm as a process; return its wall time in seconds and what it printed. Ends the benchmark when it fails."""
    started = time.perf_counter()
    done = subprocess.run(
        (sys.executable, *arguments), cwd=folder, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        sys.exit(f"farm ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return seconds, done.stdout


def measure(case: Case, folder: Path, rounds: int) -> dict[str, Any]:
    """Return the figures of one case."""
    with IndexServer() as index:
        pins = [host(index, number) for number in range(case.packages)]
        (folder / "requirements.txt").write_text("\n".join(pins) + "\n")
        targets = ", ".join(f'"{target}"' for target in case.targets)
        (folder / "config.toml").write_text(
            f'targets = [{targets}]\n[store]\npath = ".farm"\n[index]\nurl = "{index.url}"\n'
        )
        command = ("build", "-r", "requirements.txt")
        found = figures(command, folder, rounds)
        # As after a night: what is remembered is too old to be used unasked. Last, as it leaves the configuration changed.
        with (folder / "config.toml").open("a") as config:
            config.write('ttl = "1s"\n')
        asked_before = len(index.requests)
        nights = []
        for _ in range(rounds):
            time.sleep(1.1)
            nights.append(run(("-m", "farm", *command), folder)[0])
        return found | {
            "case": f"{case.packages} packages × {len(case.targets)} targets",
            "limit": case.limit,
            "next_night": spread(nights),
            "next_night_requests": (len(index.requests) - asked_before) // rounds,
        }


def figures(command: tuple[str, ...], folder: Path, rounds: int) -> dict[str, Any]:
    """Run a command once to fill the caches, once under watch, then `rounds` times by the clock."""
    first, _ = run(("-m", "farm", *command), folder)
    with tempfile.NamedTemporaryFile() as report:
        run(("-c", SPY, report.name, *command), folder)
        seen = json.loads(Path(report.name).read_text())
    timed = [run(("-m", "farm", *command), folder) for _ in range(rounds)]
    # A process that does nothing, for what of it is Python's own.
    python = [run(("-c", "pass"), folder)[0] for _ in range(rounds)]
    return {
        "first_run": round(first, 3),
        "second_run": spread([seconds for seconds, _ in timed]),
        "python_alone": spread(python),
        "children": seen["children"],
        "connections": len(seen["connections"]),
        "said": timed[-1][1].strip().splitlines()[-1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three rounds instead of eleven")
    parser.add_argument(
        "--store", type=Path, metavar="FOLDER", help="measure a folder with a config.toml of your own instead"
    )
    parser.add_argument(
        "-r", "--requirement", type=Path, metavar="FILE", help="with --store: its requirements, built before"
    )
    asked = parser.parse_args()
    rounds = 3 if asked.quick else 11
    results = []
    if asked.store and asked.requirement:
        command = ("build", "-r", str(asked.requirement.resolve()))
        results.append(figures(command, asked.store, rounds) | {"case": asked.requirement.name, "limit": 1.0})
    else:
        for case in CASES:
            with tempfile.TemporaryDirectory(prefix="noop-") as scratch:
                results.append(measure(case, Path(scratch), rounds))
    heads = (
        "nothing new",
        "first run s",
        "second run s",
        "aim s",
        "child processes",
        "connections",
        "next night s",
        "python alone s",
    )
    rows = [
        (r["case"], f"{r['first_run']:.1f}", shown(r["second_run"]), f"{r['limit']:.0f}", str(r["children"]),
         str(r["connections"]), shown(r["next_night"]) if "next_night" in r else "", shown(r["python_alone"]))
        for r in results
    ]  # fmt: skip
    tell("noop", table(heads, rows), results)


if __name__ == "__main__":
    main()
