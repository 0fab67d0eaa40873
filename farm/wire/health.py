"""What `farm health` looks at: whether the farm does its work, told in a moment and without asking any index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farm.adapters.clock import SystemClock
from farm.adapters.durable import writing
from farm.errors import StoreError
from farm.model.finding import Finding
from farm.wire.assembly import Farm
from farm.wire.doctor import engine, guarded, store
from farm.wire.metrics import open_figures

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from farm.model.figures import Night
    from farm.model.settings import Settings

_RERUN = "look at `farm nightly`'s output and report, then run it again"
# With these a night did its work: everything is there, or some packages cannot be built.
_WORKED = (0, 1)


def examine_health(settings: Settings, env: Mapping[str, str], max_age: timedelta | None, *, ask_engine: bool) -> tuple[Finding, ...]:
    """Return what was found: store, catalogue, last night; the engine if asked. `max_age` None: a night need never have run."""
    found = [guarded("store", lambda: _writable(settings)), guarded("night", lambda: _night(settings, max_age))]
    if ask_engine:
        with Farm(settings, env) as farm:
            found.append(guarded("engine", lambda: engine(farm)))
    return tuple(found)


def _writable(settings: Settings) -> Finding:
    root = settings.store
    if not (root / "catalogue.sqlite").is_file():
        fix = "name the store with [store] path, or make one with `farm build`"
        return Finding(subject="store", state="fault", found=f"{root}: expected a store, found no catalogue in it", fix=fix)
    found = store(root)
    if found.state != "fault":
        # Rights alone do not tell of a full or read-only disk.
        with writing(root / "staging") as (file, _):
            file.write(b"farm health\n")
    return found


def _night(settings: Settings, max_age: timedelta | None) -> Finding:
    try:
        with open_figures(settings) as figures:
            newest, last = figures.nights()
    except StoreError as error:
        return Finding(subject="catalogue", state="fault", found=error.reason, fix=error.solution)
    if newest is None:
        wanted = max_age is not None
        fix = "`farm nightly --install cron` or `systemd` has it run each night" if wanted else ""
        return Finding(subject="night", state="fault" if wanted else "ok", found="no nightly run so far", fix=fix)
    return _judged(newest, last, max_age)


def _judged(newest: Night, last: Night | None, max_age: timedelta | None) -> Finding:
    now = SystemClock().now()
    if newest.ended is None and max_age is not None and now - newest.started > max_age:
        text = f"it has been running since {newest.started:%Y-%m-%d %H:%M} UTC, longer than {_hours(max_age)}"
        return Finding(subject="night", state="fault", found=text, fix="if its process is gone, run `farm nightly` again")
    if last is None or last.ended is None:
        return Finding(subject="night", state="ok", found=f"the first one has been running since {newest.started:%Y-%m-%d %H:%M} UTC")
    text = f"ended {last.ended:%Y-%m-%d %H:%M} UTC"
    if last.state not in {"ended", "stopped"} or (last.exit_code or 0) not in _WORKED:
        code = "" if last.exit_code is None else f" with exit code {last.exit_code}"
        return Finding(subject="night", state="fault", found=f"{text}, {last.state}{code}", fix=_RERUN)
    # One that is under way now says that nights run.
    if max_age is not None and newest.ended is not None and now - last.ended > max_age:
        return Finding(subject="night", state="fault", found=f"{text}, longer ago than {_hours(max_age)}", fix=_RERUN)
    counts = ", ".join(f"{count} {what}" for what, count in (("built", last.built), ("failing", last.failed)) if count is not None)
    return Finding(subject="night", state="ok", found=f"{text}; {counts}" if counts else text)


def _hours(age: timedelta) -> str:
    return f"{age.total_seconds() / 3600:g} h"
