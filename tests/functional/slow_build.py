"""A `farm build` whose builds last until they are abandoned: run as a program by test_interrupting, with the real command,
engine, store and signal handlers. Only the hands are scripted; an engine has no part in it.

Usage: slow_build.py FOLDER (patient | killed | gone | later)
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from farm.cli.build import Asked, Told, _Run
from farm.config import load
from farm.engine.local import Finished, LocalEngine
from farm.errors import EngineError
from farm.model.messages import Build, BuildDone
from farm.wire import Farm
from farm.wire.records import write_down
from farm.work.build import build
from tests.fakes import nouns
from tests.fakes.work import make_bench
from tests.functional.test_rounds import ScriptedFarm

if TYPE_CHECKING:
    from farm.model.build import BuildRequest
    from farm.model.demand import Demand
    from farm.model.gap import Matrix
    from farm.model.job import Plan
    from farm.model.messages import Command, Event
    from farm.model.outcome import Failed
    from farm.ports import Progress
    from farm.survey.detect import DetectPolicy


class SlowFarm(Farm):
    """Builds on a bench: `patient` ones end after the first Ctrl-C, the others when their container is killed: some then
    look like a build that failed (`killed`), some like an engine that has lost its container (`gone`).
    """

    how = "patient"
    stop_seen = False
    bench_folder = Path()

    def execute(self, plan: Plan, progress: Progress) -> Finished:
        bench = make_bench(self.bench_folder)

        def result(request: BuildRequest) -> Failed:
            sys.stdout.write("building\n")
            sys.stdout.flush()
            while not (self.stop_seen if self.how == "patient" else self.abandoned):
                time.sleep(0.05)
            if self.how == "gone":
                raise EngineError("the container is gone", solution="run again")
            return nouns.failed(request.job.id)

        bench.builder.result = result
        ports = replace(
            bench.build_ports(), run=self.run, cancelled=lambda: self.abandoned, catalogue=self.catalogue, progress=progress
        )

        def carry(command: Command) -> Event:
            assert isinstance(command, Build)
            return BuildDone(job=command.job.id, outcome=build(command, self.new_id(), ports))

        self._engine = LocalEngine(carry, limit=1)
        return self._engine.run(plan, lambda changed: write_down(self, changed))

    def stop(self) -> None:
        super().stop()
        self.stop_seen = True


class LaterFarm(ScriptedFarm):
    """Builds at once, and says so when the second round is surveyed."""

    def survey_again(self, demand: Demand, before: Matrix) -> tuple[Matrix, DetectPolicy]:
        sys.stdout.write("building\n")
        sys.stdout.flush()
        return super().survey_again(demand, before)


def main(folder: Path, how: str) -> int:
    asked = Asked(
        requirements=("requirements.txt",), constraints=(), targets=(), as_json=True, junit=None, dry_run=False,
        refresh=False, jobs=None, heal=None, files=(), extras=(), groups=(), default_groups=True, client_pip=None,
    )  # fmt: skip
    kind = LaterFarm if how == "later" else SlowFarm
    with kind(load(Path("config.toml"), home=folder), dict(os.environ)) as farm:
        if isinstance(farm, SlowFarm):
            farm.how, farm.bench_folder = how, folder
        else:
            farm.reads_only, farm.requires = True, {"demo": ("leaf",)}  # type: ignore[misc]
        try:
            return _Run(farm, asked, verbose=True).run()
        except Told as told:
            raise told.error from None


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
