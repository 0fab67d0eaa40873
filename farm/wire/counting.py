"""What `farm serve` counted goes to the catalogue: every few seconds and at the end, in a thread, never in a request's way."""

from __future__ import annotations

import logging
from datetime import timedelta
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from farm.adapters.misses import MissBook
from farm.errors import FarmError
from farm.serve.counts import seen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from farm.adapters.database import Database
    from farm.adapters.store import Store
    from farm.model.demand_seen import Seen
    from farm.ports import Clock
    from farm.serve.tally import Answered, Tally

_log = logging.getLogger("farm.serve")
_SECONDS = 5.0
_STOP_SECONDS = 10.0
_KEPT = timedelta(days=400)


class Counting:
    """Empties a tally into the catalogue while it runs. A store that cannot be written loses counts, and is told of once.

    `told` gets what was counted, whether it could be kept or not: who builds at once reads it.
    """

    def __init__(
        self, tally: Tally, store: Store | None, clock: Clock, told: Callable[[Seen], None] | None = None
    ) -> None:
        """`store`'s catalogue is opened when there is something to keep. None: counts are for metrics only."""
        self._tally = tally
        self._store = store
        self._clock = clock
        self._told = told
        self._ended = Event()
        self._writing = Lock()
        self._failed = False
        self._swept = ""
        # A database that hangs must not keep the server from ending.
        self._thread = Thread(target=self._run, name="farm-counting", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Keep what is left, and end."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)
        if not self._thread.is_alive():
            self._try()

    def flush(self) -> None:
        """Keep what was counted since the last time."""
        with self._writing:
            taken = self._tally.take()
            if self._store is None:
                return
            try:
                found = seen(_real(taken, self._store))
            except FarmError as error:
                self._complain(error)
                found = seen({answered: count for answered, count in taken.items() if not answered.own})
            if not found:
                return
            if self._told is not None:
                self._told(found)
            try:
                self._keep(found, self._store.catalogue.database)
            except FarmError as error:
                self._complain(error)

    def _complain(self, error: FarmError) -> None:
        if not self._failed:
            _log.warning("what clients fetch is not counted while the catalogue cannot be written: %s", error.reason)
        self._failed = True

    def _keep(self, found: Seen, database: Database) -> None:
        now = self._clock.now()
        book = MissBook(database)
        book.record(found, now)
        self._failed = False
        day = f"{now:%Y-%m-%d}"
        if day != self._swept:
            self._swept = day
            book.forget(now, _KEPT)

    def _run(self) -> None:
        while not self._ended.wait(_SECONDS):
            self._try()

    def _try(self) -> None:
        try:
            self.flush()
        except Exception:  # noqa: BLE001 - whatever it is: what comes next is counted again, and a server that ends has more to end
            _log.exception("what clients fetched could not be counted")


def _real(taken: Mapping[Answered, int], store: Store) -> Mapping[Answered, int]:
    """Leave out files of the farm's own under a name that they do not have. StoreError.

    Their URL is good for any name beside the right hash: whoever makes up names must fill no table, and have nothing built.
    """
    names = {answered.name for answered in taken if answered.own and answered.fetched}
    if not names:
        return taken
    published = set(MissBook(store.catalogue.database).published(names))
    # What is on no index is on a list of its own.
    for project in {canonicalize_name(name.partition("-")[0]) for name in names - published}:
        published |= store.direct.filenames(project)
    return {answered: count for answered, count in taken.items() if not answered.own or answered.name in published}
