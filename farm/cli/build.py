"""`farm build`: requirements in, proven wheels on the index out."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

import click

from farm.cli import render
from farm.cli.inputs import Inputs, input_options
from farm.cli.interrupts import Interrupts
from farm.cli.progress import Talk
from farm.errors import FarmError, ImageError, Interrupted, StoreError, UsageError
from farm.model.healing import HEAL_MODES
from farm.model.report import Problem, Report

if TYPE_CHECKING:
    from farm.cli.main import Context
    from farm.engine.local import Finished
    from farm.model.demand import Demand
    from farm.model.gap import Matrix
    from farm.model.healing import HealMode
    from farm.model.job import Plan
    from farm.survey.detect import DetectPolicy
    from farm.wire import Farm

_PATH = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Inputs):
    """The command line of one `farm build`."""

    as_json: bool
    junit: Path | None
    dry_run: bool
    jobs: int | None
    heal: HealMode | None = None
    twice: bool = False
    reproducible: bool = False
    retry_failed: bool = False
    rebuild: bool = False

    def as_text(self) -> str:
        """Return the command line as JSON, for `from_text` of another process."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_text(cls, text: str) -> Asked:
        """Return what `as_text` wrote, by whichever farm: options that this one does not know are left out."""
        known = {field.name for field in fields(cls)}
        said: dict[str, Any] = json.loads(text)
        found: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in said.items() if name in known}
        return cls(**found | {"junit": Path(said["junit"]) if said.get("junit") else None})


@click.command()
@input_options
@click.option("--jobs", type=click.IntRange(1, 1024), help="Builds side by side (config.toml: build.jobs).")
@click.option("--twice", is_flag=True, help="Build each wheel again elsewhere and report what differs (docs/trust.md).")
@click.option("--reproducible", is_flag=True, help="As --twice, and a wheel that differs is refused.")
@click.option("--heal", type=click.Choice(HEAL_MODES),
              help="What to do about a build that failed: off, propose, or apply and try again (config.toml: build.heal).")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON (docs/report.md).")
@click.option("--junit", type=_PATH, metavar="FILE", help="Write the report as JUnit XML too.")
@click.option("--dry-run", is_flag=True, help="Say what would be built, and stop.")
@click.option("--retry-failed", is_flag=True, help="Try again what failed before, although nothing has changed since.")
@click.option("--rebuild", is_flag=True, help="Build the farm's own wheels again whose image, build dependencies or recipe changed.")
@click.pass_obj
def build(context: Context, /, **options: Any) -> int:
    """Build every wheel that the requirements lack for the targets, prove each, and publish it.

    What is there already is not built again, nor what failed before with the same inputs. Failures do not stop the rest. Ctrl-C once
    lets what runs finish, twice stops now; the same command, or `farm resume`, carries on later.
    """
    return run_build(context, Asked(**options))


def run_build(context: Context, asked: Asked) -> int:
    """Build, and see to it that a failure of the farm is told as JSON where that was asked for."""
    try:
        return _build(context, asked)
    except Told as told:
        raise told.error from None
    except FarmError as error:
        if asked.as_json:
            render.out(render.report_json(Report(dry_run=asked.dry_run), error.exit_code, error))
        raise


