"""What counting costs `farm serve`: this farm against another checkout of it, on one processor in turns, wrk on the other.

python benchmarks/serve_counting.py --before CHECKOUT [--quick] [--keep FOLDER]

CHECKOUT is a farm from before answers were counted, or of any other state: `git worktree add /tmp/before 8898535`. Needs wrk and curl, two
processors and no network. What is compared is the ratio within one run.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bench import ROOT, table, tell
from serve import SERVER, Place, filled, stop
from serve_load import Load, Measured, Side
from serve_tree import static_tree

if TYPE_CHECKING:
    import subprocess

CASES = ("html", "json", "304", "wheel 40 kB", "metadata")


def start(place: Place, checkout: Path, port: int) -> subprocess.Popen[bytes]:
    """Start the farm of a checkout on the server's processor."""
    command = ["taskset", "-c", SERVER, sys.executable, "-m", "farm", "--config", "config.toml", "serve", "--port", str(port)]
    return place.started(command, port, env=os.environ | {"PYTHONPATH": str(checkout)})


def main() -> None:
    """Measure both in turns and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, required=True, help="another checkout of farm")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--keep", type=Path, help="a folder for the store, used again next time")
    arguments = parser.parse_args()
    rounds, seconds = (3, 1) if arguments.quick else (9, 2)
    rows, results = [], []
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        place = filled((arguments.keep or Path(temporary)) / "load", 1000, 2, small=False)
        (place.folder / "config.toml").write_text('[store]\npath = "store"\n[index]\nprivate = ["*"]\n')
        sides = []
        for name, checkout, port in (("now", ROOT, place.farm_port), ("before", arguments.before.resolve(), place.nginx_port)):
            server = start(place, checkout, port)
            stack.callback(stop, server)
            sides.append(Side(name, port, server.pid))
        static_tree(place.folder, place.farm_port)
        for case in CASES:
            runs = Load(place.folder, case, sides, "1")
            both = [[runs.measure(side, seconds) for side in sides] for _ in range(rounds)]
            now, before = (Measured.best([pair[at] for pair in both]) for at in (0, 1))
            results.append({"case": case, "now": now.figures, "before": before.figures})
            rows.append([case, f"{now.rate:,.0f}", f"{before.rate:,.0f}", f"{now.rate / before.rate:.3f}", f"{now.cpu / before.cpu:.3f}"])
            print(rows[-1], file=sys.stderr)
    tell("serve_counting", table(["case", "now req/s", "before req/s", "rate ratio", "CPU ratio"], rows), results)


if __name__ == "__main__":
    main()
