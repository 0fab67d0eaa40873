"""`farm serve` against nginx with the same bytes, on one processor each in turns, wrk on the other.

python benchmarks/serve.py [--quick] [--only load,root,install,memory]

Needs nginx, wrk and curl (Debian: nginx-light, wrk), two processors, and no network. What is compared is the ratio within one run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import ROOT, spread, table, tell
from serve_load import CASES, Load, Measured, Side
from serve_store import fill
from serve_tree import make_wheels, nginx_config, static_tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

AIMS = {"html": 0.6, "json": 0.6, "304": 0.6, "root": 0.6, "root gzip": 0.6, "wheel 40 kB": 0.6, "metadata": 0.5}
# Debian's is where only root's PATH leads.
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "nginx"
SERVER, CLIENT = "0", "1"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder with a filled store; both servers are started on it."""

    folder: Path
    farm_port: int
    nginx_port: int

    def farm(self) -> subprocess.Popen[bytes]:
        """Start `farm serve` on the server's processor."""
        # The projects have made-up names: nobody upstream is to be asked for them.
        (self.folder / "config.toml").write_text('[store]\npath = "store"\n[index]\nprivate = ["*"]\n')
        command = [
            "taskset",
            "-c",
            SERVER,
            sys.executable,
            "-m",
            "farm",
            "--config",
            "config.toml",
            "serve",
            "--port",
            str(self.farm_port),
        ]
        return self.started(command, self.farm_port, env=os.environ | {"PYTHONPATH": str(ROOT)})

    def nginx(self) -> subprocess.Popen[bytes]:
        """Start nginx on the server's processor, with the pages that the farm gave and its wheels."""
        (self.folder / "nginx.conf").write_text(nginx_config(self.folder, self.nginx_port))
        command = ["taskset", "-c", SERVER, NGINX, "-p", str(self.folder), "-c", "nginx.conf", "-e", "nginx.log"]
        return self.started(command, self.nginx_port, env=dict(os.environ))

    def started(self, command: list[str], port: int, env: dict[str, str]) -> subprocess.Popen[bytes]:
        """Start a server and wait until it answers."""
        with (self.folder / f"{port}.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=self.folder, env=env, stdout=log, stderr=log)
        for _ in range(600):
            if not subprocess.run(
                ["curl", "-s", "-o", "/dev/null", f"http://127.0.0.1:{port}/"], check=False
            ).returncode:
                return process
            if process.poll() is not None:
                break
            time.sleep(0.1)
        message = f"{command} did not start: see {self.folder}/{port}.log"
        raise SystemExit(message)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server."""
    process.terminate()
    process.wait(20)


def load(place: Place, cases: Sequence[str], rounds: int, seconds: int) -> Iterator[tuple[str, Measured, Measured]]:
    """Yield for each case the best of both, measured in turns."""
    farm = place.farm()
    try:
        static_tree(place.folder, place.farm_port)
        nginx = place.nginx()
        try:
            sides = Side("farm", place.farm_port, farm.pid), Side("nginx", place.nginx_port, nginx.pid)
            for case in cases:
                runs = Load(place.folder, case, sides, CLIENT)
                both = [[runs.measure(side, seconds) for side in sides] for _ in range(rounds)]
                yield case, Measured.best([pair[0] for pair in both]), Measured.best([pair[1] for pair in both])
        finally:
            stop(nginx)
    finally:
        stop(farm)


def install(place: Place, rounds: int) -> dict[str, Any]:
    """Return the seconds that `uv pip install` of 60 packages takes, without a cache, from both in turns."""
    farm = place.farm()
    nginx = place.nginx()
    ports = {"farm": place.farm_port, "nginx": place.nginx_port}
    found: dict[str, list[float]] = {name: [] for name in ports}
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_"))}
    try:
        for number in range(rounds + 1):
            for name, port in ports.items():
                target = place.folder / "installed"
                shutil.rmtree(target, ignore_errors=True)
                began = time.perf_counter()
                subprocess.run(
                    ["taskset", "-c", CLIENT, "uv", "pip", "install", "--quiet", "--no-cache", "--python", sys.executable,
                     "--target", str(target), "--default-index", f"http://127.0.0.1:{port}/wheels/simple/",
                     *(f"project-{n:05d}==1.0" for n in range(60))],
                    check=True, env=environment,
                )  # fmt: skip
                if number:
                    found[name].append(time.perf_counter() - began)
    finally:
        stop(nginx)
        stop(farm)
    return {name: spread(seconds) for name, seconds in found.items()}


def memory(place: Place) -> float:
    """Return the resident megabytes of `farm serve` after every page and the list were asked for, HTML and JSON."""
    farm = place.farm()
    try:
        names = (place.folder / "store" / "projects").read_text().split()
        for accept in ("text/html", "application/vnd.pypi.simple.v1+json"):
            paths = "\n".join(
                f'url = "http://127.0.0.1:{place.farm_port}/wheels/simple/{name}/"\noutput = /dev/null'
                for name in ("", *names)
            )
            listing = place.folder / "curl.txt"
            listing.write_text(paths.replace("simple//", "simple/"))
            command = [
                "taskset",
                "-c",
                CLIENT,
                "curl",
                "-s",
                "--no-progress-meter",
                "--parallel",
                "--parallel-max",
                "8",
                "-H",
                f"Accept: {accept}",
                "--compressed",
                "-K",
                str(listing),
            ]
            subprocess.run(command, check=True)
        status = Path(f"/proc/{farm.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024
    finally:
        stop(farm)


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, a smaller store for memory")
    parser.add_argument("--only", default="load,root,install,memory")
    parser.add_argument("--keep", type=Path, help="a folder for the stores, used again next time")
    arguments = parser.parse_args()
    # Where others work too, this group of processes goes first; without the right to say so, the figures are noisier.
    with suppress(OSError):
        os.setsid()
        Path("/proc/self/autogroup").write_text("-10")
    only, rounds, seconds = arguments.only.split(","), 3 if arguments.quick else 7, 1 if arguments.quick else 2
    results: list[dict[str, Any]] = []
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as temporary:
        base = arguments.keep or Path(temporary)
        for part, cases, shape in (
            ("load", [c for c in CASES if "root" not in c], (1000, 2)),
            ("root", ["root", "root gzip"], (10_000, 1)),
        ):
            if part in only:
                place = filled(base / part, *shape, small=part == "root")
                for case, farm, nginx in load(place, cases, rounds, seconds):
                    results.append({"case": case, "farm": farm.figures, "nginx": nginx.figures})
                    rows.append([case, f"{farm.rate:,.0f}", f"{nginx.rate:,.0f}", f"{farm.rate / nginx.rate:.2f}", str(AIMS.get(case, "")),
                                 f"{farm.cpu:.1f}", f"{nginx.cpu:.1f}", f"{farm.cpu / nginx.cpu:.2f}"])  # fmt: skip
                    print(rows[-1], file=sys.stderr)
        printed = table(
            ["case", "farm req/s", "nginx req/s", "ratio", "aim", "farm µs CPU", "nginx µs CPU", "CPU ×"], rows
        )
        if "install" in only:
            figures = install(filled(base / "load", 1000, 2, small=False), 3 if arguments.quick else 7)
            results.append({"case": "uv pip install of 60", **figures})
            printed += f"\n\nuv pip install of 60: farm {figures['farm']}, nginx {figures['nginx']}"
        if "memory" in only:
            projects = 2000 if arguments.quick else 10_000
            megabytes = memory(filled(base / f"memory{projects}", projects, 10, small=True))
            results.append({"case": f"memory at {projects * 10} wheels", "megabytes": round(megabytes, 1)})
            printed += f"\n\nresident memory at {projects * 10:,} wheels, all pages read: {megabytes:.0f} MB (aim 300)"
    tell("serve", printed, results)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def filled(folder: Path, projects: int, versions: int, *, small: bool) -> Place:
    """Return the place with its store, made if it is not there."""
    if not (folder / "store").exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        fill(partial, make_wheels(folder / "wheels", projects, versions, small=small))
        shutil.rmtree(folder / "wheels")
        partial.rename(folder / "store")
    return Place(folder=folder, farm_port=_free_port(), nginx_port=_free_port())


if __name__ == "__main__":
    main()
