"""A `farm nightly` whose builds last until they are stopped: as slow_build.py, with the real look, budget, engine, store and signals.

Usage: slow_night.py FOLDER (patient | killed) BUDGET GRACE
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from farm.cli.nightly import Given, _told, staged
from farm.config import load
from farm.wire.night import Asked, Busy, run_night
from tests.functional.slow_build import SlowFarm


def main(folder: Path, how: str, budget: float, grace: float) -> int:
    given = Given(
        budget=budget, dry_run=False, as_json=True, reports=(), jobs=None, show=None, install=None, uninstall=None, at=(2, 30), system=False
    )
    with SlowFarm(load(Path("config.toml"), home=folder), dict(os.environ)) as farm:
        farm.how, farm.bench_folder = how, folder
        found = run_night(farm, Asked(budget=budget or None, grace=grace), staged(farm, verbose=False))
        assert not isinstance(found, Busy)
        return _told(farm, found, given)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4])))
