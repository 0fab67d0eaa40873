"""`farm nightly --install`: what is put into cron's table or given to systemd, and what is said where there is neither."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from farm.adapters.scheduling import Crontab, Units, program
from farm.errors import UsageError
from farm.model.schedule import Entry, cron_line, service, timer, with_line, without_line

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["cron", "systemd"]

_NEEDED = (
    "PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC", "DOCKER_HOST",
    "PIP_CONFIG_FILE", "PIP_CERT", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL",
    "PIP_TRUSTED_HOST", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "XDG_CONFIG_HOME",
)  # fmt: skip
# Debian's cron takes no longer command (MAX_COMMAND of its cron.h).
_LONGEST = 998


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be installed: `options` of `farm nightly`, its time, and the configuration (None: none is there)."""

    kind: Kind
    options: tuple[str, ...]
    hour: int
    minute: int
    config: Path | None
    system: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What was written, or would be, by where. `by_hand` tells that it was not, as a program is missing; `notes` are for people."""

    texts: tuple[tuple[str, str], ...] = ()
    by_hand: str = ""
    notes: tuple[str, ...] = ()


def install(wish: Wish, env: Mapping[str, str], *, dry_run: bool) -> Installed:
    """Have `farm nightly` run every night, in the place of what an earlier call wrote. UsageError when cron or systemd refuses."""
    entry, left_out = _entry(wish, env)
    notes = tuple(f"{name} has credentials and was left out: put them into pip's configuration file or ~/.netrc" for name in left_out)
    if wish.kind == "cron":
        return _install_cron(entry, env, notes, dry_run=dry_run)
    return _install_units(entry, env, notes, dry_run=dry_run)


def uninstall(wish: Wish, env: Mapping[str, str], *, dry_run: bool) -> Installed:
    """Take away what `install` wrote for this configuration. Where there is nothing, nothing happens, and that is noted."""
    entry, _ = _entry(wish, env)
    if wish.kind == "cron":
        return _uninstall_cron(entry, env, dry_run=dry_run)
    return _uninstall_units(entry, env, dry_run=dry_run)


def _entry(wish: Wish, env: Mapping[str, str]) -> tuple[Entry, tuple[str, ...]]:
    config = str(wish.config.resolve()) if wish.config else ""
    argv = (sys.executable, "-m", "farm", *(("--config", config) if config else ()), "nightly", *wish.options)
    for word in argv:
        if not word.isprintable():
            raise UsageError(f"expected a path that fits on a line, found {word!r}", solution="give the file or the folder another name")
    # systemd.exec(5): units of the machine have no home unless they name a user.
    needed = (*_NEEDED, "HOME") if wish.system else _NEEDED
    given = {name: env[name] for name in needed if env.get(name)}
    # Beside an installed farm nothing of this is needed.
    given |= {"PYTHONPATH": env["PYTHONPATH"]} if env.get("PYTHONPATH") else {}
    secret = tuple(name for name, value in given.items() if _has_credentials(name, value))
    environment = tuple((name, value) for name, value in given.items() if name not in secret)
    entry = Entry(
        argv=argv, hour=wish.hour, minute=wish.minute, environment=environment, config=config or "the defaults", system=wish.system
    )
    return entry, secret


def _has_credentials(name: str, value: str) -> bool:
    """A URL's user is one too, as tokens are written so; but not of ssh://, where it is an account. Proxies may lack their scheme."""
    words = [word if "://" in word else f"//{word}" for word in value.split() if "://" in word or name.lower().endswith("_proxy")]
    return any(_is_secret(word) for word in words)


def _is_secret(url: str) -> bool:
    try:
        found = urlsplit(url)
    except ValueError:
        # Nobody knows what is in it.
        return True
    return found.password is not None if found.scheme == "ssh" else "@" in found.netloc


def _install_cron(entry: Entry, env: Mapping[str, str], notes: tuple[str, ...], *, dry_run: bool) -> Installed:
    line = cron_line(entry)
    path = program("crontab", env)
    if path is None:
        by_hand = "no program crontab on PATH: add this line to cron's table by hand"
        return Installed(texts=(("crontab", f"{line}\n"),), by_hand=by_hand, notes=notes)
    if len(line) > _LONGEST:
        notes = (*notes, f"the line has {len(line)} characters: some crons take {_LONGEST} at most, and then say so")
    table = Crontab(path, env)
    if not dry_run:
        table.write(with_line(table.read(), entry))
    return Installed(texts=(("crontab", f"{line}\n"),), notes=notes)


def _uninstall_cron(entry: Entry, env: Mapping[str, str], *, dry_run: bool) -> Installed:
    path = program("crontab", env)
    if path is None:
        return Installed(by_hand=f"no program crontab on PATH: remove the line that ends with {entry.mark!r} by hand")
    crontab = Crontab(path, env)
    table = crontab.read()
    left = without_line(table, entry.mark)
    if left == table:
        return Installed(notes=("nothing to remove: cron's table has no line for this configuration",))
    if not dry_run:
        crontab.write(left)
    return Installed(notes=("removed from cron's table",))


def _units(entry: Entry, env: Mapping[str, str]) -> tuple[Path, str, Units | None]:
    """Return the folder, the name for this configuration, and what writes there: None without systemctl."""
    home = Path(env.get("XDG_CONFIG_HOME") or Path(env.get("HOME", "/")) / ".config")
    folder = Path("/etc/systemd/system") if entry.system else home / "systemd" / "user"
    path = program("systemctl", env)
    units = None if path is None else Units(folder, path, env, system=entry.system)
    names = ("farm-nightly", f"farm-nightly-{hashlib.sha256(entry.config.encode()).hexdigest()[:8]}")
    marks = {name: units.mark(f"{name}.service") if units else None for name in names}
    # Its own, else one that is free: the short name may be another configuration's.
    return folder, next((name for wanted in (entry.mark, None) for name in names if marks[name] == wanted), names[1]), units


def _install_units(entry: Entry, env: Mapping[str, str], notes: tuple[str, ...], *, dry_run: bool) -> Installed:
    folder, name, units = _units(entry, env)
    texts = {f"{name}.service": service(entry), f"{name}.timer": timer(entry)}
    shown = tuple((str(folder / unit), text) for unit, text in texts.items())
    if units is None:
        by_hand = "no program systemctl on PATH: write these files by hand, then `systemctl enable --now` the timer"
        return Installed(texts=shown, by_hand=by_hand, notes=notes)
    if not entry.system:
        notes = (*notes, f"so that it runs while {env.get('USER') or 'the user'} is not logged in: loginctl enable-linger")
    if not dry_run:
        _expect_right(entry)
        units.write(texts, f"{name}.timer")
    return Installed(texts=shown, notes=notes)


def _uninstall_units(entry: Entry, env: Mapping[str, str], *, dry_run: bool) -> Installed:
    folder, name, units = _units(entry, env)
    if units is None:
        return Installed(by_hand=f"no program systemctl on PATH: disable {name}.timer and remove it and its service from {folder} by hand")
    if units.mark(f"{name}.service") is None:
        return Installed(notes=(f"nothing to remove: {folder} has no unit for this configuration",))
    if not dry_run:
        _expect_right(entry)
        units.remove((f"{name}.service", f"{name}.timer"), f"{name}.timer")
    return Installed(notes=(f"removed {name}.service and {name}.timer from {folder}",))


def _expect_right(entry: Entry) -> None:
    if entry.system and os.geteuid() != 0:
        raise UsageError("units of the machine are root's to change", solution="run it as root, or leave out --system")
