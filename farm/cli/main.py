"""The command line's frame: options of all commands, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from farm import __version__
from farm.cli import render
from farm.errors import FarmError, Interrupted, StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from farm.model.settings import Settings

LogFormat = Literal["text", "json"]
LOG_FORMATS: tuple[LogFormat, ...] = ("text", "json")
EXIT_CODES = """\b
Exit codes:
  0    every wheel is there
  1    some could not be built or cannot be had
  2    usage: the command line, a requirement file or config.toml
  3    unknown: an index did not answer
  4    no Docker engine, or it went away
  5    an image could not be made, or none serves a target
  6    the store cannot be written (disk full, no permission) or is damaged
  7    the requirements have no solution for a target
  70   a fault of farm itself
  130  stopped by Ctrl-C
  141  the reader of the output went away (head, less)
"""
# 128 + SIGPIPE, as a shell reports a program that the signal ended.
READER_GONE = 141


@dataclass(slots=True)
class Context:
    """What every command may need: the environment, read here and nowhere else, and where the configuration is."""

    env: Mapping[str, str]
    config: Path | None
    verbose: bool
    log_format: LogFormat | None = None

    def settings(self) -> Settings:
        """Return the configuration: --config, else FARM_CONFIG, else ./config.toml, else the defaults."""
        from farm.config import load  # noqa: PLC0415 - `farm --help` must not pay for it

        settings = load(self.path(), home=self.home)
        settings = replace(settings, log_format=self.log_format or settings.log_format)
        if settings.log_format == "json":
            from farm.cli.json_log import speak_json  # noqa: PLC0415 - only when asked for

            speak_json()
        return settings

    @property
    def home(self) -> Path:
        return Path(self.env.get("HOME", "/"))

    def path(self) -> Path | None:
        """Return where the configuration is; None where there is none and the defaults hold."""
        path = self.config or (Path(self.env["FARM_CONFIG"]) if self.env.get("FARM_CONFIG") else None)
        if path is None and Path("config.toml").is_file():
            path = Path("config.toml")
        return path


COMMANDS = {
    "check": "farm.cli.check:check",
    "build": "farm.cli.build:build",
    "watch": "farm.cli.watch:watch",
    "resume": "farm.cli.resume:resume",
    "nightly": "farm.cli.nightly:nightly",
    "report": "farm.cli.nightly:report",
    "why": "farm.cli.why:why_command",
    "explain": "farm.cli.explain:explain",
    "targets": "farm.cli.targets:targets",
    "serve": "farm.cli.serve:serve",
    "token": "farm.cli.token:token",
    "images": "farm.cli.images:images",
    "doctor": "farm.cli.doctor:doctor",
    "backfill": "farm.cli.backfill:backfill",
    "campaign": "farm.cli.campaign:campaign",
    "health": "farm.cli.health:health",
    "lock": "farm.cli.lock:lock",
    "seed": "farm.cli.seed:seed",
    "client": "farm.cli.client:client",
    "fsck": "farm.cli.fsck:fsck",
    "gc": "farm.cli.gc:gc",
    "key": "farm.cli.key:key",
    "verify": "farm.cli.verify:verify",
    "export": "farm.cli.export:export",
    "recipe": "farm.cli.recipe:recipe",
    "metrics": "farm.cli.metrics:metrics",
    "misses": "farm.cli.misses:misses",
    "log": "farm.cli.history:log",
    "repro": "farm.cli.repro:repro",
    "status": "farm.cli.history:status",
}


class Lazy(click.Group):
    """Imports a command only when it is run, so that `farm build` on an unchanged input starts at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        import importlib  # noqa: PLC0415 - only here

        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib  # noqa: PLC0415 - only on a mistake

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"; perhaps you meant {near[0]!r}" if near else ""
            raise click.UsageError(f"{error.message.rstrip('.')}{hint}", ctx) from error


@click.group(cls=Lazy, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="farm")
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help="Default: $FARM_CONFIG, then ./config.toml, else built-in."
)
@click.option("-v", "--verbose", is_flag=True, help="Show everything, also the builds' own output.")
@click.option(
    "--log-format", type=click.Choice(LOG_FORMATS),
    help="text for people, or json: an object on each line of stderr. Default: $FARM_LOG_FORMAT, then config.toml's log.format.",
)  # fmt: skip
@click.option("--child-of", type=int, hidden=True, help="The farm that runs this one, and without which it ends.")
@click.pass_context
def cli(context: click.Context, config: Path | None, log_format: LogFormat | None, child_of: int | None, *, verbose: bool) -> None:
    """farm builds the wheels that your requirements lack, once, proves them, and serves them.

    `farm build -r requirements.txt` is the main job; `farm serve` is the index for pip and uv.
    """
    if child_of is not None:
        from farm.wire.following import stay_with  # noqa: PLC0415 - only in a server's child

        stay_with(child_of)
    said = log_format or _log_format(os.environ.get("FARM_LOG_FORMAT", ""))
    if said == "json":
        from farm.cli.json_log import speak_json  # noqa: PLC0415 - only when asked for

        speak_json()
    context.obj = Context(env=dict(os.environ), config=config, verbose=verbose, log_format=said)


def _log_format(text: str) -> LogFormat | None:
    found = next((known for known in LOG_FORMATS if known == text), None)
    if text and found is None:
        reason = f"$FARM_LOG_FORMAT: expected {' or '.join(LOG_FORMATS)}, found {text!r}"
        raise UsageError(reason, solution="set it to one of these, or unset it")
    return found


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return the exit code. A bug keeps its traceback; everything else is a message and a hint."""
    try:
        return _run(arguments)
    finally:
        json_log = sys.modules.get("farm.cli.json_log")
        if json_log is not None:
            json_log.speak_plainly()


def _run(arguments: Sequence[str]) -> int:
    failure: FarmError
    try:
        code = cli.main(list(arguments), prog_name="farm", standalone_mode=False)
    except click.exceptions.Abort:
        failure = Interrupted("stopped", solution="run the same command again: it carries on where it stopped")
    except click.ClickException as error:
        error.show()
        return UsageError.exit_code
    except FarmError as error:
        failure = error
    except render.ReaderGone as gone:
        # Python flushes once more at exit, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), gone.descriptor)
        return READER_GONE
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        failure = StoreError(f"{error.strerror or error}{where}", solution="check the disk's room and permissions")
    except Exception:  # noqa: BLE001 - the outermost loop; the traceback is kept
        render.err(traceback.format_exc().rstrip())
        failure = FarmError("a fault of farm itself", solution="report it with the traceback above")
    else:
        return code if isinstance(code, int) else 0
    return _fail(failure)


def _fail(error: FarmError) -> int:
    render.err(render.failure(error.reason, error.solution))
    return error.exit_code
