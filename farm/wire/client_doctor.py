"""What `farm doctor --client` looks at: the traps by which pip and uv compile although the farm has the wheel."""

from __future__ import annotations

import netrc
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from farm.adapters.client_pip import ClientPip
from farm.adapters.client_uv import uv_facts
from farm.adapters.farm_index import farm_root
from farm.adapters.interpreter import ask_host
from farm.errors import FarmError, UpstreamError, UsageError
from farm.model.finding import Finding
from farm.model.interpreter import target_of
from farm.wire import client_farm, client_traps
from farm.wire.seed import farm_wheels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farm.adapters.client_pip import Choice, PipFacts
    from farm.adapters.client_uv import UvFacts
    from farm.model.package import NormalizedName, Project
    from farm.model.settings import Settings
    from farm.model.target import Target
    from farm.wire.seed import Wheels

# Beyond so many projects the pages are not read one by one: a farm for many teams has thousands.
_MOST_PROJECTS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The command line of `farm doctor --client`. `farm` is the farm's URL, None where it is not to be asked."""

    python: str
    farm: str | None = None
    requirements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Netrc:
    """~/.netrc: hosts with their users, "" for `default`; `fault` is why it cannot be read."""

    path: Path
    mode: int
    users: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """All that is known of a client before the farm is asked."""

    pip: PipFacts
    uv: UvFacts | None
    target: Target | None
    netrc: Netrc | None
    env: Mapping[str, str]
    root: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelves:
    """What the farm has of the projects that matter, and what this pip would take of them."""

    pages: Mapping[NormalizedName, Project]
    choices: tuple[Choice, ...]
    skipped: int = 0


def examine_client(settings: Settings, env: Mapping[str, str], question: Question) -> tuple[Finding, ...]:
    """Return the findings about a client. UsageError when its interpreter has no pip that can be asked."""
    root = farm_root(question.farm) if question.farm else None
    pip = ClientPip(question.python, env)
    client = Client(
        pip=pip.settings(),
        uv=uv_facts(env, Path.cwd()),
        target=_target(question.python, env),
        netrc=_netrc(env),
        env=env,
        root=root,
    )
    found = [Finding(subject="pip", state="ok", found=f"{client.pip.pip} of {client.pip.python}")]
    if client.uv is not None:
        found.append(
            Finding(subject="uv", state="ok", found=client.uv.version or "there, but it does not tell its version")
        )
    for check in client_traps.CHECKS:
        found += check(client)
    if question.farm:
        found += _farm(settings, client, pip, question)
    return tuple(found)


def _farm(settings: Settings, client: Client, pip: ClientPip, question: Question) -> list[Finding]:
    try:
        with farm_wheels(settings, client.env, client.pip, question.farm) as wheels:
            shelves = _shelves(wheels, pip, question)
    except (UpstreamError, UsageError) as error:
        return [client_farm.unreachable(error.reason, error.solution)]
    found = [Finding(subject="farm", state="ok", found=f"{len(shelves.pages)} projects looked at")]
    if shelves.skipped:
        text = f"{shelves.skipped} further projects of the farm were not looked at"
        found.append(
            Finding(subject="farm", state="warning", found=text, fix="name those that matter: -r requirements.txt")
        )
    for check in client_farm.CHECKS:
        found += check(client, shelves)
    return found


def _shelves(wheels: Wheels, pip: ClientPip, question: Question) -> Shelves:
    if question.requirements:
        choices = pip.choose(tuple(part for name in question.requirements for part in ("-r", name))).rows
        wanted = tuple(
            dict.fromkeys(client_farm.normalized(choice.name) for choice in choices if choice.state != "direct")
        )
        names = tuple(name for name in wheels.names() if name in set(wanted))
        skipped = 0
    else:
        every = wheels.names()
        names, skipped = every[:_MOST_PROJECTS], len(every[_MOST_PROJECTS:])
        choices = pip.choose(names).rows if names else ()
    pages = {name: page for name in names if (page := wheels.project(name)) is not None}
    return Shelves(pages=pages, choices=choices, skipped=skipped)


def _target(python: str, env: Mapping[str, str]) -> Target | None:
    """An interpreter that no target is like can still be a client."""
    with suppress(FarmError):
        return target_of(ask_host(python, dict(env)))
    return None


def _netrc(env: Mapping[str, str]) -> Netrc | None:
    path = Path(env["NETRC"]) if env.get("NETRC") else Path(env.get("HOME", "/")) / ".netrc"
    if not path.is_file():
        return None
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        hosts = netrc.netrc(str(path)).hosts
    except (OSError, ValueError, netrc.NetrcParseError) as error:
        return Netrc(path=path, mode=0, fault=str(error))
    return Netrc(
        path=path, mode=mode, users={"" if host == "default" else host: entry[0] for host, entry in hosts.items()}
    )
