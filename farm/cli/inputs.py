"""The options of `farm build`, `check` and `why` that say what is asked for, declared once: input files, targets, the client."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from farm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from farm.cli.main import Context
    from farm.model.lock import Choice
    from farm.model.settings import Settings

_FILES = (
    click.option("-r", "--requirement", "requirements", multiple=True, metavar="FILE",
                 help="Requirements as pip's, a lock, pyproject.toml, or - (docs/inputs.md). Repeatable."),
    click.option("-c", "--constraint", "constraints", multiple=True, metavar="FILE",
                 help="A constraints file, as pip's. Repeatable."),
    click.option("--extra", "extras", multiple=True, metavar="NAME", help="An extra of a lock or pyproject.toml. Repeatable."),
    click.option("--group", "groups", multiple=True, metavar="NAME",
                 help="A dependency group of a lock or pyproject.toml. Repeatable."),
    click.option("--default-groups/--no-default-groups", default=True,
                 help="Whether a lock's groups count that its tool installs unasked. Default: they do."),
)  # fmt: skip
_CLIENTS = (
    click.option("--target", "targets", multiple=True, metavar="T",
                 help="A kind of client, e.g. cp312-manylinux_2_28_x86_64. Repeatable. Default: those of config.toml."),
    click.option("--client-pip", metavar="VERSION", help="The oldest pip that installs, e.g. 20.2 (config.toml: client-pip)."),
)  # fmt: skip
refresh_option = click.option("--refresh", is_flag=True, help="Ask the upstream index again, whatever is remembered.")
_ARGUMENT = click.argument("files", nargs=-1, metavar="[FILE]...")


def file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Declare the options that become `Files`."""
    for option in reversed(_FILES):
        command = option(command)
    return command


def input_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Declare the options and the argument that become `Inputs`."""
    for option in reversed((*_CLIENTS, refresh_option, _ARGUMENT)):
        command = option(command)
    return file_options(command)


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Input files, and which optional parts of them are wanted."""

    requirements: tuple[str, ...]
    constraints: tuple[str, ...]
    extras: tuple[str, ...]
    groups: tuple[str, ...]
    default_groups: bool

    @property
    def choice(self) -> Choice | None:
        """None: every input's own default."""
        if not (self.extras or self.groups) and self.default_groups:
            return None
        from packaging.utils import canonicalize_name  # noqa: PLC0415 - only when asked for

        from farm.model.lock import Choice  # noqa: PLC0415 - the same

        extras, groups = (frozenset(canonicalize_name(name) for name in names) for names in (self.extras, self.groups))
        return Choice(extras=extras, groups=groups, default_groups=self.default_groups)

    def check_constraints(self) -> None:
        """UsageError for constraints from standard input: it holds one file."""
        if "-" in self.constraints:
            raise UsageError("-c: expected a file, found -", solution="give the constraints as a file; -r - reads standard input")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs(Files):
    """What `farm build` and `farm check` are asked about."""

    files: tuple[str, ...]
    targets: tuple[str, ...]
    client_pip: str | None
    refresh: bool

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.requirements + self.files))

    def check(self, command: str) -> None:
        """UsageError where there is nothing to read, before anything is loaded."""
        if not self.inputs:
            raise UsageError("no requirements: expected at least one -r FILE", solution=f"farm {command} -r requirements.txt")
        self.check_constraints()

    def nothing(self) -> str:
        """Return what to say where no input asks for anything."""
        return f"{', '.join(self.inputs)}: no requirement for these targets, so there is nothing to look for"

    def settings(self, context: Context) -> Settings:
        """Return the configuration as the command line changes it. UsageError for an unknown target or pip."""
        settings = context.settings()
        if self.client_pip:
            from farm.model.client import parse_pip  # noqa: PLC0415 - only when asked for

            settings = replace(settings, client_pip=parse_pip(self.client_pip))
        if self.targets:
            from farm.model.target import parse_target  # noqa: PLC0415 - the same

            settings = replace(settings, targets=tuple(dict.fromkeys(parse_target(name) for name in self.targets)))
        return settings
