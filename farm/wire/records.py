"""What the catalogue keeps beside attempts and wheels: lasting failures, what builds took, the journal of runs, recipes of wheels."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from farm.adapters.campaigns import Campaigns
from farm.adapters.failures import FailureBook
from farm.adapters.journal import Journal
from farm.adapters.nights import Nights, Retirements
from farm.adapters.usages import Usages
from farm.adapters.watches import Watches
from farm.adapters.wheel_recipes import WheelRecipes
from farm.model.attempt import RunRecord

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from farm.adapters.database import Database
    from farm.engine.progress import Progress
    from farm.model.attempt import RunState
    from farm.wire.assembly import Farm


EXTRA = '{"command": "extra"}'
"""What stands in the place of a command line for `farm campaign run` and `farm backfill --build`: they find by themselves what is left."""
NIGHTLY = '{"command": "nightly"}'
"""The options of a run that `farm nightly` began, in the journal."""


class Records:
    """One of each, on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @cached_property
    def failures(self) -> FailureBook:
        return FailureBook(self._database)

    @cached_property
    def usages(self) -> Usages:
        return Usages(self._database)

    @cached_property
    def campaigns(self) -> Campaigns:
        return Campaigns(self._database)

    @cached_property
    def journal(self) -> Journal:
        return Journal(self._database)

    @cached_property
    def recipes(self) -> WheelRecipes:
        return WheelRecipes(self._database)

    @cached_property
    def nights(self) -> Nights:
        return Nights(self._database)

    @cached_property
    def retirements(self) -> Retirements:
        return Retirements(self._database)

    @cached_property
    def watches(self) -> Watches:
        return Watches(self._database)


def begin(farm: Farm, options: str) -> None:
    """Write down that this run begins, with its command line as JSON, so that another process can carry it on."""
    farm.hold_run()
    source = farm.settings.source
    config = str(Path(source).absolute()) if Path(source).is_file() else ""
    farm.records.journal.begin(
        RunRecord(
            id=farm.run, started=farm.clock.now(), ended=None, state="running", folder=str(Path.cwd()), config=config, options=options
        )
    )


def write_down(farm: Farm, changed: Iterable[Progress]) -> None:
    """Keep in the journal where jobs of this run stand now."""
    farm.records.journal.note(farm.run, ((progress.job.id, progress.state) for progress in changed))


def end(farm: Farm, run: str, state: RunState) -> None:
    farm.records.journal.end(run, state, farm.clock.now())


def last_run(farm: Farm) -> RunRecord | None:
    """Return the newest run that built something; None in a store that has none."""
    if not (farm.root / "catalogue.sqlite").is_file():
        return None
    return farm.records.journal.last()


def is_alive(farm: Farm, run: RunRecord) -> bool:
    """Tell whether a process still holds the run."""
    return farm.store.locks.alive(run.id)


def stood(farm: Farm, run: RunRecord) -> Counter[str]:
    """Return how many of a run's jobs were last in each state of the machine."""
    return farm.records.journal.states(run.id)
