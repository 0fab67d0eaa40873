"""Metrics put together: for `/metrics` of a server, and for `farm metrics` where none runs."""

from __future__ import annotations

import logging
import shutil
from contextlib import contextmanager
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

from farm.adapters.clock import SystemClock
from farm.adapters.figures import FigureReader
from farm.adapters.store import Store
from farm.errors import FarmError, UsageError
from farm.model.figures import Figures
from farm.serve.simple import render_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from farm.model.figures import Holdings, Recent
    from farm.model.settings import Settings
    from farm.serve.access import Access
    from farm.serve.metrics import MetricsPage, Served

_log = logging.getLogger("farm.metrics")
_T = TypeVar("_T")
# The first look at a large catalogue takes longer than a scrape may: it is answered without, once.
_WAIT_SECONDS = 2.0
_HOLDINGS_SECONDS = 300.0


class Latest(Generic[_T]):
    """The last value of something that takes a while to read. Whoever asks starts the next reading, and waits a little for it.

    One thread reads at a time; None until a reading went well, and after one that did not.
    """

    def __init__(self, read: Callable[[], _T], *, every: float, wait: float) -> None:
        """`every`: seconds for which a value is good enough; `wait`: seconds that `get` waits for a newer one."""
        self._read = read
        self._every = every
        self._wait = wait
        self._lock = Lock()
        self._value: _T | None = None
        self._until = 0.0
        self._done: Event | None = None

    def get(self) -> _T | None:
        done = self.start()
        if done is not None and self._wait:
            done.wait(self._wait)
        return self._value

    def start(self) -> Event | None:
        """Start a reading if one is due, and return what is set when the one under way ends; None where none is."""
        with self._lock:
            if self._done is None and monotonic() >= self._until:
                self._done = Event()
                Thread(target=self._refresh, args=(self._done,), name="figures", daemon=True).start()
            return self._done

    def _refresh(self, done: Event) -> None:
        value: _T | None = None
        try:
            value = self._read()
        except FarmError as error:
            _log.warning("the figures could not be read: %s", error.reason)
        finally:
            with self._lock:
                self._value, self._until, self._done = value, monotonic() + self._every, None
            done.set()


class StoreFigures:
    """The figures of one store, for a server: each look is quick, as what takes long is read beside it."""

    def __init__(self, store: Store, root: Path) -> None:
        self._store = store
        self._root = root
        self._lock = Lock()
        self._reader: FigureReader | None = None
        self._recent: Latest[Recent] = Latest(lambda: self._opened().recent(), every=1.0, wait=_WAIT_SECONDS)
        self._holdings: Latest[Holdings] = Latest(lambda: self._opened().holdings(), every=_HOLDINGS_SECONDS, wait=0.0)

    def _opened(self) -> FigureReader:
        with self._lock:
            if self._reader is None:
                self._reader = FigureReader(self._root, self._store.catalogue.database, self._store.locks, SystemClock().now)
            return self._reader

    def get(self) -> Figures:
        if not (self._root / "catalogue.sqlite").is_file():
            # Reading must not make one.
            return _on_disk(self._root, None, None)
        holdings = self._holdings.get()
        return _on_disk(self._root, self._recent.get(), holdings)

    def begin(self) -> None:
        """Start to read, without waiting: the first look takes longest."""
        if (self._root / "catalogue.sqlite").is_file():
            self._recent.start()
            self._holdings.start()


def _on_disk(root: Path, recent: Recent | None, holdings: Holdings | None) -> Figures:
    try:
        usage = shutil.disk_usage(root)
    except OSError:
        return Figures(recent=recent, holdings=holdings)
    return Figures(recent=recent, holdings=holdings, free=usage.free, size=usage.total)


def metrics_page(settings: Settings, store: Store, access: Access, served: Callable[[], Served]) -> MetricsPage | None:
    """Return what answers at `/metrics`; None where config.toml says that nothing does."""
    who = settings.metrics or settings.read_access
    if who == "off":
        return None
    from farm.serve.metrics import MetricsPage, registry  # noqa: PLC0415 - only what a server needs

    figures = StoreFigures(store, settings.store)
    figures.begin()
    return MetricsPage(registry(figures.get, served), access if who == "token" else None)


@contextmanager
def open_figures(settings: Settings) -> Iterator[FigureReader]:
    """Yield what reads a store's figures. UsageError without a store, StoreError when its catalogue cannot be opened."""
    if not (settings.store / "catalogue.sqlite").is_file():
        raise UsageError(
            f"{settings.store}: expected a store, found no catalogue in it",
            solution="name it with [store] path, or run `farm build` first",
        )
    store = Store(settings.store, render_project, SystemClock())
    try:
        yield FigureReader(settings.store, store.catalogue.database, store.locks, SystemClock().now)
    finally:
        store.close()


def metrics_text(settings: Settings) -> bytes:
    """Return all that the store tells, in Prometheus' text format. UsageError without a store, StoreError when it cannot be read."""
    from farm.serve.metrics import registry, render_text  # noqa: PLC0415 - only what a command needs

    with open_figures(settings) as reader:
        figures = _on_disk(settings.store, reader.recent(), reader.holdings())
    return render_text(registry(lambda: figures))


def write_metrics(settings: Settings, path: Path) -> None:
    """Put the metrics at `path` for node_exporter's textfile collector, which must never see half a file. StoreError when it cannot."""
    from farm.adapters.durable import replace_file  # noqa: PLC0415 - only what a command needs

    replace_file(path, metrics_text(settings))
    # The collector runs as another user.
    path.chmod(0o644)