class Told(Exception):  # noqa: N818 - says what happened
    """The report has been given already; `error` is left for the frame."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


def _build(context: Context, asked: Asked) -> int:
    _check(asked)
    settings = asked.settings(context)
    if asked.jobs:
        settings = replace(settings, jobs=asked.jobs)
    if asked.twice or asked.reproducible:
        settings = replace(settings, twice="strict" if asked.reproducible else "report")
    if asked.heal:
        settings = replace(settings, heal=asked.heal)
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks

    with Farm(settings, context.env, refresh=asked.refresh) as farm:
        farm.retry_failed, farm.rebuild = asked.retry_failed, asked.rebuild
        return _Run(farm, asked, verbose=context.verbose).run()


def _check(asked: Asked) -> None:
    """Refuse at once what would otherwise go wrong only after an hour of building."""
    asked.check("build")
    if asked.junit and not asked.junit.absolute().parent.is_dir():
        reason = f"--junit {asked.junit}: expected its folder to be there, found none"
        raise UsageError(reason, solution=f"make the folder {asked.junit.parent}")


class _Run:
    def __init__(self, farm: Farm, asked: Asked, *, verbose: bool) -> None:
        self._farm = farm
        self._asked = asked
        self._verbose = verbose
        self._started = time.monotonic()
        self._interrupts = Interrupts(farm)
        render.bind(run=farm.run)

    def run(self) -> int:
        demand = self._farm.read(self._asked.inputs, self._asked.constraints, self._asked.choice)
        for remark in demand.remarks:
            render.err(f"note: {remark}")
        broken: BaseException | None
        with Talk(sys.stderr, verbose=self._verbose) as talk:
            self._farm.progress = talk
            matrix, policy = self._farm.survey(demand)
            report, plan, broken = self._planned(matrix, policy)
        if not report.rows and not report.problems:
            render.err(f"note: {self._asked.nothing()}")
        if report.rows and not self._asked.as_json:
            render.err(render.matrix(report, everything=self._verbose, width=get_terminal_size((120, 24)).columns))
        stopped = False
        if not self._asked.dry_run and plan.jobs:
            from farm.wire.records import begin, end  # noqa: PLC0415 - only when something is built

            begin(self._farm, self._asked.as_text())
            report, broken, stopped = self._rounds(demand, matrix, report, plan)
            end(self._farm, self._farm.run, "stopped" if stopped else "broken" if broken else "ended")
        return self._tell(replace(report, seconds=time.monotonic() - self._started), broken, stopped=stopped)

    def _rounds(
        self, demand: Demand, matrix: Matrix, report: Report, plan: Plan
    ) -> tuple[Report, BaseException | None, bool]:
        """Build; and where a wheel says other dependencies than its sdist let guess, build what is missing now, a few times."""
        from farm.survey.rounds import LIMIT  # noqa: PLC0415 - only when something is built
        from farm.survey.tell import carried_over  # noqa: PLC0415 - the same

        report, broken, stopped = self._build(report, plan)
        for left in reversed(range(LIMIT)):
            if broken or stopped or not self._farm.surprising:
                break
            try:
                with self._interrupts.surveying(), Talk(sys.stderr, verbose=self._verbose) as talk:
                    self._farm.progress = talk
                    matrix, policy = self._farm.survey_again(demand, matrix)
                    after, plan, broken = self._planned(matrix, policy)
            except KeyboardInterrupt:
                return report, None, True
            except FarmError as error:
                # What was built before is still to be told.
                return report, error, False
            report = replace(after, rows=carried_over(report.rows, after.rows, plan))
            if broken or not plan.jobs:
                break
            if not left:
                note = f"after {LIMIT} rounds the wheels that were built still ask for more; the same command goes on from here"
                report = replace(report, notes=(*report.notes, note))
                break
            report, broken, stopped = self._build(report, plan)
        return report, broken, stopped

    def _planned(self, matrix: Matrix, policy: DetectPolicy) -> tuple[Report, Plan, FarmError | None]:
        """What is missing is worth telling also where it cannot be planned (no image serves a target)."""
        from farm.model.job import Plan  # noqa: PLC0415 - after the cheap checks
        from farm.survey.tell import problems, rows  # noqa: PLC0415 - the same

        broken: FarmError | None = None
        try:
            plan = self._farm.plan(matrix, policy)
        except ImageError as error:
            plan, broken = Plan(), error
        report = Report(
            targets=tuple(target.name for target in matrix.targets),
            rows=rows(matrix, plan),
            problems=problems(matrix),
            notes=self._farm.notes(),
            dry_run=self._asked.dry_run,
        )
        return report, plan, broken

    def _build(self, report: Report, plan: Plan) -> tuple[Report, BaseException | None, bool]:
        from farm.engine.tally import tally  # noqa: PLC0415 - only when something is built

        if not self._asked.as_json:
            render.err(render.reasons(report))
        with Talk(sys.stderr, verbose=self._verbose) as progress:
            try:
                with self._interrupts.building():
                    finished: Finished = self._farm.execute(plan, progress)
            except FarmError as error:
                # The report is still worth having: as JSON or JUnit it says what would have been built.
                return report, error, False
        # What was planned on the way has notes of its own.
        notes = tuple(dict.fromkeys((*report.notes, *self._farm.notes())))
        return replace(report, rows=tally(report.rows, finished.jobs), notes=notes), finished.broken, finished.stopped

    def _tell(self, report: Report, broken: BaseException | None, *, stopped: bool) -> int:
        if broken is None and not stopped:
            report = replace(report, rows=self._farm.advised(report.rows))
        broken = broken or self._write_junit(report)
        code = report.exit_code
        if broken is not None:
            code = broken.exit_code if isinstance(broken, FarmError) else FarmError.exit_code
        elif stopped:
            code = Interrupted.exit_code
            text = "stopped by the user; the same command carries on, and so does `farm resume`"
            problem = Problem(subject="run", text=text, kind="interrupted")
            report = replace(report, problems=(*report.problems, problem))
        if self._asked.as_json:
            render.out(render.report_json(report, code, broken))
        else:
            details = render.reasons(report)
            if details:
                render.out(details)
            render.out(render.summary(report))
        if broken is not None:
            raise Told(broken)
        return code

    def _write_junit(self, report: Report) -> StoreError | None:
        """The report is still to be told where the file cannot be written."""
        path = self._asked.junit
        if path is None:
            return None
        from farm.cli.junit import junit  # noqa: PLC0415 - only when asked for

        try:
            path.write_text(junit(report), encoding="utf-8")
        except OSError as error:
            return StoreError(f"--junit {path}: {error.strerror or error}", solution="choose another file, or free space")
        return None
