"""`farm nightly`: the one line in cron. And `farm report`: what a night said."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farm.cli import render
from farm.cli.interrupts import Interrupts
from farm.cli.progress import Talk
from farm.errors import StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from farm.cli.main import Context
    from farm.model.night import Night
    from farm.ports import Progress
    from farm.wire import Farm
    from farm.wire.night import Busy
    from farm.wire.schedule import Installed, Kind

_SUFFIXES = (".html", ".md", ".json")
_FILE = click.Path(path_type=Path, dir_okay=False)


class _Duration(click.ParamType[float]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from farm.config.values import Wrong, wait  # noqa: PLC0415 - only where it is given

        try:
            return wait(0 if value in {0, "0"} else value)
        except Wrong:
            self.fail(f"expected a duration such as 90m or 3h, or 0 for no bound, found {value!r}", param, ctx)


DURATION = _Duration()
"""An option's type: seconds of "90m", "3h", or 0."""


class _Clock(click.ParamType[tuple[int, int]]):
    name = "HH:MM"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", str(value))
        if found is None:
            self.fail(f"expected a time of the day such as 02:30, found {value!r}", param, ctx)
        return int(found[1]), int(found[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The command line of one `farm nightly`."""

    budget: float | None
    dry_run: bool
    as_json: bool
    reports: tuple[Path, ...]
    jobs: int | None
    show: str | None
    install: Kind | None
    uninstall: Kind | None
    at: tuple[int, int]
    system: bool

    def options(self) -> tuple[str, ...]:
        """Return what a line in cron says again."""
        found: list[str] = []
        if self.budget is not None:
            found += ["--budget", _said(self.budget)]
        if self.jobs:
            found += ["--jobs", str(self.jobs)]
        for path in self.reports:
            found += ["--report", str(path.absolute())]
        return tuple(found)


def _said(seconds: float) -> str:
    """Return a duration in the largest unit that it is a whole number of, as people write it."""
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s" if seconds else "0"


@click.command()
@click.option("--budget", type=DURATION, metavar="TIME", help="Build for so long at most, e.g. 3h (config.toml: nightly.budget).")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing. With --install: what would be written.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, whatever happened (docs/nightly.md).")
@click.option("--report", "reports", multiple=True, type=_FILE, metavar="FILE",
              help="Write the report there too: .html, .md or .json. Repeatable.")
@click.option("--jobs", type=click.IntRange(1, 1024), help="Builds side by side (config.toml: build.jobs).")
@click.option("--show", is_flag=False, flag_value="", metavar="[NIGHT]", help="Print the report of a night, by default the last one.")
@click.option("--install", type=click.Choice(["cron", "systemd"]), help="Have this run every night, with these options.")
@click.option("--uninstall", type=click.Choice(["cron", "systemd"]), help="Take away what --install wrote.")
@click.option("--at", type=_Clock(), default="02:30", show_default=True, help="When, with --install.")
@click.option("--system", is_flag=True, help="With systemd: units of the machine, not of this user.")
@click.pass_obj
def nightly(context: Context, /, **options: Any) -> int:
    """Look at every watched requirement set, build what is missing, retire what upstream has now, collect garbage, and report.

    The one line in cron: safe to start twice, to kill, to miss. Where nothing has changed it says nothing (config.toml:
    nightly.report), and sends nothing. Where another one runs already, it ends at once with exit code 0.
    """
    given = Given(**options)
    if given.install or given.uninstall:
        return _schedule(context, given)
    if given.show is not None:
        return _show(context, given.show, "json" if given.as_json else "text")
    _check(given.reports)
    return _run(context, given)


@click.command()
@click.argument("night", default="")
@click.option("--format", "form", type=click.Choice(["text", "md", "html", "json"]), default="text", show_default=True,
              help="In which form.")
@click.option("--list", "listed", is_flag=True, help="Only list the last nights.")
@click.pass_obj
def report(context: Context, night: str, form: str, *, listed: bool) -> int:
    """Print what `farm nightly` reported: of the last NIGHT, or of the one whose id begins so."""
    return _list(context) if listed else _show(context, night, form)


def _check(paths: Sequence[Path]) -> None:
    """Refuse at once what would go wrong only after hours."""
    for path in paths:
        if path.suffix not in _SUFFIXES:
            raise UsageError(f"--report {path}: expected a file name that ends in {', '.join(_SUFFIXES)}", solution="name it so")
        if not path.absolute().parent.is_dir():
            raise UsageError(f"--report {path}: expected its folder to be there, found none", solution=f"make {path.parent}")


def _run(context: Context, given: Given) -> int:
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks
    from farm.wire.night import Asked, Busy, run_night  # noqa: PLC0415 - the same

    settings = context.settings()
    if given.jobs:
        settings = replace(settings, jobs=given.jobs)
    budget = settings.night_budget if given.budget is None else given.budget
    asked = Asked(budget=budget or None, grace=settings.night_grace, dry_run=given.dry_run)
    with Farm(settings, context.env) as farm:
        render.bind(run=farm.run)
        found = run_night(farm, asked, staged(farm, verbose=context.verbose))
        if isinstance(found, Busy):
            return _busy(found, given, verbose=context.verbose)
        return _told(farm, found, given)


def staged(farm: Farm, *, verbose: bool, always: bool = False) -> Any:
    """Return how the night talks: not at all where nobody looks on, as cron would send it by mail; `always` says otherwise."""
    from farm.wire.assembly import Silent  # noqa: PLC0415 - after the cheap checks
    from farm.wire.night import Stage  # noqa: PLC0415 - the same

    interrupts = Interrupts(farm)

    @contextmanager
    def talking() -> Iterator[Progress]:
        if not (always or verbose or render.structured() or sys.stderr.isatty()):
            yield Silent()
            return
        with Talk(sys.stderr, verbose=verbose) as talk:
            yield talk

    @contextmanager
    def looking() -> Iterator[Progress]:
        with interrupts.surveying(), talking() as progress:
            yield progress

    @contextmanager
    def building() -> Iterator[Progress]:
        with interrupts.building(), talking() as progress:
            yield progress

    return Stage(looking=looking, building=building)


def _busy(busy: Busy, given: Given, *, verbose: bool) -> int:
    told = f"farm nightly runs already: process {busy.pid}, since {busy.since}" if busy.pid else "farm nightly runs already"
    if given.as_json:
        import json  # noqa: PLC0415 - only here

        render.out(json.dumps({"schema": 1, "exit_code": 0, "running": {"pid": busy.pid, "since": busy.since}}))
    elif verbose or sys.stderr.isatty():
        render.err(f"{told}; nothing was done")
    return 0


def _told(farm: Farm, night: Night, given: Given) -> int:
    worth = night.worth(farm.settings.night_report) or night.dry_run
    if worth and not night.dry_run:
        from farm.wire.delivery import deliver  # noqa: PLC0415 - seldom needed
        from farm.wire.night import keep  # noqa: PLC0415 - the same

        night = deliver(farm, night)
        if night.undelivered:
            night = keep(farm, night)
    broken = _write(night, given.reports, farm.settings.public_url)
    if given.as_json:
        render.out(formatted(night, "json", farm.settings.public_url))
    elif worth:
        render.out(formatted(night, "text", farm.settings.public_url))
    elif sys.stdout.isatty():
        render.err("nothing has changed since the last night; `farm report` shows this one all the same")
    for fault in night.undelivered:
        render.err(render.failure(f"{fault.subject}: {fault.text}", "the report itself is kept: `farm report`"))
    if broken is not None:
        raise broken
    return night.code


def formatted(night: Night, form: str, link: str) -> str:
    """Return a night's report as "text", "md", "html" or "json"."""
    if form == "json":
        from farm.model.night import to_text  # noqa: PLC0415 - only what is asked for

        return to_text(night)
    if form == "html":
        from farm.serve.night_html import page  # noqa: PLC0415 - the same

        return page(night, link).rstrip("\n")
    from farm.serve.night_text import markdown, plain  # noqa: PLC0415 - the same

    return markdown(night).rstrip("\n") if form == "md" else plain(night)


def _write(night: Night, paths: Sequence[Path], link: str) -> StoreError | None:
    """Write the reports; one that cannot be written is told when the rest is done."""
    broken = None
    for path in paths:
        try:
            path.write_text(f"{formatted(night, path.suffix[1:], link)}\n", encoding="utf-8")
        except OSError as error:
            broken = StoreError(f"--report {path}: {error.strerror or error}", solution="choose another file, or free space")
    return broken


def _show(context: Context, prefix: str, form: str) -> int:
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks
    from farm.wire.night import past  # noqa: PLC0415 - the same

    with Farm(context.settings(), context.env) as farm:
        # Only one can be running.
        found = past(farm, prefix, 30 if prefix else 2)
        link = farm.settings.public_url
    if not prefix:
        found = tuple(night for night in found if night.state != "running")[:1]
    if not found:
        what = f"no night with an id that begins with {prefix!r}" if prefix else "no night yet"
        raise UsageError(what, solution="`farm report --list` lists them, `farm nightly` makes one")
    if len(found) > 1:
        ids = ", ".join(night.id for night in found[:5])
        raise UsageError(f"{len(found)} nights begin with {prefix!r}: {ids}", solution="say more of it")
    render.out(formatted(found[0], form, link))
    return 0


def _list(context: Context) -> int:
    from farm.serve.night_text import duration, headline  # noqa: PLC0415 - only what is asked for
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks
    from farm.wire.night import past  # noqa: PLC0415 - the same

    with Farm(context.settings(), context.env) as farm:
        found = past(farm, "")
    if not found:
        render.err("no nights yet: `farm nightly` makes one")
        return 0
    rows = [(n.id, n.started, n.state, duration(n.seconds), headline(n).removeprefix("farm nightly: ")) for n in found]
    render.out(render.table(("night", "begun", "state", "time", "what"), rows))
    return 0


def _schedule(context: Context, given: Given) -> int:
    from farm.wire.schedule import Wish, install, uninstall  # noqa: PLC0415 - seldom needed

    if given.install and given.uninstall:
        raise UsageError("expected --install or --uninstall, found both", solution="leave one out")
    kind = given.install or given.uninstall
    assert kind is not None
    if given.system and kind == "cron":
        raise UsageError("--system is for systemd", solution="leave it out: cron has a table for each user")
    _check(given.reports)
    # What it would say every night is worth saying now.
    settings = context.settings()
    wish = Wish(
        kind=kind, options=given.options(), hour=given.at[0], minute=given.at[1], config=context.path(), system=given.system
    )
    if given.install:
        _tell_installed(install(wish, context.env, dry_run=given.dry_run))
        for key, place in (("nightly.webhook", settings.night_webhook), ("nightly.mail.password", settings.mail_password)):
            if place.startswith("env:"):
                render.err(f"note: {key} is in the variable {place[4:]}, which {kind} does not set: put it into a file (file:PATH)")
    else:
        _tell_installed(uninstall(wish, context.env, dry_run=given.dry_run))
    return 0


def _tell_installed(done: Installed) -> None:
    if done.by_hand:
        render.err(done.by_hand)
    for where, text in done.texts:
        render.out(f"# {where}\n{text.rstrip()}")
    for note in done.notes:
        render.err(f"note: {note}")
