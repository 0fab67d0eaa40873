"""What `farm serve` does about demand: it counts, and with `demand.build = "now"` builds what clients were about to compile."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from farm.adapters.clock import SystemClock
from farm.adapters.durable import replace_file, storing
from farm.adapters.process import Command, end_with, run
from farm.engine.waiting import Pace, Waiting, Wish
from farm.errors import FarmError
from farm.model.demand_seen import Miss
from farm.survey.census import wanted
from farm.wire.counting import Counting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from farm.adapters.store import Store
    from farm.model.demand_seen import Seen
    from farm.model.settings import Settings
    from farm.ports import Clock
    from farm.serve.tally import Tally

_log = logging.getLogger("farm.demand")
_LOOK_SECONDS = 0.5
_STOP_SECONDS = 15.0
_GRACE = 10.0
_NICE = "10"
_SOME_FAILED = 1
_BUILT_IN = "built-in defaults"


class Following:
    """Ends with the server: counts are kept, and a build that runs is stopped."""

    def __init__(self, counting: Counting, builder: DemandBuilder | None) -> None:
        self._counting = counting
        self._builder = builder

    def close(self) -> None:
        if self._builder is not None:
            self._builder.stop()
        self._counting.close()
        if self._builder is not None:
            self._builder.close()


def follow_demand(settings: Settings, env: Mapping[str, str], store: Store, tally: Tally) -> Following:
    """Begin to count what a server answers, and to build for it where config.toml says so."""
    builder = None
    if settings.count_demand and settings.build_demand == "now":
        builder = DemandBuilder(settings, child_build(settings, env), SystemClock())
        builder.start()
    counting = Counting(tally, store if settings.count_demand else None, SystemClock(), builder.told if builder else None)
    counting.start()
    return Following(counting, builder)


class DemandBuilder:
    """Builds what clients fetched sdists of, one after the other, in a thread of its own. Only for configured targets."""

    def __init__(self, settings: Settings, build: Callable[[Wish, Event], bool], clock: Clock, pace: Pace | None = None) -> None:
        """`build` builds one wish and tells whether its wheel is there now; it ends early when the event is set. FarmError."""
        self._targets = settings.targets
        self._build = build
        self._clock = clock
        self._waiting = Waiting(pace)
        self._lock = Lock()
        self._stop = Event()
        self._thread = Thread(target=self._run, name="farm-demand", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Tell the build that runs, if any, to end, and begin none; do not wait."""
        self._stop.set()

    def close(self) -> None:
        """Stop the build that runs, if any, and end."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def told(self, seen: Seen) -> None:
        """Take in what clients fetched."""
        now = self._clock.now()
        misses = [
            Miss(name=key.name, version=key.version, target=key.target, count=count, last=now) for key, count in seen.misses.items()
        ]
        with self._lock:
            for (name, version), counts in wanted(misses, self._targets).items():
                for target, count in counts.items():
                    self._waiting.ask(Wish(name=name, version=version, target=target), count, self._clock.monotonic())

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            with self._lock:
                found = self._waiting.next(self._clock.monotonic())
            if found is not None:
                self._carry_out(*found)

    def _carry_out(self, wish: Wish, count: int) -> None:
        _log.warning("building %s: clients compiled it %d times", wish, count)
        began, well = self._clock.monotonic(), False
        try:
            well = self._build(wish, self._stop)
        except FarmError as error:
            _log.warning("%s could not be built: %s; %s", wish, error.reason, error.solution)
        except Exception:  # noqa: BLE001 - whatever it is, the next wish is another one
            _log.exception("%s could not be built", wish)
        if self._stop.is_set():
            return
        now = self._clock.monotonic()
        with self._lock:
            rest = self._waiting.ended(wish, well=well, now=now)
        state = "is there" if well else "is not there"
        _log.warning("%s %s after %.0f s; on demand not again for %.0f min", wish, state, now - began, rest / 60)


def child_build(settings: Settings, env: Mapping[str, str]) -> Callable[[Wish, Event], bool]:
    """Return what runs `farm build` in a child process with a low priority, its output in a file of the store."""
    folder = settings.store.absolute() / "demand"
    nice = (found, "-n", _NICE) if (found := shutil.which("nice", path=env.get("PATH"))) else ()
    config = () if settings.source == _BUILT_IN else ("--config", settings.source)

    def build(wish: Wish, stop: Event) -> bool:
        stem = f"{wish.name}-{wish.version}-{wish.target}"
        with storing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / f"{stem}.txt", f"{wish.requirement}\n".encode())
        log = folder / f"{stem}.log"
        with storing(log):
            log.unlink(missing_ok=True)
        asked = ("build", "-r", str(folder / f"{stem}.txt"), "--target", wish.target)
        argv = (*nice, sys.executable, "-m", "farm", "--child-of", str(os.getpid()), *config, *asked)
        ended = run(Command(argv=argv, env=env, log=log, cancel=stop, grace=_GRACE))
        if not ended.ok and not ended.cancelled:
            _told(wish, ended.returncode, log)
        return ended.ok

    return build


def stay_with(server: int) -> None:
    """Have this process end with the server that started it, also when that is killed: its next one starts builds of its own."""
    end_with(server)


def _told(wish: Wish, code: int, log: Path) -> None:
    why = "some of it could not be built" if code == _SOME_FAILED else f"exit code {code}"
    _log.warning("%s: %s; see %s", wish, why, log)
